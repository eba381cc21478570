"""A real TCP proxy in front of a database or service, which goes wrong on demand."""

from __future__ import annotations

import asyncio
import enum
import socket
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Reach = Callable[[], Awaitable[Streams]]


class Trouble(enum.Enum):
    """The ways in which a network between us and a source goes wrong."""

    NONE = "nothing is wrong"
    REFUSE = "each connection is reset as soon as it is made, and open ones at their next byte"
    SILENT = "connections are accepted, and nothing is ever said"
    DRIP = "what the server says arrives a byte a second"
    CUT = "the connection is reset when the server starts to answer a statement"
    HALF = "the connection is reset in the middle of an answer"
    BLACK_HOLE = "an open connection goes silent: nothing arrives any more, and it is not closed"
    FLAPPING = "every second connection is reset as soon as it is made"


class Proxy:
    """Passes bytes on to what `reach` opens; use as an asynchronous context manager, `port` is where it listens.

    A trouble set while connections are open befalls them too, from their next byte on.
    """

    def __init__(self, reach: Reach) -> None:
        self._reach = reach
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.trouble = Trouble.NONE
        self.connections = 0
        self.port = 0

    async def __aenter__(self) -> Proxy:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self.connections += 1
        # A cancelled connection handler must end quietly: asyncio reports it as an error otherwise.
        with suppress(ConnectionError, OSError, asyncio.CancelledError):
            await self._converse(reader, writer)
        writer.close()
        with suppress(ConnectionError, OSError, asyncio.CancelledError):
            await writer.wait_closed()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        flaps = self.trouble is Trouble.FLAPPING and self.connections % 2
        if self.trouble is Trouble.REFUSE or flaps:
            reset(writer)
            return
        if self.trouble is Trouble.SILENT:
            await reader.read()  # until the other side gives up
            return
        upstream, downstream = await self._reach()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(_pass(reader, downstream))
                group.create_task(self._answer(upstream, writer))
        except* (ConnectionError, OSError, asyncio.IncompleteReadError, EOFError):
            pass
        finally:
            downstream.close()
            with suppress(ConnectionError, OSError):
                await downstream.wait_closed()

    async def _answer(self, upstream: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while octets := await upstream.read(65536):
            match self.trouble:
                case Trouble.CUT | Trouble.REFUSE:
                    reset(writer)
                    raise ConnectionResetError
                case Trouble.HALF:
                    writer.write(octets[: len(octets) // 2])
                    await writer.drain()
                    reset(writer)
                    raise ConnectionResetError
                case Trouble.BLACK_HOLE:
                    continue
                case Trouble.DRIP:
                    await drip(writer, octets)
                case _:
                    writer.write(octets)
                    await writer.drain()
        raise EOFError


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while octets := await reader.read(65536):
        writer.write(octets)
        await writer.drain()
    raise EOFError  # ends the other direction too


async def drip(writer: asyncio.StreamWriter, octets: bytes) -> None:
    """Write a byte a second."""
    for octet in octets:
        writer.write(bytes([octet]))
        await writer.drain()
        await asyncio.sleep(1)


def reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST rather than FIN."""
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
