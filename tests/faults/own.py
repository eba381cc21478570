"""What goes wrong at the gateway itself and at its ledger: every one with real processes and real databases."""

from __future__ import annotations

import asyncio
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import grpc
import psycopg
from grpc import aio

from connectors.conformance.expectations import require_discretion
from connectors.conformance.http_faults import free_port
from gateway.client import GatewayClient, LogKeys, Question, Retries
from gateway.config import load_settings
from gateway.founding import House
from tests import postgres, started
from tests.faults.holding import before_postgres
from tests.faults.parts import aside, kill_between, owning, parted, shifted
from tests.faults.seen import ENDLESS, NOBODY, NOT_ASKED, Log, Meter, Page, Told, told, told_in_batch
from tests.gateway.verification.village import (
    PEOPLE,
    Process,
    Village,
    case,
    marital,
    premises,
    process,
    service,
    settle,
    slow_source,
)

SQLITE, POSTGRES = "the gateway, its ledger in SQLite", "the gateway, its ledger in PostgreSQL"
GONE_WITH_IT = "(what was counted is gone with the process)"
PERSONAL = tuple(text for one in PEOPLE[:12] for text in (one.id_number, one.name))
MARRIED = [index for index, one in enumerate(PEOPLE) if one.marital == "married"]
ONCE = Retries(most=0)
PATIENT = Retries(most=200, first=0.1, longest=0.3)
_MANY = 1000
_RIGHT = "示例路1号"
_ROOMY = {'deadline_cap = "10s" ': 'deadline_cap = "90s" '}

Cells = dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnFault:
    """One way in which the gateway or its ledger fails: how it is provoked, and what plays it in an empty folder."""

    name: str
    kind: str
    provoked: str
    play: Callable[[Path], Awaitable[Cells]]
    needs: frozenset[str] = frozenset()
    """`postgres`: the binaries of a server of one's own; `mount`: the right to mount a small file system."""

    @property
    def id(self) -> str:
        return f"{self.kind}: {self.name}"


@dataclass(slots=True, kw_only=True)
class Place:
    """A running gateway, and everything that tells of it."""

    house: House
    running: Process
    meter: Meter
    log: Log
    clients: list[GatewayClient] = field(default_factory=list)

    @property
    def village(self) -> Village:
        return self.running.village

    def client(self, retries: Retries = ONCE, *, within: float = 60) -> GatewayClient:
        return self.village.client(timeout=within, retries=retries)

    async def ask(self, question: Question, *, within: float = 60) -> Told:
        return await told(self.client(within=within).verify(question))

    async def ask_in_batch(self, question: Question) -> Told:
        [outcome] = [one async for one in self.client().verify_many([question])]
        return told_in_batch(outcome)

    async def over(self, question: Question) -> Cells:
        """Ask again until it is answered, and a further time: the bytes of both answers must be the same."""
        answer = await self.client(PATIENT).verify(question)
        assert await self.client().verify(question) == answer
        return {"over": f"{answer.verification.verdict.value}, the same when it is repeated"}


def asked(index: int, *, request_id: str = "") -> Question:
    """Ask about somebody who is married."""
    return marital(MARRIED[index], request_id=request_id)


def metered(folder: Path, tune: Mapping[str, str] | None = None, **more: str) -> tuple[House, Meter, Log]:
    """Found a house whose metrics can be read."""
    port = free_port()
    listen = {'[metrics]\nlisten = "" ': f'[metrics]\nlisten = "127.0.0.1:{port}" '}
    house = settle(folder / "house", tune=listen | dict(tune or {}), **more)  # type: ignore[arg-type]
    url = load_settings(house.config).ledger.url
    return house, Meter(url=f"http://127.0.0.1:{port}/metrics"), Log(more.get("url", url))


@asynccontextmanager
async def serving(folder: Path, tune: Mapping[str, str] | None = None, **more: str) -> AsyncIterator[Place]:
    """Serve a house in a process of its own; nothing of anybody may be in its log at the end."""
    house, meter, log = await asyncio.to_thread(metered, folder, tune, **more)
    async with aside(process(house)) as running:
        yield Place(house=house, running=running, meter=meter, log=log)
        await running.village.close()
    discreet(house, meter, log)


def discreet(house: House, meter: Meter, log: Log) -> None:
    """Require that neither log, metrics nor entries name anybody.

    Raises:
        NonConforming: one of them does.
    """
    entries = [leaf.decode("ascii") for leaf in log.leaves()]
    require_discretion([(house.home / "process.log").read_text("utf-8"), *meter.texts, *entries], PERSONAL)


