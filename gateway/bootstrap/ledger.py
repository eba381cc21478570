"""The configured ledger, opened as its writer, its owner or a sharer; its keys, and what is known of it elsewhere."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime

import structlog

from gateway.bootstrap.opening import now_utc
from gateway.bootstrap.witnesses import ask_witnesses, open_witnesses
from gateway.config import (
    AnchorSettings,
    LedgerSettings,
)
from ledger import (
    FileMasterKeys,
    KeyHistory,
    Ledger,
    load_further_signer,
)
from ledger.anchors.authority import TimestampAuthority
from ledger.anchors.token import Roots, load_roots
from ledger.appends.identity import Identity
from ledger.appends.publishing import Cosigners, NoCosigners, Publishing, SignAfter
from ledger.appends.waiting import Patience
from ledger.keyring.files import KeyFiles, open_keyring, require_same_log
from ledger.log.elsewhere import ask_elsewhere
from ledger.log.remembered import Remembered
from ledger.sharing.owner import Owner, open_owner
from ledger.vault.master_keys import Plain, Wrapping
from ledger.vault.pkcs11 import Pkcs11Wrapping
from ledger.witness.client import WitnessCosigners

_log = structlog.get_logger()


def open_ledger(
    settings: LedgerSettings,
    *,
    now: Callable[[], datetime] = now_utc,
    patience: Patience | None = None,
    accepted: int | None = None,
) -> Ledger:
    """Open the configured ledger as its writer, with every key of it that is here and in force.

    `patience` is how long a thread that blocks waits for its receipt, for ever by default; `accepted` is the size of a
    newest checkpoint that a retired key may have signed (`require_same_log`).

    Raises:
        ledger.LedgerError: it is not the ledger of these keys, or not all of it is there any more.
    """
    identity = open_identity(settings, now=now, accepted=accepted)
    signer, *others = identity.signers
    with ExitStack() as opened:
        witnesses = open_witnesses(settings, key_history(settings))
        if witnesses is not None:
            opened.enter_context(witnesses)
        ledger = Ledger.open(
            settings.url,
            origin=settings.origin,
            signer=signer,
            verifiers=identity.verifiers,
            cosigners=others,
            master_keys=open_master_keys(settings),
            publishing=_publishing(settings, witnesses),
            now=now,
            capacity=settings.queue,
            seen=_remembered(settings, witnesses),
            patience=patience,
        )
        opened.pop_all()  # the ledger closes them
    return ledger


def waited_for(settings: LedgerSettings) -> str:
    """Say what must be before a receipt of the configured ledger can be, for a message."""
    match settings.sign_after:
        case SignAfter.WITNESS:
            return "enough witnesses have answered"
        case SignAfter.STANDBY:
            return "a standby server has confirmed"
        case SignAfter.LOCAL:
            return "the next checkpoint is signed"


def join_ledger(settings: LedgerSettings) -> Ledger:
    """Share the configured SQLite ledger with the process that owns it, which alone signs.

    Raises:
        ledger.LedgerError: as `open_ledger`.
    """
    return Ledger.join(
        settings.url,
        settings.owner_socket,
        origin=settings.origin,
        verifiers=key_history(settings).verifiers,
        master_keys=open_master_keys(settings),
        publishing=_publishing(settings, None if settings.witness_policy_file is None else NoCosigners()),
        capacity=settings.queue,
        seen=_remembered(settings),
    )


@contextmanager
def owning_ledger(settings: LedgerSettings, *, now: Callable[[], datetime] = now_utc) -> Iterator[Owner]:
    """Become the process that owns the configured SQLite ledger, until the block ends.

    Raises:
        ledger.LedgerError: as `open_ledger`.
    """
    identity = open_identity(settings, now=now)
    with ExitStack() as opened:
        witnesses = open_witnesses(settings, key_history(settings))
        if witnesses is not None:
            opened.enter_context(witnesses)
        yield opened.enter_context(
            open_owner(
                settings.url,
                settings.owner_socket,
                identity=identity,
                publishing=_publishing(settings, witnesses),
                now=now,
                capacity=settings.queue,
                seen=_remembered(settings, witnesses),
            )
        )


def open_identity(
    settings: LedgerSettings, *, now: Callable[[], datetime] = now_utc, accepted: int | None = None
) -> Identity:
    """Read the keys of the log, further lines included, and require that they are those of the database."""
    keyring = open_keyring(key_files(settings))
    require_same_log(settings.url, keyring.history, accepted=accepted)
    further = [load_further_signer(path, settings.origin, now=now) for path in settings.cosigner_key_files]
    return Identity(
        origin=settings.origin, signers=(*keyring.signers, *further), verifiers=tuple(keyring.history.verifiers)
    )


def _publishing(settings: LedgerSettings, cosigners: Cosigners | None) -> Publishing:
    return Publishing(
        signing=settings.signing,
        sign_after=settings.sign_after,
        interval=settings.publish_every.total_seconds(),
        cosigners=cosigners,
        standbys=settings.standbys,
    )


def _remembered(settings: LedgerSettings, witnesses: WitnessCosigners | None = None) -> Remembered:
    """Say what is known of the log outside its database; `witnesses` are asked what they hold."""
    elsewhere = ask_elsewhere(settings.ask_published)
    for address in elsewhere.unreachable:
        _log.warning("no checkpoint to compare with", address=address)
    shown = {} if witnesses is None else ask_witnesses(witnesses, settings.origin)
    seen = Remembered(settings.seen_checkpoint_file, {**elsewhere.notes, **shown})
    if seen.recall() is None:
        _log.warning("no checkpoint is remembered: a restored database would go unnoticed", file=seen.path.name)
    return seen


def open_master_keys(settings: LedgerSettings) -> FileMasterKeys:
    """Read the master keys of the vault, through the HSM where one is configured.

    Raises:
        ledger.KeyFileError: the file cannot be used; every mistake is named.
        ledger.HsmUnavailable, ledger.ExtraMissing: the HSM cannot be used.
    """
    return FileMasterKeys(settings.master_keys_file, master_key_wrapping(settings))


def master_key_wrapping(settings: LedgerSettings, *, entropy: Callable[[int], bytes] = os.urandom) -> Wrapping:
    """Make what protects the master keys in their file: nothing, or an HSM."""
    hsm = settings.pkcs11
    if hsm is None:
        return Plain()
    return Pkcs11Wrapping(
        module=hsm.module, token=hsm.token, key_label=hsm.key_label, pin_file=hsm.pin_file, entropy=entropy
    )


def key_files(settings: LedgerSettings) -> KeyFiles:
    """Name the files of the log's keys."""
    return KeyFiles(
        origin=settings.origin,
        signing=settings.signing_key_file,
        next=settings.next_signing_key_file,
        history=settings.key_history_file,
    )


def key_history(settings: LedgerSettings) -> KeyHistory:
    """Read the history of the log's keys; raises as `open_keyring` does."""
    return open_keyring(key_files(settings)).history


def open_roots(settings: AnchorSettings) -> Roots:
    """Read whose time stamps are believed; raises `KeyFileError`."""
    return load_roots(settings.tsa_root_file, settings.tsa_policy)


def open_authority(settings: AnchorSettings) -> TimestampAuthority:
    """Make the client of the configured time-stamping authority; raises `KeyFileError` or `AnchorError`."""
    return TimestampAuthority(settings.tsa_url, open_roots(settings), timeout=settings.timeout.total_seconds())
