"""An older answer is no way around a newer one: only the newest answer to the claim of a case opens a commitment."""

import dataclasses
import os
import re
from pathlib import Path

import pytest
from msgspec import structs

from connectors.connector import Claim, Subject
from connectors.outcome import (
    AMBIGUOUS,
    MATCH,
    MISMATCH,
    NO_RECORD,
    NOT_COVERED,
    NOT_HELD,
    OTHER_IDENTITY,
    STALE,
    SUBJECT_INACTIVE,
    Cause,
    Evidence,
    Kind,
    Outcome,
    unavailable,
)
from gateway.catalogue.model import SourcePolicy
from gateway.catalogue.words import SourcePolicyKind
from gateway.errors import (
    CommitmentExists,
    DiscrepancyFound,
    DocumentErased,
    FoundSince,
    GatewayError,
    NotACommitmentStep,
    NotChecked,
)
from gateway.flows.commitments.documents import case_facts
from gateway.flows.verification.ask import Asked
from gateway.flows.verification.verify import fact_body
from gateway.rules.plan import FactCheck, Leaf, Node, NotOf, Plan
from gateway.rules.verdict import Judgement, Verdict
from ledger import Draft, Submission, new_record

from .office import ITEM, MATTER, PEOPLE, Office, execute, of_item, office
from .test_standing import QUORUM

WHO, OTHER = PEOPLE[12], PEOPLE[14]


async def refused(call: object) -> GatewayError:
    with pytest.raises(NotACommitmentStep) as caught:
        await call  # type: ignore[misc]
    return caught.value


async def contradicted(here: Office, case: str) -> bytes:
    """Let data come that contradict, and ask again."""
    here.contradict(WHO)
    return await here.verify(WHO, case)


