"""A circuit breaker that leaves a source alone while it is down, and remembers when it did; pure, time is passed in."""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from connectors.outcome import Cause

_MOST_INTERVALS = 256


class State(enum.Enum):
    """Whether calls pass."""

    CLOSED = "CLOSED"
    """All pass."""
    OPEN = "OPEN"
    """None pass."""
    HALF_OPEN = "HALF_OPEN"
    """One is under way, and decides."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenInterval:
    """A time during which a source was held to be down for one fact type; one not over yet has no end.

    Proof of an outage: `cause` is that of the failure that opened it.
    """

    source: str
    fact_type: str
    cause: Cause
    opened_at: datetime
    closed_at: datetime | None = None

    def overlaps(self, since: datetime | None, until: datetime | None) -> bool:
        """Say whether any of it lies from `since` to before `until`; None is without bound."""
        begins_before = until is None or self.opened_at < until
        return begins_before and (since is None or self.closed_at is None or self.closed_at > since)


def _nothing(_state: State, _interval: OpenInterval) -> None:
    pass


class Breaker:
    """Closed: calls pass. Open: none pass. Half open: one passes, and decides.

    It opens after `failures` failed calls in a row and lets one through after `rest`. `moved` is told each change of
    state with the interval it belongs to.
    """

    def __init__(
        self,
        source: str,
        fact_type: str,
        *,
        failures: int,
        rest: timedelta,
        moved: Callable[[State, OpenInterval], None] = _nothing,
    ) -> None:
        self._source = source
        self._fact_type = fact_type
        self._most_failures = failures
        self._rest = rest
        self._moved = moved
        self._failures = 0
        self._rests_since: datetime | None = None
        self._probing = False
        self.intervals: deque[OpenInterval] = deque(maxlen=_MOST_INTERVALS)

    @property
    def state(self) -> State:
        """Whether calls pass now."""
        if self._rests_since is None:
            return State.CLOSED
        return State.HALF_OPEN if self._probing else State.OPEN

    def closed_until(self, now: datetime) -> datetime | None:
        """Say when the next call may pass, or None when one may pass now (and count it as let through)."""
        if self._rests_since is None:
            return None
        back = self._rests_since + self._rest
        # A clock that was set back must not prolong the rest beyond itself.
        if self._probing or self._rests_since <= now < back:
            return max(back, now + self._rest / 10)
        self._probing = True
        self._moved(State.HALF_OPEN, self.intervals[-1])
        return None

    def succeeded(self, now: datetime) -> None:
        """Note that a call got an answer in the agreed format."""
        self._failures = 0
        self._probing = False
        if self._rests_since is not None:
            self._rests_since = None
            self.intervals[-1] = replace(self.intervals[-1], closed_at=now)
            self._moved(State.CLOSED, self.intervals[-1])

    def failed(self, now: datetime, cause: Cause) -> None:
        """Note that a call got no answer in the agreed format."""
        self._failures += 1
        was_probing, self._probing = self._probing, False
        if self._rests_since is not None:
            if was_probing:
                self._rests_since = now
                self._moved(State.OPEN, self.intervals[-1])
        elif self._failures >= self._most_failures:
            self._rests_since = now
            self.intervals.append(
                OpenInterval(source=self._source, fact_type=self._fact_type, cause=cause, opened_at=now)
            )
            self._moved(State.OPEN, self.intervals[-1])

    def abandoned(self) -> None:
        """Note that a call was given up before it said anything of the source."""
        if self._probing:
            self._probing = False
            self._moved(State.OPEN, self.intervals[-1])
