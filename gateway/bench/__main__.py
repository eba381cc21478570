"""`python -m gateway.bench verification|commitments`: print a table."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console

from gateway.bench import commitments, verification
from gateway.bench.table import show

_PEOPLE = click.option("--people", type=click.IntRange(100, 1_000_000), default=1_000_000, show_default=True)
_ROUNDS = click.option(
    "--rounds", type=click.IntRange(1, 20), default=5, show_default=True, help="Rounds of each comparison."
)
_KEEP = click.option(
    "--keep", type=click.Path(path_type=Path, file_okay=False), help="Make registers here, and use them again."
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Measure a gateway beside a bare echo; servers and load generators are processes of their own."""


@main.command("verification")
@_PEOPLE
@click.option("--entries", type=click.IntRange(0, 10_000_000), default=1_000_000, show_default=True,
              help="Entries of the long ledger; 0: leave it out.")  # fmt: skip
@click.option("--seconds", type=click.FloatRange(0.2, 60), default=2.0, show_default=True, help="Of each measurement.")
@_ROUNDS
@_KEEP
def of_verification(people: int, entries: int, rounds: int, seconds: float, keep: Path | None) -> None:
    """Verify and BatchVerify."""
    console = Console()
    scale = verification.Scale(people=people, entries=entries, rounds=rounds, seconds=seconds)
    with _home(keep) as home:
        show(console, "verification", verification.measure(home, scale, tell=console.print))


@main.command("commitments")
@_PEOPLE
@click.option("--count", type=click.IntRange(100, 100_000), default=1000, show_default=True, help="Of each round.")
@_ROUNDS
@_KEEP
def of_commitments(people: int, count: int, rounds: int, keep: Path | None) -> None:
    """PrepareCommitment and RecordCommitment."""
    console = Console()
    scale = commitments.Scale(people=people, count=count, rounds=rounds)
    with _home(keep) as home:
        show(console, "commitments", commitments.measure(home, scale, tell=console.print))


@contextmanager
def _home(keep: Path | None) -> Iterator[Path]:
    """Lend a folder for houses; of what is kept, only the registers are used again."""
    with tempfile.TemporaryDirectory(prefix="chengxin-bench-") as folder:
        home = keep or Path(folder)
        home.mkdir(parents=True, exist_ok=True)
        yield home


if __name__ == "__main__":
    main()
