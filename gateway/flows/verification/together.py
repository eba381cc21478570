"""Together: claims of a batch that ask one source for the same purpose go to it in one call.

A source is told with every question who asks, for which case and why, so only claims under the same context can share a
call; where a source does not look at the context, its connector joins the calls of all callers by itself. At most
`lanes` calls of batches are at one source at a time. The others wait here: a batch that does not hurry must not fill
the source's own queue, which would turn away those who stand at a window.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from msgspec.structs import replace

from connectors.bell import Bell
from connectors.connector import Claim, Connector, Health, Manifest, QueryContext
from connectors.outcome import Cause, Evidence, unavailable

_ENDLESS = 0.0
"""Stands for the deadline where only the rest of a context is compared."""


@dataclass(slots=True, kw_only=True, eq=False)
class _Call:
    """Claims that travel in one call, how many callers still wait for it, whether it has left, and when it is back."""

    context: QueryContext
    claims: list[Claim] = field(default_factory=list)
    waiting: int = 0
    has_left: bool = False
    back: Bell = field(default_factory=Bell)


class Together:
    """A connector that joins calls until they leave; `most` claims travel in one call."""

    def __init__(self, connector: Connector, *, lanes: int, now: Callable[[], datetime], most: int = 100) -> None:
        self._connector = connector
        self._joins_callers = connector.manifest.batch > 1
        # A source that takes many claims in one call joins those of many callers: there, each has room for its claim.
        self._lanes = asyncio.Semaphore(lanes * connector.manifest.batch)
        self._now = now
        self._most = most
        self._boarding: dict[QueryContext, tuple[_Call, asyncio.Task[list[Evidence]]]] = {}

    @property
    def manifest(self) -> Manifest:
        """What the source declares."""
        return self._connector.manifest

    async def check_many(self, claims: Sequence[Claim], context: QueryContext) -> list[Evidence]:
        """Answer each claim, in the same order; always (`connectors.resilience`), and by the context's deadline."""
        if self._joins_callers and not self._lanes.locked():
            async with self._lanes:  # there is room: what would be joined here is joined there
                return await self._connector.check_many(claims, context)
        asked_at = self._now()
        purpose = replace(context, deadline=_ENDLESS)
        call, task = self._call(purpose, context, len(claims))
        first = len(call.claims)
        call.claims.extend(claims)
        if context.deadline > call.context.deadline:
            call.context = context
        call.waiting += 1
        try:
            await call.back.heard(context.deadline)
            if task.done() and not task.cancelled():
                return task.result()[first : first + len(claims)]
            return [self._unanswered(claim, asked_at, was_asked=call.has_left) for claim in claims]
        finally:
            call.waiting -= 1
            if not call.waiting:
                self._close(purpose, call)  # before it is given up, so that nobody boards it any more
                task.cancel()

    def _call(
        self, purpose: QueryContext, context: QueryContext, claims: int
    ) -> tuple[_Call, asyncio.Task[list[Evidence]]]:
        boarding = self._boarding.get(purpose)
        if boarding is not None and len(boarding[0].claims) + claims <= self._most:
            return boarding
        call = _Call(context=context)
        task = asyncio.get_running_loop().create_task(self._fly(purpose, call))
        self._boarding[purpose] = (call, task)
        # Not in the task itself: one that is cancelled before its first step never enters its body.
        task.add_done_callback(lambda _: self._back(purpose, call))
        return call, task

    def _close(self, purpose: QueryContext, call: _Call) -> None:
        boarding = self._boarding.get(purpose)
        if boarding is not None and boarding[0] is call:
            del self._boarding[purpose]

    def _back(self, purpose: QueryContext, call: _Call) -> None:
        self._close(purpose, call)
        call.back.ring()

    async def _fly(self, purpose: QueryContext, call: _Call) -> list[Evidence]:
        async with self._lanes:
            self._close(purpose, call)
            call.has_left = True
            return await self._connector.check_many(tuple(call.claims), call.context)

    def _unanswered(self, claim: Claim, asked_at: datetime, *, was_asked: bool) -> Evidence:
        return Evidence(
            source=self.manifest.source,
            fact_type=claim.fact_type,
            outcome=unavailable(Cause.TIMEOUT if was_asked else Cause.OVERLOAD),
            asked_at=asked_at,
            answered_at=self._now(),
            attempts=int(was_asked),
        )

    async def probe(self) -> Health:
        """Say whether the source answers."""
        return await self._connector.probe()

    async def aclose(self) -> None:
        """Close the source."""
        await self._connector.aclose()
