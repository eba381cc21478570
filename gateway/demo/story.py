"""The whole story, played against a running province by real clients; each step is checked as it is told."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta

import grpc
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from rich.console import Console

from gateway.client import explain, new_request_id, open_blocking_channel
from gateway.demo import housing
from gateway.demo.people import Person, cast
from gateway.demo.province import DemoFailed, Province, start_police
from gateway.founding import SYSTEMS, TRUST_DOMAIN
from gateway.pki import Authority, der
from gateway.rules.clocks import legal_day
from gateway.v1 import (
    assistance_pb2,
    assistance_pb2_grpc,
    audit_pb2,
    audit_pb2_grpc,
    commitment_pb2,
    commitment_pb2_grpc,
    credit_pb2,
    credit_pb2_grpc,
    parties_pb2,
    verification_pb2,
    verification_pb2_grpc,
)

_PREMISES = ("230000-MSA-001", "business-premises", "办理行政许可")
_MOVED = ("230000-MSA-006", "business-premises", "办理行政许可")
_PERSONAL = "230000-CIV-005"
_TIMEOUT = 15


class Teller:
    """Holds the clients of the story."""

    def __init__(self, here: Province, console: Console, stack: ExitStack) -> None:
        self.here = here
        self._console = console
        clerk, auditor, reviewer, credit = (
            stack.enter_context(self._channel(system)) for system in ("clerk", "auditor", "reviewer", "credit")
        )
        self.verification = verification_pb2_grpc.VerificationServiceStub(clerk)
        self.commitments = commitment_pb2_grpc.CommitmentServiceStub(clerk)
        self.eligibility = credit_pb2_grpc.CreditServiceStub(clerk)
        self.assistance = assistance_pb2_grpc.AssistanceServiceStub(clerk)
        self.source = assistance_pb2_grpc.AssistanceServiceStub(stack.enter_context(self._channel("source-officer")))
        self.audits = audit_pb2_grpc.AuditServiceStub(auditor)
        self.reviews = audit_pb2_grpc.AuditServiceStub(reviewer)
        self.credit = credit_pb2_grpc.CreditServiceStub(credit)

    def _channel(self, system: str) -> grpc.Channel:
        certificate, key = self.here.house.pair(system)
        return open_blocking_channel(
            self.here.address, authority=self.here.house.authority, certificate=certificate, key=key
        )

    def told(self, what: str) -> None:
        """Tell a step that came out as it should."""
        self._console.print(f"  ✓ {what}", soft_wrap=True)

    def chapter(self, what: str) -> None:
        """Begin a chapter."""
        self._console.print(f"[bold]{what}[/bold]")

    def verify(
        self, person: Person, item: tuple[str, str, str], case: str, **parameters: str
    ) -> verification_pb2.VerifyResponse:
        """Ask about a person."""
        return self.verification.Verify(self.question(person, item, case, **parameters), timeout=_TIMEOUT)

    def question(
        self, person: Person, item: tuple[str, str, str], case: str, **parameters: str
    ) -> verification_pb2.VerifyRequest:
        """Build a question about a person."""
        matter, code, purpose = item
        context = parties_pb2.CaseContext(matter=matter, case_id=case, purpose=purpose, operator=officer("clerk"))
        return verification_pb2.VerifyRequest(
            request_id=new_request_id(),
            context=context,
            item=code,
            subject=subject(person),
            parameters={name: parties_pb2.Value(text=value) for name, value in parameters.items()},
        )


def tell(here: Province, console: Console, *, seed: int, size: int) -> None:
    """Play every step.

    Raises:
        DemoFailed: a step did not come out as told.
    """
    people = cast(seed)
    with ExitStack() as stack:
        teller = Teller(here, console, stack)
        console.print(
            f"{size} synthetic people, three departments, a gateway at {here.address}, a credit platform",
            soft_wrap=True,
        )
        try:
            _verify(teller, people.owner, people.married, seed=seed, size=size)
            _climb(teller, people.honest)
            commitment = _commit(teller, people.missing)
            _decide_and_requery(teller, people.missing, people.honest, commitment)
            _repair(teller, people.missing)
        except grpc.RpcError as error:
            reason, _chinese = explain(error)
            raise DemoFailed(f"a call was refused: {error.code().name} {reason}") from error
    _flip(teller)


def _verify(teller: Teller, owner: Person, married: Person, *, seed: int, size: int) -> None:
    teller.chapter("核验 Verification")
    answer = teller.verify(owner, _PREMISES, "办-01", address=owner.address)
    expect(answer, "ESTABLISHED", "NONE")
    teller.told("established: the housing office holds the address; nothing is asked of the applicant")

    answer = teller.verify(married, (_PERSONAL, "marital-status", "办理行政确认"), "办-02", status="UNMARRIED")
    expect(answer, "CONTRADICTED", "DISPUTE")
    refused(teller, answer.verification.record)
    teller.told("contradicted: a marriage is registered; the applicant may dispute, no commitment is offered")

    item = (_PERSONAL, "alive", "办理行政确认")
    expect(teller.verify(owner, item, "办-03"), "ESTABLISHED", "NONE")
    teller.here.stop("public-security")
    answer = teller.verify(owner, item, "办-04")
    expect(answer, "UNDETERMINED", "RETRY_AFTER")
    refused(teller, answer.verification.record)
    start_police(teller.here, seed=seed, size=size)
    teller.told("source stopped: the answer is to ask again later, no commitment is offered")


def _climb(teller: Teller, person: Person) -> None:
    """Where a matter leaves the ladder as it is, people are asked, then check, and a commitment comes last."""
    facts = ("home-ownership", "lease-filing")  # each that could still decide needs each rung
    teller.chapter("协查与核查 Assistance and own check")

    def ask() -> verification_pb2.VerifyResponse:
        return teller.verify(person, _MOVED, "办-10", address=person.address)

    answer = ask()
    expect(answer, "UNDETERMINED", "ASSISTANCE")
    refused(teller, answer.verification.record)
    asker, source = officer("clerk"), officer("source-officer")
    for fact_type in facts:
        sent = teller.assistance.SendAssistance(
            assistance_pb2.SendAssistanceRequest(
                request_id=new_request_id(), verification=answer.verification.record, unit=source.unit,
                fact_type=fact_type, operator=asker,
            ),
            timeout=_TIMEOUT,
        ).assistance  # fmt: skip
        expect(ask(), "PENDING", "WAIT")
        due = legal_day(sent.due_at.ToDatetime(UTC))
        teller.told(f"{fact_type} missing: another department's people are asked, by {due}; who watches is told")
        receive = assistance_pb2.ReceiveAssistanceRequest(
            request_id=new_request_id(), record=sent.record, operator=source
        )
        asked = teller.source.ReceiveAssistance(receive, timeout=_TIMEOUT).inquiry
        must(person.address in asked.said.values(), "the department does not see what is asked")
        found = assistance_pb2.AnswerAssistanceRequest(
            request_id=new_request_id(),
            record=sent.record,
            outcome="NO_RECORD",
            basis="档案中查无此址",
            operator=source,
        )
        teller.source.AnswerAssistance(found, timeout=_TIMEOUT)
    answer = ask()
    expect(answer, "UNDETERMINED", "OWN_OR_COMMISSIONED_CHECK")
    refused(teller, answer.verification.record)
    for fact_type in facts:
        check = assistance_pb2.RecordCheckRequest(
            request_id=new_request_id(), verification=answer.verification.record, fact_type=fact_type,
            outcome="NO_RECORD", method=assistance_pb2.CHECK_METHOD_ON_SITE, basis="现场核查笔录", operator=asker,
            second_operator=officer("clerk", "clerk-02"),
        )  # fmt: skip
        teller.assistance.RecordCheck(check, timeout=_TIMEOUT)
    expect(ask(), "UNDETERMINED", "COMMITMENT")
    teller.told("they and two officers on site found nothing: only now, as the last resort, the applicant may commit")


def _commit(teller: Teller, person: Person) -> commitment_pb2.Commitment:
    teller.chapter("告知承诺 Commitment")
    question = teller.question(person, _PREMISES, "办-05", address=person.address)
    answer = teller.verification.Verify(question, timeout=_TIMEOUT)
    expect(answer, "UNDETERMINED", "COMMITMENT")
    teller.told("missing: no department holds it, so the applicant may commit after notice")
    again = teller.verification.Verify(question, timeout=_TIMEOUT)
    must(answer.SerializeToString() == again.SerializeToString(), "the repeated request got other bytes")
    teller.told("the same request repeated gives identical bytes")

    recorded = commit(teller, person, answer.verification.record)
    teller.told(f"notice, signature (X.509, P-256), record {recorded.commitment.record[:8]}…, receipt")
    receipt = teller.here.home / "receipt.txt"
    receipt.write_bytes(recorded.receipt.proof)
    key = shutil.copy(teller.here.house.vkey, teller.here.home / "only-the-public-key.txt")
    told = run(["-m", "gateway", "ledger", "verify", str(receipt), "--key", str(key)])
    must("CommitmentRecorded" in told, "the receipt does not verify offline")
    teller.told("the receipt verifies offline, in a separate process that has only the public key")
    return recorded.commitment


def _decide_and_requery(teller: Teller, person: Person, honest: Person, commitment: commitment_pb2.Commitment) -> None:
    teller.chapter("核查与认定 Audit and finding")
    answer = teller.verify(honest, _PREMISES, "办-06", address=honest.address)
    other = commit(teller, honest, answer.verification.record).commitment
    for one in (commitment, other):
        teller.commitments.RecordDecision(
            commitment_pb2.RecordDecisionRequest(
                request_id=new_request_id(),
                record=one.record,
                operator=officer("clerk"),
                document_number="示决字〔2026〕1号",
            ),
            timeout=_TIMEOUT,
        )
    housing.deliver(teller.here.drops, teller.here.people, datetime.now(UTC), number=2, late=True)
    told = run(
        ["-m", "gateway", "audit", "requery", "--config", str(teller.here.house.config)],
        ["--all", "--person", "A-01", "--server", teller.here.address],
    )
    must(told.strip() == "CONFIRMED 1, DISCREPANCY 1", f"the re-query said: {told.strip()}")
    teller.told("late data arrive: one commitment confirmed, one discrepancy; nothing is held against anybody yet")
    (finding,) = teller.audits.ListFindings(audit_pb2.ListFindingsRequest(), timeout=_TIMEOUT).findings
    _conclude(teller, finding.record)
    barred = eligible(teller, person)
    must(barred.reason == "BROKEN_UNREPAIRED", "the person is not barred")
    must(pull_reports(teller) == 1, "the credit platform did not take exactly one report")
    teller.told("credit platform, a separate process: report pulled, receipt verified, acknowledged")
    refused(teller, _lost(teller, person, "办-07"), "COMMITMENT_BARRED")
    answer = teller.verify(person, (_PERSONAL, "alive", "办理行政确认"), "办-08")
    expect(answer, "ESTABLISHED", "NONE")
    teller.told("barred from new commitments until repair; verification by data goes on for everybody")


def _conclude(teller: Teller, finding: str) -> None:
    audits, reviews = teller.audits, teller.reviews
    by = officer("auditor")
    evidence = audit_pb2.RequestEvidenceRequest(request_id=new_request_id(), record=finding, operator=by)
    audits.RequestEvidence(evidence, timeout=_TIMEOUT)
    proposal = audit_pb2.ProposeFalseRequest(request_id=new_request_id(), record=finding, operator=by)
    proposal.grounds = "登记地址与承诺不符"
    audits.ProposeFalse(proposal, timeout=_TIMEOUT)
    notice = audit_pb2.NotifyFindingRequest(request_id=new_request_id(), record=finding, operator=by)
    notice.manner = "直接送达"
    due = legal_day(audits.NotifyFinding(notice, timeout=_TIMEOUT).finding.due_at.ToDatetime(UTC))
    defence = audit_pb2.HearDefenceRequest(request_id=new_request_id(), record=finding, operator=by)
    defence.statement = "当事人陈述:承认所填地址有误"
    audits.HearDefence(defence, timeout=_TIMEOUT)
    second = officer("reviewer")
    try:
        reviews.DecideFinding(_decision(finding, second), timeout=_TIMEOUT)
    except grpc.RpcError as error:
        must(explain(error)[0] == "PERIOD_RUNNING", "the decision was refused for another reason")
    else:
        raise DemoFailed("it was decided while the person could still speak")
    more = audit_pb2.HearDefenceRequest(request_id=new_request_id(), record=finding, operator=by, waives_rest=True)
    more.statement = "当事人补充陈述:没有其他意见,放弃其余的陈述申辩期限"
    audits.HearDefence(more, timeout=_TIMEOUT)
    teller.told(f"evidence requested, notified (defence until {due}), heard twice; the person waived the rest")
    try:
        reviews.DecideFinding(_decision(finding, officer("reviewer", "auditor-01")), timeout=_TIMEOUT)
    except grpc.RpcError as error:
        must(explain(error)[0] == "SAME_OFFICER", "the first officer was refused for another reason")
    else:
        raise DemoFailed("the officer who proposed could decide")
    reviews.DecideFinding(_decision(finding, second), timeout=_TIMEOUT)
    final = reviews.FinaliseFinding(
        audit_pb2.FinaliseFindingRequest(request_id=new_request_id(), record=finding, operator=second), timeout=_TIMEOUT
    )
    must(final.finding.state == audit_pb2.FINDING_STATE_FINAL, "the finding is not final")
    teller.told("decided by a second officer (the first was refused), final (remedy period 0 days in this demo)")


def _lost(teller: Teller, person: Person, case: str) -> str:
    """Ask about something that no department here holds, so that a commitment is the next step."""
    item = ("230000-MSA-001", "lost-document", "办理行政许可")
    answer = teller.verify(person, item, case, document_kind="示例许可证", document_number="示-1")
    expect(answer, "UNDETERMINED", "COMMITMENT")
    return answer.verification.record


def _decision(finding: str, by: parties_pb2.Operator) -> audit_pb2.DecideFindingRequest:
    return audit_pb2.DecideFindingRequest(
        request_id=new_request_id(),
        record=finding,
        operator=by,
        broken=True,
        document_number="示认字〔2026〕1号",
        grade=audit_pb2.GRADE_MINOR,  # any other could not be repaired for months
        reasons="事实清楚",
    )


def _repair(teller: Teller, person: Person) -> None:
    teller.chapter("信用修复 Repair")
    (finding,) = teller.audits.ListFindings(audit_pb2.ListFindingsRequest(), timeout=_TIMEOUT).findings
    teller.credit.RecordRepair(
        credit_pb2.RecordRepairRequest(
            request_id=new_request_id(),
            finding=finding.record,
            operator=officer("credit"),
            document_number="示修字〔2026〕1号",
        ),
        timeout=_TIMEOUT,
    )
    must(pull_reports(teller) == 1, "the credit platform was not told of the repair")
    must(eligible(teller, person).eligible, "the person is still barred")
    commit(teller, person, _lost(teller, person, "办-09"))
    teller.told("repaired: display and use end, the platform is told, the person commits again")


def _flip(teller: Teller) -> None:
    teller.chapter("台账 Ledger")
    config = teller.here.house.config
    must("sound" in run(["-m", "gateway", "ledger", "fsck", "--config", str(config)]), "fsck found damage")
    copy = teller.here.home / "copy.sqlite3"
    file = teller.here.house.home / "ledger.sqlite3"
    with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
        target.execute("PRAGMA journal_mode = DELETE")
        (leaf,) = target.execute("SELECT leaf FROM entry WHERE idx = 3").fetchone()
    content = bytearray(copy.read_bytes())
    at = content.find(bytes(leaf))
    must(at >= 0, "the entry was not found in the copy")
    content[at + len(leaf) // 2] ^= 1
    copy.write_bytes(content)
    command = ["-m", "gateway", "ledger", "fsck", "--config", str(config), "--url", f"sqlite:///{copy}"]
    told = run([*command, "--without-vault"], expect_failure=True)
    must(told.startswith("entry 3:"), f"fsck did not name entry 3: {told.splitlines()[:1]}")
    teller.told("fsck: the ledger is sound; one byte flipped in a copy, and fsck names entry 3")


def commit(teller: Teller, person: Person, verification: str) -> commitment_pb2.RecordCommitmentResponse:
    """Prepare, sign with a certificate made for the person, and record."""
    prepared = teller.commitments.PrepareCommitment(
        commitment_pb2.PrepareCommitmentRequest(
            request_id=new_request_id(), verification=verification, operator=officer("clerk")
        ),
        timeout=_TIMEOUT,
    )
    authority = Authority.load(*teller.here.house.signers())
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = authority.person(person.name, person.id_number, key, now=datetime.now(UTC), valid=timedelta(days=30))
    return teller.commitments.RecordCommitment(
        commitment_pb2.RecordCommitmentRequest(
            request_id=new_request_id(),
            record=prepared.record,
            operator=officer("clerk"),
            document_digest=prepared.document_digest,
            certificate=commitment_pb2.CertificateSignature(
                algorithm=commitment_pb2.SIGNATURE_ALGORITHM_ECDSA_P256_SHA256,
                signature=key.sign(prepared.document, ec.ECDSA(hashes.SHA256())),
                certificates=[der(certificate)],
            ),
        ),
        timeout=_TIMEOUT,
    )


def refused(teller: Teller, verification: str, reason: str = "NOT_A_COMMITMENT_STEP") -> None:
    """Check that no commitment can be prepared upon a verification."""
    request = commitment_pb2.PrepareCommitmentRequest(
        request_id=new_request_id(), verification=verification, operator=officer("clerk")
    )
    try:
        teller.commitments.PrepareCommitment(request, timeout=_TIMEOUT)
    except grpc.RpcError as error:
        must(explain(error)[0] == reason, "refused for another reason")
    else:
        raise DemoFailed("a commitment was offered where none may be")


def eligible(teller: Teller, person: Person) -> credit_pb2.GetEligibilityResponse:
    """Ask whether a person may commit."""
    matter, item, purpose = _PREMISES
    return teller.eligibility.GetEligibility(
        credit_pb2.GetEligibilityRequest(
            subject=subject(person), matter=matter, item=item, operator=officer("clerk"), case_id="办-09",
            purpose=purpose,
        ),
        timeout=_TIMEOUT,
    )  # fmt: skip


def pull_reports(teller: Teller) -> int:
    """Let the credit platform's own process pull; give how many items it took."""
    house = teller.here.house
    certificate, key = house.pair("credit")
    told = run(
        ["-m", "gateway.demo.credit_platform", "--server", teller.here.address, "--ca", str(house.authority)],
        ["--certificate", str(certificate), "--key", str(key), "--log-key", str(house.vkey)],
        ["--state", str(teller.here.home / "credit-platform.sqlite3"), "--origin", f"{TRUST_DOMAIN}/log", "--once"],
    )
    return told.count("验证通过")


