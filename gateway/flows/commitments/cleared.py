"""Cleared: what contradicts a commitment may be the very data that people cleared up before; as long as they do not
change, and what bore the applicant out then still does, they are not held against it again."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.errors import DocumentErased
from gateway.flows.commitments.documents import cleared_at
from gateway.flows.commitments.newest import is_against
from gateway.flows.look_up import ANSWER, EVIDENCE, LookUp, answers_like
from gateway.flows.once import REQUEST
from gateway.flows.verification.ask import Asked
from gateway.flows.verification.verify import Verify
from gateway.rules.admission import Question, question_body
from gateway.rules.kept import rows, table
from gateway.rules.plan import Plan
from gateway.rules.same_claim import is_same_claim
from ledger import Ledger, RecordRow
from ledger.canonical import Json


class Cleared:
    """Knows what people cleared up."""

    def __init__(self, *, ledger: Ledger, look_up: LookUp, verify: Verify) -> None:
        self._ledger = ledger
        self._look_up = look_up
        self._verify = verify

    async def __call__(self, commitment: RecordRow, question: Question, planned: Plan, asked: Asked) -> bool:
        """Tell whether a new answer contradicts a commitment by nothing but what did before people cleared it up."""
        cleared = await cleared_at(self._look_up, commitment)
        if cleared < 0:
            return False
        return self._verify.says_nothing_new(planned, asked, await self._facts(commitment, question, cleared))

    async def _facts(self, commitment: RecordRow, question: Question, before: int) -> list[list[Mapping[str, Json]]]:
        """Read what sources said in each of the answers against a commitment that were recorded before an entry, oldest
        first."""
        case_key, claim = commitment.case_key or b"", question_body(question)
        in_case = await self._ledger.look(lambda: self._ledger.register().by_case(case_key))
        answers = [
            *answers_like(in_case, commitment),
            *await self._look_up.children(commitment.record, "verification"),
        ]
        found: list[list[Mapping[str, Json]]] = []
        for answer in sorted(answers, key=lambda row: row.first_idx):
            if answer.first_idx > before:
                continue
            try:
                kept = await self._look_up.document(answer.record, answer.first_idx)
            except DocumentErased:
                continue
            if is_against(kept) and is_same_claim(table(kept[REQUEST]), claim):
                told = table(kept.get(EVIDENCE, kept[ANSWER]))
                found.append([fact for fact in map(table, rows(told["facts"])) if not fact.get("about_statement")])
        return found
