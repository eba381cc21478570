import asyncio
import re
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, time, timedelta
from decimal import Decimal
from pathlib import Path

import pymysql
import pytest
from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import DBAPIError
from structlog.testing import capture_logs

from connectors.breaker import State
from connectors.catalog import connect
from connectors.conformance.expectations import require_no_conclusion
from connectors.connector import Claim, Subject
from connectors.errors import SourceUnavailable, StanzaError
from connectors.outcome import Cause, Kind
from connectors.resilience import Resilient
from connectors.sources import sql
from connectors.transports.database import failure
from tests.connectors.people import (
    LI,
    LI_DIVORCED,
    NOBODY,
    NOW,
    PERSONAL,
    ZHANG,
    ZHANG_MARRIED,
    claim,
    fresh,
    now,
    question,
    sql_stanza,
)

Marriages = Callable[..., Path]


async def outcome(source: Resilient, asked: Claim) -> str:
    [evidence] = await source.check_many([asked], question())
    cause = evidence.outcome.cause
    await source.aclose()
    if evidence.outcome.other_identity:
        return "MISMATCH(name)"
    return evidence.outcome.kind.value if cause is None else f"UNAVAILABLE({cause.value})"


opened: list[Resilient] = []


def source_of(path: Path, /, **more: object) -> Resilient:
    source = connect("civil-affairs", sql_stanza(f"sqlite:///{path}", **more), now=now)
    opened.append(source)
    return source


@pytest.fixture(autouse=True)
async def close_what_was_opened() -> AsyncIterator[None]:
    """No connection of one test is left for the garbage collector of another."""
    yield
    while opened:
        await opened.pop().aclose()


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (claim(status="married"), "MATCH"),
        (claim(), "MATCH"),
        (claim(status="married", since=date(2010, 5, 1), spouse_id_number=LI.id_number), "MATCH"),
        (claim(status="divorced"), "MISMATCH"),
        (claim(since=date(2010, 5, 2)), "MISMATCH"),
        (claim(LI, status="divorced"), "MATCH"),
        (claim(LI, spouse_id_number=ZHANG.id_number), "NOT_HELD"),
        (claim(LI, status="married", spouse_id_number=ZHANG.id_number), "MISMATCH"),
        (claim(shoe_size=43), "NOT_HELD"),
        (claim(since="ten"), "MISMATCH"),
        (claim(status=True), "UNAVAILABLE(GARBLED)"),
        (claim(NOBODY), "NO_RECORD"),
        (claim(fact_type="birth"), "NOT_COVERED"),
    ],
)
async def test_a_claim_gets_the_outcome_its_rows_give(marriages: Marriages, asked: Claim, expected: str) -> None:
    source = source_of(marriages(ZHANG_MARRIED, LI_DIVORCED))
    assert await outcome(source, asked) == expected


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ((ZHANG.id_number, "王二", 1, None, None, "living", fresh()), "MISMATCH(name)"),
        ((ZHANG.id_number, None, 1, None, None, "living", fresh()), "NOT_HELD"),
        ((ZHANG.id_number, ZHANG.name, 1, None, None, "dead", fresh()), "SUBJECT_INACTIVE"),
        ((ZHANG.id_number, "王二", 1, None, None, "dead", fresh()), "MISMATCH(name)"),
        ((ZHANG.id_number, "王二", 1, None, None, "DEAD", fresh()), "MISMATCH(name)"),
        *(
            ((ZHANG.id_number, ZHANG.name, 1, None, None, state, fresh()), "UNAVAILABLE(GARBLED)")
            for state in ("DEAD", "死亡", "9", 9, None, "", "null")
        ),
        ((ZHANG.id_number, ZHANG.name, 9, None, None, "living", fresh()), "UNAVAILABLE(GARBLED)"),
        ((ZHANG.id_number, ZHANG.name, 1.5, None, None, "living", fresh()), "UNAVAILABLE(GARBLED)"),
        ((ZHANG.id_number, ZHANG.name.encode("gbk"), 1, None, None, "living", fresh()), "UNAVAILABLE(GARBLED)"),
        ((ZHANG.id_number, "???", 1, None, None, "living", fresh()), "UNAVAILABLE(GARBLED)"),
        ((ZHANG.id_number, ZHANG.name, "", None, None, "living", fresh()), "NOT_HELD"),
        ((ZHANG.id_number, ZHANG.name, 1, None, None, b"\xff", fresh()), "UNAVAILABLE(GARBLED)"),
    ],
)
async def test_a_strange_row_never_becomes_a_match(
    marriages: Marriages, row: tuple[object, ...], expected: str
) -> None:
    assert await outcome(source_of(marriages(row)), claim(status="married")) == expected


