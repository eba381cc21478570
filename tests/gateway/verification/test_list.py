"""ListVerifications: the own unit's answers, newest first; looking a person up is recorded."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from grpc import StatusCode, aio

from gateway.client import Answer, Forbidden, InvalidQuestion, Selection, Verdict, Verification
from gateway.flows.once import Once
from gateway.flows.selecting import Select
from gateway.flows.selecting import Selection as Selected
from gateway.flows.verification.list_answers import ANSWERED, FAMILY, ListAnswers
from gateway.founding import SYSTEMS
from gateway.v1 import verification_pb2 as pb
from ledger import BlindIndex, Draft, Submission, new_record, parse_vkey, verify_receipt
from tests.ledger.house import as_now

from .test_batch import CLERK
from .village import TIMEOUT, Village, case, inside, marital, person, serving, settle

UNIT = SYSTEMS["clerk"][0]
INDEX = BlindIndex(key=bytes(32), version=1)
LOOKING = Selection(subject=person(3), operator="officer-07", unit=UNIT, purpose="信访核查")


@pytest.fixture
async def village(tmp_path: Path) -> AsyncIterator[Village]:
    async with serving(settle(tmp_path)) as here:
        yield here


async def ask(village: Village, count: int) -> list[Answer]:
    client = village.client()
    return [await client.verify(marital(index)) for index in range(count)]


async def listed(
    village: Village, selection: Selection, *, system: str = "clerk", size: int = 100
) -> list[Verification]:
    return [one async for one in village.client(system).answers(selection, page_size=size)]


async def test_every_answer_is_listed_once_newest_first_whatever_the_page(village: Village) -> None:
    asked = [answer.verification for answer in await ask(village, 7)]

    for size in (1, 2, 3, 7, 1000):
        assert await listed(village, Selection(), size=size) == asked[::-1]


async def test_a_page_that_would_be_too_large_to_be_sent_is_cut_and_goes_on(tmp_path: Path) -> None:
    tune = {"max_message_bytes = 1048576": "max_message_bytes = 8192"}
    async with serving(settle(tmp_path, tune=tune)) as village:
        asked = [answer.verification for answer in await ask(village, 30)]
        first = await village.stub().ListVerifications(pb.ListVerificationsRequest(page_size=1000), timeout=TIMEOUT)

        assert 1 < len(first.verifications) < 30
        assert first.ByteSize() <= 8192
        assert await listed(village, Selection(), size=1000) == asked[::-1]
        assert await listed(village, replace(LOOKING, subject=person(3)), system="officer", size=1000) == [asked[3]]


async def test_a_full_page_of_long_answers_is_sent(tmp_path: Path) -> None:
    """The most that a page may have, of answers of more than a kilobyte: more than the server sends at once."""
    async with serving(settle(tmp_path)) as village:
        client = village.client(timeout=60)
        long = marital(0, in_case=case("案" * 120)).case
        questions = [marital(index, in_case=replace(long, operator="经" * 128)) for index in range(1000)]
        made = [one.answer async for one in client.verify_many(questions)]
        page = await village.stub().ListVerifications(pb.ListVerificationsRequest(page_size=1000), timeout=TIMEOUT)
        found = await listed(village, Selection(), size=1000)

    assert all(made)
    assert len(page.verifications) < 1000
    assert page.next_page_token
    assert len({one.record for one in found}) == len(found) == 1000


async def test_answers_given_while_a_list_is_read_do_not_disturb_it(village: Village) -> None:
    asked = [answer.verification for answer in await ask(village, 4)]
    found = []
    async for one in village.client().answers(Selection(), page_size=2):
        found.append(one)
        await village.client().verify(marital(50))

    assert found == asked[::-1]


async def test_selections_narrow_the_list(village: Village) -> None:
    asked = [answer.verification for answer in await ask(village, 6)]
    middle = asked[3].answered_at

    assert await listed(village, Selection(case_id="办2026-0002")) == [asked[2]]
    assert await listed(village, Selection(case_id="办2026-0002", item="nothing")) == []
    assert await listed(village, Selection(item="marital-status", matter="230000-CIV-005")) == asked[::-1]
    assert await listed(village, Selection(matter="230000-MSA-001")) == []
    assert await listed(village, Selection(answered_from=middle)) == asked[:2:-1]
    assert await listed(village, Selection(answered_before=middle)) == asked[2::-1]
    assert await listed(
        village, Selection(answered_from=middle, answered_before=middle + timedelta(microseconds=1))
    ) == [asked[3]]


@pytest.mark.parametrize("spelled", ["办2026－0002", "办2026-0002 ", "办2026\u20110002"])
async def test_a_case_is_listed_by_every_spelling_of_its_number_as_it_was_given(village: Village, spelled: str) -> None:
    asked = [answer.verification for answer in await ask(village, 3)]
    again = (await village.client().verify(marital(2, in_case=case(spelled)))).verification

    for number in ("办2026-0002", spelled):
        assert await listed(village, Selection(case_id=number)) == [again, asked[2]]
    assert again.case.case_id == spelled


async def test_refusals_are_not_answers(village: Village) -> None:
    with pytest.raises(Forbidden):
        await village.client().verify(replace(marital(0), case=case(matter="230000-MSA-001", purpose="办理行政许可")))

    assert await listed(village, Selection()) == []


async def test_another_unit_sees_nothing_and_may_not_ask_for_it(village: Village) -> None:
    await ask(village, 2)

    assert await listed(village, Selection(), system="civil-clerk") == []
    for selection in (Selection(of_unit=UNIT), Selection(all_units=True)):
        with pytest.raises(Forbidden):
            await listed(village, selection, system="civil-clerk")


async def test_an_auditor_sees_every_units_answers_and_can_open_them(village: Village) -> None:
    asked = [answer.verification for answer in await ask(village, 3)]

    assert await listed(village, Selection(all_units=True), system="auditor", size=2) == asked[::-1]
    assert await listed(village, Selection(of_unit=SYSTEMS["civil-clerk"][0]), system="auditor") == []
    opened = await village.client("auditor").get(asked[0].record)
    assert opened.verification == asked[0]


async def test_a_person_is_looked_up_by_officers_and_that_is_recorded(village: Village) -> None:
    asked = [answer.verification for answer in await ask(village, 6)]

    assert await listed(village, LOOKING, system="officer") == [asked[3]]

    request = pb.ListVerificationsRequest(purpose="信访核查")
    request.subject.id_type, request.subject.id_number, request.subject.name = 1, person(3).id_number, person(3).name
    request.operator.person, request.operator.unit = "officer-07", UNIT
    response = await village.stub("officer").ListVerifications(request, timeout=TIMEOUT)
    verifier = parse_vkey(village.house.vkey.read_text())
    proven = verify_receipt(response.receipt.proof, [verifier], verifier.name)
    assert proven.entry.kind == "SubjectLookedUp"
    assert person(3).id_number.encode() not in proven.leaf


async def test_a_clerk_may_not_look_a_person_up(village: Village) -> None:
    with pytest.raises(Forbidden):
        await listed(village, LOOKING)


async def test_looking_a_person_up_needs_somebody_and_a_reason(village: Village) -> None:
    with pytest.raises(InvalidQuestion) as caught:
        await listed(village, Selection(subject=person(3)), system="officer")

    assert {one.field for one in caught.value.mistakes} == {"operator.person", "operator.unit", "purpose"}


@pytest.mark.parametrize(
    ("request_", "fields"),
    [
        (pb.ListVerificationsRequest(page_size=1001), {"page_size"}),
        (pb.ListVerificationsRequest(page_size=-1), {"page_size"}),
        (pb.ListVerificationsRequest(page_token="7"), {"page_token"}),
        (pb.ListVerificationsRequest(page_token="²." + "0" * 16), {"page_token"}),
        (pb.ListVerificationsRequest(all_units=True, case_id="甲", unit="乙"), {"unit", "case_id"}),
    ],
)
async def test_a_malformed_list_is_refused_by_field(
    village: Village, request_: pb.ListVerificationsRequest, fields: set[str]
) -> None:
    with pytest.raises(aio.AioRpcError) as caught:
        await village.stub("auditor").ListVerifications(request_, timeout=TIMEOUT)

    assert caught.value.code() is StatusCode.INVALID_ARGUMENT
    assert all(field in (caught.value.details() or "") for field in fields)


async def test_a_page_token_is_of_no_use_for_another_list(village: Village) -> None:
    await ask(village, 3)
    stub = village.stub()
    first = await stub.ListVerifications(pb.ListVerificationsRequest(page_size=1), timeout=TIMEOUT)

    with pytest.raises(aio.AioRpcError) as caught:
        await stub.ListVerifications(
            pb.ListVerificationsRequest(page_size=1, page_token=first.next_page_token, item="marital-status"),
            timeout=TIMEOUT,
        )

    assert caught.value.code() is StatusCode.INVALID_ARGUMENT


async def test_a_page_costs_a_bounded_part_of_the_log_and_says_that_more_follows(tmp_path: Path) -> None:
    """A unit with few answers in a large log gets empty pages, not a long wait."""
    async with serving(settle(tmp_path)) as village:
        await ask(village, 12)
        house = village.house
    async with inside(house) as here:
        select = Select(
            ledger=here.ledger, once=Once(here.ledger, INDEX), index=INDEX,
            now=lambda: None, entropy=bytes, span=5,  # type: ignore[arg-type,return-value]
        )  # fmt: skip
        lists = ListAnswers(ledger=here.ledger, select=select)
        token, pages, found = "", 0, 0
        while True:
            page = await lists(
                Selected(family=FAMILY, states=ANSWERED, unit=CLERK.unit, item="none"),
                CLERK,
                operator=None,
                purpose="",
                token=token,
                size=9,
            )
            pages, found, token = pages + 1, found + len(page.items), page.token
            if not token:
                break
        assert (found, pages) == (0, -(-here.ledger.size() // 5))


async def test_of_an_erased_answer_only_that_it_was_given_is_left(tmp_path: Path) -> None:
    house = settle(tmp_path)
    async with serving(house) as village:
        kept, erased = [answer.verification for answer in await ask(village, 2)]
    async with inside(house) as here:
        at = datetime.now(UTC)
        order = Draft(kind="DocumentErased", record=new_record(at, os.urandom))
        await here.ledger.append(Submission((order,), at, erase=as_now(here.ledger, bytes.fromhex(erased.record))))
    async with serving(house) as village:
        own = await listed(village, Selection())
        every = await listed(village, Selection(all_units=True), system="auditor")

    assert own == [kept]
    assert [(one.record, one.erased) for one in every] == [(erased.record, True), (kept.record, False)]
    assert (every[0].verdict, every[0].case.case_id, every[0].facts) == (Verdict.UNKNOWN, "", ())
