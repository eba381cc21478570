"""`chengxin ledger anchor` and `anchors`: time stamps of checkpoints by an outside authority."""

from __future__ import annotations

import json as jsonlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.commands.options import CONFIG, JSON, read_config
from ledger.durable_file import replace_file

if TYPE_CHECKING:
    from gateway.config import AnchorSettings, Settings
    from ledger.anchors.register import Anchor
    from ledger.anchors.token import Roots


@click.command("anchor")
@CONFIG
@JSON
def ledger_anchor(config: Path, as_json: bool) -> None:
    """Have the newest checkpoint stamped with its time now; beside a running gateway too."""
    from gateway.bootstrap.ledger import open_authority
    from ledger.anchors.register import AnchorRegister

    settings = read_config(config)
    authority = open_authority(_anchors(settings))
    with AnchorRegister.open(settings.ledger.url) as register:
        anchor = register.anchor(authority)
    if as_json:
        click.echo(jsonlib.dumps({"anchored": None if anchor is None else _told(anchor)}))
    elif anchor is None:
        click.echo("the newest checkpoint is stamped already")
    else:
        click.echo(f"size {anchor.size}: {anchor.at.isoformat()}")


@click.command("anchors")
@CONFIG
@click.option(
    "--verify", is_flag=True, help="Verify each against the configured roots; the exit status is 1 if one fails."
)
@click.option("--export", type=click.Path(path_type=Path), help="Write each note and its time stamp to this folder.")
@JSON
def ledger_anchors(*, config: Path, verify: bool, export: Path | None, as_json: bool) -> None:
    """List the stored time stamps."""
    from gateway.bootstrap.ledger import open_roots
    from ledger.anchors.register import AnchorRegister

    settings = read_config(config)
    roots = open_roots(_anchors(settings)) if verify else None
    bad = 0
    with AnchorRegister.open(settings.ledger.url) as register:
        for anchor in register.anchors():
            wrong = None if roots is None else _wrong(anchor, roots)
            bad += wrong is not None
            if export is not None:
                _export(anchor, export)
            told = {**_told(anchor), **({} if roots is None else {"verified": wrong is None, "wrong": wrong})}
            click.echo(jsonlib.dumps(told) if as_json else _line(told))
    if bad:
        sys.exit(1)


def _anchors(settings: Settings) -> AnchorSettings:
    if settings.ledger.anchors is None:
        raise click.ClickException("no authority is configured: see [ledger.anchors]")
    return settings.ledger.anchors


def _wrong(anchor: Anchor, roots: Roots) -> str | None:
    from ledger.anchors.register import verify_stored
    from ledger.errors import AnchorError

    try:
        verify_stored(anchor, roots)
    except AnchorError as failure:
        return str(failure)
    return None


def _told(anchor: Anchor) -> dict[str, object]:
    return {"size": anchor.size, "kind": anchor.kind, "at": anchor.at.isoformat()}


def _line(told: dict[str, object]) -> str:
    line = f"size {told['size']}  {told['kind']}  {told['at']}"
    if "verified" not in told:
        return line
    return f"{line}  verified" if told["verified"] else f"{line}  DOES NOT HOLD: {told['wrong']}"


def _export(anchor: Anchor, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    replace_file(folder / f"{anchor.size}.note", anchor.note)
    replace_file(folder / f"{anchor.size}-{anchor.at:%Y%m%dT%H%M%SZ}.tsr", anchor.token)
