"""The effect of a finding ends with the time of its grade: for the platform, and for us."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from connectors.connector import Subject
from gateway.bootstrap.serving import Gateway
from gateway.client import open_channel
from gateway.config import load_settings
from gateway.demo.credit_platform import _KINDS
from gateway.errors import TransitionNotAllowed
from gateway.flows.audit.expire import Expire
from gateway.flows.once import Once
from gateway.rules.eligibility import Eligible
from gateway.v1 import audit_pb2, credit_pb2, credit_pb2_grpc
from ledger import BlindIndex, decode_entry
from ledger.records.lifecycle import FAMILIES
from tests.gateway.commitments.office import ITEM, MATTER, PEOPLE, Office, office

from .reporting import (
    acknowledged,
    decided,
    disputed,
    finalised,
    pulled,
    rejected,
    repaired,
    report_of,
    reported,
)

WHO = PEOPLE[12]
SUBJECT = Subject(id_type="resident-id", id_number=WHO.id_number, name=WHO.name)
OVER = {"days": 100}
"""Beyond the effect of a minor finding."""


def states(here: Office, *records: bytes) -> list[str]:
    return [here.state(record) for record in records]


async def test_a_report_whose_effect_is_over_is_not_streamed_to_be_entered(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        (finding,) = await disputed(here, WHO, "办-1")
        await reported(here, finding, grade="MINOR")
        assert [one.act for one in await pulled(here)] == ["ENTER"]

        here.clock.pass_(**OVER)

        assert await pulled(here) == [], "also before anything noted that it is over"


@pytest.mark.parametrize("told", [True, False])
async def test_who_was_told_is_told_to_end_it_once_the_effect_is_over(tmp_path: Path, told: bool) -> None:
    async with office(tmp_path) as here:
        (finding,) = await disputed(here, WHO, "办-1")
        report = await reported(here, finding, grade="MINOR")
        (entered,) = await pulled(here)
        if told:
            await acknowledged(here, report)
        assert await here.flows.expire() == 0
        here.clock.pass_(**OVER)

        assert (await here.flows.expire(), await here.flows.expire()) == (1, 0)

        (ended,) = await pulled(here)
        assert (ended.act, ended.record, ended.content) == ("END", report, entered.content)
        assert ended.cursor > entered.cursor
        assert states(here, finding, report) == ["EFFECT_ENDED", "EFFECT_ENDED"]
        assert here.kinds(report)[-1] in _KINDS[credit_pb2.REPORT_ACT_END]
        assert isinstance(await here.flows.stand.eligibility(SUBJECT, MATTER, ITEM), Eligible)
        with pytest.raises(TransitionNotAllowed):
            await repaired(here, finding)


async def test_who_refused_a_report_is_told_nothing_when_the_effect_is_over(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        (finding,) = await disputed(here, WHO, "办-1")
        report = await reported(here, finding, grade="MINOR")
        await rejected(here, report)
        here.clock.pass_(**OVER)

        assert await here.flows.expire() == 1

        assert states(here, finding, report) == ["EFFECT_ENDED", "CLOSED"]
        assert await pulled(here) == []


async def test_only_what_is_over_ends_and_another_page_follows(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        *minor, serious = await disputed(here, WHO, *(f"办-{number}" for number in range(6)))
        for finding in minor:
            await reported(here, finding, grade="MINOR")
        await reported(here, serious, grade="SERIOUS")
        await repaired(here, minor[0])
        here.clock.pass_(**OVER)
        small = Expire(
            ledger=here.ledger, once=Once(here.ledger, BlindIndex(key=bytes(32), version=1)), report=here.flows.report,
            stopping=here.flows.stopping, now=here.clock, page=2,
        )  # fmt: skip

        assert sum(await asyncio.gather(small(), here.flows.expire())) == 4, "each once, whoever ends it"

        assert states(here, *minor, serious) == ["REPAIRED", *["EFFECT_ENDED"] * 4, "FINAL"]
        assert [one.act for one in await pulled(here)] == ["ENTER", *["END"] * 5]


async def test_a_finding_that_becomes_final_after_its_effect_is_reported_to_nobody(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        (finding,) = await disputed(here, WHO, "办-1")
        await decided(here, finding, grade="MINOR")
        here.clock.pass_(**OVER)

        done = await finalised(here, finding)

        assert [decode_entry(one).kind for one in done.entries] == ["FindingFinalised", "CommitmentBroken"]
        assert here.ledger.register().by_parent(finding, "report") == []
        assert await pulled(here) == []
        assert await here.flows.expire() == 1


async def test_what_is_erased_stops_no_other_from_ending(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        first, second = await disputed(here, WHO, "办-1", "办-2")
        erased = await reported(here, first, grade="MINOR")
        await reported(here, second, grade="MINOR")
        await here.erase_as_before(erased)
        here.clock.pass_(**OVER)

        await here.flows.expire()

        assert states(here, second, report_of(here, second)) == ["EFFECT_ENDED", "EFFECT_ENDED"]


def test_every_state_of_a_finding_has_a_number_on_the_wire() -> None:
    reached = {state for steps in FAMILIES["finding"].transitions.values() for state in steps.values()}
    assert reached <= {name.removeprefix("FINDING_STATE_") for name in audit_pb2.FindingState.keys()}  # noqa: SIM118


async def test_a_running_gateway_ends_it_by_the_clock(tmp_path: Path) -> None:
    async with office(tmp_path, tune={'expire_every = "1h"': 'expire_every = "50ms"'}) as here:
        (finding,) = await disputed(here, WHO, "办-1")
        await reported(here, finding, grade="MINOR")
        here.clock.pass_(**OVER)
        house, later = here.house, here.clock.now
    house.config.write_text(house.config.read_text("utf-8").replace("127.0.0.1:8443", "127.0.0.1:0"), "utf-8")
    stop, port = asyncio.Event(), asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(Gateway(load_settings(house.config), now=lambda: later).serve(port.set_result, stop))
    await asyncio.wait({serving, port}, return_when=asyncio.FIRST_COMPLETED)
    certificate, key = house.pair("credit")
    acts: list[int] = []
    async with open_channel(
        f"127.0.0.1:{await port}", authority=house.authority, certificate=certificate, key=key
    ) as channel:
        stub: credit_pb2_grpc.CreditServiceAsyncStub = credit_pb2_grpc.CreditServiceStub(channel)
        while not acts:
            acts = [one.act async for one in stub.PullReports(credit_pb2.PullReportsRequest(), timeout=20)]
    stop.set()
    await serving

    assert acts == [credit_pb2.REPORT_ACT_END]
