"""A later question tells of a first one only if it asserts the same, or that with what the applicant was asked for."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.rules.fallback import StepKind
from gateway.rules.same_claim import asks_again, is_same_claim

FIRST: dict[str, Any] = {
    "item": "i",
    "context": {"case_id": "c"},
    "subject": {"id_type": "resident-id", "id_number": "1", "name": "甲"},
    "parameters": {"a": {"text": "x"}},
}
OTHERS = [
    {"item": "j"},
    {"subject": FIRST["subject"] | {"id_number": "2"}},
    {"subject": FIRST["subject"] | {"name": "乙"}},
    {"parameters": {}},
    {"parameters": {"a": {"text": "y"}}},
    {"parameters": {"a": {"text": "y"}, "b": {"text": "z"}}},
    {"parameters": {"b": {"text": "x"}}},
    {"parameters": {"a": {"integer": 1}}},
]


def test_the_same_claim_is_known_again_whoever_asks_it() -> None:
    later = FIRST | {"context": {"case_id": "c", "operator": {"person": "another"}}}

    assert is_same_claim(FIRST, later)
    for step in StepKind:
        assert asks_again(FIRST, step.value, later)


@pytest.mark.parametrize(
    "typed",
    [
        "示例路9号A－1（东）",
        "示例路 9号a-1(东)",
        "示例路９号 A—1 【东】",
        "示例路\u200a9号\u3164A-1〔东〕",
        "示例路9号A--1[东]",
    ],
)
def test_another_way_of_typing_is_no_other_claim(typed: str) -> None:
    first = FIRST | {"parameters": {"address": {"text": "示例路9号A-1(东)"}}}

    assert is_same_claim(first, FIRST | {"parameters": {"address": {"text": typed}}})
    assert not is_same_claim(first, FIRST | {"parameters": {"address": {"text": typed.replace("1", "2")}}})


@pytest.mark.parametrize("changed", OTHERS)
def test_another_claim_asks_nothing_again_whatever_was_awaited(changed: dict[str, Any]) -> None:
    assert not is_same_claim(FIRST, FIRST | changed)
    for step in StepKind:
        assert not asks_again(FIRST, step.value, FIRST | changed)


def test_one_thing_more_asks_again_only_where_the_applicant_was_to_be_asked_for_it() -> None:
    more = FIRST | {"parameters": {"a": {"text": "x"}, "b": {"text": "y"}}}

    assert [step for step in StepKind if asks_again(FIRST, step.value, more)] == [StepKind.ASK_APPLICANT]
    assert not is_same_claim(FIRST, more)
