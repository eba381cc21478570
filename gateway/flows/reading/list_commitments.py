"""List commitments: page through them, newest first, each with its history."""

from __future__ import annotations

from gateway.flows.commitments.read import CommitmentRead, read_commitments
from gateway.flows.selecting import ListSelected, Select
from ledger import Ledger
from ledger.records.lifecycle import FAMILIES

FAMILY = "commitment"
STATES = frozenset(state for steps in FAMILIES[FAMILY].transitions.values() for state in steps.values())
"""Every state of a commitment."""


class ListCommitments(ListSelected[CommitmentRead]):
    """Pages through commitments."""

    def __init__(self, *, ledger: Ledger, select: Select) -> None:
        super().__init__(ledger=ledger, select=select, read=read_commitments)
