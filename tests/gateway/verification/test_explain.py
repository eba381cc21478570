"""ExplainPlan: who would be asked, in which order and why; nobody is asked, nothing is recorded."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.catalogue.expression import AllExpr, AnyExpr, Expr, FactExpr, NotExpr, facts_of
from gateway.catalogue.loader import load_catalogue, shipped_catalogue_files
from gateway.catalogue.words import ItemState
from gateway.client import InvalidQuestion
from gateway.flows.verification.explain import explain_plan
from gateway.rules.roles import Role

from .test_batch import CLERK
from .test_guess import size
from .village import PERSONAL, PREMISES, Village, service, serving, settle, slow_source


@pytest.fixture
async def village(tmp_path: Path) -> AsyncIterator[Village]:
    async with service() as housing:
        sources = slow_source(housing.port, name="housing-1") + slow_source(housing.port, name="housing-2")
        async with serving(settle(tmp_path, sources=sources)) as here:
            yield here
        assert housing.asked == 0, "explaining asks nobody"


async def test_a_plan_names_facts_sources_order_and_reasons(village: Village) -> None:
    before = await size(village)

    plan = await village.client().explain(PREMISES, "business-premises", {"address": "某处"})

    assert [(fact.step, fact.fact_type, fact.sources) for fact in plan.facts] == [
        (1, "home-ownership", ("housing-1", "housing-2")),
        (1, "lease-filing", ()),
    ]
    assert "任一项" in plan.facts[0].why
    assert "按顺序" in plan.facts[0].why
    assert "未覆盖" in plan.facts[1].why
    assert "询问示例自然资源局。" in plan.text
    assert "housing" not in plan.text
    assert plan.not_entitled == ()
    assert plan.catalogue_version
    assert await size(village) == before


async def test_a_choice_that_is_known_leaves_the_others_out(village: Village) -> None:
    open_plan = await village.client().explain(PERSONAL, "marital-status")
    known = await village.client().explain(PERSONAL, "marital-status", {"status": "MARRIED"})

    for label in ("未婚", "已婚"):
        assert f"申请人选择“{label}”" in open_plan.facts[0].why
    assert [fact.fact_type for fact in known.facts] == ["marriage-registration"]
    assert "申请人选择" not in known.facts[0].why


async def test_what_the_caller_may_not_ask_is_named_with_its_rule(village: Village) -> None:
    foreign = await village.client("civil-clerk").explain(PREMISES, "business-premises")
    elsewhere = await village.client().explain(PREMISES, "marital-status")
    role = await village.client("credit").explain(PERSONAL, "marital-status")

    assert len(foreign.not_entitled) == len(elsewhere.not_entitled) == 1
    assert "本单位不办理该事项" in foreign.not_entitled[0]
    assert "没有此证明事项" in elsewhere.not_entitled[0]
    assert any("角色" in rule for rule in role.not_entitled)


async def test_every_unknown_code_is_named_at_once(village: Village) -> None:
    with pytest.raises(InvalidQuestion) as caught:
        await village.client().explain("nothing", "nowhere")

    assert [mistake.field for mistake in caught.value.mistakes] == ["item", "matter"]


CATALOGUE = load_catalogue(shipped_catalogue_files())


@pytest.mark.parametrize("item", [item.code for item in CATALOGUE.items.values()])
def test_every_item_of_the_shipped_catalogue_is_explained_with_its_steps_in_order(item: str) -> None:
    found = CATALOGUE.item(item)
    for matter in CATALOGUE.matters.values():
        explained = explain_plan(
            CATALOGUE, found, matter, CLERK, words={}, sources_for=lambda fact: [f"{fact}-source"],
            department_of=lambda source: "某局" if source < "h" else "", askers=(Role.CLERK,),
        )  # fmt: skip

        steps = [fact.step for fact in explained.facts]
        named = set() if found.expression is None else {one.fact for one in facts_of(found.expression)}
        assert {fact.fact_type for fact in explained.facts} == named
        assert steps == sorted(steps)
        assert set(steps) == set(range(1, max(steps, default=0) + 1))
        handles = CLERK.unit in {department.uscc for department in matter.departments}
        may_ask = handles and item in matter.items and found.state is not ItemState.BANNED
        assert bool(explained.not_entitled) != may_ask
        assert all(fact.fact_type in fact.sources[0] and fact.why for fact in explained.facts)
        asked = ["某局" if fact.fact_type < "h" else f"“{fact.sources[0]}”" for fact in explained.facts]
        assert re.findall(":询问(.*?)。", explained.text) == asked


def test_what_is_asked_last_comes_last() -> None:
    def steps(node: Expr) -> list[int]:
        item = replace(CATALOGUE.item("marital-status"), expression=node)
        matter = CATALOGUE.matter(PERSONAL)
        explained = explain_plan(
            CATALOGUE, item, matter, CLERK, words={}, sources_for=lambda _: [], department_of=lambda _: "",
            askers=tuple(Role),
        )  # fmt: skip
        return [fact.step for fact in explained.facts]

    one, two, three = (FactExpr(fact=name) for name in ("marriage-registration", "death-record", "home-ownership"))
    assert steps(AnyExpr(of=(one, two, three))) == [1, 1, 1]
    assert steps(AnyExpr(of=(one, two, three), ordered=True)) == [1, 2, 3]
    assert steps(AllExpr(of=(AnyExpr(of=(one, two), ordered=True), three), ordered=True)) == [1, 2, 3]
    assert steps(AllExpr(of=(AnyExpr(of=(one, two)), NotExpr(of=three)), ordered=True)) == [1, 1, 2]
