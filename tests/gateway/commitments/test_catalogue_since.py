"""A catalogue that came between notice and decision: what it forbids is not signed, and what was signed stands."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from connectors.outcome import Kind
from gateway.errors import DiscrepancyFound, FoundSince, NotACommitmentStep, NotChecked, ProxyRefused

from .office import ITEM, MATTER, PEOPLE, Change, Office, agent, catalogue_of, execute, of_item, of_matter, office
from .test_newest import cleared, questioned

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
UNASKED: dict[str, tuple[Change, ...]] = {
    "gone": GONE,
    "another unit's": (of_matter(MATTER, ("uscc: 11230000000000101E", 'uscc: "112300000000002027"')),),
    "of organisations only": (of_item(ITEM, ("applicants: ANY", "applicants: ORGANISATION")),),
    "asked otherwise": (
        of_item(
            ITEM,
            ("parameters:\n      address:", "parameters:\n      place:"),
            (
                "{fact: home-ownership, expect: {address: $address}}",
                "{fact: home-ownership, expect: {address: $place}}",
            ),
            ("{fact: lease-filing, expect: {address: $address}}", "{fact: lease-filing, expect: {address: $place}}"),
        ),
    ),
}
"""Catalogues by which nobody of the unit may ask the question as it was asked."""
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


async def contradicted(here: Office) -> bytes:
    """Let a department contradict a commitment that is signed already, while nobody may ask the question again."""
    home, lease = await here.found(WHO, "办-1", None)
    execute(here.leases, "DELETE FROM lease WHERE id_number = ?", WHO.id_number)
    here.drop([(WHO.id_number, WHO.name, "别处9号")])
    await here.answer(lease, Kind.NO_RECORD)
    record = await here.committed(WHO, "办-1")
    enact(here, *GONE)
    size = here.ledger.size()
    await here.answer(home, Kind.MISMATCH)
    assert here.ledger.size() - size == 3, "two have seen it, one answered, and nothing could be asked again"
    return record


@pytest.mark.parametrize("changes", UNASKED.values(), ids=UNASKED)
async def test_what_a_department_contradicted_and_nobody_may_ask_any_more_is_looked_into(
    tmp_path: Path, changes: tuple[Change, ...]
) -> None:
    async with office(tmp_path) as here:
        record = await contradicted(here)
        enact(here, *changes)

        finding = await questioned(here, record)
        assert await questioned(here, record) == finding


async def test_what_was_cleared_up_is_decided_though_nobody_may_ask_any_more(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        record = await contradicted(here)
        await cleared(here, await questioned(here, record))

        await here.decide(record)
        assert here.state(record) == "IN_FORCE"


async def test_what_a_department_contradicted_is_asked_again_before_a_decision_where_that_may_be(
    tmp_path: Path,
) -> None:
    async with office(tmp_path) as here:
        record = await contradicted(here)
        enact(here)

        for _ in range(2):
            with pytest.raises(FoundSince):
                await here.decide(record)
        assert here.state(record) == "RECORDED"
        await here.verify(WHO, "办-1")
        with pytest.raises(DiscrepancyFound):
            await here.decide(record)


async def test_a_round_of_asking_passes_over_an_item_that_left_its_matter(tmp_path: Path) -> None:
    during = of_item(ITEM, ("timing: AFTER", "timing: DURING"))
    async with office(tmp_path, during) as here:
        record = await here.committed(WHO, "办-1")
        enact(here, during, *GONE)
        here.clock.now += timedelta(days=1)

        assert await here.flows.commitments.standing() == {"SKIPPED": 1}
        with pytest.raises(NotChecked):
            await here.decide(record)
