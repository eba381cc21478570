"""Patience: a source that is away may delay a case for so long and no longer; then people are asked.

Since when a case has been put off stands in each answer that puts it off, and the next one to the same claim carries it
on. After an answer that waits for nobody, it begins anew.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime

from gateway.errors import DocumentErased
from gateway.flows.look_up import ANSWER, LookUp, answers_like
from gateway.flows.once import REQUEST
from gateway.rules.admission import Question, question_body
from gateway.rules.kept import moment, table
from gateway.rules.same_claim import is_same_claim
from ledger import Ledger, RecordRow

_MOST_READ = 200
"""How many earlier answers about one item and person in a case are looked through: nobody asks as often."""


class Patience:
    """Tells since when a case has been put off."""

    def __init__(self, *, ledger: Ledger, look_up: LookUp) -> None:
        self._ledger = ledger
        self._look_up = look_up

    async def since(self, question: Question, *, case_key: bytes, subject: bytes) -> datetime | None:
        """Say since when the answers to a claim in a case wait for sources; None if they do not."""
        asked = question_body(question)
        async for row in self._newest_first(question.item, case_key, subject):
            try:
                kept = await self._look_up.document(row.record, row.first_idx)
            except DocumentErased:
                continue
            if is_same_claim(table(kept[REQUEST]), asked):
                return moment(table(table(kept[ANSWER])["next_step"]).get("since"))
        return None

    async def _newest_first(self, item: str, case_key: bytes, subject: bytes) -> AsyncIterator[RecordRow]:
        """Yield the verifications about an item and a person in a case; the newest, nearly always it, by itself."""
        register = self._ledger.register()
        # What is asked again about a commitment has it as its parent, and belongs to an audit and not to the case.
        newest = await self._ledger.read(
            lambda: register.newest_of_case(case_key, item, subject=subject, family="verification", state="ANSWERED")
        )
        if newest is None:
            return
        yield newest
        found = await self._ledger.read(lambda: register.by_case(case_key, item))
        earlier = [row for row in answers_like(found, newest) if row.first_idx < newest.first_idx]
        for row in reversed(earlier[-_MOST_READ:]):
            yield row
