"""Ask through a whole gateway, over mutual TLS, while a source goes wrong: the faults of `connectors.conformance`."""

from __future__ import annotations

import asyncio
import copy
import re
import shutil
import tempfile
import tomllib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from connectors.conformance.expectations import require_discretion
from connectors.conformance.faults import SOURCE, Fault, Stage, World, befall, listening
from connectors.conformance.http_faults import free_port
from connectors.conformance.proxy import Proxy, Streams
from connectors.conformance.scene import FACT, LI, PERSONAL, ZHANG, Clock
from connectors.connector import Subject
from gateway.client import GatewayClient, Person, Question, Retries, new_request_id
from gateway.config import Settings, read_settings
from gateway.founding import House, found
from tests.faults.seen import ENDLESS, NOBODY, Log, Meter, Told, is_hasty, joined, told, told_in_batch
from tests.gateway.verification.village import case, serving

_RESTED = timedelta(seconds=31)
_MANY = 1000
ROOM = 80
"""Calls to one source that find room by default: `concurrency` under way, and `queue` waiting."""
_ONCE = Retries(most=0)
_PLENTY = 60.0
"""Seconds that a question may take on a busy machine; no row is about this deadline."""


@contextmanager
def founded() -> Iterator[House]:
    """Found one house, from which each fault gets a copy: making keys takes longer than most faults."""
    with tempfile.TemporaryDirectory() as folder:
        yield found(Path(folder) / "var", now=datetime.now(UTC), sources="[sources]\n", listen="127.0.0.1:0")


def copied(house: House, to: Path) -> House:
    """Copy a founded house."""
    return House(home=Path(shutil.copytree(house.home, to)))


def tuned(house: House, sources: Mapping[str, object], metrics: str, **ledger: object) -> Settings:
    """Read a house's settings with other sources, its metrics at an address, and changes to its ledger."""
    table: dict[str, Any] = tomllib.loads(house.config.read_text("utf-8"))
    table["sources"] = sources
    table["metrics"]["listen"] = metrics
    table["server"]["deadline_cap"] = f"{_PLENTY:.0f}s"
    table["ledger"] |= ledger
    return read_settings(table, home=house.home.resolve(), where=str(house.config))


def marital(subject: Subject = ZHANG, status: str = "MARRIED", *, number: str = "办2026-0001") -> Question:
    """Ask whether somebody of the conformance kit's register is married."""
    return Question(
        case=case(number),
        item="marital-status",
        subject=Person(id_number=subject.id_number, name=subject.name),
        parameters={"status": status},
        request_id=new_request_id(),
    )


@dataclass(slots=True, kw_only=True)
class Scene:
    """A gateway before a source that goes wrong."""

    client: GatewayClient
    world: World
    clock: Clock
    meter: Meter
    log: Log

    async def ask(self, question: Question | None = None, *, within: float = _PLENTY) -> Told:
        return await told(self.client.verify(question or marital(), timeout=within))

    async def ask_in_time(self) -> Told:
        """Ask a source that is well, and again if it is only this machine that has no time for it."""
        found = await self.ask()
        for _ in range(20):
            if not is_hasty(found):
                break
            self.clock.move(_RESTED)
            found = await self.ask()
        return found

    def entries(self) -> int:
        return len(self.log.leaves())

    async def over(self) -> dict[str, str]:
        """End the fault, let the breaker rest, and ask once more."""
        if self.world.end is None:
            return {"over": ENDLESS}
        await self.world.end()
        self.clock.move(_RESTED)
        return {"over": (await self.ask_in_time()).verdict}


async def _befall(scene: Scene) -> dict[str, str]:
    """Ask once under the fault, again for the breaker, and a third time when it is over."""
    if scene.world.is_warm:
        await scene.ask_in_time()
    await scene.world.begin()
    before, entries = await scene.meter.read(), scene.entries()
    first = await scene.ask()
    after, written = await scene.meter.read(), scene.log.since(entries)
    states = [after.breaker]
    await scene.ask()
    states.append((await scene.meter.read()).breaker)
    over = await scene.over()
    if scene.world.end is not None:
        states.append((await scene.meter.read()).breaker)
    return {
        **first.cells(),
        "entry": written,
        "breaker": ", ".join(states),
        "metrics": after.since(before),
        **over,
    }


