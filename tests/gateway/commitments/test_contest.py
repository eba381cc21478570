"""A refusal by rules alone is looked at by a second person, who may lift what judges about the person and no more."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.demo.people import Person
from gateway.errors import (
    CommitmentBarred,
    DocumentExpired,
    GatewayError,
    InvalidRequest,
    RecordNotFound,
    RefusalStands,
    SameOfficer,
    TransitionNotAllowed,
)
from gateway.flows.audit.find import Decision
from gateway.flows.once import Recorded, Request

from .office import CAST, PEOPLE, Office, deadline, execute, office, said

WHO, OTHER = PEOPLE[12], PEOPLE[14]


async def barred(here: Office, who: Person = WHO, case: str = "办-1") -> tuple[bytes, bytes]:
    """Let a person be refused; give the verification and the record of the refusal."""
    verification = await here.verify(who, case)
    with pytest.raises(GatewayError) as caught:
        await here.prepare(verification)
    assert caught.value.recording is not None
    return verification, caught.value.recording.record


async def listed(here: Office, who: Person = WHO) -> tuple[bytes, bytes]:
    here.list_("distrust", who)
    return await barred(here, who)


async def contest(here: Office, refusal: bytes, **by: str) -> Recorded:
    request = here.request("ContestRefusal", record=refusal.hex(), **by)
    return await here.flows.commitments.contest.contest(request, refusal, "同名不同人")


async def review(here: Office, refusal: bytes, *, lift: bool = True, person: str = "") -> Recorded:
    request = here.request("ReviewRefusal", system="reviewer", person=person, record=refusal.hex(), lift=lift)
    return await here.flows.commitments.contest.review(request, refusal, lift=lift, reason="经核实")


async def test_a_lifted_refusal_becomes_a_commitment_in_the_same_record(tmp_path: Path) -> None:
    async with office(tmp_path, lists=True) as here:
        verification, refusal = await listed(here)
        await contest(here, refusal)
        assert here.state(refusal) == "CONTESTED"
        assert said(here.last(refusal), "contest") == {"statement": "同名不同人"}
        await review(here, refusal)
        assert here.state(refusal) == "REFUSAL_LIFTED"

        prepared = await here.prepare(verification, lifted=refusal)
        await here.record(prepared, WHO)
        await here.decide(refusal)

        assert prepared.record == refusal
        assert here.kinds(refusal) == [
            "CommitmentRefused", "RefusalContested", "RefusalLifted", "CommitmentPrepared", "CommitmentRecorded",
            "DecisionRecorded",
        ]  # fmt: skip


async def test_days_later_a_new_verification_of_the_same_case_carries_it(tmp_path: Path) -> None:
    async with office(tmp_path, lists=True) as here:
        _, refusal = await listed(here)
        here.clock.pass_(days=5)
        await contest(here, refusal)
        await review(here, refusal)

        again = await here.verify(WHO, "办-1")
        await here.record(await here.prepare(again, lifted=refusal), WHO)

        assert (here.state(refusal), here.row(refusal).parent) == ("RECORDED", again)


async def test_what_became_of_a_lifted_refusal_can_be_found_false_and_is_reported_with_its_document(
    tmp_path: Path,
) -> None:
    async with office(tmp_path, lists=True) as here:
        verification, refusal = await listed(here)
        await contest(here, refusal)
        await review(here, refusal)
        await here.record(await here.prepare(verification, lifted=refusal), WHO)
        await here.decide(refusal)
        here.contradict(WHO)
        here.clock.pass_(days=2)
        assert dict(await here.flows.commitments.standing()) == {"DISCREPANCY": 1}
        (finding,) = here.ledger.register().by_parent(refusal, "finding")
        find = here.flows.find

        def act(method: str, person: str) -> Request:
            return here.request(method, system="auditor", person=person, record=finding.record.hex())

        await find.propose(act("ProposeFalse", "A-1"), finding.record, "地址不符")
        await find.notify(act("NotifyFinding", "A-1"), finding.record, "直接送达")
        await find.hear(act("HearDefence", "A-1"), finding.record, "无异议", waives_rest=True)
        decision = Decision(broken=True, document_number="示认字1号", grade="ORDINARY", reasons="事实清楚")
        await find.decide(act("DecideFinding", "A-2"), finding.record, decision)
        await find.finalise(act("FinaliseFinding", "A-2"), finding.record, deadline())

        (report,) = here.ledger.register().by_parent(finding.record, "report")
        told = said(here.document(report.first_idx), "report")
        assert (told["subject_code"], told["publication"]) == (WHO.id_number, "不可公开")
        assert here.state(refusal) == "BROKEN"


async def test_a_review_is_judged_on_the_refusal_as_it_is_when_it_is_lifted(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        _, refusal = await barred(here, PEOPLE[9])  # a minor: no reviewer can lift that
        overtaken = here.interrupted(lambda: contest(here, refusal, person="P-1"))
        with pytest.raises(TransitionNotAllowed):  # who contests it at the same moment is the same person, besides
            await review(overtaken, refusal, person="P-1")
        assert here.state(refusal) == "CONTESTED"


async def test_of_two_reviews_at_one_moment_the_second_is_refused(tmp_path: Path) -> None:
    async with office(tmp_path, lists=True) as here:
        _, refusal = await listed(here)
        await contest(here, refusal)
        overtaken = here.interrupted(lambda: review(here, refusal, lift=False, person="R-1"))
        with pytest.raises(TransitionNotAllowed):
            await review(overtaken, refusal, person="R-2")
        assert here.kinds(refusal) == ["CommitmentRefused", "RefusalContested", "RefusalUpheld"]


async def test_a_review_that_is_sent_twice_at_one_moment_is_answered_once(tmp_path: Path) -> None:
    async with office(tmp_path, lists=True) as here:
        _, refusal = await listed(here)
        await contest(here, refusal)
        request = here.request("ReviewRefusal", system="reviewer", record=refusal.hex(), lift=True)

        async def send(by: Office) -> Recorded:
            return await by.flows.commitments.contest.review(request, refusal, lift=True, reason="经核实")

        first: list[Recorded] = []

        async def before() -> None:
            first.append(await send(here))

        second = await send(here.interrupted(before))
        assert (second.entries, second.replayed) == (first[0].entries, True)


async def test_an_upheld_refusal_stands(tmp_path: Path) -> None:
    async with office(tmp_path, lists=True) as here:
        verification, refusal = await listed(here)
        await contest(here, refusal)
        await review(here, refusal, lift=False)

        assert here.state(refusal) == "REFUSAL_UPHELD"
        with pytest.raises(RefusalStands):
            await here.prepare(verification, lifted=refusal)
        with pytest.raises(TransitionNotAllowed):
            await contest(here, refusal)


async def test_a_lifted_refusal_is_used_once(tmp_path: Path) -> None:
    async with office(tmp_path, lists=True) as here:
        verification, refusal = await listed(here)
        await contest(here, refusal)
        await review(here, refusal)
        await here.prepare(verification, lifted=refusal)

        with pytest.raises(RefusalStands):
            await here.prepare(verification, lifted=refusal)


@pytest.mark.parametrize("noted", ["signed late", "swept", "not yet"])
async def test_a_document_that_expired_unsigned_does_not_use_a_lifted_refusal_up(tmp_path: Path, noted: str) -> None:
    async with office(tmp_path, lists=True) as here:
        verification, refusal = await listed(here)
        await contest(here, refusal)
        await review(here, refusal)
        late = await here.prepare(verification, lifted=refusal)
        here.clock.pass_(minutes=31)
        if noted == "signed late":
            with pytest.raises(DocumentExpired):
                await here.record(late, WHO)
        elif noted == "swept":
            await here.flows.commitments.sweep()

        again = await here.verify(WHO, "办-1")
        prepared = await here.prepare(again, lifted=refusal)

        assert (prepared.record, here.row(refusal).parent) == (refusal, again)
        kept = here.last(refusal)
        assert said(kept, "eligibility")["waived"] == said(here.document(late.recorded.first), "eligibility")["waived"]
        with pytest.raises(InvalidRequest):  # the document that expired is not signed instead
            await here.record(late, WHO)
        await here.record(prepared, WHO)
        assert here.kinds(refusal) == [
            "CommitmentRefused", "RefusalContested", "RefusalLifted", "CommitmentPrepared", "CommitmentExpired",
            "CommitmentPrepared", "CommitmentRefused", "CommitmentRecorded",
        ]  # fmt: skip
        assert here.document(here.row(refusal).last_idx)


async def test_a_lifted_refusal_is_used_up_by_a_signature(tmp_path: Path) -> None:
    async with office(tmp_path, lists=True) as here:
        verification, refusal = await listed(here)
        await contest(here, refusal)
        await review(here, refusal)
        await here.record(await here.prepare(verification, lifted=refusal), WHO)
        here.clock.pass_(minutes=31)
        again = await here.verify(WHO, "办-1")
        for _ in range(2):
            with pytest.raises(RefusalStands):
                await here.prepare(again, lifted=refusal)
            if here.state(refusal) == "RECORDED":
                await here.withdraw(refusal)
        assert here.state(refusal) == "WITHDRAWN"


async def test_a_document_that_expired_without_a_refusal_is_followed_by_none_in_its_record(tmp_path: Path) -> None:
    async with office(tmp_path, lists=True) as here:
        late = await here.prepare(await here.verify(WHO, "办-1"))
        here.clock.pass_(minutes=31)
        await here.flows.commitments.sweep()
        here.list_("distrust", WHO)
        again = await here.verify(WHO, "办-1")

        with pytest.raises(RefusalStands):
            await here.prepare(again, lifted=late.record)
        assert here.kinds(late.record) == ["CommitmentPrepared", "CommitmentExpired"]


async def test_what_came_since_the_refusal_is_not_waived_for_the_document_after_the_expired_one(
    tmp_path: Path,
) -> None:
    async with office(tmp_path, lists=True) as here:
        verification, refusal = await listed(here)
        await contest(here, refusal)
        await review(here, refusal)
        await here.prepare(verification, lifted=refusal)
        here.clock.pass_(minutes=31)
        here.list_("incapacity", WHO)

        with pytest.raises(CommitmentBarred) as caught:
            await here.prepare(await here.verify(WHO, "办-1"), lifted=refusal)
        assert caught.value.codes == ("CAPACITY_DECLARED",)


async def test_of_two_documents_at_one_moment_after_an_expired_one_one_is_handed_out(tmp_path: Path) -> None:
    async with office(tmp_path, lists=True) as here:
        verification, refusal = await listed(here)
        await contest(here, refusal)
        await review(here, refusal)
        await here.prepare(verification, lifted=refusal)
        here.clock.pass_(minutes=31)
        again = await here.verify(WHO, "办-1")

        async def first() -> None:
            await here.prepare(again, lifted=refusal, person="P-1")

        with pytest.raises((RefusalStands, TransitionNotAllowed)):
            await here.interrupted(first, times=1).prepare(again, lifted=refusal, person="P-2")
        assert here.kinds(refusal).count("CommitmentPrepared") == 2


async def test_lifting_waives_only_the_bars_of_that_refusal(tmp_path: Path) -> None:
    async with office(tmp_path, lists=True) as here:
        verification, refusal = await listed(here)
        await contest(here, refusal)
        await review(here, refusal)
        here.list_("incapacity", WHO)

        with pytest.raises(CommitmentBarred) as caught:
            await here.prepare(verification, lifted=refusal)

        assert caught.value.codes == ("CAPACITY_DECLARED",)
        assert here.state(refusal) == "REFUSAL_LIFTED", "the new refusal has a record of its own"


@pytest.mark.parametrize("person", ["clerk-01", " CLERK-01 "])
async def test_whoever_took_part_may_not_review(tmp_path: Path, person: str) -> None:
    async with office(tmp_path, lists=True) as here:
        _, refusal = await listed(here)
        await contest(here, refusal)

        with pytest.raises(SameOfficer):
            await review(here, refusal, person=person)
        assert here.state(refusal) == "CONTESTED"


async def test_what_nobody_contested_is_not_reviewed(tmp_path: Path) -> None:
    async with office(tmp_path, lists=True) as here:
        _, refusal = await listed(here)

        with pytest.raises(TransitionNotAllowed) as caught:
            await review(here, refusal)
        assert caught.value.recording is not None
        assert here.row(caught.value.recording.record).parent == refusal


async def test_another_department_neither_contests_nor_uses_it(tmp_path: Path) -> None:
    async with office(tmp_path, lists=True) as here:
        _, refusal = await listed(here)

        with pytest.raises(RecordNotFound):
            await contest(here, refusal, system="civil-clerk")


async def test_it_is_lifted_for_this_person_case_and_item_only(tmp_path: Path) -> None:
    async with office(tmp_path, lists=True) as here:
        _, refusal = await listed(here)
        await contest(here, refusal)
        await review(here, refusal)

        for verification in (await here.verify(WHO, "办-2"), await here.verify(OTHER, "办-1")):
            with pytest.raises(RefusalStands):
                await here.prepare(verification, lifted=refusal)


async def test_no_reviewer_opens_a_commitment_while_a_source_is_away(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        execute(here.leases, "DROP TABLE lease")
        _, refusal = await barred(here)
        await contest(here, refusal)

        with pytest.raises(RefusalStands):
            await review(here, refusal)
        await review(here, refusal, lift=False)
        assert here.state(refusal) == "REFUSAL_UPHELD"


async def test_no_reviewer_opens_a_commitment_over_contradicting_data(tmp_path: Path) -> None:
    async with office(tmp_path, lists=True) as here:
        _, refusal = await listed(here)
        await contest(here, refusal)
        await review(here, refusal)
        here.contradict(WHO)

        contradicted = await here.verify(WHO, "办-1")
        with pytest.raises(GatewayError) as caught:
            await here.prepare(contradicted, lifted=refusal)

        assert caught.value.reason == "NOT_A_COMMITMENT_STEP"


async def test_a_child_is_not_made_of_age_by_a_reviewer(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        _, refusal = await barred(here, CAST.minor)
        await contest(here, refusal)

        with pytest.raises(RefusalStands):
            await review(here, refusal)


async def test_who_is_sixteen_and_lives_on_own_labour_can_be_found_of_full_capacity(tmp_path: Path) -> None:
    """Civil Code, article 18."""
    async with office(tmp_path) as here:
        born = int(CAST.minor.id_number[6:10])
        here.clock.now = here.clock.now.replace(year=born + 17)
        verification, refusal = await barred(here, CAST.minor)
        await contest(here, refusal)
        await review(here, refusal)

        assert (await here.prepare(verification, lifted=refusal)).record == refusal
