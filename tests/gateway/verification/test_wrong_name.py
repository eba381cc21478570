"""A record under the number and another name contradicts who claims it, and proves nothing to who denies it."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.client import NotNow, Question, Step, Verdict
from gateway.flows.verification.verify import OTHER_NAME

from .village import PEOPLE, House, Village, marital, serving, settle

MARRIED = next(index for index, one in enumerate(PEOPLE) if one.marital == "married")
SINGLE = next(index for index, one in enumerate(PEOPLE) if one.marital == "unmarried")


def misspelt(question: Question) -> Question:
    subject = question.subject
    return replace(question, subject=replace(subject, name=f"{subject.name[0]}错"))


def rename(house: House, index: int, name: str) -> None:
    with sqlite3.connect(house.home.parent / "civil.sqlite3") as civil:
        civil.execute("UPDATE marriage SET name = ? WHERE id_number = ?", (name, PEOPLE[index].id_number))


async def ask(village: Village, question: Question) -> tuple[Verdict, tuple[str, ...], Step]:
    answer = (await village.client().verify(question)).verification
    return answer.verdict, answer.reasons, answer.next_step.kind


async def test_who_is_married_is_not_unmarried_under_a_name_with_one_wrong_character(tmp_path: Path) -> None:
    async with serving(settle(tmp_path)) as village:
        denied = misspelt(marital(MARRIED, "UNMARRIED"))
        answer = (await village.client().verify(denied)).verification

        assert (answer.verdict, answer.reasons) == (Verdict.UNDETERMINED, ("AMBIGUOUS",))
        assert answer.next_step.kind is Step.ASSISTANCE
        assert answer.next_step.explanation.startswith(OTHER_NAME)
        assert "该证件号码下的记录与申报姓名不一致" in OTHER_NAME
        (fact,) = answer.facts
        assert (fact.outcome, fact.other_identity) == ("MISMATCH", True)
        again = (await village.client().verify(denied)).verification
        assert again == answer, "read back as it was told"

        assert await ask(village, marital(MARRIED, "UNMARRIED")) == (Verdict.CONTRADICTED, (), Step.DISPUTE)


async def test_who_married_under_a_former_name_is_not_unmarried(tmp_path: Path) -> None:
    house = settle(tmp_path)
    rename(house, MARRIED, "王曾用")
    async with serving(house) as village:
        assert await ask(village, marital(MARRIED, "UNMARRIED")) == (
            Verdict.UNDETERMINED,
            ("AMBIGUOUS",),
            Step.ASSISTANCE,
        )


async def test_a_claim_of_what_stands_under_another_name_is_contradicted_and_the_clerk_is_told_why(
    tmp_path: Path,
) -> None:
    async with serving(settle(tmp_path)) as village:
        answer = (await village.client().verify(misspelt(marital(MARRIED, "MARRIED")))).verification
        assert (answer.verdict, answer.next_step.kind) == (Verdict.CONTRADICTED, Step.DISPUTE)
        assert answer.next_step.explanation.startswith(OTHER_NAME)

        answer = (await village.client().verify(marital(MARRIED, "DIVORCED"))).verification
        assert (answer.verdict, answer.facts[0].other_identity) == (Verdict.CONTRADICTED, False)
        assert OTHER_NAME not in answer.next_step.explanation


BESIDE = """
[sources.elsewhere]
kind = "sql"
department = "示例民政局"
url = "sqlite:///{file}"
[sources.elsewhere.facts.marriage-registration]
coverage = "complete"
statement = "SELECT id_number, name FROM marriage WHERE id_number IN :keys"
key = "id_number"
name = "name"
"""


@pytest.mark.parametrize("named", [True, False])
async def test_a_register_that_holds_nothing_proves_no_denial_beside_one_that_holds_another_name(
    tmp_path: Path, named: bool
) -> None:
    with sqlite3.connect(tmp_path / "elsewhere.sqlite3") as elsewhere:
        elsewhere.execute("CREATE TABLE marriage (id_number TEXT, name TEXT)")
    house = settle(tmp_path, sources=BESIDE.format(file=tmp_path / "elsewhere.sqlite3"))
    question = marital(MARRIED, "UNMARRIED")
    async with serving(house) as village:
        verdict, reasons, step = await ask(village, question if named else misspelt(question))
    if named:
        assert (verdict, reasons, step) == (Verdict.CONTRADICTED, (), Step.DISPUTE)
    else:
        assert (verdict, reasons, step) == (Verdict.UNDETERMINED, ("AMBIGUOUS",), Step.ASSISTANCE)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE marriage SET name = substr(name, 1, 1) || '*' WHERE id_number = ?",
        "UPDATE marriage SET name = '' WHERE id_number = ?",
        "INSERT INTO marriage SELECT * FROM marriage WHERE id_number = ?",
    ],
    ids=["masked", "empty", "twice"],
)
async def test_a_register_that_holds_nothing_proves_nothing_beside_one_that_holds_a_record(
    tmp_path: Path, change: str
) -> None:
    with sqlite3.connect(tmp_path / "elsewhere.sqlite3") as elsewhere:
        elsewhere.execute("CREATE TABLE marriage (id_number TEXT, name TEXT)")
    house = settle(tmp_path, sources=BESIDE.format(file=tmp_path / "elsewhere.sqlite3"))
    with sqlite3.connect(house.home.parent / "civil.sqlite3") as civil:
        civil.execute("CREATE TABLE copied AS SELECT * FROM marriage")  # without its primary key
        civil.execute("DROP TABLE marriage")
        civil.execute("ALTER TABLE copied RENAME TO marriage")
        civil.execute(change, (PEOPLE[MARRIED].id_number,))
    async with serving(house) as village:
        denied = await ask(village, marital(MARRIED, "UNMARRIED"))
        claimed = await ask(village, marital(MARRIED, "MARRIED"))
    assert denied == (Verdict.UNDETERMINED, ("AMBIGUOUS",), Step.ASSISTANCE)
    assert claimed == (Verdict.UNDETERMINED, ("CONFLICT",), Step.ASSISTANCE)


async def test_who_tries_names_spends_the_budget_of_guesses(tmp_path: Path) -> None:
    async with serving(settle(tmp_path)) as village:
        question = marital(MARRIED, "UNMARRIED")
        for name in "甲乙丙丁戊":
            guess = marital(MARRIED, "UNMARRIED")
            await ask(village, replace(guess, subject=replace(guess.subject, name=f"张{name}")))
        with pytest.raises(NotNow) as refused:
            await ask(village, misspelt(question))
    assert refused.value.reason == "GUESS_BUDGET_SPENT"


async def test_who_was_never_married_is_unmarried(tmp_path: Path) -> None:
    async with serving(settle(tmp_path)) as village:
        assert await ask(village, marital(SINGLE, "UNMARRIED")) == (Verdict.ESTABLISHED, (), Step.NONE)
