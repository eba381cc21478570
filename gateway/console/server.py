"""The HTTP server: the one file that knows which implementation serves (uvicorn, in the gateway's own event loop)."""

from __future__ import annotations

import asyncio
import math
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import uvicorn

from gateway.errors import ConfigurationError
from ledger.connections import REQUEST_WITHIN, bounded_http, origin_form, share_of_descriptors

_CONNECTIONS = 512


class _Server(uvicorn.Server):
    """Leaves the signals to the gateway, and says when it answers."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.answering = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.answering.set()


@asynccontextmanager
async def http_server(
    application: Any, *, host: str, port: int, drain: float, within: float = REQUEST_WITHIN
) -> AsyncIterator[int]:
    """Serve an ASGI application until the block ends, and give the port; running answers get `drain` seconds to end.

    A connection on which no whole request comes `within` seconds is closed, and so are those that are too many.

    Raises:
        ConfigurationError: the address cannot be bound.
    """
    listener = _bind(host, port)
    config = uvicorn.Config(
        origin_form(application),
        http=bounded_http(share_of_descriptors(_CONNECTIONS), within=within),
        lifespan="off",
        loop="none",
        ws="none",
        log_config=None,
        access_log=False,  # addresses of readers are personal data
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=max(1, math.ceil(drain)),
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve([listener]))
    try:
        await _first(serving, server.answering)
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        await serving
        listener.close()


async def _first(serving: asyncio.Task[None], answering: asyncio.Event) -> None:
    """Wait until the server answers, or has failed."""
    waiting = asyncio.create_task(answering.wait())
    await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if serving.done():
        serving.result()


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=256)
    except OSError as failure:
        mistake = f"listen: {host} port {port} cannot be bound ({failure.strerror})"
        raise ConfigurationError("publication", [mistake]) from failure
