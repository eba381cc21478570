"""`chengxin ledger …`: check and read the ledger, offline."""

from __future__ import annotations

import json as jsonlib
import sys
from pathlib import Path
from typing import Any

import click

from gateway.commands import anchors, disclosure, fsck, index
from gateway.commands.options import (
    CONFIG,
    FILE,
    HISTORY,
    INDEX,
    JSON,
    KEY,
    SIZE,
    progress,
    read_config,
    read_log_keys,
    read_text,
)


@click.group()
def ledger() -> None:
    """Check and read the ledger, offline."""


@ledger.command("prove")
@CONFIG
@click.argument("index", type=INDEX)
@SIZE
def ledger_prove(config: Path, index: int, size: int | None) -> None:
    """Print the receipt of an entry."""
    from ledger.commands import prove

    click.echo(prove(read_config(config).ledger.url, index, size), nl=False)


@ledger.command("show")
@CONFIG
@click.argument("index", type=INDEX)
@click.option("--document", is_flag=True, help="Open the document too; it holds personal data.")
def ledger_show(config: Path, index: int, document: bool) -> None:
    """Print an entry, and on request the document behind it."""
    from gateway.bootstrap.ledger import open_master_keys
    from ledger import Erased
    from ledger.commands import show

    settings = read_config(config)
    keys = open_master_keys(settings.ledger) if document else None
    shown = show(settings.ledger.url, index, origin=settings.ledger.origin, master_keys=keys)
    click.echo(shown.leaf.decode())
    if isinstance(shown.document, Erased):
        click.echo("the document is erased")
    elif shown.document is not None:
        click.echo(jsonlib.dumps(shown.document, ensure_ascii=False, indent=1))


@ledger.command("verify")
@click.argument("receipt", type=click.File("rb"))
@KEY
@HISTORY
@JSON
def ledger_verify(receipt: Any, key: Path, history: Path | None, as_json: bool) -> None:
    """Verify a receipt with nothing but the log's public key; no database, no network."""
    verified = read_log_keys(key, history).verify_receipt(receipt.read())
    entry = verified.entry
    told = {
        "index": verified.index,
        "size": verified.size,
        "kind": entry.kind,
        "record": entry.record.hex(),
        "at": entry.at.isoformat(),
    }
    click.echo(jsonlib.dumps(told) if as_json else "verified: " + ", ".join(f"{k} {v}" for k, v in told.items()))


@ledger.command("export")
@CONFIG
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False))
@click.option("--url", help="Another database than the configured one, such as a copy.")
@JSON
def ledger_export(config: Path, directory: Path, url: str | None, as_json: bool) -> None:
    """Write the log as a directory that any web server can publish; what is there already is not written again."""
    from dataclasses import asdict

    from gateway.bootstrap.ledger import key_history
    from ledger import format_key_history
    from ledger.commands import export

    settings = read_config(config)
    address, origin = url or settings.ledger.url, settings.ledger.origin
    history = key_history(settings.ledger)
    with progress("exporting") as advance:
        done = export(
            address, directory, verifiers=history.verifiers, origin=origin,
            key_history=format_key_history(history), progress=advance,
        )  # fmt: skip
    if as_json:
        click.echo(jsonlib.dumps(asdict(done)))
    else:
        before = "nothing" if done.old_size is None else f"{done.old_size} entries"
        files = f"{done.written} files written, {done.kept} kept, {done.removed} superseded removed"
        click.echo(f"{directory} had {before} and has {done.size} entries: {files}")


@ledger.command("check-published")
@click.argument("place", metavar="URL_OR_DIR")
@click.option(
    "--key",
    "keys",
    type=FILE,
    required=True,
    multiple=True,
    help="A file of the log's public key, and of those of its further lines, one a line; repeat it for each file. "
    "Each must have signed; from the log's first key, later ones are followed through the key history beside the log.",
)
@click.option("--origin", help="The log's origin; the name of the first key by default.")
@JSON
def ledger_check_published(place: str, keys: tuple[Path, ...], origin: str | None, as_json: bool) -> None:
    """Check every tile and entry of a published log, as anybody can; the exit status is 1 if anything is wrong."""
    from ledger import parse_vkeys
    from ledger.commands import follow_published
    from ledger.keyring.history import require_ranges
    from ledger.log.algorithms.ed25519 import Ed25519Verifier

    named = {key.vkey: key for file in keys for key in parse_vkeys(read_text(file))}
    if not named:
        raise click.ClickException("the key files hold no key")
    verifiers = list(named.values())
    require_ranges(verifiers)
    name = origin or verifiers[0].name
    own = next((one for one in verifiers if one.name == name and isinstance(one, Ed25519Verifier)), verifiers[0])
    further = [one for one in verifiers if one is not own]
    with progress("checking") as advance:
        report = follow_published(place, own, name, further=further, progress=advance)
    damages = [{"index": damage.index, "what": damage.what} for damage in report.damages]
    if as_json:
        root = report.seen.root.hex()
        click.echo(jsonlib.dumps({"ok": report.sound, "size": report.seen.size, "root": root, "damages": damages}))
    else:
        for damage in report.damages:
            click.echo(f"entry {damage.index}: {damage.what}")
        told = "is sound" if report.sound else f"has {len(damages)} damages"
        click.echo(f"the published log of {report.seen.size} entries {told}")
    if not report.sound:
        sys.exit(1)


for _command in (
    anchors.ledger_anchor, anchors.ledger_anchors, disclosure.disclose, disclosure.verify_disclosure, fsck.fsck,
    index.index, index.prove_complete, index.verify_complete,
):  # fmt: skip
    ledger.add_command(_command)
