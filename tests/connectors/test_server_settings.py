"""What a server or an account is set to changes no answer, and what closes idle connections is no outage."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, make_url
from sqlalchemy.pool import NullPool

from connectors.catalog import connect
from connectors.compare import Unreadable, agrees
from connectors.outcome import Kind
from connectors.resilience import Resilient
from tests.connectors.people import LI, ZHANG, claim, now, question, sql_stanza

MARIADB = pytest.mark.mariadb
POSTGRES = pytest.mark.postgres
TABLE = "CREATE TABLE marriage (id_number VARCHAR(18), name VARCHAR(80), status INT, since {} NULL)"


class Server:
    """A database with the table of marriages, and what an administrator may do to it."""

    def __init__(self, url: str, since: str, rows: int = 2) -> None:
        self.url = url
        self.engine: Engine = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        self.is_mariadb = self.engine.dialect.name != "postgresql"
        characters = " CHARACTER SET utf8mb4" if self.is_mariadb else ""
        self.run("DROP TABLE IF EXISTS marriage", TABLE.format(since) + characters)
        for subject in (ZHANG, LI)[:rows]:
            self.run(f"INSERT INTO marriage VALUES ('{subject.id_number}', '{subject.name}', 1, NULL)")

    def run(self, *statements: str) -> list[Any]:
        with self.engine.connect() as connection:
            done = [connection.exec_driver_sql(statement) for statement in statements]
            return list(done[-1].fetchall()) if done[-1].returns_rows else []

    @contextmanager
    def set(self, name: str, value: str) -> Iterator[None]:
        [(before,)] = self.run(f"SELECT @@GLOBAL.{name}")
        self.run(f"SET GLOBAL {name} = {value}")
        try:
            yield
        finally:
            self.run(f"SET GLOBAL {name} = {before if isinstance(before, int) else repr(before)}")

    def end_idle_sessions(self) -> int:
        """End all that do nothing, as a time limit or a firewall does."""
        if not self.is_mariadb:
            found = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
            return len(self.run(f"{found} AND pid <> pg_backend_pid()"))
        own = "SELECT id FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()"
        return len([self.run(f"KILL {number}") for (number,) in self.run(own)])


@pytest.fixture
def mariadb(mariadb_url: str) -> Callable[..., Server]:
    return lambda since="DATE", rows=2: Server(mariadb_url, since, rows)


@pytest.fixture
def postgres(postgres_url: str) -> Callable[..., Server]:
    return lambda since="DATE", rows=2: Server(postgres_url, since, rows)


def source_of(server: Server, folder: Path, **more: object) -> Resilient:
    (folder / "url").write_text(make_url(server.url).render_as_string(hide_password=False))
    stanza: dict[str, Any] = sql_stanza(
        "",
        **{
            "statement": "SELECT id_number, name, status, since FROM marriage WHERE id_number IN :keys",
            "columns": {"status": "status", "since": "since"},
            "inactive": None,
            "coverage": "complete",
            "resilience": {"retries": 0},
            **more,
        },
    )
    [fact] = stanza["facts"].values()
    del fact["inactive"], stanza["url"]
    return connect("civil-affairs", {**stanza, "url_file": str(folder / "url")}, now=now)


async def kinds(source: Resilient, *asked: Any) -> list[Kind]:
    return [evidence.outcome.kind for evidence in await source.check_many(asked, question())]


@MARIADB
async def test_a_limit_of_rows_that_a_server_is_set_to_cuts_nobody_off(
    mariadb: Callable[..., Server], tmp_path: Path
) -> None:
    server = mariadb()
    with server.set("sql_select_limit", "1"):
        source = source_of(server, tmp_path)
        assert await kinds(source, claim(ZHANG, status="married"), claim(LI, status="married")) == [Kind.MATCH] * 2
        await source.aclose()


@MARIADB
async def test_what_another_session_has_not_committed_is_not_seen(
    mariadb: Callable[..., Server], tmp_path: Path
) -> None:
    server = mariadb()
    with server.set("tx_isolation", "'READ-UNCOMMITTED'"):
        source = source_of(server, tmp_path)
        with create_engine(server.url, poolclass=NullPool).connect() as writing:
            writing.exec_driver_sql("UPDATE marriage SET status = 2")
            assert await kinds(source, claim(status="married")) == [Kind.MATCH]
            writing.rollback()
        await source.aclose()


@MARIADB
@pytest.mark.parametrize("zone", ["+00:00", "+08:00", "-05:00"])
@pytest.mark.parametrize(("declared", "day"), [({}, date(2010, 5, 1)), ({"timezone": "UTC"}, date(2010, 4, 30))])
async def test_a_moment_is_of_the_day_in_the_zone_of_the_stanza_whatever_the_servers(
    mariadb: Callable[..., Server], tmp_path: Path, zone: str, declared: dict[str, object], day: date
) -> None:
    server = mariadb("TIMESTAMP")
    server.run("SET time_zone = '+08:00'", "UPDATE marriage SET since = '2010-05-01 00:00:00'")
    with server.set("time_zone", f"'{zone}'"):
        source = source_of(server, tmp_path, **declared)
        assert await kinds(source, claim(since=day)) == [Kind.MATCH]
        await source.aclose()


@MARIADB
async def test_a_day_without_a_zone_stays_that_day(mariadb: Callable[..., Server], tmp_path: Path) -> None:
    server = mariadb("DATETIME")
    server.run("UPDATE marriage SET since = '2010-05-01 00:00:00'")
    for zone in ("+00:00", "+08:00"):
        with server.set("time_zone", f"'{zone}'"):
            source = source_of(server, tmp_path)
            assert await kinds(source, claim(since=date(2010, 5, 1))) == [Kind.MATCH]
            await source.aclose()


@MARIADB
async def test_a_zone_that_the_server_does_not_know_is_told_unless_its_offset_never_changes(
    mariadb: Callable[..., Server], tmp_path: Path
) -> None:
    server = mariadb("TIMESTAMP")
    [(knows,)] = server.run("SELECT CONVERT_TZ('2020-07-01', 'America/New_York', 'UTC') IS NOT NULL")
    source = source_of(server, tmp_path, timezone="America/New_York")
    assert await kinds(source, claim(status="married")) == [Kind.MATCH if knows else Kind.UNAVAILABLE]
    await source.aclose()


@pytest.mark.parametrize("kind", [pytest.param("mariadb", marks=MARIADB), pytest.param("postgres", marks=POSTGRES)])
async def test_idle_connections_that_were_closed_are_no_outage(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str
) -> None:
    server = request.getfixturevalue(kind)()
    source = source_of(server, tmp_path, asked_once=True, threads=2)
    for _ in range(3):
        both = await asyncio.gather(*(kinds(source, claim(one, status="married")) for one in (ZHANG, LI)))
        assert both == [[Kind.MATCH]] * 2
        assert server.end_idle_sessions() > 0
        await asyncio.sleep(0.1)
    await source.aclose()


@POSTGRES
async def test_a_register_whose_keys_are_numbers_can_be_probed(postgres: Callable[..., Server], tmp_path: Path) -> None:
    server = postgres(rows=1)
    server.run("ALTER TABLE marriage ALTER COLUMN id_number TYPE bigint USING id_number::bigint")
    source = source_of(server, tmp_path)
    assert (await source.probe()).ok
    assert await kinds(source, claim(status="married")) == [Kind.MATCH]
    server.run("DROP TABLE marriage")
    assert not (await source.probe()).ok
    await source.aclose()


# --- values that were damaged on their way ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "held"),
    [
        ("0012345678", 12345678),
        ("007", 7),
        ("0012345678", "12345678"),
        ("6222020000012345", "6.22202E+15"),
        ("省市区街号" * 200 + "甲1", "?省?市?区?街?号?1"),
        ("㐂旺路1号", "?旺路1号"),
        ("张三路1号", "??路1号"),
        ("𠮷路1号", "????路1号"),
        ("示例路1号", '["示例路1号"]'),
        ("示例路1号", '"示例路1号"'),
        ("示例路1号", '{"address": "示例路1号"}'),
    ],
)
def test_what_may_be_the_same_but_for_its_damage_contradicts_nobody(said: str, held: object) -> None:
    with pytest.raises(Unreadable) as refused:
        agrees(said, held)
    assert said not in str(refused.value)


@pytest.mark.parametrize(
    ("said", "held"),
    [
        ("12345678", 12345679),
        ("省市区街号" * 200 + "甲1", "?省?市?区?街?号?2"),
        ("路" * 4000, "?路" * 8 + "号"),
        ("abc", "a?c"),
        ("㐂旺路1号", "?旺路2号"),
        ("路1号", "?路1号"),
        ("示例路1号", "[示例路1号]"),
        ("示例路1号", "另一路1号"),
        ('["a"]', '["b"]'),
    ],
)
def test_what_differs_otherwise_contradicts(said: str, held: object) -> None:
    assert agrees(said, held) is False


@pytest.mark.parametrize(("said", "held"), [("为何?", "为何?"), ('["a"]', '["a"]'), ("12", 12), ("0", 0)])
def test_what_agrees_agrees(said: str, held: object) -> None:
    assert agrees(said, held) is True