async def test_two_rows_of_one_person_are_ambiguous(marriages: Marriages) -> None:
    assert await outcome(source_of(marriages(ZHANG_MARRIED, ZHANG_MARRIED)), claim(status="married")) == "AMBIGUOUS"


OLD = (ZHANG.id_number, ZHANG.name, 2, None, "2005-01-01", "living", fresh())


async def test_the_latest_of_several_rows_is_picked_only_when_the_stanza_says_so(marriages: Marriages) -> None:
    path = marriages(ZHANG_MARRIED, OLD)
    assert await outcome(source_of(path, pick="latest:since"), claim(status="married")) == "MATCH"
    assert await outcome(source_of(path, pick="latest:since"), claim(status="divorced")) == "MISMATCH"


async def test_picking_the_latest_of_two_on_one_day_stays_ambiguous(marriages: Marriages) -> None:
    source = source_of(marriages(ZHANG_MARRIED, ZHANG_MARRIED), pick="latest:since")
    assert await outcome(source, claim()) == "AMBIGUOUS"


async def test_rows_under_one_number_with_two_names_are_never_picked_from(marriages: Marriages) -> None:
    other = (ZHANG.id_number, "王二", 1, None, "2001-01-01", "living", fresh())
    assert await outcome(source_of(marriages(ZHANG_MARRIED, other), pick="latest:since"), claim()) == "AMBIGUOUS"


@pytest.mark.parametrize("held", [LI.id_number, LI.id_number.lower()])
async def test_a_check_character_in_small_letters_is_no_absence(marriages: Marriages, held: str) -> None:
    source = source_of(marriages((held, *LI_DIVORCED[1:]), ZHANG_MARRIED))
    claims = [claim(LI, status="divorced"), claim(status="married"), claim(LI, status="married")]
    found = await source.check_many(claims, question())
    assert [one.outcome.kind.value for one in found] == ["MATCH", "MATCH", "MISMATCH"]
    await source.aclose()


async def test_rows_in_both_spellings_of_a_number_are_two_rows(marriages: Marriages) -> None:
    source = source_of(marriages(LI_DIVORCED, (LI.id_number.lower(), *LI_DIVORCED[1:])))
    assert await outcome(source, claim(LI, status="divorced")) == "AMBIGUOUS"


async def test_a_credit_code_is_found_in_small_letters(marriages: Marriages) -> None:
    firm = Subject(id_type="uscc", id_number="91230100MA1ABCDE4T", name="示例公司")
    source = source_of(marriages((firm.id_number.lower(), firm.name, "1", None, None, "living", fresh())))
    assert await outcome(source, claim(firm, status="married")) == "MATCH"


async def test_a_source_that_could_tell_rows_apart_asks_for_what_it_needs(marriages: Marriages) -> None:
    path = marriages(ZHANG_MARRIED, OLD)
    source = source_of(path, narrow={"registered": "since"})
    [needs] = await source.check_many([claim(status="married")], question())
    assert (needs.outcome.kind, needs.outcome.attribute) == (Kind.NEEDS_ATTRIBUTE, "registered")
    given = Claim(
        fact_type="marriage-registration",
        subject=ZHANG,
        expected={"status": "married"},
        given={"registered": date(2010, 5, 1)},
    )
    assert await outcome(source, given) == "MATCH"


@pytest.mark.parametrize(("hours", "expected"), [(1, "MATCH"), (23.9, "MATCH"), (24.1, "STALE"), (9000, "STALE")])
async def test_a_row_older_than_promised_is_stale(marriages: Marriages, hours: float, expected: str) -> None:
    row = (*ZHANG_MARRIED[:-1], fresh(hours))
    assert await outcome(source_of(marriages(row), freshness="1d", as_of="updated_at"), claim()) == expected


async def test_absence_on_data_of_no_date_is_stale_and_not_absence(marriages: Marriages) -> None:
    source = source_of(marriages(ZHANG_MARRIED), freshness="1d", as_of="updated_at")
    assert await outcome(source, claim(NOBODY)) == "STALE"


@pytest.mark.parametrize(("hours", "expected"), [(1, "NO_RECORD"), (25, "STALE")])
async def test_absence_is_dated_by_the_date_of_the_whole_table(
    marriages: Marriages, hours: float, expected: str
) -> None:
    statement = f"SELECT '{fresh(hours)}'"
    source = source_of(marriages(ZHANG_MARRIED), freshness="1d", as_of_statement=statement)
    [evidence] = await source.check_many([claim(NOBODY)], question())
    assert evidence.as_of is not None
    assert await outcome(source, claim(NOBODY)) == expected


