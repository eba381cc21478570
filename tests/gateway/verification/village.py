"""A whole gateway on loopback with many people: real mutual TLS, real databases, a real service that can be slow."""

from __future__ import annotations

import asyncio
import json
import subprocess
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from grpc import aio

from gateway.bootstrap.flows import Flows, build_flows
from gateway.bootstrap.ledger import open_ledger
from gateway.bootstrap.opening import now_utc, open_catalogue, open_index, open_sources
from gateway.bootstrap.serving import Gateway
from gateway.client import Case, GatewayClient, LogKeys, Person, Question, Retries, open_channel
from gateway.config import Settings, load_settings
from gateway.demo import civil_affairs
from gateway.demo import people as demo
from gateway.founding import SYSTEMS, House, found
from gateway.v1 import verification_pb2_grpc
from ledger import Ledger
from tests import started

PEOPLE = demo.population(7, 400)
PERSONAL = "230000-CIV-005"
PREMISES = "230000-MSA-001"
TIMEOUT = 20

CIVIL = """
[sources.civil-affairs]
kind = "sql"
department = "示例民政局"
url = "sqlite:///{civil}"
[sources.civil-affairs.facts.marriage-registration]
coverage = "complete"
statement = "SELECT id_number, name, status FROM marriage WHERE id_number IN :keys"
key = "id_number"
name = "name"
columns = {{ status = "status" }}
values = {{ status = {{ "20" = "MARRIED", "30" = "WIDOWED", "40" = "DIVORCED" }} }}
"""

SLOW = """
[sources.{name}]
kind = "http"
department = "示例自然资源局"
url = "http://127.0.0.1:{port}"
answer_timeout = "60s"
[sources.{name}.resilience]
timeout = "60s"
retries = 0
[sources.{name}.facts.{fact}]
mode = "query"
method = "POST"
path = "/records"
success = {{ at = "code", equals = "0" }}
absent = [{{ at = "code", equals = "NONE" }}]
records = "data"
subject_echo = "id"
attributes = {{ {attribute} = "value" }}
{values}
inactive = {{ column = "state", values = ["dead"], active = ["alive"] }}
[sources.{name}.facts.{fact}.json]
id = "{{subject.id_number}}"
"""


