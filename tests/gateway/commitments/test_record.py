"""A signed document becomes one commitment, or is refused with its reason and nothing else changes."""

from __future__ import annotations

import asyncio
import uuid
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.errors import (
    CommitmentBarred,
    CommitmentExists,
    DocumentExpired,
    GatewayError,
    InvalidRequest,
    RequestIdReused,
    SignatureRefused,
    TransitionNotAllowed,
)
from gateway.flows.commitments.prepare import Prepared
from gateway.rules.clocks import end_of_day, legal_day
from ledger import Draft, Submission, new_record

from .office import ITEM, PEOPLE, Office, agent, of_item, office, said

WHO, OTHER, THIRD = PEOPLE[12], PEOPLE[14], PEOPLE[16]
BY_PROXY = of_item(ITEM, ("proxy: false", "proxy: true"))


async def prepared(here: Office, case: str = "办-1") -> Prepared:
    return await here.prepare(await here.verify(WHO, case))


async def refused(here: Office, call: object, kind: type[GatewayError], about: bytes) -> GatewayError:
    """Check that a refusal is the one entry that was added, and that the commitment stands as it stood."""
    size, state = here.ledger.size(), here.state(about)
    with pytest.raises(kind) as caught:
        await call  # type: ignore[misc]
    refusal = caught.value
    assert here.ledger.size() == size + 1
    assert here.state(about) == state
    assert refusal.recording is not None
    kept = said(here.document(refusal.recording.index), "refusal")
    assert (kept["reason"], kept["explanation"]) == (refusal.reason, refusal.chinese)
    return refusal


