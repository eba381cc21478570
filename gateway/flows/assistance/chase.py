"""Chase: what the clock says of open requests for assistance; reminders at parts of the time, and what is overdue."""

from __future__ import annotations

import asyncio

from gateway.errors import ClockBehind, DocumentErased, TransitionNotAllowed
from gateway.flows.assistance.assist import Assist
from gateway.flows.verification.people import ASSISTANCE
from gateway.rules.people import OPEN
from ledger import Ledger, RecordChanged, RecordRow

_PAGE = 256
_TURN = "assistance-clocks"


class Chase:
    """Watches the clocks of open requests: reminds at parts of the time, and notes what is overdue.

    Gateways that share a ledger take turns, so that nobody is reminded twice.
    """

    def __init__(
        self, *, ledger: Ledger, assist: Assist, stopping: asyncio.Event, patience: float
    ) -> None:  # fmt: skip
        self._ledger = ledger
        self._assist = assist
        self._stopping = stopping
        self._patience = patience

    async def __call__(self) -> int:
        """Note what time says of every open request; returns of how many. Stops early when the gateway is to stop."""
        async with self._ledger.turn(_TURN) as mine:
            return await self._round() if mine else 0

    async def _round(self) -> int:
        noted, after = 0, -1
        register = self._ledger.register()
        while not self._stopping.is_set():
            edge = after
            page = await self._ledger.read(
                lambda edge=edge: register.in_state(ASSISTANCE, OPEN, after_idx=edge, limit=_PAGE)  # type: ignore[misc]
            )
            if not page:
                break
            for row in page:
                if self._stopping.is_set():
                    break
                noted += await self._one(row)
            after = page[-1].first_idx
        return noted

    async def _one(self, row: RecordRow) -> bool:
        deadline = asyncio.get_running_loop().time() + self._patience
        try:
            return await self._assist.note_time(row, deadline)
        except (TransitionNotAllowed, DocumentErased):
            return False  # it was answered, or erased, at the same moment
        except (TimeoutError, ClockBehind, RecordChanged):
            return False  # the next round comes
