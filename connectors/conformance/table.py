"""The table of faults, made by playing them: `python -m connectors.conformance.table --postgres URL --mariadb URL`.

Rows of servers that are not given stay as they stand in the file. A further table, of what a gateway answers under the
same faults, can be joined by the fault's `id`: `cells` of other columns go into `Row.cells`.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from connectors.conformance import caller_faults, dropbox_faults, grpc_faults, http_faults, sql_faults
from connectors.conformance.faults import Fault, Stage, observe

FAULTS: tuple[Fault, ...] = (
    *http_faults.FAULTS,
    *grpc_faults.FAULTS,
    *sql_faults.FAULTS,
    *dropbox_faults.FAULTS,
    *caller_faults.FAULTS,
)
COLUMNS: Mapping[str, str] = {
    "outcome": "outcome",
    "attempts": "attempts",
    "over": "when it is over",
    "breaker": "breaker",
    "metrics": "metrics",
    "log": "log",
}
"""The columns of `Seen`, and their headings."""
PATH = Path(__file__).parent.parent / "FAULTS.md"
_HEAD = """# What becomes of each fault

Made by playing every fault against real servers and files: `python -m connectors.conformance.table`. Never edited by
hand; a test plays the faults again and compares. Every source retries once, and its breaker opens after two failures in
a row and rests for 30 s. *Outcome*, *attempts*, *metrics* and *log* are those of the first question under the fault;
*when it is over* is the answer after the fault has ended and the breaker has rested; *breaker* is its state after the
first question, after a second one, and when it is over. Some rows are played otherwise: what is provoked says how.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One fault's row: what it is, and its cells by column."""

    kind: str
    name: str
    provoked: str
    cells: Mapping[str, str]

    @property
    def id(self) -> str:
        """The fault's id."""
        return f"{self.kind}: {self.name}"

    def joined(self, cells: Mapping[str, str]) -> Row:
        """Add cells of further columns."""
        return replace(self, cells={**self.cells, **cells})


async def row(fault: Fault, stage: Stage) -> Row:
    """Play one fault."""
    return Row(kind=fault.kind, name=fault.name, provoked=fault.provoked, cells=asdict(await observe(fault, stage)))


async def rows(
    faults: Sequence[Fault],
    *,
    postgres_url: str | None,
    mariadb_url: str | None,
    kept: Mapping[str, Row],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Row]:
    """Play faults one after the other, each on an empty stage; those whose server is missing are taken from `kept`."""
    found: list[Row] = []
    for number, fault in enumerate(faults):
        progress(number, len(faults))
        with tempfile.TemporaryDirectory() as folder:
            stage = Stage(folder=Path(folder), postgres_url=postgres_url, mariadb_url=mariadb_url)
            found.append(await row(fault, stage) if stage.has(fault.needs) else kept[fault.id])
    progress(len(faults), len(faults))
    return found


def render(found: Sequence[Row], columns: Mapping[str, str] = COLUMNS, *, head: str = _HEAD) -> str:
    """Write the table in Markdown, under a head, a section for each kind of source.

    Raises:
        ValueError: a cell is empty or missing.
    """
    lines = [head]
    heads = ["fault", "provoked by", *columns.values()]
    for kind in dict.fromkeys(one.kind for one in found):
        lines += [f"## {kind}", "", _line(heads), _line(["---"] * len(heads))]
        for one in (each for each in found if each.kind == kind):
            cells = [one.name, one.provoked, *(one.cells.get(column, "") for column in columns)]
            if not all(cell.strip() for cell in cells):
                raise ValueError(f"the row of {one.id!r} has an empty cell")
            lines.append(_line(cells))
        lines.append("")
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def parse(written: str, columns: Mapping[str, str] = COLUMNS) -> dict[str, Row]:
    """Read a table back, by the faults' ids."""
    found: dict[str, Row] = {}
    kind = ""
    for line in written.splitlines():
        if line.startswith("## "):
            kind = line.removeprefix("## ")
        elif line.startswith("| ") and not line.startswith(("| fault |", "| --- |")):
            name, provoked, *cells = (cell.replace("\\|", "|") for cell in re.split(r"(?<!\\) \| ", line[2:-2]))
            one = Row(kind=kind, name=name, provoked=provoked, cells=dict(zip(columns, cells, strict=True)))
            found[one.id] = one
    return found


def main() -> None:
    """Play all faults and write the file."""
    from rich.console import Console
    from rich.progress import Progress

    asked = argparse.ArgumentParser(prog="python -m connectors.conformance.table", description=main.__doc__)
    asked.add_argument("--postgres", metavar="URL", help="a server in which databases may be made")
    asked.add_argument("--mariadb", metavar="URL", help="a server in which databases may be made")
    given = asked.parse_args()
    kept = parse(PATH.read_text(encoding="utf-8")) if PATH.exists() else {}
    with Progress(console=Console(stderr=True), disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task("playing faults", total=len(FAULTS))
        found = asyncio.run(
            rows(
                FAULTS,
                postgres_url=given.postgres,
                mariadb_url=given.mariadb,
                kept=kept,
                progress=lambda done, total: bar.update(task, completed=done, total=total),
            )
        )
    PATH.write_text(render(found), encoding="utf-8")


if __name__ == "__main__":
    main()