@pytest.mark.parametrize(
    ("ahead", "expected"), [(9, ("MATCH", "NO_RECORD")), (11, ("UNAVAILABLE(GARBLED)", "UNAVAILABLE(GARBLED)"))]
)
@pytest.mark.parametrize("promise", [{}, {"freshness": "1d"}])
async def test_data_of_the_future_are_not_fresh_for_ever(
    marriages: Marriages, ahead: float, expected: tuple[str, str], promise: dict[str, object]
) -> None:
    path, statement = marriages(ZHANG_MARRIED), f"SELECT '{fresh(-ahead / 60)}'"
    found = [
        await outcome(source_of(path, as_of_statement=statement, **promise), asked)
        for asked in (claim(), claim(NOBODY))
    ]
    assert tuple(found) == expected


async def test_a_row_of_the_future_spoils_nobody_elses(marriages: Marriages) -> None:
    source = source_of(marriages((*ZHANG_MARRIED[:-1], "2999-12-31T00:00:00"), LI_DIVORCED), as_of="updated_at")
    found = await source.check_many([claim(status="married"), claim(LI, status="divorced")], question())
    assert [(one.outcome.kind, one.as_of is None) for one in found] == [(Kind.UNAVAILABLE, True), (Kind.MATCH, False)]
    await source.aclose()


@pytest.mark.parametrize("no_date", ["0001-01-01T00:00:00", "1899-12-31", "9999-12-31"])
async def test_what_systems_write_for_no_date_dates_no_data(marriages: Marriages, no_date: str) -> None:
    source = source_of(marriages((*ZHANG_MARRIED[:-1], no_date)), as_of="updated_at")
    [said] = await source.check_many([claim()], question())
    assert (said.outcome.cause, said.as_of) == (Cause.GARBLED, None)


@pytest.mark.parametrize("state", [None, "", " "])
async def test_an_empty_state_is_one_of_the_living_where_the_stanza_says_so(
    marriages: Marriages, state: str | None
) -> None:
    path = marriages((*ZHANG_MARRIED[:5], state, ZHANG_MARRIED[6]))
    states = {"column": "state", "values": ["dead"], "active": ["living", ""]}
    assert await outcome(source_of(path, inactive=states), claim(status="married")) == "MATCH"


@pytest.mark.parametrize(
    ("dated", "expected"),
    [
        ("9999-12-31", "AMBIGUOUS"),
        ("2099-01-01", "AMBIGUOUS"),
        ("2026-11-26", "AMBIGUOUS"),
        ("0001-01-01", "AMBIGUOUS"),
        ("1899-12-30", "AMBIGUOUS"),
        ("2026-11-25", "MATCH"),
        ("2026-11-24", "MATCH"),
        ("1950-01-01", "MISMATCH"),
    ],
)
async def test_what_systems_write_for_no_date_picks_no_row(marriages: Marriages, dated: str, expected: str) -> None:
    path = marriages((*ZHANG_MARRIED[:4], dated, *ZHANG_MARRIED[5:]), OLD)
    assert await outcome(source_of(path, pick="latest:since"), claim(status="married")) == expected


async def test_the_date_of_the_only_row_picks_nothing(marriages: Marriages) -> None:
    path = marriages((*ZHANG_MARRIED[:4], "9999-12-31", *ZHANG_MARRIED[5:]))
    assert await outcome(source_of(path, pick="latest:since"), claim(status="married")) == "MATCH"


@pytest.mark.parametrize(
    "statement", ["SELECT '0001-01-01'", "SELECT NULL", "SELECT 1 WHERE 0", "SELECT 1, 2", "SELECT 'soon'"]
)
async def test_a_date_of_the_data_that_is_none_is_garbled(marriages: Marriages, statement: str) -> None:
    source = source_of(marriages(ZHANG_MARRIED), freshness="1d", as_of_statement=statement)
    assert await outcome(source, claim()) == "UNAVAILABLE(GARBLED)"


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM no_such_table WHERE id_number IN :keys",
        "SELECT id_number FROM marriage WHERE id_number IN :keys",
        "SELECT m.*, no_such_column FROM marriage m WHERE id_number IN :keys",
        "SELECT * FROM marriage WHERE id_number NOT IN :keys OR 1",
        "SELECT *, syntax error FROM WHERE id_number IN :keys",
    ],
)
async def test_a_statement_that_does_not_fit_the_table_is_garbled_and_says_nothing(
    marriages: Marriages, statement: str, discreet: list[str]
) -> None:
    source = source_of(marriages(ZHANG_MARRIED, LI_DIVORCED), statement=statement)
    evidence = await source.check_many([claim(status="married")], question())
    require_no_conclusion(evidence)
    assert evidence[0].outcome.cause is Cause.GARBLED
    discreet.append((await source.probe()).detail)
    await source.aclose()


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ("id_number, name, status, spouse_id, since, state, '别人' AS name", "UNAVAILABLE(GARBLED)"),
        ("'别人' AS name, id_number, name, status, spouse_id, since, state", "UNAVAILABLE(GARBLED)"),
        ("*, '2' AS status", "UNAVAILABLE(GARBLED)"),
        ("*, id_number", "UNAVAILABLE(GARBLED)"),
        ("*, 1 AS x, 2 AS x", "MATCH"),
    ],
)
async def test_of_two_columns_of_one_name_none_is_believed(marriages: Marriages, columns: str, expected: str) -> None:
    source = source_of(marriages(ZHANG_MARRIED), statement=f"SELECT {columns} FROM marriage WHERE id_number IN :keys")
    assert await outcome(source, claim(status="married")) == expected


