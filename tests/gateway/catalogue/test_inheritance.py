"""A list below may be stricter, never looser: every dimension, both ways."""

# ruff: noqa: E501  YAML as it is written

from __future__ import annotations

import dataclasses
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.catalogue.expression import AllExpr, FactExpr, NotExpr
from gateway.catalogue.matter_strictness import compare_matters
from gateway.catalogue.model import (
    AuditRules,
    Basis,
    CommitmentRules,
    Department,
    FactType,
    Issuing,
    Item,
    Matter,
    MatterItem,
    Parameter,
    Region,
    SourcePolicy,
    Transition,
    ValueType,
    Withdrawal,
)
from gateway.catalogue.strictness import Shift, compare_fact_types, compare_items, compare_regions
from gateway.catalogue.words import (
    Absence,
    Applicants,
    AuditTiming,
    Certainty,
    CommitmentAllowance,
    CommitmentMode,
    Disclosure,
    ItemState,
    Publication,
    Risk,
    Rung,
    Sensitivity,
    Sharing,
    SilentCredit,
    SourcePolicyKind,
    ValueKind,
    WithdrawalEffect,
    WithdrawalUntil,
)
from tests.gateway.catalogue.lists import NATION, PROVINCE, load_texts, mistakes_of, replaced

CITY = (
    PROVINCE.replace("province", "city")
    .replace("000000", "000")
    .replace("230000", "230100")
    .replace('"000"', '"230000"')
)
ITEM = "items:\n  - code: premises\n    {}\n"
KEPT = "items:\n  - code: kept\n    {}\n"
FACT = "fact_types:\n  - code: home\n    {}\n"
MATTER = "matters:\n  - code: 230000-MSA-001\n    {}\n"
ASKED = MATTER.format("items:\n      - {{item: premises, {}}}")
USUAL = (
    "ladder: [ASSISTANCE, COMMITMENT], commitment_mode: LAST_RESORT, disclosure: AGGREGATE, patience_seconds: 600, "
    "confirm_by_clerk: true"
)

LOOSER = [
    ("state", ITEM.format("state: RETAINED\n    issuing: {form: a, procedure: b, time_limit: c, use: d, flow: e}")),
    ("expression", ITEM.format("expression: {fact: home, expect: {address: $address, use: $use}}")),
    ("expression", ITEM.format("expression: {any: [{fact: home, expect: {address: $address, use: $use}, given: {owner: $owner}}, {fact: home}]}")),
    ("parameters: address: required", ITEM.format("parameters: {address: {required: false}}")),
    ("parameters: address: type", ITEM.format("parameters: {address: {type: division}}")),
    ("ladder", ITEM.format("ladder: [ASSISTANCE, COMMITMENT]")),
    ("ladder", ITEM.format("ladder: [COMMITMENT]")),
    ("commitment: proxy", ITEM.format("commitment: {proxy: true}")),
    ("commitment: publication", ITEM.format("commitment: {publication: PUBLIC}")),
    ("commitment: withdrawal: until", ITEM.format("commitment: {withdrawal: {until: FEE_PAYMENT}}")),
    ("audit: timing", ITEM.format("audit: {timing: NONE}")),
    ("audit: due_working_days", ITEM.format("audit: {due_working_days: 61}")),
    ("audit: sampling: LOW", ITEM.format("audit: {sampling: {LOW: 4}}")),
    ("audit: sampling: HIGH", ITEM.format("audit: {sampling: {HIGH: 99}}")),
    ("legal_basis", ITEM.format("legal_basis: [{text: 某条, source: 别法, certainty: L}]")),
    ("transition: review_by", ITEM.format("transition: {review_by: 2027-01-02}")),
    ("issuing: communal_interest", KEPT.format("issuing: {communal_interest: false}")),
    ("absence", FACT.format("absence: conclusive")),
    ("sharing", FACT.format("sharing: UNCONDITIONAL")),
    ("sources: k", FACT.format("sources: {k: 1}")),
    ("sources: policy", FACT.format("sources: {policy: first, k: null}")),
    ("sources: k", FACT.format("sources: {policy: all-agree, k: 1}")),
    ("attributes: address", FACT.format("attributes: {address: division}")),
    ("title", ITEM.format("title: 换个名字")),
    ("labels: LIVE", FACT.format("labels: {LIVE: 经营, WORK: 居住}")),
    ("labels: use", FACT.format("labels: {use: 居住, LIVE: 住}")),
    ("labels: WORK", FACT.format("labels: {LIVE: 住, WORK: 住}")),
    ("labels: WORK", FACT.format('labels: {LIVE: "居 住", WORK: "居住\\u200b。"}')),
    ("labels: LIVE", FACT.format('labels: {LIVE: "（经营）", WORK: 商用}')),
    ("parameters: use: labels: WORK", ITEM.format("parameters: {use: {labels: {LIVE: 经营, WORK: 居住}}}")),
    ("parameters: label: use", ITEM.format("parameters: {use: {label: 地址}, address: {label: 用途}}")),
    ("given: owner", FACT.format("given: {owner: string}")),
    ("items", MATTER.format(f"items:\n      - {{item: premises, {USUAL}}}\n      - {{item: more}}")
     + "items:\n  - {code: more, number: 9, title: 多, state: BANNED, legal_basis: [{text: a, source: b, certainty: L}], demanded_by: a, issued_by: b, checked_by: c, guide: d, ladder: []}\n"),
    ("purposes", MATTER.format("purposes: [办理行政许可, 核查, 其他]")),
    ("items: premises: ladder", ASKED.format(USUAL.replace("[ASSISTANCE, COMMITMENT]", "[COMMITMENT]"))),
    ("items: premises: commitment_mode", ASKED.format(USUAL.replace("LAST_RESORT", "APPLICANT_CHOICE"))),
    ("items: premises: commitment_mode", ASKED.format(USUAL.replace("commitment_mode: LAST_RESORT, ", ""))),
    ("items: premises: disclosure", ASKED.format(USUAL.replace("AGGREGATE", "PER_FACT"))),
    ("items: premises: patience_seconds", ASKED.format(USUAL.replace("600", "601"))),
    ("items: premises: patience_seconds", ASKED.format(USUAL.replace(" patience_seconds: 600,", ""))),
    ("items: premises: confirm_by_clerk", ASKED.format(USUAL.replace("true", "false"))),
]  # fmt: skip

