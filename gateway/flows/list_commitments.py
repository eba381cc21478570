"""List commitments: page through them, newest first, each with its history."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.flows.once import Recorded
from gateway.flows.read_commitments import CommitmentRead, read_commitments
from gateway.flows.selecting import Select, Selection, position_of, require_may_select, token_of
from gateway.rules.admission import Operator
from gateway.rules.roles import Caller
from ledger import Ledger
from ledger.records.lifecycle import FAMILIES

FAMILY = "commitment"
STATES = frozenset(state for steps in FAMILIES[FAMILY].transitions.values() for state in steps.values())
"""Every state of a commitment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Commitments, the token of the next page (empty on the last), and the proof that a person was looked up."""

    commitments: Sequence[CommitmentRead]
    token: str
    recorded: Recorded | None = None


class ListCommitments:
    """Pages through commitments."""

    def __init__(self, *, ledger: Ledger, select: Select) -> None:
        self._ledger = ledger
        self._select = select

    async def __call__(
        self, selection: Selection, caller: Caller, *, operator: Operator | None, purpose: str, token: str, size: int
    ) -> Page:
        """Return one page; `operator` and `purpose` say who looks a person up, and why.

        Raises:
            NotEntitled: another unit's commitments, or a person's, are not for this caller.
            InvalidRequest: the page token is not one that this list gave out.
        """
        require_may_select(selection, caller)
        before = position_of(token, selection)
        recorded = await self._select.record_look(selection, operator, purpose)

        def read() -> tuple[list[CommitmentRead], int]:
            rows, following = self._select.page(selection, before, size)
            return read_commitments(self._ledger, rows), following

        commitments, following = await self._ledger.read(read)
        return Page(commitments=commitments, token=token_of(following, selection), recorded=recorded)
