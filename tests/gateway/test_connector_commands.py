import json
import sqlite3
from datetime import date
from pathlib import Path

import pytest
from click import ClickException
from click.testing import CliRunner, Result

from connectors.outcome import Cause, Kind
from gateway.catalogue.model import ValueType
from gateway.catalogue.words import ValueKind
from gateway.cli import cli
from gateway.commands.connectors import _EXPLAINED, _values

STANZA = """
kind = "sql"
department = "民政厅"
url = "sqlite:///{path}"
[facts.marriage-registration]
coverage = "complete"
statement = "SELECT id_number, name, status, spouse FROM marriage WHERE id_number IN :keys"
key = "id_number"
columns = {{ status = "status", spouse_id_number = "spouse" }}
values = {{ status = {{ "3" = "MARRIED" }} }}
name = "name"
"""
ASK = ("--ask", "marriage-registration")
NATION = """
level: nation
code: "000000"
version: "1"
title: 示例
fact_types:
  - code: wedding
    title: 婚礼
    authority: 示例
    attributes: {status: string, spouse_id_number: id_number}
    absence: inconclusive
items: []
"""


@pytest.fixture
def stanza(tmp_path: Path) -> Path:
    database = tmp_path / "m.db"
    connection = sqlite3.connect(database)
    connection.execute("CREATE TABLE marriage (id_number, name, status, spouse)")
    connection.execute("INSERT INTO marriage VALUES ('230103198507041236', '示 例甲', 3, '230103 850704123')")
    connection.commit()
    connection.close()
    path = tmp_path / "civil.toml"
    path.write_text(STANZA.format(path=database))
    return path


def check(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["connectors", "check", *map(str, arguments)])


def test_an_enumeration_without_a_code_table_is_refused_before_anybody_is_asked(stanza: Path) -> None:
    table = 'values = { status = { "3" = "MARRIED" } }\n'
    assert table in stanza.read_text()
    stanza.write_text(stanza.read_text().replace(table, ""))
    found = check(stanza, *ASK, "--expect", "status=MARRIED")
    assert found.exit_code == 2
    assert "facts.marriage-registration.values.status: is missing" in found.output


@pytest.mark.parametrize(
    ("held", "status", "outcome"),
    [("MARRIED", "MARRIED", "MATCH"), ("MARRIED", "DIVORCED", "MISMATCH"), ("已婚", "DIVORCED", "UNAVAILABLE")],
)
def test_a_table_of_the_very_words_takes_no_other_text(
    stanza: Path, tmp_path: Path, held: str, status: str, outcome: str
) -> None:
    with sqlite3.connect(tmp_path / "m.db") as database:
        database.execute("UPDATE marriage SET status = ?", (held,))
    words = '{ MARRIED = "MARRIED", DIVORCED = "DIVORCED" }'
    stanza.write_text(stanza.read_text().replace('{ "3" = "MARRIED" }', words))
    person = ("--id", "230103198507041236", "--name", "示例甲")
    found = check(stanza, *ASK, *person, "--expect", f"status={status}", "--json")
    assert json.loads(found.stdout)["outcome"] == outcome


def test_a_source_is_probed_and_asked_about_nobody(stanza: Path) -> None:
    found = check(stanza, "--ask", "marriage-registration", "--expect", "status=MARRIED", "--json")
    told = json.loads(found.output)
    assert (found.exit_code, told["source"], told["outcome"], told["well"]) == (0, "civil", "NO_RECORD", True)


def test_without_a_fact_only_the_probe_is_made(stanza: Path) -> None:
    found = check(stanza)
    assert (found.exit_code, "nothing was asked" in found.output) == (0, True)


@pytest.mark.parametrize(("claimed", "outcome"), [("MARRIED", "MATCH"), ("DIVORCED", "MISMATCH")])
def test_a_claim_is_compared_with_what_the_source_holds(stanza: Path, claimed: str, outcome: str) -> None:
    found = check(
        stanza,
        "--ask",
        "marriage-registration",
        "--id",
        "23010319850704123６",
        "--name",
        "示例 甲",
        "--expect",
        f"status={claimed}",
        "--expect",
        "spouse_id_number=230103198507041236",
        "--json",
    )
    assert json.loads(found.stdout)["outcome"] == outcome


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
    more = '[facts.marriage]\nkey = "a"\n'
    stanza.write_text(
        stanza.read_text().replace('"MARRIED"', '"married"')
        + more
        + """statement = "SELECT 1 AS a WHERE '' IN :keys"\n"""
    )
    found = check(stanza)
    assert (found.exit_code, found.output.splitlines()[1:]) == (2, [
        "  civil: facts.marriage: the catalogue has no such fact type; did you mean 'marriage-registration'?",
        "  civil: facts.marriage-registration.values.status: 'married' cannot be of the attribute, which is"
        " enum[MARRIED,DIVORCED,WIDOWED]",
    ])  # fmt: skip


