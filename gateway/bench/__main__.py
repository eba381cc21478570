"""`python -m gateway.bench`: print the table of verification."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click
from rich.console import Console

from gateway.bench import verification
from gateway.bench.table import show


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--people", type=click.IntRange(100, 1_000_000), default=1_000_000, show_default=True)
@click.option("--entries", type=click.IntRange(0, 10_000_000), default=1_000_000, show_default=True,
              help="Entries of the long ledger; 0: leave it out.")  # fmt: skip
@click.option("--rounds", type=click.IntRange(1, 20), default=5, show_default=True, help="Rounds of each comparison.")
@click.option("--seconds", type=click.FloatRange(0.2, 60), default=2.0, show_default=True, help="Of each measurement.")
@click.option("--keep", type=click.Path(path_type=Path, file_okay=False), help="Keep houses here, and use them again.")
def main(people: int, entries: int, rounds: int, seconds: float, keep: Path | None) -> None:
    """Measure Verify beside a bare echo, server and load generator being processes of their own."""
    console = Console()
    scale = verification.Scale(people=people, entries=entries, rounds=rounds, seconds=seconds)
    with tempfile.TemporaryDirectory(prefix="chengxin-bench-") as folder:
        home = keep or Path(folder)
        home.mkdir(parents=True, exist_ok=True)
        show(console, verification.measure(home, scale, tell=console.print))


if __name__ == "__main__":
    main()
