"""`chengxin vault …`: the master keys, and wrapping by a new one."""

from __future__ import annotations

import json as jsonlib
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.commands.options import CONFIG, JSON, progress, read_config

if TYPE_CHECKING:
    from gateway.config import LedgerSettings
    from ledger.log.store import Store
    from ledger.vault.remnants import Rewrite

_CIPHER = click.option(
    "--cipher",
    type=click.Choice(["aes-256-gcm", "sm4-gcm"]),
    default="aes-256-gcm",
    show_default=True,
    help="The cipher of the new master key and of the documents sealed under it.",
)
REWRITE = click.option(
    "--rewrite",
    type=click.Choice(["none", "keys", "all"]),
    default="keys",
    show_default=True,
    help="What PostgreSQL writes anew, locked meanwhile: so that not even free space holds what was deleted.",
)

_NAMED = 10
"""How many of the entries whose keys do not open a person is told; --json tells all."""


@click.group()
def vault() -> None:
    """The encrypted documents behind the entries."""


@vault.group()
def keys() -> None:
    """The master keys that wrap the data keys of documents."""


@keys.command("create")
@CONFIG
@_CIPHER
@click.option("--generate-hsm-key", is_flag=True, help="Make the wrapping key on the token first (AES-256).")
@JSON
def keys_create(config: Path, cipher: str, generate_hsm_key: bool, as_json: bool) -> None:
    """Make the configured key file with a first key; an existing file is never overwritten."""
    from gateway.bootstrap.ledger import master_key_wrapping
    from ledger.vault import Cipher, write_master_key
    from ledger.vault.pkcs11 import Pkcs11Wrapping

    settings = ledger_settings(config)
    wrapping = master_key_wrapping(settings)
    if generate_hsm_key:
        if not isinstance(wrapping, Pkcs11Wrapping):
            raise click.UsageError('--generate-hsm-key goes with master_keys = "pkcs11" only')
        wrapping.generate_key()
    write_master_key(settings.master_keys_file, os.urandom, cipher=Cipher(cipher), wrapping=wrapping)
    tell({"file": str(settings.master_keys_file), "version": 1, "cipher": cipher}, as_json)


@keys.command("rotate")
@CONFIG
@_CIPHER
@JSON
def keys_rotate(config: Path, cipher: str, as_json: bool) -> None:
    """Add a new master key to the file; start every gateway anew to use it, then run `chengxin vault rewrap`."""
    from gateway.bootstrap.ledger import master_key_wrapping
    from ledger.vault import Cipher
    from ledger.vault.master_keys import rotate_master_key

    settings = ledger_settings(config)
    wrapping = master_key_wrapping(settings)
    version = rotate_master_key(settings.master_keys_file, os.urandom, cipher=Cipher(cipher), wrapping=wrapping)
    tell({"file": str(settings.master_keys_file), "version": version, "cipher": cipher}, as_json)


@keys.command("show")
@CONFIG
@JSON
def keys_show(config: Path, as_json: bool) -> None:
    """List the master key versions and how many documents depend on each; a version that is not here is told too."""
    from gateway.bootstrap.ledger import open_master_keys
    from ledger.vault import Vault
    from ledger.vault.rewrapping import count_wrapped
    from ledger.vault.trial import try_master_keys

    settings = ledger_settings(config)
    master_keys = open_master_keys(settings)
    known = master_keys.versions()
    with open_vault(settings) as store:
        wrapped = count_wrapped(store)
        wrong = try_master_keys(store, Vault(master_keys, settings.origin, os.urandom)).wrong
    for version in sorted(known.keys() | wrapped.keys()):
        cipher = known[version].value if version in known else None
        line = {
            "version": version,
            "cipher": cipher,
            "current": version == master_keys.current,
            "documents": wrapped.get(version, 0),
            "wrong": version in wrong,
        }
        if as_json:
            click.echo(jsonlib.dumps(line))
        else:
            about = (
                "WRONG KEY"
                if version in wrong
                else "current"
                if line["current"]
                else "old"
                if cipher
                else "MISSING from the key file"
            )
            click.echo(f"version {version}: {cipher or 'unknown cipher'}, {about}, {line['documents']} documents")
    if wrong or wrapped.keys() - known.keys():
        sys.exit(1)