async def test_a_slow_statement_is_interrupted(marriages: Marriages) -> None:
    slow = (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000000)"
        " SELECT m.* FROM marriage m, (SELECT max(i) FROM n) WHERE id_number IN :keys"
    )
    source = source_of(marriages(ZHANG_MARRIED), statement=slow, statement_timeout="50ms")
    assert await outcome(source, claim()) == "UNAVAILABLE(TIMEOUT)"


async def test_more_rows_than_allowed_are_garbled(marriages: Marriages) -> None:
    assert await outcome(source_of(marriages(*[OLD] * 5), most_rows=4), claim()) == "UNAVAILABLE(GARBLED)"


async def test_a_missing_file_is_an_outage_and_is_not_made(tmp_path: Path) -> None:
    assert await outcome(source_of(tmp_path / "gone.db"), claim()) == "UNAVAILABLE(OUTAGE)"
    assert not (tmp_path / "gone.db").exists()


async def test_a_file_that_is_no_database_is_garbled(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("this is no database " * 100)
    assert await outcome(source_of(tmp_path / "text.db"), claim()) == "UNAVAILABLE(GARBLED)"


async def test_the_database_is_opened_so_that_nothing_can_be_written(marriages: Marriages) -> None:
    path = marriages(ZHANG_MARRIED)
    source = sql.connect("s", {k: v for k, v in sql_stanza(f"sqlite:///{path}").items() if k != "kind"}, now=now)
    with source._engine.connect() as connection, pytest.raises(Exception, match="readonly"):
        connection.execute(text("DELETE FROM marriage"))
    await source.aclose()


async def test_many_claims_cost_one_statement_and_late_ones_join_the_next(marriages: Marriages) -> None:
    path = marriages(ZHANG_MARRIED, LI_DIVORCED)
    source = source_of(path, threads=1)
    inner = source._connector
    assert isinstance(inner, sql.SqlSource)
    statements: list[int] = []

    def count(_c: object, _cursor: object, _text: str, parameters: tuple[str, ...], *_: object) -> None:
        statements.append(len(parameters))

    event.listen(inner._engine, "before_cursor_execute", count)
    context = question()
    many = [source.check_many([claim(), claim(LI), claim(NOBODY)], context) for _ in range(50)]
    found = await asyncio.gather(*many)
    assert statements == [4]  # three people, one of whom has an X, which is asked for in both cases
    assert {tuple(one.outcome.kind for one in evidence) for evidence in found} == {
        (Kind.MATCH, Kind.MATCH, Kind.NO_RECORD)
    }


async def test_a_probe_asks_about_nobody_and_tells_what_is_wrong(marriages: Marriages, tmp_path: Path) -> None:
    well, ill = source_of(marriages(ZHANG_MARRIED)), source_of(tmp_path / "gone.db")
    assert (await well.probe()).ok
    health = await ill.probe()
    assert not health.ok
    assert "OUTAGE" in health.detail
    for source in (well, ill):
        await source.aclose()


async def test_a_probe_asks_as_many_keys_as_a_question_may(marriages: Marriages) -> None:
    statement = "SELECT * FROM marriage WHERE id_number IN :keys OR abs(CASE WHEN 'x' IN :keys THEN {} ELSE 1 END) < 0"
    assert not (await source_of(marriages(ZHANG_MARRIED), statement=statement.format(-(2**63))).probe()).ok


@pytest.mark.parametrize("spelt", ["IN :keys", "IN (:keys)", "In ( :keys )", "IN(:keys)"])
async def test_keys_are_asked_about_with_brackets_or_without(marriages: Marriages, spelt: str) -> None:
    statement = f"SELECT *, '10\\:30' AS x, '0:keys' AS y FROM marriage WHERE id_number {spelt}"
    source = source_of(marriages(ZHANG_MARRIED, LI_DIVORCED), statement=statement)
    assert (await source.probe()).ok
    found = await source.check_many([claim(), claim(LI)], question())
    assert [one.outcome.kind for one in found] == [Kind.MATCH, Kind.MATCH]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"url": "sqlite://"}, "a SQLite source is a file"),
        ({"url": "not a url"}, "no database URL"),
        ({"url": "postgresql+psycopg://me:secret@host/db"}, "url_file"),
        ({"url": "mssql+nodriver://host/db"}, "read only"),
        ({"url": "mysql+mysqlconnector://host/db"}, "the driver mysql is not installed"),
        ({"url": "mysql://host/db"}, "let the URL begin with mysql+pymysql://"),
        ({"url": "mariadb://host/db"}, "let the URL begin with mariadb+pymysql://"),
        ({"url": "postgres://host/db"}, "url: must begin with postgresql+psycopg://"),
        ({"url": "postgres+psycopg://host/db"}, "url: must begin with postgresql+psycopg://"),
        ({"url_file": "/no/such/file"}, "either"),
        ({"department": ""}, "department"),
        ({"surprise": 1}, "surprise: is not known"),
        ({"freshness": "soon"}, "freshness: must be a duration"),
        ({"statement_timeout": 5}, "statement_timeout"),
        ({"timezone": "Mars/Olympus"}, "timezone"),
        ({"facts": {}}, "facts"),
        ({"kind": "telepathy"}, "kind"),
    ],
)
def test_a_wrong_stanza_is_refused(change: dict[str, object], said: str) -> None:
    with pytest.raises(StanzaError) as refused:
        connect("s", {**sql_stanza("sqlite:////tmp/x.db"), **change}, now=now)
    assert any(said in mistake for mistake in refused.value.mistakes)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"statement": "DELETE FROM marriage WHERE id_number IN :keys"}, "SELECT"),
        ({"statement": "SELECT 1; DROP TABLE marriage -- :keys"}, "SELECT"),
        ({"statement": "SELECT * FROM marriage"}, ":keys"),
        ({"statement": "SELECT * FROM marriage WHERE id_number = :keys"}, "`IN :keys`"),
        ({"statement": "SELECT * FROM marriage WHERE id_number = ANY(:keys)"}, "`IN :keys`"),
        ({"statement": "SELECT * FROM marriage WHERE id_number IN :keys OR spouse_id = :keys"}, "`IN :keys`"),
        ({"statement": "SELECT * FROM marriage WHERE id_number IN :keysx"}, ":keysx, which nobody fills"),
        ({"statement": "SELECT * FROM marriage WHERE id_number IN :keys AND status = :status"}, ":status"),
        ({"as_of_statement": "SELECT max(updated_at) FROM marriage WHERE id_number IN :keys"}, ":keys, which nobody"),
        ({"freshness": "1d"}, "as_of"),
        ({"pick": "first"}, "latest"),
        ({"inactive": {"column": "state", "values": ["dead"]}}, "active: is missing"),
        ({"inactive": {"column": "state", "values": ["dead"], "active": "living"}}, "must be a list of texts"),
        ({"inactive": {"column": "state", "values": ["dead"], "active": ["ｄead"]}}, "`values` names too"),
        ({"inactive": {"column": "state", "values": ["dead", ""], "active": ["living"]}}, "non-empty"),
        ({"values": {"height": {"1": "tall"}}}, "of no attribute"),
        ({"values": {"status": {"1": 1.5}}}, "must be"),
        ({"coverage": {"places": ["Harbin"]}}, "division codes"),
        ({"coverage": {"places": ["２３"]}}, "division codes"),
        ({"coverage": {"places": ["00"]}}, "division codes"),
        ({"coverage": {"places": []}}, "everywhere"),
        ({"coverage": {}}, '"complete"'),
        ({"coverage": "everywhere"}, '"complete"'),
        ({"coverage": ["23"]}, '"complete"'),
        ({"coverage": {"since": "2020-13-01"}}, "must be a date"),
        ({"coverage": {"since": "2020-01-01", "until": "2019-01-01"}}, "before"),
        ({"columns": {"status": 5}}, "texts"),
        ({"inactive": {"column": "state"}}, "values: is missing"),
    ],
)
def test_a_wrong_fact_is_refused_by_name(more: dict[str, object], said: str) -> None:
    with pytest.raises(StanzaError, match="marriage-registration") as refused:
        connect("s", sql_stanza("sqlite:////tmp/x.db", **more), now=now)
    assert any(said in mistake for mistake in refused.value.mistakes)


