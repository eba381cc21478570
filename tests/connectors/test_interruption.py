"""A question that is given up frees its thread: on real databases, in the middle of a statement."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url, text
from sqlalchemy.exc import OperationalError

from connectors.catalog import connect
from connectors.compare import CHINA
from connectors.conformance.proxy import Proxy, Trouble
from connectors.conformance.registers import MARIADB, POSTGRESQL, ServerRegister, SqliteRegister, opened
from connectors.conformance.scene import Clock, asking, married, sql_stanza
from connectors.outcome import Kind
from connectors.resilience import Resilient
from connectors.transports.database import open_engine
from connectors.transports.interruption import Endings, Interrupted, Use

_NUMBERS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000000000)"
ENDLESS = f"{_NUMBERS} SELECT m.* FROM marriage m, (SELECT max(i) FROM n) x WHERE id_number IN :keys"
HOUR = "3600s"


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as found:
        yield found


def source_of(url: str, folder: Path, statement: str = "") -> Resilient:
    (folder / "url").write_text(url)
    patient = {"timeout": HOUR, "retries": 0}
    stanza = sql_stanza({"url_file": str(folder / "url")}, statement, threads=1, statement_timeout=HOUR)
    return connect("s", {**stanza, "resilience": patient}, now=Clock(), random=lambda: 0.0)


async def given_up(source: Resilient, waits: Callable[[], Any]) -> None:
    """Ask, wait until the statement waits, and cancel."""
    asked = asyncio.create_task(source.check_many([married()], asking(3000)))
    while not await asyncio.to_thread(waits):
        await asyncio.sleep(0.01)
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)


async def test_an_endless_statement_on_sqlite_is_interrupted(tmp_path: Path) -> None:
    register = SqliteRegister(tmp_path)
    source = source_of(register.url(), tmp_path, ENDLESS)
    inner: Any = source._connector
    await given_up(source, lambda: inner._uses)
    # The one thread is free again only if the statement ended: closing waits for it.
    await asyncio.wait_for(source.aclose(), 30)


def test_a_statement_that_is_given_up_before_it_starts_does_not_run_on_sqlite(tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "register").close()
    url = make_url(f"sqlite:///{tmp_path / 'register'}")
    engine = open_engine(url, timeout=timedelta(hours=1), connections=1, zone=CHINA)
    use = Use()
    with Endings(engine).connected(use) as connection:
        use.interrupt()
        with pytest.raises(OperationalError, match="interrupted"):
            connection.execute(text(f"{_NUMBERS} SELECT max(i) FROM n"))


@pytest.mark.parametrize(
    "name", [pytest.param("postgres", marks=pytest.mark.postgres), pytest.param("mariadb", marks=pytest.mark.mariadb)]
)
async def test_a_statement_that_waits_on_a_server_gives_its_only_thread_back(
    name: str, tmp_path: Path, stack: AsyncExitStack, request: pytest.FixtureRequest
) -> None:
    server = request.getfixturevalue("postgres_server" if name == "postgres" else "mariadb_url")
    url = server if isinstance(server, str) else server.render_as_string(hide_password=False)
    words = POSTGRESQL if name == "postgres" else MARIADB
    register = await stack.enter_async_context(opened(lambda: ServerRegister(url, words=words)))
    source = source_of(register.url(), tmp_path)
    stack.push_async_callback(source.aclose)
    unlock = await asyncio.to_thread(register.lock)
    try:
        await given_up(source, register.waiting)
    finally:
        await asyncio.to_thread(unlock)
    [found] = await asyncio.wait_for(source.check_many([married()], asking(3000)), 60)
    assert found.outcome.kind is Kind.MATCH


@pytest.mark.parametrize(
    "name", [pytest.param("postgres", marks=pytest.mark.postgres), pytest.param("mariadb", marks=pytest.mark.mariadb)]
)
async def test_a_connection_that_went_silent_gives_its_only_thread_back(
    name: str, tmp_path: Path, stack: AsyncExitStack, request: pytest.FixtureRequest
) -> None:
    server = request.getfixturevalue("postgres_server" if name == "postgres" else "mariadb_url")
    url = server if isinstance(server, str) else server.render_as_string(hide_password=False)
    words = POSTGRESQL if name == "postgres" else MARIADB
    register = await stack.enter_async_context(opened(lambda: ServerRegister(url, words=words)))
    proxy = await stack.enter_async_context(Proxy(register.reach))
    source = source_of(register.url(proxy.port), tmp_path)
    stack.push_async_callback(source.aclose)
    [warm] = await source.check_many([married()], asking())
    assert warm.outcome.kind is Kind.MATCH
    proxy.trouble = Trouble.BLACK_HOLE
    inner: Any = source._connector
    await given_up(source, lambda: any(use._end for use in inner._uses))
    proxy.trouble = Trouble.NONE
    [found] = await asyncio.wait_for(source.check_many([married()], asking(3000)), 60)
    assert found.outcome.kind is Kind.MATCH


def test_an_interrupted_use_starts_nothing_more_and_a_finished_one_ends_nothing() -> None:
    ended: list[str] = []
    use = Use()
    use.hold(lambda: ended.append("first"))
    use.release()
    use.interrupt()
    assert ended == []
    with pytest.raises(Interrupted):
        use.hold(lambda: ended.append("second"))
    other = Use()
    other.hold(lambda: ended.append("third"))
    thread = threading.Thread(target=other.interrupt)
    thread.start()
    thread.join()
    assert (ended, other.is_interrupted) == (["third"], True)


async def test_a_file_renamed_into_the_place_of_another_is_the_one_that_answers(tmp_path: Path) -> None:
    register = SqliteRegister(tmp_path)
    source = source_of(register.url(), tmp_path)
    [before] = await source.check_many([married()], asking())
    (tmp_path / "new").mkdir()
    other = SqliteRegister(tmp_path / "new")
    other.fill([(married().subject.id_number, married().subject.name, "2")])
    other.path.rename(register.path)
    [after] = await source.check_many([married()], asking())
    await source.aclose()
    assert [before.outcome.kind, after.outcome.kind] == [Kind.MATCH, Kind.MISMATCH]
