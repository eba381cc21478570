"""Re-wrapping after a rotation: interruptible, beside writers, and afterwards the old master key is not needed."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from sqlalchemy import select

from ledger import Erased, FileMasterKeys, LedgerLocked, VaultError
from ledger.log import schema
from ledger.log.store import Store, open_store
from ledger.records.codec import decode_entry
from ledger.vault import Vault, read_document
from ledger.vault.master_keys import retire_master_key, rotate_master_key
from ledger.vault.remnants import clear_remnants
from ledger.vault.rewrapping import Rewrapped, count_outdated, count_wrapped, rewrap_keys
from tests.ledger.house import ORIGIN, House, build
from tests.ledger.vault.recorded import files_of, fill, holds, indices, order, secret
from tests.ledger.vault.test_erasure import carry_out

RUN = """
import os, sys
from pathlib import Path
from ledger import FileMasterKeys
from ledger.log.store import open_store
from ledger.vault import Vault
from ledger.vault.rewrapping import rewrap_keys
store = open_store(sys.argv[1], readers=1)
store.start_writing()
def tell(done, total):
    print(done, total, flush=True)
    sys.stdin.readline()
rewrap_keys(store, Vault(FileMasterKeys(Path(sys.argv[2])), sys.argv[3], os.urandom), progress=tell, page=7)
"""


def master_file(house: House) -> Path:
    return house.directory / "master.keys"


def vault_of(house: House) -> Vault:
    return Vault(FileMasterKeys(master_file(house)), ORIGIN, os.urandom)


def rewrap(house: House, **changes: object) -> Rewrapped:
    store = open_store(house.url, readers=1)
    try:
        store.start_writing()
        return rewrap_keys(store, vault_of(house), **changes)  # type: ignore[arg-type]
    finally:
        store.close()


def versions(house: House) -> dict[int, int]:
    store = open_store(house.url, readers=1)
    try:
        return count_wrapped(store)
    finally:
        store.close()


def require_all_open(house: House, expected: int) -> None:
    """Open every document with the keys that are in the file now."""
    vault, store, opened = vault_of(house), open_store(house.url, readers=1), 0
    with house.open() as ledger, store.reading() as connection:
        rows = connection.execute(select(schema.vault_key).order_by(schema.vault_key.c.idx)).all()
        for row in rows:
            document = read_document(connection, vault, row.idx, decode_entry(ledger.entry(row.idx)).record)
            opened += not isinstance(document, Erased)
    store.close()
    assert opened == expected


def test_after_rewrapping_the_old_key_can_go_and_everything_opens(house: House) -> None:
    with house.open() as ledger:
        fill(ledger, 10)
    rotate_master_key(master_file(house), os.urandom)
    told: list[tuple[int, int]] = []
    made = rewrap(house, progress=lambda done, total: told.append((done, total)), page=7)
    assert made == Rewrapped(done=30, left=0, failed=())
    assert told == [(7, 30), (14, 30), (21, 30), (28, 30), (30, 30)]
    assert versions(house) == {2: 30}
    retire_master_key(master_file(house), 1)
    require_all_open(house, 30)


def test_it_is_killed_in_the_middle_and_continues(house: House) -> None:
    with house.open() as ledger:
        fill(ledger, 10)
    rotate_master_key(master_file(house), os.urandom)
    command = [sys.executable, "-c", RUN, house.url, str(master_file(house)), ORIGIN]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "7 30\n"
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == "14 30\n"
        process.kill()
    assert versions(house) == {1: 16, 2: 14}
    require_all_open(house, 30)
    assert rewrap(house) == Rewrapped(done=16, left=0, failed=())
    assert rewrap(house) == Rewrapped(done=0, left=0, failed=())
    retire_master_key(master_file(house), 1)
    require_all_open(house, 30)


def test_a_failure_in_a_batch_leaves_that_batch_as_it_was(house: House) -> None:
    with house.open() as ledger:
        fill(ledger, 4)
    rotate_master_key(master_file(house), os.urandom)

    def fail(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rewrap(house, progress=fail, page=5)
    assert versions(house) == {1: 7, 2: 5}
    require_all_open(house, 12)


def test_erased_documents_stay_erased(house: House) -> None:
    with house.open() as ledger:
        gone, _ = fill(ledger, 2)
        carry_out(house, ledger, order(gone))
    rotate_master_key(master_file(house), os.urandom)
    assert rewrap(house) == Rewrapped(done=5, left=0, failed=())
    with house.open() as ledger:
        assert all(isinstance(ledger.document(idx), Erased) for idx in indices(ledger, gone))


def test_a_damaged_key_is_told_and_left_and_the_others_are_wrapped(house: House) -> None:
    with house.open() as ledger:
        fill(ledger, 3)
    rotate_master_key(master_file(house), os.urandom)
    store = open_store(house.url, readers=1)
    store.start_writing()
    with store.writing() as connection:
        key = schema.vault_key
        connection.execute(key.update().where(key.c.idx == 4).values(wrapped=b"\x00" * 60))
    store.close()
    assert rewrap(house, page=2) == Rewrapped(done=8, left=1, failed=(4,))
    assert versions(house) == {1: 1, 2: 8}


def test_a_sqlite_file_with_a_writer_is_refused(sqlite_house: House) -> None:
    with sqlite_house.open(), pytest.raises(LedgerLocked):
        rewrap(sqlite_house)


@pytest.mark.postgres
def test_it_runs_beside_a_writer_on_postgresql(postgres_url: str, tmp_path: Path) -> None:
    house = build(postgres_url, tmp_path)
    with house.open() as ledger:  # knows version 1 only, as a gateway from before the rotation
        fill(ledger, 20)
        rotate_master_key(master_file(house), os.urandom)
        started, written = threading.Event(), []

        def write() -> None:
            started.wait()
            written.extend(fill(ledger, 20))

        writer = threading.Thread(target=write)
        writer.start()
        made = rewrap(house, progress=lambda done, total: started.set(), page=3)
        writer.join()
        assert made.done >= 60
        again = rewrap(house)
        assert (made.done + again.done, again.left, again.failed) == (120, 0, ())
        # The old process reads what the new key wraps: it looks into the changed file.
        for record in written:
            for idx in indices(ledger, record):
                assert not isinstance(ledger.document(idx), Erased)
    retire_master_key(master_file(house), 1)
    require_all_open(house, 120)


@pytest.mark.postgres
def test_a_row_that_an_erasure_holds_is_passed_over_and_never_resurrected(postgres_url: str, tmp_path: Path) -> None:
    house = build(postgres_url, tmp_path)
    with house.open() as ledger:
        fill(ledger, 2)
    rotate_master_key(master_file(house), os.urandom)
    store = open_store(house.url, readers=1)
    store.start_writing()
    with store.writing() as connection:
        key = schema.vault_key
        connection.execute(key.update().where(key.c.idx.in_([0, 1, 2])).values(wrapped=None, destroyed_at="x" * 27))
        assert rewrap(house) == Rewrapped(done=3, left=3, failed=())
    assert count_outdated(store, 2) == 0
    with store.reading() as connection:
        rows = connection.execute(select(key).where(key.c.wrapped.is_(None))).all()
    store.close()
    assert sorted(row.idx for row in rows) == [0, 1, 2]


def test_what_was_wrapped_before_a_rotation_is_gone_from_the_sqlite_files_too(sqlite_house: House) -> None:
    with sqlite_house.open() as ledger:
        gone, kept = fill(ledger, 2)
        before = [secret(sqlite_house.url, ledger, record) for record in (gone, kept)]
    rotate_master_key(master_file(sqlite_house), os.urandom)
    rewrap(sqlite_house)
    with sqlite_house.open() as ledger:
        after = secret(sqlite_house.url, ledger, gone)
        carry_out(sqlite_house, ledger, order(gone))
    clear_remnants(sqlite_house.url)
    for file in files_of(sqlite_house):
        for needle in (*before[0].needles, *before[1].keys, *after.needles):
            assert not holds(file, needle)


def test_an_unknown_old_master_key_wraps_nothing_and_loses_nothing(house: House) -> None:
    with house.open() as ledger:
        (record,) = fill(ledger, 1)
    rotate_master_key(master_file(house), os.urandom)
    retire_master_key(master_file(house), 1)
    assert rewrap(house) == Rewrapped(done=0, left=3, failed=(0, 1, 2))
    store = open_store(house.url, readers=1)
    with store.reading() as connection, pytest.raises(VaultError, match="version 1 is not known"):
        read_document(connection, vault_of(house), 0, record)
    store.close()


def test_keys_are_counted_by_version(house: House) -> None:
    with house.open() as ledger:
        fill(ledger, 2)
        carry_out(house, ledger, order(fill(ledger, 1)[0]))
    assert versions(house) == {1: 8}
    store: Store = open_store(house.url, readers=1)
    assert (count_outdated(store, 1), count_outdated(store, 2)) == (0, 8)
    store.close()
