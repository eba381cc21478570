"""Planning: the rules of the ledger applied to one batch in memory, before anything of it is written.

A submission that is refused leaves no trace in the plan; one that is accepted is seen by those after it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from ledger.appends.admission import Admitted, AdmittedDraft
from ledger.appends.values import Replay, Sequenced, Submission
from ledger.errors import AlreadyClaimed, IdempotencyConflict, TransitionRefused
from ledger.merkle import hash_leaf
from ledger.records.codec import Entry, encode_entry
from ledger.records.projections import RecordRow, fold, forget


@dataclass(slots=True, kw_only=True)
class Known:
    """What the store says about everything a batch touches."""

    size: int
    rows: dict[bytes, RecordRow] = field(default_factory=dict)
    claims: dict[bytes, bytes] = field(default_factory=dict)
    replays: dict[bytes, Replay] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedEntry:
    """An entry in its place, with the document to seal beside it."""

    sequenced: Sequenced
    entry: Entry
    document: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """One accepted submission."""

    submission: Submission
    entries: tuple[PlannedEntry, ...]


class Plan:
    """One batch: what was known, and what the accepted submissions change."""

    def __init__(self, known: Known) -> None:
        self.size = known.size
        self._known = known
        self.rows: dict[bytes, RecordRow] = {}
        """Changed rows of the projection."""
        self.claims: dict[bytes, bytes | None] = {}
        """Changed claims; None is released."""
        self.replays: dict[bytes, Replay] = {}
        """Idempotency keys used in this batch; their size is set when the batch is complete."""
        self.accepted: list[Planned] = []

    def add(self, admitted: Admitted) -> Planned | Replay:
        """Accept a submission, or find that it was accepted before.

        Raises:
            IdempotencyConflict: its key was used for another body.
            TransitionRefused: a record's state does not allow one of its drafts.
            AlreadyClaimed: it claims what another record holds.
        """
        submission = admitted.submission
        replay = self._replay(submission)
        if replay is not None:
            return replay
        claims = self._claim(submission)
        rows: dict[bytes, RecordRow] = {}
        entries = [self._place(draft, submission, rows, number) for number, draft in enumerate(admitted.drafts)]
        planned = Planned(submission=submission, entries=tuple(entries))
        self._accept(planned, rows, claims)
        return planned

    def _replay(self, submission: Submission) -> Replay | None:
        once = submission.idempotency
        if once is None:
            return None
        replay = self.replays.get(once.key) or self._known.replays.get(once.key)
        if replay is not None and replay.body_digest != once.body_digest:
            raise IdempotencyConflict(replay.first_idx)
        return replay

    def _claim(self, submission: Submission) -> dict[bytes, bytes | None]:
        claims: dict[bytes, bytes | None] = dict.fromkeys(submission.release_keys)
        for key, record in submission.claim_keys:
            holder = {**self._holders(key), **claims}.get(key)
            if holder is not None and holder != record:
                raise AlreadyClaimed(holder)
            claims[key] = record
        return claims

    def _holders(self, key: bytes) -> dict[bytes, bytes | None]:
        return {key: self.claims[key] if key in self.claims else self._known.claims.get(key)}

    def _place(
        self, admitted: AdmittedDraft, submission: Submission, rows: dict[bytes, RecordRow], number: int
    ) -> PlannedEntry:
        draft = admitted.draft
        row = rows.get(draft.record) or self.rows.get(draft.record) or self._known.rows.get(draft.record)
        if draft.expect_state is not None and (row is None or row.state not in draft.expect_state):
            raise TransitionRefused(draft.record, None if row is None else row.state, draft.kind)
        entry = Entry(
            kind=draft.kind,
            record=draft.record,
            seq=0 if row is None else row.seq + 1,
            prev=None if row is None else row.last_leaf_hash,
            at=submission.at,
            policy=draft.policy,
            commits=admitted.commits,
        )
        leaf = encode_entry(entry)
        leaf_hash, index = hash_leaf(leaf), self.size + number
        rows[draft.record] = fold(row, entry, index, leaf_hash, admitted.facts)
        return PlannedEntry(
            sequenced=Sequenced(index=index, entry=leaf, leaf_hash=leaf_hash),
            entry=entry,
            document=admitted.document,
        )

    def _accept(self, planned: Planned, rows: dict[bytes, RecordRow], claims: dict[bytes, bytes | None]) -> None:
        first, submission = self.size, planned.submission
        self.rows.update(rows)
        self.claims.update(claims)
        self.size += len(planned.entries)
        self._forget(submission.erase)
        once = submission.idempotency
        if once is not None:
            self.replays[once.key] = Replay(
                body_digest=once.body_digest, first_idx=first, count=len(planned.entries), size=0
            )
        self.accepted.append(planned)

    def _forget(self, records: Iterable[bytes]) -> None:
        for record in records:
            row = self.rows.get(record) or self._known.rows.get(record)
            if row is not None:
                self.rows[record] = forget(row)

    def complete(self) -> dict[bytes, Replay]:
        """Return this batch's idempotency keys with the size of the checkpoint that covers them."""
        self.replays = {key: replace(replay, size=self.size) for key, replay in self.replays.items()}
        return self.replays
