"""Commit: from notice to a recorded, signed commitment; and what may happen to it before an audit.

PREPARED (the document is handed out) → RECORDED (it is signed) → WITHDRAWN before the decision, or IN_FORCE with it.
A refusal is recorded too: who was refused, and why, must be provable later.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta

from cryptography import x509

from gateway.catalogue.book import Book
from gateway.catalogue.model import Catalogue, Item, Matter
from gateway.errors import (
    CommitmentBarred,
    CommitmentExists,
    DocumentExpired,
    GatewayError,
    InvalidRequest,
    NotACommitmentStep,
    SignatureRefused,
    VerificationOutdated,
    Violation,
)
from gateway.flows.look_up import LookUp
from gateway.flows.once import REQUEST, Once, Recorded, Request
from gateway.flows.stand import Stand
from gateway.flows.verify import ANSWER
from gateway.letters.document import DOCUMENT, Occasion, compose
from gateway.letters.templates import Templates
from gateway.rules.admission import question_from_body
from gateway.rules.clocks import WorkCalendar, add_working_days
from gateway.rules.eligibility import Barred
from gateway.rules.fallback import StepKind, settings_for
from gateway.rules.identifiers import IdentifierRefused, parse_identifier, parse_name
from gateway.rules.kept import moment, table, text
from gateway.signatures import CertificateEvidence, Signer, verify_signature
from ledger import AlreadyClaimed, Draft, RecordRow, new_record
from ledger.canonical import Json, canonical

_SERVICE = "gateway.v1.CommitmentService"
_TAKEN = frozenset(
    {"RECORDED", "IN_FORCE", "CONFIRMED", "DISPUTED", "BROKEN", "WITHDRAWN", "LAPSED", "INCONCLUSIVE", "REPAIRED"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A document that can be signed: its exact bytes and until when."""

    record: bytes
    document: bytes = field(repr=False)
    expires_at: datetime
    recorded: Recorded

    @property
    def digest(self) -> bytes:
        """SHA-256 of the document."""
        return hashlib.sha256(self.document).digest()


