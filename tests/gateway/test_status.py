"""Whatever is refused says why to a program and, in Chinese, to the window; an unforeseen error says nothing else."""

from __future__ import annotations

from datetime import timedelta

import grpc
import pytest

from gateway.client.refusals import refusal_of_status
from gateway.errors import ProxyRefused
from gateway.rpc.status import code_of, status_of
from ledger import LedgerDamaged, LedgerOverloaded, LedgerUnavailable

FORESEEN = [
    (LedgerUnavailable("x"), grpc.StatusCode.UNAVAILABLE, "LEDGER_UNAVAILABLE"),
    (LedgerOverloaded("x"), grpc.StatusCode.RESOURCE_EXHAUSTED, "LEDGER_OVERLOADED"),
    (LedgerDamaged("x"), grpc.StatusCode.DATA_LOSS, "LEDGER_DAMAGED"),
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


_SOON = timedelta(seconds=1)


@pytest.mark.parametrize(
    "error", [LedgerUnavailable("x"), LedgerOverloaded("x"), ProxyRefused("CODE", "x", "请稍后重试。", _SOON)]
)
def test_what_passes_by_itself_says_when_to_come_again(error: Exception) -> None:
    assert refusal_of_status(status_of(error)).retry_after == _SOON


@pytest.mark.parametrize("error", [LedgerDamaged("x"), KeyError(), TimeoutError(), ProxyRefused("C", "x", "y")])
def test_what_does_not_pass_by_itself_promises_no_time(error: Exception) -> None:
    assert refusal_of_status(status_of(error)).retry_after is None
