"""Expire: the effect of a final finding ends with the time of its grade: display, sharing and our own use of it.

Who was told of it is told to end it, by the same way. One process of a gateway looks; where several gateways share a
ledger, or one ends in the middle of it, the lives of the records let each end be recorded once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime

from gateway.errors import ClockBehind, DocumentErased, TransitionNotAllowed
from gateway.flows.act import onto
from gateway.flows.audit.report import Report
from gateway.flows.end_due import PAGE, end_due
from gateway.flows.once import Once
from ledger import Ledger, RecordChanged, RecordRow


class Expire:
    """Ends what has effect no longer."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        once: Once,
        report: Report,
        stopping: asyncio.Event,
        now: Callable[[], datetime],
        page: int = PAGE,
    ) -> None:
        self._ledger = ledger
        self._once = once
        self._report = report
        self._stopping = stopping
        self._now = now
        self._size = page

    async def __call__(self) -> int:
        """End every finding whose effect is over, with its reports; give how many. Stops early, between two pages,
        when the gateway is about to stop."""
        now = self._now()
        return await end_due(
            self._ledger, "finding", ("FINAL",), lambda row: self._one(row, now),
            before=now, stopping=self._stopping, page=self._size,
        )  # fmt: skip

    async def _one(self, row: RecordRow, at: datetime) -> bool:
        try:
            reports = await self._report.ending(row, "ReportExpired", at)
            await self._once.record(None, [onto(row, "FindingExpired"), *reports], at=at)
        except (TransitionNotAllowed, DocumentErased):
            return False  # it was repaired, revoked or erased at the same moment
        except (RecordChanged, ClockBehind):
            return False  # the next round comes
        return True
