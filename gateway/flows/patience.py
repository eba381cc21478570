"""Patience: a source that is away may delay a case for so long and no longer; then people are asked.

Since when a case has been put off stands in each answer that puts it off, and the next one carries it on. After an
answer that waits for nobody, it begins anew.
"""

from __future__ import annotations

from datetime import datetime

from gateway.errors import DocumentErased
from gateway.flows.look_up import ANSWER, LookUp
from gateway.rules.kept import moment, table
from ledger import Ledger, RecordRow


class Patience:
    """Tells since when a case has been put off."""

    def __init__(self, *, ledger: Ledger, look_up: LookUp) -> None:
        self._ledger = ledger
        self._look_up = look_up

    async def since(self, *, case_key: bytes, item: str, subject: bytes) -> datetime | None:
        """Say since when the answers about an item and a person in a case wait for sources; None if they do not."""
        newest = await self._ledger.read(lambda: self._newest(case_key, item, subject))
        if newest is None:
            return None
        try:
            answer = table((await self._look_up.document(newest.record, newest.first_idx))[ANSWER])
        except DocumentErased:
            return None
        return moment(table(answer["next_step"]).get("since"))

    def _newest(self, case_key: bytes, item: str, subject: bytes) -> RecordRow | None:
        # What is asked again about a commitment has it as its parent, and belongs to an audit and not to the case.
        return self._ledger.register().newest_of_case(
            case_key, item, subject=subject, family="verification", state="ANSWERED"
        )
