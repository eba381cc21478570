"""Look up what is recorded, for a caller who may see it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.catalogue.words import Disclosure
from gateway.errors import DocumentErased, RecordNotFound
from gateway.flows.await_receipts import when_published
from gateway.flows.once import REQUEST, Recorded
from gateway.rules.kept import rows, table, text
from gateway.rules.roles import Caller, Role
from gateway.rules.same_claim import is_same_claim
from ledger import EntryMissing, Erased, HistoryLine, Ledger, Opening, RecordRow, VaultGroup
from ledger.canonical import Json
from ledger.records.earlier import row_after
from ledger.records.lifecycle import state_after

ANSWER = "answer"
"""The group of a verification's document that holds the answer, from which every response is built."""
EVIDENCE = "evidence"
"""The group of its own for what each source said, where the matter discloses the verdict only: so that the answer can
be opened, and proved, without it."""
_Place = tuple[int, bytes]
"""An entry by its index, and the record it belongs to."""
_Kept = Mapping[str, Json]
"""What is kept behind an entry, by group."""
_PEOPLE = ("clerk", "officer", "operator")
"""The groups of an entry's document that say who acted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """A record as it stood after one of its entries: its row and its history until then, and the state it was in."""

    row: RecordRow
    history: tuple[HistoryLine, ...]
    state: str
    changed_at: datetime


class LookUp:
    """Reads records and their documents; what several callers ask in one turn of the loop is read together."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._rows = ledger.lookups(ledger.register().many)
        self._documents = ledger.lookups(self._read_documents)
        self._histories = ledger.lookups(self._read_histories)

    def _read_documents(self, places: Sequence[_Place]) -> dict[_Place, dict[str, VaultGroup] | Erased]:
        found = self._ledger.documents(dict(places))
        return {place: found[place[0]] for place in places if place[0] in found}

    def _read_histories(self, rows: Sequence[RecordRow]) -> dict[RecordRow, tuple[HistoryLine, ...]]:
        found = self._ledger.register().histories(rows)
        return {row: found[row.record] for row in rows}

    async def own(self, family: str, record: bytes, caller: Caller) -> RecordRow:
        """Return a record of the caller's own unit.

        Raises:
            RecordNotFound: there is none, or it is another unit's; the two are not told apart.
            DocumentErased: its documents are erased, and with them whose it was.
        """
        row = await self.any(family, record)
        if row.unit != caller.unit:
            if await self._is_erased(row):
                raise DocumentErased
            raise RecordNotFound(family)
        return row

    async def standing(self, family: str, record: bytes, caller: Caller) -> RecordRow:
        """Return a record that the caller may see, or one whose documents are erased.

        Of an erased one only state, history and proofs are left, which the published log tells everybody.

        Raises:
            RecordNotFound: there is none, or it is not the caller's to see; the two are not told apart.
        """
        try:
            return await self.visible(family, record, caller)
        except DocumentErased:
            return await self.any(family, record)

    async def _is_erased(self, row: RecordRow) -> bool:
        return row.unit is None and isinstance(await self.kept(row.record, row.first_idx), Erased)

    async def find(self, record: bytes) -> RecordRow | None:
        """Return a record of any family and unit, or None; for what is recorded, not for what is told."""
        return await self._rows.one(record)

    async def children(self, record: bytes, family: str) -> list[RecordRow]:
        """Return the records of a family that name another as their parent, oldest first."""
        return await self._ledger.look(lambda: self._ledger.register().by_parent(record, family))

    async def visible(self, family: str, record: bytes, caller: Caller) -> RecordRow:
        """Return a record that the caller may see: of its own unit, or of any for an auditor.

        Raises:
            RecordNotFound: there is none, or it is not the caller's to see; the two are not told apart.
        """
        if Role.AUDITOR in caller.roles:
            return await self.any(family, record)
        return await self.own(family, record, caller)

    async def any(self, family: str, record: bytes) -> RecordRow:
        """Return a record of any unit, for callers whose role sees all.

        Raises:
            RecordNotFound: there is none of this family.
        """
        row = await self.find(record)
        if row is None or row.family != family:
            raise RecordNotFound(family)
        return row

    async def life(self, row: RecordRow, *, until: int | None = None) -> Life:
        """Return the life of a record up to an index (all of it when None).

        A repeated request is answered as it was first: with the state of then, not of now.
        """
        if until is not None:
            row = await self.row_after(row, until)
        return life_of(row, await self.history(row), until=until)

    async def row_after(self, row: RecordRow, until: int) -> RecordRow:
        """Return the row of a record as it was after an index: with the facts that its entries had set by then.

        Raises:
            RecordNotFound: it began later.
            DocumentErased: its documents were erased, and what they said with them.
        """
        if row.last_idx <= until:
            return row
        steps = []
        for line in await self.history(row):
            if line.idx <= until:
                kept = await self.kept(row.record, line.idx)
                if isinstance(kept, Erased):
                    raise DocumentErased
                steps.append((line, kept))
        if not steps:
            raise RecordNotFound(row.family)
        return row_after(row.record, steps)

    async def history(self, row: RecordRow) -> Sequence[HistoryLine]:
        """Return every entry of a record, oldest first."""
        return await self._histories.one(row) or ()

    async def kept(self, record: bytes, index: int) -> Mapping[str, VaultGroup] | Erased | None:
        """Return what is kept behind an entry of a record, that it is erased, or None if nothing ever was."""
        return await self._documents.one((index, record))

    async def groups(self, record: bytes, index: int) -> Mapping[str, VaultGroup]:
        """Return what is kept behind an entry of a record, by group, with what opens its commitments.

        Raises:
            DocumentErased: it was erased by order or at the end of its retention.
            ledger.EntryMissing: the entry never had a document.
        """
        document = await self.kept(record, index)
        if document is None:
            raise EntryMissing(f"entry {index} has no document")
        if isinstance(document, Erased):
            raise DocumentErased
        return document

    async def document(self, record: bytes, index: int) -> Mapping[str, Json]:
        """Return what is kept behind an entry of a record, by group; raises as `groups` does."""
        return {group: kept.value for group, kept in (await self.groups(record, index)).items()}

    async def first_document(self, recorded: Recorded) -> Mapping[str, Json]:
        """Return what is kept behind the first entry that a request made.

        Raises:
            DocumentErased: it was erased.
        """
        return await self.document(recorded.record, recorded.first)

    async def document_of(self, row: RecordRow, kind: str) -> Mapping[str, Json]:
        """Return the document of the newest entry of a kind in a record's life.

        Raises:
            RecordNotFound: the record has no such entry.
            DocumentErased: it was erased.
        """
        for line in reversed(await self.history(row)):
            if line.kind == kind:
                return await self.document(row.record, line.idx)
        raise RecordNotFound(kind)

    async def people(self, row: RecordRow, *, besides: Collection[str] = ()) -> list[str]:
        """Return the staff numbers of who acted in a record's life, but for entries of some kinds, oldest first.

        Raises:
            DocumentErased: a document of its life was erased; who acted cannot be told any more.
        """
        found = []
        for line in await self.history(row):
            if line.kind in besides or await self.kept(row.record, line.idx) is None:
                continue  # what has no document followed from another record, or from the clock
            kept = await self.document(row.record, line.idx)
            found += [text(table(kept[group])["person"]) for group in _PEOPLE if group in kept]
        return found

    async def newest_answer(
        self,
        rows: Sequence[RecordRow],
        claim: Mapping[str, Json],
        *,
        counts: Callable[[_Kept], bool] = lambda kept: True,
    ) -> tuple[RecordRow, _Kept] | None:
        """Return the newest of some answers, given oldest first, to the claim of a kept question, and its document.

        Answers whose documents are erased are passed over, and those that do not count; None if no other is of the
        claim.
        """
        for row in reversed(rows):
            try:
                kept = await self.document(row.record, row.first_idx)
            except DocumentErased:
                continue
            if counts(kept) and is_same_claim(table(kept[REQUEST]), claim):
                return row, kept
        return None

    async def receipt(self, index: int) -> tuple[bytes, int]:
        """Return the receipt of an entry against the newest checkpoint there is for it, and that checkpoint's size.

        Raises:
            NotYetPublished: there is none in the time that the call has.
        """
        (receipt,) = await self.receipts([index])
        return receipt, receipt_size(receipt)

    async def receipts(self, indices: Sequence[int]) -> list[bytes]:
        """Return the receipts of a few entries, all against one checkpoint; raises as `receipt` does."""
        ledger = self._ledger
        return await when_published(ledger, lambda: ledger.look(lambda: ledger.receipts(indices)))


