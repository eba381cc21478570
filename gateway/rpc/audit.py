"""AuditService: a thin servicer over `gateway.flows.commitments.requery` and `gateway.flows.audit.find`."""

from __future__ import annotations

from collections.abc import AsyncIterator

from gateway.flows.audit.find import Decision, Find, Revocation, require_grade
from gateway.flows.commitments.requery import Requery
from gateway.flows.look_up import LookUp
from gateway.flows.once import Recorded, Request
from gateway.rpc import translate
from gateway.rpc.commitment import acting
from gateway.rpc.door import Context, Door
from gateway.rpc.paging import fill, position_of
from gateway.rules.admission import Mistakes
from gateway.rules.roles import Caller, Role
from gateway.v1 import audit_pb2 as pb
from ledger import Ledger, RecordRow, decode_entry
from ledger.canonical import Json
from ledger.v1 import ledger_pb2

_AUDITORS = (Role.AUDITOR, Role.REVIEWER)
_CLOSINGS = {
    pb.CLOSING_KIND_CLEARED: "CLEARED",
    pb.CLOSING_KIND_MINOR_ERROR: "MINOR_ERROR",
    pb.CLOSING_KIND_INCONCLUSIVE: "INCONCLUSIVE",
}
_STATES = tuple(name.removeprefix("FINDING_STATE_") for name, _ in pb.FindingState.items())[1:]
_MOST_PER_PAGE = 1000