def run(*parts: list[str], expect_failure: bool = False) -> str:
    """Run a Python process of ours to its end and give what it printed."""
    arguments = [argument for part in parts for argument in part]
    done = subprocess.run(  # noqa: S603  our own interpreter and our own modules
        [sys.executable, *arguments], capture_output=True, text=True, check=False, timeout=60
    )
    if (done.returncode != 0) != expect_failure:
        raise DemoFailed(f"{' '.join(arguments[:4])} ended with {done.returncode}: {done.stderr.strip()[-500:]}")
    return done.stdout


def expect(answer: verification_pb2.VerifyResponse, verdict: str, step: str) -> None:
    """Check verdict and next step of an answer."""
    said = verification_pb2.Verdict.Name(answer.verification.verdict).removeprefix("VERDICT_")
    then = verification_pb2.NextStepKind.Name(answer.verification.next_step.kind).removeprefix("NEXT_STEP_KIND_")
    must((said, then) == (verdict, step), f"expected {verdict} and {step}, got {said} and {then}")


def must(true: bool, otherwise: str) -> None:
    """Check that something is as told.

    Raises:
        DemoFailed: it is not.
    """
    if not true:
        raise DemoFailed(otherwise)


def officer(system: str, person: str = "") -> parties_pb2.Operator:
    """Give the operator of one of the development systems."""
    return parties_pb2.Operator(person=person or f"{system}-01", unit=SYSTEMS[system][0])


def subject(person: Person) -> parties_pb2.Subject:
    """Give a person as a subject."""
    return parties_pb2.Subject(id_type=parties_pb2.ID_TYPE_RESIDENT_ID, id_number=person.id_number, name=person.name)