class Service:
    """A department's HTTP service on loopback that answers from a table, or not before it is told to.

    `asked` counts the questions that arrived, `left` those whose client went away before the answer.
    """

    def __init__(self, values: Mapping[str, str]) -> None:
        self.values = dict(values)
        self.dead: set[str] = set()
        self.port = 0
        self.asked = 0
        self.left = 0
        self.answering = asyncio.Event()
        self.answering.set()
        self.changed = asyncio.Condition()
        self.connections: set[asyncio.Task[None]] = set()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.connections.add(task)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = next(
                    int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")
                )
                number = json.loads(await reader.readexactly(length))["id"]
                await self.tell(asked=1)
                if not await self.patient(reader):
                    await self.tell(left=1)
                    return
                body = json.dumps(self.body(number)).encode()
                writer.write(
                    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)
                )
                writer.write(body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            self.connections.discard(task)
            writer.close()

    async def patient(self, reader: asyncio.StreamReader) -> bool:
        """Wait until answers are given; False if the client goes first."""
        if self.answering.is_set():
            return True
        going = asyncio.ensure_future(reader.read(1))
        answering = asyncio.ensure_future(self.answering.wait())
        done, rest = await asyncio.wait((going, answering), return_when=asyncio.FIRST_COMPLETED)
        for one in rest:
            one.cancel()
        await asyncio.gather(*rest, return_exceptions=True)
        return answering in done

    def body(self, number: str) -> dict[str, object]:
        if number not in self.values:
            return {"code": "NONE"}
        state = "dead" if number in self.dead else "alive"
        return {"code": "0", "data": {"id": number, "value": self.values[number], "state": state}}

    async def tell(self, *, asked: int = 0, left: int = 0) -> None:
        async with self.changed:
            self.asked += asked
            self.left += left
            self.changed.notify_all()

    async def until(self, what: Callable[[], bool]) -> None:
        async with asyncio.timeout(TIMEOUT), self.changed:
            await self.changed.wait_for(what)


@asynccontextmanager
async def service(values: Mapping[str, str] | None = None, *, kind: type[Service] = Service) -> AsyncIterator[Service]:
    """Run a department's service."""
    here = kind(values or {})
    server = await asyncio.start_server(here, "127.0.0.1", 0)
    here.port = server.sockets[0].getsockname()[1]
    try:
        yield here
    finally:
        here.answering.set()
        server.close()
        for connection in here.connections:
            connection.cancel()
        await asyncio.gather(*here.connections, return_exceptions=True)


def slow_source(port: int, *, name: str = "housing", fact: str = "home-ownership", attribute: str = "address") -> str:
    values = 'values = { relation = { "CHILD" = "CHILD", "PARENT" = "PARENT" } }' if attribute == "relation" else ""
    return SLOW.format(port=port, name=name, fact=fact, attribute=attribute, values=values)


def settle(
    folder: Path,
    *,
    sources: str = "",
    url: str = "sqlite:///ledger.sqlite3",
    tune: Mapping[str, str] | None = None,
    people: Sequence[demo.Person] = PEOPLE,
    catalogue: Sequence[Path] | None = None,
) -> House:
    """Found a house whose civil affairs know some people; `tune` replaces lines of the configuration."""
    folder.mkdir(exist_ok=True)
    civil = folder / "civil.sqlite3"
    civil_affairs.build(civil, people)
    house = found(
        folder / "var",
        now=datetime.now(UTC),
        sources=CIVIL.format(civil=civil) + sources,
        listen="127.0.0.1:0",
        url=url,
        remedy_days=0,
    )
    text = house.config.read_text("utf-8")
    if catalogue is not None:
        text = text.replace("\nfiles = []", f"\nfiles = {json.dumps([str(file) for file in catalogue])}")
    for before, after in (tune or {}).items():
        assert text.count(before) == 1, before
        text = text.replace(before, after)
    house.config.write_text(text, "utf-8")
    return house


@dataclass(slots=True, kw_only=True)
class Village:
    """A running gateway and its clients."""

    house: House
    port: int
    channels: list[aio.Channel] = field(default_factory=list)

    def channel(self, system: str = "clerk") -> aio.Channel:
        certificate, key = self.house.pair(system)
        channel = open_channel(
            f"127.0.0.1:{self.port}", authority=self.house.authority, certificate=certificate, key=key
        )
        self.channels.append(channel)
        return channel

    def client(
        self, system: str = "clerk", *, timeout: float = TIMEOUT, retries: Retries | None = None
    ) -> GatewayClient:
        keys = LogKeys.read(self.house.vkey)
        return GatewayClient(self.channel(system), keys=keys, timeout=timeout, retries=retries)

    def stub(self, system: str = "clerk") -> verification_pb2_grpc.VerificationServiceAsyncStub:
        return verification_pb2_grpc.VerificationServiceStub(self.channel(system))

    async def close(self) -> None:
        while self.channels:
            await self.channels.pop().close()


@asynccontextmanager
async def serving(
    house: House, *, now: Callable[[], datetime] = now_utc, settings: Settings | None = None
) -> AsyncIterator[Village]:
    """Serve a house in this process until the block ends, with its own settings or others."""
    stop, port = asyncio.Event(), asyncio.get_running_loop().create_future()
    settings = settings or load_settings(house.config)
    gateway = asyncio.create_task(Gateway(settings, now=now).serve(port.set_result, stop))
    await asyncio.wait({gateway, port}, return_when=asyncio.FIRST_COMPLETED)
    if gateway.done():
        await gateway
    village = Village(house=house, port=await port)
    try:
        yield village
    finally:
        await village.close()
        stop.set()
        await gateway


@dataclass(slots=True, kw_only=True)
class Inside:
    """The flows of a house without its doors."""

    settings: Settings
    ledger: Ledger
    flows: Flows


@asynccontextmanager
async def inside(house: House, *, now: Callable[[], datetime] = now_utc) -> AsyncIterator[Inside]:
    """Open everything behind the doors of a house."""
    settings = load_settings(house.config)
    catalogue = open_catalogue(settings)
    sources = open_sources(settings, catalogue, now=now)
    with open_ledger(settings.ledger, now=now) as ledger:
        flows = build_flows(
            settings, ledger=ledger, index=open_index(settings.ledger), catalogue=catalogue,
            sources=sources, now=now,
        )  # fmt: skip
        try:
            yield Inside(settings=settings, ledger=ledger, flows=flows)
        finally:
            for connector in sources.values():
                await connector.aclose()


@dataclass(slots=True, kw_only=True)
class Process:
    """A gateway as a process of its own."""

    village: Village
    process: subprocess.Popen[str]

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@contextmanager
def process(
    house: House, *, module: str = "gateway", arguments: Sequence[str] = (), config: Path | None = None
) -> Iterator[Process]:
    """Serve a house, by its own configuration or another, in a process of its own; it is stopped, if it still runs,
    when the block ends."""
    with (house.home / "process.log").open("a", encoding="utf-8") as log:
        # A part of a gateway ends when its standard input does.
        served = started.start(
            "serve", "--config", config or house.config, *arguments,
            module=module, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
        )  # fmt: skip
    try:
        assert served.stdout is not None
        words = served.stdout.readline().split()
        assert words[:1] == ["ready"], (house.home / "process.log").read_text("utf-8")[-3000:]
        yield Process(village=Village(house=house, port=int(words[1])), process=served)
    finally:
        served.terminate()
        served.wait(timeout=30)
        assert served.stdin is not None
        served.stdin.close()
        assert served.stdout is not None
        served.stdout.close()


def person(index: int) -> Person:
    return Person(id_number=PEOPLE[index].id_number, name=PEOPLE[index].name)


def case(
    number: str = "办2026-0001", *, matter: str = PERSONAL, purpose: str = "办理行政确认", system: str = "clerk"
) -> Case:
    return Case(matter=matter, case_id=number, purpose=purpose, operator=f"{system}-01", unit=SYSTEMS[system][0])


def marital(index: int, status: str = "MARRIED", *, request_id: str = "", in_case: Case | None = None) -> Question:
    """Ask for the marital status of one of the people."""
    return Question(
        case=in_case or case(f"办2026-{index:04d}"),
        item="marital-status",
        subject=person(index % len(PEOPLE)),
        parameters={"status": status},
        request_id=request_id or str(uuid.uuid4()),
    )


def premises(index: int, address: str, *, request_id: str = "", in_case: Case | None = None) -> Question:
    """Ask for the premises of one of the people."""
    return Question(
        case=in_case or case(f"办2026-{index:04d}", matter=PREMISES, purpose="办理行政许可"),
        item="business-premises",
        subject=person(index),
        parameters={"address": address},
        request_id=request_id or str(uuid.uuid4()),
    )
