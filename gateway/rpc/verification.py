"""VerificationService: a thin servicer over the flows that verify, list, watch and explain."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from google.protobuf import duration_pb2
from grpc import aio

from gateway.catalogue.book import Book
from gateway.errors import RecordNotFound
from gateway.flows.look_up import ANSWER, LookUp, opened_answer
from gateway.flows.once import REQUEST
from gateway.flows.selecting import Selection
from gateway.flows.verification.ask import Ask
from gateway.flows.verification.batch import Batch, Message, Result
from gateway.flows.verification.explain import explain_plan
from gateway.flows.verification.list_answers import ANSWERED, FAMILY, ListAnswers
from gateway.flows.verification.verify import Verify
from gateway.flows.verification.watch import Watch
from gateway.rpc import translate
from gateway.rpc.door import Context, Door, Pace
from gateway.rpc.paging import fill
from gateway.rpc.status import code_of, reason_of, status_of
from gateway.rules.admission import Mistakes
from gateway.rules.clocks import legal_day
from gateway.rules.kept import table
from gateway.rules.roles import Caller, Role
from gateway.v1 import verification_pb2 as pb
from ledger import Opening
from ledger.v1 import ledger_pb2

_ASKERS = (Role.CLERK, Role.OFFICER)
_READERS = (Role.CLERK, Role.OFFICER, Role.AUDITOR)
_MOST_PER_PAGE = 1000
_LONGEST_CURSOR = 18
_LARGEST_RESPONSE = 256 * 1024
"""Bytes of results after which a message is sent; below what clients take by default (4 MiB), and short to wait for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationFlows:
    """What this service calls."""

    verify: Verify
    batch: Batch
    list_answers: ListAnswers
    watch: Watch
    look_up: LookUp
    ask: Ask


