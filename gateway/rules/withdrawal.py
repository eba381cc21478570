"""Until when a commitment may be withdrawn. Pure.

Sources: before the case is concluded (深圳经济特区社会信用条例 §62; 国办发〔2020〕42号); in examinations before the fee
is paid, or before registration closes. A withdrawal is no misconduct.
"""

from __future__ import annotations

import enum
from datetime import date

from gateway.catalogue.words import WithdrawalUntil


class Milestone(enum.Enum):
    """A point of a case after which a commitment cannot be withdrawn, where the item says so."""

    FEE_PAID = "FEE_PAID"
    REGISTRATION_CLOSED = "REGISTRATION_CLOSED"


_CLOSED_BY = {
    WithdrawalUntil.DECISION: None,
    WithdrawalUntil.FEE_PAYMENT: Milestone.FEE_PAID,
    WithdrawalUntil.CLOSING_DATE: Milestone.REGISTRATION_CLOSED,
}


def closing_milestone(until: WithdrawalUntil) -> Milestone | None:
    """Give the milestone that ends the window; None where only the decision does."""
    return _CLOSED_BY[until]


def is_window_closed(until: WithdrawalUntil, *, passed: bool, closing_date: date | None, today: date) -> bool:
    """Say whether a commitment not decided upon can no longer be withdrawn.

    `passed` says that the milestone of the item was recorded; `closing_date` is the matter's last day of registration.
    """
    if until is WithdrawalUntil.DECISION:
        return False
    if passed:
        return True
    return until is WithdrawalUntil.CLOSING_DATE and closing_date is not None and today > closing_date
