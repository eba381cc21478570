"""What callers and calendars do to a source: too many at once, too late, in an announced window, beside a dead one."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from connectors.conformance.faults import Fault, Seen, Stage, Trial, World, said
from connectors.conformance.registers import SqliteRegister, opened
from connectors.conformance.scene import RESILIENCE, ROWS, ZHANG, asking, http_answer, http_stanza, married, sql_stanza
from connectors.conformance.server import FaultServer, Misbehaviour
from connectors.connector import Subject

_MANY = 1000


def _somebody(number: int) -> Subject:
    return Subject(id_type="resident-id", id_number=f"23010319800101{number:04d}", name="示例甲")


@asynccontextmanager
async def _service(_stage: Stage) -> AsyncIterator[World]:
    async with FaultServer(http_answer(), person=(ZHANG.id_number, ZHANG.name)) as server:
        yield World(stanza=http_stanza(server.url, answer_timeout="30s"))


@asynccontextmanager
async def _table(stage: Stage) -> AsyncIterator[World]:
    async with opened(lambda: SqliteRegister(stage.folder)) as register:
        register.fill([*ROWS, *((one.id_number, one.name, "1") for one in map(_somebody, range(_MANY)))])
        yield World(stanza=sql_stanza({"url": register.url()}, statement_timeout="30s"))


@asynccontextmanager
async def _window(_stage: Stage) -> AsyncIterator[World]:
    async with FaultServer(http_answer(), person=(ZHANG.id_number, ZHANG.name)) as server:
        closed = {"start": "09:00", "end": "11:00"}  # the scene begins at 10:00 in Harbin
        yield World(stanza=http_stanza(server.url, resilience={**RESILIENCE, "windows": [closed]}))


@asynccontextmanager
async def _silent(_stage: Stage) -> AsyncIterator[World]:
    async with FaultServer(http_answer(), person=(ZHANG.id_number, ZHANG.name)) as server:

        async def begin() -> None:
            server.misbehave(Misbehaviour.SILENT)

        async def end() -> None:
            server.misbehave(None)

        stanza = http_stanza(server.url, answer_timeout="10s")
        yield World(stanza=stanza, begin=begin, end=end)


async def _at_once(world: World, trial: Trial) -> Seen:
    """Ask a thousand questions in one turn of the loop."""
    found = await asyncio.gather(
        *(trial.source.check_many([married()], asking(case=f"办-{number}")) for number in range(_MANY))
        if world.stanza["kind"] == "http"
        else (trial.source.check_many([married(_somebody(number))], asking()) for number in range(_MANY))
    )
    counted = Counter(said(one[0]) for one in found)
    return Seen(
        outcome=", ".join(f"{number} × {outcome}" for outcome, number in sorted(counted.items())),
        attempts="; ".join(sorted({str(one[0].attempts) for one in found})),
        over=said(await trial.ask_in_time(married())),
        breaker=trial.breaker(),
        metrics=trial.metrics(),
        log=trial.log(),
    )


async def _too_late(world: World, trial: Trial) -> Seen:
    """Ask when the time to answer is over already."""
    [late] = await trial.source.check_many([married()], asking(-1))
    metrics, log = trial.metrics(), trial.log()
    return Seen(
        outcome=said(late),
        attempts=str(late.attempts),
        over=said(await trial.ask_in_time(married())),
        breaker=trial.breaker(),
        metrics=metrics,
        log=log,
    )


async def _hasty(world: World, trial: Trial) -> Seen:
    """Wait for too short a time to say anything of the source."""
    await world.begin()
    [hasty] = await trial.source.check_many([married()], asking(0.05))
    assert world.end is not None
    await world.end()
    return Seen(
        outcome=said(hasty),
        attempts=str(hasty.attempts),
        over=said(await trial.ask_in_time(married())),
        breaker=trial.breaker(),
        metrics=trial.metrics(),
        log=trial.log(),
    )


async def _gone(world: World, trial: Trial) -> Seen:
    """Cancel the only caller while the service is silent."""
    await world.begin()
    asked = asyncio.create_task(trial.source.check_many([married()], asking()))
    await trial.until_busy()
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)
    assert world.end is not None
    await world.end()
    return Seen(
        outcome="nobody is told",
        attempts="1",
        over=said(await trial.ask_in_time(married())),
        breaker=trial.breaker(),
        metrics=trial.metrics(),
        log=trial.log(),
    )


FAULTS = (
    Fault(
        name="a thousand questions at once",
        kind="http",
        provoked="a thousand cases ask in one turn of the loop",
        world=_service,
        play=_at_once,
    ),
    Fault(
        name="a thousand questions at once",
        kind="sql, SQLite",
        provoked="a thousand people asked about in one turn of the loop",
        world=_table,
        play=_at_once,
    ),
    Fault(name="the deadline is past", kind="http", provoked="a deadline a second ago", world=_service, play=_too_late),
    Fault(
        name="a hasty caller",
        kind="http",
        provoked="a deadline of 50 ms before a silent service",
        world=_silent,
        play=_hasty,
    ),
    Fault(
        name="the caller goes away",
        kind="http",
        provoked="the question cancelled while the service is silent",
        world=_silent,
        play=_gone,
    ),
    Fault(name="an announced window", kind="http", provoked="asked at 10:00, closed 09:00-11:00", world=_window),
)
