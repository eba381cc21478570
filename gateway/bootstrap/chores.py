"""What a running gateway does by the clock beside its calls: remembering and anchoring its newest checkpoint, ending
what ran out of time, asking again about commitments."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType
from typing import Self

import structlog

from gateway.errors import NotYetPublished
from ledger.errors import LedgerDamaged, LedgerError

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Chore:
    """One act: `first` after the start, `every` after a success, `retry` after a failure.

    A coroutine function is awaited on the event loop, and must end soon when the gateway is about to stop; anything
    else blocks, and is done in a thread.
    """

    name: str
    act: Callable[[], object]
    every: timedelta
    first: timedelta
    retry: timedelta
    at_close: bool = False
    """Whether it is done once more at the end."""


class Chores:
    """Does chores while the context is open. A failure is logged and never reaches a call; damage stops the gateway."""

    def __init__(self, chores: Sequence[Chore], stop: asyncio.Event) -> None:
        self._chores = chores
        self._stop = stop
        self._closing = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._damage: LedgerDamaged | None = None

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._tend(chore), name=chore.name) for chore in self._chores]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the chores; raises the damage one of them found, so that the process does not end as if all were well."""
        self._closing.set()
        await asyncio.gather(*self._tasks)
        if self._damage is not None and failure is None:
            raise self._damage

    def stop_for(self, damage: LedgerDamaged) -> None:
        """Stop the gateway for damage, whoever found it; on the event loop."""
        if self._damage is None:
            _log.critical("the ledger is damaged: stopping", reason=str(damage), error=type(damage).__name__)
            self._damage = damage
        self._stop.set()

    async def _tend(self, chore: Chore) -> None:
        pause = chore.first
        while not await self._closed_within(pause):
            pause = chore.every if await self._do(chore) else chore.retry
            if self._damage is not None:
                return
        if chore.at_close and self._damage is None:
            await self._do(chore)

    async def _do(self, chore: Chore) -> bool:
        try:
            if inspect.iscoroutinefunction(chore.act):
                await chore.act()
            else:
                await asyncio.to_thread(chore.act)
        except LedgerDamaged as damage:
            self.stop_for(damage)
            return False
        except (LedgerError, NotYetPublished, OSError) as failure:
            _log.warning("a chore failed", step=chore.name, error=type(failure).__name__, reason=str(failure))
            return False
        except Exception as failure:  # a fault here must not end the chore for good, nor go unheard
            _log.error("a chore failed", step=chore.name, error=type(failure).__name__)
            return False
        return True

    async def _closed_within(self, pause: timedelta) -> bool:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._closing.wait(), pause.total_seconds())
        return self._closing.is_set()
