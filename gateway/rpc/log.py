"""ledger.v1.LedgerService: checkpoints, entries, receipts and proofs, for anybody with a certificate."""

from __future__ import annotations

from typing import TypeVar

from gateway.errors import InvalidRequest, RecordNotFound, Violation
from gateway.flows.await_receipts import when_published
from gateway.flows.look_up import checkpoint_size, receipt_size
from gateway.rpc import translate
from gateway.rpc.door import Context, Door
from gateway.rpc.paging import bounded
from gateway.rules.admission import Mistakes
from gateway.rules.roles import Caller, Role
from ledger import EntryMissing, Ledger, ProofError, decode_entry
from ledger.v1 import ledger_pb2 as pb

_ANYBODY = tuple(Role)
Answer = TypeVar("Answer")


class LedgerServicer:
    """Serves the log itself; nothing here is personal data."""

    def __init__(self, *, door: Door, ledger: Ledger) -> None:
        self._door = door
        self._ledger = ledger

    async def GetCheckpoint(  # noqa: N802
        self, _request: pb.GetCheckpointRequest, context: Context
    ) -> pb.GetCheckpointResponse:
        """Return the newest checkpoint."""

        async def handle(_caller: Caller, _deadline: float) -> pb.GetCheckpointResponse:
            return pb.GetCheckpointResponse(checkpoint=await self._ledger.look(self._ledger.checkpoint))

        return await self._door.unary(context, "LedgerService/GetCheckpoint", _ANYBODY, handle)

    async def GetEntry(self, request: pb.GetEntryRequest, context: Context) -> pb.GetEntryResponse:  # noqa: N802
        """Return the bytes of one entry."""

        async def handle(_caller: Caller, _deadline: float) -> pb.GetEntryResponse:
            index = bounded("index", request.index)
            try:
                return pb.GetEntryResponse(entry=await self._ledger.look(lambda: self._ledger.entry(index)))
            except EntryMissing as error:
                raise RecordNotFound("entry") from error

        return await self._door.unary(context, "LedgerService/GetEntry", _ANYBODY, handle)

    async def GetReceipt(self, request: pb.GetReceiptRequest, context: Context) -> pb.GetReceiptResponse:  # noqa: N802
        """Return the receipt of one entry."""

        async def handle(_caller: Caller, _deadline: float) -> pb.GetReceiptResponse:
            index, size = bounded("index", request.index), bounded("size", request.size)
            try:
                receipt = await when_published(
                    self._ledger, lambda: self._ledger.look(lambda: self._receipt(index, size))
                )
            except EntryMissing as error:
                raise RecordNotFound("entry or checkpoint") from error
            return pb.GetReceiptResponse(receipt=receipt)

        return await self._door.unary(context, "LedgerService/GetReceipt", _ANYBODY, handle)

    async def GetConsistencyProof(  # noqa: N802
        self, request: pb.GetConsistencyProofRequest, context: Context
    ) -> pb.GetConsistencyProofResponse:
        """Prove that one size of the log is a prefix of another."""

        async def handle(_caller: Caller, _deadline: float) -> pb.GetConsistencyProofResponse:
            old, new = bounded("old_size", request.old_size), bounded("new_size", request.new_size)
            try:
                return await self._ledger.read(lambda: self._consistency(old, new))
            except EntryMissing as error:
                raise RecordNotFound("checkpoint") from error
            except ProofError as error:
                raise InvalidRequest(
                    [
                        Violation(
                            field="old_size",
                            description="is larger than new_size",
                            chinese="起始条目数不得大于截止条目数。",
                        )
                    ]
                ) from error

        return await self._door.unary(context, "LedgerService/GetConsistencyProof", _ANYBODY, handle)

    async def GetRecordHistory(  # noqa: N802
        self, request: pb.GetRecordHistoryRequest, context: Context
    ) -> pb.GetRecordHistoryResponse:
        """List the life of one record."""

        async def handle(_caller: Caller, _deadline: float) -> pb.GetRecordHistoryResponse:
            mistakes = Mistakes()
            record = mistakes.record("record", request.record)
            mistakes.finish()
            register = self._ledger.register()
            row = await self._ledger.look(lambda: register.get(record))
            if row is None:
                raise RecordNotFound("record")
            lines = await self._ledger.read(lambda: register.history(record))
            return pb.GetRecordHistoryResponse(
                entries=[
                    pb.HistoryEntry(index=line.idx, kind=line.kind, at=translate.timestamp(line.at)) for line in lines
                ],
                state=row.state,
            )

        return await self._door.unary(context, "LedgerService/GetRecordHistory", _ANYBODY, handle)

    def _receipt(self, index: int, size: int) -> pb.Receipt:
        entry = self._ledger.entry(index)  # first: one that is not there is not waited for
        receipt = self._ledger.receipt(index, size or None)
        return pb.Receipt(
            proof=receipt, index=index, size=receipt_size(receipt), record=decode_entry(entry).record.hex()
        )

    def _consistency(self, old: int, new: int) -> pb.GetConsistencyProofResponse:
        note = self._ledger.checkpoint(new or None)
        return pb.GetConsistencyProofResponse(
            proof=self._ledger.consistency(old, new or checkpoint_size(note)), checkpoint=note
        )
