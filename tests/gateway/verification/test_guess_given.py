"""The guess budget counts what is guessed beside the claim itself: another person of a relation, a name, a spelling."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from connectors.compare import old_number
from gateway.client import Answer, NotNow, Person, Question, Verdict, new_request_id
from tests.gateway.verification.village import (
    PEOPLE,
    Service,
    Village,
    case,
    marital,
    person,
    premises,
    service,
    serving,
    settle,
    slow_source,
)

RIGHT = "示例路1号"
NARROW = 'narrow = {certificate_number = "certificate"}'
KINSHIP = case(matter="230000-CIV-002", purpose="办理行政给付", system="civil-clerk")


class Register(Service):
    """A register that is asked by two numbers at once."""

    def body(self, number: str) -> dict[str, object]:
        found = super().body(number)
        if isinstance(data := found.get("data"), dict):
            data |= {"id": number.partition("/")[0], "certificate": None}
        return found


@asynccontextmanager
async def register(
    folder: Path, fact: str, key: str, *, attribute: str, more: str = ""
) -> AsyncIterator[tuple[Village, Service]]:
    """Serve with a register of a fact that finds a record by a key of two numbers only; `more` goes into its stanza."""
    async with service(kind=Register) as here:
        stanza = slow_source(here.port, name="register", fact=fact, attribute=attribute)
        assert stanza.count('"{subject.id_number}"') == 1
        stanza = stanza.replace('"{subject.id_number}"', f'"{key}"').replace(f".{fact}]\n", f".{fact}]\n{more}\n", 1)
        async with serving(settle(folder, sources=stanza)) as village:
            yield village, here


def kin(relative: Person, relation: str = "CHILD", who: int = 0) -> Question:
    return Question(
        case=KINSHIP, item="kinship", subject=person(who), parameters={"relation": relation, "relative": relative}
    )


async def told(village: Village, *questions: Question) -> Counter[str]:
    found: Counter[str] = Counter()
    client = village.client("civil-clerk")
    for question in questions:
        try:
            found[(await client.verify(question)).verification.verdict.value] += 1
        except NotNow as refusal:
            found[refusal.reason] += 1
    return found


async def test_relatives_cannot_be_found_by_trying_them_all(tmp_path: Path) -> None:
    key = "{subject.id_number}/{given.relative_id_number}"
    async with register(tmp_path, "household-relation", key, attribute="relation") as (village, household):
        household.values = {f"{PEOPLE[0].id_number}/{PEOPLE[30].id_number}": "CHILD"}

        found = await told(village, *(kin(person(index)) for index in range(1, 41)))
        right = await told(village, kin(person(30)))
        repeated = await told(village, *(kin(person(1), relation) for relation in ("CHILD", "SPOUSE", "PARENT")))
        another = await told(village, kin(person(30), who=31))

    assert found == {"UNDETERMINED": 5, "GUESS_BUDGET_SPENT": 35}
    assert right == {"GUESS_BUDGET_SPENT": 1}
    assert repeated == {"UNDETERMINED": 3}, "whoever this relative is not, that is known already"
    assert another == {"UNDETERMINED": 1}


async def test_relatives_cannot_be_found_by_trying_them_all_at_a_register_of_one_city(tmp_path: Path) -> None:
    key, city = "{subject.id_number}/{given.relative_id_number}", 'coverage = { places = ["2301"] }'
    async with register(tmp_path, "household-relation", key, attribute="relation", more=city) as (village, household):
        household.values = {f"{PEOPLE[0].id_number}/{PEOPLE[30].id_number}": "CHILD"}

        found = await told(village, *(kin(person(index)) for index in range(1, 41)))

    assert found == {"UNDETERMINED": 5, "GUESS_BUDGET_SPENT": 35}


async def test_whose_child_somebody_is_cannot_be_found_in_the_records_of_the_children(tmp_path: Path) -> None:
    """The record asked is each child's own; the guesses are about the one person whom it would name."""
    async with register(
        tmp_path, "birth-record", "{subject.id_number}/", attribute="mother_id_number", more=NARROW
    ) as (village, births):
        births.values = {f"{one.id_number}/": PEOPLE[399].id_number for one in PEOPLE[:40]}
        births.values[f"{PEOPLE[30].id_number}/"] = PEOPLE[0].id_number

        found = await told(village, *(kin(person(index)) for index in range(1, 41)))

    assert found["GUESS_BUDGET_SPENT"] == 35
    assert found["ESTABLISHED"] == 0


