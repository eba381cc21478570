"""Reading what is recorded while its checkpoint is still to come: it is waited for, or refused for now."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from google.rpc import error_details_pb2, status_pb2

from gateway.errors import NotYetPublished
from gateway.flows.await_receipts import answer_by
from gateway.flows.look_up import LookUp
from gateway.flows.once import Once
from gateway.founding import House
from gateway.v1 import commitment_pb2 as pb
from gateway.v1 import commitment_pb2_grpc as pb_grpc
from gateway.v1 import verification_pb2
from ledger import BlindIndex, verify_receipt
from ledger.appends.publishing import Publisher
from ledger.v1 import ledger_pb2, ledger_pb2_grpc
from tests.gateway.flows.test_once import body, request
from tests.ledger.house import START, answered, build, new_record
from tests.ledger.test_publishing import NEVER

from .conftest import TIMEOUT, Town, operator, question, run_town

INDEX = BlindIndex(key=bytes(range(32)), version=1)


def signing_every(interval: str) -> Callable[[House], None]:
    def configure(house: House) -> None:
        text = house.config.read_text("utf-8")
        for before, after in (
            ('signing = "inline"', 'signing = "interval"'),
            ('publish_every = "1s"', f'publish_every = "{interval}"'),
        ):
            assert text.count(before) == 1
            text = text.replace(before, after)
        house.config.write_text(text, "utf-8")

    return configure


@pytest.fixture
async def slow_town(tmp_path: Path) -> AsyncIterator[Town]:
    """A town whose ledger signs once a second."""
    async for here in run_town(tmp_path, "sqlite:///ledger.sqlite3", signing_every("1s")):
        yield here


@pytest.fixture
async def slower_town(tmp_path: Path) -> AsyncIterator[Town]:
    async for here in run_town(tmp_path, "sqlite:///ledger.sqlite3", signing_every("4s")):
        yield here


async def found(look: Callable[[], Awaitable[str]]) -> str:
    while not (record := await look()):
        await asyncio.sleep(0.005)
    return record


async def test_whatever_is_read_before_it_is_published_comes_with_its_receipt(slow_town: Town) -> None:
    verification, commitment = slow_town.verification(), slow_town.commitment()

    async def newest() -> str:
        answer = await verification.ListVerifications(verification_pb2.ListVerificationsRequest(), timeout=TIMEOUT)
        return answer.verifications[0].record if answer.verifications else ""

    asking = asyncio.ensure_future(verification.Verify(question(), timeout=TIMEOUT))
    record = await found(newest)
    log = ledger_pb2_grpc.LedgerServiceStub(slow_town.channel("clerk"))
    with pytest.raises(grpc.aio.AioRpcError) as beyond:
        await log.GetReceipt(ledger_pb2.GetReceiptRequest(index=1000), timeout=TIMEOUT)
    assert beyond.value.code() is grpc.StatusCode.NOT_FOUND
    early, watched, answer = await asyncio.gather(
        verification.GetVerification(verification_pb2.GetVerificationRequest(record=record), timeout=TIMEOUT),
        first(
            verification.WatchVerification(verification_pb2.WatchVerificationRequest(record=record), timeout=TIMEOUT)
        ),
        asking,
    )
    assert early.receipt.index == watched.receipt.index == answer.receipt.index

    key = ec.generate_private_key(ec.SECP256R1())
    prepared = await commitment.PrepareCommitment(
        pb.PrepareCommitmentRequest(request_id=str(uuid.uuid4()), verification=record, operator=operator("clerk")),
        timeout=TIMEOUT,
    )
    signed = pb.RecordCommitmentRequest(
        request_id=str(uuid.uuid4()), record=prepared.record, document_digest=prepared.document_digest,
        certificate=slow_town.sign(prepared.document, key), operator=operator("clerk"),
    )  # fmt: skip
    asked = pb.GetCommitmentRequest(record=prepared.record)
    recording = asyncio.ensure_future(commitment.RecordCommitment(signed, timeout=TIMEOUT))

    async def recorded() -> str:
        answer = await commitment.ListCommitments(pb.ListCommitmentsRequest(), timeout=TIMEOUT)
        return next((one.record for one in answer.commitments if one.state == pb.COMMITMENT_STATE_RECORDED), "")

    await found(recorded)
    got, letter, pack, repeated, done = await asyncio.gather(
        commitment.GetCommitment(asked, timeout=TIMEOUT),
        commitment.GetCommitmentLetter(
            pb.GetCommitmentLetterRequest(record=prepared.record, format=pb.LETTER_FORMAT_TEXT), timeout=TIMEOUT
        ),
        commitment.GetEvidencePack(pb.GetEvidencePackRequest(record=prepared.record), timeout=TIMEOUT),
        commitment.RecordCommitment(signed, timeout=TIMEOUT),
        recording,
    )
    assert letter.content
    assert pack.pack
    assert repeated == done
    for receipt in (got.receipt, done.receipt):
        assert (receipt.index, receipt.record) == (done.receipt.index, prepared.record)
        proven(slow_town, receipt)


async def first(stream: grpc.aio.UnaryStreamCall) -> verification_pb2.WatchVerificationResponse:  # type: ignore[type-arg]
    async for response in stream:
        return response  # type: ignore[no-any-return]
    raise AssertionError("nothing was told")


def proven(town: Town, receipt: ledger_pb2.Receipt) -> None:
    from ledger import parse_vkey

    verifier = parse_vkey(town.house.vkey.read_text().strip())
    assert verify_receipt(receipt.proof, [verifier], verifier.name).index == receipt.index


async def test_what_nothing_publishes_in_time_is_refused_before_the_deadline_and_can_be_read_once_it_is(
    tmp_path: Path,
) -> None:
    house = build(f"sqlite:///{tmp_path}/ledger.db", tmp_path)
    with house.open(publishing=NEVER) as ledger:
        record = new_record()
        asked = request(body())
        once, look_up = Once(ledger, INDEX), LookUp(ledger)
        making = asyncio.create_task(once.record(asked, [answered(record, request=asked.body)], at=START))
        while ledger.size() == 0:
            await asyncio.sleep(0.005)
        reads: list[Callable[[], Awaitable[object]]] = [
            lambda: look_up.receipt(0),
            lambda: look_up.receipts([0]),
            lambda: once.replay(asked),
        ]
        for read in reads:
            deadline = asyncio.get_running_loop().time() + 0.4
            answer_by(deadline)
            with pytest.raises(NotYetPublished):
                await read()
            assert asyncio.get_running_loop().time() < deadline
        answer_by(asyncio.get_running_loop().time() + TIMEOUT)
        waiting = [asyncio.ensure_future(read()) for read in reads]
        await asyncio.sleep(0)
        publisher = ledger._progress
        assert isinstance(publisher, Publisher)
        await asyncio.to_thread(publisher.round)
        (proof, size), proofs, replayed = await asyncio.gather(*waiting)
        assert proofs == [proof] == list((await making).receipts) == list(replayed.receipts)
        assert size == 1


async def test_an_act_waits_for_its_receipt_as_long_as_its_call_and_whoever_ends_the_waiting_until_then(
    tmp_path: Path,
) -> None:
    house = build(f"sqlite:///{tmp_path}/ledger.db", tmp_path)
    with house.open(publishing=NEVER) as ledger:
        once, told = Once(ledger, INDEX), asyncio.Event()
        of_another = request(body(), 2)
        deadline = asyncio.get_running_loop().time() + 0.4
        answer_by(deadline)
        with pytest.raises(NotYetPublished):
            await asyncio.wait_for(once.record(request(body()), [answered()], at=START), 20)
        assert asyncio.get_running_loop().time() < deadline
        assert ledger.size() == 1  # it is recorded
        waiting = asyncio.create_task(once.record(of_another, [answered()], at=START, sequenced=told.set))
        await told.wait()
        await asyncio.sleep(0.5)
        assert not waiting.done()
        publisher = ledger._progress
        assert isinstance(publisher, Publisher)
        await asyncio.to_thread(publisher.round)
        assert len((await waiting).receipts) == 1
        assert (await once.record(request(body()), [answered()], at=START)).replayed


def refusal(error: grpc.aio.AioRpcError) -> str:
    details = dict(error.trailing_metadata() or ())["grpc-status-details-bin"]
    return reason(status_pb2.Status.FromString(details))  # type: ignore[arg-type]


async def test_acts_and_streams_are_refused_before_their_deadline_while_nothing_is_published(slower_town: Town) -> None:
    commitment, officer = slower_town.commitment(), operator("officer")
    answer = await slower_town.verification().Verify(question(), timeout=TIMEOUT)  # the next signing is far off now
    prepare = pb.PrepareCommitmentRequest(
        request_id=str(uuid.uuid4()), verification=answer.verification.record, operator=operator("clerk")
    )
    export = pb.ExportCommitmentsRequest(
        format=pb.EXPORT_FORMAT_CSV, operator=officer, purpose="报表"
    )  # fmt: skip

    async def prepared() -> str:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await commitment.PrepareCommitment(prepare, timeout=1)
        return refusal(caught.value)

    async def exported() -> str:
        exporting = pb_grpc.CommitmentServiceStub(slower_town.channel("officer")).ExportCommitments(export, timeout=1)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            async for _ in exporting:
                pass
        return refusal(caught.value)

    assert await asyncio.gather(prepared(), exported()) == ["NOT_YET_PUBLISHED"] * 2


def reason(status: status_pb2.Status) -> str:
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    return info.reason


async def test_an_answer_that_is_recorded_and_not_published_in_time_is_refused_as_its_repeat_is(
    slower_town: Town,
) -> None:
    verification = slower_town.verification()
    await verification.Verify(question(case="办1"), timeout=TIMEOUT)  # the next signing is as far off as can be
    asked = question(case="办2")
    batch = verification_pb2.BatchVerifyRequest(requests=[question(case="办3")])
    batch.timeout.FromMilliseconds(800)

    async def batched() -> str:
        stream = verification.BatchVerify(timeout=TIMEOUT)
        await stream.write(batch)
        await stream.done_writing()
        return "".join([reason(one.error) async for told in stream for one in told.results])

    async def alone() -> str:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await verification.Verify(asked, timeout=0.8)
        details = dict(caught.value.trailing_metadata() or ())["grpc-status-details-bin"]
        return reason(status_pb2.Status.FromString(details))

    for _ in range(2):
        assert await asyncio.gather(alone(), batched()) == ["NOT_YET_PUBLISHED"] * 2
    answer = await verification.Verify(asked, timeout=TIMEOUT)
    proven(slower_town, answer.receipt)
