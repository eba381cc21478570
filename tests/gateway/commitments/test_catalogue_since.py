"""A catalogue that came between notice and decision: what it forbids is not signed, and what was signed stands."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from connectors.outcome import Kind
from gateway.catalogue.model import Withdrawal
from gateway.catalogue.words import WithdrawalEffect, WithdrawalUntil
from gateway.errors import (
    DiscrepancyFound,
    FoundSince,
    MilestoneIrrelevant,
    NotACommitmentStep,
    NotChecked,
    ProxyRefused,
    WithdrawalClosed,
)
from gateway.flows.commitments.documents import window_told
from gateway.rules.clocks import legal_day
from gateway.rules.kept import rows, table, text
from gateway.rules.withdrawal import Milestone, Window
from ledger.canonical import Json

from .office import (
    ITEM,
    MATTER,
    PEOPLE,
    START,
    Change,
    Office,
    agent,
    catalogue_of,
    execute,
    of_item,
    of_matter,
    office,
)
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
CLOSED = of_item(ITEM, ("until: DECISION", "until: CLOSING_DATE"))
PROXIES = of_item(ITEM, ("proxy: false", "proxy: true"))


def closing_on(day: datetime) -> Change:
    """Let registration for the matter close on a day."""
    return of_matter(MATTER, ("    items:\n", f"    closing_date: {legal_day(day).isoformat()}\n    items:\n"))


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


async def pass_(here: Office, record: bytes, milestone: Milestone) -> None:
    request = here.request("RecordMilestone", record=record.hex(), milestone=milestone.value)
    await here.flows.commitments.withdraw.pass_milestone(request, record, milestone)


@pytest.mark.parametrize("signed", [True, False], ids=["signed before", "handed out before"])
async def test_a_withdrawal_that_was_promised_until_the_decision_is_not_taken_away(
    tmp_path: Path, signed: bool
) -> None:
    async with office(tmp_path) as here:
        prepared = await here.prepare(await here.verify(WHO, "办-1"))
        if signed:
            await here.record(prepared, WHO)
        enact(here, CLOSED, closing_on(START - timedelta(days=1)))
        if not signed:
            await here.record(prepared, WHO)

        for milestone in Milestone:
            with pytest.raises(MilestoneIrrelevant):
                await pass_(here, prepared.record, milestone)
        await here.withdraw(prepared.record)
        assert here.state(prepared.record) == "WITHDRAWN"


@pytest.mark.parametrize("closing", [-1, 0, 400], ids=["earlier", "the same day", "later"])
async def test_a_closing_date_that_was_promised_is_not_moved(tmp_path: Path, closing: int) -> None:
    async with office(tmp_path, CLOSED, closing_on(START + timedelta(days=2))) as here:
        kept, lost = await here.committed(WHO, "办-1"), await here.committed(WHO, "办-2")
        enact(here, CLOSED, closing_on(START + timedelta(days=closing)))

        here.clock.pass_(days=1)
        await here.withdraw(kept)
        here.clock.pass_(days=2)
        with pytest.raises(WithdrawalClosed):
            await here.withdraw(lost)


async def test_a_milestone_that_was_told_to_end_the_window_ends_it_whatever_the_catalogue_says_since(
    tmp_path: Path,
) -> None:
    async with office(tmp_path, of_item(ITEM, ("until: DECISION", "until: FEE_PAYMENT"))) as here:
        record = await here.committed(WHO, "办-1")
        enact(here)

        with pytest.raises(MilestoneIrrelevant):
            await pass_(here, record, Milestone.REGISTRATION_CLOSED)
        await pass_(here, record, Milestone.FEE_PAID)
        with pytest.raises(WithdrawalClosed):
            await here.withdraw(record)


async def test_what_is_signed_after_the_closing_date_is_not_withdrawn_and_was_not_promised_to_be(
    tmp_path: Path,
) -> None:
    async with office(tmp_path, CLOSED, closing_on(START - timedelta(days=2))) as here:
        prepared = await here.prepare(await here.verify(WHO, "办-1"))
        await here.record(prepared, WHO)

        (told,) = [text(table(one)["text"]) for one in rows(prepared.content["notice"])
                   if table(one)["part"] == "withdrawal"]  # fmt: skip
        assert "签署后不能撤回" in told
        assert "可以申请撤回" not in told
        with pytest.raises(WithdrawalClosed):
            await here.withdraw(prepared.record)


@pytest.mark.parametrize("kept", [{}, {"withdrawal": {"after_effect": "BARRED_THIS_YEAR"}}], ids=["nothing", "effect"])
def test_what_an_older_notice_does_not_tell_stands_as_the_catalogue_has_it(kept: dict[str, Json]) -> None:
    in_force = Window(rules=Withdrawal(until=WithdrawalUntil.CLOSING_DATE), closing_date=date(2026, 5, 1))

    window = window_told(kept, in_force)
    assert (window.rules.until, window.closing_date) == (WithdrawalUntil.CLOSING_DATE, date(2026, 5, 1))
    assert (window.rules.after_effect is WithdrawalEffect.BARRED_THIS_YEAR) == bool(kept)


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
