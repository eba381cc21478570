"""Appending, on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
import hashlib
import re
from pathlib import Path

import pytest

from ledger import (
    AlreadyClaimed,
    Appended,
    Draft,
    EntryMissing,
    Erased,
    IdempotencyConflict,
    Ledger,
    LedgerClosed,
    LedgerDamaged,
    RecordChanged,
    RecordErased,
    SubmissionError,
    TransitionRefused,
    verify_receipt,
)
from ledger.commands import fsck
from ledger.log.checkpoint import open_checkpoint
from ledger.log.store import open_store, read_published_note
from ledger.merkle import verify_consistency
from ledger.records import projections
from tests.ledger.house import ORIGIN, House, answered, build, erasing, new_record, submission
from tests.ledger.tampering import run as tamper

KEY = bytes.fromhex("019ab0c000007000") + b"request"
"""An idempotency key, its time in front."""


def is_sound(house: House) -> bool:
    report = fsck(house.url, verifiers=[house.signer.verifier], origin=ORIGIN, master_keys=house.master_keys)
    assert report.damages == ()
    return report.sound


async def test_an_append_answers_with_a_receipt_that_verifies_offline(house: House, opened: Ledger) -> None:
    record = new_record()
    done = await opened.append(submission(answered(record, body={"verdict": "ESTABLISHED"})))
    proved = verify_receipt(done.receipts[0], [house.signer.verifier], ORIGIN)
    assert (proved.index, proved.size) == (done.entries[0].index, done.size) == (0, 1)
    assert proved.entry.record == record
    assert proved.leaf == done.entries[0].entry == opened.entry(0)
    assert is_sound(house)


async def test_many_callers_share_commits_and_each_gets_a_true_receipt(house: House, opened: Ledger) -> None:
    done = await asyncio.gather(*(opened.append(submission(answered(number=i))) for i in range(700)))
    assert sorted(d.entries[0].index for d in done) == list(range(700))
    assert len({d.size for d in done}) < 700
    for answer in done:
        assert verify_receipt(answer.receipts[0], [house.signer.verifier], ORIGIN).leaf == answer.entries[0].entry
    assert is_sound(house)


async def test_drafts_of_one_submission_are_neighbours_and_form_a_chain(house: House, opened: Ledger) -> None:
    record = new_record()
    kinds = ("CommitmentPrepared", "CommitmentRecorded", "DecisionRecorded")
    done = await opened.append(submission(*(Draft(kind=kind, record=record) for kind in kinds)))
    proved = [verify_receipt(receipt, [house.signer.verifier], ORIGIN) for receipt in done.receipts]
    assert [p.entry.seq for p in proved] == [0, 1, 2]
    assert [p.entry.prev for p in proved] == [None, done.entries[0].leaf_hash, done.entries[1].leaf_hash]
    row = opened.register().get(record)
    assert row is not None
    assert (row.state, row.first_idx, row.last_idx) == ("IN_FORCE", 0, 2)


async def test_the_same_request_is_answered_again_byte_for_byte(opened: Ledger) -> None:
    first = await opened.append(submission(answered(body="x"), key=KEY))
    await opened.append(submission())
    again = await opened.append(submission(answered(body="x"), key=KEY))
    assert again.replayed
    assert not first.replayed
    assert (again.receipts, again.entries, again.size) == (first.receipts, first.entries, first.size)
    assert opened.size() == 2


async def test_the_same_request_twice_in_one_batch_is_appended_once(opened: Ledger) -> None:
    done = await asyncio.gather(*(opened.append(submission(answered(), key=b"1234567same")) for _ in range(50)))
    assert len({d.receipts for d in done}) == 1
    assert sum(not d.replayed for d in done) == 1
    assert opened.size() == 1


async def test_a_key_used_for_another_body_is_a_conflict(opened: Ledger) -> None:
    await opened.append(submission())
    await opened.append(submission(key=KEY))
    with pytest.raises(IdempotencyConflict) as refused:
        await opened.append(submission(key=KEY, body=b"another"))
    assert refused.value.first_idx == 1
    assert opened.size() == 2


async def test_a_key_can_be_looked_up_before_work_is_done(opened: Ledger) -> None:
    assert opened.lookup(KEY) is None
    await opened.append(submission(key=KEY))
    found = opened.lookup(KEY)
    assert found is not None
    assert (found.body_digest, found.first_idx, found.count) == (hashlib.sha256(b"body").digest(), 0, 1)


async def test_a_rejected_submission_does_not_spoil_its_batch(house: House, opened: Ledger) -> None:
    good = [submission(answered()) for _ in range(20)]
    bad = [submission(Draft(kind="CommitmentRecorded", record=new_record())) for _ in range(20)]
    mixed = [s for pair in zip(good, bad, strict=True) for s in pair]
    done = await asyncio.gather(*(opened.append(s) for s in mixed), return_exceptions=True)
    assert [isinstance(d, TransitionRefused) for d in done] == [False, True] * 20
    assert opened.size() == 20
    assert is_sound(house)


async def test_a_submission_is_refused_whole(opened: Ledger) -> None:
    with pytest.raises(TransitionRefused):
        await opened.append(submission(answered(), Draft(kind="CommitmentBroken", record=new_record())))
    assert opened.size() == 0


async def test_an_unexpected_state_is_refused(opened: Ledger) -> None:
    record = new_record()
    await opened.append(submission(Draft(kind="CommitmentPrepared", record=record)))
    late = Draft(kind="CommitmentRefused", record=record, expect_state=frozenset({"RECORDED"}))
    with pytest.raises(TransitionRefused) as refused:
        await opened.append(submission(late))
    assert refused.value.state == "PREPARED"


async def test_an_expected_state_of_a_record_that_does_not_exist_is_refused(opened: Ledger) -> None:
    with pytest.raises(TransitionRefused):
        await opened.append(
            submission(Draft(kind="CommitmentPrepared", record=new_record(), expect_state=frozenset({"PREPARED"})))
        )


async def test_of_drafts_that_follow_one_entry_the_first_is_appended_also_within_a_batch(opened: Ledger) -> None:
    record = new_record()
    begun = await opened.append(submission(Draft(kind="CommitmentPrepared", record=record)))
    newest = begun.entries[0].index
    follow = Draft(kind="CommitmentRefused", record=record, expect_newest=newest)
    done = await asyncio.gather(*(opened.append(submission(follow)) for _ in range(20)), return_exceptions=True)
    changed = [one for one in done if isinstance(one, RecordChanged)]
    assert (len(changed), {one.record for one in changed}) == (19, {record})
    (made,) = [one for one in done if not isinstance(one, BaseException)]
    await opened.append(submission(follow._replace(expect_newest=made.entries[0].index)))


async def test_an_expected_entry_of_a_record_that_does_not_exist_is_refused(opened: Ledger) -> None:
    with pytest.raises(RecordChanged):
        await opened.append(submission(Draft(kind="CommitmentPrepared", record=new_record(), expect_newest=0)))


async def test_a_repeat_is_answered_as_it_was_first_although_the_record_went_on(opened: Ledger) -> None:
    record = new_record()
    begun = await opened.append(submission(Draft(kind="CommitmentPrepared", record=record)))
    draft = Draft(kind="CommitmentRefused", record=record, expect_newest=begun.entries[0].index)
    first = await opened.append(submission(draft, key=bytes(16)))
    again = await opened.append(submission(draft, key=bytes(16)))
    assert (again.entries, again.replayed) == (first.entries, True)


async def test_a_record_cannot_change_its_family(opened: Ledger) -> None:
    record = new_record()
    await opened.append(submission(answered(record)))
    with pytest.raises(TransitionRefused):
        await opened.append(submission(Draft(kind="CommitmentPrepared", record=record)))


async def test_what_may_exist_once_is_claimed_once_also_within_a_batch(opened: Ledger) -> None:
    records = [new_record() for _ in range(30)]
    done = await asyncio.gather(
        *(opened.append(submission(answered(r), claim_keys=((b"case-item", r),))) for r in records),
        return_exceptions=True,
    )
    winners = [r for r, d in zip(records, done, strict=True) if not isinstance(d, BaseException)]
    losers = [d for d in done if isinstance(d, AlreadyClaimed)]
    assert (len(winners), len(losers)) == (1, 29)
    assert {loser.record for loser in losers} == set(winners)


async def test_a_released_claim_can_be_made_again(opened: Ledger) -> None:
    old, new = new_record(), new_record()
    await opened.append(submission(answered(old), claim_keys=((b"c", old),)))
    await opened.append(submission(answered(), release_keys=(b"c",)))
    await opened.append(submission(answered(new), claim_keys=((b"c", new),)))
    with pytest.raises(AlreadyClaimed):
        await opened.append(submission(answered(), claim_keys=((b"c", old),)))


async def test_a_malformed_submission_is_told_every_mistake_and_no_value(opened: Ledger) -> None:
    bad = Draft(kind="Nonsense", record=b"short", groups={"body": 1.5}, policy="zz", facts={"secret": "王"})  # type: ignore[dict-item]
    with pytest.raises(SubmissionError) as refused:
        await opened.append(submission(bad, key=b""))
    assert len(refused.value.mistakes) == 6
    assert "王" not in str(refused.value)


@pytest.mark.parametrize("text", ["a\0b", "two\nlines", "\x7f", "\x85", "\ud83d"])
async def test_a_fact_with_a_control_character_or_half_a_character_is_refused(opened: Ledger, text: str) -> None:
    with pytest.raises(SubmissionError, match="'unit' is a text with control characters"):
        await opened.append(submission(with_unit(text)))


@pytest.mark.postgres
@pytest.mark.parametrize("shared", [False, True])
async def test_a_value_that_only_the_database_refuses_fails_alone(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, shared: bool
) -> None:
    monkeypatch.setattr(projections, "_NO_TEXT", re.compile("never"))
    house = build(postgres_url, tmp_path)
    asked = [submission(with_unit("a\0b" if number == 7 else "道里区")) for number in range(20)]
    with house.shared() if shared else house.open() as ledger:
        done = await asyncio.gather(*map(ledger.append, asked), return_exceptions=True)
        assert [isinstance(one, SubmissionError) for one in done] == [number == 7 for number in range(20)]
        assert "\0" not in str(done[7])
        good = [one for one in done if isinstance(one, Appended)]
        assert len(good) == ledger.size() == 19
        for one in good:
            assert verify_receipt(one.receipts[0], [house.signer.verifier], ORIGIN).leaf == one.entries[0].entry
    assert is_sound(house)


def with_unit(text: str) -> Draft:
    return Draft(kind="VerificationAnswered", record=new_record(), facts={"unit": text})


async def test_entries_hold_nothing_of_the_document(opened: Ledger) -> None:
    secrets = {"name": "王小明", "number": "230103199001011234"}
    done = await opened.append(submission(answered(None, party=secrets, note="230103199001011234")))
    for text in (*secrets.values(), "230103199001011234"):
        assert text.encode() not in done.entries[0].entry
        assert text not in repr(submission(answered(None, party=secrets)))
    document = opened.document(0)
    assert not isinstance(document, Erased)
    assert document["party"].value == secrets


async def test_erasing_leaves_every_proof_valid_and_nothing_to_read(house: House, opened: Ledger) -> None:
    record, other = new_record(), new_record()
    facts = {"subject": "ab" * 33, "unit": "u"}
    first = await opened.append(
        submission(Draft(kind="VerificationAnswered", record=record, groups={"body": "x"}, facts=facts))
    )
    kept = await opened.append(submission(answered(other, body="kept")))
    root = open_checkpoint(kept.receipts[0].split(b"\n\n", 1)[1], [house.signer.verifier], ORIGIN).root
    await opened.append(erasing(opened, record))
    assert isinstance(opened.document(0), Erased)
    assert not isinstance(opened.document(1), Erased)
    assert opened.register().by_subject(bytes.fromhex("ab" * 33)) == []
    verify_receipt(first.receipts[0], [house.signer.verifier], ORIGIN)
    verify_receipt(opened.receipt(0), [house.signer.verifier], ORIGIN)
    newest = open_checkpoint(opened.checkpoint(), [house.signer.verifier], ORIGIN)
    verify_consistency(2, newest.size, opened.consistency(2, newest.size), root, newest.root)
    assert is_sound(house)


async def test_what_follows_an_erasure_is_kept_under_a_new_key(house: House, opened: Ledger) -> None:
    record = new_record()
    await opened.append(submission(Draft(kind="CommitmentPrepared", record=record, groups={"body": "old"})))
    await opened.append(erasing(opened, record))
    await opened.append(submission(Draft(kind="CommitmentExpired", record=record, groups={"body": "new"})))
    assert isinstance(opened.document(0), Erased)
    document = opened.document(2)
    assert not isinstance(document, Erased)
    assert document["body"].value == "new"
    assert is_sound(house)


async def test_nothing_follows_an_erasure_but_what_ends_the_record(house: House, opened: Ledger) -> None:
    record, lapsing, free = new_record(), new_record(), new_record()
    signed = Draft(kind="CommitmentRecorded", record=lapsing)
    await opened.append(submission(*(Draft("CommitmentPrepared", one, {"body": "old"}) for one in (record, lapsing))))
    await opened.append(submission(signed, answered(free, body="x")))
    late = submission(Draft(kind="CommitmentRecorded", record=record, groups={"body": "new"}, facts={"unit": "u"}))
    together = await asyncio.gather(
        opened.append(erasing(opened, record, lapsing)), opened.append(late), return_exceptions=True
    )
    for refused in (together[1], *await asyncio.gather(opened.append(late), return_exceptions=True)):
        assert isinstance(refused, RecordErased), "in the same batch, and in a later one"
        assert refused.record == record
    due = Draft(kind="CommitmentLapsed", record=lapsing, facts={"due_at": None})
    await opened.append(submission(due))
    assert [row.state for row in opened.register().many([record, lapsing]).values()].count("LAPSED") == 1
    assert is_sound(house)


async def test_nothing_hangs_on_what_is_erased_but_a_legal_hold(house: House, opened: Ledger) -> None:
    above, child, lifted = new_record(), new_record(), new_record()
    names = {"parent": above.hex(), "subject": "ab" * 33}
    await opened.append(submission(answered(above, body="x"), Draft(kind="CommitmentRefused", record=lifted)))
    await opened.append(submission(Draft(kind="DiscrepancyFound", record=child, facts={"parent": above.hex()})))
    begins = submission(Draft("VerificationAnswered", new_record(), {"body": "y"}, facts=names))
    goes_on = submission(Draft(kind="RefusalContested", record=lifted, facts=names))
    together = await asyncio.gather(
        opened.append(erasing(opened, above)), opened.append(begins), return_exceptions=True
    )
    later = await asyncio.gather(opened.append(begins), opened.append(goes_on), return_exceptions=True)
    for refused in (together[1], *later):
        assert isinstance(refused, RecordErased), "in the same batch, and in a later one"
        assert refused.record == above
    assert opened.register().by_subject(bytes.fromhex("ab" * 33)) == []
    await opened.append(submission(Draft(kind="FindingCleared", record=child)))  # what hung on it before goes on
    await opened.append(submission(Draft(kind="LegalHoldPlaced", record=new_record(), facts={"parent": above.hex()})))
    assert is_sound(house)


async def test_a_closed_ledger_refuses(house: House) -> None:
    ledger = house.open()
    ledger.close()
    with pytest.raises(LedgerClosed):
        await ledger.append(submission())


async def test_reopening_continues_the_same_log(house: House) -> None:
    with house.open() as ledger:
        first = await asyncio.gather(*(ledger.append(submission()) for _ in range(300)))
        old = open_checkpoint(ledger.checkpoint(), [house.signer.verifier], ORIGIN)
    with house.open() as ledger:
        await asyncio.gather(*(ledger.append(submission()) for _ in range(300)))
        new = open_checkpoint(ledger.checkpoint(), [house.signer.verifier], ORIGIN)
        verify_consistency(old.size, new.size, ledger.consistency(old.size, new.size), old.root, new.root)
        for answer in first[::50]:
            index = answer.entries[0].index
            assert ledger.receipt(index, answer.size) == answer.receipts[0]
    assert is_sound(house)


def test_a_newest_checkpoint_that_is_none_is_damage(house: House) -> None:
    with house.open() as ledger:
        ledger.append_blocking(submission(answered()))
    for spoilt in (b"", b"garbage\n", b"\x00", ledger_note(house)[:-9] + b"AAAAAAA=\n"):
        tamper(house.url, "UPDATE head SET note = :note", note=spoilt)
        with pytest.raises(LedgerDamaged, match="checkpoint does not verify"):
            house.open()


def ledger_note(house: House) -> bytes:
    """Read the stored checkpoint, which nobody has spoilt."""
    store = open_store(house.url)
    try:
        with store.reading() as connection:
            return read_published_note(connection)
    finally:
        store.close()


async def test_what_is_not_there_is_missing(opened: Ledger) -> None:
    await opened.append(submission())
    for ask in (
        lambda: opened.entry(1),
        lambda: opened.entry(-1),
        lambda: opened.receipt(0, 7),
        lambda: opened.receipt(1),
        lambda: opened.consistency(0, 2),
        lambda: opened.document(0),
        lambda: opened.checkpoint(9),
    ):
        with pytest.raises(EntryMissing):
            ask()


def test_a_thread_may_append_and_wait(opened: Ledger) -> None:
    assert opened.append_blocking(submission()).size == 1
