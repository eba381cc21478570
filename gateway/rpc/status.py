"""Where errors cross the wire: one table from our exceptions to gRPC status, with google.rpc details.

ErrorInfo (reason, domain), BadRequest (every field violation), RetryInfo and LocalizedMessage zh-CN (AIP-193). What
is not in the table becomes INTERNAL with no text of its own: an exception's message may hold what nobody should see.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import grpc
from google.protobuf import any_pb2, duration_pb2, message
from google.rpc import error_details_pb2, status_pb2

from gateway import errors
from ledger import errors as ledger_errors
from ledger.v1 import ledger_pb2

DOMAIN = "chengxin"

_CODES: tuple[tuple[type[Exception], grpc.StatusCode], ...] = (
    (errors.InvalidRequest, grpc.StatusCode.INVALID_ARGUMENT),
    (errors.DeadlineRequired, grpc.StatusCode.INVALID_ARGUMENT),
    (errors.CallerUnknown, grpc.StatusCode.PERMISSION_DENIED),
    (errors.CallerRefused, grpc.StatusCode.PERMISSION_DENIED),
    (errors.OperatorAssertionRequired, grpc.StatusCode.UNAUTHENTICATED),
    (errors.OperatorAssertionRefused, grpc.StatusCode.UNAUTHENTICATED),
    (errors.NotEntitled, grpc.StatusCode.PERMISSION_DENIED),
    (errors.ItemBanned, grpc.StatusCode.FAILED_PRECONDITION),
    (errors.RequestIdReused, grpc.StatusCode.ALREADY_EXISTS),
    (errors.LimitReached, grpc.StatusCode.RESOURCE_EXHAUSTED),
    (errors.MessageTooLarge, grpc.StatusCode.RESOURCE_EXHAUSTED),  # as gRPC itself says of what it does not take in
    (errors.MessageUnreadable, grpc.StatusCode.INVALID_ARGUMENT),
    (errors.TooManyItems, grpc.StatusCode.INVALID_ARGUMENT),
    (errors.Draining, grpc.StatusCode.UNAVAILABLE),
    (errors.NotYetPublished, grpc.StatusCode.UNAVAILABLE),
    (errors.CommitmentExists, grpc.StatusCode.ALREADY_EXISTS),
    (errors.RecordNotFound, grpc.StatusCode.NOT_FOUND),
    (errors.DocumentErased, grpc.StatusCode.NOT_FOUND),
    (errors.StepRefused, grpc.StatusCode.FAILED_PRECONDITION),
    (errors.ExportImpossible, grpc.StatusCode.RESOURCE_EXHAUSTED),
    (errors.CatalogueRefused, grpc.StatusCode.FAILED_PRECONDITION),
    (errors.SignatureRefused, grpc.StatusCode.INVALID_ARGUMENT),
    (errors.TimestampUnavailable, grpc.StatusCode.UNAVAILABLE),
    (errors.ClockBehind, grpc.StatusCode.UNAVAILABLE),
    (errors.CapacityUnknown, grpc.StatusCode.UNAVAILABLE),
    (errors.EvidenceMissing, grpc.StatusCode.FAILED_PRECONDITION),
    (errors.PackTooLarge, grpc.StatusCode.FAILED_PRECONDITION),  # asking again does not help
    (ledger_errors.LedgerOverloaded, grpc.StatusCode.RESOURCE_EXHAUSTED),
    (ledger_errors.KeysRetired, grpc.StatusCode.UNAVAILABLE),  # of this process alone: the next one answers
    (ledger_errors.LedgerUnavailable, grpc.StatusCode.UNAVAILABLE),
    (ledger_errors.LedgerDamaged, grpc.StatusCode.DATA_LOSS),
)

_LEDGER_REASONS = {
    grpc.StatusCode.RESOURCE_EXHAUSTED: ("LEDGER_OVERLOADED", "系统繁忙,请稍后重试。"),
    grpc.StatusCode.UNAVAILABLE: (
        "LEDGER_UNAVAILABLE",
        "台账暂不可写,本次请求未作答复,请稍后用同一请求编号重试;已受理的不会重复记录。",
    ),
    grpc.StatusCode.DATA_LOSS: ("LEDGER_DAMAGED", "台账校验不一致,已停止受理。"),
}
_OWN_REASONS = {
    grpc.StatusCode.DEADLINE_EXCEEDED: ("the deadline passed", "处理已超时,请用同一请求编号重试。"),
    grpc.StatusCode.INTERNAL: ("internal error", "系统内部错误,请稍后重试;仍不成功的,请联系系统管理员。"),
}
_RETRY = timedelta(seconds=1)
_LONGEST_PROOF = 4000
"""Bytes of a receipt's proof and of what it opens, in the details, which travel as a header: gRPC clients refuse
headers beyond 8 KiB."""
_LONGEST_MESSAGE = 600
"""Bytes of the message of a status with mistakes; what is not ASCII takes three times as many in a header."""
_MOST_TOLD = 2500
"""Bytes of mistakes in the details, which travel as a header: gRPC clients refuse headers beyond 8 KiB."""


def code_of(error: BaseException) -> grpc.StatusCode:
    """Say which gRPC code an error has; INTERNAL for what is not foreseen."""
    for kind, code in _CODES:
        if isinstance(error, kind):
            return code
    if isinstance(error, TimeoutError):
        return grpc.StatusCode.DEADLINE_EXCEEDED
    return grpc.StatusCode.INTERNAL


def status_of(error: BaseException) -> status_pb2.Status:
    """Build the google.rpc.Status of an error, details included."""
    code = code_of(error)
    status = status_pb2.Status(code=code.value[0])
    if isinstance(error, errors.GatewayError):
        status.message = str(error)
        info = error_details_pb2.ErrorInfo(reason=reason_of(error), domain=DOMAIN, metadata=_metadata(error))
        _pack(status, info)
        if isinstance(error, errors.InvalidRequest):
            status.message = _short(status.message)
            _pack(status, _bad_request(error))
        if (wait := _wait(error)) is not None:
            _pack(status, _retry(wait))
        if isinstance(error, errors.CatalogueRefused):
            status.message = f"the catalogue has {len(error.mistakes)} mistakes; nothing changed"
            _pack(status, _unmet(error.mistakes))
        _pack(status, error_details_pb2.LocalizedMessage(locale="zh-CN", message=error.chinese))
        if error.recording is not None:
            _pack(status, _receipt(error.recording))
    elif code in _LEDGER_REASONS:
        reason, chinese = _LEDGER_REASONS[code]
        status.message = reason.replace("_", " ").lower()
        _pack(status, error_details_pb2.ErrorInfo(reason=reason, domain=DOMAIN))
        if code is not grpc.StatusCode.DATA_LOSS:
            _pack(status, _retry(_RETRY))
        _pack(status, error_details_pb2.LocalizedMessage(locale="zh-CN", message=chinese))
    else:
        status.message, chinese = _OWN_REASONS[code]
        _pack(status, error_details_pb2.ErrorInfo(reason=code.name, domain=DOMAIN))
        _pack(status, error_details_pb2.LocalizedMessage(locale="zh-CN", message=chinese))
    return status


def reason_of(error: BaseException) -> str:
    """Give the stable upper-case reason of an error."""
    if isinstance(error, errors.InvalidRequest):
        return error.reason_given
    if isinstance(error, errors.GatewayError):
        return error.reason
    reason, _ = _LEDGER_REASONS.get(code_of(error), (code_of(error).name, ""))
    return reason


def _wait(error: errors.GatewayError) -> timedelta | None:
    """Give how long to wait where what is refused now may be had later."""
    if isinstance(error, errors.LimitReached | errors.CommitmentBarred | errors.ProxyRefused | errors.NotChecked):
        return error.retry_after
    if isinstance(error, errors.CapacityUnknown):
        return error.retry_after or _RETRY
    passing = errors.Draining | errors.NotYetPublished | errors.TimestampUnavailable | errors.ClockBehind
    return _RETRY if isinstance(error, passing) else None


def _metadata(error: errors.GatewayError) -> dict[str, str]:
    """Give what a program needs of a refusal beside its reason: `record` is the refusal's own, if it was recorded."""
    recorded = {"record": error.recording.record.hex()} if error.recording is not None else {}
    return recorded | _details(error)


