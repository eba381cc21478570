"""The faults of a register in a database: on SQLite, and on PostgreSQL and MariaDB where servers are there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from connectors.conformance.faults import Fault, Seen, Stage, Trial, World, befall, said
from connectors.conformance.http_faults import free_port
from connectors.conformance.proxy import Trouble
from connectors.conformance.registers import (
    MARIADB,
    POSTGRESQL,
    ServerRegister,
    SqliteRegister,
    behind_proxy,
    opened,
)
from connectors.conformance.scene import HASTY, LI, ROWS, ZHANG, asking, divorced, married, sql_stanza

Make = Callable[[Stage], Any]
WorldOf = Callable[[Stage], AbstractAsyncContextManager[World]]
_SILENT = (Trouble.SILENT, Trouble.DRIP, Trouble.BLACK_HOLE)
_LOOK_AGAIN = 0.02  # seconds between looks at what another session does; it can only be polled


def _url(stage: Stage, url: str) -> dict[str, object]:
    """Put a URL, which may hold a password, into a file."""
    path = stage.folder / "url"
    path.write_text(url, encoding="utf-8")
    return {"url_file": str(path)}


def _with_rows(make: Make, rows: tuple[tuple[str, str, str], ...], statement: str = "") -> WorldOf:
    """Let the register hold other rows for a while, or be asked by another statement for good."""

    @asynccontextmanager
    async def world(stage: Stage) -> AsyncIterator[World]:
        async with opened(partial(make, stage)) as register:
            yield World(
                stanza=sql_stanza(_url(stage, register.url()), statement),
                begin=lambda: asyncio.to_thread(register.fill, rows),
                end=None if statement else lambda: asyncio.to_thread(register.fill, ROWS),
            )

    return world


def _done(make: Make, what: str) -> WorldOf:
    """Do something to the register (a method's name) that filling it anew undoes."""

    @asynccontextmanager
    async def world(stage: Stage) -> AsyncIterator[World]:
        async with opened(partial(make, stage)) as register:
            yield World(
                stanza=sql_stanza(_url(stage, register.url())),
                begin=lambda: asyncio.to_thread(getattr(register, what)),
                end=lambda: asyncio.to_thread(register.fill, ROWS),
            )

    return world


def _locked(make: Make, beside: Callable[[Any], Awaitable[None]] | None = None) -> WorldOf:
    """Lock the table against readers; `beside` goes on doing something to those who wait."""

    @asynccontextmanager
    async def world(stage: Stage) -> AsyncIterator[World]:
        async with opened(partial(make, stage)) as register:
            unlocks: list[Callable[[], None]] = []
            tasks: list[asyncio.Task[None]] = []

            async def begin() -> None:
                unlocks.append(await asyncio.to_thread(register.lock))
                if beside is not None:
                    tasks.append(asyncio.ensure_future(beside(register)))

            async def end() -> None:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                while unlocks:
                    await asyncio.to_thread(unlocks.pop())

            patience = "300ms" if beside is None else "20s"
            try:
                stanza = sql_stanza(_url(stage, register.url()), statement_timeout=patience)
                yield World(stanza=stanza, begin=begin, end=end, is_warm=True)
            finally:
                await end()

    return world


async def _kill_forever(register: Any) -> None:
    while True:
        await asyncio.to_thread(register.kill_waiting)
        await asyncio.sleep(_LOOK_AGAIN)


def _troubled(make: Make, trouble: Trouble, *, is_warm: bool) -> WorldOf:
    """Put a proxy before the server, which then goes wrong."""

    @asynccontextmanager
    async def world(stage: Stage) -> AsyncIterator[World]:
        async with opened(partial(make, stage)) as register, behind_proxy(register) as proxy:

            async def begin() -> None:
                proxy.trouble = trouble

            async def end() -> None:
                proxy.trouble = Trouble.NONE

            hasty: dict[str, Any] = {"resilience": dict(HASTY), "statement_timeout": "2s"} if trouble in _SILENT else {}
            stanza = sql_stanza(_url(stage, register.url(proxy.port)), **hasty)
            yield World(stanza=stanza, begin=begin, end=end, is_warm=is_warm)

    return world


def _down(make: Make) -> WorldOf:
    @asynccontextmanager
    async def world(stage: Stage) -> AsyncIterator[World]:
        async with opened(partial(make, stage)) as register:
            yield World(stanza=sql_stanza(_url(stage, register.url(free_port()))))

    return world


def _full(make: Make) -> WorldOf:
    @asynccontextmanager
    async def world(stage: Stage) -> AsyncIterator[World]:
        async with opened(partial(make, stage)) as register:
            url, give_up = await asyncio.to_thread(register.one_seat)
            held = [give_up]

            async def end() -> None:
                while held:
                    await asyncio.to_thread(held.pop())

            try:
                yield World(stanza=sql_stanza(_url(stage, url), threads=1), end=end)
            finally:
                await end()

    return world


async def _beside_another(world: World, trial: Trial) -> Seen:
    """Ask about somebody whose record is well, in one batch with somebody whose record is not."""
    await world.begin()
    both = await trial.source.check_many([married(ZHANG), divorced(LI)], asking())
    metrics, log = trial.metrics(), trial.log()
    assert world.end is not None
    await world.end()
    over = await trial.source.check_many([married(ZHANG), divorced(LI)], asking())
    return Seen(
        outcome=" beside ".join(map(said, both)),
        attempts=" and ".join(str(one.attempts) for one in both),
        over=" beside ".join(map(said, over)),
        breaker=trial.breaker(),
        metrics=metrics,
        log=log,
    )


async def _caller_gone(world: World, trial: Trial) -> Seen:
    """Cancel the only caller while the statement waits, and see that its thread serves the next one."""
    await trial.ask(married())
    trial.counts.counts.clear()
    await world.begin()
    asking_now = asyncio.create_task(trial.source.check_many([married()], asking()))
    await trial.until_busy()
    await asyncio.sleep(_LOOK_AGAIN)
    asking_now.cancel()
    await asyncio.gather(asking_now, return_exceptions=True)
    assert world.end is not None
    await world.end()
    after = await trial.ask(married())
    return Seen(
        outcome="nobody is told",
        attempts="1",
        over=said(after),
        breaker=trial.breaker(),
        metrics=trial.metrics(),
        log=trial.log(),
    )


_ANOTHER = "SELECT id_number, name, status FROM marriage WHERE id_number IN :keys OR NOT id_number IN :keys"
_NO_COLUMN = "SELECT id_number, name FROM marriage WHERE id_number IN :keys"


def _of_any(kind: str, make: Make, needs: frozenset[str]) -> tuple[Fault, ...]:
    twice = (*ROWS, ROWS[0])
    told = (
        ("its table is gone", "DROP TABLE", _done(make, "drop")),
        ("a column is missing", "a statement without it", _with_rows(make, ROWS, _NO_COLUMN)),
        ("GBK text", "the name in GBK where Unicode was agreed", _done(make, "spoil")),
        (
            "another person's record",
            "a statement that also gives somebody else's row",
            _with_rows(make, ROWS, _ANOTHER),
        ),
        ("two records", "the person's row twice", _with_rows(make, twice)),
        ("a code nobody declared", "status 9", _with_rows(make, ((ROWS[0][0], ROWS[0][1], "9"), ROWS[1]))),
        ("slow", "the table locked by another session", _locked(make)),
    )
    faults = tuple(Fault(name=a, kind=kind, provoked=b, world=c, needs=needs) for a, b, c in told)
    return (
        *faults,
        Fault(
            name="an unreadable record in one batch with a good one",
            kind=kind,
            provoked="Zhang's name in GBK; Zhang and Li asked about at once",
            world=_done(make, "spoil"),
            play=_beside_another,
            needs=needs,
        ),
        Fault(
            name="the caller goes away",
            kind=kind,
            provoked="the question cancelled while the statement waits for a lock",
            world=_locked(make),
            play=_caller_gone,
            needs=needs,
        ),
    )


def _of_servers(kind: str, make: Make, needs: frozenset[str]) -> tuple[Fault, ...]:
    told = (
        ("is down", "a port on which nobody listens", _down(make)),
        ("refuses connections", Trouble.REFUSE.value, _troubled(make, Trouble.REFUSE, is_warm=False)),
        ("accepts, never answers", Trouble.SILENT.value, _troubled(make, Trouble.SILENT, is_warm=False)),
        ("answers one byte a second", Trouble.DRIP.value, _troubled(make, Trouble.DRIP, is_warm=True)),
        ("dies between the statement and the row", Trouble.CUT.value, _troubled(make, Trouble.CUT, is_warm=True)),
        ("dies in the middle of the row", Trouble.HALF.value, _troubled(make, Trouble.HALF, is_warm=True)),
        ("an open connection goes silent", Trouble.BLACK_HOLE.value, _troubled(make, Trouble.BLACK_HOLE, is_warm=True)),
        ("flaps", Trouble.FLAPPING.value, _troubled(make, Trouble.FLAPPING, is_warm=False)),
        ("full", "a user who may connect once, and is connected", _full(make)),
        (
            "its session is killed in mid-statement",
            "the administrator ends the session while the statement waits for a lock",
            _locked(make, _kill_forever),
        ),
    )
    return tuple(Fault(name=a, kind=kind, provoked=b, world=c, needs=needs, play=befall) for a, b, c in told)


def _postgres(stage: Stage) -> ServerRegister:
    assert stage.postgres_url is not None
    return ServerRegister(stage.postgres_url, words=POSTGRESQL)


def _mariadb(stage: Stage) -> ServerRegister:
    assert stage.mariadb_url is not None
    return ServerRegister(stage.mariadb_url, words=MARIADB)


def _sqlite(stage: Stage) -> SqliteRegister:
    return SqliteRegister(stage.folder)


def _file(content: bytes | None) -> WorldOf:
    """Let a file of other content be where the database is declared to be, or none."""

    @asynccontextmanager
    async def world(stage: Stage) -> AsyncIterator[World]:
        path: Path = stage.folder / "other.db"
        if content is not None:
            await asyncio.to_thread(path.write_bytes, content)
        yield World(stanza=sql_stanza({"url": f"sqlite:///{path}"}))

    return world


FAULTS = (
    Fault(name="is down", kind="sql, SQLite", provoked="no file", world=_file(None)),
    Fault(
        name="an HTML login page", kind="sql, SQLite", provoked="a web page for a file", world=_file(b"<html>" * 300)
    ),
    *_of_any("sql, SQLite", _sqlite, frozenset()),
    *_of_any("sql, PostgreSQL", _postgres, frozenset({"postgres"})),
    *_of_servers("sql, PostgreSQL", _postgres, frozenset({"postgres"})),
    *_of_any("sql, MariaDB", _mariadb, frozenset({"mariadb"})),
    *_of_servers("sql, MariaDB", _mariadb, frozenset({"mariadb"})),
)