async def test_no_document_is_handed_out_for_an_answer_that_a_newer_one_contradicts(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        first = await here.verify(WHO, "办-1")
        newer = await contradicted(here, "办-1")

        refusal = await refused(here.prepare(first))
        assert "DISPUTE" in str(refusal)
        assert refusal.recording is not None
        await refused(here.prepare(newer))


async def test_a_document_that_was_handed_out_is_not_recorded_once_a_newer_answer_contradicts(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        prepared = await here.prepare(await here.verify(WHO, "办-1"))
        await contradicted(here, "办-1")

        refusal = await refused(here.record(prepared, WHO))
        assert refusal.recording is not None
        assert here.state(prepared.record) == "PREPARED"


@pytest.mark.parametrize("unseen", "\u200e\u202c\u180e\u2061\u3164\u034f\u2800\ufe0f", ids=ascii)
async def test_what_people_found_untrue_opens_no_commitment_when_asked_with_what_nobody_sees(
    tmp_path: Path, unseen: str
) -> None:
    async with office(tmp_path) as here:
        await here.found(WHO, "办-1", Kind.MISMATCH)
        execute(here.leases, "DELETE FROM lease WHERE id_number = ?", WHO.id_number)

        written = {"address": f"{WHO.address}{unseen}"}
        for again in (
            await here.verify(WHO, "办-1", parameters=written),
            await here.verify(dataclasses.replace(WHO, name=f"{WHO.name}{unseen}"), "办-1"),
            await here.verify(WHO, f"办-{unseen}1"),
            await here.verify(WHO, "办-1", parameters={"address": re.sub(r"(\D)", r" \1 ", WHO.address)}),
        ):
            assert "DISPUTE" in str(await refused(here.prepare(again)))


async def test_what_was_found_of_a_claim_that_was_written_with_what_nobody_sees_is_heard_of_the_claim(
    tmp_path: Path,
) -> None:
    async with office(tmp_path) as here:
        first = here.row(await here.verify(WHO, "办-1", parameters={"address": f"{WHO.address}\u3164"}))
        asked = {"claim": "0" * 64, "who": "own-check", "question": here.document(first.first_idx)["request"]}
        checks = [
            Draft(
                kind="CheckRecorded", record=new_record(here.clock.now, os.urandom),
                groups={"asked": {**asked, "fact_type": fact}, "found": {"outcome": "MISMATCH"}},
                facts=case_facts(first, parent=first.record),
            )
            for fact in ("home-ownership", "lease-filing")
        ]  # fmt: skip
        await here.ledger.append(Submission(drafts=tuple(checks), at=here.clock.now))

        assert "DISPUTE" in str(await refused(here.prepare(await here.verify(WHO, "办-1"))))


@pytest.mark.parametrize("unseen", "\u3164\u034f\u2800\u180b\uffa0", ids=ascii)
async def test_a_case_has_one_commitment_whatever_nobody_sees_in_its_number(tmp_path: Path, unseen: str) -> None:
    async with office(tmp_path) as here:
        await here.committed(WHO, "办〔2026〕7")

        with pytest.raises(CommitmentExists):
            await here.committed(WHO, f"办〔2026〕{unseen}7")


async def test_a_text_pasted_with_what_nobody_sees_is_what_the_register_holds(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        execute(here.leases, "INSERT INTO lease VALUES (?, ?, ?)", WHO.id_number, WHO.name, WHO.address)
        pasted = await here.verify(WHO, "办-1", parameters={"address": f"\u200e{WHO.address}\u202c"})

        assert here.document(here.row(pasted).first_idx)["answer"]["verdict"] == "ESTABLISHED"  # type: ignore[index, call-overload]


async def test_a_newer_answer_that_still_opens_the_commitment_closes_nothing(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        first = await here.verify(WHO, "办-1")
        await here.verify(WHO, "办-1")

        await here.record(await here.prepare(first), WHO)


async def test_answers_to_other_claims_persons_and_cases_close_nothing(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        first = await here.verify(WHO, "办-1")
        here.drop([(WHO.id_number, WHO.name, "别处9号")])
        elsewhere = await here.verify(WHO, "办-1", parameters={"address": "别处9号"})  # another claim, which is true
        await here.verify(WHO, "办-2")
        await here.verify(OTHER, "办-1")

        assert here.document(here.row(elsewhere).first_idx)["answer"]["verdict"] == "ESTABLISHED"  # type: ignore[index, call-overload]
        await here.record(await here.prepare(first), WHO)


async def questioned(here: Office, record: bytes) -> bytes:
    """Check that a decision is refused, and that people look into why; gives the finding."""
    with pytest.raises(DiscrepancyFound) as caught:
        await here.decide(record)
    assert caught.value.recording is not None
    assert (here.state(record), here.state(caught.value.finding)) == ("QUESTIONED", "DISCREPANCY")
    return caught.value.finding


async def cleared(here: Office, finding: bytes) -> None:
    request = here.request("CloseFinding", system="auditor", record=finding.hex())
    await here.flows.find.close(request, finding, "CLEARED", "数据有误")


async def test_nothing_is_decided_upon_a_commitment_that_a_newer_answer_contradicts(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        record = await here.committed(WHO, "办-1")
        await contradicted(here, "办-1")

        finding = await questioned(here, record)
        assert await questioned(here, record) == finding, "one contradiction is one finding"


async def test_an_answer_that_concludes_nothing_takes_no_contradiction_back(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        record = await here.committed(WHO, "办-1")
        await contradicted(here, "办-1")
        here.drop([])
        execute(here.leases, "ALTER TABLE lease RENAME TO gone")
        away = await here.verify(WHO, "办-1")

        assert here.document(here.row(away).first_idx)["answer"]["next_step"]["kind"] == "RETRY_AFTER"  # type: ignore[index, call-overload]
        await questioned(here, record)


async def test_a_contradiction_by_people_before_the_decision_is_told_to_the_officer(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        record = await here.committed(WHO, "办-1")
        await here.found(WHO, "办-1", Kind.MISMATCH)

        await questioned(here, record)


@pytest.mark.parametrize("timing", ["AFTER", "DURING"])
@pytest.mark.parametrize("disclosure", ["PER_FACT", "AGGREGATE"])
async def test_nothing_is_decided_once_people_disproved_one_fact_though_another_is_open(
    tmp_path: Path, timing: str, disclosure: str
) -> None:
    changes = ("timing: AFTER", f"timing: {timing}"), ("number: 19\n", f"number: 19\n    disclosure: {disclosure}\n")
    async with office(tmp_path, of_item(ITEM, *changes)) as here:
        record = await here.committed(WHO, "办-1")
        await here.found(WHO, "办-1", Kind.MISMATCH, ["home-ownership"])

        await questioned(here, record)


async def test_nothing_is_decided_while_people_and_a_source_disagree(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        record = await here.committed(WHO, "办-1")
        await here.found(WHO, "办-1", Kind.MISMATCH, ["lease-filing"])
        execute(here.leases, "DELETE FROM lease WHERE id_number = ?", WHO.id_number)
        execute(here.leases, "INSERT INTO lease VALUES (?, ?, ?)", WHO.id_number, WHO.name, WHO.address)
        newest = await here.verify(WHO, "办-1")

        assert here.document(here.row(newest).first_idx)["answer"]["reasons"] == ["CONFLICT", "NO_RECORD"]  # type: ignore[index, call-overload]
        await questioned(here, record)


async def test_a_contradiction_is_not_passed_over_because_what_was_asked_first_is_erased(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        record = await here.committed(WHO, "办-1")
        await contradicted(here, "办-1")
        await here.erase(here.row(record).parent or b"")

        with pytest.raises(DocumentErased):
            await here.decide(record)
        assert here.state(record) == "RECORDED"


async def test_what_people_cleared_up_does_not_question_a_commitment_again(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        record = await here.committed(WHO, "办-1")
        await here.found(WHO, "办-1", Kind.MISMATCH)
        await cleared(here, await questioned(here, record))

        here.clock.pass_(days=2)
        assert dict(await here.flows.commitments.standing()) == {"STILL_MISSING": 1}
        await here.decide(record)
        assert here.state(record) == "IN_FORCE"


@pytest.mark.parametrize("timing", ["AFTER", "DURING"])
async def test_what_people_cleared_up_is_not_held_against_it_though_the_claim_is_asked_again(
    tmp_path: Path, timing: str
) -> None:
    async with office(tmp_path, of_item(ITEM, ("timing: AFTER", f"timing: {timing}"))) as here:
        record = await here.committed(WHO, "办-1")
        await here.found(WHO, "办-1", Kind.MISMATCH)
        await cleared(here, await questioned(here, record))
        newest = await here.verify(WHO, "办-1")

        assert here.document(here.row(newest).first_idx)["answer"]["verdict"] == "CONTRADICTED"  # type: ignore[index, call-overload]
        await here.decide(record)
        assert here.state(record) == "IN_FORCE"


async def test_what_sources_contradict_after_people_were_cleared_up_questions_it_again(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        record = await here.committed(WHO, "办-1")
        await here.found(WHO, "办-1", Kind.MISMATCH)
        finding = await questioned(here, record)
        await cleared(here, finding)
        execute(here.leases, "DELETE FROM lease WHERE id_number = ?", WHO.id_number)
        here.contradict(WHO)
        await here.verify(WHO, "办-1")

        assert await questioned(here, record) != finding


async def test_nothing_is_decided_while_no_source_tells_whether_only_what_was_cleared_up_contradicts(
    tmp_path: Path,
) -> None:
    async with office(tmp_path) as here:
        record = await here.committed(WHO, "办-1")
        await here.found(WHO, "办-1", Kind.MISMATCH)
        await cleared(here, await questioned(here, record))
        await here.verify(WHO, "办-1")
        execute(here.leases, "ALTER TABLE lease RENAME TO gone")

        with pytest.raises(NotChecked):
            await here.decide(record)
        assert here.state(record) == "RECORDED"


async def test_what_contradicts_after_it_was_cleared_up_questions_a_commitment_again(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        record = await here.committed(WHO, "办-1")
        await contradicted(here, "办-1")
        finding = await questioned(here, record)
        await cleared(here, finding)
        here.drop([(WHO.id_number, WHO.name, "又一处8号")])
        await here.verify(WHO, "办-1")

        assert await questioned(here, record) != finding


@pytest.mark.parametrize("disclosure", ["PER_FACT", "AGGREGATE"])
async def test_the_very_data_that_people_cleared_up_are_not_held_against_a_commitment_again(
    tmp_path: Path, disclosure: str
) -> None:
    change = of_item(ITEM, ("number: 19\n", f"number: 19\n    disclosure: {disclosure}\n"))
    async with office(tmp_path, change) as here:
        record = await here.committed(WHO, "办-1")
        await contradicted(here, "办-1")
        await cleared(here, await questioned(here, record))
        await here.verify(WHO, "办-1")
        here.clock.pass_(days=2)
        assert dict(await here.flows.commitments.standing()) == {"CLEARED_BEFORE": 1}

        await here.decide(record)
        here.drop([(WHO.id_number, WHO.name, "别处9号")])  # delivered anew, and not corrected
        here.clock.pass_(days=2)
        assert dict(await here.flows.commitments.standing()) == {"CLEARED_BEFORE": 1}
        assert here.state(record) == "IN_FORCE"

        execute(here.leases, "UPDATE lease SET address = '又一处8号'")
        here.clock.pass_(days=40)
        assert dict(await here.flows.commitments.standing()) == {"DISCREPANCY": 1}
        assert here.state(record) == "DISPUTED"


async def test_what_may_not_be_asked_any_more_is_no_reason_to_take_it_for_cleared_up(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        record = await here.committed(WHO, "办-1")
        await contradicted(here, "办-1")
        finding = await questioned(here, record)
        await cleared(here, finding)
        await here.verify(WHO, "办-1")
        catalogue = here.flows.book.catalogue
        matter = catalogue.matters[MATTER]
        without = dataclasses.replace(matter, items={code: one for code, one in matter.items.items() if code != ITEM})
        here.flows.book.put_in_force(dataclasses.replace(catalogue, matters={**catalogue.matters, MATTER: without}))

        assert await questioned(here, record) != finding


def planned_of(root: Node) -> Plan:
    """Plan a question of one fact."""
    subject = Subject(id_type="resident-id", id_number=WHO.id_number, name=WHO.name)
    check = FactCheck(
        id="f", fact_type="f", claim=Claim(fact_type="f", subject=subject, expected={"address": WHO.address}),
        absence_conclusive=True, policy=SourcePolicy(kind=SourcePolicyKind.QUORUM, k=1), sensitive=False,
    )  # fmt: skip
    return Plan(root=root, checks={"f": check})


async def test_what_people_find_untrue_is_new_beside_data_that_they_cleared_up(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        at = here.clock.now
        said = Evidence(source="s", fact_type="f", outcome=MISMATCH, asked_at=at, answered_at=at, as_of=at)
        found = Evidence(source="own-check", fact_type="f", outcome=MISMATCH, asked_at=at, answered_at=at)
        silent = Evidence(source="s", fact_type="f", outcome=NOT_COVERED, asked_at=at, answered_at=at)
        judged = Judgement(verdict=Verdict.CONTRADICTED)
        planned = planned_of(Leaf(id="f"))
        same = here.flows.verify.says_nothing_new
        kept = [[fact_body(said)]]

        assert same(planned, Asked(judgement=judged, evidence=(said, silent)), kept)
        assert not same(planned, Asked(judgement=judged, evidence=(said,), heard=(found,)), kept)
        assert not same(planned, Asked(judgement=judged, evidence=(said, structs.replace(said, source="t"))), kept)
        assert not same(planned, Asked(judgement=judged, evidence=(structs.replace(said, as_of=None),)), kept)
        assert not same(
            planned, Asked(judgement=judged, evidence=(structs.replace(said, outcome=OTHER_IDENTITY),)), kept
        )
        assert not same(planned, Asked(judgement=judged, evidence=(silent,)), kept), "nothing is no evidence"


@pytest.mark.parametrize(
    ("root", "against", "bears_out"),
    [
        (Leaf(id="f"), MISMATCH, MATCH),
        (NotOf(of=Leaf(id="f")), MATCH, MISMATCH),
        (NotOf(of=Leaf(id="f")), MATCH, NO_RECORD),
    ],
)
async def test_what_people_cleared_up_contradicts_anew_once_nobody_bears_the_applicant_out_any_more(
    tmp_path: Path, root: Node, against: Outcome, bears_out: Outcome
) -> None:
    async with office(tmp_path) as here:
        at, same, planned = here.clock.now, here.flows.verify.says_nothing_new, planned_of(root)
        a = Evidence(source="a", fact_type="f", outcome=against, asked_at=at, answered_at=at, as_of=at)
        b = structs.replace(a, source="b", outcome=bears_out)

        def says(outcome: Outcome) -> Asked:
            evidence = (a, structs.replace(b, outcome=outcome))
            return Asked(judgement=Judgement(verdict=Verdict.CONTRADICTED), evidence=evidence)

        kept = [[fact_body(one) for one in (a, b)]]
        for outcome in (SUBJECT_INACTIVE, NOT_HELD, NOT_COVERED, AMBIGUOUS, STALE, against):
            assert not same(planned, says(outcome), kept), outcome.kind
        for outcome in (bears_out, unavailable(Cause.OUTAGE), Outcome(kind=Kind.PENDING, until=at)):
            assert same(planned, says(outcome), kept), outcome.kind
        assert same(planned, Asked(judgement=says(b.outcome).judgement, evidence=(a,)), kept), "b was not asked"

        silent, gone = (fact_body(structs.replace(b, outcome=one)) for one in (unavailable(Cause.OUTAGE), NOT_HELD))
        assert not same(planned, says(NOT_HELD), [*kept, [fact_body(a), silent]])
        assert same(planned, says(NOT_HELD), [*kept, [fact_body(a), gone]]), "people knew by then"


async def test_answers_that_contradict_other_claims_persons_and_cases_hold_no_decision_up(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        record = await here.committed(WHO, "办-1")
        here.contradict(OTHER)
        await here.verify(OTHER, "办-1")
        here.contradict(WHO)
        await here.verify(WHO, "办-2")
        await here.verify(WHO, "办-1", parameters={"address": "又一处8号"})

        await here.decide(record)
        assert here.state(record) == "IN_FORCE"


async def test_a_newer_answer_without_the_contradiction_lets_the_decision_come(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        record = await here.committed(WHO, "办-1")
        await contradicted(here, "办-1")
        here.drop([(WHO.id_number, WHO.name, WHO.address)])
        await here.verify(WHO, "办-1")

        await here.decide(record)
        assert here.state(record) == "IN_FORCE"


async def test_a_decision_is_refused_over_a_contradiction_that_nobody_confirms(tmp_path: Path) -> None:
    async with office(tmp_path, *QUORUM) as here:
        record = await here.committed(WHO, "办-1")
        here.contradict(WHO)
        await here.verify(WHO, "办-1")

        with pytest.raises(DiscrepancyFound):
            await here.decide(record)
        assert here.state(record) == "QUESTIONED"


async def test_a_decision_passes_where_what_nobody_confirms_bears_the_commitment_out(tmp_path: Path) -> None:
    async with office(tmp_path, *QUORUM) as here:
        record = await here.committed(WHO, "办-1")
        here.drop([(WHO.id_number, WHO.name, WHO.address)])
        await here.verify(WHO, "办-1")

        await here.decide(record)
        assert here.state(record) == "IN_FORCE"


@pytest.mark.parametrize("disclosure", ["PER_FACT", "AGGREGATE"])
async def test_no_document_is_handed_out_for_what_people_found_untrue_in_another_case(
    tmp_path: Path, disclosure: str
) -> None:
    async with office(tmp_path, of_item(ITEM, ("number: 19\n", f"number: 19\n    disclosure: {disclosure}\n"))) as here:
        before = await here.verify(WHO, "办-2")
        await here.found(WHO, "办-1", Kind.MISMATCH, ["home-ownership"])
        execute(here.leases, "DELETE FROM lease")

        assert isinstance(await refused(here.prepare(before)), FoundSince)
        after = await here.verify(WHO, "办-2")
        assert "ASSISTANCE" in str(await refused(here.prepare(after)))


async def test_a_document_is_not_signed_once_people_found_its_claim_untrue_in_another_case(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        prepared = await here.prepare(await here.verify(WHO, "办-2"))
        await here.found(WHO, "办-1", Kind.MISMATCH, ["home-ownership"])

        refusal = await refused(here.record(prepared, WHO))
        assert isinstance(refusal, FoundSince)
        assert refusal.recording is not None
        assert here.state(prepared.record) == "PREPARED"


async def test_what_people_found_of_another_claim_or_person_refuses_no_signature(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        prepared = await here.prepare(await here.verify(WHO, "办-2"))
        await here.found(OTHER, "办-1", Kind.MISMATCH)
        await here.found(WHO, "办-1", Kind.NO_RECORD)

        await here.record(prepared, WHO)


async def test_what_was_found_in_another_case_and_is_erased_bars_nothing(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        for record in await here.found(WHO, "办-1", Kind.MISMATCH, ["home-ownership"]):
            await here.erase(record)
        execute(here.leases, "DELETE FROM lease")

        await here.record(await here.prepare(await here.verify(WHO, "办-2")), WHO)


async def test_a_commitment_made_before_is_not_questioned_for_what_was_found_in_another_case(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        record = await here.committed(WHO, "办-2")
        await here.found(WHO, "办-1", Kind.MISMATCH)
        execute(here.leases, "DELETE FROM lease")

        here.clock.pass_(days=2)
        assert dict(await here.flows.commitments.standing()) == {"STILL_MISSING": 1}
        await here.decide(record)
        assert here.state(record) == "IN_FORCE"
