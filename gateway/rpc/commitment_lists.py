"""Lists and exports of commitments: the part of CommitmentService that shows many at once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import datetime

from gateway.exports.writers import ExportFormat
from gateway.flows.reading.export_commitments import Chunk, ExportCommitments, ExportOrder, Progress, Summary
from gateway.flows.reading.list_commitments import FAMILY, STATES, ListCommitments
from gateway.flows.selecting import Selection
from gateway.rpc import translate
from gateway.rpc.door import Context, Door
from gateway.rpc.paging import fill
from gateway.rules.admission import Mistakes
from gateway.rules.clocks import legal_day
from gateway.rules.roles import Caller, Role
from gateway.v1 import commitment_pb2 as pb

_READERS = (Role.CLERK, Role.OFFICER, Role.AUDITOR)
_EXPORTERS = (Role.OFFICER, Role.AUDITOR)
_MOST_PER_PAGE = 1000
_FORMATS = {
    pb.EXPORT_FORMAT_CSV: ExportFormat.CSV,
    pb.EXPORT_FORMAT_XLSX: ExportFormat.XLSX,
    pb.EXPORT_FORMAT_JSONL: ExportFormat.JSONL,
}


class CommitmentLists:
    """Serves what shows many commitments."""

    def __init__(
        self, *, door: Door, list_commitments: ListCommitments, export: ExportCommitments, now: Callable[[], datetime]
    ) -> None:
        self._door = door
        self._list = list_commitments
        self._export = export
        self._now = now

    async def page(self, request: pb.ListCommitmentsRequest, context: Context) -> pb.ListCommitmentsResponse:
        """Serve ListCommitments."""

        async def handle(caller: Caller, _deadline: float) -> pb.ListCommitmentsResponse:
            mistakes = Mistakes()
            size = request.page_size or 100
            if not 1 <= size <= _MOST_PER_PAGE:
                mistakes.add("page_size", f"must be 1 to {_MOST_PER_PAGE}", "每页条数有误。")
            chosen = request.selection
            if request.state and chosen.state and request.state != chosen.state:
                mistakes.add("state", "contradicts selection.state", "状态条件前后不一。")
            selection = self._selection(chosen, request.state or chosen.state, caller, mistakes)
            operator, purpose = None, ""
            if selection.subject is not None:
                operator = mistakes.operator("operator", request.operator.person, request.operator.unit, caller)
                purpose = mistakes.text("selection.purpose", chosen.purpose, "查询用途")
            mistakes.finish()
            page = await self._list(
                selection, caller, operator=operator, purpose=purpose, token=request.page_token, size=size
            )
            response = pb.ListCommitmentsResponse()
            told = fill(response.commitments, map(translate.commitment, page.items), self._door.page_bytes)
            response.next_page_token = page.token_after(told)
            if page.recorded:
                response.receipt.CopyFrom(translate.receipt(page.recorded))
            return response

        return await self._door.unary(context, "CommitmentService/ListCommitments", _READERS, handle)

    async def export(
        self, request: pb.ExportCommitmentsRequest, context: Context
    ) -> AsyncIterator[pb.ExportCommitmentsResponse]:
        """Serve ExportCommitments."""

        async def handle(caller: Caller) -> AsyncIterator[pb.ExportCommitmentsResponse]:
            mistakes = Mistakes()
            form = _FORMATS.get(request.format)
            if form is None:
                mistakes.add("format", "is required", "请选择导出格式。")
            selection = self._selection(request.selection, request.selection.state, caller, mistakes)
            operator = mistakes.operator("operator", request.operator.person, request.operator.unit, caller)
            purpose = mistakes.text("purpose", request.purpose, "导出用途")
            mistakes.finish()
            assert form is not None
            order = ExportOrder(selection=selection, form=form, operator=operator, purpose=purpose)
            async for part in self._export(order, caller):
                yield _part(part)

        async for response in self._door.stream(context, "CommitmentService/ExportCommitments", _EXPORTERS, handle):
            yield response

    def _selection(self, chosen: pb.CommitmentSelection, state: int, caller: Caller, mistakes: Mistakes) -> Selection:
        where = "selection"
        subject = None
        if chosen.HasField("subject"):
            raw = translate.raw_subject(chosen.subject)
            subject = mistakes.subject(f"{where}.subject", raw, today=legal_day(self._now()))
        if chosen.all_units and chosen.unit:
            mistakes.add(f"{where}.unit", "goes without all_units", "不得同时指定单位和全部单位。")
        if chosen.all_units and chosen.case_id:
            mistakes.add(f"{where}.case_id", "needs the unit whose case it is", "按办件号查询须指定单位。")
        if chosen.case_id and not chosen.matter:
            mistakes.add(f"{where}.matter", "is required with case_id", "按办件号查询须指定办理事项。")
        return Selection(
            family=FAMILY,
            states=_states(state, f"{where}.state", mistakes),
            unit=None if chosen.all_units else chosen.unit or caller.unit,
            case_id=chosen.case_id,
            matter=chosen.matter,
            item=chosen.item,
            due_before=translate.moment_of(chosen.due_before, f"{where}.due_before", mistakes),
            subject=subject,
        )


def _states(state: int, where: str, mistakes: Mistakes) -> frozenset[str]:
    if not state:
        return STATES
    word = translate.word(pb.CommitmentState, state)
    if word not in STATES:
        mistakes.add(where, "is not a state of a commitment", "状态有误。")
    return frozenset({word})


def _part(part: Progress | Chunk | Summary) -> pb.ExportCommitmentsResponse:
    match part:
        case Progress():
            return pb.ExportCommitmentsResponse(progress=pb.ExportProgress(done=part.done, total=part.total))
        case Chunk():
            return pb.ExportCommitmentsResponse(chunk=part.data)
        case Summary():
            summary = pb.ExportSummary(rows=part.rows, digest=part.digest, receipt=translate.receipt(part.recorded))
            return pb.ExportCommitmentsResponse(summary=summary)
