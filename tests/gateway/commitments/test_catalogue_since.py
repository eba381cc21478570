"""A catalogue that came between notice and decision: what it forbids is not signed, and what was signed stands."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from connectors.outcome import Kind
from gateway.errors import FoundSince, NotACommitmentStep, NotChecked, ProxyRefused

from .office import ITEM, MATTER, PEOPLE, Change, Office, agent, catalogue_of, execute, of_item, of_matter, office

WHO, AGENT = PEOPLE[12], PEOPLE[14]
NEVER: tuple[Change, ...] = (
    of_item(
        ITEM,
        ("allowed: BY_DEFAULT", "allowed: NEVER"),
        ("ladder: [ASSISTANCE, OWN_OR_COMMISSIONED_CHECK, COMMITMENT]", "ladder: [ASSISTANCE]"),
    ),
    of_matter(MATTER, ("business-premises, ladder: [COMMITMENT]", "business-premises")),
)
GONE: tuple[Change, ...] = (of_matter(MATTER, ("      - {item: business-premises, ladder: [COMMITMENT]}\n", "")),)
OTHER_LADDER: tuple[Change, ...] = (
    of_matter(MATTER, ("business-premises, ladder: [COMMITMENT]", "business-premises, ladder: [ASSISTANCE]")),
)
PROXIES = of_item(ITEM, ("proxy: false", "proxy: true"))


def enact(here: Office, *changes: Change) -> None:
    here.flows.book.put_in_force(catalogue_of(changes))


@pytest.mark.parametrize("changes", [NEVER, GONE, OTHER_LADDER], ids=["never", "gone", "ladder"])
async def test_what_the_catalogue_forbids_since_the_notice_is_neither_handed_out_nor_signed(
    tmp_path: Path, changes: tuple[Change, ...]
) -> None:
    async with office(tmp_path) as here:
        verification = await here.verify(WHO, "办-1")
        prepared = await here.prepare(verification)
        enact(here, *changes)

        for act in (here.prepare(verification), here.record(prepared, WHO)):
            with pytest.raises(NotACommitmentStep) as caught:
                await act
            refusal = caught.value
            assert refusal.recording is not None
            assert ("not COMMITMENT" in str(refusal), "现行目录" in refusal.chinese) == (False, True)
        assert here.state(prepared.record) == "PREPARED"
        enact(here)
        await here.record(prepared, WHO)


async def test_an_agent_does_not_sign_once_the_item_lets_nobody_act_for_another(tmp_path: Path) -> None:
    async with office(tmp_path, PROXIES) as here:
        own = await here.prepare(await here.verify(WHO, "办-1"))
        acts = await here.prepare(await here.verify(WHO, "办-2"), proxy=agent(AGENT))
        enact(here)

        with pytest.raises(ProxyRefused) as caught:
            await here.record(acts, AGENT)
        assert caught.value.code == "NOT_ALLOWED"
        await here.record(own, WHO)


@pytest.mark.parametrize("changes", [NEVER, GONE, OTHER_LADDER], ids=["never", "gone", "ladder"])
async def test_what_was_signed_stands_and_is_decided_by_the_rules_of_its_day(
    tmp_path: Path, changes: tuple[Change, ...]
) -> None:
    async with office(tmp_path) as here:
        record = await here.committed(WHO, "办-1")
        enact(here, *changes)

        await here.decide(record)
        assert here.state(record) == "IN_FORCE"


async def test_a_decision_hears_a_department_that_contradicted_once_the_item_left_its_matter(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        home, lease = await here.found(WHO, "办-1", None)
        execute(here.leases, "DELETE FROM lease WHERE id_number = ?", WHO.id_number)
        here.drop([(WHO.id_number, WHO.name, "别处9号")])
        await here.answer(lease, Kind.NO_RECORD)
        record = await here.committed(WHO, "办-1")
        enact(here, *GONE)
        size = here.ledger.size()
        await here.answer(home, Kind.MISMATCH)

        assert here.ledger.size() - size == 3, "two have seen it, one answered, and nothing could be asked again"
        with pytest.raises(FoundSince):
            await here.decide(record)
        assert here.state(record) == "RECORDED"


async def test_a_round_of_asking_passes_over_an_item_that_left_its_matter(tmp_path: Path) -> None:
    during = of_item(ITEM, ("timing: AFTER", "timing: DURING"))
    async with office(tmp_path, during) as here:
        record = await here.committed(WHO, "办-1")
        enact(here, during, *GONE)
        here.clock.now += timedelta(days=1)

        assert await here.flows.commitments.standing() == {"SKIPPED": 1}
        with pytest.raises(NotChecked):
            await here.decide(record)
