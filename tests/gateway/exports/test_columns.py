"""What an exported row says of a commitment by its state."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from gateway.exports.columns import row_of
from gateway.flows.commitments.read import CommitmentRead
from gateway.flows.look_up import Life
from gateway.letters.fulfilment import Telling
from gateway.rules.masking import MaskRules
from ledger import RecordRow

AT = datetime(2026, 12, 1, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("state", "due"),
    [
        ("IN_FORCE", "2026-12-01T10:00:00+08:00"), ("DISPUTED", "2026-12-01T10:00:00+08:00"),
        ("RECORDED", "2026-12-01T10:00:00+08:00"), ("CONFIRMED", ""), ("BROKEN", ""), ("INCONCLUSIVE", ""),
        ("REPAIRED", ""), ("LAPSED", ""),
    ],
)  # fmt: skip
def test_of_a_commitment_at_its_end_nothing_is_due_whatever_an_older_gateway_left(state: str, due: str) -> None:
    row = RecordRow(
        record=bytes(16), family="commitment", state=state, seq=3, first_idx=0, last_idx=3, opened_at=AT,
        changed_at=AT, matter="m", unit="u", due_at=AT,
    )  # fmt: skip
    read = CommitmentRead(
        life=Life(row=row, history=(), state=state, changed_at=AT), document=None, erased=True, telling=None
    )

    assert row_of(read, MaskRules(), Telling(sensitive=True, people=frozenset()))["due_at"] == due
