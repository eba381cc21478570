"""The index of a real ledger: committed, proved, and refused where it must be."""

from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path

import pytest

from ledger import (
    CompletenessError,
    Draft,
    IndexMissing,
    Ledger,
    LedgerDamaged,
    LedgerError,
    ProofError,
    SubmissionError,
    verify_completeness,
    verify_receipt,
)
from ledger.canonical import Json, canonical, parse_canonical
from ledger.completeness.changes import index_key
from ledger.completeness.index import CommittedRoot, RecordIndex
from ledger.completeness.proof import CompleteHistory
from ledger.completeness.trust import IndexState
from ledger.errors import ReceiptError, WrongKey, WrongOrigin
from ledger.log import schema
from ledger.log.key_file import write_signing_key
from ledger.merkle import hash_leaf
from ledger.records.codec import decode_entry
from tests.ledger.completeness import naive
from tests.ledger.house import ORIGIN, START, House, answered, new_record, submission
from tests.ledger.tampering import alter, run


def prepared(record: bytes) -> Draft:
    return Draft(kind="CommitmentPrepared", record=record, groups={"body": "x"})


def grow(ledger: Ledger, records: int = 40) -> list[bytes]:
    """Append records of one to three entries."""
    made = [new_record() for _ in range(records)]
    for number, record in enumerate(made):
        kinds = ("CommitmentPrepared", "CommitmentRecorded", "CommitmentWithdrawn")[: number % 3 + 1]
        ledger.append_blocking(submission(*(Draft(kind=kind, record=record) for kind in kinds)))
    return made


def check(house: House, proof: bytes) -> CompleteHistory:
    return verify_completeness(proof, [house.signer.verifier], ORIGIN)


def expected_root(ledger: Ledger, size: int) -> bytes:
    newest: dict[bytes, bytes] = {}
    for index in range(size):
        leaf = ledger.entry(index)
        newest[index_key(decode_entry(leaf).record)] = hash_leaf(leaf)
    return naive.root(newest)


def changed(proof: bytes, **members: Json) -> bytes:
    value = parse_canonical(proof)
    assert isinstance(value, dict)
    return canonical({**value, **members})


def member(proof: bytes, name: str) -> Json:
    value = parse_canonical(proof)
    assert isinstance(value, dict)
    return value[name]


def test_every_record_is_proved_complete_with_the_public_key_alone(house: House, opened: Ledger) -> None:
    records = grow(opened)
    committed = opened.commit_index(START)
    assert (committed.size, committed.index, committed.appended) == (80 - 1, 79, True)
    assert committed.root == expected_root(opened, committed.size)
    for number, record in enumerate(records):
        history = check(house, opened.prove_completeness(record))
        assert (history.record, history.size, history.index) == (record, 79, 79)
        assert [entry.seq for entry in history.entries] == list(range(number % 3 + 1))
        assert history.was_not("CommitmentWithdrawn") == (number % 3 < 2)


def test_a_record_that_does_not_exist_is_proved_to_have_no_entries(house: House, opened: Ledger) -> None:
    for _ in range(3):
        opened.append_blocking(submission())
        opened.commit_index(START)
        for _ in range(20):
            history = check(house, opened.prove_completeness(new_record()))
            assert history.entries == ()
            assert history.was_not("CommitmentWithdrawn")


def test_the_index_of_an_empty_ledger_holds_nothing(house: House, opened: Ledger) -> None:
    assert opened.commit_index(START).root == bytes(32)
    assert check(house, opened.prove_completeness(new_record())).size == 0


def test_an_entry_after_the_index_is_not_claimed_by_the_proof(house: House, opened: Ledger) -> None:
    record = new_record()
    opened.append_blocking(submission(prepared(record)))
    opened.commit_index(START)
    opened.append_blocking(submission(Draft(kind="CommitmentRecorded", record=record)))
    assert len(check(house, opened.prove_completeness(record)).entries) == 1
    opened.commit_index(START)
    assert len(check(house, opened.prove_completeness(record)).entries) == 2


