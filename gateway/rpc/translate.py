"""The one translator between the wire and our values; nothing else builds or reads messages of the contract."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Protocol

from google.protobuf import timestamp_pb2
from google.protobuf.descriptor import EnumDescriptor
from google.rpc import error_details_pb2, status_pb2

from gateway.flows.administration.staff_keys import KeyTold
from gateway.flows.assistance.list_requests import AssistanceRead
from gateway.flows.audit.report import Pulled
from gateway.flows.commitments.documents import scope_of
from gateway.flows.commitments.read import CommitmentRead
from gateway.flows.look_up import Life
from gateway.flows.once import Recorded
from gateway.flows.verification.explain import ExplainedFact
from gateway.flows.verification.list_answers import Listed
from gateway.flows.verification.verify import Answered
from gateway.letters.document import Consent, Proxy
from gateway.rules.admission import (
    Mistakes,
    RawArgument,
    RawQuestion,
    RawSubject,
)
from gateway.rules.kept import moment, number, rows, table, text
from gateway.rules.withdrawal import Milestone
from gateway.signatures import ALGORITHMS, CertificateEvidence, Evidence, PlatformEvidence, WitnessedEvidence
from gateway.signatures.algorithms import MOST_SIGNATURE_BYTES
from gateway.signatures.platform import LONGEST as LONGEST_JWS
from gateway.v1 import assistance_pb2, audit_pb2, commitment_pb2, credit_pb2, parties_pb2, staff_pb2, verification_pb2
from ledger import HistoryLine, Opening
from ledger.canonical import Json, microseconds
from ledger.records.codec import record_of
from ledger.v1 import ledger_pb2

_ID_TYPES = {
    parties_pb2.ID_TYPE_RESIDENT_ID: "resident-id",
    parties_pb2.ID_TYPE_PERMIT: "permit",
    parties_pb2.ID_TYPE_USCC: "uscc",
}
_ID_NUMBERS = {word: value for value, word in _ID_TYPES.items()}
_VERDICTS = {name.removeprefix("VERDICT_"): value for name, value in verification_pb2.Verdict.items()}
_STEPS = {name.removeprefix("NEXT_STEP_KIND_"): value for name, value in verification_pb2.NextStepKind.items()}
_PREFIX = "SIGNATURE_ALGORITHM_"
_LONGEST_SEEN = 1000
_DIGEST_BYTES = 32
_FIRST_SECOND = microseconds(datetime.min.replace(tzinfo=UTC)) // 1_000_000
_LAST_SECOND = microseconds(datetime.max.replace(tzinfo=UTC)) // 1_000_000
"""What lies outside the years 1 to 9999 in UTC makes a message that no client can read."""
_ENDING = ("PREPARED", "RECORDED", "BINDING")
"""States that end by themselves when their time is over."""
_CONSENTS: Mapping[int, Consent] = {
    commitment_pb2.PUBLICATION_CONSENT_AGREED: Consent.AGREED,
    commitment_pb2.PUBLICATION_CONSENT_DECLINED: Consent.DECLINED,
}
_MILESTONES: Mapping[int, Milestone] = {
    commitment_pb2.MILESTONE_FEE_PAID: Milestone.FEE_PAID,
    commitment_pb2.MILESTONE_REGISTRATION_CLOSED: Milestone.REGISTRATION_CLOSED,
}


class _Enum(Protocol):
    """An enum of the contract, as generated."""

    @property
    def DESCRIPTOR(self) -> EnumDescriptor:  # noqa: N802
        """Name its numbers."""
        ...


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
    message = ledger_pb2.Receipt()
    _write_receipt(message, recorded, position)
    return message


def _write_receipt(message: ledger_pb2.Receipt, recorded: Recorded, position: int = 0) -> None:
    message.proof = recorded.receipts[position]
    message.index = recorded.first + position
    message.size = recorded.size
    message.record = record_of(recorded.entries[position])


def write_openings(message: ledger_pb2.Receipt, openings: Mapping[str, Opening]) -> None:
    """Write what opens commitments of the receipt's entry."""
    for group, opening in openings.items():
        message.openings.add(group=group, salt=opening.salt, canonical=opening.encoded)


def verification(
    record: bytes, question: Mapping[str, Json], answer: Mapping[str, Json]
) -> verification_pb2.Verification:
    """Write an answer from what was kept of it, so that a repeat is the same to the byte."""
    message = verification_pb2.Verification()
    _write_verification(message, record.hex(), question, answer)
    return message


