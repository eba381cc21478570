"""Acknowledgement levels: what is durable, what is published, what is witnessed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from ledger import (
    EntryMissing,
    EntryUnpublished,
    Ledger,
    LedgerClosed,
    Level,
    Publishing,
    ReceiptLate,
    SignAfter,
    Signing,
    StoreError,
    WrongKey,
    verify_receipt,
)
from ledger.appends.publishing import Publisher
from ledger.appends.waiting import Patience
from ledger.commands import RecordReader, prove
from ledger.completeness.proof import parse_completeness
from ledger.log.checkpoint import open_checkpoint
from ledger.log.store import read_covering_note, read_head
from tests.ledger.house import ORIGIN, START, House, answered, build, new_record, submission

SLOWLY = Publishing(signing=Signing.INTERVAL, interval=0.05)
NEVER = Publishing(signing=Signing.INTERVAL, interval=3600)


class OneWitness:
    """A witness in this process: it signs what it is shown with its own key, if it continues what it saw."""

    def __init__(self, house: House) -> None:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        from ledger import Ed25519Signer

        self.signer = Ed25519Signer("witness.example", Ed25519PrivateKey.generate())
        self.willing = True
        self.asked: list[int] = []

    def collect(self, note: bytes, size: int, prove: Callable[[int, int], list[bytes]]) -> list[str]:
        from ledger.log.note import sign_note, split_note

        self.asked.append(size)
        text, _ = split_note(note)
        return split_note(sign_note(text, [self.signer]))[1] if self.willing else []

    def satisfied(self, lines: Sequence[str]) -> bool:
        return len(lines) >= 1

    def close(self) -> None:
        self.willing = False


async def test_a_sequenced_entry_is_durable_and_has_no_receipt_yet(house: House) -> None:
    with house.open(publishing=NEVER) as ledger:
        done = await ledger.append(submission(answered()), Level.SEQUENCED)
        assert (done.entries[0].index, done.size, done.receipts) == (0, 0, ())
        assert ledger.size() == 1
        assert open_checkpoint(ledger.checkpoint(), [house.signer.verifier], ORIGIN).size == 0


async def test_a_published_entry_waits_for_its_checkpoint(house: House) -> None:
    with house.open(publishing=SLOWLY) as ledger:
        done = await asyncio.gather(*(ledger.append(submission(answered())) for _ in range(100)))
        for one in done:
            proved = verify_receipt(one.receipts[0], [house.signer.verifier], ORIGIN)
            assert (proved.index, proved.size) == (one.entries[0].index, one.size)
        assert len({one.size for one in done}) < 100


async def test_a_repeated_request_gets_the_receipt_of_the_first_checkpoint_again(house: House) -> None:
    key = bytes.fromhex("019ab0c00000") + b"once"
    with house.open(publishing=SLOWLY) as ledger:
        first = await ledger.append(submission(answered(), key=key))
        for _ in range(3):
            await ledger.append(submission(answered()))
        again = await ledger.append(submission(answered(), key=key))
        assert (again.receipts, again.size, again.replayed) == (first.receipts, first.size, True)


async def test_whoever_waits_for_publication_is_told_when_the_ledger_closes(house: House) -> None:
    ledger = house.open(publishing=NEVER)
    waiting = asyncio.create_task(ledger.append(submission(answered())))
    while ledger.size() == 0:
        await asyncio.sleep(0)
    await asyncio.to_thread(ledger.close)
    with pytest.raises(LedgerClosed):
        await waiting


async def test_hurry_ends_whoever_waits_for_publication_and_what_they_recorded_is_published_later(house: House) -> None:
    with house.open(publishing=NEVER) as ledger:
        waiting = [
            asyncio.create_task(ledger.append(submission(answered()))),
            asyncio.create_task(asyncio.to_thread(ledger.append_blocking, submission(answered()))),
            asyncio.create_task(asyncio.to_thread(ledger.commit_index, START)),
        ]
        while ledger.size() < 3:
            await asyncio.sleep(0.01)
        assert not any(one.done() for one in waiting)
        ledger.hurry()
        for ended in await asyncio.gather(*waiting, return_exceptions=True):
            assert isinstance(ended, LedgerClosed)
        with pytest.raises(LedgerClosed):
            ledger.append_blocking(submission(answered()))
    with house.open(publishing=SLOWLY) as ledger:
        await ledger.published(4)
        assert len(ledger.receipts([0, 1, 2, 3])) == 4


async def test_a_witnessed_entry_carries_the_cosignature_for_ever(house: House) -> None:
    witness = OneWitness(house)
    key = bytes.fromhex("019ab0c00000") + b"once"
    with house.open(publishing=Publishing(interval=0.05, cosigners=witness)) as ledger:
        done = await ledger.append(submission(answered(), key=key), Level.WITNESSED)
        receipt = done.receipts[0]
        assert verify_receipt(receipt, [house.signer.verifier], ORIGIN).size == done.size
        open_checkpoint(receipt.split(b"\n\n", 1)[1], [witness.signer.verifier], ORIGIN)
        await ledger.append(submission(answered()), Level.WITNESSED)
        again = await ledger.append(submission(answered(), key=key), Level.WITNESSED)
        assert again.receipts == done.receipts


async def test_what_was_witnessed_before_a_restart_waits_for_no_witness(house: House) -> None:
    witness = OneWitness(house)
    key = bytes.fromhex("019ab0c00000") + b"once"
    publishing = Publishing(interval=0.02, cosigners=witness)
    with house.open(publishing=publishing) as ledger:
        first = await ledger.append(submission(answered(), key=key), Level.WITNESSED)
    witness.willing = False
    with house.open(publishing=publishing) as ledger:
        again = await asyncio.wait_for(ledger.append(submission(answered(), key=key), Level.WITNESSED), 20)
        assert again.receipts == first.receipts
        assert ledger.append_blocking(submission(answered(), key=key), Level.WITNESSED).receipts == first.receipts


async def test_with_sign_after_witness_nothing_is_published_without_the_witness(house: House) -> None:
    witness = OneWitness(house)
    witness.willing = False
    publishing = Publishing(
        signing=Signing.INTERVAL, sign_after=SignAfter.WITNESS, interval=0.02, cosigners=witness
    )  # fmt: skip
    with house.open(publishing=publishing) as ledger:
        waiting = asyncio.create_task(ledger.append(submission(answered())))
        while len(witness.asked) < 3:
            await asyncio.sleep(0.01)
        assert not waiting.done()
        assert open_checkpoint(ledger.checkpoint(), [house.signer.verifier], ORIGIN).size == 0
        witness.willing = True
        done = await waiting
        open_checkpoint(done.receipts[0].split(b"\n\n", 1)[1], [witness.signer.verifier], ORIGIN)


async def test_a_checkpoint_signed_but_never_published_is_the_one_published_after_a_restart(house: House) -> None:
    witness = OneWitness(house)
    witness.willing = False
    publishing = Publishing(
        signing=Signing.INTERVAL, sign_after=SignAfter.WITNESS, interval=0.02, cosigners=witness
    )  # fmt: skip
    with house.open(publishing=publishing) as ledger:
        await ledger.append(submission(answered()), Level.SEQUENCED)
        while len(witness.asked) < 2:
            await asyncio.sleep(0.01)
    signed = set(witness.asked)
    witness.willing = True
    with house.open(publishing=publishing) as ledger:
        done = await ledger.append(submission(answered()))
        assert done.size >= 2
        assert signed == {1}
        assert verify_receipt(done.receipts[0], [house.signer.verifier], ORIGIN).size == done.size


def cosigned(witness: OneWitness, receipt: bytes) -> bool:
    """Tell whether a receipt carries a good cosignature of the witness."""
    try:
        open_checkpoint(receipt.split(b"\n\n", 1)[1], [witness.signer.verifier], ORIGIN)
    except WrongKey:
        return False
    return True


def proofs(house: House, ledger: Ledger, index: int, size: int | None = None) -> list[bytes]:
    """Every way to the receipt of an entry."""
    receipts = [ledger.receipt(index, size), prove(house.url, index, size)]
    if size is None:
        with RecordReader(house.url, origin=ORIGIN, master_keys=house.master_keys) as reader:
            receipts += [*ledger.receipts([index]), *reader.receipts([index])]
    return receipts


async def test_a_receipt_carries_the_cosignatures_of_its_checkpoint_whoever_asks_for_it(house: House) -> None:
    witness = OneWitness(house)
    with house.open(publishing=Publishing(interval=0.02, cosigners=witness)) as ledger:
        done = await ledger.append(submission(answered()), Level.WITNESSED)
        witness.willing = False
        later = await ledger.append(submission(answered()))
        assert later.size > done.size
        for receipt in [*proofs(house, ledger, 0), *proofs(house, ledger, 0, done.size)]:
            assert verify_receipt(receipt, [house.signer.verifier], ORIGIN).size == done.size
            assert cosigned(witness, receipt)
        # What no witnessed checkpoint covers is proved against the newest; and a size that is asked for is that size.
        for receipt in [*proofs(house, ledger, 1), *proofs(house, ledger, 0, later.size)]:
            assert verify_receipt(receipt, [house.signer.verifier], ORIGIN).size == later.size
            assert not cosigned(witness, receipt)
        both = ledger.receipts([0, 1])
        assert {verify_receipt(one, [house.signer.verifier], ORIGIN).size for one in both} == {later.size}
        assert ledger.receipts([]) == []
        open_checkpoint(ledger.checkpoint(done.size), [witness.signer.verifier], ORIGIN)
        witness.willing = True
        await ledger.append(submission(answered()), Level.WITNESSED)
        open_checkpoint(ledger.checkpoint(), [witness.signer.verifier], ORIGIN)


async def test_a_completeness_proof_carries_the_cosignatures_of_its_checkpoint(house: House) -> None:
    witness = OneWitness(house)
    record = new_record()
    with house.open(publishing=Publishing(interval=0.02, cosigners=witness)) as ledger:
        await ledger.append(submission(answered(record)))
        await asyncio.to_thread(ledger.commit_index, START)
        await ledger.append(submission(answered()), Level.WITNESSED)
        proof = ledger.prove_completeness(record)
    assert cosigned(witness, parse_completeness(proof).receipt)


async def test_what_is_signed_and_may_not_leave_yet_leaves_in_no_receipt(house: House) -> None:
    witness = OneWitness(house)
    publishing = Publishing(
        signing=Signing.INTERVAL, sign_after=SignAfter.WITNESS, interval=0.02, cosigners=witness
    )  # fmt: skip
    with house.open(publishing=publishing) as ledger:
        await ledger.append(submission(answered()))
        witness.willing, asked = False, len(witness.asked)
        await ledger.append(submission(answered()), Level.SEQUENCED)
        while len(witness.asked) < asked + 2:
            await asyncio.sleep(0.01)
        for refused in (
            lambda: ledger.checkpoint(2),
            lambda: ledger.receipt(0, 2),
            lambda: ledger.receipt(1, 2),
            lambda: ledger.receipt(1),
            lambda: prove(house.url, 0, 2),
            lambda: prove(house.url, 1),
            lambda: ledger.receipts([0, 1]),
        ):
            with pytest.raises(EntryMissing):
                refused()
        assert verify_receipt(ledger.receipt(0), [house.signer.verifier], ORIGIN).size == 1
        assert cosigned(witness, ledger.receipt(0, 1))


async def test_a_receipt_that_nothing_covers_yet_says_what_to_wait_for_and_waiting_ends_with_the_publication(
    house: House,
) -> None:
    with house.open(publishing=NEVER) as ledger:
        await ledger.append(submission(answered(), answered()), Level.SEQUENCED)
        with pytest.raises(EntryUnpublished) as early:
            ledger.receipts([1, 0])
        assert early.value.size == 2
        waiting = asyncio.create_task(ledger.published(early.value.size))
        await asyncio.sleep(0)
        assert not waiting.done()
        publisher = ledger._progress
        assert isinstance(publisher, Publisher)
        await asyncio.to_thread(publisher.round)
        await waiting
        assert [verify_receipt(one, [house.signer.verifier], ORIGIN).index for one in ledger.receipts([1, 0])] == [1, 0]
        closing = asyncio.create_task(ledger.published(3))
        await asyncio.sleep(0)
    with pytest.raises(LedgerClosed):
        await closing


@pytest.mark.postgres
def test_a_publisher_that_comes_late_changes_no_receipt(postgres_url: str, tmp_path: Path) -> None:
    house = build(postgres_url, tmp_path)
    key = bytes.fromhex("019ab0c00000") + b"once"
    with house.open(publishing=NEVER) as late, house.open(publishing=NEVER) as other:
        late.append_blocking(submission(answered(), key=key), Level.SEQUENCED)
        with late._store.reading() as connection:
            head = read_head(connection)
        other.append_blocking(submission(answered()), Level.SEQUENCED)
        publishers = [ledger._progress for ledger in (late, other)]
        assert isinstance(publishers[0], Publisher)
        assert isinstance(publishers[1], Publisher)
        publishers[1].round()
        publishers[0].round()
        first = late.append_blocking(submission(answered(), key=key))
        assert publishers[0]._publish(head).published == 2  # it had read the head before the other published
        assert late.append_blocking(submission(answered(), key=key)).receipts == first.receipts
        with pytest.raises(EntryMissing):
            late.checkpoint(1)


def test_witnesses_who_come_late_change_no_receipt(house: House) -> None:
    witness = OneWitness(house)
    key = bytes.fromhex("019ab0c00000") + b"once"
    with house.open(publishing=Publishing(interval=3600, cosigners=witness)) as ledger:
        ledger.append_blocking(submission(answered(), key=key))
        with ledger._store.reading() as connection:
            head = read_head(connection)
        ledger.append_blocking(submission(answered()))
        publisher = ledger._progress
        assert isinstance(publisher, Publisher)
        publisher.round()
        first = ledger.append_blocking(submission(answered(), key=key), Level.WITNESSED)
        publisher._cosigned = 0
        publisher._witness(head, witness)
        again = ledger.append_blocking(submission(answered(), key=key), Level.WITNESSED)
        assert again.receipts == first.receipts
        with ledger._store.reading() as connection:
            assert read_covering_note(connection, 1, witnessed=True) == ledger.checkpoint(2)
        assert first.replayed


def test_a_promise_that_cannot_be_kept_is_refused() -> None:
    for mistaken in (
        lambda: Publishing(sign_after=SignAfter.STANDBY),
        lambda: Publishing(signing=Signing.INTERVAL, sign_after=SignAfter.WITNESS),
        lambda: Publishing(interval=0),
    ):
        with pytest.raises(StoreError):
            mistaken()


async def test_sqlite_has_no_standby_to_wait_for(sqlite_house: House) -> None:
    with pytest.raises(StoreError, match="PostgreSQL"):
        sqlite_house.open(publishing=Publishing(signing=Signing.INTERVAL, sign_after=SignAfter.STANDBY))


async def test_nothing_is_witnessed_where_no_witness_is_configured(house: House) -> None:
    with house.open() as ledger, pytest.raises(StoreError, match="witnessed"):
        await ledger.append(submission(answered()), Level.WITNESSED)


async def test_what_hinders_publication_is_told_once_when_it_begins_and_once_when_it_ends(house: House) -> None:
    witness = OneWitness(house)
    witness.willing = False
    publishing = Publishing(
        signing=Signing.INTERVAL, sign_after=SignAfter.WITNESS, interval=0.01, cosigners=witness
    )  # fmt: skip
    with capture_logs() as logged, house.open(publishing=publishing) as ledger:
        appending = asyncio.create_task(ledger.append(submission(answered())))
        while len(witness.asked) < 10:
            await asyncio.sleep(0.01)
        witness.willing = True
        await appending
        await ledger.append(submission(answered()))
    told = [line["event"] for line in logged]
    assert told == ["too few witnesses", "enough witnesses again"]


def test_an_append_that_blocks_and_is_not_published_in_time_tells_as_what_it_is_recorded(house: House) -> None:
    waits: list[None] = []
    patience = Patience(seconds=0.05, told=lambda: waits.append(None))
    with Ledger.open(
        house.url, origin=ORIGIN, signer=house.signer, verifiers=[house.signer.verifier],
        master_keys=house.master_keys, now=lambda: START, publishing=NEVER, patience=patience,
    ) as ledger:  # fmt: skip
        draft = answered()
        with pytest.raises(ReceiptLate) as late:
            ledger.append_blocking(submission(draft))
        assert (late.value.index, late.value.record, ledger.size(), len(waits)) == (0, draft.record, 1, 1)
        with pytest.raises(ReceiptLate):
            ledger.published_blocking(1)
