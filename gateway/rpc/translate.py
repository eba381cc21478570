"""The one translator between the wire and our values; nothing else builds or reads messages of the contract."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime

from google.protobuf import duration_pb2, timestamp_pb2
from google.rpc import error_details_pb2, status_pb2

from gateway.flows.explain import ExplainedFact
from gateway.flows.list_answers import Listed
from gateway.flows.look_up import Life
from gateway.flows.once import Recorded
from gateway.flows.report import Pulled
from gateway.flows.verify import Answered
from gateway.rules.admission import Mistakes, RawArgument, RawQuestion, RawSubject
from gateway.rules.kept import moment, number, rows, table, text
from gateway.signatures import CertificateEvidence
from gateway.v1 import audit_pb2, commitment_pb2, credit_pb2, parties_pb2, verification_pb2
from ledger import HistoryLine
from ledger.canonical import Json
from ledger.records.codec import record_of
from ledger.v1 import ledger_pb2

_ID_TYPES = {
    parties_pb2.ID_TYPE_RESIDENT_ID: "resident-id",
    parties_pb2.ID_TYPE_PERMIT: "permit",
    parties_pb2.ID_TYPE_USCC: "uscc",
}
_ID_NUMBERS = {word: value for value, word in _ID_TYPES.items()}
_PREFIX = "SIGNATURE_ALGORITHM_"


def raw_question(request: verification_pb2.VerifyRequest) -> RawQuestion:
    """Read a question as it arrived."""
    context = request.context
    return RawQuestion(
        request_id=request.request_id,
        matter=context.matter,
        case_id=context.case_id,
        purpose=context.purpose,
        person=context.operator.person,
        unit=context.operator.unit,
        item=request.item,
        subject=raw_subject(request.subject),
        parameters={name: _argument(value) for name, value in request.parameters.items()},
    )


def raw_subject(subject: parties_pb2.Subject) -> RawSubject:
    """Read a subject as it arrived."""
    return RawSubject(id_type=_ID_TYPES.get(subject.id_type, ""), id_number=subject.id_number, name=subject.name)


def _argument(value: parties_pb2.Value) -> RawArgument:
    match value.WhichOneof("kind"):
        case "text":
            return value.text
        case "integer":
            return value.integer
        case "boolean":
            return value.boolean
        case "person":
            return raw_subject(value.person)
        case "date":
            try:
                return date.fromisoformat(value.date)
            except ValueError:
                return None
    return None


def receipt(recorded: Recorded, position: int = 0) -> ledger_pb2.Receipt:
    """Write the receipt of one of the entries that a request made."""
    return ledger_pb2.Receipt(
        proof=recorded.receipts[position],
        index=recorded.first + position,
        size=recorded.size,
        record=record_of(recorded.entries[position]),
    )


def verification(question: Mapping[str, Json], answer: Mapping[str, Json]) -> verification_pb2.Verification:
    """Write an answer from what was kept of it, so that a repeat is the same to the byte."""
    context, step = table(question["context"]), table(answer["next_step"])
    operator = table(context["operator"])
    message = verification_pb2.Verification(
        record=text(answer["record"]),
        item=text(question["item"]),
        context=parties_pb2.CaseContext(
            matter=text(context["matter"]),
            case_id=text(context["case_id"]),
            purpose=text(context["purpose"]),
            operator=parties_pb2.Operator(person=text(operator["person"]), unit=text(operator["unit"])),
        ),
        verdict=verification_pb2.Verdict.Value(f"VERDICT_{text(answer['verdict'])}"),
        reasons=[text(reason) for reason in rows(answer["reasons"])],
        next_step=_step(step),
        catalogue_version=text(answer["catalogue_version"]),
        policy_version=text(answer["policy_version"]),
        answered_at=timestamp(moment(answer["answered_at"])),
    )
    if answer["disclosure"] == "PER_FACT":
        message.facts.extend(_fact(table(fact)) for fact in rows(answer["facts"]))
    return message


def answered(answered: Answered) -> verification_pb2.VerifyResponse:
    """Write what Verify answers."""
    return verification_pb2.VerifyResponse(
        verification=verification(answered.question, answered.answer), receipt=receipt(answered.recorded)
    )


def listed(one: Listed) -> verification_pb2.Verification:
    """Write one answer of a list; of an erased one only what its row still says."""
    if one.question is not None and one.answer is not None:
        return verification(one.question, one.answer)
    return verification_pb2.Verification(
        record=one.row.record.hex(),
        item=one.row.item or "",
        answered_at=timestamp(one.row.opened_at),
        erased=True,
    )


def batch_error(status: status_pb2.Status) -> verification_pb2.BatchVerifyError:
    """Write why one question of a batch was refused, from the status that it would have alone."""
    error = verification_pb2.BatchVerifyError(code=status.code, message=status.message, details=status.details)
    info = error_details_pb2.ErrorInfo()
    for detail in status.details:
        if detail.Unpack(info):
            error.reason = info.reason
    return error


def planned(fact: ExplainedFact) -> verification_pb2.PlannedFact:
    """Write one fact that would be asked."""
    return verification_pb2.PlannedFact(
        fact_type=fact.fact_type, sources=fact.sources, step=fact.step, why=fact.why, sensitive=fact.sensitive
    )


def moment_of(message: timestamp_pb2.Timestamp, where: str, mistakes: Mistakes) -> datetime | None:
    """Read a time that may be absent (all zero); what is no time is noted as a mistake."""
    if not message.seconds and not message.nanos:
        return None
    try:
        return message.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError):
        mistakes.add(where, "is not a time from year 1 to 9999", "时间有误。")
        return None


def _step(step: Mapping[str, Json]) -> verification_pb2.NextStep:
    wait = step["retry_after_s"]
    return verification_pb2.NextStep(
        kind=verification_pb2.NextStepKind.Value(f"NEXT_STEP_KIND_{text(step['kind'])}"),
        until=timestamp(moment(step["until"])),
        retry_after=None if wait is None else duration_pb2.Duration(seconds=number(wait)),
        attribute=text(step["attribute"]),
        attempts=[text(attempt) for attempt in rows(step["attempts"])],
        explanation=text(step["explanation"]),
    )


def _fact(fact: Mapping[str, Json]) -> verification_pb2.FactOutcome:
    return verification_pb2.FactOutcome(
        fact_type=text(fact["fact_type"]),
        source=text(fact["source"]),
        outcome=text(fact["outcome"]),
        cause=text(fact["cause"]),
        asked_at=timestamp(moment(fact["asked_at"])),
        answered_at=timestamp(moment(fact["answered_at"])),
        as_of=timestamp(moment(fact["as_of"])),
        attempts=number(fact["attempts"]),
        raw_digest=bytes.fromhex(text(fact["raw_digest"])),
        cached=fact["cached"] is True,
    )


def certificate_evidence(signature: commitment_pb2.CertificateSignature) -> CertificateEvidence:
    """Read a signature by certificate."""
    name = commitment_pb2.SignatureAlgorithm.Name(signature.algorithm)
    return CertificateEvidence(
        algorithm=name.removeprefix(_PREFIX),
        signature=signature.signature,
        certificates=tuple(signature.certificates),
    )


def commitment(life: Life, document_digest: bytes) -> commitment_pb2.Commitment:
    """Write a commitment as it stood."""
    row = life.row
    in_force = life.state == "IN_FORCE"
    return commitment_pb2.Commitment(
        record=row.record.hex(),
        verification=(row.parent or b"").hex(),
        item=row.item or "",
        matter=row.matter or "",
        state=commitment_pb2.CommitmentState.Value(f"COMMITMENT_STATE_{life.state}"),
        document_digest=document_digest,
        changed_at=timestamp(life.changed_at),
        history=[_line(line) for line in life.history],
        audit_due_at=timestamp(row.due_at if in_force else None),
    )


def finding(life: Life) -> audit_pb2.Finding:
    """Write a finding as it stood; a grade and a due date only where the step set them."""
    row = life.row
    graded = life.state in ("DECIDED", "FINAL", "REPAIRED", "REVOKED")
    timed = life.state in ("NOTIFIED", "DECIDED")
    return audit_pb2.Finding(
        record=row.record.hex(),
        commitment=(row.parent or b"").hex(),
        state=audit_pb2.FindingState.Value(f"FINDING_STATE_{life.state}"),
        item=row.item or "",
        matter=row.matter or "",
        grade=audit_pb2.Grade.Value(f"GRADE_{row.grade}") if graded and row.grade else audit_pb2.GRADE_UNSPECIFIED,
        due_at=timestamp(row.due_at if timed else None),
        history=[_line(line) for line in life.history],
    )


def _line(line: HistoryLine) -> ledger_pb2.HistoryEntry:
    return ledger_pb2.HistoryEntry(index=line.idx, kind=line.kind, at=timestamp(line.at))


def pulled(item: Pulled) -> credit_pb2.PullReportsResponse:
    """Write one item for the credit platform."""
    return credit_pb2.PullReportsResponse(
        cursor=item.cursor,
        record=item.record.hex(),
        act=credit_pb2.ReportAct.Value(f"REPORT_ACT_{item.act}"),
        report=credit_pb2.CreditReport(**{name: text(value) for name, value in item.content.items()}),
        salt=item.salt,
        canonical=item.canonical,
        receipt=ledger_pb2.Receipt(proof=item.receipt, index=item.cursor, size=item.size, record=item.record.hex()),
    )


def timestamp(at: datetime | None) -> timestamp_pb2.Timestamp | None:
    """Write a time, exact to the microsecond."""
    if at is None:
        return None
    message = timestamp_pb2.Timestamp()
    message.FromDatetime(at)
    return message


def subject_message(id_type: str, id_number: str, name: str) -> parties_pb2.Subject:
    """Write a subject, for clients."""
    return parties_pb2.Subject(id_type=_ID_NUMBERS[id_type], id_number=id_number, name=name)
