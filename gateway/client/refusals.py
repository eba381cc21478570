"""Refusals of the gateway, typed: read from the google.rpc.Status that each carries (AIP-193)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

import grpc
from google.rpc import error_details_pb2, status_pb2
from grpc import aio

from gateway.client.proofs import LogKeys, ProvenEntry, ReceiptRefused
from ledger.v1 import ledger_pb2

_DETAILS = "grpc-status-details-bin"


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldMistake:
    """One mistake in a question: the field's path, what is wrong in English and in Chinese."""

    field: str
    description: str
    chinese: str


class GatewayRefusal(Exception):
    """The gateway refused, or could not be reached.

    `code` is the gRPC code's name, `reason` a stable upper-case word (empty if the answer is not the gateway's),
    `message` what is wrong in English,
    `chinese` what the person at the window may read, `metadata` what ErrorInfo adds, `retry_after` when the gateway
    asks to come again, `receipt` the refusal's receipt as it came, if it was recorded, and `proven` what that proves.
    """

    codes: ClassVar[tuple[str, ...]] = ()
    proven: ProvenEntry | None = None

    def __init__(self, status: _Refused) -> None:
        super().__init__(f"{status.code} {status.reason}: {status.message}".strip())
        self.code = status.code
        self.reason = status.reason
        self.message = status.message
        self.chinese = status.chinese
        self.metadata = status.metadata
        self.retry_after = status.retry_after
        self.mistakes = status.mistakes
        self.receipt = status.receipt


class InvalidQuestion(GatewayRefusal):
    """The request is malformed; `mistakes` names every field."""

    codes = ("INVALID_ARGUMENT",)


class Forbidden(GatewayRefusal):
    """This caller may not ask or do this; the refusal is recorded where it concerns a person."""

    codes = ("PERMISSION_DENIED", "UNAUTHENTICATED")


class NotFound(GatewayRefusal):
    """There is no such record, or it is not the caller's to see."""

    codes = ("NOT_FOUND",)


class AlreadyUsed(GatewayRefusal):
    """The request_id was used with another body; `metadata["fields"]` names where they differ."""

    codes = ("ALREADY_EXISTS",)


class NotPossible(GatewayRefusal):
    """The state of things does not allow this."""

    codes = ("FAILED_PRECONDITION",)


class NotNow(GatewayRefusal):
    """A limit is reached (calls, guesses about a person, the ledger's queue); `retry_after` says when it ends.

    None where waiting does not help: a message that is too large.
    """

    codes = ("RESOURCE_EXHAUSTED",)


class Unavailable(GatewayRefusal):
    """The gateway or its ledger cannot be reached now; asking again with the same request_id is safe."""

    codes = ("UNAVAILABLE",)


class DeadlinePassed(GatewayRefusal):
    """The time given was not enough; asking again with the same request_id is safe."""

    codes = ("DEADLINE_EXCEEDED",)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Refused:
    code: str
    message: str
    reason: str
    chinese: str
    metadata: Mapping[str, str]
    retry_after: timedelta | None
    mistakes: tuple[FieldMistake, ...]
    receipt: ledger_pb2.Receipt | None


_NAMES = {code.value[0]: code.name for code in grpc.StatusCode}
_KINDS = {
    code: kind
    for kind in (
        InvalidQuestion,
        Forbidden,
        NotFound,
        AlreadyUsed,
        NotPossible,
        NotNow,
        Unavailable,
        DeadlinePassed,
    )
    for code in kind.codes
}


_OURS = {
    grpc.StatusCode.UNAVAILABLE.value[0]: "无法连接核验网关,请稍后用同一请求编号重试。",
    grpc.StatusCode.DEADLINE_EXCEEDED.value[0]: "等待已超时,请用同一请求编号重试;已受理的请求不会重复记录。",
    grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]: "消息过大,未能收发;其中如有图像,请压缩后重试。",
}
"""What the window is told where the gateway itself could say nothing."""


def refusal_of_status(status: status_pb2.Status) -> GatewayRefusal:
    """Read a refusal from a google.rpc.Status."""
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    retry, localized = error_details_pb2.RetryInfo(), error_details_pb2.LocalizedMessage()
    receipt = ledger_pb2.Receipt()
    found = {
        type(message)
        for detail in status.details
        for message in (info, bad, retry, localized, receipt)
        if detail.Unpack(message)
    }
    refused = _Refused(
        code=_NAMES.get(status.code, "UNKNOWN"),
        message=status.message,
        reason=info.reason,
        chinese=localized.message or _OURS.get(status.code, ""),
        metadata=dict(info.metadata),
        retry_after=retry.retry_delay.ToTimedelta() if error_details_pb2.RetryInfo in found else None,
        mistakes=tuple(
            FieldMistake(field=one.field, description=one.description, chinese=one.localized_message.message)
            for one in bad.field_violations
        ),
        receipt=receipt if ledger_pb2.Receipt in found else None,
    )
    return _KINDS.get(refused.code, GatewayRefusal)(refused)


def time_is_up() -> GatewayRefusal:
    """Say that there is no time left to ask (again)."""
    code = grpc.StatusCode.DEADLINE_EXCEEDED.value[0]
    return refusal_of_status(status_pb2.Status(code=code, message="no time is left to ask"))


def ended_early() -> aio.AioRpcError:
    """Say that a stream ended without an error before it was over: whoever ended it, the gateway was unavailable."""
    return aio.AioRpcError(
        grpc.StatusCode.UNAVAILABLE, aio.Metadata(), aio.Metadata(), details="the stream ended before it was over"
    )


def verified(refusal: GatewayRefusal, keys: LogKeys) -> GatewayRefusal:
    """Verify the receipt of a refusal, where it carries one (a long one does not fit; only its index comes then).

    Raises:
        ReceiptRefused: it does not prove that the refusal was recorded.
    """
    if refusal.receipt is not None and refusal.receipt.proof:
        proven = keys.verify(refusal.receipt, kinds=("VerificationRefused",), record=refusal.metadata.get("record", ""))
        kept = proven.opened.get("refusal")
        if kept is None or (kept.value.get("reason"), kept.value.get("rule")) != (refusal.reason, refusal.message):
            raise ReceiptRefused(f"entry {proven.index} is not of this very refusal")
        refusal.proven = proven
    return refusal


def refusal_of(error: grpc.RpcError) -> GatewayRefusal:
    """Read a refusal from the error of a call, of an asynchronous or a blocking channel.

    Who cancels a call here never gets its error: a CANCELLED without a word comes from a gateway that went away while
    the call was on its way, and is as UNAVAILABLE.
    """
    status = _status(error)
    if status is None:
        code: grpc.StatusCode = error.code()
        code = grpc.StatusCode.UNAVAILABLE if code is grpc.StatusCode.CANCELLED else code
        status = status_pb2.Status(code=code.value[0], message=_text(error))
    return refusal_of_status(status)


def explain(error: grpc.RpcError) -> tuple[str, str]:
    """Give the reason of a refusal (such as COMMITMENT_BARRED) and what it says in Chinese, or empty texts."""
    refusal = refusal_of(error)
    return refusal.reason, refusal.chinese


def _status(error: grpc.RpcError) -> status_pb2.Status | None:
    trailers = error.trailing_metadata() if isinstance(error, aio.AioRpcError | grpc.Call) else None
    for key, value in trailers or ():
        if key == _DETAILS and isinstance(value, bytes):
            return status_pb2.Status.FromString(value)
    return None


def _text(error: grpc.RpcError) -> str:
    return str(error.details() or "") if isinstance(error, aio.AioRpcError | grpc.Call) else ""
