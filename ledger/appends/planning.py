"""Planning: the rules of the ledger applied to one batch in memory, before anything of it is written.

A submission that is refused leaves no trace in the plan; one that is accepted is seen by those after it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from msgspec import Struct

from ledger.appends.admission import Admitted, AdmittedDraft
from ledger.appends.values import Replay, Sequenced
from ledger.errors import (
    AlreadyClaimed,
    ErasureRefused,
    IdempotencyConflict,
    RecordChanged,
    RecordErased,
    TransitionRefused,
)
from ledger.merkle import hash_leaf
from ledger.records.codec import later_entry
from ledger.records.kin import Kinship
from ledger.records.lifecycle import FAMILY_OF, STATE_NAMES, STATE_NUMBERS
from ledger.records.projections import StoredRow, fold, forget, open_row
from ledger.records.rows import read_row
from ledger.records.unfinished import must_end, unfinished

_ENDS = frozenset(
    {
        "CommitmentExpired", "CommitmentLapsed", "ErasureRejected", "LegalHoldReleased", "LogKeyRetired",
        "StaffKeyRevoked",
    }
)  # fmt: skip
"""Kinds that may follow an erasure: each only ends its record, and tells nothing new of anybody it was about."""
HELD = STATE_NUMBERS["HELD"]
"""The state of a legal hold in force."""


@dataclass(slots=True, kw_only=True)
class Known:
    """What the store says about everything a batch touches."""

    size: int
    rows: dict[bytes, StoredRow] = field(default_factory=dict)
    hashes: dict[bytes, bytes] = field(default_factory=dict)
    """The leaf hash of each such record's newest entry."""
    claims: dict[bytes, bytes] = field(default_factory=dict)
    kin: dict[bytes, StoredRow] = field(default_factory=dict)
    """What is to be erased, what the batch names as a parent, and the kin of both, by record."""
    erased: set[bytes] = field(default_factory=set)
    """Which of the records, and of what the batch names as a parent, are erased."""
    holds: dict[bytes, StoredRow] = field(default_factory=dict)
    """The legal holds in force upon those, or upon their persons, by their own records."""
    replays: dict[bytes, Replay] = field(default_factory=dict)


class Planned(Struct, frozen=True, gc=False):
    """One accepted submission: where its entries begin, and how many they are."""

    first: int
    entries: int


_Placed = tuple[Sequenced, AdmittedDraft, StoredRow]


