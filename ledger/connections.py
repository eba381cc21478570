"""HTTP connections of strangers (uvicorn's h11): each has little time, and there are never too many of them.

uvicorn times nothing but a connection that is silent between two requests, and counts connections only to answer 503:
whoever opens some hundred and sends half a request on each takes every file descriptor of the process.
"""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any, ClassVar

from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

REQUEST_WITHIN = 10.0
"""Seconds from the start of a connection, or the end of an answer on it, to the end of a request's head."""
ANSWER_WITHIN = 300.0
"""Seconds for an answer, however slowly it is read."""
FEW_DESCRIPTORS = 4096
"""With fewer file descriptors a process that serves many callers may run out of them."""
_MOST_DESCRIPTORS = 1 << 16
_LOOK_EVERY = 1.0
"""Seconds between two looks whether an answer has left."""

_Scope = MutableMapping[str, Any]
_Application = Callable[[_Scope, Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]], Awaitable[None]]


class _Bounded(H11Protocol):
    """One connection, which is closed when its time is over, or at once if there are enough others."""

    most: ClassVar[int]
    within: ClassVar[float]

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._ends: asyncio.TimerHandle | None = None
        self._looks: asyncio.TimerHandle | None = None
        self._answering: RequestResponseCycle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self.most:
            transport.abort()
        else:
            self._end_in(self.within)

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._ends, self._looks):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def handle_events(self) -> None:
        super().handle_events()
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is not None and cycle is not self._answering and not cycle.response_complete:
            self._answering = cycle
            self._end_in(ANSWER_WITHIN)

    def on_response_complete(self) -> None:
        self._look()  # before the next request, which may be here already, is begun
        super().on_response_complete()

    def _look(self) -> None:
        """Begin the time of the next request once the answer has left: it is complete when it is only buffered."""
        if self.transport.get_write_buffer_size() > 0:
            self._looks = self.loop.call_later(_LOOK_EVERY, self._look)
        else:
            self._end_in(self.within)

    def _end_in(self, seconds: float) -> None:
        for timer in (self._ends, self._looks):
            if timer is not None:
                timer.cancel()
        # Not `close`, which waits until the other side has read what was written.
        self._ends = self.loop.call_later(seconds, self.transport.abort)


def bounded_http(most: int, *, within: float = REQUEST_WITHIN) -> type[H11Protocol]:
    """Make the protocol of a uvicorn server that has at most `most` connections at once."""
    return type("BoundedHttp", (_Bounded,), {"most": most, "within": within})


def share_of_descriptors(most: int) -> int:
    """Return how many connections one HTTP server may have: `most`, and a quarter of the file descriptors at most."""
    return max(1, min(most, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 4))


def raise_descriptor_limit() -> int:
    """Allow this process as many file descriptors as it may take without privileges, and return the number."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _MOST_DESCRIPTORS)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return _MOST_DESCRIPTORS if soft == resource.RLIM_INFINITY else soft
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        return wanted
    return soft


def origin_form(application: _Application) -> _Application:
    """Accept targets in absolute form too (`GET http://host/checkpoint`), as a server must (RFC 9112, 3.2.2)."""

    async def answer(
        scope: _Scope, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]
    ) -> None:
        if scope["type"] == "http" and scope["path"].startswith(("http://", "https://")):
            raw = _path_of(scope["raw_path"].decode("ascii", "replace"))
            scope = {**scope, "path": _path_of(scope["path"]), "raw_path": raw.encode()}
        await application(scope, receive, send)

    return answer


def _path_of(target: str) -> str:
    return "/" + target.split("://", 1)[1].partition("/")[2]