def test_a_kind_that_does_not_exist_is_no_question(house: House, opened: Ledger) -> None:
    opened.commit_index(START)
    with pytest.raises(ValueError, match="no kind"):
        check(house, opened.prove_completeness(new_record())).was_not("CommitmentWithdrawm")


def test_without_an_index_nothing_is_proved(opened: Ledger) -> None:
    opened.append_blocking(submission())
    with pytest.raises(IndexMissing):
        opened.prove_completeness(new_record())


def test_an_index_without_its_entry_proves_nothing(house: House, opened: Ledger) -> None:
    record = new_record()
    opened.append_blocking(submission(answered(record)))
    opened.commit_index(START)
    opened.append_blocking(submission())
    RecordIndex(opened._store).advance()
    with pytest.raises(IndexMissing):
        opened.prove_completeness(record)
    assert opened.commit_index(START).appended
    assert len(check(house, opened.prove_completeness(record)).entries) == 1


def test_nothing_is_committed_while_nothing_has_changed(opened: Ledger) -> None:
    opened.append_blocking(submission())
    first = opened.commit_index(START)
    again = opened.commit_index(START)
    assert (again.appended, again.index, again.size, again.root) == (False, first.index, first.size, first.root)
    assert opened.size() == 2
    opened.append_blocking(submission())
    assert opened.commit_index(START).appended


def test_a_young_commitment_stands_where_one_is_asked_for_at_most_so_often(opened: Ledger) -> None:
    opened.append_blocking(submission())
    opened.commit_index(START)
    opened.append_blocking(submission())
    hour = timedelta(hours=1)
    assert not opened.commit_index(START + hour / 2, not_within=hour).appended
    assert opened.commit_index(START + hour, not_within=hour).appended


def test_the_entry_says_who_is_committed_to_and_its_receipt_verifies(house: House, opened: Ledger) -> None:
    opened.append_blocking(submission())
    committed = opened.commit_index(START)
    proved = verify_receipt(opened.receipt(committed.index), [house.signer.verifier], ORIGIN)
    assert proved.entry.kind == "IndexCommitted"
    document = opened.document(committed.index)
    assert isinstance(document, dict)
    assert document["public"].salt == bytes(32)
    assert document["public"].value == {"root": committed.root.hex(), "size": committed.size}


def test_only_kinds_that_are_public_may_have_a_public_group(opened: Ledger) -> None:
    with pytest.raises(SubmissionError, match="public"):
        opened.append_blocking(submission(answered(public="a name")))


@pytest.mark.parametrize("chunk", [1, 7, 256, 1000])
def test_chunks_do_not_change_the_root(house: House, chunk: int) -> None:
    with house.open() as ledger:
        grow(ledger, 60)
        state = RecordIndex(ledger._store, chunk, pause=0).advance()
        assert state.size == ledger.size()
        assert state.root == expected_root(ledger, state.size)


