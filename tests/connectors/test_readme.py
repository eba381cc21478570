import re
import tomllib
from pathlib import Path

import pytest

import connectors
from connectors.catalog import connect
from tests.connectors.people import now

BLOCKS = re.findall(r"```toml\n(.*?)```", (Path(connectors.__file__).parent / "README.md").read_text(), re.DOTALL)
_PUBLIC_FILES = re.compile(r"^(?:public_key|ca|client_cert|client_key)_file = .*\n", re.MULTILINE)


@pytest.mark.parametrize(
    ("kind", "name", "block"),
    [("sql", "civil-affairs", BLOCKS[1]), ("http", "police", BLOCKS[2]), ("dropbox", "funeral", BLOCKS[3])],
)
async def test_the_examples_of_the_readme_are_accepted(tmp_path: Path, kind: str, name: str, block: str) -> None:
    (tmp_path / "secret").write_text("sqlite:////data/x.db")
    written = re.sub(r'"/run/secrets/[^"]*"', f'"{tmp_path / "secret"}"', _PUBLIC_FILES.sub("", block))
    head = f'[sources.{name}]\nkind = "{kind}"\ndepartment = "民政厅"\n'
    stanza = tomllib.loads(head + written)["sources"][name]
    resilience = tomllib.loads(BLOCKS[0])["sources"]["civil-affairs"]["resilience"]
    source = connect(name, {**stanza, "resilience": resilience}, now=now)
    assert source.manifest.fact_types
    await source.aclose()