def _write_verification(
    message: verification_pb2.Verification, record: str, question: Mapping[str, Json], answer: Mapping[str, Json]
) -> None:
    # Into the message and not made apart: a message that is made apart is copied once for each one around it.
    message.record = record
    message.item = text(question["item"])
    _write_context(message.context, table(question["context"]))
    message.verdict = _VERDICTS[text(answer["verdict"])]
    message.reasons.extend([text(reason) for reason in rows(answer["reasons"])])
    _write_step(message.next_step, table(answer["next_step"]))
    message.catalogue_version = text(answer["catalogue_version"])
    message.policy_version = text(answer["policy_version"])
    _write_time(message.answered_at, answer["answered_at"])
    if answer["disclosure"] == "PER_FACT":
        for fact in rows(answer["facts"]):
            _add_fact(message, table(fact))


def answered(answered: Answered) -> verification_pb2.VerifyResponse:
    """Write what Verify answers."""
    response = verification_pb2.VerifyResponse()
    write_answered(response, answered)
    return response


def write_answered(response: verification_pb2.VerifyResponse, answered: Answered) -> None:
    """Write what Verify answers into a message."""
    _write_receipt(response.receipt, answered.recorded)
    write_openings(response.receipt, answered.openings)
    _write_verification(response.verification, response.receipt.record, answered.question, answered.answer)


def listed(one: Listed) -> verification_pb2.Verification:
    """Write one answer of a list; of an erased one only what its row still says."""
    if one.question is not None and one.answer is not None:
        return verification(one.row.record, one.question, one.answer)
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


def _write_context(message: parties_pb2.CaseContext, context: Mapping[str, Json]) -> None:
    operator = table(context["operator"])
    message.matter = text(context["matter"])
    message.case_id = text(context["case_id"])
    message.purpose = text(context["purpose"])
    message.operator.person = text(operator["person"])
    message.operator.unit = text(operator["unit"])


def _write_step(message: verification_pb2.NextStep, step: Mapping[str, Json]) -> None:
    message.kind = _STEPS[text(step["kind"])]
    _write_time(message.until, step["until"])
    _write_time(message.since, step.get("since"))  # not kept in the first answers that were recorded
    if step["retry_after_s"] is not None:
        message.retry_after.seconds = number(step["retry_after_s"])
    message.attribute = text(step["attribute"])
    message.attempts.extend([text(attempt) for attempt in rows(step["attempts"])])
    message.confirm_by_clerk = step.get("confirm_by_clerk") is True  # nor this
    message.explanation = text(step["explanation"])


def _add_fact(message: verification_pb2.Verification, fact: Mapping[str, Json]) -> None:
    added = message.facts.add(
        fact_type=text(fact["fact_type"]),
        source=text(fact["source"]),
        outcome=text(fact["outcome"]),
        cause=text(fact["cause"]),
        attempts=number(fact["attempts"]),
        raw_digest=bytes.fromhex(text(fact["raw_digest"])),
        cached=fact["cached"] is True,
        about_statement=fact.get("about_statement") is True,  # kept of what people found only
        other_identity=fact.get("other_identity") is True,  # kept of such a record only
    )
    _write_time(added.asked_at, fact["asked_at"])
    _write_time(added.answered_at, fact["answered_at"])
    _write_time(added.as_of, fact["as_of"])


def _write_time(message: timestamp_pb2.Timestamp, kept: Json) -> None:
    """Write a kept time; one that is none leaves the message absent from the one around it."""
    written = _seconds(moment(kept))
    if written is not None:
        message.seconds, message.nanos = written


def word(enum: _Enum, number: int) -> str:
    """Read a number of an enum as its name without the prefix that all have; empty for UNSPECIFIED and the unknown.

    Enums are open: any number of 32 bits arrives.
    """
    names = enum.DESCRIPTOR.values_by_number
    known, first = names.get(number), names[0].name
    return known.name.removeprefix(first.removesuffix("UNSPECIFIED")) if known and number else ""


def algorithm_name(algorithm: int) -> str:
    """Read the name of a signature algorithm; one that this version does not know reads as its number."""
    names = commitment_pb2.SignatureAlgorithm.DESCRIPTOR.values_by_number
    return names[algorithm].name.removeprefix(_PREFIX) if algorithm in names else str(algorithm)