def test_a_stanza_that_leaves_open_where_it_is_complete_ends_with_2_and_says_what_to_write(stanza: Path) -> None:
    stanza.write_text(stanza.read_text().replace('coverage = "complete"\n', ""))
    found = check(stanza, *ASK)
    assert found.exit_code == 2
    assert "civil: facts.marriage-registration.coverage: is missing" in found.output
    assert 'coverage = { places = ["23"], since = 1985-01-01 }' in found.output


def test_a_source_that_declares_no_coverage_is_not_said_to_be_complete(stanza: Path, tmp_path: Path) -> None:
    (tmp_path / "nation.yaml").write_text(NATION)
    text = stanza.read_text().replace('coverage = "complete"\n', "").replace("marriage-registration", "wedding")
    stanza.write_text(text)
    found = check(stanza, "--ask", "wedding", "--catalogue", tmp_path / "nation.yaml")
    assert "outcome   NO_RECORD\n          The source answered and holds no record. No `coverage`" in found.output
    assert "is declared complete" not in found.output


def test_a_stanza_is_compared_with_the_lists_that_are_named(stanza: Path, tmp_path: Path) -> None:
    (tmp_path / "nation.yaml").write_text(NATION)
    found = check(stanza, "--catalogue", tmp_path / "nation.yaml")
    assert (found.exit_code, "no such fact type" in found.output) == (2, True)
    stanza.write_text(stanza.read_text().replace("marriage-registration", "wedding"))
    assert check(stanza, "--catalogue", tmp_path / "nation.yaml").exit_code == 0
    (tmp_path / "nation.yaml").write_text("level: nation")
    found = check(stanza, "--catalogue", tmp_path / "nation.yaml")
    assert (found.exit_code, "nation.yaml:" in found.output) == (2, True)


@pytest.mark.parametrize(
    ("written", "instead", "because"),
    [
        ("name, status, spouse", "name, state, spouse", "OperationalError, there is no such column"),
        ("FROM marriage", "FROM marriages", "OperationalError, there is no such table"),
        ("SELECT id_number", "SELECT SELECT id_number", "the statement is no SQL of this database"),
        ("m.db", "n.db", "OperationalError, the file cannot be opened"),
        ("m.db", "civil.toml", "DatabaseError, the file is no database"),
        ('name = "name"', 'name = "xm"', "the answer has no column xm"),
        ('"3" = "MARRIED"', '"1" = "MARRIED"', "`values.status`: a code that is not in the code table"),
    ],
)
def test_what_a_database_answers_otherwise_is_named_and_not_repeated(
    stanza: Path, written: str, instead: str, because: str
) -> None:
    stanza.write_text(stanza.read_text().replace(written, instead))
    person = ("--id", "230103198507041236", "--name", "示例甲", "--expect", "status=MARRIED")
    found = check(stanza, *ASK, *person, "--json")
    told = json.loads(found.stdout)
    assert (found.exit_code, because in told["because"]) == (1, True), told
    assert f"because   {told['because']}" in check(stanza, *ASK, *person).output
    assert "230103" not in found.output
    assert "示例甲" not in found.output


def test_where_nothing_is_wrong_no_reason_is_told(stanza: Path) -> None:
    assert "because   " not in check(stanza, *ASK).output
    assert json.loads(check(stanza, *ASK, "--json").output)["because"] == ""


def test_every_outcome_and_cause_is_explained() -> None:
    needed = {kind.value for kind in Kind if kind is not Kind.UNAVAILABLE} | {cause.value for cause in Cause}
    assert set(_EXPLAINED) == needed


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--ask", "marriage"), "--ask: the catalogue has no such fact type (marriage)"),
        (("--ask", "death-record"), "--ask: the stanza does not have death-record, but marriage-registration"),
        ((*ASK, "--id", "230103198507041237"), "--id: the gateway refuses this resident-id by the rule CHECK_DIGIT"),
        ((*ASK, "--id", "abc"), "by the rule LENGTH"),
        ((*ASK, "--id-type", "uscc"), "--id: the gateway refuses this uscc"),
        ((*ASK, "--name", "王*"), "--name: the gateway refuses this name by the rule CHARACTERS"),
        ((*ASK, "--name", " "), "by the rule EMPTY"),
        ((*ASK, "--expect", "state=MARRIED"), "--expect: the fact type has no 'state' (spouse_id_number, spouse_name,"),
        ((*ASK, "--expect", "status=married"), "--expect status: must be one of MARRIED, DIVORCED, WIDOWED"),
        ((*ASK, "--expect", "spouse_id_number=1"), "--expect spouse_id_number: the gateway refuses this resident-id"),
        ((*ASK, "--give", "status=MARRIED"), "--give: the fact type has no 'status'"),
        ((*ASK, "--place", "23"), "--place: must be the six digits"),
    ],
)
def test_a_claim_that_the_gateway_would_never_put_ends_with_2(
    stanza: Path, arguments: tuple[str, ...], said: str
) -> None:
    found = check(stanza, *arguments)
    assert (found.exit_code, said in found.output) == (2, True), found.output


