"""Grades of a finding: for how long each has effect at most, and how long at least before it may be repaired.

Source: 信用修复管理办法 (2026): a slight one has effect for at most three months, and has no shortest time; an ordinary
one for three months to one year; a serious one for one year to three; each from the document that determined it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from gateway.rules.clocks import add_months


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """How many months after the decision a finding may be repaired, and after how many its effect ends by itself."""

    shortest: int
    longest: int


GRADES: Mapping[str, Effect] = {
    "MINOR": Effect(shortest=0, longest=3),
    "ORDINARY": Effect(shortest=3, longest=12),
    "SERIOUS": Effect(shortest=12, longest=36),
}
"""The grades; the shortest times of all but the slight one are configuration with these defaults."""


def effect_ends(grade: str | None, decided: date) -> date:
    """Return the last day of the effect of a finding; one without a grade counts as serious."""
    return add_months(decided, GRADES[grade or "SERIOUS"].longest)


def no_repair_until(grade: str | None, decided: date, *, shortest: Mapping[str, int]) -> date | None:
    """Return the last day on which a finding may not be repaired yet, by the shortest months of each grade, or None
    where its grade has no shortest time; one without a grade counts as serious."""
    months = shortest.get(grade or "SERIOUS", 0)
    return add_months(decided, months) if months else None