async def _beside_another(scene: Scene) -> dict[str, str]:
    """Ask about somebody whose record is unreadable and somebody whose is not, in one message of a batch."""
    await scene.world.begin()
    before, entries = await scene.meter.read(), scene.entries()
    asked = [marital(), marital(LI, "DIVORCED")]
    results = scene.client.verify_many(asked, timeout=_PLENTY)
    found = {one.question.request_id: told_in_batch(one) async for one in results}
    after = await scene.meter.read()
    return {
        **joined([found[question.request_id] for question in asked]),
        "entry": scene.log.since(entries),
        "breaker": after.breaker,
        "metrics": after.since(before),
        **await scene.over(),
    }


async def _in_turn(scene: Scene) -> dict[str, str]:
    """Ask about somebody, about somebody else, and about the first again."""
    await scene.world.begin()
    before, entries = await scene.meter.read(), scene.entries()
    found = [await scene.ask(one) for one in (marital(), marital(LI, "DIVORCED"), marital())]
    after = await scene.meter.read()
    return {
        **joined(found),
        "entry": scene.log.since(entries),
        "breaker": after.breaker,
        "metrics": after.since(before),
        **await scene.over(),
    }


async def _at_once(scene: Scene) -> dict[str, str]:
    """Ask a thousand questions while nothing of the source gets through, and let it through when no more find room."""
    before, entries = await scene.meter.read(), scene.entries()
    await scene.world.begin()
    waiting = {
        asyncio.create_task(scene.ask(marital(number=f"办2026-{number:04d}"))) for number in range(_MANY)
    }  # fmt: skip
    refused: set[asyncio.Task[Told]] = set()
    while scene.world.end is not None and len(refused) < _MANY - ROOM:
        done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        refused |= done
    if scene.world.end is not None:
        await scene.world.end()
    found = Counter(_told_as(one.result()) for one in await _all(refused | waiting))
    after = await scene.meter.read()
    cells = {
        column: ", ".join(f"{number} × {dict(cells)[column]}" for cells, number in sorted(found.items()))
        for column in dict(next(iter(found)))
    }
    return {
        **cells,
        "entry": scene.log.since(entries),
        "breaker": after.breaker,
        # How many questions find their way into one statement depends on the machine.
        "metrics": re.sub(r"(source_calls answered) ×(?!80\b)\d+", r"\1 ×(fewer)", after.since(before)),
        "over": (await scene.ask_in_time()).verdict,
    }


async def _all(tasks: set[asyncio.Task[Told]]) -> set[asyncio.Task[Told]]:
    await asyncio.gather(*tasks)
    return tasks


def _told_as(one: Told) -> tuple[tuple[str, str], ...]:
    return tuple(one.cells().items())


@asynccontextmanager
async def _held(world: World) -> AsyncIterator[World]:
    """Put a gate before a service: connections are accepted, and wait until the fault ends."""
    where, gate = httpx.URL(str(world.stanza["url"])), asyncio.Event()

    async def reach() -> Streams:
        await gate.wait()
        return await asyncio.open_connection(where.host, where.port)

    async def end() -> None:
        gate.set()

    async with Proxy(reach) as proxy:
        stanza = {**world.stanza, "url": f"http://127.0.0.1:{proxy.port}"}
        yield replace(world, stanza=stanza, end=end)


async def _too_late(scene: Scene) -> dict[str, str]:
    """Ask when the time to answer is over already."""
    before, entries = await scene.meter.read(), scene.entries()
    late = await scene.ask(within=0)
    after = await scene.meter.read()
    return {
        **late.cells(),
        "entry": scene.log.since(entries),
        "breaker": after.breaker,
        # Whether such a call still reaches the gateway, which only counts it, depends on the machine.
        "metrics": re.sub(
            r"calls (CANCELLED|DEADLINE_EXCEEDED( DEADLINE_EXCEEDED)?) ×1", "nothing", after.since(before)
        ),
        "over": (await scene.ask_in_time()).verdict,
    }


