"""The gateway's table of faults, made by playing them: `python -m tests.faults.table --postgres URL --mariadb URL`.

Rows whose servers are not given, or which need a right that is not there, stay as they stand in the file; `--only TEXT`
plays only the faults whose id holds it.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from connectors.conformance.faults import Fault, Stage
from connectors.conformance.table import FAULTS as SOURCE_FAULTS
from connectors.conformance.table import Row, parse, render
from gateway.founding import House
from tests.faults import own, source
from tests.faults.own import OwnFault
from tests.faults.seen import COLUMNS

FAULTS: tuple[Fault | OwnFault, ...] = (*SOURCE_FAULTS, *own.FAULTS)
PATH = Path(__file__).parent.parent.parent / "gateway" / "FAULTS.md"
HEAD = """# What the gateway makes of each fault

Made by playing every fault with a whole gateway: `python -m tests.faults.table`. Never edited by hand; a test plays the
faults again and compares. What a connector alone makes of the faults of a source is in
[connectors/FAULTS.md](../connectors/FAULTS.md), under the same names.

A source is asked for the marital status of somebody who is married, through gRPC with mutual TLS, with the resilience
that the connectors' table names. *Message* is what the person at the window reads; *status* the gRPC code, the reason,
and when to come again; *entry* what was recorded meanwhile, read from the ledger's database; *metrics* what `/metrics`
counted meanwhile, without the prefix `chengxin_` and the suffix `_total`; *breaker* its state there after the first
question, after a second one, and when it is over. No fault of a source makes the next step a commitment.
"""


async def row(fault: Fault | OwnFault, stage: Stage, house: House) -> Row:
    """Play one fault."""
    if isinstance(fault, OwnFault):
        cells = await fault.play(stage.folder)
    else:
        cells = await source.play(fault, stage, house)
    return Row(kind=fault.kind, name=fault.name, provoked=source.PROVOKED.get(fault.id, fault.provoked), cells=cells)


def may_play(fault: Fault | OwnFault, stage: Stage, *, may_mount: bool) -> bool:
    """Say whether everything that a fault needs is there."""
    if isinstance(fault, OwnFault):
        return may_mount or "mount" not in fault.needs
    return stage.has(fault.needs)


async def rows(
    faults: Sequence[Fault | OwnFault],
    *,
    postgres_url: str | None,
    mariadb_url: str | None,
    kept: Mapping[str, Row],
    only: str = "",
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Row]:
    """Play faults one after the other, each in an empty folder; others are taken from `kept`."""
    found: list[Row] = []
    may_mount = own.may_mount()
    with source.founded() as house:
        for number, fault in enumerate(faults):
            progress(number, len(faults))
            with tempfile.TemporaryDirectory() as folder:
                stage = Stage(folder=Path(folder), postgres_url=postgres_url, mariadb_url=mariadb_url)
                is_played = only in fault.id and may_play(fault, stage, may_mount=may_mount)
                found.append(await row(fault, stage, house) if is_played else kept[fault.id])
    progress(len(faults), len(faults))
    return found


def main() -> None:
    """Play all faults and write the file."""
    from rich.console import Console
    from rich.progress import Progress

    asked = argparse.ArgumentParser(prog="python -m tests.faults.table", description=main.__doc__)
    asked.add_argument("--postgres", metavar="URL", help="a server in which databases may be made")
    asked.add_argument("--mariadb", metavar="URL", help="a server in which databases may be made")
    asked.add_argument("--only", metavar="TEXT", default="", help="only the faults whose id holds this")
    given = asked.parse_args()
    kept = parse(PATH.read_text(encoding="utf-8"), COLUMNS) if PATH.exists() else {}
    with Progress(console=Console(stderr=True), disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task("playing faults", total=len(FAULTS))
        found = asyncio.run(
            rows(
                FAULTS,
                postgres_url=given.postgres,
                mariadb_url=given.mariadb,
                kept=kept,
                only=given.only,
                progress=lambda done, total: bar.update(task, completed=done, total=total),
            )
        )
    PATH.write_text(render(found, COLUMNS, head=HEAD), encoding="utf-8")


if __name__ == "__main__":
    main()
