"""CommitmentService: a thin servicer over `gateway.flows.commitments`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import datetime

from gateway.flows.commitments.documents import body
from gateway.flows.commitments.life import Commitments
from gateway.flows.commitments.prepare import Asked
from gateway.flows.commitments.read import read_commitment
from gateway.flows.look_up import LookUp
from gateway.flows.once import Recorded, Request
from gateway.flows.reading.pack_evidence import PackEvidence
from gateway.flows.reading.write_letter import Form, WriteLetter
from gateway.letters.plain import text_to_sign
from gateway.rpc import translate
from gateway.rpc.commitment_lists import CommitmentLists
from gateway.rpc.door import Context, Door
from gateway.rules.admission import Mistakes, subject_body
from gateway.rules.clocks import legal_day
from gateway.rules.roles import Caller, Role
from gateway.v1 import commitment_pb2 as pb
from gateway.v1 import parties_pb2
from ledger import RecordRow
from ledger.canonical import Json
from ledger.v1 import ledger_pb2

_CLERKS = (Role.CLERK, Role.OFFICER)
_READERS = (Role.CLERK, Role.OFFICER, Role.AUDITOR, Role.REVIEWER)
_REVIEWERS = (Role.REVIEWER,)
_FORMS = {
    pb.LETTER_FORMAT_UNSPECIFIED: Form.PDF,
    pb.LETTER_FORMAT_PDF: Form.PDF,
    pb.LETTER_FORMAT_TEXT: Form.TEXT,
    pb.LETTER_FORMAT_DOCUMENT: Form.DOCUMENT,
}


def handwriting_bytes(request: pb.RecordCommitmentRequest) -> int:
    """Say how much of a message is the image of a signature by hand, which may be large: see `gateway.rpc.sizes`."""
    return len(request.witnessed.handwriting)


_AROUND_PACK = 16
"""Bytes of a message around the pack in it: a tag and a length."""


class CommitmentServicer:
    """Serves the life of a commitment up to the decision, and the review of refusals."""

    def __init__(
        self,
        *,
        door: Door,
        commitments: Commitments,
        look_up: LookUp,
        pack_evidence: PackEvidence,
        write_letter: WriteLetter,
        lists: CommitmentLists,
        now: Callable[[], datetime],
        max_message_bytes: int,
    ) -> None:
        self._pack_evidence = pack_evidence
        self._most_of_pack = max_message_bytes - _AROUND_PACK
        self._door = door
        self._commitments = commitments
        self._look_up = look_up
        self._write_letter = write_letter
        self._lists = lists
        self._now = now

    async def PrepareCommitment(  # noqa: N802
        self, request: pb.PrepareCommitmentRequest, context: Context
    ) -> pb.PrepareCommitmentResponse:
        """Hand out the document to sign."""

        async def handle(caller: Caller, deadline: float) -> pb.PrepareCommitmentResponse:
            mistakes = Mistakes()
            asked = self._asked(request, mistakes)
            act = acting(mistakes, caller, request.request_id, request.operator, _prepare_body(request, asked))
            prepared = await self._commitments.prepare(act, asked, deadline)
            return pb.PrepareCommitmentResponse(
                record=prepared.record.hex(),
                document=prepared.document,
                document_digest=prepared.digest,
                text=text_to_sign(prepared.content),
                expires_at=translate.timestamp(prepared.expires_at),
                receipt=translate.receipt(prepared.recorded),
            )

        return await self._door.unary(context, "CommitmentService/PrepareCommitment", _CLERKS, handle)

    async def RecordCommitment(  # noqa: N802
        self, request: pb.RecordCommitmentRequest, context: Context
    ) -> pb.RecordCommitmentResponse:
        """Record a signed document."""

        async def handle(caller: Caller, _deadline: float) -> pb.RecordCommitmentResponse:
            mistakes = Mistakes()
            record = mistakes.record("record", request.record)
            if len(request.document_digest) != 32:
                mistakes.add("document_digest", "must be a SHA-256 of 32 bytes", "文书摘要须为 32 字节。")
            evidence = translate.evidence(request, mistakes)
            act = acting(
                mistakes, caller, request.request_id, request.operator,
                body(
                    "RecordCommitment",
                    record=request.record,
                    document_digest=request.document_digest.hex(),
                    **evidence.body(),
                ),
            )  # fmt: skip
            done = await self._commitments.record(act, record, request.document_digest, evidence)
            if done.commitment is None:
                commitment = await self._then(record, caller, done.recorded)
            else:
                commitment = translate.commitment(done.commitment)
            return pb.RecordCommitmentResponse(commitment=commitment, receipt=translate.receipt(done.recorded))

        return await self._door.unary(context, "CommitmentService/RecordCommitment", _CLERKS, handle)

    async def WithdrawCommitment(  # noqa: N802
        self, request: pb.WithdrawCommitmentRequest, context: Context
    ) -> pb.WithdrawCommitmentResponse:
        """Take a commitment back before the decision."""

        async def handle(caller: Caller, _deadline: float) -> pb.WithdrawCommitmentResponse:
            mistakes = Mistakes()
            record = mistakes.record("record", request.record)
            reason = mistakes.text("reason", request.reason, "撤回理由")
            act = acting(
                mistakes, caller, request.request_id, request.operator,
                body("WithdrawCommitment", record=request.record, reason=reason),
            )  # fmt: skip
            recorded = await self._commitments.withdraw.withdraw(act, record, reason)
            return pb.WithdrawCommitmentResponse(
                commitment=await self._then(record, caller, recorded), receipt=translate.receipt(recorded)
            )

        return await self._door.unary(context, "CommitmentService/WithdrawCommitment", _CLERKS, handle)

    async def RecordDecision(  # noqa: N802
        self, request: pb.RecordDecisionRequest, context: Context
    ) -> pb.RecordDecisionResponse:
        """Put a commitment in force with the decision of its case."""

        async def handle(caller: Caller, deadline: float) -> pb.RecordDecisionResponse:
            mistakes = Mistakes()
            record = mistakes.record("record", request.record)
            number = mistakes.text("document_number", request.document_number, "决定文书号", longest=200)
            act = acting(
                mistakes, caller, request.request_id, request.operator,
                body("RecordDecision", record=request.record, document_number=number),
            )  # fmt: skip
            recorded = await self._commitments.decide(act, record, number, deadline)
            return pb.RecordDecisionResponse(
                commitment=await self._then(record, caller, recorded), receipt=translate.receipt(recorded)
            )

        return await self._door.unary(context, "CommitmentService/RecordDecision", _CLERKS, handle)

    async def RecordMilestone(  # noqa: N802
        self, request: pb.RecordMilestoneRequest, context: Context
    ) -> pb.RecordMilestoneResponse:
        """Let a commitment bind from a milestone of its case on."""

        async def handle(caller: Caller, _deadline: float) -> pb.RecordMilestoneResponse:
            mistakes = Mistakes()
            record = mistakes.record("record", request.record)
            milestone = translate.milestone(request.milestone)
            if milestone is None:
                mistakes.add("milestone", "is required", "请选择办件节点。")
            act = acting(
                mistakes, caller, request.request_id, request.operator,
                body("RecordMilestone", record=request.record, milestone=milestone.value if milestone else ""),
            )  # fmt: skip
            assert milestone is not None
            recorded = await self._commitments.withdraw.pass_milestone(act, record, milestone)
            return pb.RecordMilestoneResponse(
                commitment=await self._then(record, caller, recorded), receipt=translate.receipt(recorded)
            )

        return await self._door.unary(context, "CommitmentService/RecordMilestone", _CLERKS, handle)

    async def ContestRefusal(  # noqa: N802
        self, request: pb.ContestRefusalRequest, context: Context
    ) -> pb.ContestRefusalResponse:
        """Ask that a person look at a refusal again."""

        async def handle(caller: Caller, _deadline: float) -> pb.ContestRefusalResponse:
            mistakes = Mistakes()
            record = mistakes.record("record", request.record)
            statement = mistakes.text("statement", request.statement, "申请人的意见")
            act = acting(
                mistakes, caller, request.request_id, request.operator,
                body("ContestRefusal", record=request.record, statement=statement),
            )  # fmt: skip
            recorded = await self._commitments.contest.contest(act, record, statement)
            return pb.ContestRefusalResponse(
                commitment=await self._then(record, caller, recorded), receipt=translate.receipt(recorded)
            )

        return await self._door.unary(context, "CommitmentService/ContestRefusal", _CLERKS, handle)

    async def ReviewRefusal(  # noqa: N802
        self, request: pb.ReviewRefusalRequest, context: Context
    ) -> pb.ReviewRefusalResponse:
        """Uphold or lift a contested refusal."""

        async def handle(caller: Caller, _deadline: float) -> pb.ReviewRefusalResponse:
            mistakes = Mistakes()
            record = mistakes.record("record", request.record)
            reason = mistakes.text("reason", request.reason, "复核理由")
            if request.outcome not in (pb.REVIEW_OUTCOME_UPHELD, pb.REVIEW_OUTCOME_LIFTED):
                mistakes.add("outcome", "must be UPHELD or LIFTED", "请选择维持或者撤销。")
            lift = request.outcome == pb.REVIEW_OUTCOME_LIFTED
            act = acting(
                mistakes, caller, request.request_id, request.operator,
                body("ReviewRefusal", record=request.record, lift=lift, reason=reason),
            )  # fmt: skip
            recorded = await self._commitments.contest.review(act, record, lift=lift, reason=reason)
            return pb.ReviewRefusalResponse(
                commitment=await self._then(record, caller, recorded), receipt=translate.receipt(recorded)
            )

        return await self._door.unary(context, "CommitmentService/ReviewRefusal", _REVIEWERS, handle)

    async def GetCommitment(  # noqa: N802
        self, request: pb.GetCommitmentRequest, context: Context
    ) -> pb.GetCommitmentResponse:
        """Return a commitment of the caller's own unit, of any unit to auditors, or what is left of an erased one."""

        async def handle(caller: Caller, _deadline: float) -> pb.GetCommitmentResponse:
            mistakes = Mistakes()
            record = mistakes.record("record", request.record)
            mistakes.finish()
            row = await self._look_up.standing("commitment", record, caller)
            proof, size = await self._look_up.receipt(row.last_idx)
            return pb.GetCommitmentResponse(
                commitment=await self._message(row, None),
                receipt=ledger_pb2.Receipt(proof=proof, index=row.last_idx, size=size, record=request.record),
            )

        return await self._door.unary(context, "CommitmentService/GetCommitment", _READERS, handle)

    async def ListCommitments(  # noqa: N802
        self, request: pb.ListCommitmentsRequest, context: Context
    ) -> pb.ListCommitmentsResponse:
        """List commitments."""
        return await self._lists.page(request, context)

    async def ExportCommitments(  # noqa: N802
        self, request: pb.ExportCommitmentsRequest, context: Context
    ) -> AsyncIterator[pb.ExportCommitmentsResponse]:
        """Send commitments as one file."""
        async for response in self._lists.export(request, context):
            yield response

    async def GetEvidencePack(  # noqa: N802
        self, request: pb.GetEvidencePackRequest, context: Context
    ) -> pb.GetEvidencePackResponse:
        """Return everything that proves a commitment, as one file."""

        async def handle(caller: Caller, _deadline: float) -> pb.GetEvidencePackResponse:
            mistakes = Mistakes()
            record = mistakes.record("record", request.record)
            mistakes.finish()
            pack = await self._pack_evidence.pack(record, caller, self._most_of_pack)
            return pb.GetEvidencePackResponse(pack=pack)

        return await self._door.unary(context, "CommitmentService/GetEvidencePack", _READERS, handle)

    async def GetCommitmentLetter(  # noqa: N802
        self, request: pb.GetCommitmentLetterRequest, context: Context
    ) -> pb.GetCommitmentLetterResponse:
        """Return a commitment as a letter, in any state of it that has a document."""

        async def handle(caller: Caller, _deadline: float) -> pb.GetCommitmentLetterResponse:
            mistakes = Mistakes()
            record = mistakes.record("record", request.record)
            form = _FORMS.get(request.format)
            if form is None:
                mistakes.add("format", "is no format of a letter", "承诺书格式有误。")
            mistakes.finish()
            written = await self._write_letter(record, caller, form or Form.PDF)
            return pb.GetCommitmentLetterResponse(
                pdf=written.content if written.form is Form.PDF else b"",
                content=written.content,
                media_type=written.form.value,
            )

        return await self._door.unary(context, "CommitmentService/GetCommitmentLetter", _READERS, handle)

    async def _then(self, record: bytes, caller: Caller, recorded: Recorded) -> pb.Commitment:
        row = await self._look_up.own("commitment", record, caller)
        return await self._message(row, recorded.first)

    async def _message(self, row: RecordRow, until: int | None) -> pb.Commitment:
        return translate.commitment(await read_commitment(self._look_up, row, until=until))

    def _asked(self, request: pb.PrepareCommitmentRequest, mistakes: Mistakes) -> Asked:
        verification = mistakes.record("verification", request.verification)
        today = legal_day(self._now())
        return Asked(
            verification=verification,
            consent=translate.consent(request.publication_consent),
            proxy=translate.proxy(request.proxy, "proxy", mistakes, today=today) if request.HasField("proxy") else None,
            lifted=mistakes.record("lifted_refusal", request.lifted_refusal) if request.lifted_refusal else None,
        )


def _prepare_body(request: pb.PrepareCommitmentRequest, asked: Asked) -> dict[str, Json]:
    fields: dict[str, Json] = {"verification": request.verification}
    if asked.proxy is not None:
        digest = asked.proxy.authorisation_digest.hex()
        fields["proxy"] = {**subject_body(asked.proxy.agent), "authorisation_digest": digest}
    if request.publication_consent:
        fields["publication_consent"] = asked.consent.value
    if request.lifted_refusal:
        fields["lifted_refusal"] = request.lifted_refusal
    return body("PrepareCommitment", **fields)


def acting(
    mistakes: Mistakes,
    caller: Caller,
    request_id: str,
    operator: parties_pb2.Operator,
    content: dict[str, Json],
) -> Request:
    """Read who acts and under which request_id, then refuse the request if anything in it was wrong.

    Raises:
        InvalidRequest: names every mistake.
    """
    identity = mistakes.uuid("request_id", request_id)
    person = mistakes.operator("operator", operator.person, operator.unit, caller)
    mistakes.finish()
    return Request(
        caller=caller,
        operator=person,
        request_id=identity,
        body={**content, "operator": {"person": person.person, "unit": person.unit}},
    )
