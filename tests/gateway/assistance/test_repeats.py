"""A request that comes again while the first is being recorded is the same request."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import pytest

from gateway.errors import AssistanceOpen
from gateway.flows.assistance.assist import Sending
from gateway.flows.assistance.values import Assisted
from gateway.founding import SYSTEMS
from tests.gateway.commitments.office import PEOPLE, deadline, execute, office

WHO = PEOPLE[12]
CIVIL = SYSTEMS["source-officer"][0]
DELAYS = [number / 5000 for number in range(60)]
"""Seconds after which the repeat comes: before, while and after the first is recorded."""


async def twice(do: Callable[[], Awaitable[Assisted]], delay: float) -> None:
    """Do something, and again after some time; both must have come to the same entries."""

    async def later() -> Assisted:
        await asyncio.sleep(delay)
        return await do()

    first, again = await asyncio.gather(do(), later())
    assert first.recorded.entries == again.recorded.entries
    assert first.verification == again.verification
    assert sorted((first.recorded.replayed, again.recorded.replayed)) == [False, True]


async def test_sending_again_while_the_first_is_recorded_is_answered_as_the_first(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        for address in ("甲路1号", "乙路2号"):
            execute(here.leases, "INSERT INTO lease VALUES (?, ?, ?)", WHO.id_number, WHO.name, address)
        for number, delay in enumerate(DELAYS):
            asked = await here.verify(WHO, f"办-{number}")
            sending = Sending(verification=asked, unit=CIVIL, fact_type="lease-filing", working_days=5, note="")
            request = here.request("SendAssistance", fact_type=sending.fact_type)

            await twice(partial(here.flows.assist.send, request, sending, deadline()), delay)

            other = here.request("SendAssistance", fact_type=sending.fact_type)
            with pytest.raises(AssistanceOpen):
                await here.flows.assist.send(other, sending, deadline())
