"""`chengxin keys …`: changing the key of the log, and the published history of its keys."""

from __future__ import annotations

import json as jsonlib
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.commands.options import CONFIG, FILE, JSON, read_config, read_text
from gateway.commands.vault import told_if_locked
from gateway.commands.writing import writing_ledger

if TYPE_CHECKING:
    from gateway.config import LedgerSettings
    from ledger import KeyHistory, Ledger
    from ledger.keyring.files import KeyFiles
    from ledger.log.key_file import Algorithm


_AGAIN = "It stands. Give the same command again once they answer: it finishes this change of keys, and adds no other."


@click.group()
def keys() -> None:
    """The keys that sign the log."""


@keys.command("create")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--algorithm", type=click.Choice(["ed25519", "ml-dsa-44", "sm2"]), required=True)
@click.option("--name", required=True, help="The key name: the origin of the log whose checkpoints it will sign.")
@JSON
def keys_create(file: Path, algorithm: Algorithm, name: str, as_json: bool) -> None:
    """Make a key in FILE (PKCS#8, mode 0600) and print its verifier key.

    Name the file in `[ledger] cosigner_key_files`, start the gateway anew, and publish the verifier key.
    """
    from ledger import write_key

    vkey = write_key(file, name, algorithm).verifier.vkey
    click.echo(jsonlib.dumps({"file": str(file), "algorithm": algorithm, "vkey": vkey}) if as_json else vkey)


@keys.command("rotate")
@CONFIG
@JSON
def keys_rotate(config: Path, as_json: bool) -> None:
    """Make the log's next key and announce it in the log, signed by the present one.

    Stop the gateway first if the database is SQLite. From the next start on, every checkpoint carries both signatures,
    until `chengxin keys retire`. Publish the key history when you are done.
    """
    settings, files = _files(config)
    with _rotation(settings, files, as_json=as_json) as (ledger, history, settled):
        from ledger.keyring.files import store_key_history
        from ledger.keyring.rotation import announce_key

        if settled and history.events[-1].act == "added" and files.next.exists():
            _tell(history, as_json)
            return
        vkey = _next_key(files, history)
        changed = announce_key(ledger, history, vkey, now=datetime.now(UTC), entropy=os.urandom)
        store_key_history(files, changed)
    _tell(changed, as_json)


@keys.command("retire")
@CONFIG
@click.option("--key-id", help="The key to retire, by its id of 8 hex digits; the present signing key by default.")
@click.option(
    "--at-once",
    is_flag=True,
    help="Do not look back: a gateway that has the old key alone stops with status 3. For a key that was stolen.",
)
@JSON
def keys_retire(config: Path, key_id: str | None, at_once: bool, as_json: bool) -> None:
    """Retire a key: checkpoints of later sizes are not believed on its signature any more; older ones are, for ever.

    Stop the gateway first if the database is SQLite; with PostgreSQL, first start every gateway anew, so that all of
    them sign with the key that stays: every checkpoint of the last hour must be. The private key is put aside, not
    destroyed.
    """
    settings, files = _files(config)
    with _rotation(settings, files, as_json=as_json) as (ledger, history, settled):
        from ledger.keyring.files import store_key_history
        from ledger.keyring.rotation import retire_key
        from ledger.keyring.usage import require_in_use

        if settled and history.events[-1].act == "retired":
            _put_away(files, history)
            _tell(history, as_json)
            return
        number = _chosen(files, history, key_id)
        _require_here(files, history, number)
        require_in_use(settings.url, history, number, now=datetime.now(UTC), look_back=not at_once)
        changed = retire_key(ledger, history, number, now=datetime.now(UTC), entropy=os.urandom)
        store_key_history(files, changed)
        _put_away(files, changed)
    _tell(changed, as_json)


@keys.command("resume")
@CONFIG
@click.argument("size", type=click.IntRange(1))
@JSON
def keys_resume(config: Path, size: int, as_json: bool) -> None:
    """Go on with a log whose newest checkpoint, of SIZE entries, only a retired key signed: you answer for the entries.

    Stop whatever writes to the database, and run `chengxin ledger fsck` first. Commits to the index by an entry, whose
    checkpoint the keys in force sign. What is remembered, published or witnessed must be the beginning of the log.
    """
    from gateway.bootstrap.ledger import key_history
    from gateway.bootstrap.refusals import explained
    from ledger import KeyNotInForce

    settings = read_config(config).ledger
    with explained(), told_if_locked(), writing_ledger(settings, as_json=as_json, accepted=size) as ledger:
        try:
            key_history(settings).open(ledger.checkpoint())
        except KeyNotInForce:
            done = ledger.commit_index(datetime.now(UTC), anew=True)
        else:
            raise click.ClickException("a key in force signed the newest checkpoint: there is nothing to resume")
    told = {"index": done.index, "size": done.index + 1}
    click.echo(jsonlib.dumps(told) if as_json else f"entry {done.index}: the keys in force sign again")


