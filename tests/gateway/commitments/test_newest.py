"""An older answer is no way around a newer one: only the newest answer to the claim of a case opens a commitment."""

from pathlib import Path

import pytest

from gateway.errors import GatewayError, NotACommitmentStep

from .office import PEOPLE, Office, office

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
