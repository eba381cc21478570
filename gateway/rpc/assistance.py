"""AssistanceService: a thin servicer over `gateway.flows.assistance`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from connectors.outcome import Kind
from gateway.flows.assistance.assist import Assist
from gateway.flows.assistance.list_requests import STATES, ReadAssistance
from gateway.flows.assistance.values import Assisted, Checking, Finding, Sending
from gateway.flows.look_up import LookUp
from gateway.flows.once import Recorded
from gateway.rpc import translate
from gateway.rpc.commitment import acting
from gateway.rpc.door import Context, Door
from gateway.rpc.paging import fill
from gateway.rules.admission import Mistakes, Operator
from gateway.rules.identifiers import IdentifierRefused, parse_uscc
from gateway.rules.people import OUTCOMES
from gateway.rules.roles import Caller, Role
from gateway.v1 import assistance_pb2 as pb
from ledger.canonical import Json
from ledger.v1 import ledger_pb2

_METHOD = "gateway.v1.AssistanceService"
_SENDERS = (Role.CLERK, Role.OFFICER)
_ANSWERERS = (Role.SOURCE_OFFICER,)
_READERS = (Role.CLERK, Role.OFFICER, Role.SOURCE_OFFICER, Role.AUDITOR)
_MOST_PER_PAGE = 1000
_MOST_ATTACHMENTS = 50
_LONGEST_TITLE = 200
_LONGEST_CODE = 128
_DIGEST_BYTES = 32
_LARGEST_FEE = 10**12
_METHODS = {
    pb.CHECK_METHOD_PAPER: "PAPER",
    pb.CHECK_METHOD_NETWORK: "NETWORK",
    pb.CHECK_METHOD_ON_SITE: "ON_SITE",
    pb.CHECK_METHOD_PUBLIC_NOTICE: "PUBLIC_NOTICE",
}


class AssistanceServicer:
    """Serves requests for assistance, and checks; `working_days` says how many each term has."""

    def __init__(
        self,
        *,
        door: Door,
        assist: Assist,
        read: ReadAssistance,
        look_up: LookUp,
        working_days: Mapping[int, int],
    ) -> None:
        self._door = door
        self._assist = assist
        self._read = read
        self._look_up = look_up
        self._working_days = working_days

    async def SendAssistance(  # noqa: N802
        self, request: pb.SendAssistanceRequest, context: Context
    ) -> pb.SendAssistanceResponse:
        """Ask a unit."""

        async def handle(caller: Caller, deadline: float) -> pb.SendAssistanceResponse:
            mistakes = Mistakes()
            verification = mistakes.record("verification", request.verification)
            unit = _uscc(mistakes, "unit", request.unit, "协查单位")
            fact_type = mistakes.line("fact_type", request.fact_type, "事实类型", longest=_LONGEST_CODE)
            term = request.term or pb.ASSISTANCE_TERM_NORMAL
            if term not in self._working_days:
                mistakes.add("term", "is not a term", "协查期限有误。")
            note = mistakes.line("note", request.note, "协查说明") if request.note else ""
            act = acting(
                mistakes, caller, request.request_id, request.operator,
                _body(
                    "SendAssistance", verification=request.verification, unit=unit, fact_type=fact_type, note=note,
                    term=pb.AssistanceTerm.Name(term) if term in self._working_days else "",
                ),
            )  # fmt: skip
            sending = Sending(
                verification=verification, unit=unit, fact_type=fact_type, note=note,
                working_days=self._working_days[term],
            )  # fmt: skip
            done = await self._assist.send(act, sending, deadline)
            return pb.SendAssistanceResponse(
                assistance=await self._as_of(done.recorded, caller),
                receipt=translate.receipt(done.recorded),
                verification=_hex(done.verification),
            )

        return await self._door.unary(context, "AssistanceService/SendAssistance", _SENDERS, handle)

    async def ListAssistance(  # noqa: N802
        self, request: pb.ListAssistanceRequest, context: Context
    ) -> pb.ListAssistanceResponse:
        """List requests."""

        async def handle(caller: Caller, _deadline: float) -> pb.ListAssistanceResponse:
            mistakes = Mistakes()
            size = request.page_size or 100
            if not 1 <= size <= _MOST_PER_PAGE:
                mistakes.add("page_size", f"must be 1 to {_MOST_PER_PAGE}", "每页条数有误。")
            states = _states(request.state, mistakes)
            mistakes.finish()
            page = await self._read.page(caller, states, sent=request.sent, token=request.page_token, size=size)
            response = pb.ListAssistanceResponse()
            told = fill(response.assistance, map(translate.assistance, page.items), self._door.page_bytes)
            response.next_page_token = page.token_after(told)
            return response

        return await self._door.unary(context, "AssistanceService/ListAssistance", _READERS, handle)

    async def GetAssistance(  # noqa: N802
        self, request: pb.GetAssistanceRequest, context: Context
    ) -> pb.GetAssistanceResponse:
        """Return a request."""

        async def handle(caller: Caller, _deadline: float) -> pb.GetAssistanceResponse:
            mistakes = Mistakes()
            record = mistakes.record("record", request.record)
            mistakes.finish()
            row = await self._read.visible(record, caller)
            proof, size = await self._look_up.receipt(row.last_idx)
            return pb.GetAssistanceResponse(
                assistance=translate.assistance(await self._read.read(row, caller)),
                receipt=ledger_pb2.Receipt(proof=proof, index=row.last_idx, size=size, record=request.record),
            )

        return await self._door.unary(context, "AssistanceService/GetAssistance", _READERS, handle)

    async def ReceiveAssistance(  # noqa: N802
        self, request: pb.ReceiveAssistanceRequest, context: Context
    ) -> pb.ReceiveAssistanceResponse:
        """Hand out what is asked."""

        async def handle(caller: Caller, _deadline: float) -> pb.ReceiveAssistanceResponse:
            mistakes = Mistakes()
            record = mistakes.record("record", request.record)
            body = _body("ReceiveAssistance", record=request.record)
            act = acting(mistakes, caller, request.request_id, request.operator, body)
            recorded = await self._assist.receive(act, record)
            return pb.ReceiveAssistanceResponse(
                assistance=await self._as_of(recorded, caller),
                inquiry=translate.inquiry(await self._read.shown(recorded)),
                receipt=translate.receipt(recorded),
            )

        return await self._door.unary(context, "AssistanceService/ReceiveAssistance", _ANSWERERS, handle)

    async def ClaimAssistance(  # noqa: N802
        self, request: pb.ClaimAssistanceRequest, context: Context
    ) -> pb.ClaimAssistanceResponse:
        """Take a request on."""

        async def handle(caller: Caller, _deadline: float) -> pb.ClaimAssistanceResponse:
            mistakes = Mistakes()
            record = mistakes.record("record", request.record)
            body = _body("ClaimAssistance", record=request.record)
            if request.take_over:
                body["take_over"] = True
            act = acting(mistakes, caller, request.request_id, request.operator, body)
            recorded = await self._assist.claim(act, record, take_over=request.take_over)
            return pb.ClaimAssistanceResponse(
                assistance=await self._as_of(recorded, caller), receipt=translate.receipt(recorded)
            )

        return await self._door.unary(context, "AssistanceService/ClaimAssistance", _ANSWERERS, handle)

    async def AnswerAssistance(  # noqa: N802
        self, request: pb.AnswerAssistanceRequest, context: Context
    ) -> pb.AnswerAssistanceResponse:
        """Take the answer of the unit asked."""

        async def handle(caller: Caller, deadline: float) -> pb.AnswerAssistanceResponse:
            mistakes = Mistakes()
            record = mistakes.record("record", request.record)
            finding = _finding(mistakes, request, caller)
            act = acting(
                mistakes, caller, request.request_id, request.operator,
                _body("AnswerAssistance", record=request.record, found=finding.body()),
            )  # fmt: skip
            done = await self._assist.answer(act, record, finding, deadline)
            return pb.AnswerAssistanceResponse(
                assistance=await self._as_of(done.recorded, caller), receipt=translate.receipt(done.recorded)
            )

        return await self._door.unary(context, "AssistanceService/AnswerAssistance", _ANSWERERS, handle)

    async def RefuseAssistance(  # noqa: N802
        self, request: pb.RefuseAssistanceRequest, context: Context
    ) -> pb.RefuseAssistanceResponse:
        """Take the refusal of the unit asked."""

        async def handle(caller: Caller, deadline: float) -> pb.RefuseAssistanceResponse:
            mistakes = Mistakes()
            record = mistakes.record("record", request.record)
            reason = mistakes.line("reason", request.reason, "不予协查的理由")
            body = _body("RefuseAssistance", record=request.record, reason=reason)
            act = acting(mistakes, caller, request.request_id, request.operator, body)
            done = await self._assist.refuse(act, record, reason, deadline)
            return pb.RefuseAssistanceResponse(
                assistance=await self._as_of(done.recorded, caller), receipt=translate.receipt(done.recorded)
            )

        return await self._door.unary(context, "AssistanceService/RefuseAssistance", _ANSWERERS, handle)

    async def ReturnAssistance(  # noqa: N802
        self, request: pb.ReturnAssistanceRequest, context: Context
    ) -> pb.ReturnAssistanceResponse:
        """Take a misdirected request back."""

        async def handle(caller: Caller, deadline: float) -> pb.ReturnAssistanceResponse:
            mistakes = Mistakes()
            record = mistakes.record("record", request.record)
            forward = _uscc(mistakes, "forward_to", request.forward_to, "应转送单位") if request.forward_to else ""
            body = _body("ReturnAssistance", record=request.record, forward_to=forward)
            act = acting(mistakes, caller, request.request_id, request.operator, body)
            done = await self._assist.send_back(act, record, forward, deadline)
            return pb.ReturnAssistanceResponse(
                assistance=await self._as_of(done.recorded, caller), receipt=translate.receipt(done.recorded)
            )

        return await self._door.unary(context, "AssistanceService/ReturnAssistance", _ANSWERERS, handle)

    async def RecordCheck(self, request: pb.RecordCheckRequest, context: Context) -> pb.RecordCheckResponse:  # noqa: N802
        """Record what the approval department checked."""

        async def handle(caller: Caller, deadline: float) -> pb.RecordCheckResponse:
            mistakes = Mistakes()
            verification = mistakes.record("verification", request.verification)
            fact_type = mistakes.line("fact_type", request.fact_type, "事实类型", longest=_LONGEST_CODE)
            method = _METHODS.get(request.method, "")
            if not method:
                mistakes.add("method", "is required", "请选择核查方式。")
            finding = _finding(mistakes, request, caller)
            commission = _commission(mistakes, request.commission) if request.HasField("commission") else None
            act = acting(
                mistakes, caller, request.request_id, request.operator,
                _body(
                    "RecordCheck", verification=request.verification, fact_type=fact_type, checked_by=method,
                    found=finding.body(), commission=commission,
                ),
            )  # fmt: skip
            checking = Checking(
                verification=verification, fact_type=fact_type, method=method, finding=finding, commission=commission
            )
            done: Assisted = await self._assist.check(act, checking, deadline)
            receipt = translate.receipt(done.recorded)
            return pb.RecordCheckResponse(
                record=receipt.record, receipt=receipt, verification=_hex(done.verification)
            )  # fmt: skip

        return await self._door.unary(context, "AssistanceService/RecordCheck", _SENDERS, handle)

    async def _as_of(self, recorded: Recorded, caller: Caller) -> pb.Assistance:
        """Write a request as it stood after an entry: a repeat is answered as it was first."""
        row = await self._read.visible(recorded.record, caller)
        return translate.assistance(await self._read.read(row, caller, until=recorded.first))


def _finding(
    mistakes: Mistakes, request: pb.AnswerAssistanceRequest | pb.RecordCheckRequest, caller: Caller
) -> Finding:  # fmt: skip
    words = {kind.value: kind for kind in OUTCOMES}
    if request.outcome not in words:
        mistakes.add("outcome", f"must be one of {', '.join(words)}", "请选择核查结果。")
    basis = mistakes.text("basis", request.basis, "核查依据")
    other: Operator | None = None
    if request.HasField("second_operator"):
        second = request.second_operator
        other = mistakes.operator("second_operator", second.person, second.unit, caller)
    files = []
    for number, one in enumerate(request.attachments):
        where = partial("attachments[{}].{}".format, number)
        mistakes.line(where("title"), one.title, "附件名称", longest=_LONGEST_TITLE)
        if len(one.digest) != _DIGEST_BYTES:
            mistakes.add(where("digest"), f"must be {_DIGEST_BYTES} bytes", "附件摘要须为 SHA-256(32 字节)。")
        files.append((one.title, one.digest))
    if len(files) > _MOST_ATTACHMENTS:
        mistakes.add("attachments", f"must be at most {_MOST_ATTACHMENTS}", "附件过多。")
    return Finding(
        outcome=words.get(request.outcome, Kind.NO_RECORD), basis=basis, second=other, attachments=tuple(files)
    )


def _commission(mistakes: Mistakes, told: pb.Commission) -> dict[str, Json]:
    contractor = _uscc(mistakes, "commission.contractor", told.contractor, "受托单位")
    number = mistakes.line("commission.contract_number", told.contract_number, "合同编号", longest=_LONGEST_CODE)
    agreement = mistakes.line(
        "commission.data_agreement", told.data_agreement, "个人信息处理协议编号", longest=_LONGEST_CODE
    )
    if not 0 <= told.fee_fen <= _LARGEST_FEE:
        mistakes.add("commission.fee_fen", f"must be 0 to {_LARGEST_FEE}", "费用有误。")
    return {
        "contractor": contractor,
        "contract_number": number,
        "fee_fen": told.fee_fen,
        "data_agreement": agreement,
    }


def _uscc(mistakes: Mistakes, where: str, code: str, chinese: str) -> str:
    try:
        return parse_uscc(code).number
    except IdentifierRefused as error:
        mistakes.add(where, f"is not a unified social credit code ({error.rule.name})", f"{chinese}:{error.chinese}")
        return ""


def _states(state: int, mistakes: Mistakes) -> frozenset[str]:
    if not state:
        return STATES
    word = translate.word(pb.AssistanceState, state)
    if word not in STATES:
        mistakes.add("state", "is not a state of a request", "状态有误。")
    return frozenset({word})


def _body(method: str, **fields: Json) -> dict[str, Json]:
    return {"method": f"{_METHOD}/{method}", **fields}


def _hex(record: bytes | None) -> str:
    return "" if record is None else record.hex()
