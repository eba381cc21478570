"""What is counted of a running gateway, in the format of Prometheus.

Labels are names from the configuration and members of closed sets (outcomes, causes, codes, reasons, verdicts); nothing
that a caller or a source wrote becomes one, so there is neither personal data nor an unbounded number of series.

Several processes of one gateway count into files of one folder, named by `PROMETHEUS_MULTIPROC_DIR` before they start
(the library's own way, https://prometheus.github.io/client_python/multiprocess/); whichever is asked tells the sum.
"""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
    multiprocess,
)

from connectors.breaker import OpenInterval, State
from connectors.outcome import Cause, Kind

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
_SOURCE = ("source", "fact_type")
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_STATES = {State.CLOSED: 0, State.HALF_OPEN: 1, State.OPEN: 2}


# When each series began would double the page, and Prometheus does not read it.
disable_created_metrics()  # type: ignore[no-untyped-call]


class Metrics:
    """Counts calls, answers and sources (`connectors.telemetry.Telemetry`). Methods neither block nor raise."""

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        self._calls = Counter(
            "chengxin_calls", "gRPC calls that are over.", ("method", "code", "reason"), registry=registry
        )
        self._call_seconds = Histogram(
            "chengxin_call_seconds", "How long gRPC calls took.", ("method",), registry=registry, buckets=_SECONDS
        )
        self._batch_refusals = Counter(
            "chengxin_batch_refusals", "Questions of a batch that were refused.", ("code", "reason"), registry=registry
        )
        self._verifications = Counter(
            "chengxin_verifications", "Questions answered and recorded.", ("verdict", "next_step"), registry=registry
        )
        self._answers = Counter(
            "chengxin_source_answers", "Claims answered, by outcome.", (*_SOURCE, "outcome", "cause"), registry=registry
        )
        self._answer_seconds = Histogram(
            "chengxin_source_answer_seconds", "How long a claim waited.", _SOURCE, registry=registry, buckets=_SECONDS
        )
        self._source_calls = Counter(
            "chengxin_source_calls", "Calls to a source, by result.", (*_SOURCE, "result"), registry=registry
        )
        self._under_way = Gauge(
            "chengxin_source_calls_under_way", "Calls to a source that are not over yet.", _SOURCE,
            registry=registry, multiprocess_mode="livesum",
        )  # fmt: skip
        self._hedges = Counter(
            "chengxin_source_hedges", "Second calls made because the first took long.", _SOURCE, registry=registry
        )
        self._cached = Counter(
            "chengxin_source_cached", "Claims answered from an earlier answer.", _SOURCE, registry=registry
        )
        self._breaker = Gauge(
            "chengxin_source_breaker", "State of the breaker: 0 closed, 1 half open, 2 open.", _SOURCE,
            registry=registry, multiprocess_mode="livemax",
        )  # fmt: skip
        self._openings = Counter(
            "chengxin_source_breaker_openings", "How often the breaker opened, by cause.", (*_SOURCE, "cause"),
            registry=registry,
        )  # fmt: skip
        self._unusable_lists = Counter(
            "chengxin_unusable_revocation_lists", "Revocation lists that could not be used, by why, at each reading.",
            ("why",), registry=registry,
        )  # fmt: skip
        self._opened: dict[tuple[str, str], datetime] = {}

    def called(self, method: str, code: str, reason: str, seconds: float) -> None:
        """Count one call that is over."""
        self._calls.labels(method, code, reason).inc()
        self._call_seconds.labels(method).observe(seconds)

    def refused_in_batch(self, code: str, reason: str) -> None:
        """Count one question of a batch that was refused; the stream itself may still end well."""
        self._batch_refusals.labels(code, reason).inc()

    def verified(self, verdict: str, next_step: str) -> None:
        """Count one question that was answered and recorded."""
        self._verifications.labels(verdict, next_step).inc()

    def answered(
        self, source: str, fact_type: str, kind: Kind, cause: Cause | None, *, seconds: float, attempts: int
    ) -> None:
        """Count one claim answered."""
        self._answers.labels(source, fact_type, kind.value, "" if cause is None else cause.value).inc()
        self._answer_seconds.labels(source, fact_type).observe(seconds)

    def began(self, source: str, fact_type: str) -> None:
        """Note a call to a source that is under way."""
        self._under_way.labels(source, fact_type).inc()

    def attempted(self, source: str, fact_type: str, result: str, *, seconds: float, claims: int) -> None:
        """Count one call to a source."""
        self._source_calls.labels(source, fact_type, result).inc()
        self._under_way.labels(source, fact_type).dec()

    def hedged(self, source: str, fact_type: str) -> None:
        """Count a second call."""
        self._hedges.labels(source, fact_type).inc()

    def cached(self, source: str, fact_type: str) -> None:
        """Count a claim answered from an earlier answer."""
        self._cached.labels(source, fact_type).inc()

    def breaker_moved(self, source: str, fact_type: str, state: State, interval: OpenInterval) -> None:
        """Note the state of a breaker; one that opens anew is counted."""
        self._breaker.labels(source, fact_type).set(_STATES[state])
        # An opened breaker is half open now and then, and open again: that is one opening.
        if self._opened.get((source, fact_type)) != interval.opened_at:
            self._opened[source, fact_type] = interval.opened_at
            self._openings.labels(source, fact_type, interval.cause.value).inc()

    def unusable_list(self, why: str) -> None:
        """Count a revocation list that could not be used when lists were read."""
        self._unusable_lists.labels(why).inc()

    def render(self) -> bytes:
        """Write everything counted so far, by all processes of this gateway, as Prometheus text."""
        folder = os.environ.get(FOLDER)
        if folder is None:
            return generate_latest(self._registry)
        together = CollectorRegistry()
        multiprocess.MultiProcessCollector(together, path=folder)  # type: ignore[no-untyped-call]
        return generate_latest(together)


def uncounted(*_: object) -> None:
    """Count nothing: where nobody asks for metrics."""


def forget_process(folder: Path, pid: int) -> None:
    """Forget the gauges of a process that has ended; what it counted stays."""
    multiprocess.mark_process_dead(pid, path=str(folder))  # type: ignore[no-untyped-call]