PERSON = ValueType(kind=ValueKind.PERSON)


@pytest.mark.parametrize(
    ("name", "written", "kind", "value"),
    [
        ("valid", "true", ValueType(kind=ValueKind.BOOLEAN), True),
        ("valid", "1", ValueType(kind=ValueKind.BOOLEAN), None),
        ("children", "12", ValueType(kind=ValueKind.INTEGER), 12),
        ("children", "two", ValueType(kind=ValueKind.INTEGER), None),
        ("number", "012", ValueType(kind=ValueKind.STRING), "012"),
        ("number", "12", ValueType(kind=ValueKind.STRING), "12"),
        ("number", "2024-03-05", ValueType(kind=ValueKind.STRING), "2024-03-05"),
        ("died_on", "2024-03-05", ValueType(kind=ValueKind.DATE), date(2024, 3, 5)),
        ("died_on", "2024-3-5", ValueType(kind=ValueKind.DATE), None),
        ("where", "230100", ValueType(kind=ValueKind.DIVISION), "230100"),
        ("mother", "示 例乙", ValueType(kind=ValueKind.NAME), "示例乙"),
        ("relative_name", "示 例乙", PERSON, "示例乙"),
        ("relative_id_number", "23010319850704123６", PERSON, "230103198507041236"),
        ("relative_id_type", "resident-id", PERSON, "resident-id"),
        ("relative_id_type", "passport", PERSON, None),
        ("relative", "示例乙", PERSON, None),
    ],
)
def test_values_are_read_with_the_types_of_the_catalogue(
    name: str, written: str, kind: ValueType, value: object
) -> None:
    declared = {"relative" if kind is PERSON else name: kind}
    if value is None:
        with pytest.raises(ClickException):
            _values("--give", {name: written}, declared)
        return
    found = _values("--give", {name: written}, declared)
    assert found == {name: value}
    assert type(found[name]) is type(value)


TWO = ("--id", "230103198507041236", "--name", "示例甲", "--id", "230103198709102340", "--name", "示例乙")
NUMBERED = "SELECT *, row_number() OVER ({}ORDER BY status) AS n FROM marriage WHERE id_number IN :keys"


@pytest.mark.parametrize(("partition", "exit_code"), [("PARTITION BY id_number ", 0), ("", 1)])
def test_an_answer_that_depends_on_who_else_is_asked_about_is_a_fault(
    stanza: Path, partition: str, exit_code: int
) -> None:
    connection = sqlite3.connect(stanza.parent / "m.db")
    connection.execute("INSERT INTO marriage VALUES ('230103198709102340', '示例乙', 3, NULL)")
    connection.commit()
    connection.close()
    text = stanza.read_text()
    stanza.write_text(text.replace(text.split('"')[9], f"SELECT * FROM ({NUMBERED.format(partition)}) WHERE n = 1"))
    found = check(stanza, *ASK, *TWO, "--expect", "status=MARRIED")
    assert found.exit_code == exit_code, found.output
    assert found.output.count("outcome   MATCH") == 2
    assert ("together  ANOTHER ANSWER about 2: it depends on who else" in found.output) is bool(exit_code)
    people = json.loads(check(stanza, *ASK, *TWO, "--expect", "status=MARRIED", "--json").stdout)["people"]
    assert [one["together"] for one in people] == ["MATCH", "NO_RECORD" if exit_code else "MATCH"]
    assert "示例" not in found.output


@pytest.mark.parametrize("people", [TWO[:-2], (*TWO, "--name", "示例丙"), ("--name", "示例甲", "--name", "示例乙")])
def test_people_without_a_name_for_each_number_end_with_2(stanza: Path, people: tuple[str, ...]) -> None:
    found = check(stanza, *ASK, *people)
    assert (found.exit_code, "one --name for each --id" in found.output) == (2, True)


@pytest.mark.parametrize(
    "held",
    [
        "230103198507041236 ",
        "230103198507041236\r",
        "230103-19850704-1236",
        "２３０１０３１９８５０７０４１２３６",
        None,
    ],
)
def test_a_number_that_the_register_writes_otherwise_is_told(stanza: Path, held: str | None) -> None:
    connection = sqlite3.connect(stanza.parent / "m.db")
    connection.execute("UPDATE marriage SET id_number = ?", (held or "1",))
    connection.commit()
    connection.close()
    found = check(stanza, *ASK, *TWO[:4], "--place", "230100")
    assert (found.exit_code, "outcome   NO_RECORD" in found.output) == (int(held is not None), True)
    assert ("written   OTHERWISE: the register holds this number" in found.output) is (held is not None)
    assert "230103198507041236" not in found.output