class Commit:
    """Takes commitments from notice to decision."""

    def __init__(
        self,
        *,
        book: Book,
        once: Once,
        look_up: LookUp,
        stand: Stand,
        templates: Templates,
        contacts: Mapping[str, str],
        anchors: Sequence[x509.Certificate],
        calendar: WorkCalendar,
        verification_valid: timedelta,
        document_valid: timedelta,
        now: Callable[[], datetime],
        entropy: Callable[[int], bytes],
    ) -> None:
        self._book = book
        self._once = once
        self._look_up = look_up
        self._stand = stand
        self._templates = templates
        self._contacts = contacts
        self._anchors = tuple(anchors)
        self._calendar = calendar
        self._verification_valid = verification_valid
        self._document_valid = document_valid
        self._now = now
        self._entropy = entropy

    async def prepare(self, request: Request, verification: bytes) -> Prepared:
        """Hand out the document to sign, for a verification whose next step is COMMITMENT.

        Raises:
            RecordNotFound: no such verification of the caller's unit.
            NotACommitmentStep, VerificationOutdated, CommitmentBarred, CommitmentExists: refused, and recorded so.
        """
        if replayed := await self._once.replay(request):
            return await self._prepared(replayed)
        row = await self._look_up.own("verification", verification, request.caller)
        kept = await self._look_up.document(row.first_idx)
        try:
            await self._require_open(row, kept)
        except GatewayError as refusal:
            await self._refuse(
                request, new_record(self._now(), self._entropy), refusal, facts=_facts(row, parent=verification)
            )
            raise
        at = self._now()
        record = new_record(at, self._entropy)
        expires_at = at + self._document_valid
        document = self._document(record, verification, kept, at, expires_at)
        draft = Draft(
            kind="CommitmentPrepared",
            record=record,
            groups={REQUEST: request.body, DOCUMENT: document, "clerk": request.person},
            facts={**_facts(row, parent=verification), "due_at": expires_at.isoformat()},
        )
        return await self._prepared(await self._once.record(request, [draft], at=at))

    async def record(
        self,
        request: Request,
        record: bytes,
        digest: bytes,
        evidence: CertificateEvidence,
    ) -> Recorded:
        """Record a signed document.

        Raises:
            RecordNotFound: no such commitment of the caller's unit.
            InvalidRequest: the digest is not the document's.
            DocumentExpired, SignatureRefused, CommitmentBarred, CommitmentExists: refused, and recorded so.
            TransitionNotAllowed: it is recorded already, withdrawn or expired.
        """
        if replayed := await self._once.replay(request):
            return replayed
        row = await self._look_up.own("commitment", record, request.caller)
        document = table((await self._look_up.document(row.first_idx))[DOCUMENT])
        at = self._now()
        try:
            self._verify(document, digest, evidence, at)
            await self._require_eligible(row)
        except (SignatureRefused, CommitmentBarred) as refusal:
            await self._refuse(request, record, refusal, facts={})
            raise
        except DocumentExpired:
            await self._once.record(None, [Draft(kind="CommitmentExpired", record=record)], at=at)
            raise
        draft = Draft(
            kind="CommitmentRecorded",
            record=record,
            groups={
                REQUEST: request.body,
                "signature": _signature(evidence, digest, at),
                "clerk": request.person,
            },
            facts={"due_at": None},
        )
        try:
            return await self._once.record(request, [draft], at=at, claims=[(_claim(row), record)])
        except AlreadyClaimed as error:
            refusal_ = CommitmentExists()
            await self._refuse(request, record, refusal_, facts={})
            raise refusal_ from error

    async def withdraw(self, request: Request, record: bytes, reason: str) -> Recorded:
        """Take a commitment back before the decision; it is no misconduct and nothing is deleted.

        Raises:
            TransitionNotAllowed: the case was decided, or it is withdrawn already.
        """
        if replayed := await self._once.replay(request):
            return replayed
        row = await self._look_up.own("commitment", record, request.caller)
        draft = Draft(
            kind="CommitmentWithdrawn",
            record=row.record,
            groups={REQUEST: request.body, "withdrawal": {"reason": reason}, "clerk": request.person},
        )
        return await self._once.record(request, [draft], at=self._now())

    async def decide(self, request: Request, record: bytes, document_number: str) -> Recorded:
        """Tell that the case was decided: the commitment is in force and the audit clock starts."""
        if replayed := await self._once.replay(request):
            return replayed
        row = await self._look_up.own("commitment", record, request.caller)
        at = self._now()
        item = self._book.catalogue.item(row.item or "")
        due = add_working_days(at.date(), item.audit.due_working_days, self._calendar)
        draft = Draft(
            kind="DecisionRecorded",
            record=row.record,
            groups={
                REQUEST: request.body,
                "decision": {"document_number": document_number},
                "officer": request.person,
            },
            facts={"due_at": end_of_day(due, at).isoformat()},
        )
        return await self._once.record(request, [draft], at=at)

    async def _require_open(self, row: RecordRow, kept: Mapping[str, Json]) -> None:
        """Check that this verification leads to a commitment now: the answer, its age, the catalogue, the person."""
        if row.state != "ANSWERED":
            raise NotACommitmentStep("REFUSED")
        answer = table(kept[ANSWER])
        step = text(table(answer["next_step"])["kind"])
        catalogue = self._book.catalogue
        item, matter = _known(catalogue, row)
        if step != StepKind.COMMITMENT.value or item is None or matter is None:
            raise NotACommitmentStep(step)
        if not settings_for(item, matter).commitment_open:
            raise NotACommitmentStep("closed by the catalogue now in force")
        if self._now() - row.opened_at > self._verification_valid:
            raise VerificationOutdated
        await self._require_eligible(row)
        case_key = row.case_key
        if case_key is not None and await self._stand.taken(case_key, row.item or "", _TAKEN):
            raise CommitmentExists

    async def _require_eligible(self, row: RecordRow) -> None:
        kept = await self._verification_of(row)
        subject = question_from_body(table(kept[REQUEST])).subject
        found = await self._stand.eligibility(subject, row.matter or "", row.item or "")
        if isinstance(found, Barred):
            raise CommitmentBarred(found.code, found.chinese)

    async def _verification_of(self, row: RecordRow) -> Mapping[str, Json]:
        if row.family == "verification":
            return await self._look_up.document(row.first_idx)
        verification = await self._look_up.any("verification", row.parent or b"")
        return await self._look_up.document(verification.first_idx)

    def _document(
        self,
        record: bytes,
        verification: bytes,
        kept: Mapping[str, Json],
        at: datetime,
        expires_at: datetime,
    ) -> dict[str, Json]:
        question = question_from_body(table(kept[REQUEST]))
        catalogue = self._book.catalogue
        item, matter = catalogue.item(question.item), catalogue.matter(question.context.matter)
        occasion = Occasion(
            record=record, verification=verification, prepared_at=at, expires_at=expires_at,
            contact=self._contacts.get(question.context.operator.unit, ""),
        )  # fmt: skip
        template = self._templates.choose(item, matter.code)
        return compose(template, question, item=item, matter=matter, occasion=occasion)

    async def _prepared(self, recorded: Recorded) -> Prepared:
        kept = await self._look_up.document(recorded.first)
        document = table(kept[DOCUMENT])
        expires_at = moment(document["expires_at"])
        if expires_at is None:
            raise TypeError("a document says until when it can be signed")
        return Prepared(
            record=bytes.fromhex(text(document["record"])),
            document=canonical(document),
            expires_at=expires_at,
            recorded=recorded,
        )

    def _verify(self, document: Mapping[str, Json], digest: bytes, evidence: CertificateEvidence, at: datetime) -> None:
        content = canonical(document)
        if hashlib.sha256(content).digest() != digest:
            raise InvalidRequest(
                [
                    Violation(
                        field="document_digest",
                        description="is not the digest of the document that was prepared",
                        chinese="签署的文书与告知的文书不一致。",
                    )
                ]
            )
        expires_at = moment(document["expires_at"])
        if expires_at is None or at > expires_at:
            raise DocumentExpired
        signer = verify_signature(content, evidence, anchors=self._anchors, at=at)
        if not _same_person(signer, table(document["applicant"]), today=at.date()):
            raise SignatureRefused(
                "SIGNER_NOT_APPLICANT", "the certificate names another person", "签名证书的持有人不是申请人本人。"
            )

    async def _refuse(
        self, request: Request, record: bytes, refusal: GatewayError, *, facts: Mapping[str, Json]
    ) -> None:
        # A refusal takes no idempotency key: what was refused may be asked again when things have changed.
        code = getattr(refusal, "code", refusal.reason)
        draft = Draft(
            kind="CommitmentRefused",
            record=record,
            groups={REQUEST: request.body, "refusal": {"reason": refusal.reason, "code": str(code)}},
            facts=facts,
        )
        await self._once.record(None, [draft], at=self._now())


