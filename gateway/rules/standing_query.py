"""When a commitment is asked about again, and which answers conclude anything about it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from connectors.outcome import Evidence, Kind
from gateway.rules.fallback import StepKind
from gateway.rules.reasons import ReasonKind
from gateway.rules.verdict import Verdict

INCONCLUSIVE = frozenset({StepKind.RETRY_AFTER.value, StepKind.WAIT.value, StepKind.ASK_APPLICANT.value})
"""The next steps of answers that conclude nothing about a commitment, and take nothing back that was found before."""

_NO_ANSWER = frozenset({Kind.NOT_COVERED, Kind.UNAVAILABLE, Kind.PENDING})
_AGAINST = frozenset({ReasonKind.DISPROVED.value, ReasonKind.CONFLICT.value})


def contradicts(verdict: str, reasons: Iterable[str]) -> bool:
    """Say whether an answer contradicts a commitment, by its verdict and all its reasons, whatever else is open.

    So does one by which people found what the applicant says untrue of a fact that nothing else bears out, and one in
    which two disagree of a fact: the data are not missing then, so that people look into it.
    """
    return verdict == Verdict.CONTRADICTED.value or not _AGAINST.isdisjoint(reasons)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rhythm:
    """How often to ask: the waits before the first, second, … asking (the last one goes on), and the shortest wait.

    `pause` bounds what news can cause: however often a source recovers, one commitment is asked about no more often.
    """

    intervals: Sequence[timedelta]
    pause: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Askings:
    """How often a commitment was asked about since it was recorded, and when last."""

    count: int = 0
    last: datetime | None = None


def is_answered(evidence: Iterable[Evidence]) -> bool:
    """Say whether any source answered. That none covers the claim is known without asking, so it is no answer."""
    return any(one.outcome.kind not in _NO_ANSWER for one in evidence)


def is_due(since: datetime, askings: Askings, *, now: datetime, rhythm: Rhythm, news: datetime | None) -> bool:
    """Say whether to ask now about a commitment that stands as it does `since` then.

    `news` is when last one of its sources recovered or got newer data, if ever.
    """
    base = askings.last or since
    waited = now - base
    if waited < rhythm.pause:
        return False
    if news is not None and news > base:
        return True
    return waited >= rhythm.intervals[min(askings.count, len(rhythm.intervals) - 1)]
