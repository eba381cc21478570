"""The load generator, a process of its own: `python -m gateway.bench.driver` takes an order (JSON) and prints a report.

Everything that can be made beforehand is: messages are bytes before the clock starts, and answers stay bytes.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import statistics
import sys
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import msgspec
import uvloop
from grpc import aio

from gateway.client import new_request_id
from gateway.founding import SYSTEMS, House
from gateway.v1 import parties_pb2, verification_pb2

VERIFY = "/gateway.v1.VerificationService/Verify"
BATCH = "/gateway.v1.VerificationService/BatchVerify"
ECHO = "/bench.Echo/Echo"
ECHO_BATCH = "/bench.Echo/Batch"
_CHANNEL_OPTIONS = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", 16 << 20)]
"""Each channel is a connection of its own: connections are what the kernel shares out among processes."""


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What to do: `rate` is calls a second at fixed times (open loop), or 0 for as many as are answered (closed)."""

    house: str
    asked: str
    port: int
    method: str
    seconds: float
    callers: int = 32
    channels: int = 8
    rate: float = 0.0
    items: int = 1
    """Questions a message of BatchVerify carries."""
    item: str = "marital-status"
    """What is asked; `alive` is the other."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it: `items` were answered in `seconds`; latencies are milliseconds of a call."""

    items: int
    seconds: float
    p50: float
    p99: float
    answer_bytes: int

    @property
    def rate(self) -> float:
        """Items a second."""
        return self.items / self.seconds


def question(name: str, number: str, status: str, item: str = "marital-status") -> verification_pb2.VerifyRequest:
    """Ask whether a person's marital status is what they say, or whether the person is alive."""
    operator = parties_pb2.Operator(person="clerk-01", unit=SYSTEMS["clerk"][0])
    return verification_pb2.VerifyRequest(
        request_id=new_request_id(),
        context=parties_pb2.CaseContext(
            matter="230000-CIV-005", case_id=str(uuid.uuid4()), purpose="办理行政确认", operator=operator
        ),
        item=item,
        subject=parties_pb2.Subject(id_type=parties_pb2.ID_TYPE_RESIDENT_ID, id_number=number, name=name),
        parameters={"status": parties_pb2.Value(text=status)} if item == "marital-status" else {},
    )


def messages(order: Order) -> Iterator[bytes]:
    """Make the messages of an order, one after the other, without end."""
    people = itertools.cycle(json.loads(Path(order.asked).read_text("utf-8")))
    if order.items == 1:
        for name, number, status in people:
            yield question(name, number, status, order.item).SerializeToString()
    while True:
        some = [question(*next(people)) for _ in range(order.items)]
        yield verification_pb2.BatchVerifyRequest(requests=some).SerializeToString()


class _Load:
    def __init__(self, order: Order, channels: Sequence[aio.Channel]) -> None:
        self._order = order
        self._channels = itertools.cycle(channels)
        most = order.rate or 3000.0 / order.items**0.5
        self._messages = iter(list(itertools.islice(messages(order), int(most * order.seconds) + 2 * order.callers)))
        self.latencies: list[float] = []
        self.items = 0
        self.answer_bytes = 0

    def _unary(self) -> Callable[[bytes], Any]:
        method: Any = next(self._channels).unary_unary(self._order.method)

        async def call(message: bytes) -> bytes:
            answer: bytes = await method(message, timeout=20)
            return answer

        return call

    async def closed(self) -> None:
        """Call from many callers, each again as soon as it is answered."""
        ends = time.perf_counter() + self._order.seconds

        async def caller() -> None:
            call = self._unary()
            for message in self._messages:
                started = time.perf_counter()
                if started >= ends:
                    return
                self._note(await call(message), started)

        await asyncio.gather(*(caller() for _ in range(self._order.callers)))

    async def open(self) -> None:
        """Call at fixed times, whatever the answers do; a call's latency counts from when it was due."""
        calls = [self._unary() for _ in range(self._order.channels)]
        begun = time.perf_counter()
        tasks = []

        async def one(call: Callable[[bytes], Any], message: bytes, due: float) -> None:
            self._note(await call(message), due)

        for number in range(int(self._order.rate * self._order.seconds)):
            due = begun + number / self._order.rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            tasks.append(asyncio.create_task(one(calls[number % len(calls)], next(self._messages), due)))
        await asyncio.gather(*tasks)

    async def stream(self) -> None:
        """Send messages of many items on a stream of each caller, the next when one is answered whole."""
        ends = time.perf_counter() + self._order.seconds
        counts = self._order.method == BATCH

        async def caller() -> None:
            call: Any = next(self._channels).stream_stream(self._order.method)(timeout=60)
            for message in self._messages:
                started = time.perf_counter()
                if started >= ends:
                    break
                await call.write(message)
                left, answer = self._order.items, b""
                while left > 0:
                    answer = await call.read()
                    left -= len(verification_pb2.BatchVerifyResponse.FromString(answer).results) if counts else left
                self._note(answer, started)
            await call.done_writing()
            while await call.read() is not aio.EOF:
                pass

        await asyncio.gather(*(caller() for _ in range(self._order.callers)))

    def _note(self, answer: bytes, since: float) -> None:
        self.latencies.append(time.perf_counter() - since)
        self.items += self._order.items
        self.answer_bytes = len(answer)


@asynccontextmanager
async def connected(house: House, port: int, count: int) -> AsyncIterator[list[aio.Channel]]:
    """Lend channels that are ready, as the clerk's system of a house."""
    certificate, key = house.pair("clerk")
    credentials = grpc.ssl_channel_credentials(house.authority.read_bytes(), key.read_bytes(), certificate.read_bytes())
    async with AsyncExitStack() as stack:
        channels = []
        for _ in range(count):
            channel = aio.secure_channel(f"127.0.0.1:{port}", credentials, options=_CHANNEL_OPTIONS)
            channels.append(await stack.enter_async_context(channel))
            await channel.channel_ready()
        yield channels


async def drive(order: Order) -> Report:
    """Carry out an order."""
    async with connected(House(home=Path(order.house)), order.port, order.channels) as channels:
        load = _Load(order, channels)
        started = time.perf_counter()
        if order.items > 1:
            await load.stream()
        else:
            await (load.open() if order.rate else load.closed())
        seconds = time.perf_counter() - started
    cuts = statistics.quantiles(load.latencies, n=100)
    return Report(
        items=load.items, seconds=seconds, p50=1e3 * cuts[49], p99=1e3 * cuts[98], answer_bytes=load.answer_bytes
    )  # fmt: skip


def main() -> None:
    """Read one order from standard input, carry it out, print the report."""
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=Order)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        report = runner.run(drive(order))
    sys.stdout.buffer.write(msgspec.json.encode(report))


if __name__ == "__main__":
    main()
