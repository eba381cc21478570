"""Who may end the effect of a finding, and what that ends."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gateway.errors import RecordNotFound, TransitionNotAllowed
from gateway.flows.once import Request
from gateway.founding import SYSTEMS
from gateway.rules.roles import Role
from tests.gateway.commitments.office import PEOPLE, Office, office

from .reporting import disputed, repaired, reported

WHO = PEOPLE[12]


def foreign(here: Office, finding: bytes) -> Request:
    """Ask as a reviewer of another unit."""
    asked = here.request("RecordRepair", system="civil-clerk", record=finding.hex())
    return Request(
        caller=replace(asked.caller, roles=frozenset({Role.REVIEWER})),
        operator=asked.operator,
        request_id=asked.request_id,
        body=asked.body,
    )


async def test_a_reviewer_repairs_no_finding_of_another_unit_and_learns_of_none(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        opened, final, repaired_before = await disputed(here, WHO, "办-1", "办-2", "办-3")
        await reported(here, final)
        await reported(here, repaired_before)
        await repaired(here, repaired_before)
        size = here.ledger.size()

        told = set()
        for finding in (opened, final, repaired_before, bytes(16)):
            with pytest.raises(RecordNotFound) as caught:
                await here.flows.report.repair(foreign(here, finding), finding, "示修字1号")
            told.add((str(caught.value), caught.value.chinese))

        assert len(told) == 1
        assert here.ledger.size() == size
        assert here.state(final) == "FINAL"


async def test_a_reviewer_repairs_what_the_own_unit_found_and_the_credit_system_what_any_unit_found(
    tmp_path: Path,
) -> None:
    async with office(tmp_path) as here:
        first, second = await disputed(here, WHO, "办-1", "办-2")
        await reported(here, first)
        await reported(here, second)
        assert SYSTEMS["credit"][0] != SYSTEMS["reviewer"][0] == here.row(first).unit

        await repaired(here, first, system="reviewer")
        await repaired(here, second, system="credit")

        assert (here.state(first), here.state(second)) == ("REPAIRED", "REPAIRED")
        with pytest.raises(TransitionNotAllowed):
            await repaired(here, first, system="reviewer")
