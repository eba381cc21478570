"""Newest: data that came since may show what a commitment would stand in for, or that it is not so.

A commitment is open only while the newest answer to the very claim in its case says so: an older answer is no way
around one that contradicts. Until the decision of the case it is held against the newest answer in the same way.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping

from connectors.outcome import Kind
from gateway.errors import DocumentErased, FoundSince, NotACommitmentStep
from gateway.flows.commitments.documents import RECORDED, cleared_at
from gateway.flows.commitments.stand import Stand
from gateway.flows.look_up import ANSWER, LookUp, next_step_in, reasons_in
from gateway.flows.once import REQUEST
from gateway.flows.verification.people import Inquiries, People
from gateway.rules.admission import question_from_body
from gateway.rules.fallback import StepKind
from gateway.rules.kept import table, text
from gateway.rules.people import decisive
from gateway.rules.reasons import ReasonKind
from gateway.rules.standing_query import INCONCLUSIVE, contradicts
from ledger import RecordRow
from ledger.canonical import Json


class Against(enum.Enum):
    """What the newest answer says against a commitment; PERHAPS, where it takes asking again to tell: it was weighed
    with words of people that were cleared up, or one source decides and too few others confirm what it says. AGAIN,
    where it takes that to tell whether the data are those that people cleared up.
    """

    NOTHING = "NOTHING"
    PERHAPS = "PERHAPS"
    AGAIN = "AGAIN"
    CONTRADICTED = "CONTRADICTED"


class Newest:
    """Knows whether a verification is the newest word on its claim."""

    def __init__(self, *, stand: Stand, look_up: LookUp, people: People) -> None:
        self._stand = stand
        self._look_up = look_up
        self._people = people

    async def require(self, case: RecordRow, verification: bytes) -> None:
        """Refuse where the claim of a verification was asked again since, and the newest answer leads elsewhere.

        `case` is any record of the same case, item and person.

        Raises:
            NotACommitmentStep: names the next step of the newest answer.
            FoundSince: people answered or checked after the newest answer, or found the claim untrue in another case.
            DocumentErased: what the verification asked was erased.
        """
        answers = await self._stand.verifications(case)
        at = next((number for number, row in enumerate(answers) if row.record == verification), None)
        if at is None:
            raise DocumentErased
        claim = table((await self._look_up.document(verification, answers[at].first_idx))[REQUEST])
        answered = await self._look_up.newest_answer(answers[at:], claim)
        if answered is None:
            raise DocumentErased
        newest, kept = answered
        if (step := next_step_in(kept)) != StepKind.COMMITMENT.value:
            raise NotACommitmentStep(step)
        await self._require_heard(newest, claim)

    async def against(self, commitment: RecordRow) -> Against:
        """Tell whether the newest answer that concludes anything contradicts a commitment.

        Answers in its case count, and those to its standing query; none that came before people cleared it up.

        Raises:
            FoundSince: people contradicted it after the newest answer, or after it was cleared up; where the question
                may not be asked any more, what they found is recorded without an answer.
            DocumentErased: what it stands in for was erased, and other answers came since.
        """
        verification = await self._look_up.any("verification", commitment.parent or b"")
        cleared = await cleared_at(self._look_up, commitment)
        since = max(verification.first_idx, cleared)
        answers = [
            *await self._stand.verifications(commitment),
            *await self._look_up.children(commitment.record, "verification"),
        ]
        later = sorted((row for row in answers if row.first_idx > since), key=lambda row: row.first_idx)
        try:
            claim = table((await self._look_up.document(verification.record, verification.first_idx))[REQUEST])
        except DocumentErased:
            if later:
                raise
            return Against.NOTHING  # what is known of it is what was known when it was signed
        newest = await self._look_up.newest_answer(later, claim)
        found = (await self._inquiries(claim, commitment)).found
        against = [one.index for one in decisive(found) if one.outcome is Kind.MISMATCH]
        if any(index > (since if newest is None else newest[0].first_idx) for index in against):
            raise FoundSince
        concluded = await self._look_up.newest_answer(later, claim, counts=_concludes)
        if concluded is None:
            return Against.NOTHING
        if not _contradicts(concluded[1]):
            return Against.PERHAPS if _is_unconfirmed(concluded[1]) else Against.NOTHING
        # Asked about the commitment, they were left out; asked in its case, every word of people counts.
        weighed_too = concluded[0].parent is None and any(index <= cleared for index in against)
        if weighed_too:
            return Against.PERHAPS
        return Against.CONTRADICTED if cleared < 0 else Against.AGAIN

    async def heard_since(self, commitment: RecordRow) -> bool:
        """Tell whether people found anything about the claim of a commitment since it was signed.

        Raises:
            DocumentErased: what it stands in for was erased.
        """
        verification = await self._look_up.any("verification", commitment.parent or b"")
        claim = table((await self._look_up.document(verification.record, verification.first_idx))[REQUEST])
        found = (await self._inquiries(claim, commitment)).found
        history = await self._look_up.history(commitment)
        signed = max(line.idx for line in history if line.kind == RECORDED)
        return any(one.outcome is not None and one.index > signed for one in found)

    async def _inquiries(self, claim: Mapping[str, Json], case: RecordRow) -> Inquiries:
        """Read what people were asked and found about a claim, in the case of a record and in others."""
        return await self._people.inquiries(question_from_body(claim), case.case_key or b"")

    async def _require_heard(self, newest: RecordRow, claim: Mapping[str, Json]) -> None:
        """Refuse an answer that does not know yet what people found: it was given while they acted, or before they
        found the claim untrue in another case."""
        said = await self._inquiries(claim, newest)
        if said.stands_untrue or any(one.index > newest.first_idx for one in said.found):
            raise FoundSince


def is_against(kept: Mapping[str, Json]) -> bool:
    """Say whether a kept answer is one for which a finding is opened."""
    return _contradicts(kept) or _is_unconfirmed(kept)


def _concludes(kept: Mapping[str, Json]) -> bool:
    return next_step_in(kept) not in INCONCLUSIVE or is_against(kept)


def _contradicts(kept: Mapping[str, Json]) -> bool:
    return contradicts(text(table(kept[ANSWER])["verdict"]), reasons_in(kept))


def _is_unconfirmed(kept: Mapping[str, Json]) -> bool:
    return ReasonKind.UNCONFIRMED.value in reasons_in(kept)
