"""Read commitments as they stand: their rows, their lives and their documents, a page in a few questions."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gateway.flows.commitments.documents import PREPARED
from gateway.flows.look_up import Life, LookUp, life_of
from gateway.letters.document import DOCUMENT
from gateway.letters.fulfilment import TELLING
from gateway.rules.kept import table
from ledger import Erased, HistoryLine, Ledger, RecordRow, VaultGroup
from ledger.canonical import Json, canonical


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitmentRead:
    """A commitment: its life, and its document; None where none was handed out, or where it is erased."""

    life: Life
    document: Mapping[str, Json] | None = field(repr=False)
    erased: bool
    telling: Mapping[str, Json] | None = None
    """What is kept with the document to say what may be told of it (`gateway.letters.fulfilment`)."""

    @property
    def digest(self) -> bytes:
        """SHA-256 of the document, or nothing."""
        return b"" if self.document is None else hashlib.sha256(canonical(dict(self.document))).digest()


def read_commitments(ledger: Ledger, rows: Sequence[RecordRow]) -> list[CommitmentRead]:
    """Read commitments, in the order of their rows, as they stand now.

    Blocks; to be called by `ledger.read`.
    """
    if not rows:
        return []
    histories = ledger.register().histories(rows)
    documented = {row.record: _documented(histories[row.record]) for row in rows}
    documents = ledger.documents({idx: record for record, idx in documented.items()})
    return [_read(row, histories[row.record], documents.get(documented[row.record])) for row in rows]


async def read_commitment(look_up: LookUp, row: RecordRow, *, until: int | None = None) -> CommitmentRead:
    """Read one commitment, together with those that others read at the same moment: as it stood after an index.

    Without one it is read as `read_commitments` does. A document that was handed out later is none of then.
    """
    if until is not None:
        row = await look_up.row_after(row, until)
    history = [line for line in await look_up.history(row) if until is None or line.idx <= until]
    kept = await look_up.kept(row.record, _documented(history))
    return _read(row, history, kept)


def _documented(history: Sequence[HistoryLine]) -> int:
    """Say which entry's document speaks for a commitment: the newest that handed one out, else the first."""
    handed_out = [line.idx for line in history if line.kind == PREPARED]
    return handed_out[-1] if handed_out else history[0].idx


def _read(
    row: RecordRow,
    history: Sequence[HistoryLine],
    kept: Mapping[str, VaultGroup] | Erased | None,
) -> CommitmentRead:
    erased = isinstance(kept, Erased)
    groups = {} if kept is None or isinstance(kept, Erased) else kept
    document, telling = (table(groups[name].value) if name in groups else None for name in (DOCUMENT, TELLING))
    return CommitmentRead(life=life_of(row, history), document=document, erased=erased, telling=telling)
