"""How long documents are kept, and what keeps one longer: pure rules over the records of one case together.

Source of the periods: five years from determination (浙江公共信用信息管理条例 §16, 山东 §38, 河南 §19), query logs at
least five years (深圳经济特区社会信用条例 §45); how long a commitment itself is kept is set by no national text, so the
number for each matter is configuration, to be confirmed. Personal information is kept no longer than needed
(个人信息保护法 §19): at the end of its period a document is due for erasure, and only a named reason keeps it.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta

from gateway.rules.clocks import CHINA, legal_day
from ledger import RecordRow


class Kept(enum.Enum):
    """Why documents stay although they are old enough to ask."""

    PERIOD_RUNNING = "PERIOD_RUNNING"
    """The matter's period has not ended."""
    UNDECIDED = "UNDECIDED"
    """The case was not decided yet."""
    OPEN_AUDIT = "OPEN_AUDIT"
    """The commitment is in force and waits for its audit."""
    PENDING_DISPUTE = "PENDING_DISPUTE"
    """Something is disputed or contested."""
    OPEN_FINDING = "OPEN_FINDING"
    """A finding is not concluded."""
    EFFECT_RUNNING = "EFFECT_RUNNING"
    """A final finding still has effect."""
    OPEN_REPORT = "OPEN_REPORT"
    """The credit platform has not settled a report, or was not told yet that it ended."""
    LEGAL_HOLD = "LEGAL_HOLD"
    """Somebody entitled ordered to keep it."""


EFFECT_ENDED = "EFFECT_ENDED"
"""The state of a finding, and of what was reported of it, whose effect ran out by itself."""
_COMMITMENT: Mapping[str, Kept] = {
    "PREPARED": Kept.UNDECIDED,
    "RECORDED": Kept.UNDECIDED,
    "BINDING": Kept.UNDECIDED,
    "REFUSAL_LIFTED": Kept.UNDECIDED,
    "IN_FORCE": Kept.OPEN_AUDIT,
    "DISPUTED": Kept.PENDING_DISPUTE,
    "QUESTIONED": Kept.PENDING_DISPUTE,
    "CONTESTED": Kept.PENDING_DISPUTE,
}
_ENDED: Mapping[str, frozenset[str]] = {
    "verification": frozenset({"ANSWERED", "REFUSED"}),
    "commitment": frozenset(
        {
            "EXPIRED", "WITHDRAWN", "LAPSED", "CONFIRMED", "BROKEN", "INCONCLUSIVE", "REPAIRED", "REFUSED",
            "REFUSAL_UPHELD",
        }
    ),
    "finding": frozenset(
        {"CLEARED", "MINOR_ERROR", "INCONCLUSIVE", "DISMISSED", "FINAL", "REVOKED", "REPAIRED", EFFECT_ENDED}
    ),
    "report": frozenset({"RECALLED", "REPAIRED", EFFECT_ENDED, "CLOSED"}),
    "operation": frozenset({"DONE", "RELEASED"}),
    # Who never answered keeps nothing: a request that was overdue for all that time is at its end.
    "assistance": frozenset({"ANSWERED", "REFUSED", "RETURNED", "OVERDUE"}),
    "check": frozenset({"DONE"}),
}  # fmt: skip
"""The states in which a record of a family is at its end; in any other it is open."""
_OPEN: Mapping[str, Kept] = {"finding": Kept.OPEN_FINDING, "report": Kept.OPEN_REPORT, "operation": Kept.LEGAL_HOLD}


@dataclass(frozen=True, slots=True, kw_only=True)
class Periods:
    """How many years documents are kept after the end: of commitments with all that hangs on them or that they rest on,
    of verifications and what people found where no commitment rests on it, and of records of looking up."""

    commitment: int = 5
    verification: int = 5
    lookup: int = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionRules:
    """The periods, and those of matters that differ."""

    default: Periods = field(default_factory=Periods)
    matters: Mapping[str, Periods] = field(default_factory=dict)

    def years(self, family: str, matter: str | None) -> int:
        """Say how many years a bundle is kept, by the family of its root and its matter."""
        periods = self.matters.get(matter or "", self.default)
        if family in ("verification", "assistance", "check"):
            return periods.verification
        return periods.lookup if family == "operation" else periods.commitment

    def shortest(self) -> int:
        """Say after how many years anything could be due at all."""
        every = (self.default, *self.matters.values())
        return min(years for one in every for years in (one.commitment, one.verification, one.lookup))


_RAN_OUT = (EFFECT_ENDED, "CLOSED")
"""States to which records come when an effect runs out. A refused report is CLOSED by a repair too: that is the
finding's own end, and counts there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """What is kept and erased together: a root, and every record that rests on it or that it rests on."""

    root: RecordRow
    related: Sequence[RecordRow] = ()

    @property
    def rows(self) -> tuple[RecordRow, ...]:
        """All of its records."""
        return (self.root, *self.related)

    @property
    def ended_at(self) -> datetime:
        """When the last of its records came to its end.

        That an effect ran out, whenever it was noted, begins no period anew: it runs from what was determined.
        """
        return max(row.opened_at if row.state in _RAN_OUT else row.changed_at for row in self.rows)


def judge(bundle: Bundle, rules: RetentionRules, *, held: bool, now: datetime) -> Kept | None:
    """Say why a bundle is kept, or None where it is due for erasure; the strongest reason, a hold before all others."""
    if held:
        return Kept.LEGAL_HOLD
    for row in bundle.rows:
        reason = _open(row, now)
        if reason is not None:
            return reason
    years = rules.years(bundle.root.family, bundle.root.matter)
    return Kept.PERIOD_RUNNING if years_after(bundle.ended_at, years) > now else None


def _open(row: RecordRow, now: datetime) -> Kept | None:
    if row.state in _ENDED.get(row.family, frozenset()):
        running = row.family == "finding" and row.state == "FINAL" and row.due_at is not None and row.due_at > now
        return Kept.EFFECT_RUNNING if running else None
    if row.family == "commitment":
        if is_settled(row):
            return None
        # A state that this table does not know is open: nothing is erased because of a state that came later.
        return _COMMITMENT.get(row.state, Kept.PENDING_DISPUTE)
    return _OPEN.get(row.family, Kept.UNDECIDED)


def is_settled(row: RecordRow) -> bool:
    """Say whether a commitment is in force and nothing is due after the decision: then that was its end."""
    return row.state == "IN_FORCE" and row.due_at is None


def years_after(moment: datetime, years: int) -> datetime:
    """Give the end of the same day in China so many years later: the first moment at which nothing is kept any more.

    Source: the day itself is not counted, and the last one counts to its end (Civil Code, articles 201 to 203). 29
    February becomes 1 March where there is none: the later one keeps nothing shorter than it must be kept.
    """
    day = _in_year(legal_day(moment), years)
    return datetime.combine(day + timedelta(days=1), time(), tzinfo=CHINA)


def years_before(moment: datetime, years: int) -> datetime:
    """Give a time such that nothing later than it can be `years` old at `moment`."""
    return datetime.combine(_in_year(legal_day(moment), -years), time(), tzinfo=CHINA)


def _in_year(day: date, years: int) -> date:
    try:
        return day.replace(year=day.year + years)
    except ValueError:
        return day.replace(year=day.year + years, month=3, day=1)
