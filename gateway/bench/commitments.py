"""PrepareCommitment and RecordCommitment, durable and with receipt, beside a bare echo of the same message sizes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from gateway.bench import committing, driver
from gateway.bench.processes import Served, drive, echo, gateway
from gateway.bench.table import Line, compared
from gateway.bench.town import Town, build, settle


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How much is measured, and how often."""

    people: int
    count: int
    rounds: int


def measure(home: Path, scale: Scale, tell: Callable[[str], object]) -> Iterator[Line]:
    """Measure in `home`; give the lines of the table as they are known."""
    register = home / "civil.sqlite3"
    if not register.exists():
        tell(f"making a register of {scale.people:,} people …")
        register = build(home, scale.people)
    town = settle(home, "committing", register)
    acts = (
        ("PrepareCommitment", committing.PREPARE, "≥ 0.5"),
        ("RecordCommitment, a P-256 signature each", committing.RECORD, "≥ 0.45"),
    )
    for what, method, target in acts:
        with ExitStack() as stack:
            ours = stack.enter_context(gateway(town.house, home / "log"))
            size = _commit(ours, town, method, 100)[2]
            bare = stack.enter_context(echo(town.house, size, home / "log"))
            pairs = [(_commit(ours, town, method, scale.count)[:2], _echo(bare, town)) for _ in range(scale.rounds)]
        yield compared(what, [a for a, _ in pairs], "grpc.aio echo", [b for _, b in pairs], target, unit="ms p50")


def _commit(served: Served, town: Town, method: str, count: int) -> tuple[float, float, int]:
    order = committing.Order(
        house=str(town.house.home), asked=str(town.asked), port=served.port, method=method, count=count
    )  # fmt: skip
    report = drive(order)
    return report.rate, report.p50, report.answer_bytes


def _echo(served: Served, town: Town) -> tuple[float, float]:
    order = driver.Order(
        house=str(town.house.home), asked=str(town.asked), port=served.port, method=driver.ECHO, seconds=2.0
    )  # fmt: skip
    report = drive(order)
    return report.rate, report.p50
