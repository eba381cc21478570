"""The published log over HTTP: the resources of https://c2sp.org/tlog-tiles, for anybody, as a plain ASGI application.

GET and HEAD, no state, no cookies, one spelling of each path; a web server may cache in front. Tiles are hashes and do
not compress; entry bundles are sent with gzip to whoever accepts it.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Protocol

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ledger.errors import LedgerDamaged, LedgerUnavailable, PathMalformed, ResourceMissing
from ledger.publication.paths import KEY_HISTORY
from ledger.publication.resources import Coding, Publication, Resource, text_resource

_log = structlog.get_logger()
_WEIGHT = re.compile(r"q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)", re.ASCII)
_AT_ONCE = 2
_WAITING = 128
_SECURITY = {
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    # A public log is meant to be read by pages of other origins, such as a verifier in a browser.
    "access-control-allow-origin": "*",
    "cross-origin-resource-policy": "cross-origin",
}


class Read(Protocol):
    """Runs a blocking read away from the event loop (`Ledger.read`)."""

    def __call__(self, question: Callable[[], Resource]) -> Awaitable[Resource]:
        """Run it and give its answer."""
        ...


def log_application(publication: Publication, read: Read, *, key_history: str | None = None) -> Starlette:
    """Build the application that serves one log, and the history of its keys (`format_key_history`) beside it.

    At most two reads run at once, so that the public never takes the ledger's readers from the gateway's own callers;
    beyond 128 waiting requests the answer is 503.
    """
    desk = _Desk(publication, read, None if key_history is None else text_resource(key_history.encode()))

    async def answer(request: Request) -> Response:
        return await desk.answer(request)

    async def refuse(_request: Request, refusal: Exception) -> Response:
        assert isinstance(refusal, HTTPException)
        return _refusal(refusal.status_code, dict(refusal.headers or {}))

    return Starlette(
        routes=[Route("/{path:path}", answer, methods=["GET", "HEAD"])], exception_handlers={HTTPException: refuse}
    )


class _Desk:
    def __init__(self, publication: Publication, read: Read, key_history: Resource | None) -> None:
        self._publication = publication
        self._read = read
        self._key_history = key_history
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._waiting = 0

    async def answer(self, request: Request) -> Response:
        path = str(request.path_params["path"])
        if b"%" in request.scope.get("raw_path", b""):
            return _refusal(400)  # an escaped path is another spelling, and would be another cache entry
        if path == KEY_HISTORY and self._key_history is not None:
            return _response(request, self._key_history)
        if self._waiting >= _WAITING:
            return _refusal(503, {"retry-after": "1"})
        coding: Coding = "gzip" if accepts_gzip(request.headers.get("accept-encoding", "")) else "identity"
        try:
            resource = await self._get(path, coding)
        except PathMalformed:
            return _refusal(400 if path.startswith("tile/") else 404)
        except ResourceMissing:
            return _refusal(404)
        except LedgerUnavailable:
            return _refusal(503, {"retry-after": "5"})
        except LedgerDamaged as damage:
            _log.error("published log damaged", error=str(damage))
            return _refusal(500)
        return _response(request, resource)

    async def _get(self, path: str, coding: Coding) -> Resource:
        self._waiting += 1
        try:
            async with self._places:
                return await self._read(lambda: self._publication.get(path, coding))
        finally:
            self._waiting -= 1


def _response(request: Request, resource: Resource) -> Response:
    headers = {**_SECURITY, "cache-control": resource.cache_control, "etag": resource.etag}
    if resource.varies:
        headers["vary"] = "accept-encoding"
    if _is_known(resource.etag, request.headers.get("if-none-match", "")):
        return Response(status_code=304, headers=headers)
    headers["content-type"] = resource.media_type
    headers["content-length"] = str(len(resource.body))
    if resource.coding != "identity":
        headers["content-encoding"] = resource.coding
    return Response(b"" if request.method == "HEAD" else resource.body, headers=headers)


def _refusal(status: int, headers: dict[str, str] | None = None) -> Response:
    return Response(status_code=status, headers={**_SECURITY, "cache-control": "no-store", **(headers or {})})


def _is_known(etag: str, if_none_match: str) -> bool:
    """Compare weakly, as RFC 9110, 13.1.2 has it for this header."""
    given = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return etag in given or given == ["*"]


def accepts_gzip(accept_encoding: str) -> bool:
    """Tell whether a client accepts gzip (RFC 9110, 12.5.3); what is malformed accepts nothing."""
    accepted: dict[str, bool] = {}
    for part in accept_encoding.lower().split(","):
        coding, separator, weight = (piece.strip() for piece in part.partition(";"))
        found = _WEIGHT.fullmatch(weight)
        accepted[coding] = not separator or (found is not None and found[1].strip("0.") != "")
    return accepted.get("gzip", accepted.get("*", False))
