"""The platform gets every report that there is to tell, whatever became of others."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.gateway.commitments.office import PEOPLE, office

from .reporting import acknowledged, disputed, pulled, repaired, reported

WHO = PEOPLE[12]


@pytest.mark.parametrize("ended", [True, False])
async def test_an_erased_report_holds_up_none_that_follow_and_is_told_to_nobody(tmp_path: Path, ended: bool) -> None:
    async with office(tmp_path) as here:
        first, second, third = await disputed(here, WHO, "办-1", "办-2", "办-3")
        kept = await reported(here, first, grade="MINOR")
        erased = await reported(here, second, grade="MINOR")
        if ended:
            await acknowledged(here, erased)
            await repaired(here, second)
        await here.erase_as_before(erased)
        last = await reported(here, third)

        assert [one.record for one in await pulled(here)] == [kept, last]
        (entered,) = await pulled(here, limit=1)
        assert [one.record for one in await pulled(here, after=entered.cursor, limit=1)] == [last]
