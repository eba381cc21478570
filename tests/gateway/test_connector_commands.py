import json
import sqlite3
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from connectors.outcome import Cause, Kind
from gateway.cli import cli
from gateway.commands.connectors import _EXPLAINED, _value

STANZA = """
kind = "sql"
department = "民政厅"
url = "sqlite:///{path}"
[facts.marriage-registration]
statement = "SELECT id_number, status FROM marriage WHERE id_number IN :keys"
key = "id_number"
columns = {{ status = "status" }}
"""
NATION = """
level: nation
code: "000000"
version: "1"
title: 示例
fact_types:
  - {code: wedding, title: 婚礼, authority: 示例, attributes: {status: string}, absence: inconclusive}
items: []
"""


@pytest.fixture
def stanza(tmp_path: Path) -> Path:
    database = tmp_path / "m.db"
    connection = sqlite3.connect(database)
    connection.execute("CREATE TABLE marriage (id_number, status)")
    connection.execute("INSERT INTO marriage VALUES ('230103198507041236', 3)")
    connection.commit()
    connection.close()
    path = tmp_path / "civil.toml"
    path.write_text(STANZA.format(path=database))
    return path


def check(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["connectors", "check", *map(str, arguments)])


def test_a_source_is_probed_and_asked_about_nobody(stanza: Path) -> None:
    found = check(stanza, "--ask", "marriage-registration", "--expect", "status=3", "--json")
    told = json.loads(found.output)
    assert (found.exit_code, told["source"], told["outcome"], told["well"]) == (0, "civil", "NO_RECORD", True)


def test_without_a_fact_only_the_probe_is_made(stanza: Path) -> None:
    found = check(stanza)
    assert (found.exit_code, "nothing was asked" in found.output) == (0, True)


@pytest.mark.parametrize(("claimed", "outcome"), [("3", "MATCH"), ("4", "MISMATCH")])
def test_a_claim_is_compared_with_what_the_source_holds(stanza: Path, claimed: str, outcome: str) -> None:
    found = check(
        stanza,
        "--ask",
        "marriage-registration",
        "--id",
        "230103198507041236",
        "--expect",
        f"status={claimed}",
        "--json",
    )
    assert json.loads(found.output)["outcome"] == outcome


def test_a_source_that_is_down_is_explained_and_ends_with_1(stanza: Path) -> None:
    (stanza.parent / "m.db").unlink()
    found = check(stanza, "--ask", "marriage-registration")
    assert found.exit_code == 1
    assert "UNAVAILABLE(OUTAGE)" in found.output
    assert "ILL" in found.output


@pytest.mark.parametrize(
    ("written", "arguments", "said"),
    [
        ("kind = ", (), "no TOML"),
        ("department = 'x'", (), "neither"),
        ("[sources.a]\nkind='sql'\n[sources.b]\nkind='sql'", (), "which of a, b"),
        ("[sources.a]\nkind='sql'", ("--source", "c"), "no [sources.c]"),
        ("kind = 'sql'\nsurprise = 1", (), "surprise: is not known"),
        ("kind = 'sql'", ("--expect", "status"), "NAME=VALUE"),
    ],
)
def test_what_cannot_be_tried_ends_with_2_and_says_why(
    tmp_path: Path, written: str, arguments: tuple[str, ...], said: str
) -> None:
    (tmp_path / "x.toml").write_text(written)
    found = check(tmp_path / "x.toml", "--ask", "f", *arguments)
    assert (found.exit_code, said in found.output) == (2, True)


def test_a_stanza_that_does_not_fit_the_catalogue_ends_with_2_and_names_every_mistake(stanza: Path) -> None:
    more = 'values = { status = { "1" = "married" } }\n[facts.marriage]\nkey = "a"\n'
    stanza.write_text(stanza.read_text() + more + """statement = "SELECT 1 AS a WHERE '' IN :keys"\n""")
    found = check(stanza)
    assert (found.exit_code, found.output.splitlines()[1:]) == (2, [
        "  civil: facts.marriage: the catalogue has no such fact type",
        "  civil: facts.marriage-registration.values.status: 'married' cannot be of the attribute, which is"
        " enum[MARRIED,DIVORCED,WIDOWED]",
    ])  # fmt: skip


def test_a_stanza_is_compared_with_the_lists_that_are_named(stanza: Path, tmp_path: Path) -> None:
    (tmp_path / "nation.yaml").write_text(NATION)
    found = check(stanza, "--catalogue", tmp_path / "nation.yaml")
    assert (found.exit_code, "no such fact type" in found.output) == (2, True)
    stanza.write_text(stanza.read_text().replace("marriage-registration", "wedding"))
    assert check(stanza, "--catalogue", tmp_path / "nation.yaml").exit_code == 0
    (tmp_path / "nation.yaml").write_text("level: nation")
    found = check(stanza, "--catalogue", tmp_path / "nation.yaml")
    assert (found.exit_code, "nation.yaml:" in found.output) == (2, True)


def test_every_outcome_and_cause_is_explained() -> None:
    needed = {kind.value for kind in Kind if kind is not Kind.UNAVAILABLE} | {cause.value for cause in Cause}
    assert set(_EXPLAINED) == needed


@pytest.mark.parametrize(
    ("text", "value"), [("true", True), ("12", 12), ("012", "012"), ("230103198507041236", "230103198507041236")]
)
def test_values_are_read_with_their_types(text: str, value: object) -> None:
    assert _value(text) == value
    assert type(_value(text)) is type(value)
