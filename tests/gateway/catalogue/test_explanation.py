"""An explanation says what the rules do, in Chinese, and nothing else."""

from __future__ import annotations

import enum
import re

import pytest

from gateway.catalogue import words
from gateway.catalogue.chinese import GLOSSARY, chinese
from gateway.catalogue.explanation import SITUATIONS, STEPS, explain
from gateway.catalogue.loader import load_catalogue, shipped_catalogue_files
from gateway.rules.fallback import FallbackInput, Situation, StepKind, next_step, settings_for
from tests.gateway.rules.test_fallback_table import SAMPLES

CATALOGUE = load_catalogue(shipped_catalogue_files())
HAN = re.compile(r"[\u4e00-\u9fff]")
PAIRS = [(item, matter.code) for matter in CATALOGUE.matters.values() for item in matter.items]


def test_every_word_of_every_vocabulary_has_its_chinese() -> None:
    vocabularies = [kind for kind in vars(words).values() if isinstance(kind, type) and issubclass(kind, enum.Enum)]
    every = {word for kind in vocabularies for word in kind if kind is not enum.Enum}

    assert every == set(GLOSSARY)
    assert all(HAN.search(chinese(word)) for word in every)


def test_every_situation_and_step_has_its_chinese() -> None:
    assert set(SITUATIONS) == set(Situation)
    assert set(STEPS) == set(StepKind)


@pytest.mark.parametrize(("code", "matter"), PAIRS)
def test_the_first_step_told_is_the_step_the_rules_take(code: str, matter: str) -> None:
    item, asking = CATALOGUE.item(code), CATALOGUE.matter(matter)
    told = explain(CATALOGUE, item, asking)

    for line in told.courses:
        verdict, reasons = SAMPLES[line.situation]
        taken = next_step(FallbackInput(verdict=verdict, reasons=reasons, settings=settings_for(item, asking)))
        assert line.steps[0] is taken.kind


@pytest.mark.parametrize("code", list(CATALOGUE.items))
def test_no_code_of_ours_reaches_the_reader(code: str) -> None:
    text = explain(CATALOGUE, CATALOGUE.item(code)).text()
    body = text.split("\n", 3)[3]

    assert not re.search(r"[A-Z]{3,}|\$|None|[a-z]+-[a-z]+", body), body


def test_a_matter_that_excludes_commitment_says_so_although_the_item_would_allow_it() -> None:
    told = explain(CATALOGUE, CATALOGUE.item("no-criminal-record"), CATALOGUE.matter("230000-EDU-004"))

    assert "本办理事项不适用告知承诺。" in told.rules
    assert all(StepKind.COMMITMENT not in line.steps for line in told.courses)


def test_who_is_asked_is_named_with_the_configured_sources_in_order() -> None:
    told = explain(
        CATALOGUE, CATALOGUE.item("alive"), sources_for=lambda code: ("民政", "公安") if code == "death-record" else ()
    )

    assert "已接入:民政 → 公安" in told.text()
    assert "全部来源均须答复且一致" in told.text()


def test_what_the_applicant_may_be_asked_is_every_parameter_and_nothing_more() -> None:
    item = CATALOGUE.item("kinship")

    assert [one.name for one in explain(CATALOGUE, item).applicant] == list(item.parameters)


def test_of_a_banned_item_only_the_ban_is_told() -> None:
    told = explain(CATALOGUE, CATALOGUE.item("school-transfer"))

    assert told.not_verified.startswith("任何单位不得索要")
    assert (told.asks, told.courses, told.applicant) == ((), (), ())


def test_an_item_the_matter_may_not_ask_is_not_explained_for_it() -> None:
    with pytest.raises(KeyError):
        explain(CATALOGUE, CATALOGUE.item("kinship"), CATALOGUE.matter("230000-MSA-001"))
