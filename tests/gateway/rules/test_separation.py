"""Two people are two people: no second spelling of an account makes a second officer."""

from __future__ import annotations

import pytest

from gateway.rules.separation import SecondOfficerRequired, verify_second_officer

SPELLINGS = ["zhang-07", " ZHANG-07", "ｚｈａｎｇ-07", "zhang\u201007", "zhang\u200b-07", "zhang\u2014\u201407"]


@pytest.mark.parametrize("earlier", SPELLINGS, ids=ascii)
@pytest.mark.parametrize("officer", SPELLINGS, ids=ascii)
def test_who_acted_before_is_refused_in_every_spelling(officer: str, earlier: str) -> None:
    with pytest.raises(SecondOfficerRequired, match="enrolling needs an officer") as refused:
        verify_second_officer("enrolling", officer, ["li-01", earlier])
    assert refused.value.chinese


@pytest.mark.parametrize("unnamed", ["", " ", "\u3000", "\u200b", "\u3164"], ids=ascii)
def test_an_officer_without_a_name_is_nobody(unnamed: str) -> None:
    with pytest.raises(SecondOfficerRequired):
        verify_second_officer("enrolling", unnamed, [])


def test_another_officer_may_act() -> None:
    verify_second_officer("enrolling", "zhang-08", ["zhang-07", "li-01"])
    verify_second_officer("enrolling", "zhang-07", [])