async def test_a_signed_document_is_recorded_and_waits_for_its_decision(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        document = await prepared(here)
        recorded = await here.record(document, WHO)

        row = here.row(document.record)
        assert (row.state, row.due_at) == ("RECORDED", end_of_day(legal_day(here.clock.now) + timedelta(days=90)))
        assert recorded.receipts[0]
        assert set(here.last(document.record)) >= {"request", "signature", "clerk", "facts"}


async def test_a_repeated_request_is_recorded_once(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        document, identity = await prepared(here), str(uuid.uuid4())
        evidence = here.sign(document.document, WHO)
        request = here.request("RecordCommitment", identity=identity, signature=evidence.signature.hex())
        record = here.flows.commitments.record

        first = (await record(request, document.record, document.digest, evidence)).recorded
        again = (await record(request, document.record, document.digest, evidence)).recorded

        assert (again.entries, again.receipts, again.replayed) == (first.entries, first.receipts, True)
        assert here.kinds(document.record) == ["CommitmentPrepared", "CommitmentRecorded"]
        other = here.request("RecordCommitment", identity=identity, signature="00")
        with pytest.raises(RequestIdReused):
            await record(other, document.record, document.digest, evidence)


async def test_signed_again_the_commitment_that_exists_is_named(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        document = await prepared(here)
        await here.record(document, WHO)

        refusal = await refused(here, here.record(document, WHO), CommitmentExists, document.record)

        assert isinstance(refusal, CommitmentExists)
        assert refusal.commitment == document.record


async def test_signed_twice_with_another_content_the_second_is_refused(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        document = await prepared(here)
        await here.record(document, WHO)
        altered = document.document.replace(
            b"\xe5\xb7\xb2\xe7\x9f\xa5\xe6\x99\x93", b"\xe6\x9c\xaa\xe7\x9f\xa5\xe6\x99\x93"
        )
        assert altered != document.document

        await refused(here, here.record(document, WHO, document=altered), CommitmentExists, document.record)


async def test_two_clerks_at_once_record_one_commitment(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        document = await prepared(here)

        outcomes = await asyncio.gather(
            *(here.record(document, WHO) for _ in range(4)), return_exceptions=True
        )  # fmt: skip

        lost = [one for one in outcomes if isinstance(one, BaseException)]
        assert len(lost) == 3
        assert all(isinstance(one, CommitmentExists) and one.commitment == document.record for one in lost)
        assert here.kinds(document.record).count("CommitmentRecorded") == 1


async def test_two_documents_of_one_case_become_one_commitment_and_the_loser_is_told_which(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        documents = [await prepared(here), await prepared(here)]

        outcomes = await asyncio.gather(*(here.record(one, WHO) for one in documents), return_exceptions=True)

        (lost,) = (one for one in outcomes if isinstance(one, BaseException))
        states = {here.state(one.record): one.record for one in documents}
        assert set(states) == {"PREPARED", "RECORDED"}
        assert isinstance(lost, CommitmentExists)
        assert lost.commitment == states["RECORDED"]
        assert here.kinds(states["PREPARED"])[-1] == "CommitmentRefused"


async def test_a_document_altered_by_one_byte_is_refused(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        document = await prepared(here)
        altered = bytes([*document.document[:-1], document.document[-1] ^ 1])

        refusal = await refused(here, here.record(document, WHO, document=altered), SignatureRefused, document.record)

        assert "SIGNATURE_INVALID" in str(refusal)


async def test_a_digest_of_another_document_is_refused_and_recorded(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        document, other = await prepared(here), await prepared(here, "办-2")

        call = here.record(document, WHO, digest=other.digest, document=other.document)
        refusal = await refused(here, call, InvalidRequest, document.record)

        assert isinstance(refusal, InvalidRequest)
        assert [violation.field for violation in refusal.violations] == ["document_digest"]


async def test_a_signature_for_another_case_is_refused(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        document, other = await prepared(here), await prepared(here, "办-2")

        await refused(here, here.record(document, WHO, document=other.document), SignatureRefused, document.record)


async def test_a_signature_by_another_person_is_refused(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        document = await prepared(here)

        refusal = await refused(here, here.record(document, OTHER), SignatureRefused, document.record)

        assert "SIGNER_NOT_APPLICANT" in str(refusal)


async def test_where_an_agent_acts_only_the_agent_signs(tmp_path: Path) -> None:
    async with office(tmp_path, BY_PROXY) as here:
        document = await here.prepare(await here.verify(WHO, "办-1"), proxy=agent(OTHER))

        for signs in (WHO, THIRD):
            refusal = await refused(here, here.record(document, signs), SignatureRefused, document.record)
            assert "SIGNER_NOT_AGENT" in str(refusal)
        await here.record(document, OTHER)

        assert here.state(document.record) == "RECORDED"


async def test_a_late_signature_is_refused_and_the_document_expires(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        document = await prepared(here)
        here.clock.pass_(minutes=30, seconds=1)

        with pytest.raises(DocumentExpired):
            await here.record(document, WHO)
        with pytest.raises(DocumentExpired):
            await here.record(document, WHO)

        assert here.kinds(document.record) == ["CommitmentPrepared", "CommitmentExpired"]
        refusals = here.ledger.register().by_parent(document.record, "commitment")
        assert [row.state for row in refusals] == ["REFUSED", "REFUSED"]


async def test_a_document_can_be_signed_to_its_last_second(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        document = await prepared(here)
        here.clock.now = document.expires_at

        await here.record(document, WHO)

        assert here.state(document.record) == "RECORDED"


async def test_who_became_barred_between_notice_and_signature_is_refused(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        document = await prepared(here)
        subject = here.row(document.record).subject
        assert subject is not None
        finding, commitment = new_record(here.clock.now, _bytes), new_record(here.clock.now, _bytes)
        drafts = [Draft(kind="DiscrepancyFound", record=finding, facts={"subject": subject.hex(), "matter": "m"})]
        for kind in ("FalseProposed", "FindingNotified", "DefenceHeard", "FindingDecided", "FindingFinalised"):
            drafts.append(Draft(kind=kind, record=finding, facts={"parent": commitment.hex()}))
        await here.ledger.append(Submission(drafts=tuple(drafts), at=here.clock.now))

        refusal = await refused(here, here.record(document, WHO), CommitmentBarred, document.record)

        assert isinstance(refusal, CommitmentBarred)
        assert refusal.codes == ("BROKEN_UNREPAIRED",)


async def test_what_was_refused_cannot_be_signed(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        document = await prepared(here)
        here.contradict(OTHER)
        with pytest.raises(GatewayError) as caught:
            await here.prepare(await here.verify(OTHER, "办-9"))
        assert caught.value.recording is not None
        record = caught.value.recording.record

        await refused(here, here.record(document, WHO, record=record), TransitionNotAllowed, record)


def _bytes(count: int) -> bytes:
    return uuid.uuid4().bytes[:count]
