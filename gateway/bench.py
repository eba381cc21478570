"""The gateway's performance table, as ratios within one run: absolute figures depend on the machine, ratios much less.

The ledger has a table of its own, `ledger.bench`.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
from grpc import aio
from rich.console import Console
from rich.progress import track
from rich.table import Table

from gateway import logs
from gateway.bootstrap import Gateway
from gateway.client import open_channel
from gateway.config import load_settings
from gateway.demo import civil_affairs
from gateway.demo.people import population
from gateway.founding import SYSTEMS, House, found
from gateway.v1 import parties_pb2, verification_pb2, verification_pb2_grpc

_ROUNDS = 5
_SECONDS = 1.5
_IN_FLIGHT = 32

_SOURCES = """
[sources.civil-affairs]
kind = "sql"
department = "示例民政局"
url = "sqlite:///{file}"
[sources.civil-affairs.facts.marriage-registration]
statement = "SELECT id_number, name, status FROM marriage WHERE id_number IN :keys"
key = "id_number"
name = "name"
columns = {{ status = "status" }}
values = {{ status = {{ "20" = "MARRIED", "30" = "WIDOWED", "40" = "DIVORCED" }} }}
"""


def main(console: Console) -> None:
    """Measure in a temporary house and print the table."""
    with tempfile.TemporaryDirectory(prefix="chengxin-bench-") as folder:
        home = Path(folder)
        people = population(1, 2000)
        civil_affairs.build(home / "civil.sqlite3", people)
        sources = _SOURCES.format(file=home / "civil.sqlite3")
        house = found(home / "var", now=datetime.now(UTC), sources=sources, listen="127.0.0.1:0")
        echoes, verifies = [], []
        with (home / "log").open("w", encoding="utf-8") as stream:
            logs.configure(stream)
            for _ in track(range(_ROUNDS), description="measuring", console=console, transient=True):
                echo, verify = asyncio.run(_served(house, people[0].name, people[0].id_number))
                echoes.append(echo)
                verifies.append(verify)
    table = Table(title=f"medians of {_ROUNDS} rounds, alternating, one machine, load generator included")
    for column in ("what", "per second", "beside it", "per second", "ratio"):
        table.add_column(column, justify="left" if column in ("what", "beside it") else "right")
    _row(table, "Verify over mTLS, one process, all on", verifies, "bare grpc.aio echo over mTLS", echoes)
    console.print(table)


def _row(table: Table, what: str, ours: list[float], beside: str, theirs: list[float]) -> None:
    ratio = statistics.median(one / other for one, other in zip(ours, theirs, strict=True))
    mine, other = statistics.median(ours), statistics.median(theirs)
    table.add_row(what, f"{mine:,.0f}", beside, f"{other:,.0f}", f"{ratio:.2f}")


async def _served(house: House, name: str, number: str) -> tuple[float, float]:
    """Serve in this process and call over loopback; echo and verify calls a second."""
    stop, port = asyncio.Event(), asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(Gateway(load_settings(house.config)).serve(port.set_result, stop))
    certificate, key = house.pair("clerk")
    echo, echo_port = await _echo_server(house)
    try:
        async with (
            open_channel(
                f"127.0.0.1:{await port}", authority=house.authority, certificate=certificate, key=key
            ) as ours,
            open_channel(f"127.0.0.1:{echo_port}", authority=house.authority, certificate=certificate, key=key) as bare,
        ):
            stub = verification_pb2_grpc.VerificationServiceStub(ours)
            raw: aio.UnaryUnaryMultiCallable[bytes, bytes] = bare.unary_unary("/bench.Echo/Echo")
            payload = _question(name, number).SerializeToString()

            async def verify() -> None:
                await stub.Verify(_question(name, number), timeout=10)

            async def call() -> None:
                await raw(payload, timeout=10)

            return await _rate(call, _IN_FLIGHT), await _rate(verify, _IN_FLIGHT)
    finally:
        await echo.stop(None)
        stop.set()
        await serving


def _question(name: str, number: str) -> verification_pb2.VerifyRequest:
    operator = parties_pb2.Operator(person="clerk-01", unit=SYSTEMS["clerk"][0])
    return verification_pb2.VerifyRequest(
        request_id=str(uuid.uuid4()),
        context=parties_pb2.CaseContext(
            matter="230000-CIV-005", case_id="bench", purpose="办理行政确认", operator=operator
        ),
        item="marital-status",
        subject=parties_pb2.Subject(id_type=parties_pb2.ID_TYPE_RESIDENT_ID, id_number=number, name=name),
        parameters={"status": parties_pb2.Value(text="MARRIED")},
    )


async def _echo_server(house: House) -> tuple[aio.Server, int]:
    class Echo(grpc.GenericRpcHandler):
        def service(self, _details: grpc.HandlerCallDetails) -> Any:
            async def echo(request: bytes, _context: object) -> bytes:
                return request + request

            return grpc.unary_unary_rpc_method_handler(echo)

    server = aio.server()
    server.add_generic_rpc_handlers((Echo(),))
    certificate, key = house.pair("server")
    credentials = grpc.ssl_server_credentials(
        [(key.read_bytes(), certificate.read_bytes())], house.authority.read_bytes(), require_client_auth=True
    )
    port = server.add_secure_port("127.0.0.1:0", credentials)
    await server.start()
    return server, port


async def _rate(call: Callable[[], Awaitable[None]], callers: int) -> float:
    """Call in a closed loop from many callers for a while, after a short warm-up; calls a second."""
    done = 0

    async def caller(ends: float) -> None:
        nonlocal done
        while time.perf_counter() < ends:
            await call()
            done += 1

    await asyncio.gather(*(call() for _ in range(callers)))
    started = time.perf_counter()
    await asyncio.gather(*(caller(started + _SECONDS) for _ in range(callers)))
    return done / (time.perf_counter() - started)
