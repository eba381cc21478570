"""A circuit breaker that leaves a source alone while it is down, and remembers when it did; pure, time is passed in."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

_MOST_INTERVALS = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenInterval:
    """A time during which a source was held to be down; one not over yet has no end. Proof of an outage."""

    fact_type: str
    opened_at: datetime
    closed_at: datetime | None = None


class Breaker:
    """Closed: calls pass. Open: none pass. Half open: one passes, and decides.

    It opens after `failures` failed calls in a row and lets one through after `rest`.
    """

    def __init__(self, fact_type: str, *, failures: int, rest: timedelta) -> None:
        self._fact_type = fact_type
        self._most_failures = failures
        self._rest = rest
        self._failures = 0
        self._rests_since: datetime | None = None
        self._probing = False
        self.intervals: deque[OpenInterval] = deque(maxlen=_MOST_INTERVALS)

    def closed_until(self, now: datetime) -> datetime | None:
        """Say when the next call may pass, or None when one may pass now (and count it as let through)."""
        if self._rests_since is None:
            return None
        back = self._rests_since + self._rest
        # A clock that was set back must not prolong the rest beyond itself.
        if self._probing or self._rests_since <= now < back:
            return max(back, now + self._rest / 10)
        self._probing = True
        return None

    def succeeded(self, now: datetime) -> None:
        """Note that a call got an answer in the agreed format."""
        self._failures = 0
        self._probing = False
        if self._rests_since is not None:
            self._rests_since = None
            self.intervals[-1] = replace(self.intervals[-1], closed_at=now)

    def failed(self, now: datetime) -> None:
        """Note that a call got no answer in the agreed format."""
        self._failures += 1
        if self._rests_since is not None:
            if self._probing:
                self._rests_since = now
        elif self._failures >= self._most_failures:
            self._rests_since = now
            self.intervals.append(OpenInterval(fact_type=self._fact_type, opened_at=now))
        self._probing = False

    def abandoned(self) -> None:
        """Note that a call was given up before it said anything of the source."""
        self._probing = False
