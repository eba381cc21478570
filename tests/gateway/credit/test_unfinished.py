"""Nothing is erased that a finding or a report rests on which has still to end: nobody could end it any more."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from gateway.flows.commitments.documents import case_facts
from ledger import Draft, ErasureRefused, Submission
from tests.gateway.commitments.office import PEOPLE, Office, office
from tests.ledger.house import erasing

from .reporting import acknowledged, decided, disputed, finalised, pulled, rejected, repaired, reported

WHO = PEOPLE[12]


def chain(here: Office, finding: bytes) -> list[bytes]:
    """Give a finding, its commitment, and what that stands in for."""
    commitment = here.row(finding).parent or b""
    return [finding, commitment, here.row(commitment).parent or b""]


async def refused(here: Office, record: bytes, waiting: bytes) -> None:
    size = here.ledger.size()
    with pytest.raises(ErasureRefused) as caught:
        await here.erase(record)
    assert caught.value.mistakes == [
        f"record {record.hex()} is erased only after {here.row(waiting).family} {waiting.hex()} "
        f"({here.state(waiting)}) ended"
    ]
    assert here.ledger.size() == size


@pytest.mark.parametrize("told", [False, True], ids=["issued", "acknowledged"])
async def test_nothing_a_report_rests_on_is_erased_before_the_platform_is_told_to_end_it(
    tmp_path: Path, told: bool
) -> None:
    async with office(tmp_path) as here:
        (finding,) = await disputed(here, WHO, "办-1")
        report = await reported(here, finding, grade="MINOR")
        if told:
            await acknowledged(here, report)

        every = [report, *chain(here, finding)]
        for record in every:
            await refused(here, record, report)
        with pytest.raises(ErasureRefused) as caught:
            await here.erase(*every)
        assert len(caught.value.mistakes) == len(every), "each record is named"

        await repaired(here, finding)
        assert [one.act for one in await pulled(here)][-1:] == ["END"]
        await here.erase(*every)


async def test_nothing_an_open_finding_rests_on_is_erased_before_it_is_closed(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        (finding,) = await disputed(here, WHO, "办-1")
        for record in chain(here, finding):
            await refused(here, record, finding)
        await decided(here, finding)
        for record in chain(here, finding):
            await refused(here, record, finding)


async def test_what_was_cleared_up_or_refused_by_the_platform_keeps_nothing(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        cleared, other = await disputed(here, WHO, "办-1", "办-2")
        request = here.request("CloseFinding", system="auditor", record=cleared.hex())
        await here.flows.find.close(request, cleared, "CLEARED", "数据有误")
        report = await reported(here, other, grade="MINOR")
        await rejected(here, report)

        await here.erase(*chain(here, cleared))
        await here.erase(report)


async def test_what_a_report_does_not_rest_on_is_erased_though_it_is_of_the_same_person(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        (finding,) = await disputed(here, WHO, "办-1")
        await reported(here, finding, grade="MINOR")

        await here.erase(await here.verify(WHO, "办-2"))


async def test_a_finding_that_is_opened_at_the_same_moment_keeps_what_it_rests_on(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        commitment = await here.committed(WHO, "办-1")
        row = here.row(commitment)
        erase = erasing(here.ledger, row.parent or b"")._replace(at=here.clock.now)
        finding = os.urandom(16)
        opened = Draft(kind="DiscrepancyFound", record=finding, facts=case_facts(row, parent=commitment))

        _, lost = await asyncio.gather(
            here.ledger.append(Submission((opened,), here.clock.now)),
            here.ledger.append(erase),
            return_exceptions=True,
        )

        assert isinstance(lost, ErasureRefused)
        assert finding.hex() in str(lost)


async def test_a_report_that_is_issued_once_an_order_was_made_keeps_what_it_rests_on(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        (finding,) = await disputed(here, WHO, "办-1")
        *_, verification = chain(here, finding)
        await decided(here, finding)
        order = erasing(here.ledger, verification)._replace(at=here.clock.now)
        await finalised(here, finding)

        with pytest.raises(ErasureRefused, match="report"):
            await here.ledger.append(order)


async def test_what_can_never_end_because_of_an_older_erasure_keeps_nothing_for_ever(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        first, second = await disputed(here, WHO, "办-1", "办-2")
        await here.erase_as_before(chain(here, first)[1])
        report = await reported(here, second, grade="MINOR")
        rest = chain(here, second)[1:]
        await here.erase_as_before(second)

        await here.erase(first)
        await here.erase(report, *rest)
