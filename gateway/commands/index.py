"""`chengxin ledger index commit`, `prove-complete` and `verify-complete`: all entries of a record, proved offline."""

from __future__ import annotations

import json as jsonlib
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from gateway.commands.options import CONFIG, HISTORY, JSON, KEY, progress, read_config, read_log_keys
from gateway.commands.vault import told_if_locked
from gateway.commands.writing import writing_ledger


def _record_id(context: click.Context, parameter: click.Parameter, value: str) -> bytes:
    try:
        record = bytes.fromhex(value)
    except ValueError:
        record = b""
    if len(record) != 16:
        raise click.BadParameter("a record id is 32 hex digits", context, parameter)
    return record


@click.group()
def index() -> None:
    """The index of all records, by which a record's entries are proved complete."""


@index.command("commit")
@CONFIG
@JSON
def index_commit(config: Path, as_json: bool) -> None:
    """Bring the index up to date and commit to it by an entry. An SQLite ledger must have no other writer meanwhile.

    A running gateway does it by the clock: `[ledger] index_every`.
    """
    settings = read_config(config).ledger
    with told_if_locked(), writing_ledger(settings, as_json=as_json) as ledger, progress("indexing") as advance:
        done = ledger.commit_index(datetime.now(UTC), progress=advance)
    told = {"index": done.index, "size": done.size, "root": done.root.hex(), "appended": done.appended}
    if as_json:
        click.echo(jsonlib.dumps(told))
        return
    how = "commits" if done.appended else "already commits"
    click.echo(f"entry {done.index} {how} to the index of {done.size} entries, root {done.root.hex()}")


@click.command("prove-complete")
@CONFIG
@click.argument("record", callback=_record_id)
def prove_complete(config: Path, record: bytes) -> None:
    """Print the file that proves which are all entries of RECORD, or that it has none, as of the newest index."""
    from gateway.bootstrap.ledger import key_history
    from ledger import commands

    settings = read_config(config).ledger
    verifiers = key_history(settings).verifiers
    proof = commands.prove_complete(settings.url, record, verifiers=verifiers, origin=settings.origin)
    click.echo(proof, nl=False)


@click.command("verify-complete")
@click.argument("file", type=click.File("rb"))
@KEY
@HISTORY
@click.option("--was-not", "kind", help="A kind of entry, such as CommitmentWithdrawn; exit status 1 if there is one.")
@JSON
def verify_complete(file: Any, key: Path, history: Path | None, kind: str | None, as_json: bool) -> None:
    """Verify such a file with nothing but the log's public key; no database, no network."""
    from ledger import verify_completeness

    log = read_log_keys(key, history)
    proved = verify_completeness(file.read(), log.keys, log.origin)
    try:
        was_not = None if kind is None else proved.was_not(kind)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--was-not") from None
    entries = [{"seq": entry.seq, "kind": entry.kind, "at": entry.at.isoformat()} for entry in proved.entries]
    if as_json:
        told = {"record": proved.record.hex(), "size": proved.size, "at": proved.at.isoformat(), "entries": entries}
        click.echo(jsonlib.dumps(told if was_not is None else {**told, "was_not": was_not}))
    else:
        count = len(entries)
        click.echo(f"verified: record {proved.record.hex()} has {count or 'no'} entries among the first {proved.size}")
        for entry in entries:
            click.echo(f"{entry['seq']} {entry['at']} {entry['kind']}")
        if was_not is not None:
            click.echo(f"{kind}: {'no' if was_not else 'there is such an entry'}")
    if was_not is False:
        sys.exit(1)