STRICTER = [
    FACT.format("labels: {use: 使用, LIVE: 自住}"),
    ITEM.format("parameters: {use: {label: 房屋用途, labels: {LIVE: 自住}}}"),
    ITEM.format("state: NOT_ISSUED_BY_COMMITTEE"),
    ITEM.format("state: BANNED"),
    ITEM.format("expression: {all: [{fact: home, expect: {address: $address, use: $use}, given: {owner: $owner}}, {fact: home}]}"),
    ITEM.format("parameters: {owner: {required: true}}"),
    ITEM.format("parameters: {use: {type: 'enum[LIVE]', labels: {WORK: null}}}"),
    ITEM.format("commitment: {mode: LAST_RESORT}"),
    ITEM.format("commitment: {publication: NOT_PUBLIC}"),
    ITEM.format("commitment: {withdrawal: {until: DECISION}}"),
    ITEM.format("commitment: {withdrawal: {after_effect: BARRED_THIS_YEAR}}"),
    ITEM.format("audit: {timing: DURING}"),
    ITEM.format("audit: {due_working_days: 1, sampling: {LOW: 100}}"),
    ITEM.format("disclosure: AGGREGATE"),
    ITEM.format("sensitivity: SENSITIVE"),
    ITEM.format("legal_basis: [{text: 改, source: 某法, certainty: S}, {text: 又, source: 别法, certainty: L}]"),
    ITEM.format("transition: {review_by: 2026-12-31}"),
    ITEM.format("guide: 换个说法"),
    KEPT.format("state: NOT_ISSUED_BY_COMMITTEE\n    expression: {fact: home}"),
    FACT.format("sharing: NOT_SHARED"),
    FACT.format("sources: {k: 3}"),
    FACT.format("sources: {policy: all-agree, k: 2}"),
    FACT.format("attributes: {more: string}"),
    MATTER.format("purposes: [核查]"),
    MATTER.format("departments: [{uscc: \"112300000000002027\", name: 市局}]"),
    ASKED.format(USUAL.replace("[ASSISTANCE, COMMITMENT]", "[ASSISTANCE, OWN_OR_COMMISSIONED_CHECK, COMMITMENT]")),
    ASKED.format(USUAL.replace("[ASSISTANCE, COMMITMENT]", "[ASSISTANCE]")),
    ASKED.format(USUAL.replace("600", "599")),
    ASKED.format(USUAL.replace("ladder: [ASSISTANCE, COMMITMENT]", "ladder: [ASSISTANCE], excluded_from_commitment: true")),
]  # fmt: skip