async def _hasty(scene: Scene) -> dict[str, str]:
    """Wait for so short a time that its end says nothing of the source."""
    await scene.world.begin()
    before, entries = await scene.meter.read(), scene.entries()
    hasty = await scene.ask(within=1.5)
    after = await scene.meter.read()
    return {
        **hasty.cells(),
        "entry": scene.log.since(entries),
        "breaker": after.breaker,
        "metrics": after.since(before),
        **await scene.over(),
    }


async def _gone(scene: Scene) -> dict[str, str]:
    """Cancel the only call while it waits for the source."""
    if scene.world.is_warm:
        await scene.ask_in_time()
    await scene.world.begin()
    before, entries = await scene.meter.read(), scene.entries()
    asking = asyncio.create_task(scene.client.verify(marital(), timeout=_PLENTY))
    await scene.meter.until(lambda page: page.under_way == 1)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    gone = "calls CANCELLED"
    after = await scene.meter.until(lambda page: gone in page.names_since(before) and page.under_way == 0)
    cells = dict.fromkeys(("answer", "step", "message", "status"), NOBODY)
    return {
        **cells,
        "outcome": "(the call to the source is given up)",
        "entry": scene.log.since(entries),
        "breaker": after.breaker,
        "metrics": after.since(before),
        **await scene.over(),
    }


_PLAYS: Mapping[str, Callable[[Scene], Awaitable[dict[str, str]]]] = {
    "an unreadable record in one batch with a good one": _beside_another,
    "each answer twice": _in_turn,
    "a thousand questions at once": _at_once,
    "the deadline is past": _too_late,
    "a hasty caller": _hasty,
    "the caller goes away": _gone,
}
"""How faults are played that are not played by asking, asking again, and asking when it is over."""
_HELD = frozenset({"http: a thousand questions at once"})
PROVOKED = {"http: a hasty caller": "a deadline of 1.5 s before a silent service"}
"""What is done otherwise than where the source is asked alone."""


def _declared(stanza: Mapping[str, object]) -> dict[str, Any]:
    """Let the source declare what the gateway wants of one whose absence proves something."""
    told: dict[str, Any] = copy.deepcopy(dict(stanza))
    if told["kind"] != "dropbox":
        told["facts"][FACT]["coverage"] = "complete"
    return told


async def play(fault: Fault, stage: Stage, house: House) -> dict[str, str]:
    """Play a fault of a source through a gateway of its own, on a copy of a house.

    Raises:
        NonConforming: personal data came into a log, a metric, an entry or a refusal.
    """
    assert (fault.play is befall) == (fault.name not in _PLAYS), f"nobody says how {fault.id} is played"
    async with AsyncExitStack() as stack:
        world = await stack.enter_async_context(fault.world(stage))
        if fault.id in _HELD:
            world = await stack.enter_async_context(_held(world))
        with listening() as (events, texts):
            async with _scene(world, copied(house, stage.folder / "var")) as scene:
                cells = await _PLAYS.get(fault.name, _befall)(scene)
        entries = [leaf.decode("ascii") for leaf in scene.log.leaves()]
        require_discretion([*texts, *scene.meter.texts, *map(str, events), *entries, repr(cells)], PERSONAL)
    return cells


@asynccontextmanager
async def _scene(world: World, house: House) -> AsyncIterator[Scene]:
    clock, port = Clock(), free_port()
    settings = tuned(house, {SOURCE: _declared(world.stanza)}, f"127.0.0.1:{port}")
    async with serving(house, now=clock, settings=settings) as village:
        yield Scene(
            client=village.client(timeout=_PLENTY, retries=_ONCE),
            world=world,
            clock=clock,
            meter=Meter(url=f"http://127.0.0.1:{port}/metrics"),
            log=Log(settings.ledger.url),
        )