def test_all_mistakes_are_told_at_once() -> None:
    stanza = {**sql_stanza("sqlite://", pick="first", freshness="soon", resilience={"timeout": "x"}), "surprise": 1}
    with pytest.raises(StanzaError) as refused:
        connect("S", stanza, now=now)
    assert len(refused.value.mistakes) == 6


SERVERS = [
    pytest.param("postgres", marks=pytest.mark.postgres),
    pytest.param("mariadb", marks=pytest.mark.mariadb),
]


@pytest.fixture(params=SERVERS)
def server_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A real server's database with the marriage table and two rows."""
    is_postgres = request.param == "postgres"
    given = request.getfixturevalue("postgres_url" if is_postgres else "mariadb_url")
    engine = create_engine(given)
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE IF EXISTS marriage"))
        connection.execute(
            text(
                "CREATE TABLE marriage (id_number CHAR(18), name VARCHAR(80), status INT, spouse_id VARCHAR(18),"
                " since DATE, state VARCHAR(20), updated_at TIMESTAMP NULL)"
                + ("" if is_postgres else " CHARACTER SET utf8mb4")
            )
        )
        insert = text("INSERT INTO marriage VALUES (:a, :b, :c, :d, :e, :f, :g)")
        for row in (ZHANG_MARRIED, LI_DIVORCED):
            values = (*row[:-1], NOW.replace(tzinfo=None))
            connection.execute(insert, dict(zip("abcdefg", values, strict=True)))
    yield given
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE IF EXISTS marriage"))
    engine.dispose()