async def test_whose_relative_somebody_is_cannot_be_found_by_asking_about_all_who_could_be(tmp_path: Path) -> None:
    """Each candidate has a budget of their own, and so has the one person whom all the claims name."""
    key = "{subject.id_number}/{given.relative_id_number}"
    async with register(tmp_path, "household-relation", key, attribute="relation") as (village, household):
        household.values = {f"{PEOPLE[30].id_number}/{PEOPLE[0].id_number}": "CHILD"}

        found = await told(village, *(kin(person(0), who=index) for index in range(1, 41)))
        right = await told(village, kin(person(0), who=30))
        repeated = await told(village, kin(person(0), who=1))
        another = await told(village, kin(person(41), who=1))

    assert found == {"UNDETERMINED": 5, "GUESS_BUDGET_SPENT": 35}
    assert right == {"GUESS_BUDGET_SPENT": 1}
    assert (repeated, another) == ({"UNDETERMINED": 1}, {"UNDETERMINED": 1})


async def test_whose_spouse_somebody_is_cannot_be_read_from_the_records_of_candidates(tmp_path: Path) -> None:
    married = [index for index, one in enumerate(PEOPLE) if one.marital == "married"][:20]
    victim, true = PEOPLE[200], PEOPLE[married[12]]
    columns = {
        'columns = { status = "status" }': 'columns = { status = "status", spouse_id_number = "spouse_id" }',
        "SELECT id_number, name, status FROM": "SELECT id_number, name, status, spouse_id FROM",
    }
    house = settle(tmp_path, tune=columns)
    with sqlite3.connect(tmp_path / "civil.sqlite3") as civil:
        civil.execute("ALTER TABLE marriage ADD COLUMN spouse_id TEXT")
        civil.execute("UPDATE marriage SET spouse_id = ?", (PEOPLE[201].id_number,))
        civil.execute("UPDATE marriage SET spouse_id = ? WHERE id_number = ?", (victim.id_number, true.id_number))
    outcomes: Counter[str] = Counter()
    async with serving(house) as village:
        for index in married:
            asked = marital(index, "MARRIED")
            asked = replace(asked, parameters={**asked.parameters, "spouse": person(200)})
            try:
                outcomes[(await village.client().verify(asked)).verification.verdict.value] += 1
            except NotNow as refusal:
                outcomes[refusal.reason] += 1

    assert outcomes == {"CONTRADICTED": 5, "GUESS_BUDGET_SPENT": 15}


async def test_the_children_of_one_parent_may_prove_it_each(tmp_path: Path) -> None:
    """What is borne out spends nothing of the budget of whom it names, however many say it."""
    key = "{subject.id_number}/{given.relative_id_number}"
    async with register(tmp_path, "household-relation", key, attribute="relation") as (village, household):
        household.values = {f"{one.id_number}/{PEOPLE[0].id_number}": "PARENT" for one in PEOPLE[1:12]}

        found = await told(village, *(kin(person(0), "PARENT", who=index) for index in range(1, 12)))

    assert found == {"ESTABLISHED": 11}


class Births(Service):
    """A register of births: mother and father of a child."""

    def body(self, number: str) -> dict[str, object]:
        mother, _, father = self.values.get(number, "").partition("/")
        if not mother:
            return {"code": "NONE"}
        parents = {"mother": mother, "father": father}
        return {"code": "0", "data": {"id": number, "certificate": "C1", "state": "alive", **parents}}


