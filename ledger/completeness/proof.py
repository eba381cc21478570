"""Completeness proofs: a file that shows, offline, all entries of a record as of an index, or that it has none.

Canonical JSON (RFC 8785) with exactly these members:

    entries   every entry of the record below `index.size`, oldest first, each as a text
    format    "chengxin/completeness@v1"
    index     {"root": <64 hex>, "size": <number>}: what the entry in `receipt` commits to
    path      the map proof: hashes (64 hex) beside the way to SHA-256(record id), the highest first
    receipt   the receipt of that entry (c2sp.org/tlog-proof)
    record    the record id, 32 hex digits
    stands    null, or {"key": <64 hex>, "value": <64 hex>}: the other record that stands where this one would, only
              where there are no entries

A proof is worth as much as the index: it was computed by the log's operator, and whoever runs `fsck` over a copy of the
log computes it again.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from ledger.canonical import Json, canonical, parse_canonical
from ledger.completeness.changes import index_key
from ledger.completeness.commitment import commits_to_index
from ledger.completeness.smt import DEPTH, MapProof, verify_absent, verify_member
from ledger.errors import CanonicalError, CompletenessError, EntryError
from ledger.log.note import Verifier
from ledger.merkle import hash_leaf
from ledger.receipt import VerifiedReceipt, verify_receipt
from ledger.records.codec import Entry, decode_entry
from ledger.records.lifecycle import FAMILY_OF

_FORMAT = "chengxin/completeness@v1"
_MEMBERS = {"entries", "format", "index", "path", "receipt", "record", "stands"}
_LONGEST = 64 << 20
_HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)
_RECORD = re.compile(r"[0-9a-f]{32}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletenessProof:
    """The parts of a proof file, nothing of it verified."""

    record: bytes
    entries: tuple[bytes, ...]
    size: int
    root: bytes
    proof: MapProof
    receipt: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class CompleteHistory:
    """What a completeness proof proves: these are all entries of `record` among the first `size` of the log."""

    record: bytes
    entries: tuple[Entry, ...]
    """Oldest first; none if the record does not exist at that size."""
    size: int
    index: int
    """The entry that committed to the index."""
    at: datetime
    """When that entry was made."""

    def was_not(self, kind: str) -> bool:
        """Tell that no entry of `kind` was made for the record up to `size`, such as "not withdrawn".

        Raises:
            ValueError: there is no such kind: a misspelt one was of course never made.
        """
        if kind not in FAMILY_OF:
            raise ValueError(f"there is no kind of entry {kind!r}")
        return all(entry.kind != kind for entry in self.entries)


def format_completeness(proof: CompletenessProof) -> bytes:
    """Write a proof file; `proof.proof.end` is left out where it is the record's own."""
    end = proof.proof.end
    stands = None if end is None or proof.entries else {"key": end[0].hex(), "value": end[1].hex()}
    return canonical(
        {
            "entries": [entry.decode("utf-8") for entry in proof.entries],
            "format": _FORMAT,
            "index": {"root": proof.root.hex(), "size": proof.size},
            "path": [value.hex() for value in proof.proof.path],
            "receipt": proof.receipt.decode("utf-8"),
            "record": proof.record.hex(),
            "stands": stands,
        }
    )


def parse_completeness(data: bytes) -> CompletenessProof:
    """Take a proof file apart.

    Raises:
        CompletenessError: it is not in the format.
    """
    if len(data) > _LONGEST:
        raise CompletenessError("the proof is too long")
    try:
        value = parse_canonical(data)
    except CanonicalError as failure:
        raise CompletenessError(f"malformed proof: {failure}") from None
    if not isinstance(value, dict) or value.keys() != _MEMBERS or value["format"] != _FORMAT:
        raise CompletenessError("not a completeness proof of version 1")
    index = _members(value["index"], {"root", "size"})
    size = index["size"]
    if type(size) is not int or size < 0:
        raise CompletenessError("the size is not a number")
    entries = tuple(_texts(value["entries"], "entries"))
    record = _hexed(value["record"], _RECORD)
    return CompletenessProof(
        record=record,
        entries=entries,
        size=size,
        root=_hexed(index["root"], _HASH),
        proof=_parse_map_proof(value, record, entries),
        receipt=_text(value["receipt"]),
    )