@pytest.fixture
async def server_source(server_url: str, tmp_path: Path) -> AsyncIterator[Callable[..., Resilient]]:
    """Make sources of the server, with a URL file; they are closed afterwards."""
    made: list[Resilient] = []

    def make(**more: object) -> Resilient:
        url = make_url(server_url)
        (tmp_path / "url").write_text(url.render_as_string(hide_password=False))
        stanza = {**sql_stanza("", **more), "url_file": str(tmp_path / "url")}
        del stanza["url"]
        made.append(connect("civil-affairs", stanza, now=now))
        return made[-1]

    yield make
    for source in made:
        await source.aclose()


async def test_a_server_answers_as_a_file_does(server_source: Callable[..., Resilient]) -> None:
    source = server_source(freshness="1d", as_of="updated_at", timezone="UTC")
    asked = [
        claim(status="married", since=date(2010, 5, 1), spouse_id_number=LI.id_number),
        claim(status="divorced"),
        claim(LI, status="divorced"),
        claim(LI, spouse_id_number=ZHANG.id_number),
    ]
    found = await source.check_many(asked, question())
    assert [one.outcome.kind.value for one in found] == ["MATCH", "MISMATCH", "MATCH", "NOT_HELD"]
    [absent] = await server_source().check_many([claim(NOBODY)], question())
    assert absent.outcome.kind is Kind.NO_RECORD
    assert (await source.probe()).ok


async def test_a_slow_statement_is_ended_by_the_server(
    server_source: Callable[..., Resilient], server_url: str
) -> None:
    pause = "(SELECT pg_sleep(5)) p" if server_url.startswith("postgresql") else "(SELECT SLEEP(5)) p"
    source = server_source(
        statement=f"SELECT m.* FROM marriage m, {pause} WHERE id_number IN :keys", statement_timeout="100ms"
    )
    [evidence] = await source.check_many([claim()], question())
    assert evidence.outcome.cause is Cause.TIMEOUT


async def test_a_missing_table_on_a_server_is_garbled(server_source: Callable[..., Resilient]) -> None:
    [evidence] = await server_source(statement="SELECT * FROM gone WHERE id_number IN :keys").check_many(
        [claim()], question()
    )
    assert evidence.outcome.cause is Cause.GARBLED


@pytest.mark.parametrize(
    ("statement", "state", "number", "kind"),
    [
        ("SELECT * FROM gone WHERE id_number IN :keys", "42P01", 1146, "there is no such table"),
        ("SELECT xm FROM marriage WHERE id_number IN :keys", "42703", 1054, "there is no such column"),
        ("SELECT FROM WHERE id_number IN :keys", "42601", 1064, "the statement is no SQL of this database"),
    ],
)
async def test_what_a_server_refuses_is_told_by_its_code_and_in_our_words(
    server_source: Callable[..., Resilient], server_url: str, statement: str, state: str, number: int, kind: str
) -> None:
    source = server_source(statement=statement)
    [evidence] = await source.check_many([claim()], question())
    code = f"SQLSTATE {state}" if server_url.startswith("postgresql") else f"error {number}"
    assert evidence.outcome.why.endswith(f", {code}, {kind}")
    assert (await source.probe()).detail.endswith(evidence.outcome.why)
    assert not any(personal in evidence.outcome.why for personal in PERSONAL)


def engine_of(source: Resilient) -> Engine:
    inner = source._connector
    assert isinstance(inner, sql.SqlSource)
    return inner._engine


async def test_a_session_on_a_server_cannot_write(server_source: Callable[..., Resilient], server_url: str) -> None:
    source = server_source()
    await source.probe()
    with engine_of(source).connect() as connection, pytest.raises(Exception, match=r"(?i)read.only"):
        connection.execute(text("DELETE FROM marriage"))


@contextmanager
def department_at(url: str) -> Iterator[Connection]:
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


