"""`python -m ledger.bench`: the performance table of the ledger."""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from ledger.bench import appends, checking, growth, peers
from ledger.bench.house import House, serve_like
from ledger.bench.rounds import Measured


def main() -> None:
    """Measure what is asked for, and print it."""
    parser = argparse.ArgumentParser(prog="python -m ledger.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="leave out the logs of 10^6 and 10^7 entries")
    parser.add_argument("--only", choices=("appends", "growth"), help="measure one part")
    parser.add_argument("--keep", type=Path, help="folder for the large logs, made once and used again")
    parser.add_argument("--postgres", default=os.environ.get("TEST_POSTGRES_URL"), help="an empty database to measure")
    asked = parser.parse_args()
    serve_like()
    console = Console(width=150)
    table = Table("what", "ours", "beside", "bare", "ratio", "least–most", "target", title="ledger, ratios in one run")
    if asked.only != "growth":
        _fill(table, console, "appends", appends.sqlite())
        _fill(table, console, "signatures", appends.signed())
        _fill(table, console, "peers", peers.pymerkle())
        if asked.postgres:
            _fill(table, console, "PostgreSQL", appends.postgres(asked.postgres))
    if asked.only == "growth" or not asked.quick:
        with tempfile.TemporaryDirectory(prefix="ledger-bench-") as name:
            _grown(table, console, asked.keep or Path(name))
    console.print(table)


def _fill(table: Table, console: Console, what: str, measured: Iterable[Measured]) -> None:
    console.print(f"measuring {what} …")
    for one in measured:
        low, high = one.spread
        row = (
            one.what, f"{one.ours:,.0f}{one.unit}", one.beside, f"{one.theirs:,.0f}{one.unit}", f"{one.ratio:.2f}",
            f"{low:.2f}–{high:.2f}", one.target,
        )  # fmt: skip
        table.add_row(*row)
        console.print("  " + " · ".join(row))


def _grown(table: Table, console: Console, home: Path) -> None:
    with Progress(console=console, transient=True) as progress:
        small = growth.grown(home / "10-4", 10_000, _bar(progress, "a log of 10^4 entries"))
        large = growth.grown(home / "10-6", 1_000_000, _bar(progress, "a log of 10^6 entries"))
        huge = growth.tiles_only(home / "10-7", 10_000_000, _bar(progress, "the tiles of 10^7 entries"))
    _fill(table, console, "fsck", checking.fsck(large))
    _storage(table, large)
    _proofs(table, small.url, large.url, huge)
    for name, house in (("10^4", small), ("10^6", large)):
        told = growth.fresh(house)
        table.add_row(
            f"a fresh process at {name}", f"opens in {told['open_ms']:.1f} ms", f"idle {told['idle_mib']:.0f} MiB",
            f"first receipt {told['first_proof_ms']:.1f} ms", "", "", "≤ 20 ms",
        )  # fmt: skip
    _fill(table, console, "growth", [growth.appends(small, large)])


def _storage(table: Table, large: House) -> None:
    told = dict(growth.storage(large))
    own = f"its own bytes: {told['own']:.0f}"
    table.add_row("storage beyond an entry's own bytes, 10^6", f"{told['in all']:.0f} B", own, "", "", "", "≤ 200 B")


def _proofs(table: Table, small: str, large: str, huge: str) -> None:
    least, rate = growth.warm_proofs(small, 10_000), growth.warm_proofs(large, 1_000_000)
    tail, far = growth.cold_tail(small, 10_000), growth.cold_tail(huge, 10_000_000)
    table.add_row(
        "random inclusion proofs, warm, 10^6", f"{rate:,.0f}/s", "at 10^4", f"{least:,.0f}/s", "", "", "≥ 10,000/s"
    )
    table.add_row(
        "their 99th percentile from a cold start, 10^7", f"{far:.0f} µs", "at 10^4", f"{tail:.0f} µs",
        f"{far / tail:.2f}", "", "≤ 2",
    )  # fmt: skip


def _bar(progress: Progress, what: str) -> Callable[[int, int], None]:
    task = progress.add_task(what)
    return lambda done, total: progress.update(task, completed=done, total=total)


if __name__ == "__main__":
    main()
