"""A letter says everything of its document, and how it stands."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from gateway.catalogue.words import Publication
from gateway.letters.document import Consent, Proxy
from gateway.letters.layout import LETTER_STATES, Standing, lay_out
from gateway.letters.plain import plain_text, text_as_signed, text_to_sign
from gateway.rules.kept import rows, table, text
from ledger.records.lifecycle import FAMILIES
from tests.gateway.letters.making import AT, RELATIVE, catalogue, document, question, standing, words

_REFUSALS = {"REFUSED", "CONTESTED", "REFUSAL_UPHELD", "REFUSAL_LIFTED"}
"""States of records for which no document was handed out."""


def test_every_state_of_a_commitment_either_has_a_letter_or_is_a_refusal() -> None:
    states = {state for after in FAMILIES["commitment"].transitions.values() for state in after.values()}

    assert states - LETTER_STATES == _REFUSALS


@pytest.mark.parametrize("state", sorted(LETTER_STATES))
def test_everything_the_document_says_is_in_the_text_in_every_state(state: str) -> None:
    made = document(contact="电话 0451-00000000", proxy=Proxy(agent=RELATIVE, authorisation_digest=b"\xab" * 32))
    written = plain_text(lay_out(made, standing(state)))
    machine = {made["record"], made["verification"], made["prepared_at"], made["expires_at"]}
    machine |= {table(made["item"])["code"], "resident-id", *words(made["template"]), *words(made["publication"])}
    machine |= {table(part)["part"] for key in ("notice", "statement") for part in rows(made[key])}
    machine |= {made["type"], ""}

    missing = [said for said in words(made) if said not in machine and said not in written]

    assert missing == []


@pytest.mark.parametrize(
    ("state", "mark"),
    [
        ("PREPARED", "未签署"),
        ("EXPIRED", "已失效"),
        ("WITHDRAWN", "已撤回"),
        ("LAPSED", "已失效"),
        ("BROKEN", "认定不实"),
    ],
)
def test_a_letter_that_carries_nothing_is_marked_across_its_pages(state: str, mark: str) -> None:
    layout = lay_out(document(), standing(state))

    assert layout.mark == mark
    assert plain_text(layout).splitlines()[0].endswith(f"【{mark}】")


@pytest.mark.parametrize("state", ["RECORDED", "BINDING", "IN_FORCE", "CONFIRMED", "DISPUTED", "INCONCLUSIVE"])
def test_a_letter_under_check_is_not_marked_as_false(state: str) -> None:
    assert lay_out(document(), standing(state)).mark == ""


@pytest.mark.parametrize("state", sorted(_REFUSALS | {"NEVER"}))
def test_a_refusal_is_not_laid_out(state: str) -> None:
    with pytest.raises(KeyError):
        lay_out(document(), standing(state))


def test_the_text_to_sign_is_unsigned_dated_in_beijing_and_without_a_receipt() -> None:
    written = text_to_sign(document())

    assert "未签署" in written
    assert "告知时间：2026年11月24日23:30" in written
    assert "chengxin:letter" not in written
    assert "电子签名" not in written


def test_the_text_of_what_was_signed_is_signed_and_dated() -> None:
    kept = {"type": "certificate", "algorithm": "SM2_SM3"}
    written = text_as_signed(document(), kept, datetime(2026, 11, 24, 16, 30, tzinfo=UTC))

    assert "未签署" not in written
    assert "当前状态：已签署并记入台账" in written
    assert "数字证书" in written
    assert "2026年11月25日" in written


@pytest.mark.parametrize(
    ("evidence", "told"), [("certificate", "数字证书"), ("witnessed", "经办人见证"), ("platform", "实名认证平台")]
)
def test_how_it_was_signed_is_told(evidence: str, told: str) -> None:
    standing_ = standing()
    assert standing_.signing is not None
    signed = replace(standing_, signing=replace(standing_.signing, evidence=evidence))

    assert told in lay_out(document(), signed).signed


def test_the_proxy_signs_where_there_is_one() -> None:
    made = document(proxy=Proxy(agent=RELATIVE, authorisation_digest=b"\xab" * 32))

    assert lay_out(made, standing()).applicant == "委托代理人签名"
    assert "ab" * 32 in plain_text(lay_out(made, standing()))


@pytest.mark.parametrize(
    ("consent", "told"),
    [(Consent.AGREED, "同意按照"), (Consent.DECLINED, "不同意公开"), (Consent.NOT_SAID, "未作表示")],
)
def test_the_will_to_publish_is_told_only_where_something_is_published(consent: Consent, told: str) -> None:
    lists = catalogue()
    item = lists.item("kinship")
    public = replace(item, commitment=replace(item.commitment, publication=Publication.PUBLIC))
    published = document(consent=consent, at=replace(lists, items={**lists.items, "kinship": public}))

    assert told in lay_out(published, standing()).consent
    assert "无需征求意见" in lay_out(document(consent=consent), standing()).consent


def test_a_letter_without_a_receipt_has_no_code() -> None:
    layout = lay_out(document(), Standing(state="PREPARED", changed_at=AT))

    assert layout.code == ""
    assert all("存证" not in line.heading for line in layout.standing)


def test_parts_are_numbered_in_chinese() -> None:
    layout = lay_out(document(question("kinship")), standing())

    numbers = [*"一二三四五六七八九十", "十一"]
    assert [block.title.partition("）")[0][1:] for block in layout.notice] == numbers
    assert [sentence[1] for sentence in layout.statement] == list("一二三四")
    assert [text(table(part)["text"]) for part in rows(document()["statement"])] == [
        one[3:] for one in layout.statement
    ]