OF_POSTGRES = pytest.mark.parametrize("server_url", SERVERS[:1], indirect=True)
SETTINGS = "SELECT name, setting, source FROM pg_settings WHERE name IN ('statement_timeout', 'transaction_read_only',"
SETTINGS += " 'default_transaction_read_only') ORDER BY name"


@OF_POSTGRES
async def test_nothing_is_prepared_or_set_in_a_session_that_a_pooler_may_lend_to_others(
    server_url: str, server_source: Callable[..., Resilient]
) -> None:
    source = server_source(threads=1)
    for _ in range(10):
        [evidence] = await source.check_many([claim(status="married")], question())
        assert evidence.outcome.kind is Kind.MATCH
    ours = engine_of(source).raw_connection()
    try:
        cursor = ours.cursor()
        cursor.execute("SELECT count(*) FROM pg_prepared_statements")
        assert cursor.fetchone() == (0,)
        cursor.execute(SETTINGS)
        with department_at(server_url) as others:
            assert cursor.fetchall() == others.execute(text(SETTINGS)).all()
    finally:
        ours.close()


@OF_POSTGRES
async def test_every_question_is_asked_in_a_transaction_of_its_own_that_cannot_write_and_whose_statements_end(
    server_url: str, server_source: Callable[..., Resilient]
) -> None:
    shown = ("transaction_read_only", "statement_timeout")
    held = ", ".join(f"current_setting('{one}') AS {one}" for one in shown)
    source = server_source(
        threads=1,
        statement_timeout="1234ms",
        statement=f"SELECT m.*, {held} FROM marriage m WHERE id_number IN :keys",
        columns={one: one for one in ("status", *shown)},
    )
    expected = {"transaction_read_only": "on", "statement_timeout": "1234ms"}
    for _ in range(3):
        [evidence] = await source.check_many([claim(ZHANG, **expected)], question())
        assert evidence.outcome.kind is Kind.MATCH
    with department_at(server_url) as others:
        open_ones = "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in%' AND datname = current_database()"
        assert others.execute(text(open_ones)).scalar_one() == 0


@OF_POSTGRES
async def test_a_column_that_is_widened_while_it_is_asked_about_is_no_outage(
    server_url: str, server_source: Callable[..., Resilient]
) -> None:
    source = server_source(threads=1)
    outcomes = []
    for number in range(20):
        if number == 10:
            with department_at(server_url) as department:
                department.execute(text("ALTER TABLE marriage ALTER COLUMN name TYPE VARCHAR(200)"))
        [evidence] = await source.check_many([claim(status="married")], question())
        outcomes.append(evidence.outcome.kind)
    assert set(outcomes) == {Kind.MATCH}


@OF_POSTGRES
@pytest.mark.parametrize("prepared", [True, False])
async def test_a_connection_whose_prepared_statements_no_longer_fit_is_not_used_again(
    server_url: str, server_source: Callable[..., Resilient], prepared: bool
) -> None:
    engine = engine_of(server_source(threads=1))
    with engine.connect() as connection:
        if prepared:
            connection.exec_driver_sql("PREPARE held AS SELECT * FROM marriage")
            connection.exec_driver_sql("EXECUTE held")
            connection.rollback()
            with department_at(server_url) as department:
                department.execute(text("ALTER TABLE marriage ALTER COLUMN name TYPE VARCHAR(200)"))
        with pytest.raises(DBAPIError) as failed:
            connection.exec_driver_sql("EXECUTE held")
        assert failed.value.orig is not None
        assert getattr(failed.value.orig, "sqlstate", None) == ("0A000" if prepared else "26000")
        assert connection.invalidated


RAISES = {
    "sqlite": "abs(CASE WHEN id_number = '{}' THEN -9223372036854775808 ELSE 1 END)",
    "postgresql": "1 / (CASE WHEN id_number = '{}' THEN 0 ELSE 1 END)",
    "mysql": "CAST(1 AS UNSIGNED) - (CASE WHEN id_number = '{}' THEN 2 ELSE 1 END)",
}


def raising_for_li(dialect: str) -> str:
    return f"SELECT m.*, {RAISES[dialect].format(LI.id_number)} AS x FROM marriage m WHERE id_number IN :keys"


async def require_that_one_row_spoils_itself_only(source: Resilient) -> None:
    found = await source.check_many([claim(status="married"), claim(LI, status="divorced")], question())
    assert found[0].outcome.kind is Kind.MATCH
    assert found[1].outcome.cause is Cause.GARBLED
    assert source.outages(since=NOW - timedelta(days=1), until=NOW + timedelta(days=1)) == []
    assert source.breaker_state("marriage") is State.CLOSED


async def test_a_row_that_raises_spoils_nobody_elses_and_is_no_outage(marriages: Marriages) -> None:
    path = marriages(ZHANG_MARRIED, LI_DIVORCED)
    source = source_of(path, statement=raising_for_li("sqlite"))
    await require_that_one_row_spoils_itself_only(source)


