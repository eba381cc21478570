import re
import sqlite3
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

import connectors
from connectors.catalog import connect, find_kind
from connectors.policy import read_policy
from connectors.stanza import Stanza
from gateway.catalogue.fitting import misfits
from gateway.catalogue.loader import load_catalogue, shipped_catalogue_files
from tests.connectors.people import now

README = (Path(connectors.__file__).parent / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"^```toml\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
KINDS = {
    "sql": ("civil-affairs", BLOCKS[1]),
    "http": ("police", BLOCKS[2]),
    "http, XML": ("health", BLOCKS[3]),
    "http, signed": ("national", BLOCKS[4]),
    "dropbox": ("funeral", BLOCKS[5]),
    "grpc": ("health", BLOCKS[6]),
}
_PUBLIC_FILES = re.compile(r"^(?:public_key|ca|client_cert|client_key)_file = .*\n", re.MULTILINE)
COMMON = tomllib.loads(BLOCKS[0])["sources"]["civil-affairs"]


def stanza_of(kind: str, folder: Path) -> dict[str, Any]:
    """Read the example of a kind, without the files that the reader of the README has and we have not."""
    name, block = KINDS[kind]
    (folder / "secret").write_text("sqlite:////da.db")
    written = re.sub(r'"/run/secrets/[^"]*"', f'"{folder / "secret"}"', _PUBLIC_FILES.sub("", block))
    head = f'[sources.{name}]\nkind = "{kind.partition(",")[0]}"\ndepartment = "民政厅"\n'
    found: dict[str, Any] = tomllib.loads(head + written)["sources"][name]
    return found


@pytest.mark.parametrize("kind", KINDS)
async def test_the_examples_of_the_readme_are_accepted(tmp_path: Path, kind: str) -> None:
    resilience = {key: value for key, value in COMMON["resilience"].items() if key != "cache"}
    source = connect(KINDS[kind][0], {**stanza_of(kind, tmp_path), "resilience": resilience}, now=now)
    assert source.manifest.fact_types
    await source.aclose()


class Watched(Mapping[str, object]):
    """A table that notes, by kind of place, which keys its reader asked for."""

    def __init__(self, table: Mapping[str, object], asked: set[str]) -> None:
        self._table = table
        self._asked = asked

    def _note(self, key: str) -> None:
        self._asked.add(key)

    def __getitem__(self, key: str) -> object:
        self._note(key)
        value = self._table[key]
        return Watched(value, self._asked) if isinstance(value, dict) else value

    def get(self, key: str, default: object = None) -> object:  # type: ignore[override]
        self._note(key)
        return self[key] if key in self._table else default

    def __contains__(self, key: object) -> bool:
        self._note(str(key))
        return key in self._table

    def __iter__(self) -> Iterator[str]:
        return iter(self._table)

    def __len__(self) -> int:
        return len(self._table)

    def items(self) -> Any:
        return [
            (key, Watched(value, self._asked) if isinstance(value, dict) else value)
            for key, value in self._table.items()
        ]


@pytest.mark.parametrize("kind", KINDS)
async def test_the_examples_of_the_readme_fit_the_shipped_catalogue(tmp_path: Path, kind: str) -> None:
    source = connect(KINDS[kind][0], stanza_of(kind, tmp_path), now=now)
    assert misfits(load_catalogue(shipped_catalogue_files()), source.manifest) == []
    assert source.manifest.declared.keys() == source.manifest.fact_types
    await source.aclose()


@pytest.mark.parametrize("kind", KINDS)
def test_every_key_that_a_kind_reads_is_in_the_readme(tmp_path: Path, kind: str) -> None:
    asked: set[str] = set()
    stanza = {key: value for key, value in stanza_of(kind, tmp_path).items() if key != "kind"}
    for fact in stanza["facts"].values():
        fact.setdefault("coverage", {"places": ["23"]})
        if kind != "grpc":
            fact.setdefault("inactive", {"column": "x", "values": ["1"], "active": ["0"]})
    if kind == "dropbox":
        for fact in stanza["facts"].values():
            del fact["coverage"]
    own = kind.partition(",")[0]
    find_kind(own)("s", Watched(stanza, asked), now=now)
    told = "\n".join((BLOCKS[0], BLOCKS[1], *(block for one, (_, block) in KINDS.items() if one.startswith(own))))
    assert {key for key in asked if not re.search(rf"(?<!\w){re.escape(key)}(?!\w)", told)} == set()
    assert len(asked) > 10


def test_every_key_of_resilience_is_in_the_readme_and_nothing_else_is() -> None:
    asked: set[str] = set()
    root = Stanza("s", Watched(COMMON["resilience"], asked))
    read_policy(root)
    root.finish()
    assert asked == set(COMMON["resilience"])


def test_defaults_written_in_the_readme_are_the_defaults() -> None:
    optional = {"hedge", "cache", "windows"}
    written = {key: value for key, value in COMMON["resilience"].items() if key not in optional}
    assert read_policy(Stanza("s", written)) == read_policy(Stanza("s", {}))


def test_a_newcomer_gets_an_answer_from_the_stanza_of_the_tutorial(tmp_path: Path) -> None:
    from click.testing import CliRunner

    from gateway.cli import cli

    [tutorial] = re.findall(r"   ```toml\n(.*?)   ```", README, re.DOTALL)
    database = tmp_path / "marriages.db"
    connection = sqlite3.connect(database)
    connection.execute("CREATE TABLE marriage (id_number, name, status)")
    connection.execute("INSERT INTO marriage VALUES ('230103198507041236', '张小明', '1')")
    connection.commit()
    connection.close()
    stanza = tmp_path / "marriages.toml"
    stanza.write_text(re.sub(r"^   ", "", tutorial, flags=re.MULTILINE).replace("/data/marriages.db", str(database)))
    base = ["connectors", "check", str(stanza), "--ask", "marriage-registration", "--expect"]
    nobody = CliRunner().invoke(cli, [*base, "status=MARRIED", "--place", "230100"])
    assert (nobody.exit_code, "NO_RECORD" in nobody.output) == (0, True)
    console = README.split("```console")[1]
    assert [line for line in nobody.output.splitlines()[:6] if line.strip() not in console] == []
    person = ["--id", "230103198507041236", "--name", "张小明"]
    for status, expected in (("MARRIED", "MATCH"), ("DIVORCED", "MISMATCH")):
        found = CliRunner().invoke(cli, [*base, f"status={status}", *person])
        assert (found.exit_code, f"outcome   {expected}\n" in found.output) == (0, True)
        assert "张小明" not in found.output
