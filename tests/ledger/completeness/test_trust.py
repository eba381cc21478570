"""Nothing is committed to that is not the index of the log, whatever the tables of the index say."""

from __future__ import annotations

import pytest

from ledger import Draft, IndexMissing, Ledger, LedgerDamaged, verify_completeness
from ledger.commands import fsck, rebuild
from ledger.completeness.changes import index_key
from ledger.completeness.commitment import index_submission
from ledger.completeness.index import RecordIndex, StoredPages, read_state
from ledger.completeness.pages import update_pages
from ledger.completeness.trust import IndexState
from ledger.fsck import FsckReport
from ledger.log import schema
from ledger.merkle import hash_leaf
from ledger.records.codec import decode_entry
from tests.ledger.completeness import naive
from tests.ledger.house import ORIGIN, START, House, answered, new_record, submission
from tests.ledger.tampering import alter, flip, run, tampering

REMEDY = "--rebuild-projections"


def grow(ledger: Ledger, count: int) -> list[bytes]:
    records = [new_record() for _ in range(count)]
    for first in range(0, count, 50):
        drafts = [Draft(kind="CommitmentPrepared", record=record) for record in records[first : first + 50]]
        ledger.append_blocking(submission(*drafts))
    return records


def check(house: House) -> FsckReport:
    return fsck(house.url, verifiers=[house.signer.verifier], origin=ORIGIN, master_keys=house.master_keys)


def expected_root(ledger: Ledger, size: int) -> bytes:
    newest: dict[bytes, bytes] = {}
    for index in range(size):
        leaf = ledger.entry(index)
        newest[index_key(decode_entry(leaf).record)] = hash_leaf(leaf)
    return naive.root(newest)


def refused(house: House, what: str) -> None:
    """Require that the next commitment is refused, and that it leaves the log as it is."""
    with house.open() as ledger:
        size = ledger.size()
        with pytest.raises(LedgerDamaged, match=what):
            ledger.commit_index(START)
        assert ledger.size() == size


def repaired(house: House) -> None:
    """Require that the remedy helps: what is committed to then is the index of the log."""
    rebuild(house.url, origin=ORIGIN, master_keys=house.master_keys)
    with house.open() as ledger:
        ledger.append_blocking(submission())
        done = ledger.commit_index(START)
        assert done.root == expected_root(ledger, done.size)
    assert check(house).damages == ()


@pytest.fixture
def grown(house: House) -> House:
    """A committed index of more than one page, and a few entries after it."""
    with house.open() as ledger:
        grow(ledger, 120)
        ledger.commit_index(START)
        grow(ledger, 10)
    return house


def some_page(house: House) -> bytes:
    with tampering(house.url) as connection:
        paths = connection.execute(schema.index_page.select()).all()
    with house.open() as ledger:  # one that the newest entries will touch
        keys = [index_key(decode_entry(ledger.entry(index)).record) for index in range(121, 131)]
    touched = {bytes([key[0] >> 4]) for key in keys}
    return next(bytes(row.path) for row in paths if bytes(row.path) in touched)


def test_a_withdrawal_hidden_from_the_pages_and_the_state_is_not_signed_away(house: House) -> None:
    record = new_record()
    with house.open() as ledger:
        for kind in ("CommitmentPrepared", "CommitmentRecorded", "CommitmentWithdrawn"):
            ledger.append_blocking(submission(Draft(kind=kind, record=record)))
        grow(ledger, 40)
        ledger.commit_index(START)
        before = hash_leaf(ledger.entry(1))
        ledger.append_blocking(submission())
        database = ledger._store.database
    with tampering(house.url) as connection:
        root = update_pages(StoredPages(database, connection), {index_key(record): before})
        connection.execute(schema.index_state.update().values(root=root))
    refused(house, REMEDY)
    repaired(house)
    with house.open() as ledger:
        proved = verify_completeness(ledger.prove_completeness(record), [house.signer.verifier], ORIGIN)
        assert [entry.kind for entry in proved.entries][-1] == "CommitmentWithdrawn"


def test_a_page_that_rotted_is_not_built_upon(grown: House) -> None:
    alter(grown.url, schema.index_page, "data", {"path": some_page(grown)}, flip(50))
    refused(grown, REMEDY)
    repaired(grown)


def test_a_page_that_is_lost_is_not_taken_for_an_empty_one(grown: House) -> None:
    run(grown.url, "DELETE FROM index_page WHERE path = :path", path=some_page(grown))
    refused(grown, REMEDY)
    repaired(grown)


def test_pages_without_their_state_are_not_built_upon(grown: House) -> None:
    run(grown.url, "DELETE FROM index_state")
    refused(grown, REMEDY)
    repaired(grown)


@pytest.mark.parametrize("size", [100_000, 132, -1, 60, 121])
def test_a_state_of_another_size_is_not_built_upon(grown: House, size: int) -> None:
    run(grown.url, "UPDATE index_state SET size = :size", size=size)
    refused(grown, REMEDY)
    repaired(grown)


def test_a_state_with_another_root_is_not_built_upon(grown: House) -> None:
    alter(grown.url, schema.index_state, "root", {"id": 1}, flip(3))
    refused(grown, REMEDY)
    repaired(grown)


def test_a_state_and_pages_that_were_lost_together_are_made_again(grown: House) -> None:
    run(grown.url, "DELETE FROM index_state")
    run(grown.url, "DELETE FROM index_page")
    with grown.open() as ledger:
        done = ledger.commit_index(START)
        assert done.root == expected_root(ledger, done.size)


