"""CreditService: a thin servicer over `gateway.flows.audit.report` and `gateway.flows.commitments.tell_standing`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import datetime

from connectors.names import is_blank
from gateway.catalogue.book import Book
from gateway.flows.audit.report import Report
from gateway.flows.commitments.tell_standing import Inquiry, TellStanding
from gateway.rpc import translate
from gateway.rpc.commitment import acting
from gateway.rpc.door import Context, Door
from gateway.rpc.paging import bounded
from gateway.rules.admission import LONGEST_CODE, CaseContext, Mistakes, check_matter
from gateway.rules.clocks import legal_day
from gateway.rules.roles import Caller, Role
from gateway.v1 import credit_pb2 as pb
from gateway.v1 import parties_pb2

_PLATFORM = (Role.CREDIT,)
_METHOD = "gateway.v1.CreditService/"


class CreditServicer:
    """Serves the credit platform."""

    def __init__(
        self, *, door: Door, report: Report, tell_standing: TellStanding, book: Book, now: Callable[[], datetime]
    ) -> None:
        self._door = door
        self._report = report
        self._tell_standing = tell_standing
        self._book = book
        self._now = now

    async def PullReports(  # noqa: N802
        self, request: pb.PullReportsRequest, context: Context
    ) -> AsyncIterator[pb.PullReportsResponse]:
        """Stream what the platform has not handled after a cursor."""

        async def handle(_caller: Caller) -> AsyncIterator[pb.PullReportsResponse]:
            # Index 0 holds the opening of the log and never a report, so 0 can mean: from the beginning.
            async for item in self._report.pull(bounded("after", request.after), request.limit):
                yield translate.pulled(item)

        async for response in self._door.stream(context, "CreditService/PullReports", _PLATFORM, handle):
            yield response

    async def AcknowledgeReport(  # noqa: N802
        self, request: pb.AcknowledgeReportRequest, context: Context
    ) -> pb.AcknowledgeReportResponse:
        """Take the platform's acknowledgement."""

        async def handle(caller: Caller, _deadline: float) -> pb.AcknowledgeReportResponse:
            mistakes = Mistakes()
            record = mistakes.record("record", request.record)
            reference = mistakes.text("platform_reference", request.platform_reference, "平台编号", longest=200)
            act = acting(
                mistakes, caller, request.request_id, _system(caller),
                {"method": f"{_METHOD}AcknowledgeReport", "record": request.record, "platform_reference": reference},
            )  # fmt: skip
            recorded = await self._report.acknowledge(act, record, reference)
            return pb.AcknowledgeReportResponse(receipt=translate.receipt(recorded))

        return await self._door.unary(context, "CreditService/AcknowledgeReport", _PLATFORM, handle)

    async def RejectReport(self, request: pb.RejectReportRequest, context: Context) -> pb.RejectReportResponse:  # noqa: N802
        """Take the platform's rejection."""

        async def handle(caller: Caller, _deadline: float) -> pb.RejectReportResponse:
            mistakes = Mistakes()
            record = mistakes.record("record", request.record)
            reason = mistakes.text("reason", request.reason, "退回理由")
            act = acting(
                mistakes, caller, request.request_id, _system(caller),
                {"method": f"{_METHOD}RejectReport", "record": request.record, "reason": reason},
            )  # fmt: skip
            recorded = await self._report.reject(act, record, reason)
            return pb.RejectReportResponse(receipt=translate.receipt(recorded))

        return await self._door.unary(context, "CreditService/RejectReport", _PLATFORM, handle)

    async def RecallReport(self, request: pb.RecallReportRequest, context: Context) -> pb.RecallReportResponse:  # noqa: N802
        """Take a report back."""

        async def handle(caller: Caller, _deadline: float) -> pb.RecallReportResponse:
            mistakes = Mistakes()
            record = mistakes.record("record", request.record)
            reason = mistakes.text("reason", request.reason, "召回理由")
            act = acting(
                mistakes, caller, request.request_id, request.operator,
                {"method": f"{_METHOD}RecallReport", "record": request.record, "reason": reason},
            )  # fmt: skip
            recorded = await self._report.recall(act, record, reason)
            return pb.RecallReportResponse(receipt=translate.receipt(recorded))

        return await self._door.unary(context, "CreditService/RecallReport", (Role.REVIEWER,), handle)

    async def RecordRepair(self, request: pb.RecordRepairRequest, context: Context) -> pb.RecordRepairResponse:  # noqa: N802
        """End the effect of a finding by law."""

        async def handle(caller: Caller, _deadline: float) -> pb.RecordRepairResponse:
            mistakes = Mistakes()
            finding = mistakes.record("finding", request.finding)
            number = mistakes.text("document_number", request.document_number, "信用修复决定文书号", longest=200)
            act = acting(
                mistakes, caller, request.request_id, request.operator,
                {"method": f"{_METHOD}RecordRepair", "finding": request.finding, "document_number": number},
            )  # fmt: skip
            recorded = await self._report.repair(act, finding, number)
            return pb.RecordRepairResponse(receipt=translate.receipt(recorded))

        return await self._door.unary(context, "CreditService/RecordRepair", (Role.CREDIT, Role.REVIEWER), handle)

    async def GetEligibility(  # noqa: N802
        self, request: pb.GetEligibilityRequest, context: Context
    ) -> pb.GetEligibilityResponse:
        """Say whether a person may commit at present, and if not, why, to who handles the case."""

        async def handle(caller: Caller, _deadline: float) -> pb.GetEligibilityResponse:
            mistakes = Mistakes()
            now = self._now()
            mistakes.text("matter", request.matter, "办理事项", longest=LONGEST_CODE)
            mistakes.text("item", request.item, "证明事项", longest=LONGEST_CODE)
            mistakes.line("case_id", request.case_id, "办件号", longest=LONGEST_CODE)
            mistakes.line("purpose", request.purpose, "查询用途")
            operator = mistakes.operator("operator", request.operator.person, request.operator.unit, caller)
            subject = mistakes.subject("subject", translate.raw_subject(request.subject), today=legal_day(now))
            catalogue = self._book.catalogue
            check_matter(mistakes, catalogue, request.matter, request.purpose)
            if not is_blank(request.item) and request.item not in catalogue.items:
                mistakes.add("item", "is not in the catalogue", "证明事项不在目录中。", reason="UNKNOWN_ITEM")
            mistakes.finish()
            context = CaseContext(
                matter=request.matter, case_id=request.case_id, purpose=request.purpose, operator=operator
            )
            inquiry = Inquiry(subject=subject, item=request.item, context=context)
            barred, recorded = await self._tell_standing(inquiry, caller)
            return pb.GetEligibilityResponse(
                eligible=barred is None,
                reason=barred.code if barred else "",
                explanation=barred.chinese if barred else "",
                at=translate.timestamp(now),
                receipt=translate.receipt(recorded),
            )

        roles = (Role.CLERK, Role.OFFICER, Role.CREDIT)
        return await self._door.unary(context, "CreditService/GetEligibility", roles, handle)


def _system(caller: Caller) -> parties_pb2.Operator:
    """The platform acts by itself: its system stands for the person."""
    return parties_pb2.Operator(person=caller.id.rsplit("/", 1)[-1], unit=caller.unit)