@pytest.mark.parametrize(("dimension", "below"), LOOSER, ids=[f"{n}-{d}" for n, (d, _) in enumerate(LOOSER)])
def test_a_looser_list_below_is_refused(tmp_path: Path, dimension: str, below: str) -> None:
    found = mistakes_of(tmp_path, NATION, PROVINCE + below)

    assert any(one.startswith("province.yaml:") and f": {dimension!r} " in one for one in found), found


@pytest.mark.parametrize("below", STRICTER)
def test_a_stricter_list_below_is_accepted(tmp_path: Path, below: str) -> None:
    assert load_texts(tmp_path, NATION, PROVINCE + below).version != load_texts(tmp_path, NATION).version


@pytest.mark.parametrize(
    ("dimension", "province", "city"),
    [
        (
            "labels: LIVE",
            FACT.format("labels: {LIVE: 自住, WORK: 商用}"),
            FACT.format("labels: {LIVE: 经营, WORK: 居住}"),
        ),
        (
            "parameters: use: labels: LIVE",
            ITEM.format("parameters: {use: {labels: {LIVE: 自住, WORK: 商用}}}"),
            ITEM.format("parameters: {use: {labels: {LIVE: 经营, WORK: 居住}}}"),
        ),
        (
            "parameters: label: use",
            ITEM.format("parameters: {use: {label: 房屋用途}, address: {label: 房屋地址}}"),
            ITEM.format("parameters: {use: {label: 地址}, address: {label: 用途}}"),
        ),
    ],
)
def test_labels_are_not_exchanged_over_several_lists_either(
    tmp_path: Path, dimension: str, province: str, city: str
) -> None:
    found = mistakes_of(tmp_path, NATION, PROVINCE + province, CITY + city)

    assert any(f": {dimension!r} " in one for one in found), found
    assert not mistakes_of(tmp_path, NATION, PROVINCE + province, CITY)


def test_sensitivity_may_not_be_lifted_and_disclosure_not_widened(tmp_path: Path) -> None:
    above = NATION.replace(
        "    disclosure: PER_FACT\n    sensitivity: ORDINARY\n",
        "    disclosure: AGGREGATE\n    sensitivity: SENSITIVE\n",
    )
    below = PROVINCE + ITEM.format("disclosure: PER_FACT\n    sensitivity: ORDINARY")

    found = "\n".join(mistakes_of(tmp_path, above, below))

    assert "'disclosure' is looser" in found
    assert "'sensitivity' is looser" in found


def test_a_commitment_forbidden_above_stays_forbidden(tmp_path: Path) -> None:
    above = (
        NATION.replace("ladder: [ASSISTANCE, OWN_OR_COMMISSIONED_CHECK, COMMITMENT]", "ladder: [ASSISTANCE]")
        .replace("allowed: BY_DEFAULT", "allowed: NEVER")
        .replace("ladder: [ASSISTANCE, COMMITMENT], commitment_mode", "commitment_mode")
    )
    below = PROVINCE + ITEM.format("ladder: [ASSISTANCE, COMMITMENT]\n    commitment: {allowed: BY_DEFAULT}")

    found = "\n".join(mistakes_of(tmp_path, above, below))

    assert "'commitment: allowed' is looser than in the list above: NEVER → BY_DEFAULT" in found
    assert "'ladder' is looser" in found


def test_what_absence_proves_is_for_the_list_above_to_say(tmp_path: Path) -> None:
    for above, below in (("inconclusive", "conclusive"), ("conclusive", "inconclusive")):
        nation = replaced(NATION, ("    absence: inconclusive\n    sharing", f"    absence: {above}\n    sharing"))

        found = mistakes_of(tmp_path, nation, PROVINCE + FACT.format(f"absence: {below}"))

        assert any(f"'absence' cannot be shown to be as strict as in the list above: {above} → {below}" in one for one in found)  # fmt: skip


def test_a_list_may_not_drop_what_the_list_above_has(tmp_path: Path) -> None:
    found = mistakes_of(tmp_path, NATION, PROVINCE.replace("adopts: all", "adopts: [kept]"))

    assert found == ["province.yaml:6: file: 'adopts' drops item 'premises' 住所证明 of the list above"]


def test_a_list_below_may_not_ask_an_item_of_further_applicants(tmp_path: Path) -> None:
    below = PROVINCE + ITEM.format("applicants: ANY")

    assert any("'applicants' is looser" in one for one in mistakes_of(tmp_path, NATION, below))


