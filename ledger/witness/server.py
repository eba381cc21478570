"""The witness over HTTP (https://c2sp.org/tlog-witness).

    POST <prefix>/add-checkpoint                 cosign
    GET  <prefix>/<origin hash>/checkpoint       the newest checkpoint cosigned, for monitors
    GET  <prefix>/healthz                        `ok` while the state can be read

Nobody's address is logged; there is nothing to authenticate but the signature of the log.
"""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from ledger.connections import bounded_http, origin_form, raise_descriptor_limit, share_of_descriptors
from ledger.errors import WitnessStateError
from ledger.witness.protocol import ADD_CHECKPOINT, LONGEST_REQUEST, SIZE_TYPE, format_answer, format_size
from ledger.witness.witness import Refused, Witness

Telling = Callable[[int, str], None]
"""Told the status and the reason of every answer; neither holds anything of a person."""
_CONNECTIONS = 256
_UNTYPED = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}


def application(witness: Witness, *, prefix: str = "", patience: float = 10.0, tell: Telling) -> Starlette:
    """Make the ASGI application; a request's body must have arrived within `patience` seconds."""

    async def add_checkpoint(request: Request) -> Response:
        body = await _body(request, patience)
        lines = await run_in_threadpool(witness.add_checkpoint, body)
        tell(200, "cosigned")
        return Response(format_answer(lines), media_type="text/plain; charset=utf-8", headers=_UNTYPED)

    async def checkpoint(request: Request) -> Response:
        note = await run_in_threadpool(witness.checkpoint, request.path_params["name"])
        return Response(note, media_type="text/plain; charset=utf-8", headers=_UNTYPED)

    async def health(_: Request) -> Response:
        await run_in_threadpool(witness.check)
        return PlainTextResponse("ok\n", headers=_UNTYPED)

    def refuse(endpoint: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            try:
                return await endpoint(request)
            except Refused as refusal:
                tell(refusal.status, str(refusal))
                return _refusal(refusal)
            except WitnessStateError as failure:
                tell(503, str(failure))
                return _refusal(Refused(503, "the state of this witness cannot be used now"))

        return answer

    return Starlette(
        routes=[
            Route(f"{prefix}/{ADD_CHECKPOINT}", refuse(add_checkpoint), methods=["POST"]),
            Route(f"{prefix}/healthz", refuse(health), methods=["GET"]),
            Route(f"{prefix}/{{name}}/checkpoint", refuse(checkpoint), methods=["GET"]),
        ]
    )


async def _body(request: Request, patience: float) -> bytes:
    received = bytearray()
    try:
        async with asyncio.timeout(patience):
            async for chunk in request.stream():
                received += chunk
                if len(received) > LONGEST_REQUEST:
                    raise Refused(413, "the request is too long")
    except TimeoutError:
        raise Refused(408, "the request did not arrive in time") from None
    except ClientDisconnect:
        raise Refused(400, "the request did not arrive") from None
    return bytes(received)


def _refusal(refusal: Refused) -> Response:
    if refusal.size is not None:
        # The type must stand alone: a charset parameter would be another type to a strict client.
        headers = {**_UNTYPED, "Content-Type": SIZE_TYPE}
        return Response(format_size(refusal.size), status_code=refusal.status, headers=headers)
    return PlainTextResponse(f"{refusal}\n", status_code=refusal.status, headers=_UNTYPED)


def serve(
    app: Starlette,
    *,
    host: str,
    port: int,
    ready: Callable[[int], None],
    certificate_file: Path | None = None,
    key_file: Path | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT, and let running requests end; `ready` is told the port (0 takes a free one).

    With a certificate and its key, over TLS.
    """
    raise_descriptor_limit()
    config = uvicorn.Config(
        origin_form(app),
        http=bounded_http(share_of_descriptors(_CONNECTIONS)),
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        timeout_graceful_shutdown=10,
        ssl_certfile=certificate_file,
        ssl_keyfile=None if key_file is None else str(key_file),
    )
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(256)
        # The server raises again, to whoever handled them before, the signals that stopped it.
        for stop in (signal.SIGTERM, signal.SIGINT):
            signal.signal(stop, lambda _number, _frame: None)
        ready(listening.getsockname()[1])
        uvicorn.Server(config).run(sockets=[listening])