async def test_the_children_of_one_father_may_prove_it_each_by_a_register_that_names_both_parents(
    tmp_path: Path,
) -> None:
    """That he is not their mother, and in no household of theirs, is told each time, and spends nothing."""
    father, mother = PEOPLE[0].id_number, PEOPLE[100].id_number
    async with service(kind=Births) as births, service(kind=Register) as households:
        stanza = slow_source(births.port, name="births", fact="birth-record", attribute="mother_id_number")
        parents = 'attributes = { mother_id_number = "mother", father_id_number = "father" }'
        stanza = stanza.replace('attributes = { mother_id_number = "value" }', parents)
        stanza = stanza.replace(".birth-record]\n", f".birth-record]\n{NARROW}\n", 1)
        household = slow_source(households.port, name="household", fact="household-relation", attribute="relation")
        household = household.replace('"{subject.id_number}"', '"{subject.id_number}/{given.relative_id_number}"')
        births.values = {one.id_number: f"{mother}/{father}" for one in PEOPLE[1:9]}
        async with serving(settle(tmp_path, sources=stanza + household)) as village:
            fathers = await told(village, *(kin(person(0), "PARENT", who=index) for index in range(1, 9)))
            mothers = await told(village, *(kin(person(100), "PARENT", who=index) for index in range(1, 9)))

    assert (fathers, mothers) == ({"ESTABLISHED": 8}, {"ESTABLISHED": 8})


async def test_a_family_of_whom_no_register_knows_is_answered_five_times_a_day(tmp_path: Path) -> None:
    key = "{subject.id_number}/{given.relative_id_number}"
    async with register(tmp_path, "household-relation", key, attribute="relation") as (village, _):
        members = await told(village, *(kin(person(0), "PARENT", who=index) for index in range(1, 5)))
        back = await told(village, *(kin(person(index), "CHILD") for index in range(1, 5)))

    assert (members, back) == ({"UNDETERMINED": 4}, {"UNDETERMINED": 4})


async def test_who_has_several_relatives_may_prove_each(tmp_path: Path) -> None:
    key = "{subject.id_number}/{given.relative_id_number}"
    async with register(tmp_path, "household-relation", key, attribute="relation") as (village, household):
        household.values = {f"{PEOPLE[0].id_number}/{one.id_number}": "CHILD" for one in PEOPLE[1:12]}

        found = await told(village, *(kin(person(index)) for index in range(1, 12)))

    assert found == {"ESTABLISHED": 11}


async def test_names_under_an_old_number_cannot_be_tried_out(tmp_path: Path) -> None:
    house = settle(tmp_path, tune={'name = "name"': 'name = "name"\nold_numbers = true'})
    index, old = next((at, old) for at, one in enumerate(PEOPLE) if (old := old_number(one.id_number)))
    with sqlite3.connect(tmp_path / "civil.sqlite3") as civil:
        changed = civil.execute(
            "UPDATE marriage SET id_number = ? WHERE id_number = ?", (old, PEOPLE[index].id_number)
        ).rowcount
    assert changed == 1
    asked = marital(index)
    outcomes: Counter[str] = Counter()
    async with serving(house) as village:
        client = village.client()
        for number in range(12):
            wrong = Person(id_number=asked.subject.id_number, name=f"{asked.subject.name}{chr(0x4E00 + number)}")
            try:
                outcomes[outcome(await client.verify(replace(asked, subject=wrong, request_id=new_request_id())))] += 1
            except NotNow as refusal:
                outcomes[refusal.reason] += 1
        with pytest.raises(NotNow):
            await client.verify(asked)

    assert outcomes == {"AMBIGUOUS": 5, "GUESS_BUDGET_SPENT": 7}


def outcome(answer: Answer) -> str:
    return answer.verification.facts[0].outcome


async def test_one_guess_in_many_spellings_spends_one(tmp_path: Path) -> None:
    async with (
        service({PEOPLE[0].id_number: RIGHT}) as housing,
        serving(settle(tmp_path, sources=slow_source(housing.port))) as village,
    ):
        client = village.client()
        spellings = ["猜测1号", "猜测１号", " 猜测1号", "猜测1号 ", "猜测1号\u200b", "　猜测1号"]
        for typed in spellings:
            answer = await client.verify(premises(0, typed))
            assert answer.verification.verdict is not Verdict.ESTABLISHED
        right = await client.verify(premises(0, RIGHT))

    assert right.verification.verdict is Verdict.ESTABLISHED