@keys.command("retire")
@CONFIG
@click.argument("version", type=click.IntRange(1, (1 << 31) - 1))
@JSON
def keys_retire(config: Path, version: int, as_json: bool) -> None:
    """Move an old master key out of the key file, if no document depends on it.

    Before this, start every gateway anew and run `chengxin vault rewrap`. The key is put aside and not destroyed: a
    gateway that was not started anew may still seal under it. Destroy it when `chengxin vault keys show` is content.
    """
    from gateway.bootstrap.ledger import master_key_wrapping
    from ledger.vault.master_keys import retire_master_key
    from ledger.vault.rewrapping import count_wrapped

    settings = ledger_settings(config)
    with open_vault(settings, writing=True) as store:
        depending = count_wrapped(store).get(version, 0)
        if depending:
            raise click.ClickException(
                f"{depending} documents depend on version {version}: run `chengxin vault rewrap`"
            )
        aside = retire_master_key(settings.master_keys_file, version, wrapping=master_key_wrapping(settings))
    tell({"version": version, "put_aside": str(aside)}, as_json)


@vault.command("rewrap")
@CONFIG
@JSON
def rewrap(config: Path, as_json: bool) -> None:
    """Wrap every data key by the current master key. Can be interrupted at any moment, and continues when run again.

    On PostgreSQL it runs beside the gateway; an SQLite ledger has one writer, so stop the gateway first.
    """
    from gateway.bootstrap.ledger import open_master_keys
    from ledger.vault import Vault
    from ledger.vault.rewrapping import rewrap_keys

    settings = ledger_settings(config)
    opened = Vault(open_master_keys(settings), settings.origin, os.urandom)
    with open_vault(settings, writing=True) as store, progress("wrapping") as advance:
        made = rewrap_keys(store, opened, progress=advance)
    told = {"version": opened.current, "done": made.done, "left": made.left}
    tell({**told, "failed": list(made.failed)} if as_json else told, as_json)
    if made.left:
        if made.failed:
            named = ", ".join(map(str, made.failed[:_NAMED])) + (" …" if len(made.failed) > _NAMED else "")
            click.echo(
                f"the keys of {len(made.failed)} or more entries do not open ({named}): `chengxin ledger fsck`",
                err=True,
            )
        else:
            click.echo("some keys were held or made meanwhile: run it again", err=True)
        sys.exit(1)


@vault.command("clear")
@CONFIG
@REWRITE
def clear(config: Path, rewrite: Rewrite) -> None:
    """Make the database forget what was deleted, as `erase` does at its end."""
    from ledger.vault.remnants import clear_remnants

    settings = ledger_settings(config)
    with told_if_locked():
        clear_remnants(settings.url, rewrite=rewrite)
    click.echo("cleared")


@contextmanager
def open_vault(settings: LedgerSettings, *, writing: bool = False) -> Iterator[Store]:
    """Open the configured store until the block ends."""
    from ledger import open_store

    store = open_store(settings.url, readers=1, unhurried=True)
    try:
        if writing:
            with told_if_locked():
                store.start_writing()
        yield store
    finally:
        store.close()


@contextmanager
def told_if_locked() -> Iterator[None]:
    """Say what to do where the SQLite file has another writer."""
    from ledger import LedgerLocked

    try:
        yield
    except LedgerLocked as locked:
        raise click.ClickException(f"{locked}: stop the gateway first, an SQLite ledger has one writer") from None


def ledger_settings(config: Path) -> LedgerSettings:
    """Read the ledger's part of a configuration."""

    return read_config(config).ledger


def tell(told: Mapping[str, object], as_json: bool) -> None:
    """Print names and values, for people or as JSON."""
    click.echo(jsonlib.dumps(told) if as_json else ", ".join(f"{name} {value}" for name, value in told.items()))
