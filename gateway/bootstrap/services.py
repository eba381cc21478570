"""The services of the contract, each behind the same door."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime

from gateway.bootstrap.flows import Flows
from gateway.bootstrap.signatures import open_operators
from gateway.config import (
    CallerLimitSettings,
    LimitSettings,
    Settings,
)
from gateway.metrics import Metrics, uncounted
from gateway.rpc.assistance import AssistanceServicer
from gateway.rpc.audit import AuditServicer
from gateway.rpc.caller import Callers
from gateway.rpc.catalogue import CatalogueServicer
from gateway.rpc.certificates import CallerCertificates
from gateway.rpc.commitment import CommitmentServicer, handwriting_bytes
from gateway.rpc.commitment_lists import CommitmentLists
from gateway.rpc.credit import CreditServicer
from gateway.rpc.door import Door
from gateway.rpc.gathering import Gathering
from gateway.rpc.limits import CallerLimits, Limits
from gateway.rpc.log import LedgerServicer
from gateway.rpc.operators import Operators
from gateway.rpc.paging import page_bytes
from gateway.rpc.server import Service
from gateway.rpc.sizes import Sizes
from gateway.rpc.staff import StaffKeyServicer
from gateway.rpc.verification import VerificationFlows, VerificationServicer
from gateway.v1 import (
    assistance_pb2,
    assistance_pb2_grpc,
    audit_pb2,
    audit_pb2_grpc,
    catalogue_pb2,
    catalogue_pb2_grpc,
    commitment_pb2,
    commitment_pb2_grpc,
    correction_pb2,
    correction_pb2_grpc,
    credit_pb2,
    credit_pb2_grpc,
    staff_pb2,
    staff_pb2_grpc,
    subject_pb2,
    subject_pb2_grpc,
    supervision_pb2,
    supervision_pb2_grpc,
    verification_pb2,
    verification_pb2_grpc,
)
from ledger import (
    Ledger,
)
from ledger.v1 import ledger_pb2, ledger_pb2_grpc


def services(
    settings: Settings,
    flows: Flows,
    ledger: Ledger,
    *,
    now: Callable[[], datetime],
    metrics: Metrics | None = None,
    certificates: CallerCertificates | None = None,
) -> list[Service]:
    """List every service of the contract; what is not served yet answers UNIMPLEMENTED."""
    server = settings.server
    door = Door(
        Callers(
            settings.callers, trust_domain=server.trust_domain, plaintext=server.plaintext, certificates=certificates
        ),
        Operators(open_operators(settings.operators), now=now),
        _limits(settings.limits),
        Gathering(longest=server.gather.total_seconds()),
        cap=server.deadline_cap.total_seconds(),
        cap_missing=server.cap_missing_deadline,
        page_bytes=page_bytes(server.max_message_bytes),
        begin=flows.book.begin,
        count=metrics.called if metrics else uncounted,
    )
    look_up, book = flows.look_up, flows.book
    catalogue = CatalogueServicer(door=door, book=book, reload=flows.reload, sources_for=flows.ask.sources_for)
    verification = VerificationServicer(
        door=door, book=book, now=now, count_refusal=metrics.refused_in_batch if metrics else uncounted,
        flows=VerificationFlows(
            verify=flows.verify, batch=flows.batch, list_answers=flows.list_answers, watch=flows.watch,
            look_up=look_up, ask=flows.ask,
        ),
    )  # fmt: skip
    lists = CommitmentLists(
        door=door, list_commitments=flows.list_commitments, export=flows.export_commitments, now=now
    )
    commitment = CommitmentServicer(
        door=door,
        commitments=flows.commitments,
        look_up=look_up,
        pack_evidence=flows.pack_evidence,
        write_letter=flows.write_letter,
        lists=lists,
        now=now,
        max_message_bytes=server.max_message_bytes,
    )
    staff = StaffKeyServicer(
        door=door, staff_keys=flows.staff_keys, look_up=look_up, proposers=settings.staff_keys.proposers,
        deciders=settings.staff_keys.deciders,
    )  # fmt: skip
    audit = AuditServicer(door=door, requery=flows.requery, find=flows.find, look_up=look_up, ledger=ledger)
    credit = CreditServicer(door=door, report=flows.report, tell_standing=flows.tell_standing, book=book, now=now)
    terms = settings.assistance
    assistance = AssistanceServicer(
        door=door, assist=flows.assist, read=flows.read_assistance, look_up=look_up,
        working_days={
            assistance_pb2.ASSISTANCE_TERM_SIMPLE: terms.simple_days,
            assistance_pb2.ASSISTANCE_TERM_NORMAL: terms.normal_days,
            assistance_pb2.ASSISTANCE_TERM_ARCHIVE: terms.archive_days,
        },
    )  # fmt: skip
    served = (
        (verification_pb2, "VerificationService", verification, verification_pb2_grpc),
        (commitment_pb2, "CommitmentService", commitment, commitment_pb2_grpc),
        (staff_pb2, "StaffKeyService", staff, staff_pb2_grpc),
        (audit_pb2, "AuditService", audit, audit_pb2_grpc),
        (credit_pb2, "CreditService", credit, credit_pb2_grpc),
        (catalogue_pb2, "CatalogueService", catalogue, catalogue_pb2_grpc),
        (ledger_pb2, "LedgerService", LedgerServicer(door=door, ledger=ledger), ledger_pb2_grpc),
        (assistance_pb2, "AssistanceService", assistance, assistance_pb2_grpc),
        (supervision_pb2, "SupervisionService", Unserved(), supervision_pb2_grpc),
        (subject_pb2, "SubjectService", Unserved(), subject_pb2_grpc),
        (correction_pb2, "CorrectionService", Unserved(), correction_pb2_grpc),
    )
    beside = {"CommitmentService/RecordCommitment": handwriting_bytes}
    sizes = Sizes(most=server.max_message_bytes, beside=beside, refuse=door.refuse)
    return [
        Service(
            descriptor=messages.DESCRIPTOR.services_by_name[name],
            servicer=servicer,
            add=sizes.bound(getattr(stubs, f"add_{name}Servicer_to_server")),
        )
        for messages, name, servicer, stubs in served
    ]


def _limits(settings: LimitSettings) -> Limits:
    def of(one: CallerLimitSettings) -> CallerLimits:
        return CallerLimits(calls=one.calls, rate=one.rate)

    by_caller = {caller: of(one) for caller, one in settings.by_caller.items()}
    return Limits(of(settings.default), by_caller, clock=time.monotonic)


class Unserved:
    """A servicer without a method: every RPC of its service answers UNIMPLEMENTED."""
