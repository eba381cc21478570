"""VerificationService: a thin servicer over `gateway.flows.verify`."""

from __future__ import annotations

from gateway.catalogue.book import Book
from gateway.errors import RecordNotFound
from gateway.flows.ask import Ask
from gateway.flows.look_up import LookUp
from gateway.flows.once import REQUEST
from gateway.flows.verify import ANSWER, Verify
from gateway.rpc import translate
from gateway.rpc.door import Context, Door
from gateway.rules.admission import Mistakes
from gateway.rules.kept import table
from gateway.rules.roles import Caller, Role
from gateway.v1 import verification_pb2 as pb
from ledger.v1 import ledger_pb2

_ASKERS = (Role.CLERK, Role.OFFICER)
_READERS = (Role.CLERK, Role.OFFICER, Role.AUDITOR)


class VerificationServicer:
    """Serves Verify, GetVerification and ExplainPlan."""

    def __init__(self, *, door: Door, verify: Verify, look_up: LookUp, book: Book, ask: Ask) -> None:
        self._door = door
        self._verify = verify
        self._look_up = look_up
        self._book = book
        self._ask = ask

    async def Verify(self, request: pb.VerifyRequest, context: Context) -> pb.VerifyResponse:  # noqa: N802
        """Answer a question."""

        async def handle(caller: Caller, deadline: float) -> pb.VerifyResponse:
            raw = translate.raw_question(request)
            if request.validate_only:
                self._verify.check(raw, caller)
                return pb.VerifyResponse()
            answered = await self._verify(raw, caller, deadline)
            return pb.VerifyResponse(
                verification=translate.verification(answered.question, answered.answer),
                receipt=translate.receipt(answered.recorded),
            )

        return await self._door.unary(context, "VerificationService/Verify", _ASKERS, handle)

    async def GetVerification(  # noqa: N802
        self, request: pb.GetVerificationRequest, context: Context
    ) -> pb.GetVerificationResponse:
        """Return an earlier answer of the caller's own unit."""

        async def handle(caller: Caller, _deadline: float) -> pb.GetVerificationResponse:
            mistakes = Mistakes()
            record = mistakes.record("record", request.record)
            mistakes.finish()
            row = await self._look_up.own("verification", record, caller)
            if row.state != "ANSWERED":
                raise RecordNotFound("verification")
            kept = await self._look_up.document(row.first_idx)
            proof, size = await self._look_up.receipt(row.first_idx)
            return pb.GetVerificationResponse(
                verification=translate.verification(table(kept[REQUEST]), table(kept[ANSWER])),
                receipt=ledger_pb2.Receipt(proof=proof, index=row.first_idx, size=size, record=request.record),
            )

        return await self._door.unary(context, "VerificationService/GetVerification", _READERS, handle)
