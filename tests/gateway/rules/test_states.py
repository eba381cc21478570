"""Every state has words, and they are Chinese."""

from __future__ import annotations

import re

import pytest

from gateway.errors import TransitionNotAllowed
from gateway.rules.states import UNTOLD, state_words
from ledger.records.lifecycle import STATE_NUMBERS


@pytest.mark.parametrize("state", [*STATE_NUMBERS, "ABSENT"])
def test_a_refusal_names_every_state_in_chinese(state: str) -> None:
    assert state_words(state) != UNTOLD
    assert state_words(state) in TransitionNotAllowed("CommitmentWithdrawn", state).chinese
    assert not re.search("[A-Za-z]", TransitionNotAllowed("CommitmentWithdrawn", state).chinese)
