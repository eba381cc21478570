"""Kleene's strong three-valued logic."""

from __future__ import annotations

import enum
from collections.abc import Iterable


class Truth(enum.Enum):
    """True, false, or not known."""

    TRUE = "TRUE"
    FALSE = "FALSE"
    UNKNOWN = "UNKNOWN"


def any_of(truths: Iterable[Truth]) -> Truth:
    """Return TRUE if one is, FALSE if all are false, else UNKNOWN; of nothing, FALSE."""
    seen = set(truths)
    if Truth.TRUE in seen:
        return Truth.TRUE
    return Truth.UNKNOWN if Truth.UNKNOWN in seen else Truth.FALSE


def all_of(truths: Iterable[Truth]) -> Truth:
    """Return FALSE if one is, TRUE if all are true, else UNKNOWN; of nothing, TRUE."""
    seen = set(truths)
    if Truth.FALSE in seen:
        return Truth.FALSE
    return Truth.UNKNOWN if Truth.UNKNOWN in seen else Truth.TRUE


def not_(truth: Truth) -> Truth:
    """Turn true and false round; UNKNOWN stays."""
    return {Truth.TRUE: Truth.FALSE, Truth.FALSE: Truth.TRUE, Truth.UNKNOWN: Truth.UNKNOWN}[truth]
