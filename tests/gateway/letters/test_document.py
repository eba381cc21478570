"""The document that is signed holds every word, is complete or not at all, and is the same for the same input."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from gateway.catalogue.model import Withdrawal
from gateway.catalogue.words import Publication, WithdrawalEffect, WithdrawalUntil
from gateway.errors import TemplateUnfilled
from gateway.letters.document import Consent, Proxy, liability_of
from gateway.letters.parts import NOTICE, STATEMENT
from gateway.letters.templates import load_templates
from gateway.rules.clocks import legal_day
from gateway.rules.kept import rows, table, text
from gateway.rules.withdrawal import Window, withdrawal_words
from ledger.canonical import Json, canonical
from tests.gateway.letters.making import (
    APPLICANT,
    ARGUMENTS,
    AT,
    CIVIL,
    RELATIVE,
    catalogue,
    document,
    question,
    shipped,
    write,
)

_MATTERS = {"alive": "230000-HRS-003", "employment": "230000-HRS-003", "lost-document": "230000-MSA-001"} | {
    "business-premises": "230000-MSA-001"
}


def noticed(made: Mapping[str, Json]) -> dict[str, str]:
    parts = [table(part) for part in rows(made["notice"])]
    return {text(part["part"]): text(part["text"]) for part in parts}


@pytest.mark.parametrize("item", list(ARGUMENTS))
def test_a_document_has_every_part_of_notice_and_statement_worded(item: str) -> None:
    made = document(question(item, _MATTERS.get(item, "230000-CIV-002")))

    assert [table(part)["part"] for part in rows(made["notice"])] == [part.name for part in NOTICE]
    assert [table(part)["part"] for part in rows(made["statement"])] == [part.name for part in STATEMENT]
    assert all(words.strip() and "{" not in words for words in noticed(made).values())


def test_a_document_names_its_template_its_parties_and_its_case() -> None:
    made = document(contact="社会救助科 0451-00000000")
    template = shipped().get("kinship")

    assert made["template"] == {"id": "kinship", "version": 2, "digest": template.digest}
    assert made["title"] == template.title
    assert made["applicant"] == {"id_type": "resident-id", "id_number": "230199198001010072", "name": "示例甲"}
    assert made["authority"] == {"unit": CIVIL, "name": "示例民政局", "contact": "社会救助科 0451-00000000"}
    assert made["matter"] == {"code": "230000-CIV-002", "title": catalogue().matter("230000-CIV-002").title}
    assert (made["case"], made["record"]) == ("办2026-0001", bytes(range(16)).hex())
    assert "proxy" not in made


def test_facts_are_said_in_chinese_as_the_applicant_said_them() -> None:
    assert document()["facts"] == [
        {"label": "亲属", "value": f"{RELATIVE.name}（{RELATIVE.id_number}）"},
        {"label": "与申请人的关系", "value": "父母"},
    ]


def test_a_proxy_is_named_with_the_digest_of_the_authorisation() -> None:
    made = document(proxy=Proxy(agent=RELATIVE, authorisation_digest=b"\xab" * 32))

    assert made["proxy"] == {
        "id_type": "resident-id",
        "id_number": RELATIVE.id_number,
        "name": RELATIVE.name,
        "authorisation_digest": "ab" * 32,
    }


@pytest.mark.parametrize("scope", list(Publication))
@pytest.mark.parametrize("consent", list(Consent))
def test_publication_is_worded_for_its_scope_and_consent_is_kept(scope: Publication, consent: Consent) -> None:
    lists = catalogue()
    item = lists.item("kinship")
    changed = replace(item, commitment=replace(item.commitment, publication=scope))
    made = document(consent=consent, at=replace(lists, items={**lists.items, "kinship": changed}))

    assert made["publication"] == {"scope": scope.value, "consent": consent.value}
    texts = shipped().get("kinship").texts
    assert noticed(made)["publication.scope"] == texts[f"notice.publication.{scope.value}.scope"]
    assert noticed(made)["publication.term"] == texts[f"notice.publication.{scope.value}.term"]


@pytest.mark.parametrize("until", list(WithdrawalUntil))
@pytest.mark.parametrize("effect", list(WithdrawalEffect))
@pytest.mark.parametrize("item", ["kinship", "alive", "business-premises"])
def test_the_notice_tells_of_withdrawal_what_the_rules_of_the_item_say(
    until: WithdrawalUntil, effect: WithdrawalEffect, item: str
) -> None:
    lists, matter = catalogue(), _MATTERS.get(item, "230000-CIV-002")
    rules = Withdrawal(until=until, after_effect=effect)
    whole = lists.item(item)
    changed = replace(whole, commitment=replace(whole.commitment, withdrawal=rules))
    closing = replace(lists.matter(matter), closing_date=date(2027, 5, 1))
    at = replace(lists, items={**lists.items, item: changed}, matters={**lists.matters, matter: closing})
    made = noticed(document(question(item, matter), at=at))

    window = Window(rules=rules, closing_date=date(2027, 5, 1))
    assert made.pop("withdrawal") == withdrawal_words(window, today=legal_day(AT))
    assert not any("撤回承诺" in words for words in made.values()), "said once, as the rules are"


@pytest.mark.parametrize(("day", "promised"), [(23, False), (24, True), (25, True)])
def test_no_notice_promises_a_withdrawal_until_a_date_that_has_passed(day: int, promised: bool) -> None:
    lists, matter = catalogue(), _MATTERS.get("kinship", "230000-CIV-002")
    whole = lists.item("kinship")
    rules = Withdrawal(until=WithdrawalUntil.CLOSING_DATE)
    changed = replace(whole, commitment=replace(whole.commitment, withdrawal=rules))
    closing = replace(lists.matter(matter), closing_date=date(2026, 11, day))
    at = replace(lists, items={**lists.items, "kinship": changed}, matters={**lists.matters, matter: closing})

    told = noticed(document(question("kinship", matter), at=at))["withdrawal"]
    assert ("可以申请撤回" in told, "签署后不能撤回" in told) == (promised, not promised)
    assert f"2026年11月{day}日" in told


def test_what_is_signed_is_canonical_json_by_another_implementation_too() -> None:
    made = document()

    assert canonical(made) == rfc8785.dumps(json.loads(json.dumps(made)))
    assert canonical(document()) == canonical(made)


def test_a_document_is_not_made_while_its_wording_needs_what_is_not_there(tmp_path: Path) -> None:
    own = write(
        tmp_path,
        "templates:\n  - {id: own, version: 1, extends: general@2, title: 样式, items: [marital-status], "
        "notice: {use: '联系{contact}', content: '{fact.spouse}'}, statement: {true_intent: '{fact.spouse}{contact}'}}",
    )

    with pytest.raises(TemplateUnfilled) as caught:
        document(question("marital-status", "230000-CIV-005"), templates=load_templates([own]))

    assert caught.value.template == "own@1"
    assert caught.value.placeholders == ("contact", "fact.spouse")


def test_a_refusal_of_a_wording_holds_no_value(tmp_path: Path) -> None:
    own = write(
        tmp_path,
        "templates:\n  - {id: own, version: 1, extends: general@2, title: 样式, items: [kinship], "
        "notice: {use: '{contact}{fact.relative}'}}",
    )

    with pytest.raises(TemplateUnfilled) as caught:
        document(templates=load_templates([own]))

    for said in (RELATIVE.name, RELATIVE.id_number, APPLICANT.name, APPLICANT.id_number):
        assert said not in str(caught.value) + caught.value.chinese


def test_braces_in_what_the_applicant_says_are_no_placeholders() -> None:
    made = document(question("business-premises", "230000-MSA-001", address="{item}{fact.address}{{}}"))

    assert "“{item}{fact.address}{{}}”" in noticed(made)["content"]


def test_liability_as_the_credit_platform_is_told_it_has_all_three_kinds_and_nothing_else() -> None:
    made = document()
    told = noticed(made)

    assert liability_of(made) == "".join(told[f"liability.{kind}"] for kind in ("civil", "administrative", "criminal"))


@given(address=st.text(min_size=1).filter(str.strip))
def test_every_fact_is_in_the_document_to_the_character(address: str) -> None:
    made = document(question("business-premises", "230000-MSA-001", address=address))

    label = catalogue().item("business-premises").parameters["address"].label
    assert made["facts"] == [{"label": label, "value": address}]
    assert address in noticed(made)["content"]
