"""List answers: page through what was answered, newest first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gateway.flows.look_up import ANSWER
from gateway.flows.once import REQUEST
from gateway.flows.selecting import ListSelected, Select
from gateway.rules.kept import table
from ledger import Erased, Ledger, RecordRow, VaultGroup
from ledger.canonical import Json

FAMILY = "verification"
ANSWERED = frozenset({"ANSWERED"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One answer: its row, and what was kept of question and answer (None once erased)."""

    row: RecordRow
    question: Mapping[str, Json] | None
    answer: Mapping[str, Json] | None


class ListAnswers(ListSelected[Listed]):
    """Pages through answers."""

    def __init__(self, *, ledger: Ledger, select: Select) -> None:
        super().__init__(ledger=ledger, select=select, read=_read)


def _read(ledger: Ledger, rows: Sequence[RecordRow]) -> list[Listed]:
    documents = ledger.documents({row.first_idx: row.record for row in rows})
    return [_listed(row, documents[row.first_idx]) for row in rows]


def _listed(row: RecordRow, document: Mapping[str, VaultGroup] | Erased) -> Listed:
    if isinstance(document, Erased):
        return Listed(row=row, question=None, answer=None)
    return Listed(row=row, question=table(document[REQUEST].value), answer=table(document[ANSWER].value))
