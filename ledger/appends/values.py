"""What callers hand in and get back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from ledger.canonical import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """An entry to be appended: all of it but its place in the log and in its record's chain."""

    kind: str
    record: bytes
    """Random 128-bit id, 16 bytes."""
    groups: Mapping[str, Json] = field(default_factory=dict, repr=False)
    """The document, by groups that can be disclosed one by one; goes to the vault, the entry only commits to it."""
    policy: str = ""
    """Digest (64 hex) of the policy in force, or empty."""
    facts: Mapping[str, Json] = field(default_factory=dict, repr=False)
    """Columns of the projection to set (`projections.FACT_NAMES`); kept in the document, not in the entry."""
    expect_state: frozenset[str] | None = None
    """If given, the record must exist and be in one of these states."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Idempotency:
    """A caller's key (1 to 32 bytes, time-ordered such as UUIDv7) and the SHA-256 of what it asked for."""

    key: bytes
    body_digest: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """Drafts that are appended together or not at all, one after the other."""

    drafts: tuple[Draft, ...]
    at: datetime
    idempotency: Idempotency | None = None
    claim_keys: tuple[tuple[bytes, bytes], ...] = ()
    """Things that may exist once: a key (1 to 64 bytes) and the record that claims it."""
    release_keys: tuple[bytes, ...] = ()
    """Claims to give up, before new ones are made."""
    erase: tuple[bytes, ...] = ()
    """Records whose documents, those of this submission included, are destroyed in the same transaction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sequenced:
    """An entry in its place."""

    index: int
    entry: bytes
    leaf_hash: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Appended:
    """What a submission became: durable entries, and one receipt each against the checkpoint of `size`."""

    entries: tuple[Sequenced, ...]
    size: int
    receipts: tuple[bytes, ...]
    replayed: bool
    """True if the same submission was appended before, and this is its first answer again, byte for byte."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """What an idempotency key was used for."""

    body_digest: bytes
    first_idx: int
    count: int
    size: int
