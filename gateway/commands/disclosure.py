"""`chengxin ledger disclose` and `verify-disclosure`: one group or field of a document, proved without the rest."""

from __future__ import annotations

import json as jsonlib
from pathlib import Path
from typing import Any

import click

from gateway.commands.options import CONFIG, HISTORY, INDEX, JSON, KEY, SIZE, read_config, read_log_keys


@click.command("disclose")
@CONFIG
@SIZE
@click.argument("index", type=INDEX)
@click.argument("group", metavar="GROUP[.FIELD]")
def disclose(config: Path, size: int | None, index: int, group: str) -> None:
    """Print the disclosure of a group of an entry's document, or of one field of it. It holds what it discloses."""
    from gateway.bootstrap.ledger import open_master_keys
    from ledger.commands import disclose_entry

    settings = read_config(config).ledger
    name, dot, field = group.partition(".")
    disclosure = disclose_entry(
        settings.url,
        index,
        name,
        [field] if dot else None,
        origin=settings.origin,
        master_keys=open_master_keys(settings),
        size=size,
    )
    click.echo(disclosure, nl=False)


@click.command("verify-disclosure")
@click.argument("file", type=click.File("rb"))
@KEY
@HISTORY
@JSON
def verify_disclosure(file: Any, key: Path, history: Path | None, as_json: bool) -> None:
    """Verify a disclosure with nothing but the log's public key; no database, no network. Prints what is disclosed."""
    from ledger.disclosure import verify_disclosure_by

    verified = verify_disclosure_by(file.read(), read_log_keys(key, history).verify_receipt)
    receipt = verified.receipt
    told = {
        "index": receipt.index,
        "size": receipt.size,
        "kind": receipt.entry.kind,
        "record": receipt.entry.record.hex(),
        "at": receipt.entry.at.isoformat(),
        "group": verified.group,
        "withheld": None if verified.withheld is None else list(verified.withheld),
    }
    if as_json:
        click.echo(jsonlib.dumps({**told, "value": verified.value}, ensure_ascii=False))
        return
    click.echo("verified: " + ", ".join(f"{name} {value}" for name, value in told.items() if name != "withheld"))
    click.echo(jsonlib.dumps(verified.value, ensure_ascii=False, indent=1))
    if verified.withheld is not None:
        click.echo(f"withheld: {', '.join(verified.withheld) or 'nothing'}")
