"""Until when a commitment can be taken back, what a decision starts, and what a contradiction before it does."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors.connector import Subject
from connectors.outcome import Kind
from gateway.bootstrap.flows import build_flows
from gateway.bootstrap.opening import open_index
from gateway.config import load_settings
from gateway.errors import (
    CommitmentBarred,
    DiscrepancyFound,
    MilestoneIrrelevant,
    NotChecked,
    StepRefused,
    TransitionNotAllowed,
    WithdrawalClosed,
)
from gateway.flows.assistance.values import Checking, Finding
from gateway.flows.once import Recorded
from gateway.rules.admission import Operator
from gateway.rules.clocks import end_of_day, legal_day
from gateway.rules.eligibility import Eligible
from gateway.rules.withdrawal import Milestone
from ledger import LedgerUnavailable, parse_vkey, verify_receipt

from .office import (
    ITEM,
    MATTER,
    PEOPLE,
    START,
    Office,
    catalogue_of,
    deadline,
    execute,
    of_item,
    of_matter,
    office,
    said,
)

WHO = PEOPLE[12]
UNTIL_FEE = of_item(ITEM, ("until: DECISION", "until: FEE_PAYMENT"))
UNTIL_CLOSING = of_item(ITEM, ("until: DECISION", "until: CLOSING_DATE"))
DURING = of_item(ITEM, ("timing: AFTER", "timing: DURING"))
NEVER = of_item(ITEM, ("timing: AFTER", "timing: NONE"))
LOST_BARS = of_item("lost-document", ("after_effect: NONE", "after_effect: BARRED_THIS_YEAR"))
LOST = {"document_kind": "示例许可证", "document_number": "示-1"}


async def pass_(here: Office, record: bytes, milestone: Milestone) -> Recorded:
    request = here.request("RecordMilestone", record=record.hex(), milestone=milestone.value)
    return await here.flows.commitments.withdraw.pass_milestone(request, record, milestone)


async def test_a_commitment_is_withdrawn_before_the_decision_and_nothing_is_deleted(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        record = await here.committed(WHO, "办-1")
        await here.withdraw(record, "找到了证明")

        assert here.kinds(record) == ["CommitmentPrepared", "CommitmentRecorded", "CommitmentWithdrawn"]
        assert said(here.last(record), "withdrawal") == {"reason": "找到了证明", "after_effect": "NONE"}
        assert here.row(record).due_at is None
        for act in (here.withdraw, here.decide):
            with pytest.raises(TransitionNotAllowed):
                await act(record)


async def test_a_decided_commitment_cannot_be_withdrawn(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        record = await here.committed(WHO, "办-1")
        await here.decide(record)

        with pytest.raises(TransitionNotAllowed):
            await here.withdraw(record)


async def test_of_a_decision_and_a_withdrawal_at_once_one_holds(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        record = await here.committed(WHO, "办-1")

        outcomes = await asyncio.gather(here.decide(record), here.withdraw(record), return_exceptions=True)

        (lost,) = (one for one in outcomes if isinstance(one, BaseException))
        assert isinstance(lost, TransitionNotAllowed)
        assert len(here.kinds(record)) == 3


async def test_after_the_fee_nothing_is_withdrawn_where_the_item_says_so(tmp_path: Path) -> None:
    async with office(tmp_path, UNTIL_FEE) as here:
        record = await here.committed(WHO, "办-1")
        await pass_(here, record, Milestone.FEE_PAID)

        assert here.state(record) == "BINDING"
        with pytest.raises(WithdrawalClosed):
            await here.withdraw(record)
        with pytest.raises(TransitionNotAllowed):
            await pass_(here, record, Milestone.FEE_PAID)
        await here.decide(record)
        assert here.state(record) == "IN_FORCE"


async def test_before_the_fee_it_can_be_withdrawn(tmp_path: Path) -> None:
    async with office(tmp_path, UNTIL_FEE) as here:
        record = await here.committed(WHO, "办-1")
        await here.withdraw(record)

        with pytest.raises(TransitionNotAllowed):
            await pass_(here, record, Milestone.FEE_PAID)


@pytest.mark.parametrize("milestone", list(Milestone))
async def test_a_milestone_takes_no_right_away_that_ends_with_the_decision(
    tmp_path: Path, milestone: Milestone
) -> None:
    async with office(tmp_path) as here:
        record = await here.committed(WHO, "办-1")

        with pytest.raises(MilestoneIrrelevant):
            await pass_(here, record, milestone)

        await here.withdraw(record)


async def test_the_closing_date_of_the_matter_ends_the_window_by_itself(tmp_path: Path) -> None:
    last = (START + timedelta(days=3)).date()
    matter = of_matter(MATTER, ("    items:\n", f"    closing_date: {last.isoformat()}\n    items:\n"))
    async with office(tmp_path, UNTIL_CLOSING, matter) as here:
        early, late = await here.committed(WHO, "办-1"), await here.committed(WHO, "办-2")
        here.clock.now = START.replace(hour=15, minute=59) + timedelta(days=3)  # 23:59 in China
        await here.withdraw(early)
        here.clock.pass_(minutes=1)

        with pytest.raises(WithdrawalClosed):
            await here.withdraw(late)
        assert here.state(late) == "RECORDED"


async def refused(here: Office, act: Awaitable[object], kind: type[StepRefused], record: bytes) -> StepRefused:
    """Check that a refusal is recorded, provable and in Chinese, in a record of its own, and that nothing changed."""
    before, size = here.row(record), here.ledger.size()
    with pytest.raises(kind) as caught:
        await act
    refusal = caught.value
    assert (here.row(record), here.ledger.size()) == (before, size + 1)
    assert refusal.recording is not None
    verifier = parse_vkey(here.house.vkey.read_text())
    proven = verify_receipt(refusal.recording.proof, [verifier], verifier.name)
    assert proven.entry.kind == "CommitmentRefused"
    trace = here.row(proven.entry.record)
    assert (trace.state, trace.parent, trace.unit, trace.subject) == ("REFUSED", record, before.unit, before.subject)
    kept = said(here.document(proven.index), "refusal")
    assert (kept["reason"], kept["explanation"]) == (refusal.reason, refusal.chinese)
    return refusal


async def test_past_its_time_nothing_is_decided_or_withdrawn_though_nobody_swept(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        record = await here.committed(WHO, "办-1")
        due = here.row(record).due_at
        assert due is not None
        here.clock.now = due + timedelta(seconds=1)

        for act in (here.decide, here.withdraw):
            refusal = await refused(here, act(record), TransitionNotAllowed, record)
            assert refusal.chinese == "当前状态(失效)不允许此操作。"
        here.clock.now = due
        await here.decide(record)
        assert here.state(record) == "IN_FORCE"


async def test_what_is_refused_of_a_withdrawn_commitment_is_recorded(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        record = await here.committed(WHO, "办-1")
        await here.withdraw(record)

        for act in (here.decide, here.withdraw):
            await refused(here, act(record), TransitionNotAllowed, record)
        await refused(here, pass_(here, record, Milestone.FEE_PAID), MilestoneIrrelevant, record)


async def test_a_withdrawal_while_people_look_into_a_contradiction_is_refused_and_recorded(tmp_path: Path) -> None:
    async with office(tmp_path, DURING) as here:
        record = await here.committed(WHO, "办-1")
        here.contradict(WHO)
        with pytest.raises(DiscrepancyFound):
            await here.decide(record)

        await refused(here, here.withdraw(record), TransitionNotAllowed, record)
        await refused(here, here.decide(record), DiscrepancyFound, record)


async def test_a_withdrawal_after_its_window_is_recorded_as_refused(tmp_path: Path) -> None:
    async with office(tmp_path, UNTIL_FEE) as here:
        record = await here.committed(WHO, "办-1")
        await pass_(here, record, Milestone.FEE_PAID)

        await refused(here, here.withdraw(record), WithdrawalClosed, record)


async def test_a_decision_without_a_check_is_recorded_as_refused(tmp_path: Path) -> None:
    async with office(tmp_path, DURING) as here:
        record = await here.committed(WHO, "办-1")
        execute(here.leases, "DROP TABLE lease")
        with pytest.raises(NotChecked) as caught:
            await here.decide(record)

        assert caught.value.recording is not None
        assert here.row(caught.value.recording.record).parent == record


async def test_what_is_refused_of_an_unsigned_document_stands_in_its_record(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        prepared = await here.prepare(await here.verify(WHO, "办-1"))
        for act in (here.withdraw, here.decide):
            with pytest.raises(TransitionNotAllowed):
                await act(prepared.record)

        assert here.kinds(prepared.record) == ["CommitmentPrepared", "CommitmentRefused", "CommitmentRefused"]
        await here.record(prepared, WHO)
        assert here.state(prepared.record) == "RECORDED"


async def test_a_repeated_request_is_recorded_as_refused_once_and_open_when_the_rule_fell_away(tmp_path: Path) -> None:
    async with office(tmp_path, DURING) as here:
        record = await here.committed(WHO, "办-1")
        request = here.request("RecordDecision", record=record.hex())
        execute(here.leases, "ALTER TABLE lease RENAME TO gone")
        sizes = []
        for _ in range(2):
            with pytest.raises(NotChecked):
                await here.flows.commitments.decide(request, record, "x", deadline())
            sizes.append(len(here.ledger.register().by_parent(record, "commitment")))
        execute(here.leases, "ALTER TABLE gone RENAME TO lease")
        here.clock.pass_(seconds=40)

        await here.flows.commitments.decide(request, record, "x", deadline())

        assert (sizes, here.state(record)) == ([1, 1], "IN_FORCE")


async def test_a_decision_starts_the_clock_of_the_audit_after_it(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        record = await here.committed(WHO, "办-1")
        await here.decide(record)

        due = here.row(record).due_at
        assert due is not None
        assert due - here.clock.now > timedelta(days=80), "sixty working days"


@pytest.mark.parametrize("timing", [NEVER, DURING])
async def test_no_clock_runs_where_nothing_is_audited_afterwards(tmp_path: Path, timing: object) -> None:
    async with office(tmp_path, timing) as here:  # type: ignore[arg-type]
        record = await here.committed(WHO, "办-1")
        await here.decide(record)

        assert (here.state(record), here.row(record).due_at) == ("IN_FORCE", None)


async def lost(here: Office, case: str) -> bytes:
    return await here.verify(WHO, case, item="lost-document", parameters=LOST)


async def test_a_withdrawal_bars_by_the_rule_of_what_was_withdrawn_and_the_whole_matter(tmp_path: Path) -> None:
    async with office(tmp_path, LOST_BARS) as here:
        await here.withdraw(await here.committed(WHO, "办-1"))
        prepared = await here.prepare(await lost(here, "办-2"))
        await here.record(prepared, WHO)
        await here.withdraw(prepared.record)

        for verification in (await here.verify(WHO, "办-3"), await lost(here, "办-4")):
            with pytest.raises(CommitmentBarred) as caught:
                await here.prepare(verification)
            assert caught.value.codes == ("WITHDRAWN_THIS_YEAR",)


@pytest.mark.parametrize("withdrawn_before", [True, False])
@pytest.mark.parametrize("told", [True, False])
async def test_a_later_catalogue_does_not_change_what_a_withdrawal_does(
    tmp_path: Path, told: bool, withdrawn_before: bool
) -> None:
    barring, harmless = catalogue_of((LOST_BARS,)), catalogue_of(())
    async with office(tmp_path, *((LOST_BARS,) if told else ())) as here:
        prepared = await here.prepare(await lost(here, "办-1"))
        await here.record(prepared, WHO)
        if withdrawn_before:
            await here.withdraw(prepared.record)
        here.flows.book.put_in_force(harmless if told else barring)
        if not withdrawn_before:
            await here.withdraw(prepared.record)
        effect = "BARRED_THIS_YEAR" if told else "NONE"
        assert said(here.last(prepared.record), "withdrawal")["after_effect"] == effect

        verification = await lost(here, "办-2")
        if told:
            with pytest.raises(CommitmentBarred):
                await here.prepare(verification)
        else:
            assert (await here.prepare(verification)).document


async def test_an_erased_withdrawal_bars_nobody(tmp_path: Path) -> None:
    async with office(tmp_path, LOST_BARS) as here:
        prepared = await here.prepare(await lost(here, "办-1"))
        await here.record(prepared, WHO)
        await here.withdraw(prepared.record)
        await here.erase(prepared.record)

        assert (await here.prepare(await lost(here, "办-2"))).document


async def test_what_is_checked_before_the_decision_is_checked_when_it_is_decided(tmp_path: Path) -> None:
    async with office(tmp_path, DURING) as here:
        record = await here.committed(WHO, "办-1")
        await here.decide(record)

        assert here.kinds(record)[-2:] == ["CommitmentRequeried", "DecisionRecorded"]
        assert len(here.ledger.register().by_parent(record, "verification")) == 1


async def test_nothing_is_decided_unchecked_while_a_source_is_away(tmp_path: Path) -> None:
    async with office(tmp_path, DURING) as here:
        record = await here.committed(WHO, "办-1")
        execute(here.leases, "ALTER TABLE lease RENAME TO gone")

        with pytest.raises(NotChecked) as caught:
            await here.decide(record)

        assert caught.value.retry_after
        assert here.state(record) == "RECORDED"
        execute(here.leases, "ALTER TABLE gone RENAME TO lease")
        here.clock.pass_(seconds=40)
        await here.decide(record)
        assert here.state(record) == "IN_FORCE"


async def test_nothing_is_decided_unchecked_when_no_source_covers_what_was_asked(tmp_path: Path) -> None:
    async with office(tmp_path, DURING) as here:
        record = await here.committed(WHO, "办-1")
        settings, flows = load_settings(here.house.config), here.flows
        here.flows = build_flows(
            settings, ledger=here.ledger, index=open_index(settings.ledger), catalogue=flows.book.catalogue, sources={},
            now=here.clock,
        )  # fmt: skip

        with pytest.raises(NotChecked) as caught:
            await here.decide(record)

        assert (caught.value.retry_after, "没有数据来源" in caught.value.chinese) == (None, True)
        here.clock.pass_(days=8)
        assert await here.flows.commitments.standing() == {"NOT_REACHED": 1}
        assert here.kinds(record) == ["CommitmentPrepared", "CommitmentRecorded"]
        here.flows = flows
        await here.decide(record)
        assert here.state(record) == "IN_FORCE"


@pytest.mark.parametrize("outcome", [Kind.NO_RECORD, Kind.MISMATCH])
async def test_what_no_source_covers_is_checked_by_people_after_it_was_signed(tmp_path: Path, outcome: Kind) -> None:
    async with office(tmp_path, DURING) as here:
        settings = load_settings(here.house.config)
        here.flows = build_flows(
            settings, ledger=here.ledger, index=open_index(settings.ledger), catalogue=here.flows.book.catalogue,
            sources={}, now=here.clock,
        )  # fmt: skip
        record = await here.committed(WHO, "办-1")
        verification = here.row(record).parent
        assert verification is not None

        async def check(kind: Kind) -> None:
            second = Operator(person="clerk-02", unit=here.row(record).unit or "")
            checking = Checking(
                verification=verification, fact_type="lease-filing", method="ON_SITE", commission=None,
                finding=Finding(outcome=kind, basis="笔录", second=second),
            )  # fmt: skip
            await here.flows.assist.check(here.request("RecordCheck", outcome=kind.value), checking, deadline())

        with pytest.raises(NotChecked, match="check by people") as caught:
            await here.decide(record)
        assert "自行核查" in caught.value.chinese
        await check(outcome)

        if outcome is Kind.MISMATCH:
            with pytest.raises(DiscrepancyFound):
                await here.decide(record)
        else:
            await here.decide(record)
        assert here.state(record) == ("QUESTIONED" if outcome is Kind.MISMATCH else "IN_FORCE")


async def test_nothing_is_decided_unchecked_when_what_was_asked_is_erased(tmp_path: Path) -> None:
    async with office(tmp_path, DURING) as here:
        record = await here.committed(WHO, "办-1")
        verification = here.row(record).parent
        assert verification is not None
        await here.erase(verification)
        here.contradict(WHO)

        refusal = await refused(here, here.decide(record), NotChecked, record)

        assert isinstance(refusal, NotChecked)
        assert (refusal.retry_after, "无法再向数据来源核查" in refusal.chinese) == (None, True)
        await here.withdraw(record)


async def test_nothing_is_decided_unchecked_when_its_matter_left_the_catalogue(tmp_path: Path) -> None:
    async with office(tmp_path, DURING) as here:
        record = await here.committed(WHO, "办-1")
        book = here.flows.book
        matters = {code: matter for code, matter in book.catalogue.matters.items() if code != MATTER}
        book.put_in_force(replace(book.catalogue, matters=matters))

        refusal = await refused(here, here.decide(record), NotChecked, record)

        assert isinstance(refusal, NotChecked)
        assert refusal.retry_after is None


async def test_a_check_before_the_decision_is_kept_when_a_milestone_comes_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = of_item(ITEM, ("until: DECISION", "until: FEE_PAYMENT"), ("timing: AFTER", "timing: DURING"))
    async with office(tmp_path, both) as here:
        record = await here.committed(WHO, "办-1")
        ask = here.flows.verify.ask

        async def slow(*asked: Any, **planned: Any) -> Any:
            answer = await ask(*asked, **planned)
            await pass_(here, record, Milestone.FEE_PAID)
            return answer

        monkeypatch.setattr(here.flows.verify, "ask", slow)
        await here.decide(record)

        assert here.kinds(record)[-3:] == ["MilestonePassed", "CommitmentRequeried", "DecisionRecorded"]
        assert len(here.ledger.register().by_parent(record, "verification")) == 1


async def requeried(here: Office, record: bytes) -> None:
    """Let the sources be asked about a commitment, which tells nothing new."""
    operator = Operator(person="standing-query", unit=here.row(record).unit or "")
    assert (await here.flows.requery.one(here.row(record), operator, deadline())).result == "STILL_MISSING"


@pytest.mark.parametrize("act", [Office.withdraw, Office.decide])
async def test_an_act_that_something_harmless_overtakes_is_judged_again_and_recorded(
    tmp_path: Path, act: Callable[[Office, bytes], Awaitable[Recorded]]
) -> None:
    async with office(tmp_path) as here:
        record = await here.committed(WHO, "办-1")
        await act(here.interrupted(lambda: requeried(here, record), times=3), record)
        assert here.kinds(record)[2:5] == ["CommitmentRequeried"] * 3
        assert here.state(record) in ("WITHDRAWN", "IN_FORCE")


async def test_an_act_that_is_overtaken_all_the_time_is_refused_for_now(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        record = await here.committed(WHO, "办-1")
        overtaken = here.interrupted(lambda: requeried(here, record), times=1000)
        with pytest.raises(LedgerUnavailable):
            await overtaken.withdraw(record)
        assert here.state(record) == "RECORDED"


async def test_of_a_milestone_and_a_withdrawal_at_once_the_first_holds(tmp_path: Path) -> None:
    async with office(tmp_path, UNTIL_FEE) as here:
        record = await here.committed(WHO, "办-1")
        with pytest.raises(WithdrawalClosed):
            await here.interrupted(lambda: pass_(here, record, Milestone.FEE_PAID)).withdraw(record)
        assert here.state(record) == "BINDING"


async def test_what_was_cleared_up_while_the_sources_were_asked_is_not_questioned_for_their_answer(
    tmp_path: Path,
) -> None:
    async with office(tmp_path) as here:
        record = await here.committed(WHO, "办-1")
        here.contradict(WHO)
        operator = Operator(person="standing-query", unit=here.row(record).unit or "")

        async def cleared() -> None:
            assert (await here.flows.requery.one(here.row(record), operator, deadline())).result == "DISCREPANCY"
            (finding,) = here.ledger.register().by_parent(record, "finding")
            await close(here, finding.record, "CLEARED")

        overtaken = here.interrupted(cleared)
        asked = await overtaken.flows.requery.one(here.row(record), operator, deadline())
        assert (asked.result, here.state(record)) == ("SKIPPED", "RECORDED")


async def test_a_commitment_that_is_withdrawn_while_it_is_checked_is_not_decided(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with office(tmp_path, DURING) as here:
        record = await here.committed(WHO, "办-1")
        ask = here.flows.verify.ask

        async def slow(*asked: Any, **planned: Any) -> Any:
            answer = await ask(*asked, **planned)
            await here.withdraw(record)
            return answer

        monkeypatch.setattr(here.flows.verify, "ask", slow)
        with pytest.raises(TransitionNotAllowed):
            await here.decide(record)

        assert here.kinds(record)[-1] == "CommitmentWithdrawn"


async def test_a_contradiction_before_the_decision_is_told_to_the_officer_and_proves_nothing(tmp_path: Path) -> None:
    async with office(tmp_path, DURING) as here:
        record = await here.committed(WHO, "办-1")
        here.contradict(WHO)

        for _ in range(2):
            with pytest.raises(DiscrepancyFound) as caught:
                await here.decide(record)
        finding = caught.value.finding

        assert (here.state(record), here.state(finding)) == ("QUESTIONED", "DISCREPANCY")
        with pytest.raises(TransitionNotAllowed):
            await here.withdraw(record)
        subject = Subject(id_type="resident-id", id_number=WHO.id_number, name=WHO.name)
        assert isinstance(await here.flows.stand.eligibility(subject, MATTER, ITEM), Eligible)


async def close(here: Office, finding: bytes, kind: str) -> None:
    request = here.request("CloseFinding", system="auditor", record=finding.hex(), identity=str(uuid.uuid4()))
    await here.flows.find.close(request, finding, kind, "数据有误")


async def test_cleared_it_waits_for_its_decision_again_for_the_whole_time(tmp_path: Path) -> None:
    async with office(tmp_path, DURING) as here:
        record = await here.committed(WHO, "办-1")
        here.contradict(WHO)
        with pytest.raises(DiscrepancyFound) as caught:
            await here.decide(record)
        here.clock.pass_(days=100)
        await here.flows.commitments.sweep()
        assert here.state(record) == "QUESTIONED", "what people look into does not lapse"

        await close(here, caught.value.finding, "CLEARED")

        assert here.state(record) == "RECORDED"
        assert here.row(record).due_at == end_of_day(legal_day(here.clock.now) + timedelta(days=90))
        here.drop([])
        execute(here.leases, "DELETE FROM lease")
        await here.decide(record)
        assert here.state(record) == "IN_FORCE"


async def test_what_could_not_be_cleared_up_ends_without_a_decision(tmp_path: Path) -> None:
    async with office(tmp_path, DURING) as here:
        record = await here.committed(WHO, "办-1")
        here.contradict(WHO)
        with pytest.raises(DiscrepancyFound) as caught:
            await here.decide(record)

        await close(here, caught.value.finding, "INCONCLUSIVE")

        assert (here.state(record), here.row(record).due_at) == ("INCONCLUSIVE", None)
        with pytest.raises(TransitionNotAllowed):
            await here.decide(record)


async def test_a_window_that_was_over_stays_over_when_a_contradiction_is_cleared(tmp_path: Path) -> None:
    both = of_item(ITEM, ("until: DECISION", "until: FEE_PAYMENT"), ("timing: AFTER", "timing: DURING"))
    async with office(tmp_path, both) as here:
        record = await here.committed(WHO, "办-1")
        await pass_(here, record, Milestone.FEE_PAID)
        here.contradict(WHO)
        with pytest.raises(DiscrepancyFound) as caught:
            await here.decide(record)
        await close(here, caught.value.finding, "CLEARED")

        with pytest.raises(WithdrawalClosed):
            await here.withdraw(record)
