"""The lists that are shipped: the annex's twenty items, and what domain knowledge says of them."""

from __future__ import annotations

import pytest

from gateway.catalogue.expression import FactExpr, facts_of
from gateway.catalogue.loader import load_catalogue, shipped_catalogue_files
from gateway.catalogue.words import (
    Absence,
    CommitmentAllowance,
    ItemState,
    Rung,
    Sensitivity,
    SourcePolicyKind,
    ValueKind,
)

CATALOGUE = load_catalogue(shipped_catalogue_files())
NATION = load_catalogue(shipped_catalogue_files()[:1])
ANNEX = [
    "亲属关系证明", "居民身份信息证明", "户口登记项目内容变更申请证明", "居民养犬证明",
    "无犯罪记录证明", "社区戒毒社区康复人员情况证明", "人员失踪证明", "婚姻状况证明",
    "出生证明", "健在证明", "死亡证明", "疾病状况证明",
    "残疾状况证明", "婚育状况证明", "居民就业状况证明", "居民个人档案证明",
    "居民财产证明", "遗产继承权证明", "市场主体住所证明", "证件遗失证明",
]  # fmt: skip
"""民发〔2020〕20号, annex, in its order."""


def facts(item: str) -> list[FactExpr]:
    expression = CATALOGUE.item(item).expression
    assert expression is not None
    return list(facts_of(expression))


def test_the_national_list_is_the_annex_in_its_order() -> None:
    assert [item.title for item in NATION.items.values()] == ANNEX
    assert [item.number for item in NATION.items.values()] == list(range(1, 21))


def test_every_item_of_the_annex_is_verified_and_none_is_issued() -> None:
    for item in NATION.items.values():
        assert item.state is ItemState.NOT_ISSUED_BY_COMMITTEE
        assert item.expression is not None


def test_the_province_adopts_all_and_the_city_exceeds_it() -> None:
    assert [one.code for one in CATALOGUE.lists] == ["000000", "230000", "230100"]
    assert set(NATION.items) < set(CATALOGUE.items)
    assert {item.state for item in CATALOGUE.items.values()} == set(ItemState)


def test_kinship_has_every_path_and_the_second_person() -> None:
    assert {fact.fact for fact in facts("kinship")} == {
        "household-relation",
        "former-household-relation",
        "marriage-registration",
        "birth-record",
        "adoption-registration",
        "notarial-kinship",
    }
    assert CATALOGUE.item("kinship").parameters["relative"].type.kind is ValueKind.PERSON


@pytest.mark.parametrize("item", ["kinship", "missing-person", "birth", "death", "inheritance-right"])
def test_an_item_about_somebody_else_names_that_person(item: str) -> None:
    found = CATALOGUE.item(item).parameters.values()

    assert any(parameter.type.kind is ValueKind.PERSON and parameter.required for parameter in found)


def test_no_marriage_record_counts_only_where_the_source_is_complete_since_the_age_of_marriage() -> None:
    assert CATALOGUE.fact_types["marriage-registration"].absence is Absence.CONCLUSIVE
    assert 20 in {fact.from_age for fact in facts("marital-status")}


def test_all_sources_of_deaths_must_agree() -> None:
    assert CATALOGUE.fact_types["death-record"].sources.kind is SourcePolicyKind.ALL_AGREE


@pytest.mark.parametrize(
    "item",
    ["identity", "register-change", "drug-rehabilitation", "missing-person", "birth", "death", "illness", "disability",
     "inheritance-right"],
)  # fmt: skip
def test_where_a_record_must_exist_no_commitment_can_stand_in(item: str) -> None:
    assert CATALOGUE.item(item).commitment.allowed is CommitmentAllowance.NEVER
    assert Rung.COMMITMENT not in CATALOGUE.item(item).ladder


def test_a_commitment_about_property_is_always_audited() -> None:
    assert set(CATALOGUE.item("property").audit.sampling.values()) == {100}


def test_a_teacher_may_not_commit_to_having_no_criminal_record() -> None:
    assert CATALOGUE.matter("230000-EDU-004").items["no-criminal-record"].excluded_from_commitment


def test_sensitive_items_disclose_their_verdict_only() -> None:
    for item in NATION.items.values():
        if item.sensitivity is Sensitivity.SENSITIVE:
            assert item.disclosure.value == "AGGREGATE"


def test_nobody_is_published_without_a_legal_basis() -> None:
    assert CATALOGUE.region.publication_basis == ""