def evidence(request: commitment_pb2.RecordCommitmentRequest, mistakes: Mistakes) -> Evidence:
    """Read how a document was signed; what is wrong with its form is noted as mistakes."""
    match request.WhichOneof("evidence"):
        case "witnessed":
            return _witnessed(request.witnessed, mistakes)
        case "platform":
            jws = mistakes.text("platform.jws", request.platform.jws, "认证结果", longest=LONGEST_JWS)
            return PlatformEvidence(jws=jws)
        case "certificate":
            return _certificate(request.certificate, mistakes)
    mistakes.add("evidence", "is required", "请提交签名。")
    return PlatformEvidence(jws="")


def _certificate(signature: commitment_pb2.CertificateSignature, mistakes: Mistakes) -> CertificateEvidence:
    _signature_bytes("certificate", signature.signature, mistakes)
    return CertificateEvidence(
        algorithm=_algorithm("certificate", signature.algorithm, mistakes),
        signature=signature.signature,
        certificates=tuple(signature.certificates),
    )


def _witnessed(witnessed: commitment_pb2.WitnessedSignature, mistakes: Mistakes) -> WitnessedEvidence:
    _signature_bytes("witnessed", witnessed.signature, mistakes)
    if not witnessed.handwriting:
        mistakes.add("witnessed.handwriting", "is required", "请提交手写签名图像。")
    at = moment_of(witnessed.witnessed_at, "witnessed.witnessed_at", mistakes)
    if at is None and not witnessed.HasField("witnessed_at"):
        mistakes.add("witnessed.witnessed_at", "is required", "请填写签署时间。")
    return WitnessedEvidence(
        handwriting=witnessed.handwriting,
        seen=mistakes.text("witnessed.seen", witnessed.seen, "见证情况", longest=_LONGEST_SEEN),
        staff_key=mistakes.record("witnessed.staff_key", witnessed.staff_key),
        algorithm=_algorithm("witnessed", witnessed.algorithm, mistakes),
        signature=witnessed.signature,
        witnessed_at=at or datetime.min.replace(tzinfo=UTC),
    )


def _algorithm(where: str, value: commitment_pb2.SignatureAlgorithm.ValueType, mistakes: Mistakes) -> str:
    name = algorithm_name(value)
    if name not in ALGORITHMS:
        mistakes.add(f"{where}.algorithm", "is required, and must be one of the contract", "请指明签名算法。")
    return name


def _signature_bytes(where: str, signature: bytes, mistakes: Mistakes) -> None:
    if not signature:
        mistakes.add(f"{where}.signature", "is required", "请提交签名。")
    elif len(signature) > MOST_SIGNATURE_BYTES:
        mistakes.add(f"{where}.signature", f"is longer than {MOST_SIGNATURE_BYTES} bytes", "签名过长。")


def commitment(read: CommitmentRead) -> commitment_pb2.Commitment:
    """Write a commitment as it stood."""
    life, document = read.life, read.document
    row = life.row
    due = _due(life)
    return commitment_pb2.Commitment(
        record=row.record.hex(),
        verification=(row.parent or b"").hex(),
        item=row.item or "",
        matter=row.matter or "",
        state=commitment_pb2.CommitmentState.Value(f"COMMITMENT_STATE_{life.state}"),
        document_digest=read.digest,
        changed_at=timestamp(life.changed_at),
        history=[_line(line) for line in life.history],
        audit_due_at=timestamp(due if life.state == "IN_FORCE" else None),
        publication=publication_scope(document),
        by_proxy=document is not None and "proxy" in document,
        document_erased=read.erased,
        due_at=timestamp(due if life.state in _ENDING else None),
    )


def publication_scope(document: Mapping[str, Json] | None) -> commitment_pb2.PublicationScope.ValueType:
    """Write how far a letter may be made public, as its document says."""
    if document is None:
        return commitment_pb2.PUBLICATION_SCOPE_UNSPECIFIED
    return commitment_pb2.PublicationScope.Value(f"PUBLICATION_SCOPE_{scope_of(document).value}")


def proxy(message: commitment_pb2.Proxy, where: str, mistakes: Mistakes, *, today: date) -> Proxy:
    """Read who acts for the applicant; what is wrong is noted."""
    agent = mistakes.subject(f"{where}.agent", raw_subject(message.agent), today=today)
    if len(message.authorisation_digest) != _DIGEST_BYTES:
        mistakes.add(f"{where}.authorisation_digest", "must be a SHA-256 of 32 bytes", "授权委托书摘要须为 32 字节。")
    return Proxy(agent=agent, authorisation_digest=message.authorisation_digest)


