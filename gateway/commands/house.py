"""`chengxin init | check-config | serve | demo`: found a house, try its configuration, run it."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    pass
from gateway.commands.options import CONFIG, FILE, read_text


@click.command()
@click.option("--home", type=click.Path(path_type=Path), default=Path("var"), show_default=True, help="Where.")
@click.option("--sources", type=FILE, help="TOML with the stanzas of the sources.")
@click.option("--url", default="sqlite:///ledger.sqlite3", show_default=True, help="The ledger's database.")
@click.option("--listen", default="127.0.0.1:8443", show_default=True, help="Where the gateway will listen.")
def init(home: Path, sources: Path | None, url: str, listen: str) -> None:
    """Found a house: development CA, a certificate for every role, keys, an empty ledger, gateway.toml."""
    from gateway.founding import found

    stanzas = read_text(sources) if sources else "# Add at least one source: see connectors/README.md.\n"
    house = found(home, now=datetime.now(UTC), sources=stanzas, url=url, listen=listen)
    click.echo(f"founded {home}: configuration {house.config}, public key of the log {house.vkey}")
    if sources is None:
        click.echo(
            "no source yet, and without one nothing is served: add a stanza [sources.NAME] (connectors/README.md) "
            f"at the end of {house.config}, then chengxin check-config --config {house.config}"
        )


@click.command("check-config")
@CONFIG
def check_config(config: Path) -> None:
    """Look at everything that `serve` looks at first, and name every mistake: the configuration, every file that it
    names, catalogue and sources, and whether the log's key is that of the ledger. Nothing is written.
    """
    from gateway.bootstrap.examining import examine
    from gateway.bootstrap.opening import calendar_notice, now_utc
    from gateway.bootstrap.refusals import explained
    from gateway.catalogue.reviews import overdue_reviews, review_notice
    from gateway.config import load_draft
    from gateway.rules.clocks import legal_day

    draft = load_draft(config)
    with explained():
        sound = examine(draft)
    today = legal_day(now_utc())
    if notice := calendar_notice(draft.settings.calendar, today=today):
        click.echo(f"note: {notice}", err=True)
    for item, due in overdue_reviews(sound.catalogue, today=today):
        click.echo(f"note: {review_notice(item, due)}", err=True)
    counts = f"{len(sound.catalogue.items)} items, {len(sound.catalogue.matters)} matters, {len(sound.sources)} sources"
    click.echo(f"ok: {counts}")


@click.command()
@CONFIG
@click.option("--part", hidden=True, help="Only this part of a gateway of several processes.")
@click.option("--listen", hidden=True, help="Instead of the configured address.")
def serve(config: Path, part: str | None, listen: str | None) -> None:
    """Serve until SIGTERM. Prints `ready PORT` on standard output when it answers; logs go to standard error.

    With `workers` above 1, so many processes answer at one address; a process that ends is started again.

    The exit status is 3 if the ledger is not what it must be: then starting again does not help, somebody has to look.
    """
    from dataclasses import replace

    from gateway import logs
    from gateway.bootstrap.examining import examine
    from gateway.bootstrap.refusals import explained
    from gateway.bootstrap.serving import Part, run
    from gateway.bootstrap.workers import end_with_parent, run_workers
    from gateway.config import load_draft

    def ready(port: int) -> None:
        click.echo(f"ready {port}")
        sys.stdout.flush()

    logs.configure()
    draft = load_draft(config)
    settings = draft.settings
    with explained():
        if draft.mistakes or (part is None and settings.server.workers > 1):
            examine(draft)  # one process does so when it opens what it serves with
    if part is None and settings.server.workers > 1:
        sys.exit(run_workers(settings, config, ready))
    if listen is not None:
        settings = replace(settings, server=replace(settings.server, listen=listen))
    with explained():
        if part is not None:
            end_with_parent()
        run(settings, ready, Part.ALONE if part is None else Part(part))


@click.command()
@click.option("--story", is_flag=True, help="Play the whole story once and end.")
@click.option(
    "--home",
    type=click.Path(path_type=Path),
    help="Where (var/demo by default); of a story, an empty folder.",
)
@click.option("--port", type=click.IntRange(0, 65_535), help="Where the gateway listens: 8443 by default; 0: any.")
@click.option("--people", type=click.IntRange(100, 1_000_000), default=3000, show_default=True, help="How many people.")
@click.option("--seed", type=int, default=20200904, show_default=True, help="The seed of the synthetic people.")
def demo(story: bool, home: Path | None, port: int | None, people: int, seed: int) -> None:
    """Start a demonstration province on this machine: departments, gateway, credit platform."""
    from gateway.demo.province import play, stay

    if story:
        if home is not None and home.exists() and (not home.is_dir() or any(home.iterdir())):
            raise click.UsageError(f"--home: {home} is not an empty folder, and the story begins in one")
        sys.exit(play(home, port=port or 0, people=people, seed=seed))
    sys.exit(stay(home or Path("var/demo"), port=port, people=people, seed=seed))