@keys.command("history")
@CONFIG
@click.option("--verify", "file", type=FILE, help="Verify a published history.")
@click.option("--key", "key", type=FILE, help="The log's first public key, for that.")
@click.option("--rebuild", is_flag=True, help="Read the history from the log, and write it where it belongs.")
@JSON
def keys_history(config: Path, file: Path | None, key: Path | None, rebuild: bool, as_json: bool) -> None:
    """Show which keys were in force at which sizes; with --verify, of any log, offline."""
    from ledger import parse_vkey, verify_key_history

    if file is not None and (key is None or rebuild):
        raise click.UsageError("--verify needs --key, and does not go with --rebuild")
    first = None if key is None else parse_vkey(read_text(key))
    if file is not None and first is not None:
        _tell(verify_key_history(read_text(file), first.vkey, first.name), as_json)
        return
    settings, files = _files(config)
    _tell(_rebuilt(settings, files, None if first is None else first.vkey) if rebuild else _known(files), as_json)


def _files(config: Path) -> tuple[LedgerSettings, KeyFiles]:
    from gateway.bootstrap.ledger import key_files

    settings = read_config(config).ledger
    return settings, key_files(settings)


@contextmanager
def _rotation(
    settings: LedgerSettings, files: KeyFiles, *, as_json: bool
) -> Iterator[tuple[Ledger, KeyHistory, bool]]:  # fmt: skip
    """Lend the ledger, opened for appending, its key history, and whether that was brought up to the log only now."""
    from gateway import logs
    from gateway.bootstrap.refusals import explained
    from ledger.errors import LedgerLocked
    from ledger.keyring.files import put_away_retired

    logs.configure()
    with ExitStack() as opened:
        try:
            with explained():
                settled = _settle(settings, files)
                ledger = opened.enter_context(writing_ledger(settings, as_json=as_json, advice=_AGAIN))
        except LedgerLocked as failure:
            raise click.ClickException(f"{failure}: stop the gateway, and start it again afterwards") from failure
        settled = _finish(settings, files, ledger) or settled
        history = _known(files)
        if not settled:
            put_away_retired(files, history)
        yield ledger, history, settled


def _settle(settings: LedgerSettings, files: KeyFiles) -> bool:
    """Finish what an interrupted run left: an event that is in the log, but not in the file yet."""
    from ledger.errors import KeyHistoryError
    from ledger.keyring.files import require_same_log

    try:
        require_same_log(settings.url, _known(files))
    except KeyHistoryError:
        _rebuilt(settings, files)
        return True
    return False


def _finish(settings: LedgerSettings, files: KeyFiles, ledger: Ledger) -> bool:
    """Finish what a run left whose event was not published then: wait until it is, as that run did."""
    from ledger.keyring.rotation import key_events

    events = key_events(ledger.register())
    if len(events) <= len(_known(files).events):
        return False
    ledger.published_blocking(events[-1][0] + 1)
    _rebuilt(settings, files)
    return True


def _put_away(files: KeyFiles, history: KeyHistory) -> None:
    from ledger.keyring.files import put_away_retired

    for path in put_away_retired(files, history):
        click.echo(f"the retired private key is in {path}: destroy it", err=True)


def _known(files: KeyFiles) -> KeyHistory:
    from ledger.keyring.files import open_keyring

    return open_keyring(files).history


def _rebuilt(settings: LedgerSettings, files: KeyFiles, first: str | None = None) -> KeyHistory:
    from gateway.bootstrap.ledger import open_master_keys
    from ledger.keyring.files import store_key_history
    from ledger.keyring.rotation import read_key_history

    first = first or _known(files).keys[0].vkey
    masters = open_master_keys(settings)
    history = read_key_history(settings.url, first, origin=settings.origin, master_keys=masters)
    store_key_history(files, history)
    return history


def _next_key(files: KeyFiles, history: KeyHistory) -> str:
    """Make the file of the next key, or take the one that an interrupted run left unannounced."""
    from ledger import load_signer, write_signing_key

    if not files.next.exists():
        return write_signing_key(files.next, files.origin).verifier.vkey
    vkey = load_signer(files.next, files.origin).verifier.vkey
    if history.number_of(vkey) is not None:
        raise click.ClickException("a rotation is under way: `chengxin keys retire` ends it")
    return vkey


def _chosen(files: KeyFiles, history: KeyHistory, key_id: str | None) -> int:
    from ledger import load_signer

    if key_id is None:
        key_id = load_signer(files.signing, files.origin).key_id.hex()
    for number, key in enumerate(history.keys):
        if key.verifier.key_id.hex() == key_id.lower():
            return number
    raise click.ClickException(f"the log has no key {key_id}")


def _require_here(files: KeyFiles, history: KeyHistory, number: int) -> None:
    """Require that a private key that stays is here: the retirement itself must be signed by it."""
    from ledger.keyring.files import open_keyring

    history.require_retirable(number)
    retired = history.keys[number].verifier.key_id
    if all(signer.key_id == retired for signer in open_keyring(files).signers):
        raise click.ClickException(f"no other key in force is here, neither in {files.signing} nor in {files.next}")


def _tell(history: KeyHistory, as_json: bool) -> None:
    lines = [
        {"key": key.vkey, "first": key.first, "last": key.last, "in_force": key.last is None} for key in history.keys
    ]
    if as_json:
        click.echo(jsonlib.dumps({"origin": history.origin, "keys": lines}, ensure_ascii=False))
        return
    for key in history.keys:
        until = "in force" if key.last is None else f"retired, up to size {key.last}"
        click.echo(f"{key.vkey}: from size {key.first}, {until}")
