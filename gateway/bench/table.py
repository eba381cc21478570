"""How the table is printed."""

from __future__ import annotations

from collections.abc import Iterable
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


def show(console: Console, lines: Iterable[Line]) -> None:
    """Print lines as they come, and the whole table at the end."""
    table = Table(title="verification, ratios in one run, load generator included")
    for name in ("what", "ours", "beside", "theirs", "result", "least–most", "target"):
        table.add_column(name, justify="left" if name in ("what", "beside") else "right")
    for line in lines:
        console.print("  " + " · ".join(line), highlight=False)
        table.add_row(*line)
    console.print(table)
