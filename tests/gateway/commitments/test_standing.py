"""Each commitment leaves a standing query: by schedule, after a recovery, when data come late; never too often."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from connectors.outcome import Kind
from gateway.bootstrap.ledger import open_ledger
from gateway.config import load_settings
from gateway.flows.administration.retain import Retain, RetentionReport
from gateway.flows.commitments.source_news import SourceNews
from gateway.flows.commitments.standing import PERSON, TURN
from gateway.rules.kept import table
from gateway.rules.retention import RetentionRules

from .office import ITEM, MATTER, PEOPLE, Office, execute, of_item, office, said

WHO, OTHER = PEOPLE[12], PEOPLE[14]
EVERYTHING = {'pause = "1h"': 'pause = "1s"'}


async def round_(here: Office) -> Mapping[str, int]:
    return dict(await here.flows.commitments.standing())


async def test_a_commitment_is_asked_about_by_schedule_and_each_asking_is_a_verification(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        record = await here.committed(WHO, "办-1")
        await here.decide(record)
        begun = here.clock.now
        asked: list[timedelta] = []
        for _ in range(50):
            here.clock.pass_(days=1)
            if await round_(here):
                asked.append(here.clock.now - begun)

        assert [wait.days for wait in asked] == [1, 8, 38], "after a day, a week, a month"
        askings = here.ledger.register().by_parent(record, "verification")
        assert len(askings) == 3
        kept = here.document(askings[0].first_idx)
        assert table(said(said(kept, "request"), "context")["operator"])["person"] == PERSON
        assert here.kinds(record)[-3:] == ["CommitmentRequeried"] * 3


@pytest.mark.parametrize("timing", ["NONE", "DURING"])
async def test_where_no_audit_follows_the_decision_nothing_is_asked_and_its_period_ends(
    tmp_path: Path, timing: str
) -> None:
    async with office(tmp_path, of_item(ITEM, ("timing: AFTER", f"timing: {timing}"))) as here:
        record = await here.committed(WHO, "办-1")
        here.clock.pass_(days=1)
        assert await round_(here) == {"STILL_MISSING": 1}
        await here.decide(record)
        decided = here.clock.now
        for _ in range(3):
            here.clock.pass_(days=100)
            assert await round_(here) == {}

        def kept(years: int) -> RetentionReport:
            now = decided.replace(year=decided.year + years) + timedelta(days=1)
            register = here.ledger.register()
            return Retain(register=register, rules=RetentionRules(), now=lambda: now, entropy=os.urandom).look(quiet)

        assert kept(4).erased_records == 0
        assert kept(5).tallies[MATTER, "commitment"].erased == 1


def quiet(done: int, total: int) -> None:
    assert 0 <= done <= total


@pytest.mark.postgres
async def test_while_another_gateway_asks_nothing_is_asked_twice(tmp_path: Path, postgres_url: str) -> None:
    async with office(tmp_path, url=postgres_url) as here:
        record = await here.committed(WHO, "办-1")
        await here.decide(record)
        here.clock.pass_(days=1)
        with open_ledger(load_settings(here.house.config).ledger, now=here.clock) as elsewhere:
            async with elsewhere.turn(TURN) as theirs:
                assert theirs
                assert await round_(here) == {}
            assert here.ledger.register().by_parent(record, "verification") == []

            assert await round_(here) == {"STILL_MISSING": 1}
            assert await round_(here) == {}, "it was asked about"


async def test_late_data_that_agree_confirm_it_at_the_next_look(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        record = await here.committed(WHO, "办-1")
        await here.decide(record)
        await round_(here)
        here.clock.pass_(hours=2)
        assert await round_(here) == {}, "nothing new and not due"
        here.drop([(WHO.id_number, WHO.name, WHO.address)])

        assert await round_(here) == {"CONFIRMED": 1}
        assert here.state(record) == "CONFIRMED"
        assert await round_(here) == {}, "it is answered"


QUORUM = tuple(
    of_item(fact, ("absence: inconclusive", "absence: inconclusive\n    sources: {policy: quorum, k: 2}"))
    for fact in ("home-ownership", "lease-filing")
)


@pytest.mark.parametrize("is_decided", [True, False])
async def test_late_data_that_contradict_and_nobody_confirms_are_shown_to_people(
    tmp_path: Path, is_decided: bool
) -> None:
    async with office(tmp_path, *QUORUM) as here:
        record = await here.committed(WHO, "办-1")
        if is_decided:
            await here.decide(record)
        here.clock.pass_(days=1)
        assert await round_(here) == {"STILL_MISSING": 1}
        here.clock.pass_(hours=2)
        here.contradict(WHO)

        assert await round_(here) == {"DISCREPANCY": 1}

        (finding,) = here.ledger.register().by_parent(record, "finding")
        state = "DISPUTED" if is_decided else "QUESTIONED"
        assert (here.state(record), finding.state) == (state, "DISCREPANCY")
        newest = here.ledger.register().by_parent(record, "verification")[-1]
        answer = table(here.document(newest.first_idx)["answer"])
        assert (answer["verdict"], answer["reasons"]) == ("UNDETERMINED", ["UNCONFIRMED"])


DENIED = of_item(
    ITEM,
    *(
        (
            f"- {{fact: {fact}, expect: {{address: $address}}}}",
            f"- {{not: {{fact: {fact}, expect: {{address: $address}}}}}}",
        )
        for fact in ("home-ownership", "lease-filing")
    ),
)


@pytest.mark.parametrize("is_decided", [True, False])
async def test_late_data_under_another_name_do_not_confirm_that_there_are_none(
    tmp_path: Path, is_decided: bool
) -> None:
    async with office(tmp_path, DENIED) as here:
        record = await here.committed(WHO, "办-1")
        if is_decided:
            await here.decide(record)
        await round_(here)
        here.clock.pass_(hours=2)
        here.drop([(WHO.id_number, "示例别名", WHO.address)])

        assert await round_(here) == {"STILL_MISSING": 1}
        assert here.state(record) == ("IN_FORCE" if is_decided else "RECORDED")
        newest = here.ledger.register().by_parent(record, "verification")[-1]
        answer = table(here.document(newest.first_idx)["answer"])
        assert answer["verdict"] == "UNDETERMINED"


async def test_data_that_bear_it_out_and_nobody_confirms_conclude_nothing(tmp_path: Path) -> None:
    async with office(tmp_path, *QUORUM) as here:
        record = await here.committed(WHO, "办-1")
        await here.decide(record)
        here.drop([(WHO.id_number, WHO.name, WHO.address)])
        here.clock.pass_(days=1)

        assert await round_(here) == {"STILL_MISSING": 1}
        assert here.state(record) == "IN_FORCE"
        assert here.ledger.register().by_parent(record, "finding") == []


async def test_late_data_that_contradict_open_a_finding_and_hold_nothing_against_anybody(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        record = await here.committed(WHO, "办-1")
        await here.decide(record)
        await round_(here)
        here.clock.pass_(hours=2)
        here.contradict(WHO)

        assert await round_(here) == {"DISCREPANCY": 1}

        (finding,) = here.ledger.register().by_parent(record, "finding")
        assert (here.state(record), finding.state) == ("DISPUTED", "DISCREPANCY")


@pytest.mark.parametrize("decided", [False, True])
async def test_what_people_found_false_counts_like_the_word_of_a_source(tmp_path: Path, decided: bool) -> None:
    async with office(tmp_path) as here:
        record = await here.committed(WHO, "办-1")
        if decided:
            await here.decide(record)
        await here.found(WHO, "办-1", Kind.MISMATCH)
        here.clock.pass_(days=1)

        assert await round_(here) == {"DISCREPANCY": 1}

        (finding,) = here.ledger.register().by_parent(record, "finding")
        assert (here.state(record), finding.state) == ("DISPUTED" if decided else "QUESTIONED", "DISCREPANCY")


@pytest.mark.parametrize("decided", [False, True])
@pytest.mark.parametrize("disclosure", ["PER_FACT", "AGGREGATE"])
async def test_what_people_disproved_of_one_fact_is_a_contradiction_though_another_is_open(
    tmp_path: Path, disclosure: str, decided: bool
) -> None:
    changes = ("number: 19\n", f"number: 19\n    disclosure: {disclosure}\n")
    async with office(tmp_path, of_item(ITEM, changes)) as here:
        record = await here.committed(WHO, "办-1")
        if decided:
            await here.decide(record)
        await here.found(WHO, "办-1", Kind.MISMATCH, ["home-ownership"])
        here.clock.pass_(days=1)

        assert await round_(here) == {"DISCREPANCY": 1}
        assert here.state(record) == ("DISPUTED" if decided else "QUESTIONED")


async def test_people_who_have_not_answered_hold_no_asking_up(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        record = await here.committed(WHO, "办-1")
        await here.found(WHO, "办-1", None)
        for days in (1, 30):  # in time, and overdue
            here.clock.pass_(days=days)

            assert await round_(here) == {"STILL_MISSING": 1}
        assert here.kinds(record)[-2:] == ["CommitmentRequeried"] * 2


async def test_before_the_decision_a_contradiction_questions_and_agreement_changes_nothing(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        right, wrong = await here.committed(WHO, "办-1"), await here.committed(OTHER, "办-2")
        await round_(here)
        here.clock.pass_(hours=2)
        here.drop([(WHO.id_number, WHO.name, WHO.address), (OTHER.id_number, OTHER.name, "别处9号")])
        execute(here.leases, "INSERT INTO lease VALUES (?, ?, ?)", OTHER.id_number, OTHER.name, "别处9号")

        assert await round_(here) == {"CONFIRMED": 1, "DISCREPANCY": 1}
        assert (here.state(right), here.state(wrong)) == ("RECORDED", "QUESTIONED")
        await here.decide(right)


async def test_a_source_that_answers_again_is_news(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        record = await here.committed(WHO, "办-1")
        await here.decide(record)
        execute(here.leases, "ALTER TABLE lease RENAME TO gone")
        here.clock.pass_(days=1)
        assert await round_(here) == {"NOT_REACHED": 1}
        assert here.kinds(record)[-1] == "DecisionRecorded", "a source that is away concludes nothing"
        here.clock.pass_(hours=2)
        assert await round_(here) == {}, "asked a moment ago"
        execute(here.leases, "ALTER TABLE gone RENAME TO lease")
        here.clock.pass_(hours=2)

        assert await round_(here) == {"STILL_MISSING": 1}
        assert await round_(here) == {}


async def test_however_often_sources_have_news_a_commitment_is_left_alone_for_the_pause(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        await here.committed(WHO, "办-1")
        rounds = []
        for _ in range(6):
            here.clock.pass_(minutes=20)
            here.drop([])
            rounds.append(await round_(here))

        assert sum(bool(one) for one in rounds) == 2, "within two hours"


async def test_a_round_asks_about_no_more_than_configured_and_the_next_goes_on(tmp_path: Path) -> None:
    async with office(tmp_path, tune={"most = 200 ": "most = 2 "}) as here:
        records = [await here.committed(PEOPLE[12 + n], f"办-{n}") for n in range(5)]
        here.clock.pass_(days=2)

        assert [sum((await round_(here)).values()) for _ in range(4)] == [2, 2, 1, 0]
        assert all(len(here.ledger.register().by_parent(record, "verification")) == 1 for record in records)


async def test_what_ended_is_asked_about_no_more(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        await here.withdraw(await here.committed(WHO, "办-1"))
        await here.prepare(await here.verify(WHO, "办-2"))
        here.clock.pass_(days=2)

        assert await round_(here) == {}


async def test_when_it_was_asked_last_is_read_from_the_ledger(tmp_path: Path) -> None:
    """A gateway that is started again does not ask everything anew."""
    async with office(tmp_path) as here:
        await here.committed(WHO, "办-1")
        here.clock.pass_(days=2)
        assert await round_(here) == {"STILL_MISSING": 1}
        here.clock.pass_(hours=2)

        fresh = SourceNews(here.sources, now=here.clock)
        news = await fresh.look()

        assert news["home-ownership"] < here.clock.now - timedelta(days=2), "the date of the data, not of the start"


async def test_a_gateway_about_to_stop_asks_no_further(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        await here.committed(WHO, "办-1")
        here.clock.pass_(days=2)
        here.flows.stopping.set()

        assert await round_(here) == {}


async def test_a_breaker_that_closed_is_news_of_its_fact(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        news = SourceNews(here.sources, now=here.clock)
        await news.look()
        execute(here.leases, "ALTER TABLE lease RENAME TO gone")
        await here.verify(WHO, "办-1")
        execute(here.leases, "ALTER TABLE gone RENAME TO lease")
        here.clock.pass_(minutes=1)
        back: datetime = here.clock.now
        await here.verify(WHO, "办-2")
        here.clock.pass_(minutes=1)

        assert (await news.look())["lease-filing"] == back


async def test_two_rounds_at_once_contradict_once(tmp_path: Path) -> None:
    """Two gateways on one ledger may ask at the same moment; the record's life lets one of them conclude."""
    async with office(tmp_path) as here:
        record = await here.committed(WHO, "办-1")
        await here.decide(record)
        here.clock.pass_(days=2)
        here.contradict(WHO)
        row, requery = here.row(record), here.flows.requery
        operator = here.request("x").operator
        until = asyncio.get_running_loop().time() + 20

        asked = await asyncio.gather(requery.one(row, operator, until), requery.one(row, operator, until))

        assert sorted(one.result for one in asked) == ["DISCREPANCY", "SKIPPED"]
        assert len(here.ledger.register().by_parent(record, "finding")) == 1
