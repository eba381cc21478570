"""Patience: a source that is away may delay a case for so long and no longer; then people are asked.

How long a case has been put off is read from its own answers in the ledger: since the first of those that said to ask
again, one after the other, up to the newest. An answer that said anything else begins anew.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from gateway.errors import DocumentErased
from gateway.flows.look_up import ANSWER, LookUp
from gateway.rules.fallback import StepKind
from gateway.rules.kept import table
from ledger import Ledger, RecordRow

_MOST = 200
"""Answers of a case that are looked at: who asks more often than that has been patient enough."""


class Patience:
    """Tells whether a case has been put off long enough."""

    def __init__(self, *, ledger: Ledger, look_up: LookUp) -> None:
        self._cases = ledger.lookups(ledger.register().by_cases, few=False)
        self._look_up = look_up

    async def has_passed(
        self, patience: timedelta, *, case_key: bytes, item: str, subject: bytes, now: datetime
    ) -> bool:
        """Say whether a question of a case, put off once more now, would be put off beyond the matter's patience."""
        if not patience:
            return True
        rows = (await self._cases.find((case_key,))).get(case_key, [])
        asked = [row for row in rows if _is_answer(row) and row.item == item and row.subject == subject]
        # Only what would be too long ago needs to be read at all.
        if not asked or now - asked[0].opened_at < patience:
            return False
        for row in reversed(asked[-_MOST:]):
            if not await self._was_put_off(row):
                return False
            if now - row.opened_at >= patience:
                return True
        return True

    async def _was_put_off(self, row: RecordRow) -> bool:
        try:
            answer = table((await self._look_up.document(row.record, row.first_idx))[ANSWER])
        except DocumentErased:
            return False
        return table(answer["next_step"])["kind"] == StepKind.RETRY_AFTER.value


def _is_answer(row: RecordRow) -> bool:
    # What is asked again about a commitment has it as its parent, and belongs to an audit and not to the case.
    return row.family == "verification" and row.state == "ANSWERED" and row.parent is None
