"""Connections of strangers: closed in time, and never too many, over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from ledger import connections
from ledger.connections import bounded_http, origin_form, raise_descriptor_limit, share_of_descriptors

WITHIN = 0.3
LARGE = 16 << 20
"""Bytes; more than the buffers of a connection hold."""


_OPEN: list[asyncio.StreamWriter] = []


async def connect(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    _OPEN.append(writer)
    return reader, writer


async def told(request: Request) -> Response:
    await asyncio.sleep(float(request.query_params.get("after", 0)))
    return PlainTextResponse(request.url.path)


async def large(_: Request) -> Response:
    return Response(bytes(LARGE))


@asynccontextmanager
async def serving(most: int = 8) -> AsyncIterator[int]:
    application = Starlette(routes=[Route("/checkpoint", told), Route("/large", large)])
    config = uvicorn.Config(
        origin_form(application), http=bounded_http(most, within=WITHIN), lifespan="off", log_config=None
    )  # type: ignore[arg-type]
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        task = asyncio.create_task(server._serve([listening]))
        while not server.started:
            await asyncio.sleep(0.01)
        try:
            yield listening.getsockname()[1]
        finally:
            for writer in _OPEN:
                writer.close()
                with contextlib.suppress(ConnectionError):
                    await writer.wait_closed()
            _OPEN.clear()
            server.should_exit = True
            await task


async def answer(port: int, target: str = "/checkpoint") -> bytes:
    reader, writer = await connect(port)
    writer.write(f"GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
    with contextlib.suppress(ConnectionError):
        return await reader.read()
    return b""


async def lasted(reader: asyncio.StreamReader) -> float:
    began = time.monotonic()
    with contextlib.suppress(ConnectionError):
        while await reader.read(1000):
            pass
    return time.monotonic() - began


@pytest.mark.parametrize("sent", [b"", b"GET /che", b"GET /checkpoint HTTP/1.1\r\nHost: a\r\nX-"])
async def test_a_connection_without_a_whole_request_is_closed(sent: bytes) -> None:
    async with serving() as port:
        reader, writer = await connect(port)
        writer.write(sent)
        assert await asyncio.wait_for(lasted(reader), 5) < 3


async def test_a_dripped_request_and_a_dripped_second_one_are_closed() -> None:
    async with serving() as port:
        for first in (b"", b"GET /checkpoint HTTP/1.1\r\nHost: a\r\nContent-Length: 9999\r\n\r\n"):
            reader, writer = await connect(port)
            writer.write(first or b"GET /checkpoint HTTP/1.1\r\nX: ")
            ends = asyncio.create_task(lasted(reader))
            until = time.monotonic() + 5
            with contextlib.suppress(ConnectionError):
                while not ends.done() and time.monotonic() < until:
                    writer.write(b"x")
                    await asyncio.sleep(0.05)
            assert ends.done()


async def test_an_answer_may_take_longer_and_a_connection_serves_several() -> None:
    async with serving() as port:
        assert b"200 OK" in await answer(port, f"/checkpoint?after={3 * WITHIN}")
        reader, writer = await connect(port)
        for _ in range(4):
            writer.write(b"GET /checkpoint HTTP/1.1\r\nHost: a\r\n\r\n")
            assert b"200 OK" in await reader.readuntil(b"\r\n\r\n")
            assert await reader.readexactly(11) == b"/checkpoint"
            await asyncio.sleep(WITHIN / 2)
        writer.close()


async def read_slowly(port: int, seconds: float) -> tuple[int, float]:
    """Read a large answer over some seconds, and tell how much came and when the connection ended after that."""
    reader, writer = await connect(port)
    writer.write(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
    await reader.readuntil(b"\r\n\r\n")
    got, parts = 0, 64
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
        for _ in range(parts):
            got += len(await reader.readexactly(LARGE // parts))
            await asyncio.sleep(seconds / parts)
    return got, await asyncio.wait_for(lasted(reader), 5)


async def test_a_large_answer_has_the_time_of_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "_LOOK_EVERY", 0.05)
    async with serving() as port:
        got, more = await read_slowly(port, 5 * WITHIN)
        assert got == LARGE
        assert more < 3
        monkeypatch.setattr(connections, "ANSWER_WITHIN", WITHIN)
        assert (await read_slowly(port, 5 * WITHIN))[0] < LARGE


async def test_beyond_the_most_connections_newcomers_are_closed_until_the_time_of_others_is_over() -> None:
    async with serving(most=3) as port:
        idle = [await connect(port) for _ in range(12)]
        await asyncio.sleep(WITHIN / 3)
        ends = await asyncio.gather(*(lasted(reader) for reader, _ in idle))
        assert sum(seconds < WITHIN / 3 for seconds in ends) == 9
        assert b"200 OK" in await answer(port)


@pytest.mark.parametrize("target", ["http://log.example/checkpoint", "https://log.example:8/checkpoint", "/checkpoint"])
async def test_targets_may_be_in_absolute_form(target: str) -> None:
    async with serving() as port:
        got = await answer(port, target)
        assert got.startswith(b"HTTP/1.1 200")
        assert got.endswith(b"/checkpoint")
        assert (await answer(port, "http://log.example")).startswith(b"HTTP/1.1 404")


def test_the_limit_of_descriptors_is_raised_and_shared() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, before[1]), before[1]))
        assert share_of_descriptors(512) == 64
        assert share_of_descriptors(10) == 10
        raised = raise_descriptor_limit()
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == raised > 256
        assert raise_descriptor_limit() == raised
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
