"""By when the decision must come: a commitment upon which nobody decides lapses."""

from __future__ import annotations

from datetime import datetime, timedelta

from gateway.catalogue.book import Book
from gateway.rules.clocks import WorkCalendar, add_working_days, end_of_day, legal_day

_DAY = timedelta(days=1)


class DecisionClock:
    """Counts the time for a decision: the matter's working days, or `within` where the matter says nothing; where that
    is whole days, to the end of the last (Civil Code, article 203)."""

    def __init__(self, *, book: Book, calendar: WorkCalendar, within: timedelta) -> None:
        self._book = book
        self._calendar = calendar
        self._within = within

    def due(self, matter: str, at: datetime) -> datetime:
        """Give the end of the time that begins at `at` for a matter, by its code."""
        known = self._book.catalogue.matters.get(matter)
        days = known.decision_working_days if known else None
        if days is None:
            ends = at + self._within
            return ends if self._within % _DAY else end_of_day(legal_day(ends))
        return end_of_day(add_working_days(legal_day(at), days, self._calendar))