def _details(error: errors.GatewayError) -> dict[str, str]:
    match error:
        case errors.CommitmentBarred() | errors.ProxyRefused() | errors.SignatureRefused() | errors.StaffKeyRefused():
            return {"code": error.code}
        case errors.CommitmentExists() if error.commitment:
            return {"commitment": error.commitment.hex()}
        case errors.DiscrepancyFound():
            return {"finding": error.finding.hex()}
        case errors.RequestIdReused():
            return {"fields": ",".join(error.fields)}
        case errors.GuessBudgetSpent():
            return {"fact_type": error.fact_type, "free_at": error.free_at.isoformat()}
        case _:
            return {}


def _bad_request(error: errors.InvalidRequest) -> error_details_pb2.BadRequest:
    details = error_details_pb2.BadRequest()
    left = _MOST_TOLD
    for told, violation in enumerate(error.violations):
        entry = error_details_pb2.BadRequest.FieldViolation(field=violation.field, description=violation.description)
        if violation.chinese:
            entry.localized_message.locale = "zh-CN"
            entry.localized_message.message = violation.chinese
        left -= entry.ByteSize()
        if left < 0:
            more = len(error.violations) - told
            rest = details.field_violations.add(field="", description=f"{more} more mistakes")
            rest.localized_message.locale = "zh-CN"
            rest.localized_message.message = f"另有 {more} 处错误。"
            break
        details.field_violations.append(entry)
    return details


def _short(message: str) -> str:
    """Cut what a status says to what fits beside its details: it travels as a header too."""
    encoded = message.encode()
    return message if len(encoded) <= _LONGEST_MESSAGE else encoded[:_LONGEST_MESSAGE].decode(errors="ignore") + "…"


def _retry(delay: timedelta) -> error_details_pb2.RetryInfo:
    wire = duration_pb2.Duration()
    wire.FromTimedelta(delay)
    return error_details_pb2.RetryInfo(retry_delay=wire)


def _receipt(recording: errors.Recording) -> ledger_pb2.Receipt:
    receipt = ledger_pb2.Receipt(index=recording.index, size=recording.size, record=recording.record.hex())
    opening = recording.opening
    if len(recording.proof) + (len(opening.encoded) if opening is not None else 0) <= _LONGEST_PROOF:
        receipt.proof = recording.proof
        if opening is not None:
            receipt.openings.add(group=recording.group, salt=opening.salt, canonical=opening.encoded)
    return receipt


def _unmet(mistakes: Sequence[str]) -> error_details_pb2.PreconditionFailure:
    details = error_details_pb2.PreconditionFailure()
    left = _MOST_TOLD
    for told, mistake in enumerate(mistakes):
        left -= len(mistake.encode())
        if left < 0:
            rest = f"{len(mistakes) - told} more; validate_only tells all"
            details.violations.add(type="CATALOGUE", description=rest)
            break
        details.violations.add(type="CATALOGUE", description=mistake)
    return details


def _pack(status: status_pb2.Status, detail: message.Message) -> None:
    packed = any_pb2.Any()
    packed.Pack(detail)
    status.details.append(packed)