class AuditServicer:
    """Serves re-queries and the life of findings."""

    def __init__(self, *, door: Door, requery: Requery, find: Find, look_up: LookUp, ledger: Ledger) -> None:
        self._door = door
        self._requery = requery
        self._find = find
        self._look_up = look_up
        self._ledger = ledger

    async def RequeryCommitments(  # noqa: N802
        self, request: pb.RequeryCommitmentsRequest, context: Context
    ) -> AsyncIterator[pb.RequeryCommitmentsResponse]:
        """Ask the sources again and stream what came of each commitment."""

        async def handle(caller: Caller) -> AsyncIterator[pb.RequeryCommitmentsResponse]:
            mistakes = Mistakes()
            operator = mistakes.operator("operator", request.operator.person, request.operator.unit, caller)
            mistakes.finish()
            found = self._requery(operator, caller, matter=request.matter, all_in_force=request.all_in_force)
            async for one in found:
                yield pb.RequeryCommitmentsResponse(
                    done=one.done,
                    total=one.total,
                    commitment=one.commitment.hex(),
                    result=pb.RequeryResult.Value(f"REQUERY_RESULT_{one.result}"),
                    finding=one.finding.hex() if one.finding else "",
                )

        async for response in self._door.stream(context, "AuditService/RequeryCommitments", _AUDITORS, handle):
            yield response

    async def GetFinding(self, request: pb.GetFindingRequest, context: Context) -> pb.GetFindingResponse:  # noqa: N802
        """Return a finding of the caller's own unit."""

        async def handle(caller: Caller, _deadline: float) -> pb.GetFindingResponse:
            mistakes = Mistakes()
            record = mistakes.record("record", request.record)
            mistakes.finish()
            row = await self._look_up.own("finding", record, caller)
            proof, size = await self._look_up.receipt(row.last_idx)
            return pb.GetFindingResponse(
                finding=translate.finding(await self._look_up.life(row)),
                receipt=ledger_pb2.Receipt(proof=proof, index=row.last_idx, size=size, record=request.record),
            )

        return await self._door.unary(context, "AuditService/GetFinding", _AUDITORS, handle)

    async def ListFindings(self, request: pb.ListFindingsRequest, context: Context) -> pb.ListFindingsResponse:  # noqa: N802
        """List findings of the caller's own unit, oldest first."""

        async def handle(caller: Caller, _deadline: float) -> pb.ListFindingsResponse:
            mistakes = Mistakes()
            size = request.page_size or 100
            if not 1 <= size <= _MOST_PER_PAGE:
                mistakes.add("page_size", f"must be 1 to {_MOST_PER_PAGE}", "每页条数有误。")
            after = position_of(request.page_token, mistakes)
            states = _states(request.state, mistakes)
            mistakes.finish()
            found, following = await self._page(caller, states, -1 if after is None else after, size)
            lives = [await self._look_up.life(row) for row in found]
            response = pb.ListFindingsResponse()
            told = fill(response.findings, map(translate.finding, lives), self._door.page_bytes)
            response.next_page_token = following if told == len(lives) else str(lives[told - 1].row.first_idx)
            return response

        return await self._door.unary(context, "AuditService/ListFindings", _AUDITORS, handle)

    async def _page(
        self, caller: Caller, states: tuple[str, ...], after: int, size: int
    ) -> tuple[list[RecordRow], str]:
        register = self._ledger.register()
        read = await self._ledger.read(lambda: register.in_state("finding", states, after_idx=after, limit=size))
        following = str(read[-1].first_idx) if len(read) == size else ""
        return [row for row in read if row.unit == caller.unit], following

    async def RequestEvidence(  # noqa: N802
        self, request: pb.RequestEvidenceRequest, context: Context
    ) -> pb.RequestEvidenceResponse:
        """Ask the person for evidence."""

        async def handle(caller: Caller, _deadline: float) -> pb.RequestEvidenceResponse:
            act, record = _act(Mistakes(), caller, request, "RequestEvidence")
            recorded = await self._find.request_evidence(act, record)
            finding, receipt = await self._then(record, caller, recorded)
            return pb.RequestEvidenceResponse(finding=finding, receipt=receipt)

        return await self._door.unary(context, "AuditService/RequestEvidence", _AUDITORS, handle)

    async def CloseFinding(self, request: pb.CloseFindingRequest, context: Context) -> pb.CloseFindingResponse:  # noqa: N802
        """End a finding in the person's favour."""

        async def handle(caller: Caller, _deadline: float) -> pb.CloseFindingResponse:
            mistakes = Mistakes()
            kind = _CLOSINGS.get(request.kind, "")
            if not kind:
                mistakes.add("kind", "is required", "请选择结案方式。")
            reason = mistakes.text("reason", request.reason, "结案理由")
            act, record = _act(mistakes, caller, request, "CloseFinding", kind=kind, reason=reason)
            recorded = await self._find.close(act, record, kind, reason)
            finding, receipt = await self._then(record, caller, recorded)
            return pb.CloseFindingResponse(finding=finding, receipt=receipt)

        return await self._door.unary(context, "AuditService/CloseFinding", _AUDITORS, handle)

    async def ProposeFalse(self, request: pb.ProposeFalseRequest, context: Context) -> pb.ProposeFalseResponse:  # noqa: N802
        """Propose that the commitment was false."""

        async def handle(caller: Caller, _deadline: float) -> pb.ProposeFalseResponse:
            mistakes = Mistakes()
            grounds = mistakes.text("grounds", request.grounds, "认定理由")
            act, record = _act(mistakes, caller, request, "ProposeFalse", grounds=grounds)
            recorded = await self._find.propose(act, record, grounds)
            finding, receipt = await self._then(record, caller, recorded)
            return pb.ProposeFalseResponse(finding=finding, receipt=receipt)

        return await self._door.unary(context, "AuditService/ProposeFalse", _AUDITORS, handle)

    async def NotifyFinding(self, request: pb.NotifyFindingRequest, context: Context) -> pb.NotifyFindingResponse:  # noqa: N802
        """Record that the person was notified."""

        async def handle(caller: Caller, _deadline: float) -> pb.NotifyFindingResponse:
            mistakes = Mistakes()
            manner = mistakes.text("manner", request.manner, "送达方式", longest=200)
            act, record = _act(mistakes, caller, request, "NotifyFinding", manner=manner)
            recorded = await self._find.notify(act, record, manner)
            finding, receipt = await self._then(record, caller, recorded)
            return pb.NotifyFindingResponse(finding=finding, receipt=receipt)

        return await self._door.unary(context, "AuditService/NotifyFinding", _AUDITORS, handle)

    async def HearDefence(self, request: pb.HearDefenceRequest, context: Context) -> pb.HearDefenceResponse:  # noqa: N802
        """Record what the person says in their defence, or that nothing came in time."""

        async def handle(caller: Caller, _deadline: float) -> pb.HearDefenceResponse:
            # A request that waives nothing is the same request as before it could.
            waived: dict[str, Json] = {"waives_rest": True} if request.waives_rest else {}
            act, record = _act(Mistakes(), caller, request, "HearDefence", statement=request.statement, **waived)
            recorded = await self._find.hear(act, record, request.statement, waives_rest=request.waives_rest)
            finding, receipt = await self._then(record, caller, recorded)
            return pb.HearDefenceResponse(finding=finding, receipt=receipt)

        return await self._door.unary(context, "AuditService/HearDefence", _AUDITORS, handle)

    async def DecideFinding(self, request: pb.DecideFindingRequest, context: Context) -> pb.DecideFindingResponse:  # noqa: N802
        """Decide, by a second officer."""

        async def handle(caller: Caller, _deadline: float) -> pb.DecideFindingResponse:
            grade = translate.word(pb.Grade, request.grade) if request.broken else ""
            mistakes = Mistakes()
            number = mistakes.text("document_number", request.document_number, "决定文书号", longest=200)
            reasons = mistakes.text("reasons", request.reasons, "决定理由")
            act, record = _act(
                mistakes, caller, request, "DecideFinding",
                broken=request.broken, document_number=number, grade=grade, reasons=reasons,
            )  # fmt: skip
            require_grade(request.broken, grade)
            decision = Decision(broken=request.broken, document_number=number, grade=grade, reasons=reasons)
            recorded = await self._find.decide(act, record, decision)
            finding, receipt = await self._then(record, caller, recorded)
            return pb.DecideFindingResponse(finding=finding, receipt=receipt)

        return await self._door.unary(context, "AuditService/DecideFinding", (Role.REVIEWER,), handle)

    async def FinaliseFinding(  # noqa: N802
        self, request: pb.FinaliseFindingRequest, context: Context
    ) -> pb.FinaliseFindingResponse:
        """Make a decision final, and issue the report with it."""

        async def handle(caller: Caller, deadline: float) -> pb.FinaliseFindingResponse:
            act, record = _act(Mistakes(), caller, request, "FinaliseFinding")
            recorded = await self._find.finalise(act, record, deadline)
            finding, receipt = await self._then(record, caller, recorded)
            last = decode_entry(recorded.entries[-1])
            report = last.record.hex() if last.kind == "ReportIssued" else ""
            return pb.FinaliseFindingResponse(finding=finding, receipt=receipt, report=report)

        return await self._door.unary(context, "AuditService/FinaliseFinding", (Role.REVIEWER,), handle)

    async def RevokeFinding(self, request: pb.RevokeFindingRequest, context: Context) -> pb.RevokeFindingResponse:  # noqa: N802
        """Set a decision aside."""

        async def handle(caller: Caller, _deadline: float) -> pb.RevokeFindingResponse:
            mistakes = Mistakes()
            revocation = Revocation(
                authority=mistakes.text("authority", request.authority, "撤销机关", longest=200),
                document_number=mistakes.text("document_number", request.document_number, "撤销文书号", longest=200),
                reasons=mistakes.text("reasons", request.reasons, "撤销理由"),
            )
            act, record = _act(
                mistakes, caller, request, "RevokeFinding", authority=revocation.authority,
                document_number=revocation.document_number, reasons=revocation.reasons,
            )  # fmt: skip
            recorded = await self._find.revoke(act, record, revocation)
            finding, receipt = await self._then(record, caller, recorded)
            return pb.RevokeFindingResponse(finding=finding, receipt=receipt)

        return await self._door.unary(context, "AuditService/RevokeFinding", (Role.REVIEWER,), handle)

    async def _then(self, record: bytes, caller: Caller, recorded: Recorded) -> tuple[pb.Finding, ledger_pb2.Receipt]:
        row = await self._look_up.own("finding", record, caller)
        life = await self._look_up.life(row, until=recorded.first)
        return translate.finding(life), translate.receipt(recorded)


def _states(state: int, mistakes: Mistakes) -> tuple[str, ...]:
    if not state:
        return _STATES
    word = translate.word(pb.FindingState, state)
    if not word:
        mistakes.add("state", "is not a state of a finding", "状态有误。")
    return (word,)


def _act(
    mistakes: Mistakes,
    caller: Caller,
    request: pb.RequestEvidenceRequest
    | pb.CloseFindingRequest
    | pb.ProposeFalseRequest
    | pb.NotifyFindingRequest
    | pb.HearDefenceRequest
    | pb.DecideFindingRequest
    | pb.FinaliseFindingRequest
    | pb.RevokeFindingRequest,
    method: str,
    **fields: Json,
) -> tuple[Request, bytes]:
    record = mistakes.record("record", request.record)
    content: dict[str, Json] = {"method": f"gateway.v1.AuditService/{method}", "record": request.record, **fields}
    return acting(mistakes, caller, request.request_id, request.operator, content), record
