"""Look host names up in threads of one's own.

The event loop looks all names up in one small pool of threads that everybody shares: one department's dead name server
would fill it, and every other department would seem to be down.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Iterable
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address
from typing import Any

import httpcore
import httpx

from connectors.transports.wire import Trust, Wire

_THREADS = 2


class OwnResolver(httpcore.AsyncNetworkBackend):
    """Connects to names that were looked up in threads of its own, by wires that know of all that arrives."""

    def __init__(self, source: str) -> None:
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix=f"names-{source}")
        self._trust = Trust(source)

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 (the interface has it)
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the first address of a host that lets us.

        Raises:
            httpcore.ConnectError: the name is not known, or no address of it lets us.
            httpcore.ConnectTimeout: looking up and connecting took longer than `timeout`.
        """
        ends_at = None if timeout is None else asyncio.get_running_loop().time() + timeout
        try:
            async with asyncio.timeout_at(ends_at):
                addresses = await self._addresses(host, port)
                return await self._connected(addresses, port, ends_at, local_address, socket_options or ())
        except TimeoutError:
            raise httpcore.ConnectTimeout("no connection in time") from None

    async def _connected(
        self,
        addresses: list[str],
        port: int,
        ends_at: float | None,
        local_address: str | None,
        options: Iterable[Any],
    ) -> httpcore.AsyncNetworkStream:
        """Try one address after the other; one that is silent leaves time for the rest."""
        failed: Exception = httpcore.ConnectError("the name has no address")
        for index, address in enumerate(addresses):
            left = None if ends_at is None else ends_at - asyncio.get_running_loop().time()
            share = None if left is None else left / (len(addresses) - index)
            try:
                wire = await Wire.open(address, port, within=share, own=local_address, trust=self._trust)
                wire.set(options)
                return wire
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failed = error
        raise failed

    async def _addresses(self, host: str, port: int) -> list[str]:
        try:
            return [str(ip_address(host))]
        except ValueError:
            pass
        loop = asyncio.get_running_loop()
        try:
            found = await loop.run_in_executor(self._threads, socket.getaddrinfo, host, port, 0, socket.SOCK_STREAM)
        except OSError as error:
            raise httpcore.ConnectError(type(error).__name__) from None
        return list(dict.fromkeys(str(one[4][0]) for one in found))

    async def sleep(self, seconds: float) -> None:
        """Sleep."""
        await asyncio.sleep(seconds)

    def close(self) -> None:
        """Look nothing up any more; a look-up that hangs ends in its own time."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class _Body(httpx.AsyncByteStream):
    def __init__(self, stream: Any, wire: Wire) -> None:
        self._stream = stream
        self._wire = wire

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._stream:
            yield part
        self._wire.rest(_left(self._stream))

    async def aclose(self) -> None:
        await self._stream.aclose()


def _left(stream: Any) -> bytes:
    """Give what httpcore's parser holds beyond the answer that was read, which it shows nobody by itself."""
    left, _ = stream._stream._connection._h11_state.trailing_data
    return bytes(left)


class OwnTransport(httpx.AsyncBaseTransport):
    """A connection pool of httpcore under `OwnResolver`; its failures are httpcore's errors, not httpx's."""

    def __init__(self, source: str, *, tls: ssl.SSLContext, connections: int) -> None:
        self._resolver = OwnResolver(source)
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=tls,
            max_connections=connections,
            max_keepalive_connections=connections,
            keepalive_expiry=5.0,
            network_backend=self._resolver,
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and give the response once its head is there."""
        url = httpcore.URL(
            scheme=request.url.raw_scheme, host=request.url.raw_host, port=request.url.port, target=request.url.raw_path
        )
        assert isinstance(request.stream, httpx.AsyncByteStream)
        asked = httpcore.Request(
            method=request.method,
            url=url,
            headers=request.headers.raw,
            content=request.stream,
            extensions=request.extensions,
        )
        answer = await self._pool.handle_async_request(asked)
        wire = answer.extensions["network_stream"]
        return httpx.Response(
            status_code=answer.status,
            headers=answer.headers,
            stream=_Body(answer.stream, wire),
            extensions=answer.extensions,
        )

    async def aclose(self) -> None:
        """Close the pool."""
        await self._pool.aclose()
        self._resolver.close()