def test_an_older_committed_index_is_gone_on_from(house: House) -> None:
    """Whoever puts back pages and state of an earlier commitment gains nothing: it is true, and the log goes on."""
    with house.open() as ledger:
        grow(ledger, 60)
        ledger.commit_index(START)
    with tampering(house.url) as connection:
        pages = [tuple(row) for row in connection.execute(schema.index_page.select())]
        state = connection.execute(schema.index_state.select()).one()
    with house.open() as ledger:
        grow(ledger, 60)
        ledger.commit_index(START)
    with tampering(house.url) as connection:
        connection.execute(schema.index_page.delete())
        connection.execute(schema.index_page.insert(), [{"path": path, "data": data} for path, data in pages])
        connection.execute(schema.index_state.update().values(size=state.size, root=state.root))
    with house.open() as ledger:
        ledger.append_blocking(submission())
        done = ledger.commit_index(START)
        assert done.root == expected_root(ledger, done.size)
    assert check(house).damages == ()


def test_entries_that_were_rewritten_with_their_tile_are_not_indexed(house: House) -> None:
    with house.open() as ledger:
        grow(ledger, 300)
    with tampering(house.url) as connection:
        table, tile = schema.entry, schema.tile
        leaf = bytes(connection.execute(table.select().where(table.c.idx == 7)).one().leaf).replace(b"2026", b"2025")
        connection.execute(table.update().where(table.c.idx == 7).values(leaf=leaf))
        data = bytes(connection.execute(tile.select().where(tile.c.level == 0, tile.c.n == 0)).one().data)
        data = data[: 7 * 32] + hash_leaf(leaf) + data[8 * 32 :]
        connection.execute(tile.update().where(tile.c.level == 0, tile.c.n == 0).values(data=data))
    refused(house, "not those of the head's tree")


class _Stopped(Exception):
    """The process ended."""


def stop_after(steps: int) -> object:
    def progress(done: int, total: int) -> None:
        nonlocal steps
        steps -= 1
        if steps == 0:
            raise _Stopped

    return progress


def interrupt(ledger: Ledger, steps: int) -> IndexState:
    with pytest.raises(_Stopped):
        RecordIndex(ledger._store, 20).advance(stop_after(steps))  # type: ignore[arg-type]
    with ledger._store.reading() as connection:
        state = read_state(connection)
    assert state is not None
    return state


@pytest.mark.parametrize("committed", [False, True])
@pytest.mark.parametrize("roots", [True, False])
def test_an_interrupted_advance_is_gone_on_from(house: House, committed: bool, roots: bool) -> None:
    with house.open() as ledger:
        records = grow(ledger, 50)
        if committed:
            ledger.commit_index(START)
        for record in records[::2]:
            ledger.append_blocking(submission(Draft(kind="CommitmentRecorded", record=record)))
        grow(ledger, 60)
        state = interrupt(ledger, 3)
        assert 0 < state.size < ledger.size()
    if not roots:  # without them it is unwound to nothing
        run(house.url, "DELETE FROM index_root")
    with house.open() as ledger:
        done = RecordIndex(ledger._store, 20).advance()
        assert done.root == expected_root(ledger, done.size)


@pytest.mark.parametrize("harm", ["root", "page", "size", "value"])
def test_an_interrupted_advance_that_was_altered_meanwhile_is_not_gone_on_from(house: House, harm: str) -> None:
    with house.open() as ledger:
        records = grow(ledger, 50)
        ledger.commit_index(START)
        for record in records[::2]:
            ledger.append_blocking(submission(Draft(kind="CommitmentRecorded", record=record)))
        grow(ledger, 60)
        state = interrupt(ledger, 4)
        database = ledger._store.database
    with tampering(house.url) as connection:
        if harm == "root":
            connection.execute(schema.index_state.update().values(root=b"\x07" * 32))
        elif harm == "page":
            row = connection.execute(schema.index_page.select().where(schema.index_page.c.path == b"")).one()
            connection.execute(
                schema.index_page.update().where(schema.index_page.c.path == b"").values(data=flip(40)(bytes(row.data)))
            )
        elif harm == "size":
            connection.execute(schema.index_state.update().values(size=state.size - 1))
        else:  # a record that the interrupted advance did not concern
            changes = {index_key(records[1]): b"\x05" * 32}
            root = update_pages(StoredPages(database, connection), changes, state.root)
            connection.execute(schema.index_state.update().values(root=root))
    refused(house, REMEDY)
    repaired(house)


def test_lost_roots_and_claims_of_committed_indexes_are_kept_again(grown: House) -> None:
    run(grown.url, "DELETE FROM index_root")
    run(grown.url, "DELETE FROM uniqueness")
    assert not check(grown).sound
    with grown.open() as ledger, pytest.raises(IndexMissing):
        ledger.prove_completeness(new_record())
    rebuild(grown.url, origin=ORIGIN, master_keys=grown.master_keys)
    assert check(grown).damages == ()
    with grown.open() as ledger:
        assert ledger.prove_completeness(new_record())


def test_after_a_false_commitment_the_remedy_leads_back_to_the_log(grown: House) -> None:
    """A log in which a wrong index was committed to says so for ever; but the next commitment is right again."""
    with grown.open() as ledger:
        lying = IndexState(size=ledger.size(), root=b"\x09" * 32)
        ledger.append_blocking(index_submission(lying.size, lying.root, new_record(), START))
    run(grown.url, "INSERT INTO index_root (size, root) VALUES (:size, :root)", size=lying.size, root=lying.root)
    rebuild(grown.url, origin=ORIGIN, master_keys=grown.master_keys)
    with grown.open() as ledger:
        ledger.append_blocking(submission(answered()))
        done = ledger.commit_index(START)
        assert done.root == expected_root(ledger, done.size)
    assert [damage.index for damage in check(grown).damages] == [lying.size]