def end_of_day(day: date, at: datetime) -> datetime:
    """Give the end of a day in the zone of `at`: a period that ends on a day ends with it."""
    return datetime.combine(day, time(23, 59, 59), tzinfo=at.tzinfo)


def body(method: str, **fields: Json) -> dict[str, Json]:
    """Give the body of a commitment request as a canonical value."""
    return {"method": f"{_SERVICE}/{method}", **fields}


def _known(catalogue: Catalogue, row: RecordRow) -> tuple[Item | None, Matter | None]:
    item, matter = catalogue.items.get(row.item or ""), catalogue.matters.get(row.matter or "")
    return (item, matter) if item and matter and item.code in matter.items else (None, None)


def _facts(row: RecordRow, *, parent: bytes) -> dict[str, Json]:
    return {
        "subject": row.subject.hex() if row.subject else None,
        "case_key": row.case_key.hex() if row.case_key else None,
        "unit": row.unit,
        "matter": row.matter,
        "item": row.item,
        "parent": parent.hex(),
    }


def _signature(evidence: CertificateEvidence, digest: bytes, at: datetime) -> dict[str, Json]:
    return {
        "algorithm": evidence.algorithm,
        "signature": evidence.signature.hex(),
        "certificates": [certificate.hex() for certificate in evidence.certificates],
        "document_digest": digest.hex(),
        "verified_at": at.isoformat(),
    }


def _claim(row: RecordRow) -> bytes:
    """One commitment per case and item: the key that only one record can claim."""
    return hashlib.sha256(b"commitment\x00" + (row.case_key or b"") + (row.item or "").encode()).digest()


def _same_person(signer: Signer, applicant: Mapping[str, Json], *, today: date) -> bool:
    try:
        number = parse_identifier(text(applicant["id_type"]), signer.id_number, today=today).number
        name = parse_name(signer.name)
    except IdentifierRefused:
        return False
    return number == applicant["id_number"] and name == applicant["name"]
