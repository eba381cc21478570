"""What callers hand in and get back. What is made for each append is a `Struct`, which costs a quarter of a tuple with
names and an eighth of a frozen dataclass to make, or a tuple. Such a value cannot be part of a cycle, and is not looked
at when garbage is searched for."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import NamedTuple

from msgspec import Struct

from ledger.canonical import Json
from ledger.records.commitments import Opening

_NOTHING: Mapping[str, Json] = MappingProxyType({})


class Draft(NamedTuple):
    """An entry to be appended: all of it but its place in the log and in its record's chain."""

    kind: str
    record: bytes
    """128-bit id, 16 bytes; random, or random behind 48 bits of time (`ledger.new_record`), which keeps indexes hot."""
    groups: Mapping[str, Json] = _NOTHING
    """The document, by groups that can be disclosed one by one; goes to the vault, the entry only commits to it."""
    policy: str = ""
    """Digest (64 hex) of the policy in force, or empty."""
    facts: Mapping[str, Json] = _NOTHING
    """Columns of the projection to set (`projections.FACT_NAMES`); kept in the document, not in the entry."""
    expect_state: frozenset[str] | None = None
    """If given, the record must exist and be in one of these states."""
    expect_newest: int | None = None
    """If given, the record must exist, and its newest entry be the one of this index: what was judged is what it
    follows."""
    fields: Mapping[str, Mapping[str, Json]] = MappingProxyType({})
    """Further groups of the document, whose fields can be disclosed one by one; field names must tell of no person."""

    def __repr__(self) -> str:
        """Tell kind and record; the document is personal data."""
        return f"Draft(kind={self.kind!r}, record={self.record.hex()})"


class Idempotency(NamedTuple):
    """A caller's key and a digest of 32 bytes of what it asked for.

    The key has 7 to 32 bytes and begins with its time, 48 bits of milliseconds since 1970, as UUIDv7 does. The digest
    of what names a person must be keyed (`BlindIndex.digest`), or whoever reads the database finds it by guessing.
    """

    key: bytes
    body_digest: bytes


class Submission(NamedTuple):
    """Drafts that are appended together or not at all, one after the other."""

    drafts: tuple[Draft, ...]
    at: datetime
    idempotency: Idempotency | None = None
    claim_keys: tuple[tuple[bytes, bytes], ...] = ()
    """Things that may exist once: a key (1 to 64 bytes) and the record that claims it."""
    release_keys: tuple[bytes, ...] = ()
    """Claims to give up, before new ones are made."""
    erase: tuple[tuple[bytes, int], ...] = ()
    """Records whose documents are destroyed in the same transaction, each with the index of what was its newest entry
    when that was decided: nothing is destroyed if one went on since, or is under a legal hold."""


class Level(enum.Enum):
    """How far an append must have come before its caller is answered."""

    SEQUENCED = "SEQUENCED"
    """Durable at its index; a receipt can be had later."""
    PUBLISHED = "PUBLISHED"
    """Covered by a signed and published checkpoint: the receipt is complete."""
    WITNESSED = "WITNESSED"
    """The checkpoint of the receipt also carries the cosignatures that the witness policy asks for."""


class Sequenced(Struct, frozen=True, gc=False):
    """An entry in its place."""

    index: int
    entry: bytes
    leaf_hash: bytes


class Appended(Struct, frozen=True, gc=False):
    """What a submission became: durable entries, and one receipt each against the checkpoint of `size`.

    `receipts` is empty and `size` 0 if no checkpoint covers the entries yet and the caller did not wait for one.
    """

    entries: tuple[Sequenced, ...]
    size: int
    receipts: tuple[bytes, ...]
    replayed: bool
    """True if the same submission was appended before, and this is its first answer again, byte for byte."""
    openings: tuple[Mapping[str, Opening], ...] = ()
    """What opens the whole groups of each entry, as they were just made; empty if `replayed`: the vault has them."""


class Accepted(Struct, frozen=True, gc=False):
    """What the sequencer made of a submission: its entries, and their proofs against the checkpoint of the batch.

    `paths` are the proof lines of the receipts; empty, and `size` 0, if the batch was not signed with its commit.
    """

    entries: tuple[Sequenced, ...]
    size: int
    paths: tuple[bytes, ...]


@dataclass(slots=True)
class Replay:
    """What an idempotency key was used for; the digest is empty once the document of the first entry is erased."""

    body_digest: bytes
    first_idx: int
    count: int
