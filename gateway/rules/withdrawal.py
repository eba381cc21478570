"""Until when a commitment may be withdrawn, and how the applicant is told. Pure.

Sources: before the case is concluded (深圳经济特区社会信用条例 §62; 国办发〔2020〕42号); in examinations before the fee
is paid, or before registration closes. A withdrawal is no misconduct.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import date

from gateway.catalogue.model import Withdrawal
from gateway.catalogue.words import WithdrawalEffect, WithdrawalUntil


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Until when a commitment may be withdrawn and what that does to later ones: as the applicant was told before
    signing, whatever a later catalogue says. `closing_date` is the matter's last day of registration."""

    rules: Withdrawal
    closing_date: date | None = None


class Milestone(enum.Enum):
    """A point of a case after which a commitment cannot be withdrawn, where the item says so."""

    FEE_PAID = "FEE_PAID"
    REGISTRATION_CLOSED = "REGISTRATION_CLOSED"


_CLOSED_BY = {
    WithdrawalUntil.DECISION: None,
    WithdrawalUntil.FEE_PAYMENT: Milestone.FEE_PAID,
    WithdrawalUntil.CLOSING_DATE: Milestone.REGISTRATION_CLOSED,
}
_EFFECTS = {
    WithdrawalEffect.NONE: "撤回后按一般程序办理",
    WithdrawalEffect.BARRED_THIS_YEAR: "撤回后按一般程序办理，撤回当年（至12月31日止）在本办理事项中不再适用告知承诺",
}


def closing_milestone(until: WithdrawalUntil) -> Milestone | None:
    """Give the milestone that ends the window; None where only the decision does."""
    return _CLOSED_BY[until]


def is_window_closed(window: Window, *, passed: bool, today: date) -> bool:
    """Say whether a commitment not decided upon can no longer be withdrawn; `passed` says that the milestone of the
    item was recorded.
    """
    until = window.rules.until
    if until is WithdrawalUntil.DECISION:
        return False
    if passed:
        return True
    return until is WithdrawalUntil.CLOSING_DATE and window.closing_date is not None and today > window.closing_date


def withdrawal_words(window: Window, *, today: date) -> str:
    """Tell an applicant until when a commitment can be withdrawn, and what follows; whole sentences in Chinese.

    On the closing date itself it can be withdrawn. Who is told after it is promised nothing: what is signed then cannot
    be taken back, and nobody has to sign it.
    """
    rules, closing_date = window.rules, window.closing_date
    if closing_date is not None and is_window_closed(window, passed=False, today=today):
        return f"报名已于{_day(closing_date)}截止，本承诺签署后不能撤回；不愿作出承诺的，按一般程序办理。"
    return f"{_window(rules.until, closing_date)}{_EFFECTS[rules.after_effect]}；撤回本身不作为失信行为。"


def _day(day: date) -> str:
    return f"{day.year}年{day.month}月{day.day}日"


def _window(until: WithdrawalUntil, closing_date: date | None) -> str:
    match until:
        case WithdrawalUntil.DECISION:
            return "办结前有合理理由的，可以申请撤回承诺；办结后不能撤回。"
        case WithdrawalUntil.FEE_PAYMENT:
            return "办结前且尚未缴费，有合理理由的，可以申请撤回承诺；缴费后或者办结后不能撤回。"
        case WithdrawalUntil.CLOSING_DATE:
            last = ""
            if closing_date is not None:
                last = f"（截止日为{_day(closing_date)}，当日可以撤回）"
            return f"办结前且报名尚未截止{last}，有合理理由的，可以申请撤回承诺；报名截止后或者办结后不能撤回。"
