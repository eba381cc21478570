"""Verify, with everything on, beside a bare echo of the same message sizes."""

from __future__ import annotations

import socket
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from gateway.bench.driver import BATCH, ECHO, VERIFY, Order, Report
from gateway.bench.filling import fill
from gateway.bench.processes import Served, drive, echo, gateway
from gateway.bench.table import Line, Measured, compared
from gateway.bench.town import Town, build, settle
from gateway.config import load_settings

_SHARE = 0.4
"""Of the limit: at which rate calls come while it is measured how one hinders another."""
_OTHERS = 20
"""Calls a second."""
_HEAD_START = 1.0
"""Seconds until another load generator runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How much is measured, and for how long."""

    people: int
    entries: int
    rounds: int
    seconds: float


def measure(home: Path, scale: Scale, tell: Callable[[str], object]) -> Iterator[Line]:
    """Measure in `home`; give the lines of the table as they are known."""
    register = home / "civil.sqlite3"
    if not register.exists():
        tell(f"making a register of {scale.people:,} people …")
        register = build(home, scale.people)
    town = settle(home, "one", register)
    with ExitStack() as stack:
        ours = stack.enter_context(gateway(town.house, home / "log"))
        size = _ask(ours, town, VERIFY, seconds=0.5).answer_bytes
        bare = stack.enter_context(echo(town.house, size, home / "log"))
        bench = _Bench(town, scale, ours, bare)
        yield bench.throughput()
        yield bench.batches()
        yield from bench.latencies()
        with socket.create_server(("127.0.0.1", 0), backlog=1024) as silent:  # takes connections, and never answers
            beside = settle(home, "beside", register, dead=silent.getsockname()[1])
            with gateway(beside.house, home / "log") as served:
                yield bench.isolation(served, beside)
        two = settle(home, "two", register, workers=2)
        with gateway(two.house, home / "log") as both:
            yield bench.workers(both, two)
        if scale.entries:
            long = settle(home, "long", register)
            fill(load_settings(long.house.config).ledger, scale.entries, tell)
            with gateway(long.house, home / "log") as grown:
                yield bench.growth(grown, long)


def _ask(
    served: Served,
    town: Town,
    method: str,
    *,
    seconds: float,
    rate: float = 0.0,
    items: int = 1,
    callers: int = 32,
    item: str = "marital-status",
) -> Report:
    order = Order(
        house=str(town.house.home), asked=str(town.asked), port=served.port, method=method, seconds=seconds,
        rate=rate, items=items, callers=callers, item=item,
    )  # fmt: skip
    return drive(order)


@dataclass(slots=True)
class _Bench:
    """Measures against one gateway and one echo; what is compared is measured in turn, A B A B."""

    town: Town
    scale: Scale
    ours: Served
    bare: Served
    limit: float = 0.0
    """Calls a second of Verify."""

    def _rate(self, served: Served, town: Town, method: str, *, items: int = 1, callers: int = 32) -> Measured:
        """Items a second, and processor microseconds of the server for each."""
        before = served.cpu()
        report = _ask(served, town, method, seconds=self.scale.seconds, items=items, callers=callers)
        return report.rate, 1e6 * (served.cpu() - before) / report.items

    def _turns(
        self, one: Callable[[], Measured], other: Callable[[], Measured]
    ) -> tuple[list[Measured], list[Measured]]:
        one()
        other()
        pairs = [(one(), other()) for _ in range(self.scale.rounds)]
        return [a for a, _ in pairs], [b for _, b in pairs]

    def throughput(self) -> Line:
        """Compare calls a second of Verify with those of the echo."""
        mine, theirs = self._turns(
            lambda: self._rate(self.ours, self.town, VERIFY), lambda: self._rate(self.bare, self.town, ECHO)
        )
        self.limit = statistics.median(rate for rate, _ in mine)
        return compared("Verify, all on, one process", mine, "grpc.aio echo", theirs, "≥ 0.6")

    def batches(self) -> Line:
        """Compare items a second in messages of 100 with calls a second."""
        mine, theirs = self._turns(
            lambda: self._rate(self.ours, self.town, BATCH, items=100, callers=4),
            lambda: self._rate(self.ours, self.town, VERIFY),
        )
        return compared("BatchVerify, 100 a message", mine, "Verify", theirs, "≥ 4")

    def latencies(self) -> Iterator[Line]:
        """Compare latencies at half the limit, calls being due at fixed times."""
        rate = self.limit / 2
        mine, theirs = [], []
        for _ in range(self.scale.rounds):
            mine.append(_ask(self.ours, self.town, VERIFY, seconds=self.scale.seconds, rate=rate))
            theirs.append(_ask(self.bare, self.town, ECHO, seconds=self.scale.seconds, rate=rate))
        for name, target in (("p50", "≤ 4 ms"), ("p99", "≤ 15 ms")):
            ours = [float(getattr(one, name)) for one in mine]
            bare = [float(getattr(one, name)) for one in theirs]
            added = [a - b for a, b in zip(ours, bare, strict=True)]
            yield Line(
                f"Verify, {name} at {rate:,.0f} calls a second", f"{statistics.median(ours):.1f} ms", "grpc.aio echo",
                f"{statistics.median(bare):.1f} ms", f"+{statistics.median(added):.1f} ms",
                f"{min(added):.1f}–{max(added):.1f}", target,
            )  # fmt: skip

    def isolation(self, served: Served, town: Town) -> Line:
        """Compare the p99 of calls beside others whose source is dead with their p99 beside others who are answered.

        All come at fixed times, and the others from a load generator of their own, which takes its part of the machine.
        """
        rate = self.limit * _SHARE

        def beside(item: str) -> float:
            others = pool.submit(
                _ask, served, town, VERIFY, seconds=self.scale.seconds + 2 * _HEAD_START, rate=_OTHERS, item=item
            )
            time.sleep(_HEAD_START)
            report = _ask(served, town, VERIFY, seconds=self.scale.seconds, rate=rate)
            others.result()
            return report.p99

        with ThreadPoolExecutor(1) as pool:
            beside("alive")
            pairs = [(beside("alive"), beside("marital-status")) for _ in range(self.scale.rounds)]
        dead, well = (statistics.median(values) for values in zip(*pairs, strict=True))
        ratios = [a / b for a, b in pairs]
        return Line(
            f"Verify, p99 at {rate:,.0f} a second beside {_OTHERS} to a dead source", f"{dead:.1f} ms",
            "to a well source", f"{well:.1f} ms", f"{statistics.median(ratios):.2f}",
            f"{min(ratios):.2f}–{max(ratios):.2f}", "≤ 1.1",
        )  # fmt: skip

    def workers(self, both: Served, town: Town) -> Line:
        """Compare two workers with one."""
        mine, theirs = self._turns(
            lambda: self._rate(both, town, VERIFY), lambda: self._rate(self.ours, self.town, VERIFY)
        )
        return compared("Verify, two workers", mine, "one worker", theirs, "≥ 1.3")

    def growth(self, grown: Served, town: Town) -> Line:
        """Compare a long ledger with a short one."""
        mine, theirs = self._turns(
            lambda: self._rate(grown, town, VERIFY), lambda: self._rate(self.ours, self.town, VERIFY)
        )
        return compared(f"Verify, {self.scale.entries:,} entries", mine, "a short ledger", theirs, "≥ 0.9")