def consent(value: int) -> Consent:
    """Read what the applicant says to publication; anything but yes and no says nothing."""
    return _CONSENTS.get(value, Consent.NOT_SAID)


def milestone(value: int) -> Milestone | None:
    """Read a milestone; None where none was said."""
    return _MILESTONES.get(value)


def staff_key(told: KeyTold) -> staff_pb2.StaffKey:
    """Write a clerk's key as it stood."""
    row = told.life.row
    return staff_pb2.StaffKey(
        record=row.record.hex(),
        person=told.person,
        unit=row.unit or "",
        algorithm=commitment_pb2.SignatureAlgorithm.Value(f"{_PREFIX}{told.algorithm}"),
        public_key=told.public_key,
        state=staff_pb2.StaffKeyState.Value(f"STAFF_KEY_STATE_{told.life.state.removeprefix('KEY_')}"),
        enrolled_at=timestamp(told.enrolled_at),
        revoked_at=timestamp(told.revoked_at),
        replaces=told.replaces.hex() if told.replaces else "",
    )


def assistance(read: AssistanceRead) -> assistance_pb2.Assistance:
    """Write a request for assistance as it stood."""
    row = read.row
    return assistance_pb2.Assistance(
        record=row.record.hex(),
        verification=(row.parent or b"").hex(),
        unit=row.unit or "",
        fact_type=read.fact_type,
        state=assistance_pb2.AssistanceState.Value(f"ASSISTANCE_STATE_{read.state}"),
        due_at=timestamp(read.due_at),
        sender=read.sender,
        matter=row.matter or "",
        item=row.item or "",
        sent_at=timestamp(row.opened_at),
        changed_at=timestamp(read.changed_at),
        reminders=read.reminders,
        outcome=read.outcome,
        remark=read.remark,
    )


def inquiry(shown: Mapping[str, Json]) -> assistance_pb2.Inquiry:
    """Write what people were shown."""
    subject, sender = table(shown["subject"]), table(shown["sender"])
    return assistance_pb2.Inquiry(
        subject=parties_pb2.Subject(
            id_type=_ID_NUMBERS[text(subject["id_type"])],
            id_number=text(subject["id_number"]),
            name=text(subject["name"]),
        ),
        fact_title=text(shown["fact_title"]),
        item_title=text(shown["item_title"]),
        said={text(label): text(value) for label, value in map(rows, rows(shown["said"]))},
        purpose=text(shown["purpose"]),
        note=text(shown["note"]),
        sender=parties_pb2.Operator(person=text(sender["person"]), unit=text(sender["unit"])),
        meaning=text(shown["meaning"]),
    )


def finding(life: Life) -> audit_pb2.Finding:
    """Write a finding as it stood; a grade and a due date only where the step set them."""
    row = life.row
    graded = life.state in ("DECIDED", "FINAL", "REPAIRED", "REVOKED", "EFFECT_ENDED")
    timed = life.state in ("NOTIFIED", "DEFENCE_HEARD", "DECIDED")
    return audit_pb2.Finding(
        record=row.record.hex(),
        commitment=(row.parent or b"").hex(),
        state=audit_pb2.FindingState.Value(f"FINDING_STATE_{life.state}"),
        item=row.item or "",
        matter=row.matter or "",
        grade=audit_pb2.Grade.Value(f"GRADE_{row.grade}") if graded and row.grade else audit_pb2.GRADE_UNSPECIFIED,
        due_at=timestamp(_due(life) if timed else None),
        history=[_line(line) for line in life.history],
    )


def _due(life: Life) -> datetime | None:
    """Give the date of the step that a record is in; the row may have been read before the newest of its history."""
    return life.row.due_at if life.state == life.row.state else None


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
    """Write a time, exact to the microsecond; one that the protocol has not, like none, is no message."""
    written = _seconds(at)
    return None if written is None else timestamp_pb2.Timestamp(seconds=written[0], nanos=written[1])


def _seconds(at: datetime | None) -> tuple[int, int] | None:
    if at is None:
        return None
    seconds, rest = divmod(microseconds(at), 1_000_000)
    return (seconds, rest * 1000) if _FIRST_SECOND <= seconds <= _LAST_SECOND else None


def subject_message(id_type: str, id_number: str, name: str) -> parties_pb2.Subject:
    """Write a subject, for clients."""
    return parties_pb2.Subject(id_type=_ID_NUMBERS[id_type], id_number=id_number, name=name)