async def test_a_row_that_raises_on_a_server_spoils_nobody_elses_and_is_no_outage(
    server_source: Callable[..., Resilient], server_url: str
) -> None:
    statement = raising_for_li(make_url(server_url).get_backend_name())
    source = server_source(statement=statement)
    await require_that_one_row_spoils_itself_only(source)


def test_every_row_has_a_digest() -> None:
    strange = [time(10, tzinfo=UTC), 2**70, "\ud800", {1: 2}, b"x", Decimal("1.5"), float("nan")]
    digests = {sql.digest([{"x": value}]) for value in strange}
    assert len(digests) == len(strange)
    assert {len(one) for one in digests} == {32}


async def test_an_account_that_a_server_refuses_is_an_outage(
    server_source: Callable[..., Resilient], server_url: str, tmp_path: Path
) -> None:
    given = make_url(server_url)
    for wrong, why in (
        (given.set(username="nobody_here", password="wrong"), "the account is refused"),
        (given.set(database="not_there"), "there is no such database|the account is refused"),
    ):
        (tmp_path / "wrong").write_text(wrong.render_as_string(hide_password=False))
        stanza = {key: value for key, value in sql_stanza("").items() if key != "url"}
        source = connect("s", stanza | {"url_file": str(tmp_path / "wrong"), "resilience": {"retries": 0}}, now=now)
        opened.append(source)
        with capture_logs() as events:
            [evidence] = await source.check_many([claim()], question())
        assert evidence.outcome.cause is Cause.OUTAGE
        assert [bool(re.fullmatch(why, event["why"])) for event in events] == [True]


async def test_a_server_that_is_down_is_an_outage_and_says_nothing(discreet: list[str]) -> None:
    stanza = sql_stanza("postgresql+psycopg://nobody@127.0.0.1:1/gone")
    source = connect("civil-affairs", stanza, now=now)
    [evidence] = await source.check_many([claim(status="married")], question())
    assert evidence.outcome.cause is Cause.OUTAGE
    assert evidence.attempts == 3
    discreet.append((await source.probe()).detail)
    await source.aclose()


@pytest.mark.parametrize(
    ("number", "cause"),
    [
        *((one, Cause.OUTAGE) for one in (1015, 1030, 1045, 1114, 1135, 1184, 1194, 1195, 1290, 1835, 1836)),
        *((one, Cause.OUTAGE) for one in (2013, 3032, 3159, 3168, 3169, 4031)),
        *((one, Cause.TIMEOUT) for one in (1205, 3024)),
        *((one, Cause.OVERLOAD) for one in (1040, 1203)),
        *((one, Cause.GARBLED) for one in (1054, 1064, 1146, 1264, 1365)),
    ],
)
def test_what_mysql_says_of_itself_is_an_outage_and_what_it_says_of_the_question_is_none(
    number: int, cause: Cause
) -> None:
    assert failure("s", pymysql.err.OperationalError(number, "said")).cause is cause


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("SQLITE_READONLY_CANTLOCK", Cause.OUTAGE),
        ("SQLITE_READONLY_RECOVERY", Cause.OUTAGE),
        ("SQLITE_READONLY", Cause.GARBLED),
        ("SQLITE_BUSY_SNAPSHOT", Cause.TIMEOUT),
        ("SQLITE_CORRUPT", Cause.GARBLED),
    ],
)
def test_a_file_that_cannot_be_recovered_is_an_outage_and_a_statement_that_writes_is_none(
    name: str, cause: Cause
) -> None:
    error = sqlite3.OperationalError("attempt to write a readonly database")
    error.sqlite_errorname = name
    assert failure("s", error).cause is cause


async def test_no_exception_of_the_source_tells_whom_it_was_asked_about(
    marriages: Marriages, discreet: list[str]
) -> None:
    stanza = sql_stanza(
        f"sqlite:///{marriages(ZHANG_MARRIED)}", statement="SELECT nope FROM marriage WHERE id_number IN :keys"
    )
    source = sql.connect("s", {k: v for k, v in stanza.items() if k != "kind"}, now=now)
    with pytest.raises(SourceUnavailable) as raised:
        await source.check_many([claim(status="married")], question())
    discreet += [str(raised.value), repr(raised.value), str(raised.getrepr(style="short", showlocals=False))]
    await source.aclose()


async def test_a_row_that_a_lock_holds_back_is_no_absence(marriages: Marriages) -> None:
    path = marriages(ZHANG_MARRIED)
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    [evidence] = await source_of(path, resilience={"retries": 0}).check_many([claim()], question())
    require_no_conclusion([evidence])
    holder.execute("ROLLBACK")
    holder.close()
