"""List answers: page through what was answered, newest first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gateway.flows.once import REQUEST, Recorded
from gateway.flows.selecting import Select, Selection, position_of, require_may_select, token_of
from gateway.flows.verify import ANSWER
from gateway.rules.admission import Operator
from gateway.rules.kept import table
from gateway.rules.roles import Caller
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Answers, the token of the next page (empty on the last), and the proof that a person was looked up."""

    answers: Sequence[Listed]
    token: str
    recorded: Recorded | None = None


class ListAnswers:
    """Pages through answers."""

    def __init__(self, *, ledger: Ledger, select: Select) -> None:
        self._ledger = ledger
        self._select = select

    async def __call__(
        self, selection: Selection, caller: Caller, *, operator: Operator | None, purpose: str, token: str, size: int
    ) -> Page:
        """Return one page; `operator` and `purpose` say who looks a person up, and why.

        Raises:
            NotEntitled: another unit's answers, or a person's, are not for this caller.
            InvalidRequest: the page token is not one that this list gave out.
        """
        require_may_select(selection, caller)
        before = position_of(token, selection)
        recorded = await self._select.record_look(selection, operator, purpose)
        answers, following = await self._ledger.read(lambda: self._page(selection, before, size))
        return Page(answers=answers, token=token_of(following, selection), recorded=recorded)

    def _page(self, selection: Selection, before: int, size: int) -> tuple[list[Listed], int]:
        rows, following = self._select.page(selection, before, size)
        documents = self._ledger.documents({row.first_idx: row.record for row in rows})
        return [_listed(row, documents[row.first_idx]) for row in rows], following


def _listed(row: RecordRow, document: Mapping[str, VaultGroup] | Erased) -> Listed:
    if isinstance(document, Erased):
        return Listed(row=row, question=None, answer=None)
    return Listed(row=row, question=table(document[REQUEST].value), answer=table(document[ANSWER].value))
