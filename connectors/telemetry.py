"""What a source's asking tells those who watch it: numbers under names from the configuration, never a claim.

Every label is a source's or fact type's configured name, or a member of an enumeration; whoever implements `Telemetry`
(with Prometheus, say) can use all of them as labels without bounding anything.
"""

from __future__ import annotations

from collections import Counter
from typing import Protocol

from connectors.breaker import OpenInterval, State
from connectors.outcome import Cause, Kind

UNKNOWN_FACT = "-"
"""Stands for a fact type that the source does not have, so that a caller's text never becomes a label."""


class Telemetry(Protocol):
    """Takes numbers as they arise. Methods are called on the event loop's thread and must neither block nor raise."""

    def answered(
        self, source: str, fact_type: str, kind: Kind, cause: Cause | None, *, seconds: float, attempts: int
    ) -> None:
        """Count one claim answered, in so many seconds of waiting, after so many attempts (0: without a call)."""
        ...

    def began(self, source: str, fact_type: str) -> None:
        """Tell that a call to the source is under way; `attempted` follows when it is over."""
        ...

    def attempted(self, source: str, fact_type: str, result: str, *, seconds: float, claims: int) -> None:
        """Count one call to the source with so many claims.

        `result` is `answered`, `refused`, `cancelled`, `unasked` (the question could not be put), or the name of a
        `Cause`.
        """
        ...

    def hedged(self, source: str, fact_type: str) -> None:
        """Count a second call that was made because the first took long."""
        ...

    def cached(self, source: str, fact_type: str) -> None:
        """Count a claim answered from an earlier answer."""
        ...

    def breaker_moved(self, source: str, fact_type: str, state: State, interval: OpenInterval) -> None:
        """Tell that a breaker opened, let one call through, or closed; and the interval this belongs to."""
        ...


class Silence:
    """Takes no notice."""

    def answered(
        self, source: str, fact_type: str, kind: Kind, cause: Cause | None, *, seconds: float, attempts: int
    ) -> None:
        """Take no notice."""

    def began(self, source: str, fact_type: str) -> None:
        """Take no notice."""

    def attempted(self, source: str, fact_type: str, result: str, *, seconds: float, claims: int) -> None:
        """Take no notice."""

    def hedged(self, source: str, fact_type: str) -> None:
        """Take no notice."""

    def cached(self, source: str, fact_type: str) -> None:
        """Take no notice."""

    def breaker_moved(self, source: str, fact_type: str, state: State, interval: OpenInterval) -> None:
        """Take no notice."""


class Counts:
    """Counts in memory; `counts` is by name and labels, such as `("answered", "police", "residence", "MATCH")`;
    `under_way` counts the calls that are not over yet."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, ...]] = Counter()
        self.under_way: Counter[tuple[str, str]] = Counter()
        self.intervals: list[OpenInterval] = []
        self.claims_of_calls: list[int] = []

    def answered(
        self, source: str, fact_type: str, kind: Kind, cause: Cause | None, *, seconds: float, attempts: int
    ) -> None:
        """Count it under its outcome."""
        told = kind.value if cause is None else f"{kind.value}({cause.value})"
        self.counts["answered", source, fact_type, told] += 1

    def began(self, source: str, fact_type: str) -> None:
        """Note it."""
        self.under_way[source, fact_type] += 1

    def attempted(self, source: str, fact_type: str, result: str, *, seconds: float, claims: int) -> None:
        """Count it under its result."""
        self.under_way[source, fact_type] -= 1
        self.counts["attempted", source, fact_type, result] += 1
        self.claims_of_calls.append(claims)

    def hedged(self, source: str, fact_type: str) -> None:
        """Count it."""
        self.counts["hedged", source, fact_type] += 1

    def cached(self, source: str, fact_type: str) -> None:
        """Count it."""
        self.counts["cached", source, fact_type] += 1

    def breaker_moved(self, source: str, fact_type: str, state: State, interval: OpenInterval) -> None:
        """Count it under the new state, and keep the interval once it is over."""
        self.counts["breaker", source, fact_type, state.value] += 1
        if interval.closed_at is not None:
            self.intervals.append(interval)


SILENCE = Silence()
