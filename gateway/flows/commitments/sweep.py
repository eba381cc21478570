"""Sweep: what ends by itself is recorded when its time is over, whether or not anybody comes back to it.

A document that was not signed in time expires; a commitment upon which no decision came lapses. One process of a
gateway sweeps; where several gateways share a ledger, the record's life lets each end be recorded once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.errors import TransitionNotAllowed
from gateway.flows.act import onto
from gateway.flows.commitments.documents import UNDECIDED
from gateway.flows.end_due import PAGE, end_due
from gateway.flows.once import Once
from gateway.rules.clocks import is_over
from ledger import Ledger, RecordChanged, RecordRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """How many documents expired and how many commitments lapsed."""

    expired: int
    lapsed: int


class Sweep:
    """Ends what ran out of time."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        once: Once,
        stopping: asyncio.Event,
        now: Callable[[], datetime],
        page: int = PAGE,
    ) -> None:
        self._ledger = ledger
        self._once = once
        self._stopping = stopping
        self._now = now
        self._size = page

    async def __call__(self) -> Swept:
        """End everything that is over now; stops early, between two pages, when the gateway is about to stop."""
        return Swept(
            expired=await self._end(("PREPARED",), "CommitmentExpired"),
            lapsed=await self._end(UNDECIDED, "CommitmentLapsed"),
        )

    async def _end(self, states: Sequence[str], kind: str) -> int:
        now = self._now()
        return await end_due(
            self._ledger, "commitment", states, lambda row: self._one(row, kind, now),
            before=now, stopping=self._stopping, page=self._size,
        )  # fmt: skip

    async def _one(self, row: RecordRow, kind: str, at: datetime) -> bool:
        if row.due_at is None or not is_over(row.due_at, at):
            return False
        try:
            await self._once.record(None, [onto(row, kind, facts={"due_at": None})], at=at)
        except (TransitionNotAllowed, RecordChanged):
            return False  # it was signed, decided or withdrawn at the same moment; or the next round comes
        return True