def test_what_a_list_below_forbids_is_forbidden_in_the_matters_of_the_list_above(tmp_path: Path) -> None:
    below = PROVINCE + ITEM.format("ladder: [ASSISTANCE]\n    commitment: {allowed: NEVER}")

    found = mistakes_of(tmp_path, NATION, below)

    assert any("a commitment can never stand in for item 'premises'" in one for one in found), found


def test_an_item_that_tells_only_its_verdict_does_so_in_matters_of_the_list_above(tmp_path: Path) -> None:
    above = NATION.replace("disclosure: AGGREGATE, ", "disclosure: PER_FACT, ")

    found = mistakes_of(tmp_path, above, PROVINCE + ITEM.format("disclosure: AGGREGATE"))

    assert any("discloses only the verdict" in one for one in found), found


def fact() -> FactType:
    return FactType(
        code="f", title="t", authority="a", attributes={"x": ValueType(kind=ValueKind.STRING)},
        given={"y": ValueType(kind=ValueKind.STRING)}, absence=Absence.INCONCLUSIVE, sensitivity=Sensitivity.ORDINARY,
        sharing=Sharing.CONDITIONAL, sources=SourcePolicy(kind=SourcePolicyKind.QUORUM, k=2),
    )  # fmt: skip


def item() -> Item:
    return Item(
        code="i", number=1, title="t", list_code="000000", state=ItemState.NOT_ISSUED_BY_COMMITTEE,
        legal_basis=(Basis(text="x", source="s", certainty=Certainty.LAW_READ),), demanded_by="d", issued_by="i",
        checked_by="c", guide="g",
        parameters={"p": Parameter(name="p", type=ValueType(kind=ValueKind.ENUM, words=("A", "B")), label="l", required=True)},
        expression=FactExpr(fact="f"), ladder=(Rung.ASSISTANCE, Rung.COMMITMENT),
        commitment=CommitmentRules(allowed=CommitmentAllowance.BY_DEFAULT, template="general"),
        audit=AuditRules(timing=AuditTiming.AFTER, sampling={Risk.LOW: 1}), disclosure=Disclosure.PER_FACT,
        sensitivity=Sensitivity.ORDINARY,
        issuing=Issuing(form="a", procedure="b", time_limit="c", use="d", flow="e"),
        transition=Transition(scope="a", risk_assessment="b", review_by=date(2027, 1, 1)),
    )  # fmt: skip


def matter() -> Matter:
    return Matter(
        code="m", title="t", list_code="000000", departments=(), items={"i": MatterItem(item="i")}, purposes=("p",),
        patience=timedelta(hours=1), retry_after=timedelta(minutes=1),
    )  # fmt: skip


OTHER: dict[type, dict[str, Any]] = {
    FactType: {
        "title": "x", "authority": "x", "attributes": {}, "given": {}, "absence": Absence.CONCLUSIVE,
        "sensitivity": Sensitivity.SENSITIVE, "sharing": Sharing.NOT_SHARED, "sources": SourcePolicy(),
        "labels": {"x": "某"},
    },
    Item: {
        "number": 2, "title": "x", "state": ItemState.BANNED, "legal_basis": (), "demanded_by": "x", "issued_by": "x",
        "checked_by": "x", "guide": "x", "parameters": {}, "expression": NotExpr(of=FactExpr(fact="f")), "ladder": (),
        "commitment": CommitmentRules(allowed=CommitmentAllowance.NEVER), "audit": AuditRules(timing=AuditTiming.NONE),
        "disclosure": Disclosure.AGGREGATE, "sensitivity": Sensitivity.SENSITIVE, "issuing": None, "transition": None,
        "applicants": Applicants.ORGANISATION,
    },
    CommitmentRules: {
        "allowed": CommitmentAllowance.NEVER, "mode": CommitmentMode.APPLICANT_CHOICE, "template": "x", "proxy": True,
        "withdrawal": Withdrawal(until=WithdrawalUntil.FEE_PAYMENT), "publication": Publication.PUBLIC,
    },
    Withdrawal: {"until": WithdrawalUntil.FEE_PAYMENT, "after_effect": WithdrawalEffect.BARRED_THIS_YEAR},
    AuditRules: {
        "timing": AuditTiming.NONE, "due_working_days": 1, "due_source": "x", "sampling": {Risk.LOW: 2},
    },
    Basis: {"text": "y", "source": "y", "certainty": Certainty.MEMORY},
    Parameter: {
        "type": ValueType(kind=ValueKind.ENUM, words=("A",)), "label": "x", "required": False, "labels": {"A": "甲"},
    },
    Issuing: {
        "form": "x", "procedure": "x", "time_limit": "x", "use": "x", "flow": "x", "communal_interest": True,
        "deliberation": "x",
    },
    Transition: {"scope": "x", "risk_assessment": "x", "review_by": date(2026, 1, 1)},
    SourcePolicy: {"kind": SourcePolicyKind.ALL_AGREE, "k": 3},
    Region: {"name": "x", "credit_platform": "x", "credit_site": "x", "publication_basis": "x"},
    MatterItem: {
        "ladder": (), "commitment_mode": CommitmentMode.APPLICANT_CHOICE, "disclosure": Disclosure.AGGREGATE,
        "patience": timedelta(0), "confirm_by_clerk": True, "excluded_from_commitment": True,
    },
    Matter: {
        "title": "x", "departments": "-", "items": {}, "purposes": (), "patience": timedelta(0),
        "retry_after": timedelta(0), "credit_silent": SilentCredit.OTHER_RUNGS, "decision_working_days": 20,
        "closing_date": date(2027, 1, 1),
    },
}  # fmt: skip
NAMES = {"code", "list_code", "name", "item"}
"""What a declaration is called is no dimension of it (a region's name is, and is in the table)."""


