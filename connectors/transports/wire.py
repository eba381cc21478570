"""A connection on which nothing arrives unseen.

HTTP has no other sign of which answer is to which question than their order. One answer too many on a connection that
is kept would give everybody after it the answer to the question before. So whatever a service says beyond the answer to
what it was asked makes its connection useless, also while nobody asks; and a service that once did that is no longer
asked twice on any connection, for the surplus may arrive only after the next question was sent.
"""

from __future__ import annotations

import asyncio
import select
import ssl
from collections.abc import Iterable
from typing import Any

import httpcore
import structlog

_log = structlog.get_logger(__name__)
_MOST_UNREAD = 256 * 1024


class Trust:
    """Whether a source has ever said more than it was asked, on any of its connections."""

    def __init__(self, source: str) -> None:
        self._source = source
        self.holds = True

    def lose(self) -> None:
        """Note that it has."""
        if self.holds:
            _log.warning("source says more than it was asked", source=self._source)
        self.holds = False


class Wire(asyncio.Protocol, httpcore.AsyncNetworkStream):
    """A TCP connection, with or without TLS, that knows of everything that has arrived on it.

    It is at rest until a question is written to it, and again when `rest` says that the answer was read.
    """

    def __init__(self, trust: Trust) -> None:
        self._trust = trust
        self._transport: Any = None
        self._arrived = bytearray()
        self._changed = asyncio.Event()
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._is_over = False
        self._is_broken = False
        self._is_spoilt = False
        self._is_at_rest = True
        self._questions = 0

    @classmethod
    async def open(cls, address: str, port: int, *, within: float | None, own: str | None, trust: Trust) -> Wire:
        """Connect to an address, from an `own` one where that matters.

        Raises:
            httpcore.ConnectError: it does not let us.
            httpcore.ConnectTimeout: not in time.
        """
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(within):
                _, wire = await loop.create_connection(
                    lambda: cls(trust), address, port, local_addr=(own, 0) if own else None
                )
        except TimeoutError:
            raise httpcore.ConnectTimeout("no connection in time") from None
        except OSError as error:
            raise httpcore.ConnectError(type(error).__name__) from error
        return wire

    def set(self, options: Iterable[Any]) -> None:
        """Set options of the socket, each as `socket.setsockopt` takes it."""
        for option in options:
            self._transport.get_extra_info("socket").setsockopt(*option)

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 (the interface has it)
    ) -> httpcore.AsyncNetworkStream:
        """Go on under TLS.

        Raises:
            httpcore.ConnectError: the other side is not who it must be, or does not speak TLS.
            httpcore.ConnectTimeout: not within `timeout`.
        """
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(timeout):
                self._transport = await loop.start_tls(
                    self._transport, self, ssl_context, server_hostname=server_hostname
                )
        except TimeoutError:
            await self.aclose()
            raise httpcore.ConnectTimeout("no TLS in time") from None
        except OSError as error:  # errors of TLS too
            await self.aclose()
            raise httpcore.ConnectError(type(error).__name__) from error
        return self

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        """Write a part of a question.

        Raises:
            httpcore.ConnectionNotAvailable: it would be another question on a connection that is of no use any more.
            httpcore.RemoteProtocolError: the other side spoke before it was asked anything.
            httpcore.WriteError: the connection has ended.
            httpcore.WriteTimeout: the other side takes nothing.
        """
        if self._is_at_rest:
            self._begin()  # in one step with writing: nothing arrives in between
        if self._is_over or self._transport.is_closing():
            raise httpcore.WriteError("the connection has ended")
        self._transport.write(buffer)
        if not self._has_room.is_set():
            await self._within(self._has_room, timeout, httpcore.WriteTimeout)

    def _begin(self) -> None:
        if self._questions and self._is_useless():
            raise httpcore.ConnectionNotAvailable
        if self._arrived:
            self._trust.lose()
            raise httpcore.RemoteProtocolError("an answer before any question")
        self._is_at_rest = False
        self._questions += 1

    def _is_useless(self) -> bool:
        """Say whether a connection that was used is of no use any more: it has ended, or there is something to read."""
        return (
            self._is_over
            or self._is_spoilt
            or bool(self._arrived)
            or not self._trust.holds
            or _is_readable(self._transport.get_extra_info("socket"))
        )

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        """Read what has arrived, or wait for something; nothing when the other side has ended.

        Raises:
            httpcore.ReadError: the connection was broken off.
            httpcore.ReadTimeout: nothing arrived within `timeout`.
        """
        while not self._arrived and not self._is_over:
            self._changed.clear()
            await self._within(self._changed, timeout, httpcore.ReadTimeout)
        if not self._arrived and self._is_broken:
            raise httpcore.ReadError("the connection was broken off")
        read = bytes(self._arrived[:max_bytes])
        del self._arrived[:max_bytes]
        if len(self._arrived) < _MOST_UNREAD and not self._is_over:
            self._transport.resume_reading()
        return read

    async def _within(self, happened: asyncio.Event, seconds: float | None, late: type[Exception]) -> None:
        try:
            async with asyncio.timeout(seconds):
                await happened.wait()
        except TimeoutError:
            raise late from None

    def rest(self, left: bytes) -> None:
        """Say that an answer was read to its end, and what the reader has beyond it.

        Raises:
            httpcore.RemoteProtocolError: there is more, and others were asked on this connection before: nobody knows
                which of the answers is to this question.
        """
        surplus = left + self._arrived
        self._is_at_rest = True
        self._is_spoilt |= bool(surplus)
        if surplus.strip():  # an end of line too many is no answer to anybody
            self._trust.lose()
            if self._questions > 1:
                raise httpcore.RemoteProtocolError("more than one answer")

    async def aclose(self) -> None:
        """Close the connection."""
        self._is_over = True
        self._transport.abort()
        await asyncio.sleep(0)  # the loop closes the socket

    def get_extra_info(self, info: str) -> Any:
        """Tell the `ssl_object`; and `is_readable`, by which the pool tells connections that it must not use again."""
        if info == "is_readable":
            return self._is_useless()
        return self._transport.get_extra_info(info) if info in ("ssl_object", "socket") else None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Keep what arrives; at rest it is more than was asked for."""
        if self._is_at_rest and self._questions and data.strip():
            self._trust.lose()
        self._arrived += data
        if len(self._arrived) >= _MOST_UNREAD:
            self._transport.pause_reading()
        self._changed.set()

    def eof_received(self) -> None:
        """Note the end of what the other side says; the transport closes."""
        self._end()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note the end of the connection."""
        self._is_broken = exc is not None
        self._end()

    def _end(self) -> None:
        self._is_over = True
        self._changed.set()
        self._has_room.set()

    def pause_writing(self) -> None:
        """Let writers wait."""
        self._has_room.clear()

    def resume_writing(self) -> None:
        """Let writers go on."""
        self._has_room.set()


def _is_readable(wire: Any) -> bool:
    """Say whether the operating system has something to read (or an end) that the loop has not come to yet."""
    if wire is None or wire.fileno() < 0:
        return True
    look = select.poll()
    look.register(wire.fileno(), select.POLLIN)
    return bool(look.poll(0))
