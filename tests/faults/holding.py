"""A real proxy that lets a request through and keeps the answer to itself: what is durable then was told to nobody."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Holding:
    """Passes bytes on both ways. Once armed, the first connection whose client has said all `signs` in their order has
    what it said passed on, and nothing that the server says on it arrives any more."""

    def __init__(self, reach: Callable[[], Awaitable[Streams]], signs: Sequence[bytes] = (b"",)) -> None:
        self._reach = reach
        self._signs = signs
        self._armed = False
        self._tasks: set[asyncio.Task[None]] = set()

    def arm(self) -> None:
        """Hold the answer to the next request."""
        self._armed = True

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            upstream, downstream = await self._reach()
        except OSError:  # nobody serves there at the moment
            writer.close()
            return
        holding = asyncio.Event()
        try:
            # A cancelled connection handler must end quietly: asyncio reports it as an error otherwise.
            with suppress(ConnectionError, asyncio.CancelledError):
                await asyncio.wait(
                    (
                        asyncio.ensure_future(self._ask(reader, downstream, holding)),
                        asyncio.ensure_future(_answer(upstream, writer, holding)),
                    ),
                    return_when=asyncio.FIRST_COMPLETED,
                )
        finally:
            for stream in (downstream, writer):
                stream.close()

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, holding: asyncio.Event) -> None:
        left: list[bytes] = []
        with suppress(ConnectionError):
            while octets := await reader.read(65536):
                if self._armed:
                    left = left or list(self._signs)
                    if left[0] in octets and len(left) == 1:
                        self._armed = False
                        holding.set()
                    elif left[0] in octets:
                        left.pop(0)
                writer.write(octets)
                await writer.drain()

    async def close(self) -> None:
        """End every connection."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, holding: asyncio.Event) -> None:
    with suppress(ConnectionError):
        while octets := await reader.read(65536):
            if not holding.is_set():
                writer.write(octets)
                await writer.drain()


@asynccontextmanager
async def before_socket(path: Path, server: Path) -> AsyncIterator[Holding]:
    """Listen at a unix socket for a server at another."""
    holding = Holding(lambda: asyncio.open_unix_connection(server))
    listening = await asyncio.start_unix_server(holding.serve, path)
    try:
        yield holding
    finally:
        listening.close()
        await holding.close()


@asynccontextmanager
async def before_postgres(folder: str) -> AsyncIterator[tuple[Holding, int]]:
    """Listen at a loopback port for the PostgreSQL whose socket is in a folder; gives the port too.

    What is held is the answer to the COMMIT of a transaction that wrote the entry of a verification.
    """
    signs = (b'"kind":"Verification', b"COMMIT\x00")
    holding = Holding(lambda: asyncio.open_unix_connection(f"{folder}/.s.PGSQL.5432"), signs)
    listening = await asyncio.start_server(holding.serve, "127.0.0.1", 0)
    try:
        yield holding, listening.sockets[0].getsockname()[1]
    finally:
        listening.close()
        await holding.close()
