"""`chengxin vault …`: the master keys, wrapping by a new one, and erasure by order."""

from __future__ import annotations

import json as jsonlib
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from gateway.config import LedgerSettings
    from ledger.log.store import Store
    from ledger.vault.erasure import Doomed
    from ledger.vault.remnants import Rewrite

_CONFIG = click.option(
    "--config",
    "config",
    type=click.Path(path_type=Path),
    default=Path("var/gateway.toml"),
    show_default=True,
    help="The configuration file.",
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_CIPHER = click.option(
    "--cipher",
    type=click.Choice(["aes-256-gcm", "sm4-gcm"]),
    default="aes-256-gcm",
    show_default=True,
    help="The cipher of the new master key and of the documents sealed under it.",
)
_REWRITE = click.option(
    "--rewrite",
    type=click.Choice(["none", "keys", "all"]),
    default="keys",
    show_default=True,
    help="What PostgreSQL writes anew, locked meanwhile: so that not even free space holds what was deleted.",
)


def add_to(group: click.Group) -> None:
    """Add these commands to the program."""
    group.add_command(vault)


@click.group()
def vault() -> None:
    """The encrypted documents behind the entries."""


@vault.group()
def keys() -> None:
    """The master keys that wrap the data keys of documents."""


@keys.command("create")
@_CONFIG
@_CIPHER
@click.option("--generate-hsm-key", is_flag=True, help="Make the wrapping key on the token first (AES-256).")
@_JSON
def keys_create(config: Path, cipher: str, generate_hsm_key: bool, as_json: bool) -> None:
    """Make the configured key file with a first key; an existing file is never overwritten."""
    from gateway.bootstrap import master_key_wrapping
    from ledger.vault import Cipher, write_master_key
    from ledger.vault.pkcs11 import Pkcs11Wrapping

    settings = _settings(config)
    wrapping = master_key_wrapping(settings)
    if generate_hsm_key:
        if not isinstance(wrapping, Pkcs11Wrapping):
            raise click.UsageError('--generate-hsm-key goes with master_keys = "pkcs11" only')
        wrapping.generate_key()
    write_master_key(settings.master_keys_file, os.urandom, cipher=Cipher(cipher), wrapping=wrapping)
    _tell({"file": str(settings.master_keys_file), "version": 1, "cipher": cipher}, as_json)


@keys.command("rotate")
@_CONFIG
@_CIPHER
@_JSON
def keys_rotate(config: Path, cipher: str, as_json: bool) -> None:
    """Add a new master key to the file; start every gateway anew to use it, then run `chengxin vault rewrap`."""
    from gateway.bootstrap import master_key_wrapping
    from ledger.vault import Cipher
    from ledger.vault.master_keys import rotate_master_key

    settings = _settings(config)
    wrapping = master_key_wrapping(settings)
    version = rotate_master_key(settings.master_keys_file, os.urandom, cipher=Cipher(cipher), wrapping=wrapping)
    _tell({"file": str(settings.master_keys_file), "version": version, "cipher": cipher}, as_json)


@keys.command("show")
@_CONFIG
@_JSON
def keys_show(config: Path, as_json: bool) -> None:
    """List the master key versions and how many documents depend on each; a version that is not here is told too."""
    from gateway.bootstrap import open_master_keys
    from ledger.vault.rewrapping import count_wrapped

    settings = _settings(config)
    master_keys = open_master_keys(settings)
    known = master_keys.versions()
    with _store(settings) as store:
        wrapped = count_wrapped(store)
    for version in sorted(known.keys() | wrapped.keys()):
        cipher = known[version].value if version in known else None
        line = {
            "version": version,
            "cipher": cipher,
            "current": version == master_keys.current,
            "documents": wrapped.get(version, 0),
        }
        if as_json:
            click.echo(jsonlib.dumps(line))
        else:
            about = "current" if line["current"] else "old" if cipher else "MISSING from the key file"
            click.echo(f"version {version}: {cipher or 'unknown cipher'}, {about}, {line['documents']} documents")
    if wrapped.keys() - known.keys():
        sys.exit(1)


@keys.command("retire")
@_CONFIG
@click.argument("version", type=click.IntRange(min=1))
@_JSON
def keys_retire(config: Path, version: int, as_json: bool) -> None:
    """Move an old master key out of the key file, if no document depends on it.

    Before this, start every gateway anew and run `chengxin vault rewrap`. The key is put aside and not destroyed: a
    gateway that was not started anew may still seal under it. Destroy it when `chengxin vault keys show` is content.
    """
    from gateway.bootstrap import master_key_wrapping
    from ledger.vault.master_keys import retire_master_key
    from ledger.vault.rewrapping import count_wrapped

    settings = _settings(config)
    with _store(settings, writing=True) as store:
        depending = count_wrapped(store).get(version, 0)
        if depending:
            raise click.ClickException(
                f"{depending} documents depend on version {version}: run `chengxin vault rewrap`"
            )
        aside = retire_master_key(settings.master_keys_file, version, wrapping=master_key_wrapping(settings))
    _tell({"version": version, "put_aside": str(aside)}, as_json)


@vault.command("rewrap")
@_CONFIG
@_JSON
def rewrap(config: Path, as_json: bool) -> None:
    """Wrap every data key by the current master key. Can be interrupted at any moment, and continues when run again.

    On PostgreSQL it runs beside the gateway; an SQLite ledger has one writer, so stop the gateway first.
    """
    from gateway.bootstrap import open_master_keys
    from gateway.cli import _progress
    from ledger.vault import Vault
    from ledger.vault.rewrapping import rewrap_keys

    settings = _settings(config)
    opened = Vault(open_master_keys(settings), settings.origin, os.urandom)
    with _store(settings, writing=True) as store, _progress("wrapping") as advance:
        made = rewrap_keys(store, opened, progress=advance)
    told = {"version": opened.current, "done": made.done, "left": made.left, "failed": list(made.failed)}
    _tell(told, as_json)
    if made.left:
        if made.failed:
            click.echo(f"the keys of {len(made.failed)} or more entries do not open: `chengxin ledger fsck`", err=True)
        else:
            click.echo("some keys were held or made meanwhile: run it again", err=True)
        sys.exit(1)


@vault.command("clear")
@_CONFIG
@_REWRITE
def clear(config: Path, rewrite: Rewrite) -> None:
    """Make the database forget what was deleted, as `erase` does at its end."""
    from ledger.vault.remnants import clear_remnants

    settings = _settings(config)
    with _told_if_locked():
        clear_remnants(settings.url, rewrite=rewrite)
    click.echo("cleared")


@vault.command("erase")
@_CONFIG
@click.option("--record", "records", multiple=True, metavar="HEX", help="A record's id; repeatable.")
@click.option(
    "--subject-file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help='JSON such as {"id_type":"resident-id","id_number":"…"}: all records of this person.',
)
@click.option("--officer", "officers", type=(str, str), multiple=True, required=True, metavar="NUMBER NAME",
              help="Staff number and name of one who ordered it; give two different people.")  # fmt: skip
@click.option("--basis", required=True, help="The rule that orders or allows it.")
@click.option("--document-number", required=True, help="The number of the signed order (文号).")
@_REWRITE
@click.option("--yes", is_flag=True, help="Do not ask.")
@_JSON
def erase(
    *,
    config: Path,
    records: tuple[str, ...],
    subject_file: Path | None,
    officers: tuple[tuple[str, str], ...],
    basis: str,
    document_number: str,
    rewrite: Rewrite,
    yes: bool,
    as_json: bool,
) -> None:
    """Destroy the documents of records by order of two people; every proof stays valid. Prints the receipt.

    This cannot be undone. An SQLite ledger has one writer: stop the gateway first.
    """
    from gateway.bootstrap import open_ledger
    from ledger.vault.erasure import ErasureOrder, Officer, erasure_submission, examine_order
    from ledger.vault.remnants import clear_remnants

    settings = _settings(config)
    with _store(settings) as store:
        order = ErasureOrder(
            records=_records(store, settings, records, subject_file),
            officers=tuple(Officer(number=number, name=name) for number, name in officers),
            basis=basis,
            document_number=document_number,
        )
        doomed = examine_order(store, order)
    _confirm(doomed, yes)
    with _told_if_locked(), open_ledger(settings) as ledger:
        submission = erasure_submission(order, doomed, record=os.urandom(16), at=datetime.now(UTC))
        done = ledger.append_blocking(submission)
    receipt = done.receipts[0].decode()
    if as_json:
        told = {"index": done.entries[0].index, "erased": [one.record.hex() for one in doomed], "receipt": receipt}
        click.echo(jsonlib.dumps(told, ensure_ascii=False))
    else:
        click.echo(receipt, nl=False)
    clear_remnants(settings.url, rewrite=rewrite)


def _records(
    store: Store, settings: LedgerSettings, given: Sequence[str], subject_file: Path | None
) -> tuple[bytes, ...]:
    if bool(given) == bool(subject_file):
        raise click.UsageError("give either --record or --subject-file")
    if subject_file is not None:
        return _records_of(store, settings, subject_file)
    try:
        return tuple(bytes.fromhex(one) for one in given)
    except ValueError:
        raise click.UsageError("a record's id is 32 hex digits") from None


def _records_of(store: Store, settings: LedgerSettings, subject_file: Path) -> tuple[bytes, ...]:
    from gateway.bootstrap import open_index
    from gateway.rules.identifiers import IdentifierRefused, parse_identifier
    from ledger.vault.erasure import related_records

    try:
        about = jsonlib.loads(subject_file.read_text("utf-8"))
        subject = parse_identifier(about["id_type"], about["id_number"], today=datetime.now(UTC).date())
    except IdentifierRefused as refusal:
        raise click.ClickException(f"the subject file: {refusal}") from None
    except (OSError, ValueError, TypeError, KeyError):
        raise click.ClickException("the subject file is not JSON with id_type and id_number") from None
    found = related_records(store, open_index(settings).of(subject.id_type, subject.number))
    if not found:
        raise click.ClickException("the ledger has no record of this person under the present index key")
    return found


def _confirm(doomed: Sequence[Doomed], yes: bool) -> None:
    for one in doomed:
        click.echo(f"{one.record.hex()}  {one.family} {one.state}: {one.documents} documents", err=True)
    if not yes:
        total = sum(one.documents for one in doomed)
        click.confirm(f"Destroy {total} documents of {len(doomed)} records for ever?", abort=True, err=True)


@contextmanager
def _store(settings: LedgerSettings, *, writing: bool = False) -> Iterator[Store]:
    from ledger import open_store

    store = open_store(settings.url, readers=1)
    try:
        if writing:
            with _told_if_locked():
                store.start_writing()
        yield store
    finally:
        store.close()


@contextmanager
def _told_if_locked() -> Iterator[None]:
    from ledger import LedgerLocked

    try:
        yield
    except LedgerLocked as locked:
        raise click.ClickException(f"{locked}: stop the gateway first, an SQLite ledger has one writer") from None


def _settings(config: Path) -> LedgerSettings:
    from gateway.config import load_settings

    return load_settings(config).ledger


def _tell(told: dict[str, object], as_json: bool) -> None:
    click.echo(jsonlib.dumps(told) if as_json else ", ".join(f"{name} {value}" for name, value in told.items()))
