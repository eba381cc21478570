"""How the table is printed."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from rich.console import Console
from rich.table import Table


class Line(NamedTuple):
    """One line: what was measured, both figures, what they come to, how far that spread, and the aim."""

    what: str
    ours: str
    beside: str
    theirs: str
    result: str
    spread: str
    target: str


Measured = tuple[float, float]
"""A rate a second, and what one costs in the unit that the line names."""


def compared(
    what: str, mine: Sequence[Measured], beside: str, theirs: Sequence[Measured], target: str, *, unit: str = "µs"
) -> Line:
    """Make a line of rates that were measured in turn; the result is the median of the rounds' own ratios."""
    ratios = [a / b for (a, _), (b, _) in zip(mine, theirs, strict=True)]
    return Line(
        what, _figure(mine, unit), beside, _figure(theirs, unit), f"{statistics.median(ratios):.2f}",
        f"{min(ratios):.2f}–{max(ratios):.2f}", target,
    )  # fmt: skip


def _figure(measured: Sequence[Measured], unit: str) -> str:
    rate, cost = (statistics.median(values) for values in zip(*measured, strict=True))
    return f"{rate:,.0f}/s, {cost:,.0f} {unit}"


def show(console: Console, title: str, lines: Iterable[Line]) -> None:
    """Print lines as they come, and the whole table at the end."""
    table = Table(title=f"{title}, ratios in one run, load generator included")
    for name in ("what", "ours", "beside", "theirs", "result", "least–most", "target"):
        table.add_column(name, justify="left" if name in ("what", "beside") else "right")
    for line in lines:
        console.print("  " + " · ".join(line), highlight=False)
        table.add_row(*line)
    console.print(table)
