"""The functions behind `chengxin ledger …`: they open, do one thing, close, and return typed results."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from ledger.canonical import Json
from ledger.completeness.index import CHUNK, CommittedRoots, RecordIndex
from ledger.completeness.prover import prove_completeness
from ledger.disclosure import disclose
from ledger.errors import DisclosureError, ErasureRefused, IndexMissing, WrongKey
from ledger.fsck import Progress, fsck
from ledger.keyring.history import KeyHistory
from ledger.keyring.published import first_key, verify_key_history
from ledger.log.checkpoint import open_checkpoint, read_checkpoint
from ledger.log.note import Verifier
from ledger.log.reader import LogReader, read_entry
from ledger.log.store import Store, open_store, read_head, read_receipt_note
from ledger.log.tiles import TileCache
from ledger.log.vkey import PublicKey
from ledger.merkle import hash_leaf, prove_inclusion, verify_inclusion
from ledger.publication.client import open_published, published_key_history
from ledger.publication.export import Exported, export_log
from ledger.publication.inspection import PublishedReport, inspect_published
from ledger.receipt import VerifiedReceipt, format_receipt, verify_receipt
from ledger.records.codec import Entry, decode_entry
from ledger.records.projections import RecordRow
from ledger.records.rebuild import rebuild_projections
from ledger.records.register import HistoryLine, Register
from ledger.vault import Erased, MasterKeys, Vault, VaultGroup, read_document
from ledger.vault.erasure import Proposal, read_proposal

__all__ = [
    "RecordReader",
    "ShownEntry",
    "check_published",
    "disclose_entry",
    "export",
    "fsck",
    "prove",
    "prove_complete",
    "rebuild",
    "show",
    "verify",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownEntry:
    """An entry, and its document if master keys were given: its values by group, or that it is erased."""

    index: int
    leaf: bytes
    entry: Entry
    document: Mapping[str, Json] | Erased | None = field(repr=False)


def prove(url: str, index: int, size: int | None = None) -> bytes:
    """Return the receipt of an entry against the published checkpoint of `size`, cosignatures included.

    By default that is the newest one that is witnessed, if one covers the entry, else the newest.

    Raises:
        EntryMissing: there is no such entry or published checkpoint, or the entry came after the checkpoint.
        ProofError: the stored tiles do not prove the entry (`fsck` tells more).
    """
    store = open_store(url, readers=1)
    try:
        return _receipts(store, [index], size)[0]
    finally:
        store.close()


def _receipts(store: Store, indices: Sequence[int], size: int | None = None) -> list[bytes]:
    nodes = LogReader(store, TileCache()).node
    receipts = []
    with store.reading() as connection:
        note = read_receipt_note(connection, max(indices) + 1, size)
        checkpoint = read_checkpoint(note)
        for index in indices:
            leaf = read_entry(connection, index)
            proof = prove_inclusion(index, checkpoint.size, nodes)
            verify_inclusion(hash_leaf(leaf), index, checkpoint.size, proof, checkpoint.root)
            receipts.append(format_receipt(leaf, index, proof, note))
    return receipts


def disclose_entry(
    url: str,
    index: int,
    group: str,
    fields: Collection[str] | None = None,
    *,
    origin: str,
    master_keys: MasterKeys,
    size: int | None = None,
) -> bytes:
    """Return the disclosure of a group of an entry's document, or of some fields of it; receipts as `prove` gives them.

    Raises:
        EntryMissing: there is no such entry or checkpoint, or the entry never had a document.
        DisclosureError: the document is erased, or has no such group or field.
        VaultError: the document cannot be decrypted.
        ProofError: the stored tiles do not prove the entry.
    """
    store = open_store(url, readers=1)
    try:
        with store.reading() as connection:
            record = decode_entry(read_entry(connection, index)).record
            document = read_document(connection, Vault(master_keys, origin, os.urandom), index, record)
    finally:
        store.close()
    if isinstance(document, Erased):
        raise DisclosureError(f"the document of entry {index} was erased on {document.at.isoformat()}")
    return disclose(prove(url, index, size), document, group, fields)


class RecordReader:
    """Reads records with their documents and receipts from a database, beside a running writer or without one.

    Raises:
        StoreMissing: there is no ledger at the address.
    """

    def __init__(self, url: str, *, origin: str, master_keys: MasterKeys, verifiers: Sequence[Verifier] = ()) -> None:
        """Open the database; `verifiers` are the keys of the log, for who asks `complete`."""
        self._store = open_store(url, readers=1)
        self._vault = Vault(master_keys, origin, os.urandom)
        self._verifiers, self._origin = verifiers, origin

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._store.close()

    def history(self, record: bytes) -> Sequence[HistoryLine]:
        """Return the life of a record, oldest first; empty if there is none."""
        return Register(self._store).history(record)

    def document(self, index: int) -> Mapping[str, VaultGroup] | Erased:
        """Return the document behind an entry, with the salts that open its commitments; raises `VaultError`."""
        with self._store.reading() as connection:
            record = decode_entry(read_entry(connection, index)).record
            return read_document(connection, self._vault, index, record)

    def proposal(self, record: bytes) -> Proposal:
        """Return a proposal of an erasure; raises `ErasureRefused` if none with this record waits."""
        row = Register(self._store).get(record)
        if row is None or row.state != "ERASURE_PROPOSED":
            raise ErasureRefused(["no proposal with this record waits"])
        with self._store.reading() as connection:
            leaf = read_entry(connection, row.first_idx)
        return read_proposal(record, hash_leaf(leaf), self.document(row.first_idx))

    def complete(self, records: Sequence[bytes]) -> list[bytes] | None:
        """Return the proof of all entries of each record as of the newest committed index; None while there is none.

        Raises:
            NoteError, LedgerDamaged: as of `prove_completeness`.
        """
        try:
            return prove_completeness(self._store, records, self._verifiers, self._origin)
        except IndexMissing:
            return None

    def published(self) -> int:
        """Return how many entries the newest published checkpoint covers."""
        with self._store.reading() as connection:
            return read_head(connection).published

    def rests_on(self, record: bytes) -> list[RecordRow]:
        """Return what a record rests on, oldest first (`Register.rests_on`)."""
        return Register(self._store).rests_on(record)

    def receipts(self, indices: Sequence[int], size: int | None = None) -> list[bytes]:
        """Return the receipts of entries, all against one checkpoint, chosen and refused as by `prove`."""
        return _receipts(self._store, indices, size) if indices else []


def show(url: str, index: int, *, origin: str = "", master_keys: MasterKeys | None = None) -> ShownEntry:
    """Return an entry, with its document if `origin` and `master_keys` are given.

    Raises:
        EntryMissing: there is no such entry.
        EntryError: what is stored is not an entry.
        VaultError: the document cannot be decrypted.
    """
    store = open_store(url, readers=1)
    try:
        with store.reading() as connection:
            leaf = read_entry(connection, index)
            entry = decode_entry(leaf)
            document: Mapping[str, Json] | Erased | None = None
            if master_keys is not None and entry.commits:
                vault = Vault(master_keys, origin, os.urandom)
                opened = read_document(connection, vault, index, entry.record)
                document = opened if isinstance(opened, Erased) else {name: g.value for name, g in opened.items()}
        return ShownEntry(index=index, leaf=leaf, entry=entry, document=document)
    finally:
        store.close()


def verify(receipt: bytes, *, verifiers: Sequence[Verifier], origin: str) -> VerifiedReceipt:
    """Verify a receipt offline; raises `ReceiptError`, `NoteError`, `ProofError` or `EntryError`."""
    return verify_receipt(receipt, verifiers, origin)


def export(
    url: str,
    directory: Path,
    *,
    verifiers: Sequence[Verifier],
    origin: str,
    key_history: str | None = None,
    progress: Progress | None = None,
) -> Exported:
    """Write a log as a static directory (`ledger.publication.export.export_log`, which tells what is raised)."""
    store = open_store(url, readers=1)
    try:
        return export_log(
            store, directory, verifiers=verifiers, origin=origin, key_history=key_history, progress=progress
        )
    finally:
        store.close()


def check_published(
    place: str, *, verifiers: Sequence[Verifier], origin: str, progress: Progress | None = None
) -> PublishedReport:
    """Check a whole published log at a URL prefix or in a directory (`ledger.publication.inspection`)."""
    with open_published(place, verifiers, origin) as log:
        return inspect_published(log, progress=progress)


def follow_published(
    place: str, key: PublicKey, origin: str, *, further: Sequence[PublicKey] = (), progress: Progress | None = None
) -> PublishedReport:
    """Check a whole published log as `check_published` does, knowing only one key of it, and perhaps further lines.

    If that is the first key that the log ever had, the keys that may sign now are read from the key history beside the
    log, and proved from the first onwards. Any other key, or a log without a history, is held to that one key. The
    `further` keys sign beside the log's own and never in its place: each must have signed the checkpoint.

    Raises:
        KeyHistoryError: the history does not verify.
        KeyNotInForce: the checkpoint is signed only by keys that may not sign its size.
        WrongKey: a key that was given did not sign the checkpoint.
        What `check_published` raises.
    """
    text = published_key_history(place)
    history: KeyHistory | None = None
    if text is not None and first_key(text, origin) == key.vkey:
        history = verify_key_history(text, key.vkey, origin)
    own = [key] if history is None else history.verifiers
    report = check_published(place, verifiers=[*own, *further], origin=origin, progress=progress)
    if history is not None:
        history.open(report.seen.note)
    for required in further if history is not None else (key, *further):
        _require_signed(report.seen.note, required, origin)
    return report


def _require_signed(note: bytes, key: PublicKey, origin: str) -> None:
    try:
        open_checkpoint(note, [key], origin)
    except WrongKey:
        raise WrongKey(f"the checkpoint is not signed by {key.vkey.rsplit('+', 1)[0]}") from None


def rebuild(url: str, *, origin: str, master_keys: MasterKeys, progress: Progress | None = None) -> int:
    """Compute the projection and the index again from the log, and count the records.

    Triggers and indexes of the tables that are missing are made again first.

    Raises:
        LedgerLocked: the SQLite file has a writer; there may be none meanwhile.
        LedgerDamaged, VaultError, LedgerUnavailable: as of `rebuild_projections` and `RecordIndex.rebuild`.
    """
    store = open_store(url, readers=2, unhurried=True)
    try:
        store.start_writing(restore=True)
        roots = CommittedRoots()
        records = rebuild_projections(store, Vault(master_keys, origin, os.urandom), progress, roots.notice)
        RecordIndex(store, CHUNK, pause=0.0).rebuild(roots.found, progress)
        return records
    finally:
        store.close()


def prove_complete(url: str, record: bytes, *, verifiers: Sequence[Verifier], origin: str) -> bytes:
    """Return the proof file of a record; raises `IndexMissing`, `NoteError` or `LedgerDamaged`."""
    store = open_store(url, readers=1)
    try:
        return prove_completeness(store, [record], verifiers, origin)[0]
    finally:
        store.close()
