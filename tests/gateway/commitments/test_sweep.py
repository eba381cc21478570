"""What runs out of time ends by itself, once, and only that."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.errors import TransitionNotAllowed
from gateway.flows.commitments.sweep import Sweep, Swept
from gateway.flows.once import Once
from gateway.rules.clocks import end_of_day, legal_day
from ledger import BlindIndex

from .office import MATTER, PEOPLE, Office, of_matter, office

WHO = PEOPLE[12]


async def sweep(here: Office) -> tuple[int, int]:
    swept = await here.flows.commitments.sweep()
    return swept.expired, swept.lapsed


async def test_a_document_that_nobody_signed_expires(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        documents = [await here.prepare(await here.verify(WHO, f"办-{n}")) for n in range(3)]
        signed = await here.committed(WHO, "办-9")
        here.clock.now = documents[0].expires_at
        assert await sweep(here) == (0, 0), "it can be signed until then"
        here.clock.pass_(seconds=1)

        assert await sweep(here) == (3, 0)
        assert await sweep(here) == (0, 0)

        assert [here.state(one.record) for one in documents] == ["EXPIRED"] * 3
        assert here.state(signed) == "RECORDED"


async def test_more_than_a_page_is_swept_at_once(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        verification = await here.verify(WHO, "办-1")
        await asyncio.gather(*(here.prepare(verification) for _ in range(20)))
        here.clock.pass_(hours=1)
        small = Sweep(
            ledger=here.ledger, once=Once(here.ledger, BlindIndex(key=bytes(32), version=1)),
            stopping=here.flows.stopping, now=here.clock, page=8,
        )  # fmt: skip

        assert await small() == Swept(expired=20, lapsed=0)


async def test_without_a_decision_a_commitment_lapses_and_is_never_decided(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        record, decided = await here.committed(WHO, "办-1"), await here.committed(WHO, "办-2")
        await here.decide(decided)
        here.clock.now = end_of_day(legal_day(here.clock.now) + timedelta(days=90))
        assert await sweep(here) == (0, 0), "the whole of the last day is there for the decision"
        here.clock.pass_(seconds=1)

        assert await sweep(here) == (0, 1)

        assert (here.state(record), here.state(decided)) == ("LAPSED", "IN_FORCE")
        for act in (here.decide, here.withdraw):
            with pytest.raises(TransitionNotAllowed):
                await act(record)


async def test_the_matter_says_how_soon_a_decision_must_come(tmp_path: Path) -> None:
    matter = of_matter(MATTER, ("    items:\n", "    decision_working_days: 20\n    items:\n"))
    async with office(tmp_path, matter) as here:
        record = await here.committed(WHO, "办-1")
        due = here.row(record).due_at
        assert due is not None
        assert timedelta(days=26) < due - here.clock.now < timedelta(days=45)
        here.clock.now = due + timedelta(seconds=1)

        assert await sweep(here) == (0, 1)


async def test_two_gateways_that_sweep_at_once_end_each_once(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        documents = [await here.prepare(await here.verify(WHO, f"办-{n}")) for n in range(4)]
        here.clock.pass_(hours=1)

        swept = await asyncio.gather(here.flows.commitments.sweep(), here.flows.commitments.sweep())

        assert sum(one.expired for one in swept) == 4
        assert all(here.kinds(one.record).count("CommitmentExpired") == 1 for one in documents)


async def test_a_gateway_about_to_stop_sweeps_no_further(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        await here.prepare(await here.verify(WHO, "办-1"))
        here.clock.pass_(hours=1)
        here.flows.stopping.set()

        assert await sweep(here) == (0, 0)