def alike(both: list[Told]) -> Told:
    """Give what all were told alike."""
    assert len({tuple(one.cells().items()) for one in both}) == 1, [one.cells() for one in both]
    return both[0]


def cells_of(one: Told, *, entry: str, metrics: str, breaker: str) -> Cells:
    """Write the cells of one answer or refusal."""
    return {**one.cells(), "entry": entry, "breaker": breaker, "metrics": metrics}


def counted(before: Page, after: Page) -> str:
    """Write what was counted, without the numbers."""
    return "; ".join(sorted(after.names_since(before))) or "nothing"


def refused(one: Told, before: Page, after: Page, *, entry: str) -> Cells:
    """Write the cells of a refusal that says when to come again; what the source said meanwhile is told to nobody."""
    assert one.refusal is not None
    assert one.refusal.retry_after is not None
    assert one.refusal.retry_after > timedelta(0)
    cells = cells_of(one, entry=entry, breaker=after.breaker, metrics=counted(before, after))
    outcomes = after.outcomes_since(before)
    return {**cells, "outcome": f"{outcomes}, not told" if outcomes else NOT_ASKED}


@dataclass(slots=True, kw_only=True)
class Refusing:
    """What came of a question that was asked while the ledger could not be written."""

    question: Question
    cells: Cells


async def _refused_meanwhile(place: Place, number: int, *, within: float = 60, in_batch: bool = True) -> Refusing:
    """Ask while the ledger cannot be written, alone and in a batch, which are told the same."""
    before, entries = await place.meter.read(), len(await asyncio.to_thread(place.log.leaves))
    question = asked(number)
    told_so = [await place.ask(question, within=within)]
    if in_batch:
        told_so.append(await place.ask_in_batch(asked(number + 1)))
    cells = refused(alike(told_so), before, await place.meter.read(), entry=place.log.since(entries))
    return Refusing(question=question, cells=cells)


