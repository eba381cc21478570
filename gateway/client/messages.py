"""Between values and the messages of the contract; pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime

from google.protobuf import timestamp_pb2

from gateway.client.proofs import LogKeys, ReceiptRefused
from gateway.client.recorded import require_recorded
from gateway.client.values import (
    Answer,
    Argument,
    Case,
    FactOutcome,
    NextStep,
    Person,
    PlanExplained,
    PlannedFact,
    Question,
    Standing,
    Step,
    Verdict,
    Verification,
)
from gateway.v1 import parties_pb2, verification_pb2
from ledger.v1 import ledger_pb2

_ID_TYPES = {
    "resident-id": parties_pb2.ID_TYPE_RESIDENT_ID,
    "permit": parties_pb2.ID_TYPE_PERMIT,
    "uscc": parties_pb2.ID_TYPE_USCC,
}
ANSWERED = ("VerificationAnswered",)
LOOKED_UP = ("SubjectLookedUp",)


def question_message(question: Question) -> verification_pb2.VerifyRequest:
    """Write a question."""
    case = question.case
    return verification_pb2.VerifyRequest(
        request_id=question.request_id,
        context=parties_pb2.CaseContext(
            matter=case.matter,
            case_id=case.case_id,
            purpose=case.purpose,
            operator=parties_pb2.Operator(person=case.operator, unit=case.unit),
        ),
        item=question.item,
        subject=person_message(question.subject),
        parameters=arguments(question.parameters),
    )


def person_message(person: Person) -> parties_pb2.Subject:
    """Write a person; an unknown type of number is left unsaid, and the gateway names the mistake."""
    id_type = _ID_TYPES.get(person.id_type, parties_pb2.ID_TYPE_UNSPECIFIED)
    return parties_pb2.Subject(id_type=id_type, id_number=person.id_number, name=person.name)


def arguments(parameters: Mapping[str, Argument]) -> dict[str, parties_pb2.Value]:
    """Write parameters by their types."""
    return {name: _argument(value) for name, value in parameters.items()}


def _argument(value: Argument) -> parties_pb2.Value:
    match value:
        case Person():
            return parties_pb2.Value(person=person_message(value))
        case bool():
            return parties_pb2.Value(boolean=value)
        case int():
            return parties_pb2.Value(integer=value)
        case date():
            return parties_pb2.Value(date=value.isoformat())
        case str():
            return parties_pb2.Value(text=value)


def answer(
    message: verification_pb2.Verification,
    receipt: ledger_pb2.Receipt,
    keys: LogKeys,
    question: Question | None = None,
) -> Answer:
    """Read an answer and verify its receipt, and that the entry commits to everything that this very answer says; with
    the `question`, also that it answers it.

    Raises:
        ReceiptRefused: it is not; nothing of the answer may be believed.
    """
    read = verification(message)
    proven = keys.verify(receipt, kinds=ANSWERED, record=read.record)
    if (proven.policy, proven.at) != (read.policy_version, read.answered_at):
        raise ReceiptRefused(f"entry {proven.index} was made at another time or under other rules than the answer says")
    require_recorded(read, proven, question)
    return Answer(verification=read, receipt=proven)


def standing(message: verification_pb2.WatchVerificationResponse, keys: LogKeys) -> Standing:
    """Read how a verification stands, its receipt verified."""
    read = answer(message.verification, message.receipt, keys)
    return Standing(answer=read, cursor=message.cursor, final=message.final)


def verification(message: verification_pb2.Verification) -> Verification:
    """Read an answer; verifies nothing."""
    context = message.context
    return Verification(
        record=message.record,
        item=message.item,
        case=Case(
            matter=context.matter,
            case_id=context.case_id,
            purpose=context.purpose,
            operator=context.operator.person,
            unit=context.operator.unit,
        ),
        verdict=_verdict(message.verdict),
        reasons=tuple(message.reasons),
        next_step=_next_step(message.next_step),
        facts=tuple(_fact(fact) for fact in message.facts),
        catalogue_version=message.catalogue_version,
        policy_version=message.policy_version,
        answered_at=_moment(message.answered_at),
        erased=message.erased,
    )


def _verdict(number: int) -> Verdict:
    word = verification_pb2.Verdict.DESCRIPTOR.values_by_number.get(number)
    known = {f"VERDICT_{one.value}": one for one in Verdict}
    return known.get(word.name if word else "", Verdict.UNKNOWN)


def _next_step(message: verification_pb2.NextStep) -> NextStep:
    word = verification_pb2.NextStepKind.DESCRIPTOR.values_by_number.get(message.kind)
    known = {f"NEXT_STEP_KIND_{one.value}": one for one in Step}
    return NextStep(
        kind=known.get(word.name if word else "", Step.UNKNOWN),
        until=_moment(message.until) if message.HasField("until") else None,
        since=_moment(message.since) if message.HasField("since") else None,
        retry_after=message.retry_after.ToTimedelta() if message.HasField("retry_after") else None,
        attribute=message.attribute,
        attempts=tuple(message.attempts),
        confirm_by_clerk=message.confirm_by_clerk,
        explanation=message.explanation,
    )


def _fact(message: verification_pb2.FactOutcome) -> FactOutcome:
    return FactOutcome(
        fact_type=message.fact_type,
        source=message.source,
        outcome=message.outcome,
        cause=message.cause,
        asked_at=_moment(message.asked_at),
        answered_at=_moment(message.answered_at),
        as_of=_moment(message.as_of) if message.HasField("as_of") else None,
        attempts=message.attempts,
        raw_digest=message.raw_digest,
        cached=message.cached,
        about_statement=message.about_statement,
        other_identity=message.other_identity,
    )


def plan_explained(message: verification_pb2.ExplainPlanResponse) -> PlanExplained:
    """Read an explained plan."""
    return PlanExplained(
        text=message.plan,
        facts=tuple(
            PlannedFact(
                step=fact.step,
                fact_type=fact.fact_type,
                sources=tuple(fact.sources),
                why=fact.why,
                sensitive=fact.sensitive,
            )
            for fact in message.facts
        ),
        not_entitled=tuple(message.not_entitled),
        catalogue_version=message.catalogue_version,
    )


def _moment(message: timestamp_pb2.Timestamp) -> datetime:
    return message.ToDatetime(tzinfo=UTC)