class Plan:
    """One batch: what was known, and what the accepted submissions change, in the form of rows to write."""

    def __init__(self, known: Known) -> None:
        self.first = self.size = known.size
        self._known = known
        self._erased = {*known.erased}
        self.entries: list[Sequenced] = []
        self.entry_rows: list[tuple[int, bytes | None, bytes]] = []
        self.key_rows: list[tuple[int, int, bytes, None]] = []
        self.document_rows: list[tuple[int, bytes]] = []
        self.used: dict[bytes, tuple[bytes, bytes, int, int]] = {}
        """Rows of the idempotency keys, by key."""
        self.rows: dict[bytes, StoredRow] = {}
        """Changed rows of the projection."""
        self.claims: dict[bytes, bytes | None] = {}
        """Changed claims; None is released."""
        self.erase: list[bytes] = []

    def add(self, admitted: Admitted) -> Planned | Replay:
        """Accept a submission, or find that it was accepted before.

        Raises:
            IdempotencyConflict: its key was used for another body.
            TransitionRefused: a record's state does not allow one of its drafts.
            RecordErased: a record's documents are erased, and one of its drafts does not only end it, or one names it
                as its parent.
            RecordChanged: a record has a newer entry than one of its drafts expects.
            AlreadyClaimed: it claims what another record holds.
            ErasureRefused: what it erases went on since, is held, or is what something unfinished rests on.
        """
        if admitted.once is not None:
            replay = self._replay(admitted.once)
            if replay is not None:
                return replay
        claims = self._claim(admitted) if admitted.claim_keys or admitted.release_keys else None
        placed: list[_Placed] = []
        changed: dict[bytes, StoredRow] = {}
        for index, draft in enumerate(admitted.drafts, self.size):
            record = draft.record
            row = changed.get(record) or self.rows.get(record) or self._known.rows.get(record)
            sequenced, row = self._place(draft, admitted.at, index, row, placed)
            changed[record] = row
            placed.append((sequenced, draft, row))
        if admitted.erase:
            self._require_erasable(admitted.erase, changed)
        return self._accept(admitted, placed, claims)

    def _replay(self, once: tuple[bytes, bytes]) -> Replay | None:
        key, digest = once
        used = self.used.get(key)
        replay = self._known.replays.get(key) if used is None else Replay(*used[1:])
        if replay is not None and replay.body_digest != digest:
            raise IdempotencyConflict(replay.first_idx)
        return replay

    def _claim(self, admitted: Admitted) -> dict[bytes, bytes | None]:
        claims: dict[bytes, bytes | None] = dict.fromkeys(admitted.release_keys)
        for key, record in admitted.claim_keys:
            holder = claims[key] if key in claims else self._holder(key)
            if holder is not None and holder != record:
                raise AlreadyClaimed(holder)
            claims[key] = record
        return claims

    def _holder(self, key: bytes) -> bytes | None:
        return self.claims[key] if key in self.claims else self._known.claims.get(key)

    def _require_erasable(self, erase: Sequence[tuple[bytes, int]], changed: Mapping[bytes, StoredRow]) -> None:
        """Require that records are as they were when it was decided to erase them, that nobody holds them or kin, and
        that nothing that rests on them has still to come to its end.

        Holds, findings, reports and erasures are appended like everything else, one after the other: of two that come
        at one moment, the second is judged by what the first made of the log.
        """
        rows = {**self._known.kin, **self._known.rows, **self.rows, **changed}
        holds = [row for row in {**self._known.holds, **rows}.values() if row.state == HELD]
        held = {row.record for row in holds} | {row.parent for row in holds}
        persons = {row.subject for row in holds} - {None}
        held |= {row.record for row in rows.values() if row.subject in persons}
        kinship, mistakes = Kinship(rows), []
        for record, last_idx in erase:
            row = rows.get(record)
            if row is None or row.last_idx != last_idx:
                mistakes.append(f"record {record.hex()} went on meanwhile")
            if held & kinship.of(record):
                mistakes.append(f"record {record.hex()} is under a legal hold")
            mistakes += [must_end(record, read_row(one)) for one in unfinished(record, rows, kinship)]
        if mistakes:
            raise ErasureRefused(mistakes)

    def _place(
        self, draft: AdmittedDraft, at: int, index: int, row: StoredRow | None, before: Sequence[_Placed]
    ) -> tuple[Sequenced, StoredRow]:
        """Put a draft in its place, after those `before` it in its submission; `row` is its record's state so far."""
        record = draft.record
        if draft.expect_state is not None and (row is None or STATE_NAMES[row.state] not in draft.expect_state):
            raise TransitionRefused(record, None if row is None else STATE_NAMES[row.state], draft.kind)
        if record in self._erased and draft.kind not in _ENDS:
            raise RecordErased(record)
        # What hangs on a record tells of whom it was; an operation tells of nobody.
        if (parent := draft.facts.get("parent")) in self._erased and FAMILY_OF[draft.kind].name != "operation":
            raise RecordErased(parent)
        if draft.expect_newest is not None and (row is None or row.last_idx != draft.expect_newest):
            raise RecordChanged(record)
        if row is None:
            if draft.opens is None:
                raise TransitionRefused(record, None, draft.kind)
            opened = open_row(record, draft.opens, index, at, draft.facts)
            return Sequenced(index, draft.first_leaf, draft.first_hash), opened
        changed = fold(row, draft.kind, index, at, draft.facts)
        leaf = later_entry(draft.before, self._newest_hash(row, before), draft.between, changed.seq)
        return Sequenced(index, leaf, hash_leaf(leaf)), changed

    def _newest_hash(self, row: StoredRow, before: Sequence[_Placed]) -> bytes:
        """Find the leaf hash of a record's newest entry: of this submission, of this batch, or stored."""
        newest = row.last_idx
        if newest >= self.size:
            return before[newest - self.size][0].leaf_hash
        return self.entries[newest - self.first].leaf_hash if newest >= self.first else self._known.hashes[row.record]

    def _accept(self, admitted: Admitted, placed: list[_Placed], claims: dict[bytes, bytes | None] | None) -> Planned:
        first = self.size
        for sequenced, draft, row in placed:
            index = sequenced.index
            self.entries.append(sequenced)
            self.entry_rows.append((index, draft.record if row.seq else None, sequenced.entry))
            self.rows[draft.record] = row
            if draft.sealed is not None:
                self.key_rows.append((index, draft.sealed[0], draft.sealed[1], None))
                self.document_rows.append((index, draft.sealed[2]))
        self.size += len(placed)
        if claims:
            self.claims.update(claims)
        if admitted.erase:
            self._forget(admitted.erase)
        if admitted.once is not None:
            key, digest = admitted.once
            self.used[key] = (key, digest, first, len(placed))
        return Planned(first, len(placed))

    def _forget(self, erase: Sequence[tuple[bytes, int]]) -> None:
        for record, _ in erase:
            self.erase.append(record)
            self._erased.add(record)
            self.rows[record] = forget(self.rows.get(record) or self._known.rows[record])