class VerificationServicer:
    """Serves every method of VerificationService."""

    def __init__(
        self,
        *,
        door: Door,
        flows: VerificationFlows,
        book: Book,
        now: Callable[[], datetime],
        count_refusal: Callable[[str, str], None],
    ) -> None:
        """`count_refusal` is told code and reason of each question of a batch that was refused."""
        self._count_refusal = count_refusal
        self._door = door
        self._flows = flows
        self._book = book
        self._now = now

    async def Verify(self, request: pb.VerifyRequest, context: Context) -> pb.VerifyResponse:  # noqa: N802
        """Answer a question."""

        async def handle(caller: Caller, deadline: float) -> pb.VerifyResponse:
            raw = translate.raw_question(request)
            if request.validate_only:
                self._flows.verify.check(raw, caller)
                return pb.VerifyResponse()
            return translate.answered(await self._flows.verify(raw, caller, deadline))

        return await self._door.unary(context, "VerificationService/Verify", _ASKERS, handle, ends_by_itself=True)

    async def BatchVerify(self, _requests: object, context: Context) -> None:  # noqa: N802
        """Answer many questions on one stream."""

        async def receive() -> Message | None:
            request = await context.read()
            if request is aio.EOF:
                return None
            timeout = _seconds(request.timeout) if request.HasField("timeout") else None
            asked = request.requests
            return Message(
                size=len(asked),
                questions=map(translate.raw_question, asked),  # one by one: a message may hold half a million
                timeout=timeout,
                is_only_checked=lambda number: asked[number].validate_only,
            )

        async def send(results: Sequence[Result]) -> None:
            response, size = pb.BatchVerifyResponse(), 0
            for result in results:
                message = response.results.add(request_id=result.request_id, position=result.position)
                self._write_result(message, result)
                size += message.ByteSize()
                if size > min(_LARGEST_RESPONSE, self._door.page_bytes):
                    await context.write(response)
                    response, size = pb.BatchVerifyResponse(), 0
            if response.results:
                await context.write(response)

        async def handle(caller: Caller, pace: Pace) -> int:
            return await self._flows.batch(receive, send, pace, caller)

        await self._door.exchange(context, "VerificationService/BatchVerify", _ASKERS, handle)

    async def GetVerification(  # noqa: N802
        self, request: pb.GetVerificationRequest, context: Context
    ) -> pb.GetVerificationResponse:
        """Return an earlier answer."""

        async def handle(caller: Caller, _deadline: float) -> pb.GetVerificationResponse:
            mistakes = Mistakes()
            record = mistakes.record("record", request.record)
            mistakes.finish()
            look_up = self._flows.look_up
            row = await look_up.visible("verification", record, caller)
            if row.state != "ANSWERED":
                raise RecordNotFound("verification")
            kept = await look_up.groups(row.record, row.first_idx)
            question, answer = table(kept[REQUEST].value), table(kept[ANSWER].value)
            return pb.GetVerificationResponse(
                verification=translate.verification(row.record, question, answer),
                receipt=await self._receipt(row.first_idx, row.record, opened_answer(kept[ANSWER])),
            )

        return await self._door.unary(context, "VerificationService/GetVerification", _READERS, handle)

    async def ListVerifications(  # noqa: N802
        self, request: pb.ListVerificationsRequest, context: Context
    ) -> pb.ListVerificationsResponse:
        """List earlier answers."""

        async def handle(caller: Caller, _deadline: float) -> pb.ListVerificationsResponse:
            mistakes = Mistakes()
            size = request.page_size or 100
            if not 1 <= size <= _MOST_PER_PAGE:
                mistakes.add("page_size", f"must be 1 to {_MOST_PER_PAGE}", "每页条数有误。")
            selection = self._selection(request, caller, mistakes)
            operator, purpose = None, ""
            if selection.subject is not None:
                person, unit = request.operator.person, request.operator.unit
                operator = mistakes.operator("operator", person, unit, caller)
                purpose = mistakes.text("purpose", request.purpose, "查询用途")
            mistakes.finish()
            page = await self._flows.list_answers(
                selection, caller, operator=operator, purpose=purpose, token=request.page_token, size=size
            )
            response = pb.ListVerificationsResponse()
            told = fill(response.verifications, map(translate.listed, page.items), self._door.page_bytes)
            response.next_page_token = page.token_after(told)
            if page.recorded:
                response.receipt.CopyFrom(translate.receipt(page.recorded))
            return response

        return await self._door.unary(context, "VerificationService/ListVerifications", _READERS, handle)

    def _selection(self, request: pb.ListVerificationsRequest, caller: Caller, mistakes: Mistakes) -> Selection:
        subject = None
        if request.HasField("subject"):
            raw = translate.raw_subject(request.subject)
            subject = mistakes.subject("subject", raw, today=legal_day(self._now()))
        if request.all_units and request.unit:
            mistakes.add("unit", "goes without all_units", "不得同时指定单位和全部单位。")
        if request.all_units and request.case_id:
            mistakes.add("case_id", "needs the unit whose case it is", "按办件号查询须指定单位。")
        return Selection(
            family=FAMILY,
            states=ANSWERED,
            unit=None if request.all_units else request.unit or caller.unit,
            case_id=request.case_id,
            item=request.item,
            matter=request.matter,
            start=translate.moment_of(request.answered_from, "answered_from", mistakes),
            end=translate.moment_of(request.answered_before, "answered_before", mistakes),
            subject=subject,
        )

    async def WatchVerification(  # noqa: N802
        self, request: pb.WatchVerificationRequest, context: Context
    ) -> AsyncIterator[pb.WatchVerificationResponse]:
        """Tell how a verification goes on."""

        async def handle(caller: Caller) -> AsyncIterator[pb.WatchVerificationResponse]:
            mistakes = Mistakes()
            record = mistakes.record("record", request.record)
            cursor = request.cursor or "-1"
            if not cursor.removeprefix("-").isdecimal() or not cursor.isascii() or len(cursor) > _LONGEST_CURSOR:
                mistakes.add("cursor", "is not one that a watch gave out", "续接标记有误。")
            mistakes.finish()
            row = await self._flows.look_up.visible("verification", record, caller)
            if row.state == "REFUSED":
                raise RecordNotFound("verification")
            async for standing in self._flows.watch(row, int(cursor)):
                yield pb.WatchVerificationResponse(
                    verification=translate.verification(standing.record, standing.question, standing.answer),
                    receipt=await self._receipt(standing.index, standing.record, standing.openings),
                    cursor=str(standing.index),
                    final=standing.final,
                )

        async for response in self._door.stream(context, "VerificationService/WatchVerification", _READERS, handle):
            yield response

    async def ExplainPlan(self, request: pb.ExplainPlanRequest, context: Context) -> pb.ExplainPlanResponse:  # noqa: N802
        """Say who would be asked."""

        async def handle(caller: Caller, _deadline: float) -> pb.ExplainPlanResponse:
            catalogue = self._book.catalogue
            mistakes = Mistakes()
            item, matter = catalogue.items.get(request.item), catalogue.matters.get(request.matter)
            if item is None:
                mistakes.add("item", "is not in the catalogue", "证明事项不在目录中。", reason="UNKNOWN_ITEM")
            if matter is None:
                mistakes.add("matter", "is not in the catalogue", "办理事项不在目录中。", reason="UNKNOWN_MATTER")
            mistakes.finish()
            assert item is not None
            assert matter is not None
            explained = explain_plan(
                catalogue,
                item,
                matter,
                caller,
                words={name: value.text for name, value in request.parameters.items() if value.text},
                sources_for=self._flows.ask.sources_for,
                department_of=self._flows.ask.department_of,
                askers=_ASKERS,
            )
            return pb.ExplainPlanResponse(
                plan=explained.text,
                facts=[translate.planned(fact) for fact in explained.facts],
                not_entitled=explained.not_entitled,
                catalogue_version=catalogue.version,
            )

        return await self._door.unary(context, "VerificationService/ExplainPlan", tuple(Role), handle)

    async def _receipt(self, index: int, record: bytes, openings: Mapping[str, Opening]) -> ledger_pb2.Receipt:
        proof, size = await self._flows.look_up.receipt(index)
        receipt = ledger_pb2.Receipt(proof=proof, index=index, size=size, record=record.hex())
        translate.write_openings(receipt, openings)
        return receipt

    def _write_result(self, message: pb.BatchVerifyResult, result: Result) -> None:
        if result.answered is not None:
            translate.write_answered(message.response, result.answered)
        elif result.error is not None:
            message.error.CopyFrom(translate.batch_error(status_of(result.error)))
            self._count_refusal(code_of(result.error).name, reason_of(result.error))
        else:
            message.response.SetInParent()  # only checked: an answer without content, as Verify gives


def _seconds(wait: duration_pb2.Duration) -> float:
    """Read a duration of any length; what the library makes of it ends at some thousand years, with an error."""
    return wait.seconds + wait.nanos / 1e9
