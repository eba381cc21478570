"""What became of a commitment, and what it rests on: receipts of entries, and disclosures of what the unit was told.

    story.json   canonical JSON: {"commitment": LIFE, "rests_on": [LIFE, …]}, each LIFE {"facts": …, "receipts": […]};
                 those of `rests_on` have "complete" too (in older packs not)
    complete.json                   that the entries of the commitment's record are all, as far as the index reached
    answer.disclosure.json          what the unit was told before the commitment was handed out
    eligibility.disclosure.json     what was known of whoever signs when it was handed out

`receipts` are of every entry of one record, oldest first. `facts` is the disclosure of the keyed case, person and item
that a record is of (for the commitment, of the entry that handed it out), null where the document is erased: no entry
says in clear what it is about, so nothing else ties a request to its case. `complete` is to each other record what
complete.json is to the commitment, null where the index did not reach its first entry: all proofs are of one index, and
one that is missing though that index has its record was taken out. That all were taken out at once nothing in a pack
can show, nor that no record was left out of `rests_on`, for the index is by record, not by case. What others wrote, and
what a matter that tells nothing but its verdict keeps back, is not disclosed: of those there are receipts only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from gateway.evidence_pack.check import OF_STORY, RESTED_ON
from gateway.rules.kept import rows, table
from ledger import Erased, HistoryLine, RecordRow, VaultGroup, disclose
from ledger.canonical import Json, canonical, parse_canonical
from ledger.completeness.proof import format_completeness, parse_completeness
from ledger.receipt import parse_receipt
from ledger.records.projections import FACTS_GROUP

STORY, COMPLETE, TOLD, ELIGIBLE = OF_STORY
ANSWER = "answer"
"""The group of VerificationAnswered that holds what the unit was told."""
ELIGIBILITY = "eligibility"
"""The group of CommitmentPrepared that holds what was known of whoever signs."""


class StoryReader(Protocol):
    """Where the life of records is read from."""

    def complete(self, records: Sequence[bytes]) -> Sequence[bytes] | None:
        """Return the proof of all entries of each record, all of one index; None while none is committed."""

    def published(self) -> int:
        """Return how many entries the newest published checkpoint covers."""

    def history(self, record: bytes) -> Sequence[HistoryLine]:
        """Return the life of a record, oldest first."""

    def rests_on(self, record: bytes) -> Sequence[RecordRow]:
        """Return what a record rests on, oldest first."""

    def document(self, index: int) -> Mapping[str, VaultGroup] | Erased:
        """Return the document behind an entry, with the salts that open its commitments."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """The entries of one record by their indices, and what its facts are disclosed from."""

    entries: tuple[int, ...]
    about: int
    """The entry whose document has the facts."""
    facts: Mapping[str, VaultGroup] | None
    """That document; None if it is erased."""
    complete: bytes | None
    """The proof of all its entries as far as the index reached; None if that is not to its first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """The lives of a commitment and of what it rests on, with no receipts yet."""

    commitment: Life
    rests_on: tuple[Life, ...]
    answer: Life | None
    """Of the verification that the commitment stands in for; None if nothing of it is told here."""
    committed: int | None
    """The entry that committed to the index that the proofs are of; None if there is none."""

    def indices(self) -> list[int]:
        """List the entries whose receipts the files need."""
        lives = (self.commitment, *self.rests_on)
        committed = [] if self.committed is None else [self.committed]
        return [*committed, *(index for life in lives for index in life.entries)]

    def files(self, receipts: Mapping[int, bytes]) -> dict[str, bytes]:
        """Write the files, all against the checkpoint of these receipts, by index."""
        commitment = self.commitment
        story: dict[str, Json] = {
            "commitment": _told(commitment, receipts),
            "rests_on": [_told(life, receipts) | {"complete": _proved(life, receipts)} for life in self.rests_on],
        }
        files = {STORY: canonical(story)}
        complete = _proved(commitment, receipts)
        if complete is not None:
            files[COMPLETE] = canonical(complete)
        if self.answer is not None and self.answer.facts is not None:
            files[TOLD] = disclose(receipts[self.answer.about], self.answer.facts, ANSWER)
        if commitment.facts is not None:
            files[ELIGIBLE] = disclose(receipts[commitment.about], commitment.facts, ELIGIBILITY)
        return files


def read_story(reader: StoryReader, record: bytes, prepared: int, verification: bytes, size: int) -> Story:
    """Read the lives of a commitment that was handed out by the entry `prepared` for a verification.

    They are read as of a published checkpoint of `size`: what came later is left out. The index that is committed may
    be newer (`Story.committed`): then no receipt against that checkpoint proves it, and all is to be read again.
    """
    rows = [row for row in reader.rests_on(record) if row.family in RESTED_ON and row.first_idx < size]
    records = [record, *(row.record for row in rows)]
    # All proofs at once: of a newer index, one record's could show that another's was left out.
    proofs = dict(zip(records, reader.complete(records) or (), strict=False))
    lives = {row.record: _life(reader, row.record, row.first_idx, size, proofs.get(row.record)) for row in rows}
    return Story(
        commitment=_life(reader, record, prepared, size, proofs.get(record)),
        rests_on=tuple(lives.values()),
        answer=lives.get(verification),
        committed=_committed(proofs[record]) if proofs else None,
    )


def _life(reader: StoryReader, record: bytes, about: int, size: int, complete: bytes | None) -> Life:
    document = reader.document(about)
    return Life(
        entries=tuple(line.idx for line in reader.history(record) if line.idx < size),
        about=about,
        facts=None if isinstance(document, Erased) else document,
        complete=complete if complete is not None and parse_completeness(complete).entries else None,
    )


def _told(life: Life, receipts: Mapping[int, bytes]) -> dict[str, Json]:
    facts = None if life.facts is None else parse_canonical(disclose(receipts[life.about], life.facts, FACTS_GROUP))
    return {"facts": facts, "receipts": [receipts[index].decode() for index in life.entries]}


def _proved(life: Life, receipts: Mapping[int, bytes]) -> Json:
    if life.complete is None:
        return None
    receipt = receipts[_committed(life.complete)]
    return parse_canonical(format_completeness(replace(parse_completeness(life.complete), receipt=receipt)))


def _committed(complete: bytes) -> int:
    return parse_receipt(parse_completeness(complete).receipt).index


def erased_in(story: bytes) -> int:
    """Count the records of story.json whose documents are erased."""
    told = table(parse_canonical(story))
    return sum(table(life)["facts"] is None for life in [told["commitment"], *rows(told["rests_on"])])
