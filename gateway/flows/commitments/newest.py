"""Newest: data that came since may show what a commitment would stand in for, or that it is not so.

A commitment is open only while the newest answer to the very claim in its case says so: an older answer is no way
around one that contradicts.
"""

from __future__ import annotations

from collections.abc import Mapping

from gateway.errors import DocumentErased, NotACommitmentStep
from gateway.flows.look_up import ANSWER, LookUp
from gateway.flows.once import REQUEST
from gateway.flows.stand import Stand
from gateway.rules.fallback import StepKind
from gateway.rules.kept import table, text
from gateway.rules.same_claim import is_same_claim
from ledger import RecordRow
from ledger.canonical import Json


class Newest:
    """Knows whether a verification is the newest word on its claim."""

    def __init__(self, *, stand: Stand, look_up: LookUp) -> None:
        self._stand = stand
        self._look_up = look_up

    async def require(self, case: RecordRow, verification: bytes) -> None:
        """Refuse where the claim of a verification was asked again since, and the newest answer leads elsewhere.

        `case` is any record of the same case, item and person.

        Raises:
            NotACommitmentStep: names the next step of the newest answer.
            DocumentErased: what the verification asked was erased.
        """
        rows = await self._stand.verifications(case)
        at = next((number for number, row in enumerate(rows) if row.record == verification), None)
        if at is None:
            raise DocumentErased
        later = rows[at + 1 :]
        if not later:
            return
        claim = _asked(await self._kept(rows[at]))
        for row in reversed(later):
            try:
                kept = await self._kept(row)
            except DocumentErased:
                continue
            if is_same_claim(claim, _asked(kept)):
                step = text(table(table(kept[ANSWER])["next_step"])["kind"])
                if step != StepKind.COMMITMENT.value:
                    raise NotACommitmentStep(step)
                return

    async def _kept(self, row: RecordRow) -> Mapping[str, Json]:
        return await self._look_up.document(row.record, row.first_idx)


def _asked(kept: Mapping[str, Json]) -> Mapping[str, Json]:
    return table(kept[REQUEST])
