"""Whatever is refused says why to a program and, in Chinese, to the window; an unforeseen error says nothing else."""

from __future__ import annotations

import base64
from datetime import timedelta
from urllib.parse import quote

import grpc
import pytest

from gateway.client.refusals import refusal_of_status
from gateway.errors import ClockBehind, InvalidRequest, NotYetPublished, ProxyRefused, Violation
from gateway.rpc.status import code_of, status_of
from ledger import LedgerDamaged, LedgerOverloaded, LedgerUnavailable

FORESEEN = [
    (LedgerUnavailable("x"), grpc.StatusCode.UNAVAILABLE, "LEDGER_UNAVAILABLE"),
    (LedgerOverloaded("x"), grpc.StatusCode.RESOURCE_EXHAUSTED, "LEDGER_OVERLOADED"),
    (LedgerDamaged("x"), grpc.StatusCode.DATA_LOSS, "LEDGER_DAMAGED"),
    (ClockBehind(), grpc.StatusCode.UNAVAILABLE, "CLOCK_BEHIND"),
    (NotYetPublished(), grpc.StatusCode.UNAVAILABLE, "NOT_YET_PUBLISHED"),
    (TimeoutError(), grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED"),
    (KeyError("张小明"), grpc.StatusCode.INTERNAL, "INTERNAL"),
]


@pytest.mark.parametrize(("error", "code", "reason"), FORESEEN, ids=lambda value: type(value).__name__)
def test_a_failure_of_ours_has_a_code_a_reason_and_words_for_the_window(
    error: Exception, code: grpc.StatusCode, reason: str
) -> None:
    status = status_of(error)
    refusal = refusal_of_status(status)
    assert code_of(error) is code
    assert (refusal.code, refusal.reason) == (code.name, reason)
    assert len(refusal.chinese) > 8
    assert "张小明" not in str(status)


@pytest.mark.parametrize("count", [1, 20, 80, 5000])
@pytest.mark.parametrize("name", ["parameters.address", "parameters.地址", "parameters." + "地" * 2000])
def test_however_many_mistakes_there_are_they_fit_into_a_header_and_the_rest_is_counted(count: int, name: str) -> None:
    """gRPC writes what goes beyond ASCII as three characters a byte, and details in base 64; clients take 8 KiB."""
    error = InvalidRequest(
        [Violation(field=f"{name}-{n}", description="required", chinese="请填写。") for n in range(count)]
    )
    status = status_of(error)
    written = len(quote(status.message)) + len(base64.b64encode(status.SerializeToString()))
    mistakes = refusal_of_status(status).mistakes
    told = [one for one in mistakes if one.field]
    rest = [one for one in mistakes if not one.field]

    assert written < 7600
    assert [one.field for one in told] == [f"{name}-{n}" for n in range(len(told))]
    if len(told) < count:
        assert [one.description for one in rest] == [f"{count - len(told)} more mistakes"]
        assert rest[0].chinese
    else:
        assert rest == []


_SOON = timedelta(seconds=1)


@pytest.mark.parametrize(
    "error",
    [
        LedgerUnavailable("x"),
        LedgerOverloaded("x"),
        NotYetPublished(),
        ProxyRefused("CODE", "x", "请稍后重试。", _SOON),
    ],
)
def test_what_passes_by_itself_says_when_to_come_again(error: Exception) -> None:
    assert refusal_of_status(status_of(error)).retry_after == _SOON


@pytest.mark.parametrize("error", [LedgerDamaged("x"), KeyError(), TimeoutError(), ProxyRefused("C", "x", "y")])
def test_what_does_not_pass_by_itself_promises_no_time(error: Exception) -> None:
    assert refusal_of_status(status_of(error)).retry_after is None