def test_many_committers_at_once_commit_to_one_index_each_rightly(house: House, opened: Ledger) -> None:
    grow(opened, 20)
    made = []

    def commit() -> None:
        made.append(opened.commit_index(START))

    threads = [threading.Thread(target=commit) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 6
    for one in made:
        assert one.root == expected_root(opened, one.size)
        assert decode_entry(opened.entry(one.index)).kind == "IndexCommitted"
    assert len({(one.size, one.index) for one in made}) == sum(one.appended for one in made)


@pytest.mark.postgres
def test_two_processes_take_turns_on_one_database(postgres_url: str, tmp_path: Path) -> None:
    from tests.ledger.house import build

    house = build(postgres_url, tmp_path)
    with house.open() as one, house.open() as other:
        records = grow(one, 10) + grow(other, 10)
        threads = [threading.Thread(target=lambda at=at: at.commit_index(START)) for at in (one, other) * 3]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        one.commit_index(START)
        for record in records:
            assert check(house, other.prove_completeness(record)).entries


def test_a_rebuilt_index_is_the_same(house: House, opened: Ledger) -> None:
    records = grow(opened, 50)
    committed = opened.commit_index(START)
    grown = stored_pages(opened)
    state = IndexState(size=committed.size, root=committed.root)
    record = decode_entry(opened.entry(committed.index)).record
    assert RecordIndex(opened._store).rebuild([CommittedRoot(state, record)]) == state
    assert stored_pages(opened) == grown
    opened.append_blocking(submission())
    assert opened.commit_index(START).appended
    assert check(house, opened.prove_completeness(records[0])).entries


def stored_pages(ledger: Ledger) -> dict[bytes, bytes]:
    with ledger._store.reading() as connection:
        return {bytes(row.path): bytes(row.data) for row in connection.execute(schema.index_page.select())}


def test_no_index_is_made_of_an_altered_entry(house: House) -> None:
    with house.open() as ledger:
        grow(ledger, 5)
    alter(house.url, schema.entry, "leaf", {"idx": 3}, lambda leaf: leaf.replace(b"2026", b"2025"))
    with house.open() as ledger, pytest.raises(LedgerDamaged, match="entry 3"):
        ledger.commit_index(START)


def test_an_altered_page_proves_nothing(sqlite_house: House) -> None:
    house = sqlite_house
    with house.open() as ledger:
        records = grow(ledger, 5)
        ledger.commit_index(START)
    run(house.url, "UPDATE index_page SET data = zeroblob(length(data))")
    with house.open() as ledger, pytest.raises(LedgerDamaged):
        ledger.prove_completeness(records[0])


def test_a_lost_projection_proves_nothing(house: House) -> None:
    with house.open() as ledger:
        records = grow(ledger, 5)
        ledger.commit_index(START)
    run(house.url, "DELETE FROM record WHERE first_idx = 0")
    with house.open() as ledger, pytest.raises(LedgerDamaged):
        ledger.prove_completeness(records[0])


# --- what a proof must not survive ------------------------------------------------------------------------------------


@pytest.fixture
def proved(sqlite_ledger: Ledger) -> tuple[list[bytes], list[bytes]]:
    """The proofs of two records of three entries and of one that does not exist, and the records' ids."""
    records = grow(sqlite_ledger, 12)
    chosen = [records[2], records[5], new_record()]
    sqlite_ledger.commit_index(START)
    return [sqlite_ledger.prove_completeness(record) for record in chosen], chosen


@pytest.mark.parametrize("alter", ["last", "first", "middle", "twice", "swap", "foreign", "none", "byte"])
def test_no_other_entries_pass(sqlite_house: House, proved: tuple[list[bytes], list[bytes]], alter: str) -> None:
    proof, other, _ = proved[0]
    entries, foreign = member(proof, "entries"), member(other, "entries")
    assert isinstance(entries, list)
    assert isinstance(foreign, list)
    altered = {
        "last": entries[:-1],
        "first": entries[1:],
        "middle": [entries[0], entries[2]],
        "twice": [*entries, entries[-1]],
        "swap": [entries[1], entries[0], entries[2]],
        "foreign": [*entries[:2], foreign[2]],
        "none": [],
        "byte": [*entries[:2], str(entries[2]).replace("2026", "2027")],
    }[alter]
    with pytest.raises((CompletenessError, ProofError)):
        check(sqlite_house, changed(proof, entries=altered))


def test_an_existing_record_is_not_proved_absent(sqlite_house: House, proved: tuple[list[bytes], list[bytes]]) -> None:
    proof, _, absent = proved[0]
    for stands in (None, member(absent, "stands"), {"key": "ab" * 32, "value": "cd" * 32}):
        for path in (member(proof, "path"), member(absent, "path"), []):
            with pytest.raises((CompletenessError, ProofError)):
                check(sqlite_house, changed(proof, entries=[], stands=stands, path=path))


def test_a_proof_of_one_record_is_none_of_another(sqlite_house: House, proved: tuple[list[bytes], list[bytes]]) -> None:
    (proof, other, absent), (record, second, unknown) = proved
    for data, name in ((proof, second), (other, unknown), (absent, record)):
        with pytest.raises((CompletenessError, ProofError)):
            check(sqlite_house, changed(data, record=name.hex()))


def test_an_older_or_newer_index_does_not_pass(
    sqlite_house: House, sqlite_ledger: Ledger, proved: tuple[list[bytes], list[bytes]]
) -> None:
    old = proved[0][2]
    sqlite_ledger.append_blocking(submission(answered(proved[1][2])))
    sqlite_ledger.commit_index(START)
    new = sqlite_ledger.prove_completeness(proved[1][2])
    assert check(sqlite_house, old).entries == ()
    assert len(check(sqlite_house, new).entries) == 1
    for data, source in ((old, new), (new, old)):
        for names in (("receipt",), ("index",), ("index", "receipt"), ("path", "index", "receipt"), ("path",)):
            with pytest.raises(LedgerError):
                check(sqlite_house, changed(data, **{name: member(source, name) for name in names}))


def test_another_size_or_root_than_was_committed_is_refused(
    sqlite_house: House, proved: tuple[list[bytes], list[bytes]]
) -> None:
    proof = proved[0][0]
    index = member(proof, "index")
    assert isinstance(index, dict)
    for other in ({**index, "size": 1}, {**index, "root": "00" * 32}, {**index, "size": -1}, {**index, "size": True}):
        with pytest.raises(CompletenessError):
            check(sqlite_house, changed(proof, index=other))


def test_an_entry_that_commits_to_what_comes_after_it_is_refused(sqlite_house: House, sqlite_ledger: Ledger) -> None:
    from ledger.completeness.commitment import index_submission
    from ledger.completeness.proof import parse_completeness

    grow(sqlite_ledger, 3)
    first = sqlite_ledger.commit_index(START)
    record = new_record()
    sqlite_ledger.append_blocking(submission(answered(record)))
    # Somebody commits to an index of a size that the log has not reached.
    lying = index_submission(first.size + 9, first.root, new_record(), START)
    done = sqlite_ledger.append_blocking(lying)
    absent = sqlite_ledger.prove_completeness(new_record())
    forged = changed(
        absent,
        receipt=done.receipts[0].decode(),
        index={"root": first.root.hex(), "size": first.size + 9},
    )
    assert parse_completeness(forged).size == first.size + 9
    with pytest.raises(CompletenessError, match="beyond"):
        check(sqlite_house, forged)


def test_the_receipt_must_be_of_an_index_of_this_log(
    sqlite_house: House, sqlite_ledger: Ledger, tmp_path: Path, proved: tuple[list[bytes], list[bytes]]
) -> None:
    proof = proved[0][0]
    with pytest.raises(CompletenessError, match="does not commit"):
        check(sqlite_house, changed(proof, receipt=sqlite_ledger.receipt(0).decode()))
    with pytest.raises(ReceiptError):
        check(sqlite_house, changed(proof, receipt="nonsense"))
    with pytest.raises(WrongOrigin):
        verify_completeness(proof, [sqlite_house.signer.verifier], "example.gov.cn/another")
    stranger = write_signing_key(tmp_path / "stranger.pem", ORIGIN)
    with pytest.raises(WrongKey):
        verify_completeness(proof, [stranger.verifier], ORIGIN)


@pytest.mark.parametrize(
    "members",
    [
        {"format": "chengxin/completeness@v2"},
        {"entries": {}},
        {"entries": [1]},
        {"index": None},
        {"index": {"root": "00" * 32}},
        {"path": "x"},
        {"path": ["00" * 31]},
        {"path": ["AB" * 32]},
        {"path": ["00" * 32] * 257},
        {"receipt": 7},
        {"record": "00" * 15},
        {"record": None},
        {"stands": {"key": "00" * 32}},
        {"stands": {"key": "00" * 32, "value": "00" * 32}},
        {"more": 1},
    ],
)
def test_another_form_is_refused(
    sqlite_house: House, proved: tuple[list[bytes], list[bytes]], members: dict[str, Json]
) -> None:
    with pytest.raises(CompletenessError):
        check(sqlite_house, changed(proved[0][0], **members))


def test_only_one_spelling_passes(sqlite_house: House, proved: tuple[list[bytes], list[bytes]]) -> None:
    proof = proved[0][0]
    for data in (b" " + proof, proof + b"\n", proof.replace(b",", b", ", 1), b"", b"[]", b"{}", b"\xff", b"[" * 90_000):
        with pytest.raises(CompletenessError):
            check(sqlite_house, data)