def answers_like(rows: Iterable[RecordRow], one: RecordRow) -> list[RecordRow]:
    """Pick from the records of a case the answers about the item and person that a record is about, in their order.

    What was asked again about a commitment has it as its parent: that belongs to its audit and not to the case.
    """
    return [
        row
        for row in rows
        if row.family == "verification"
        and row.state == "ANSWERED"
        and row.parent is None
        and (row.item, row.subject) == (one.item, one.subject)
    ]


def next_step_in(kept: _Kept) -> str:
    """Name the next step of a kept answer."""
    return text(table(table(kept[ANSWER])["next_step"])["kind"])


def reasons_in(kept: _Kept) -> list[str]:
    """Give all reasons of a kept answer: where only the verdict is told, the answer has what they amount to."""
    return [text(reason) for reason in rows(table(kept.get(EVIDENCE, kept[ANSWER]))["reasons"])]


def opened_answer(kept: VaultGroup) -> dict[str, Opening]:
    """Open an answer for whoever may read it; nothing where it holds what the matter does not disclose."""
    answer = table(kept.value)
    withheld = answer["disclosure"] != Disclosure.PER_FACT.value and answer["facts"]
    return {} if withheld else {ANSWER: kept.opening}


def life_of(row: RecordRow, history: Sequence[HistoryLine], *, until: int | None = None) -> Life:
    """Fold the life of a record up to an index (all of it when None).

    Raises:
        RecordNotFound: it began later.
    """
    lived = tuple(line for line in history if until is None or line.idx <= until)
    state: str | None = None
    for line in lived:
        state = state_after(row.record, state, line.kind)
    if state is None:
        raise RecordNotFound(row.family)
    return Life(row=row, history=lived, state=state, changed_at=lived[-1].at)


def receipt_size(receipt: bytes) -> int:
    """Read the tree size of the checkpoint of a receipt of our own."""
    return checkpoint_size(receipt.partition(b"\n\n")[2])


def checkpoint_size(note: bytes) -> int:
    """Read the tree size of a checkpoint of our own (C2SP tlog-checkpoint: the second line)."""
    return int(note.split(b"\n", 2)[1])