def shifts_of(kind: type, name: str, value: Any) -> list[Shift]:
    if kind is FactType:
        return list(compare_fact_types(fact(), dataclasses.replace(fact(), **{name: value})))
    if kind is SourcePolicy:
        changed = dataclasses.replace(fact().sources, **{name: value})
        return list(compare_fact_types(fact(), dataclasses.replace(fact(), sources=changed)))
    if kind is Region:
        return list(compare_regions(Region(), dataclasses.replace(Region(), **{name: value})))
    if kind is Matter:
        if name == "departments":
            value = (Department(uscc="x", name="y"),)
        now = dataclasses.replace(matter(), **{name: value})
        return list(compare_matters(matter(), now, {"i": item()}, {"i": item()}))
    if kind is MatterItem:
        asked = dataclasses.replace(matter().items["i"], **{name: value})
        now = dataclasses.replace(matter(), items={"i": asked})
        return list(compare_matters(matter(), now, {"i": item()}, {"i": item()}))
    was = item()
    changed_item = {
        Item: lambda: {name: value},
        CommitmentRules: lambda: {"commitment": dataclasses.replace(was.commitment, **{name: value})},
        Withdrawal: lambda: {
            "commitment": dataclasses.replace(
                was.commitment, withdrawal=dataclasses.replace(was.commitment.withdrawal, **{name: value})
            )
        },
        AuditRules: lambda: {"audit": dataclasses.replace(was.audit, **{name: value})},
        Basis: lambda: {"legal_basis": (dataclasses.replace(was.legal_basis[0], **{name: value}),)},
        Parameter: lambda: {"parameters": {"p": dataclasses.replace(was.parameters["p"], **{name: value})}},
        Issuing: lambda: {"issuing": dataclasses.replace(was.issuing, **{name: value}) if was.issuing else None},
        Transition: lambda: {
            "transition": dataclasses.replace(was.transition, **{name: value}) if was.transition else None
        },
    }[kind]()
    return list(compare_items(was, dataclasses.replace(was, **changed_item)))


FIELDS = [
    (kind, field.name)
    for kind in OTHER
    for field in dataclasses.fields(kind)
    if field.name not in NAMES or (kind is Region and field.name == "name")
]


@pytest.mark.parametrize(("kind", "name"), FIELDS, ids=[f"{kind.__name__}.{name}" for kind, name in FIELDS])
def test_no_field_of_a_declaration_escapes_the_comparison(kind: type, name: str) -> None:
    assert name in OTHER[kind], "a new field needs a dimension in gateway.catalogue.strictness"
    assert shifts_of(kind, name, OTHER[kind][name])


def test_the_same_is_no_shift() -> None:
    assert list(compare_items(item(), item())) == []
    assert list(compare_fact_types(fact(), fact())) == []
    assert list(compare_matters(matter(), matter(), {"i": item()}, {"i": item()})) == []


def test_all_of_the_expression_above_and_more_is_stricter_and_the_reverse_looser() -> None:
    more = dataclasses.replace(item(), expression=AllExpr(of=(FactExpr(fact="f"), FactExpr(fact="g"))))

    (forth,) = compare_items(item(), more)
    (back,) = compare_items(more, item())

    assert (forth.direction.value, back.direction.value) == ("STRICTER", "LOOSER")
