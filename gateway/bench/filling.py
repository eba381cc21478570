"""A ledger with many entries, made by the ledger's own appends."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from datetime import UTC, datetime

import uvloop

from gateway.bootstrap.ledger import open_ledger
from gateway.config import LedgerSettings
from ledger import Draft, Idempotency, Ledger, Submission, new_record

_CALL = 512


def fill(settings: LedgerSettings, entries: int, tell: Callable[[str], object]) -> None:
    """Append until the ledger has as many entries; takes about half a minute for a million."""

    def now() -> datetime:
        return datetime.now(UTC)

    with open_ledger(settings, now=now) as ledger:
        left = entries - ledger.size()
        if left > 0:
            tell(f"appending {left:,} entries …")
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(_append(ledger, left, now))


async def _append(ledger: Ledger, entries: int, now: Callable[[], datetime]) -> None:
    left = iter(range(0, entries, _CALL))

    async def caller() -> None:
        for start in left:
            await ledger.append(_submission(min(_CALL, entries - start), now()))

    await asyncio.gather(*(caller() for _ in range(4)))


def _submission(entries: int, at: datetime) -> Submission:
    drafts = [Draft(kind="VerificationRefused", record=new_record(at, os.urandom)) for _ in range(entries)]
    key = int(at.timestamp() * 1000).to_bytes(6, "big") + os.urandom(10)
    return Submission(tuple(drafts), at, Idempotency(key, bytes(32)))
