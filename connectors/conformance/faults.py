"""What a fault is, and what is seen when one befalls a source: the data behind `connectors/FAULTS.md`.

A fault makes a world (real servers and files) in which a source goes wrong; whoever has further questions about it,
such as what a gateway makes of the source, opens the same world and asks for itself.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from structlog.testing import capture_logs

from connectors.breaker import State
from connectors.catalog import connect
from connectors.conformance.expectations import require_discretion
from connectors.conformance.scene import FACT, PERSONAL, Clock, asking, married
from connectors.connector import Claim
from connectors.outcome import Cause, Evidence
from connectors.resilience import Resilient
from connectors.telemetry import Counts

SOURCE = "civil-affairs"
_RESTED = timedelta(seconds=31)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Where faults are played: an empty folder of their own, and servers where there are any (SQLAlchemy URLs)."""

    folder: Path
    postgres_url: str | None = None
    mariadb_url: str | None = None

    def has(self, needs: frozenset[str]) -> bool:
        """Say whether every server needed (`postgres`, `mariadb`) is there."""
        there = {"postgres": self.postgres_url, "mariadb": self.mariadb_url}
        return all(there[need] is not None for need in needs)


async def _nothing() -> None:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """A source's stanza, and how the fault begins and ends. `is_warm`: the source was asked once before it begins."""

    stanza: Mapping[str, object]
    begin: Callable[[], Awaitable[None]] = _nothing
    end: Callable[[], Awaitable[None]] | None = None
    """None: it does not end by itself, or never began."""
    claim: Claim = field(default_factory=married)
    is_warm: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What was seen of one fault, in words; no cell is empty."""

    outcome: str
    attempts: str
    over: str
    breaker: str
    metrics: str
    log: str


@dataclass(slots=True, kw_only=True)
class Trial:
    """A source under a fault, with everything that tells of it."""

    source: Resilient
    clock: Clock
    counts: Counts
    events: list[Mapping[str, object]]
    texts: list[str]

    async def ask(self, claim: Claim) -> Evidence:
        """Ask about one claim."""
        [evidence] = await self.source.check_many([claim], asking())
        self.texts.append(repr(evidence))
        return evidence

    async def ask_in_time(self, claim: Claim) -> Evidence:
        """Ask a source that is well, and again if it is only this machine that has no time for it."""
        found = await self.ask(claim)
        for _ in range(20):
            if found.outcome.cause is not Cause.TIMEOUT:
                break
            self.clock.move(_RESTED)
            found = await self.ask(claim)
        return found

    async def until_busy(self) -> None:
        """Give the loop turns until a call to the source is under way."""
        while not self.source.is_busy:  # noqa: ASYNC110 (a turn of the loop, not time)
            await asyncio.sleep(0)

    def log(self) -> str:
        """Tell the different events logged so far, with what they say."""
        told = [
            f"{event['event']} ({', '.join(f'{key}={event[key]}' for key in _TOLD if key in event)})"
            for event in self.events
        ]
        return "; ".join(dict.fromkeys(told)) or "nothing"

    def metrics(self) -> str:
        """Tell what was counted so far."""
        counted = sorted((names, number) for names, number in self.counts.counts.items())
        return "; ".join(f"{names[0]} {names[-1] if len(names) > 3 else ''}×{n}" for names, n in counted) or "nothing"

    def breaker(self) -> str:
        """Tell the state of the breaker now; an open one with the cause that opened it."""
        state, intervals = self.source.breaker_state(FACT), self.source.outages(FACT)
        return state.value if state is State.CLOSED else f"{state.value}({intervals[-1].cause.value})"


_TOLD = ("cause", "error", "problem", "rule")
Play = Callable[[World, Trial], Awaitable[Seen]]


async def befall(world: World, trial: Trial) -> Seen:
    """Ask once under the fault, ask again for the breaker, end the fault and ask a third time."""
    if world.is_warm:
        await trial.ask_in_time(world.claim)
        trial.counts.counts.clear()
        trial.events.clear()
    await world.begin()
    first = await trial.ask(world.claim)
    metrics, log, states = trial.metrics(), trial.log(), [trial.breaker()]
    await trial.ask(world.claim)
    states.append(trial.breaker())
    trial.texts.append((await trial.source.probe()).detail)
    over = "(it does not end by itself)"
    if world.end is not None:
        await world.end()
        trial.clock.move(_RESTED)
        over = said(await trial.ask_in_time(world.claim))
        states.append(trial.breaker())
    return Seen(
        outcome=said(first),
        attempts=str(first.attempts),
        over=over,
        breaker=", ".join(states),
        metrics=metrics,
        log=log,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One way of going wrong: its name, the kind of source, how it is provoked, and what plays it."""

    name: str
    kind: str
    provoked: str
    world: Callable[[Stage], AbstractAsyncContextManager[World]]
    play: Play = befall
    needs: frozenset[str] = frozenset()

    @property
    def id(self) -> str:
        """What tells it from all others."""
        return f"{self.kind}: {self.name}"


async def observe(fault: Fault, stage: Stage) -> Seen:
    """Play a fault on a stage.

    Raises:
        NonConforming: personal data came into a log, an exception, a metric or a report of health.
    """
    clock, counts = Clock(), Counts()
    async with fault.world(stage) as world:
        with listening() as (events, texts):
            source = connect(SOURCE, world.stanza, now=clock, random=lambda: 0.0, telemetry=counts)
            trial = Trial(source=source, clock=clock, counts=counts, events=events, texts=texts)
            try:
                seen = await fault.play(world, trial)
            finally:
                await source.aclose()
        require_discretion([*texts, *map(str, events), str(counts.counts), repr(seen)], PERSONAL)
    return seen


@contextmanager
def listening() -> Iterator[tuple[list[Mapping[str, object]], list[str]]]:
    """Take down what is logged: through structlog, and by any library at any level."""
    texts: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            texts.append(f"{record.getMessage()} {record.exc_info}")

    root, listener = logging.getLogger(), Listener()
    level = root.level
    root.addHandler(listener)
    root.setLevel(logging.DEBUG)
    try:
        with capture_logs() as events:
            yield events, texts  # type: ignore[misc]
    finally:
        root.removeHandler(listener)
        root.setLevel(level)


def said(evidence: Evidence) -> str:
    """Write an outcome down, with the time to come back counted from when it was said."""
    outcome = evidence.outcome
    detail = outcome.cause.value if outcome.cause else outcome.rule or outcome.attribute
    until = f", back in {int((outcome.until - evidence.answered_at).total_seconds())} s" if outcome.until else ""
    return f"{outcome.kind.value}({detail}{until})" if detail else outcome.kind.value
