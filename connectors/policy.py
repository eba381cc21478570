"""How a source is asked when it is slow, down or closed: the `[resilience]` table of a stanza."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from connectors.record import read_zone
from connectors.stanza import Stanza, duration


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Announced maintenance, every day (or on the named weekdays, Monday is 0) or once: from `start` to before `end`.

    A daily window whose end is not after its start lasts over midnight and belongs to the day on which it starts.
    """

    start: datetime | time
    end: datetime | time
    weekdays: frozenset[int] = frozenset(range(7))

    def until(self, now: datetime) -> datetime | None:
        """Say when the window in which `now` lies ends; None outside."""
        if isinstance(self.start, datetime) and isinstance(self.end, datetime):
            return self.end if self.start <= now < self.end else None
        assert isinstance(self.start, time)
        local = now.astimezone(self.start.tzinfo)
        for day in (local.date() - timedelta(days=1), local.date()):
            ends = self._ends(day)
            if day.weekday() in self.weekdays and datetime.combine(day, self.start) <= local < ends:
                return ends
        return None

    def _ends(self, day: date) -> datetime:
        assert isinstance(self.start, time)
        assert isinstance(self.end, time)
        over_midnight = self.end.replace(tzinfo=None) <= self.start.replace(tzinfo=None)
        return datetime.combine(day + timedelta(days=1) if over_midnight else day, self.end)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The settings of `Resilient`; every one has a default that suits a department's service."""

    timeout: timedelta = timedelta(seconds=5)
    """The whole of one call, waiting and retries included."""
    retries: int = 2
    retry_share: float = 0.2
    backoff: timedelta = timedelta(milliseconds=50)
    """The longest wait before the first retry; doubles each time, and a random share of it is waited."""
    concurrency: int = 16
    queue: int = 64
    breaker_failures: int = 5
    breaker_rest: timedelta = timedelta(seconds=30)
    breaker_silence: timedelta = timedelta(seconds=1)
    """How long a call must have been silent for its callers' giving up to count against the source; half of
    `timeout` where that is less."""
    hedge: timedelta | float | None = None
    """When a second call is made beside one that takes long: after a time, or after the time that a share (0 to 1) of
    the last answers did not exceed. None: never."""
    cache: timedelta | None = None
    """How long an answer that agrees is given again at most; None: never."""
    cache_entries: int = 10_000
    windows: tuple[Window, ...] = ()


def read_policy(stanza: Stanza) -> Policy:
    """Read the table `[resilience]`."""
    zone = read_zone(stanza)
    return Policy(
        timeout=stanza.duration("timeout", "5s"),
        retries=stanza.number("retries", 2, most=10),
        retry_share=stanza.share("retry_share", 0.2),
        backoff=stanza.duration("backoff", "50ms"),
        concurrency=stanza.number("concurrency", 16, least=1, most=10_000),
        queue=stanza.number("queue", 64, most=100_000),
        breaker_failures=stanza.number("breaker_failures", 5, least=1, most=1_000),
        breaker_rest=stanza.duration("breaker_rest", "30s"),
        breaker_silence=stanza.duration("breaker_silence", "1s"),
        hedge=_read_hedge(stanza),
        cache=stanza.optional_duration("cache"),
        cache_entries=stanza.number("cache_entries", 10_000, least=1, most=10_000_000),
        windows=tuple(_read_window(part, zone) for part in stanza.listed("windows")),
    )


def _read_hedge(stanza: Stanza) -> timedelta | float | None:
    written = stanza.text("hedge", "") if "hedge" in stanza else ""
    percentile = re.fullmatch(r"p([1-9]\d)", written)
    if not written:
        return None
    if percentile is not None:
        return int(percentile[1]) / 100
    try:
        read = duration(written)
    except ValueError:
        read = timedelta(0)
    if not read:
        stanza.mistake("hedge", 'must be a duration such as "300ms", or a percentile from "p10" to "p99"')
    return read


def _read_window(part: Stanza, zone: ZoneInfo) -> Window:
    start, end = _read_edge(part, "start", zone), _read_edge(part, "end", zone)
    weekdays = part.anything("weekdays") if "weekdays" in part else list(range(7))
    if not isinstance(weekdays, list) or not weekdays or not all(day in range(7) for day in weekdays):
        part.mistake("weekdays", "must be a list of numbers from 0 (Monday) to 6")
        weekdays = []
    if isinstance(start, datetime) != isinstance(end, datetime):
        part.mistake("end", "must be a time like `start`, or a timestamp like it")
        end = start
    if isinstance(start, datetime) and isinstance(end, datetime) and end < start:
        part.mistake("end", "lies before `start`")
    return Window(start=start, end=end, weekdays=frozenset(weekdays))


def _read_edge(part: Stanza, key: str, zone: ZoneInfo) -> datetime | time:
    value = part.anything(key)
    try:
        if isinstance(value, str):
            value = time.fromisoformat(value) if len(value) <= 8 else datetime.fromisoformat(value)
    except ValueError:
        pass
    if isinstance(value, time | datetime):
        return value if value.tzinfo is not None else value.replace(tzinfo=zone)
    part.mistake(key, 'must be a time such as "23:00" or a timestamp')
    return time(tzinfo=zone)