def _parse_map_proof(value: dict[str, Json], record: bytes, entries: Sequence[bytes]) -> MapProof:
    listed = value["path"]
    if not isinstance(listed, list) or len(listed) > DEPTH:
        raise CompletenessError("the path is not a list of at most 256 hashes")
    path = tuple(_hexed(one, _HASH) for one in listed)
    if entries:
        if value["stands"] is not None:
            raise CompletenessError("another record cannot stand where this one does")
        return MapProof(path=path, end=(index_key(record), hash_leaf(entries[-1])))
    if value["stands"] is None:
        return MapProof(path=path, end=None)
    stands = _members(value["stands"], {"key", "value"})
    return MapProof(path=path, end=(_hexed(stands["key"], _HASH), _hexed(stands["value"], _HASH)))


def _members(value: Json, names: set[str]) -> dict[str, Json]:
    if not isinstance(value, dict) or value.keys() != names:
        raise CompletenessError(f"an object has other members than {', '.join(sorted(names))}")
    return value


def _texts(value: Json, name: str) -> list[bytes]:
    if not isinstance(value, list):
        raise CompletenessError(f"{name} is not a list")
    return [_text(one) for one in value]


def _text(value: Json) -> bytes:
    if not isinstance(value, str):
        raise CompletenessError("a member is not a text")
    return value.encode("utf-8")


def _hexed(value: Json, form: re.Pattern[str]) -> bytes:
    if not isinstance(value, str) or form.fullmatch(value) is None:
        raise CompletenessError("a member is not lower-case hexadecimal of its length")
    return bytes.fromhex(value)


class KeysOverTime(Protocol):
    """A history of the log's keys."""

    def verify_receipt(self, receipt: bytes) -> VerifiedReceipt:
        """Verify a receipt with the keys that were in force at the size of its checkpoint."""
        ...


def verify_completeness(data: bytes, verifiers: Sequence[Verifier] | KeysOverTime, origin: str) -> CompleteHistory:
    """Verify a proof file offline, with only the log's public keys (or their history) and origin.

    Raises:
        CompletenessError: it is not in the format, its entries are no chain, or the receipt's commits to another index.
        ReceiptError, NoteError, EntryError: the receipt in it is malformed, or of another log.
        ProofError: the entry is not in the log, or the index holds something else for the record.
    """
    proof = parse_completeness(data)
    if isinstance(verifiers, Sequence):
        committed = verify_receipt(proof.receipt, verifiers, origin)
    else:
        committed = verifiers.verify_receipt(proof.receipt)
    if not commits_to_index(committed.entry, proof.size, proof.root):
        raise CompletenessError("the entry of the receipt does not commit to this index")
    if proof.size > committed.index:
        raise CompletenessError("an entry cannot commit to an index that reaches beyond it")
    return CompleteHistory(
        record=proof.record,
        entries=verify_history(proof),
        size=proof.size,
        index=committed.index,
        at=committed.entry.at,
    )


def verify_history(proof: CompletenessProof) -> tuple[Entry, ...]:
    """Verify all of a proof but who committed to its index; returns the entries, decoded.

    Raises:
        CompletenessError: the entries are not one chain of the record from its first entry.
        ProofError: the index with this root holds something else for the record.
    """
    entries = _verify_chain(proof)
    key = index_key(proof.record)
    if entries:
        verify_member(proof.root, key, hash_leaf(proof.entries[-1]), proof.proof)
    else:
        verify_absent(proof.root, key, proof.proof)
    if len(entries) > proof.size:
        raise CompletenessError("there are more entries than the log had")
    return entries


def _verify_chain(proof: CompletenessProof) -> tuple[Entry, ...]:
    entries: list[Entry] = []
    previous: bytes | None = None
    for number, leaf in enumerate(proof.entries):
        try:
            entry = decode_entry(leaf)
        except EntryError as failure:
            raise CompletenessError(f"entry {number} of the record: {failure}") from None
        if (entry.record, entry.seq, entry.prev) != (proof.record, number, previous):
            raise CompletenessError(f"entry {number} of the record does not continue its chain")
        entries.append(entry)
        previous = hash_leaf(leaf)
    return tuple(entries)
