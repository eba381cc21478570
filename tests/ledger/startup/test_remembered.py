"""What is remembered outside the database shows what the database forgot."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import (
    Ledger,
    LedgerDamaged,
    LogShrunk,
    Remembered,
    RememberedUnusable,
    write_signing_key,
)
from ledger.durable_file import replace_file
from ledger.log.checkpoint import Checkpoint, read_checkpoint, sign_checkpoint
from ledger.log.remembered import require_prefix
from ledger.merkle import hash_leaf, tree_root
from tests.ledger.house import ORIGIN, Clock, House, build, submission


def opened(house: House, seen: Remembered) -> Ledger:
    return Ledger.open(
        house.url, origin=ORIGIN, signer=house.signer, verifiers=[house.signer.verifier],
        master_keys=house.master_keys, now=Clock(), seen=seen,
    )  # fmt: skip


def grow(ledger: Ledger, count: int) -> None:
    for _ in range(count):
        ledger.append_blocking(submission())


def test_opening_remembers_and_goes_on_remembering(house: House, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    for done in (0, 3, 6):
        with opened(house, Remembered(seen)) as ledger:
            assert read_checkpoint(seen.read_bytes()).size == done
            grow(ledger, 3)
            ledger.remember()
            assert read_checkpoint(seen.read_bytes()).size == done + 3
            assert seen.read_bytes() == ledger.checkpoint()


def test_a_log_with_fewer_entries_is_refused_and_not_remembered(sqlite_house: House, tmp_path: Path) -> None:
    seen, path = tmp_path / "seen", Path(sqlite_house.url.removeprefix("sqlite:///"))
    shutil.copy(path, tmp_path / "backup")
    with opened(sqlite_house, Remembered(seen)) as ledger:
        grow(ledger, 2)
        ledger.remember()
    kept = seen.read_bytes()
    shutil.copy(tmp_path / "backup", path)
    with pytest.raises(LogShrunk, match="holds 0 entries"):
        opened(sqlite_house, Remembered(seen))
    assert seen.read_bytes() == kept


def shrink(url: str, note: bytes) -> None:
    """Take a PostgreSQL ledger back to an old checkpoint, as a fail-over to a replica that lags does."""
    import psycopg

    old = read_checkpoint(note)
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute(
            "UPDATE head SET size = %s, published = %s, root = %s, note = %s", (old.size, old.size, old.root, note)
        )
        connection.execute("UPDATE tile SET width = %s, data = substr(data, 1, %s)", (old.size, 32 * old.size))
        connection.execute("DELETE FROM entry WHERE idx >= %s", (old.size,))
        connection.execute("DELETE FROM checkpoint WHERE size > %s", (old.size,))
        connection.execute("DELETE FROM record WHERE first_idx >= %s", (old.size,))


@pytest.mark.postgres
def test_a_log_that_loses_entries_while_it_is_open_is_noticed(postgres_url: str, tmp_path: Path) -> None:
    house = build(postgres_url, tmp_path)
    with opened(house, Remembered(tmp_path / "seen")) as ledger:
        grow(ledger, 1)
        old = ledger.checkpoint()
        grow(ledger, 1)
        ledger.remember()
        shrink(postgres_url, old)
        with pytest.raises(LogShrunk):
            ledger.remember()


@pytest.mark.postgres
def test_no_second_history_is_signed_after_a_fail_over_that_lost_entries(postgres_url: str, tmp_path: Path) -> None:
    house = build(postgres_url, tmp_path)
    with house.open() as ledger:
        grow(ledger, 1)
        old = ledger.checkpoint()
        grow(ledger, 2)
        shrink(postgres_url, old)
        for _ in range(2):
            with pytest.raises(LedgerDamaged, match="checkpoint of 3"):
                ledger.append_blocking(submission())
        assert ledger.size() == 1


@pytest.mark.postgres
def test_a_fail_over_that_lost_entries_and_grew_again_is_noticed(postgres_url: str, tmp_path: Path) -> None:
    house = build(postgres_url, tmp_path)
    with house.open() as ledger:
        grow(ledger, 1)
        old = ledger.checkpoint()
        grow(ledger, 2)
        shrink(postgres_url, old)
        with house.open() as other:  # another gateway, which knows nothing of what was lost
            grow(other, 4)
        with pytest.raises(LedgerDamaged, match="first 3 entries"):
            ledger.append_blocking(submission())


def test_another_log_of_the_same_size_is_refused(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    house = build(f"sqlite:///{tmp_path}/one/ledger.db", tmp_path / "one")
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    other = House(
        url=f"sqlite:///{tmp_path}/two/ledger.db", signer=house.signer, master_keys=house.master_keys,
        directory=tmp_path / "two",
    )  # fmt: skip
    seen = tmp_path / "seen"
    with opened(house, Remembered(seen)) as ledger:
        grow(ledger, 3)
        ledger.remember()
    for count in (3, 2):  # the same size first, then a larger one
        with opened(other, Remembered(tmp_path / "nothing")) as ledger:
            grow(ledger, count)
        with pytest.raises(LedgerDamaged, match="first 3 entries"):
            opened(other, Remembered(seen))


def test_what_others_remember_counts_as_well_and_is_not_kept(sqlite_house: House, tmp_path: Path) -> None:
    with opened(sqlite_house, Remembered(tmp_path / "seen")) as ledger:
        grow(ledger, 1)
    ahead = sign_checkpoint(Checkpoint(origin=ORIGIN, size=2, root=bytes(32)), [sqlite_house.signer])
    with pytest.raises(LogShrunk, match="a witness has"):
        opened(sqlite_house, Remembered(tmp_path / "seen", {"a witness": ahead}))
    assert read_checkpoint((tmp_path / "seen").read_bytes()).size == 0


def test_what_is_no_checkpoint_of_this_log_is_refused(sqlite_house: House, tmp_path: Path) -> None:
    stranger = write_signing_key(tmp_path / "stranger.pem", ORIGIN)
    foreign = sign_checkpoint(Checkpoint(origin="other/log", size=0, root=bytes(32)), [sqlite_house.signer])
    forged = sign_checkpoint(Checkpoint(origin=ORIGIN, size=0, root=bytes(32)), [stranger])
    for note in (b"", b"garbage", foreign, forged):
        (tmp_path / "seen").write_bytes(note)
        with pytest.raises(RememberedUnusable):
            opened(sqlite_house, Remembered(tmp_path / "seen"))


def test_a_file_that_cannot_be_read_is_not_taken_for_none(sqlite_house: House, tmp_path: Path) -> None:
    (tmp_path / "seen").mkdir()
    with pytest.raises(RememberedUnusable):
        opened(sqlite_house, Remembered(tmp_path / "seen"))


def test_a_refused_ledger_is_closed_again(sqlite_house: House, tmp_path: Path) -> None:
    (tmp_path / "seen").write_bytes(b"garbage")
    with pytest.raises(RememberedUnusable):
        opened(sqlite_house, Remembered(tmp_path / "seen"))
    with sqlite_house.open() as ledger:  # the writer's lock was released
        grow(ledger, 1)


def test_a_file_that_cannot_be_replaced_stays_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    replace_file(path, b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        replace_file(path, b"new")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def nodes(leaves: list[bytes]) -> dict[tuple[int, int], bytes]:
    from ledger.merkle import hash_children

    row, level, known = [hash_leaf(leaf) for leaf in leaves], 0, {}
    while row:
        known |= {(level, index): value for index, value in enumerate(row)}
        row = [hash_children(row[i], row[i + 1]) for i in range(0, len(row) - 1, 2)]
        level += 1
    return known


@settings(deadline=None)
@given(st.lists(st.binary(max_size=3), max_size=40), st.data())
def test_exactly_the_prefixes_of_a_log_are_accepted(leaves: list[bytes], data: st.DataObject) -> None:
    known, size = nodes(leaves), len(leaves)
    root = tree_root(size, lambda level, index: known[level, index])
    old = data.draw(st.integers(0, size))
    seen = Checkpoint(origin=ORIGIN, size=old, root=tree_root(old, lambda level, index: known[level, index]))

    def require(checkpoint: Checkpoint) -> None:
        require_prefix(checkpoint, "a test", size, root, lambda level, index: known[level, index])

    require(seen)
    flipped = bytes([seen.root[0] ^ 1]) + seen.root[1:]
    with pytest.raises(LedgerDamaged):
        require(Checkpoint(origin=ORIGIN, size=old, root=flipped))
    with pytest.raises(LogShrunk):
        require(Checkpoint(origin=ORIGIN, size=size + 1, root=root))