@contextmanager
def full_disk(pid: int, file: Path) -> Iterator[None]:
    """Let no file of a process grow beyond what one of them holds now: writing further fails as on a full disk."""
    free = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (file.stat().st_size, free[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, free)


async def _full(folder: Path) -> Cells:
    async with serving(folder) as place:
        await place.client().verify(asked(0))
        with full_disk(place.running.process.pid, place.house.home / "ledger.sqlite3-wal"):
            found = await _refused_meanwhile(place, 1)
        return {**found.cells, **await place.over(found.question)}


_LONG_RESERVE = {'ledger_reserve = "500ms"': 'ledger_reserve = "3s"'}
_WAITS = 4
"""Seconds that a caller waits for a ledger that does not answer: of half of them, a fifth stays for telling it so, on a
busy machine too."""


async def _locked(folder: Path) -> Cells:
    """Let another process hold the write lock of the file for longer than a caller waits."""
    async with serving(folder, _LONG_RESERVE) as place:
        await place.client().verify(asked(0))
        entries = len(place.log.leaves())
        holder = sqlite3.connect(place.house.home / "ledger.sqlite3", isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        try:
            found = await _refused_meanwhile(place, 1, within=_WAITS, in_batch=False)
        finally:
            holder.close()
        over = await place.over(found.question)
        assert place.log.since(entries) == "VerificationAnswered", "what was found late is recorded once"
        return {**found.cells, "entry": f"{found.cells['entry']}; later one, once", **over}


async def _killed_between(folder: Path) -> Cells:
    house, meter, _ = await asyncio.to_thread(metered, folder)
    question = asked(0)
    async with parted(house) as parts:
        async with parts.door() as door:
            one, entries = await _killed(parts.log, door, question, parts.holding.arm)
        async with parts.door() as door:
            place = Place(house=house, running=door, meter=meter, log=parts.log)
            over = await _that_very_answer(place, question, entries)
            await door.village.close()
        discreet(house, meter, parts.log)
    cells = cells_of(one, entry="VerificationAnswered", breaker=GONE_WITH_IT, metrics=GONE_WITH_IT)
    return {**cells, "outcome": "MATCH, not told", **over}


async def _killed(log: Log, door: Process, question: Question, arm: Callable[[], None]) -> tuple[Told, int]:
    """Kill a process that waits for the word that its answer is durable; give what its caller was told, and where."""
    entries = len(await asyncio.to_thread(log.leaves))
    one = await kill_between(log, door, arm, told(door.village.client(retries=ONCE).verify(question)))
    await door.village.close()
    return one, entries


async def _that_very_answer(place: Place, question: Question, entries: int) -> Cells:
    """Ask again after the process was killed: the answer is the entry of then, and nothing is recorded anew."""
    log = place.log
    index = next(n for n, kind in enumerate(log.kinds()) if n >= entries and kind == "VerificationAnswered")
    answer = await place.client(PATIENT).verify(question)
    assert answer.receipt.index == index
    assert await place.client().verify(question) == answer
    assert log.kinds()[entries:].count("VerificationAnswered") == 1
    return {
        "over": f"{answer.verification.verdict.value}: the answer of then, under its own entry, to every repetition"
    }


async def _owner_killed(folder: Path) -> Cells:
    house, meter, _ = await asyncio.to_thread(metered, folder)
    async with parted(house) as parts, parts.door() as door:
        place = Place(house=house, running=door, meter=meter, log=parts.log)
        await place.client().verify(asked(0))
        parts.owner.kill()
        found = await _refused_meanwhile(place, 1)
        async with owning(house):
            over = await place.over(found.question)
        await door.village.close()
    discreet(house, meter, parts.log)
    return {**found.cells, **over}


def _jumps(seconds: int) -> Callable[[Path], Awaitable[Cells]]:
    async def play(folder: Path) -> Cells:
        """Ask before and after the clock jumps, and after it is put right; every proof holds all the time."""
        house, meter, log = await asyncio.to_thread(metered, folder)
        offset = folder / "offset"
        offset.write_text("0", "ascii")
        async with shifted(house, offset) as running:
            place = Place(house=house, running=running, meter=meter, log=log)
            first = asked(0)
            before = await place.client().verify(first)
            entries, page = len(log.leaves()), await meter.read()
            offset.write_text(str(seconds), "ascii")
            one, again = await place.ask(asked(1)), await place.client().verify(first)
            assert one.answer is not None
            jumped = one.answer.verification.answered_at - before.verification.answered_at
            assert abs(jumped.total_seconds() - seconds) < 30
            assert again == before
            after = await meter.read()
            cells = cells_of(one, entry=log.since(entries), breaker=after.breaker, metrics=after.since(page))
            offset.write_text("0", "ascii")
            over = await place.over(asked(2))
            await running.village.close()
        checked = await asyncio.to_thread(started.run, "ledger", "fsck", "--config", house.config)
        assert checked.returncode == 0
        discreet(house, meter, log)
        return {**cells, **over}

    return play


async def _thousand_clients(folder: Path) -> Cells:
    """Connect a thousand clients, each with a connection of its own, and let them ask at once."""
    async with serving(folder, _ROOMY) as place:
        before, entries = await place.meter.read(), len(place.log.leaves())
        async with crowd(place.village, _MANY) as clients:
            found = await asyncio.gather(*(told(one.verify(_of_case(number))) for number, one in enumerate(clients)))
        after = await place.meter.read()
        assert len({one.answer.receipt.index for one in found if one.answer}) == _MANY
        cells = cells_of(
            alike(list(found)), entry=place.log.since(entries), breaker=after.breaker, metrics=counted(before, after)
        )
        return {**cells, **await place.over(asked(1))}


def _of_case(number: int) -> Question:
    return marital(MARRIED[0], in_case=case(f"办2026-{number:04d}"))


@asynccontextmanager
async def crowd(village: Village, count: int) -> AsyncIterator[list[GatewayClient]]:
    """Connect many clients, each with a connection of its own."""
    certificate, key = village.house.pair("clerk")
    credentials = grpc.ssl_channel_credentials(
        village.house.authority.read_bytes(), key.read_bytes(), certificate.read_bytes()
    )
    keys = LogKeys.read(village.house.vkey)
    options = [("grpc.use_local_subchannel_pool", 1)]
    channels = [aio.secure_channel(f"127.0.0.1:{village.port}", credentials, options=options) for _ in range(count)]
    try:
        yield [GatewayClient(channel, keys=keys, timeout=90) for channel in channels]
    finally:
        await asyncio.gather(*(channel.close() for channel in channels))


async def _client_killed(folder: Path) -> Cells:
    """Kill a client that waits for an answer, while the gateway waits for the source."""
    async with (
        service({PEOPLE[0].id_number: _RIGHT}) as housing,
        serving(folder, sources=slow_source(housing.port)) as place,
    ):
        housing.answering.clear()
        before, entries = await place.meter.read(), len(place.log.leaves())
        asking = await asyncio.create_subprocess_exec(*_ask_command(place), stdout=subprocess.DEVNULL)
        await housing.until(lambda: housing.asked == 1)
        asking.kill()
        await asking.wait()
        await housing.until(lambda: housing.left == 1)
        after = await place.meter.until(lambda page: "calls CANCELLED" in page.names_since(before))
        housing.answering.set()
        cells = dict.fromkeys(("answer", "step", "message", "status"), NOBODY)
        return {
            **cells,
            "outcome": "(the call to the source is given up)",
            "entry": place.log.since(entries),
            "breaker": after.breaker,
            "metrics": after.since(before),
            **await place.over(premises(0, _RIGHT)),
        }


def _ask_command(place: Place) -> list[str]:
    person, asked_as = PEOPLE[0], premises(0, _RIGHT)
    options = {
        "config": str(place.house.config), "server": f"127.0.0.1:{place.village.port}", "matter": asked_as.case.matter,
        "item": asked_as.item, "purpose": asked_as.case.purpose, "name": person.name, "id": person.id_number,
        "set": f"address={_RIGHT}",
    }  # fmt: skip
    return [
        sys.executable,
        "-m",
        "gateway",
        "ask",
        *(word for key, value in options.items() for word in (f"--{key}", value)),
    ]


async def _told_to_stop(folder: Path) -> Cells:
    """Tell the gateway to stop while a call waits for its source, and ask it something new meanwhile."""
    async with (
        service({PEOPLE[0].id_number: _RIGHT}) as housing,
        serving(folder, sources=slow_source(housing.port)) as place,
    ):
        housing.answering.clear()
        entries = len(place.log.leaves())
        running = asyncio.create_task(place.ask(premises(0, _RIGHT)))
        await housing.until(lambda: housing.asked == 1)
        place.running.process.send_signal(signal.SIGTERM)
        await _said(place.house, "draining")
        await _closed(place.village.port)  # a call that comes just before the door is shut is answered
        new = await place.ask(asked(0))
        assert new.refusal is not None
        housing.answering.set()
        one = await running
        await asyncio.to_thread(place.running.process.wait, 30)
        return {
            **cells_of(one, entry=place.log.since(entries), breaker="CLOSED", metrics=GONE_WITH_IT),
            "status": f"OK; of a new call: {new.status}",
            "over": ENDLESS,
        }


async def _closed(port: int) -> None:
    """Wait until nobody is let in at a port any more."""
    async with asyncio.timeout(30):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                return
            writer.close()
            await asyncio.sleep(0.02)


async def _said(house: House, event: str) -> None:
    """Wait until a gateway has logged something."""
    log = house.home / "process.log"
    async with asyncio.timeout(30):
        while f'"{event}"' not in await asyncio.to_thread(log.read_text, "utf-8"):
            await asyncio.sleep(0.02)


@asynccontextmanager
async def on_postgres(
    folder: Path, tune: Mapping[str, str] | None = None, *, root: Path | None = None
) -> AsyncIterator[tuple[Place, postgres.OwnServer]]:
    """Serve with a PostgreSQL of one's own, which may be killed."""
    async with (
        aside(postgres.own_server(root=root)) as own,
        serving(folder, tune, url=own.url.render_as_string(hide_password=False)) as place,
    ):
        yield place, own


async def _postgres_down(folder: Path) -> Cells:
    async with on_postgres(folder) as (place, own):
        await place.client().verify(asked(0))
        entries, before = len(place.log.leaves()), await place.meter.read()
        await asyncio.to_thread(own.kill)
        question = asked(1)
        found = alike([await place.ask(question), await place.ask_in_batch(asked(2))])
        after = await place.meter.read()
        await asyncio.to_thread(own.start)
        cells = refused(found, before, after, entry=place.log.since(entries))
        return {**cells, **await place.over(question)}


async def _postgres_slow(folder: Path) -> Cells:
    async with on_postgres(folder, _LONG_RESERVE) as (place, own):
        await place.client().verify(asked(0))
        entries = len(place.log.leaves())
        url = own.url.set(drivername="postgresql").render_as_string(hide_password=False)
        with psycopg.connect(url) as blocker:
            blocker.execute("SELECT * FROM head FOR UPDATE")
            found = await _refused_meanwhile(place, 1, within=_WAITS, in_batch=False)
            blocker.rollback()
        over = await place.over(found.question)
        assert place.log.since(entries) == "VerificationAnswered", "what was found late is recorded once"
        return {**found.cells, "entry": f"{found.cells['entry']}; later one, once", **over}


async def _postgres_full(folder: Path) -> Cells:
    """Fill the file system of the database, ask until the ledger needs more room, and make room again."""
    with small_file_system() as root:
        async with on_postgres(folder, root=root) as (place, _):
            await place.client().verify(asked(0))
            ballast = root / "ballast"
            _fill(ballast)
            for number in range(1, _MANY):
                if (await place.ask(_of_case(number))).refusal is not None:
                    break
            found = await _refused_meanwhile(place, 1)
            ballast.unlink()
            return {**found.cells, **await place.over(found.question)}


def _fill(ballast: Path) -> None:
    block = bytes(1 << 16)
    with ballast.open("wb", buffering=0) as file:
        while block:
            try:
                file.write(block)
            except OSError:
                block = block[: len(block) // 2]


def may_mount() -> bool:
    """Say whether a small file system can be mounted here."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        return False
    with tempfile.TemporaryDirectory() as folder:
        tried = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], check=False, capture_output=True
        )
        return tried.returncode == 0 and subprocess.run(["umount", folder], check=False).returncode == 0


@contextmanager
def small_file_system() -> Iterator[Path]:
    """Mount a file system of 128 MiB, in which a PostgreSQL just fits."""
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128m", "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)
        folder.rmdir()


async def _postgres_killed_between(folder: Path) -> Cells:
    async with aside(postgres.own_server()) as own:
        async with before_postgres(str(own.url.query["host"])) as (holding, port):
            url = f"postgresql+psycopg://postgres@127.0.0.1:{port}/postgres"
            house, meter, _ = await asyncio.to_thread(metered, folder, url=url)
            question, log = asked(0), Log(own.url.render_as_string(hide_password=False))
            async with aside(process(house)) as running:
                one, entries = await _killed(log, running, question, holding.arm)
            async with aside(process(house)) as running:
                place = Place(house=house, running=running, meter=meter, log=log)
                over = await _that_very_answer(place, question, entries)
                await running.village.close()
        discreet(house, meter, log)
    cells = cells_of(one, entry="VerificationAnswered", breaker=GONE_WITH_IT, metrics=GONE_WITH_IT)
    return {**cells, "outcome": "MATCH, not told", **over}


_SERVER = frozenset({"postgres"})
_KILLED = "kill -9 of the process that waits for the word that its entry is durable, when it is"

FAULTS = (
    OwnFault(
        name="its database is full",
        kind=SQLITE,
        provoked="no file of the process may grow any more (RLIMIT_FSIZE)",
        play=_full,
    ),
    OwnFault(
        name="its database is slow",
        kind=SQLITE,
        provoked="another process holds the write lock for longer than a caller's 2 s",
        play=_locked,
    ),
    OwnFault(
        name="the process that writes is killed",
        kind=SQLITE,
        provoked="kill -9 of the owner of the file, while another process answers calls",
        play=_owner_killed,
    ),
    OwnFault(name="killed between entry and answer", kind=SQLITE, provoked=_KILLED, play=_killed_between),
    OwnFault(
        name="the clock jumps ahead", kind=SQLITE, provoked="ten minutes, between two questions", play=_jumps(600)
    ),
    OwnFault(
        name="the clock jumps back", kind=SQLITE, provoked="ten minutes, between two questions", play=_jumps(-600)
    ),
    OwnFault(
        name="a thousand clients at once",
        kind=SQLITE,
        provoked="a thousand connections, each of which asks one question at the same time",
        play=_thousand_clients,
    ),
    OwnFault(
        name="the client is killed",
        kind=SQLITE,
        provoked="kill -9 of `chengxin ask` while the source is silent",
        play=_client_killed,
    ),
    OwnFault(
        name="told to stop in mid-call",
        kind=SQLITE,
        provoked="SIGTERM while a call waits for its source",
        play=_told_to_stop,
    ),
    OwnFault(
        name="its database is down",
        kind=POSTGRES,
        provoked="every process of the server killed at once, and started again",
        play=_postgres_down,
        needs=_SERVER,
    ),
    OwnFault(
        name="its database is slow",
        kind=POSTGRES,
        provoked="another session holds the row that writers lock for longer than a caller's 2 s",
        play=_postgres_slow,
        needs=_SERVER,
    ),
    OwnFault(
        name="its database is full",
        kind=POSTGRES,
        provoked="the server's file system, of 128 MiB, has no byte left",
        play=_postgres_full,
        needs=_SERVER | {"mount"},
    ),
    OwnFault(
        name="killed between entry and answer",
        kind=POSTGRES,
        provoked=_KILLED,
        play=_postgres_killed_between,
        needs=_SERVER,
    ),
)
