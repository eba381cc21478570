"""Checks in the circumstances of real life: a log that grows, a copy on read-only media, a key that changed."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from ledger import Draft, Ledger, LedgerDamaged, LedgerLocked, VaultError, parse_vkey
from ledger.commands import fsck, rebuild
from ledger.fsck import FsckReport
from ledger.log import schema
from ledger.vault import FileMasterKeys, write_master_key
from tests.disk import read_only
from tests.ledger.house import ORIGIN, START, House, answered, erasing, new_record, submission
from tests.ledger.tampering import alter, flip, run, tampering


def check(house: House, *, vault: bool = True) -> FsckReport:
    keys = house.master_keys if vault else None
    return fsck(house.url, verifiers=[house.signer.verifier], origin=ORIGIN, master_keys=keys)


def fill(ledger: Ledger, chains: int = 30) -> list[bytes]:
    records = [new_record() for _ in range(chains)]
    for number, record in enumerate(records):
        facts = {"unit": f"u{number}", "due_at": "2026-12-01T00:00:00+08:00"}
        first = Draft(kind="CommitmentPrepared", record=record, groups={"body": number}, facts=facts)
        ledger.append_blocking(submission(first, Draft(kind="CommitmentRecorded", record=record), answered(n=number)))
    return records


def test_a_log_that_grows_meanwhile_is_sound_up_to_where_it_was(house: House, opened: Ledger) -> None:
    stop = threading.Event()

    def append() -> None:
        while not stop.is_set():
            record = new_record()
            opened.append_blocking(submission(answered(x=1), Draft(kind="CommitmentPrepared", record=record)))
            opened.append_blocking(submission(Draft(kind="CommitmentRecorded", record=record)))
            opened.commit_index(START)

    thread = threading.Thread(target=append)
    thread.start()
    try:
        for _ in range(6):
            report = check(house)
            assert report.damages == ()
            assert report.size <= opened.size()
    finally:
        stop.set()
        thread.join()
    final = check(house)
    assert (final.damages, final.size) == ((), opened.size())


def test_a_copy_on_read_only_media_is_checked_with_the_public_key_alone(sqlite_house: House, tmp_path: Path) -> None:
    with sqlite_house.open() as ledger:
        fill(ledger)
        ledger.commit_index(START)
    verifier = parse_vkey(sqlite_house.signer.verifier.vkey)
    with read_only(tmp_path / "ledger.db", tmp_path / "media") as copy:
        for workers in (1, 2):
            report = fsck(f"sqlite:///{copy}", verifiers=[verifier], origin=ORIGIN, workers=workers)
            assert (report.damages, report.size, report.indexes) == ((), 91, 1)
        assert list(copy.parent.iterdir()) == [copy]


def test_a_damaged_projection_is_computed_again_and_nothing_else_is_repaired(house: House) -> None:
    with house.open() as ledger:
        records = fill(ledger)
        ledger.append_blocking(erasing(ledger, records[3]))
        ledger.append_blocking(submission(Draft(kind="CommitmentLapsed", record=records[3], facts={"unit": "z"})))
        ledger.commit_index(START)
    with tampering(house.url) as connection:
        whole = connection.execute(schema.record.select().order_by(schema.record.c.record)).all()
        connection.execute(schema.record.delete().where(schema.record.c.record == records[0]))
        connection.execute(schema.record.update().values(state=1))
        connection.execute(schema.index_page.delete())
    assert not check(house).sound
    seen: list[tuple[int, int]] = []
    count = rebuild(house.url, origin=ORIGIN, master_keys=house.master_keys, progress=lambda d, t: seen.append((d, t)))
    assert count == len(whole)
    assert seen[-1][0] == seen[-1][1]
    assert check(house).damages == ()
    with tampering(house.url) as connection:
        assert connection.execute(schema.record.select().order_by(schema.record.c.record)).all() == whole


@pytest.mark.parametrize("harm", ["flip", "missing", "document"])
def test_from_a_damaged_log_nothing_is_computed(house: House, harm: str) -> None:
    with house.open() as ledger:
        fill(ledger)
    if harm == "flip":
        alter(house.url, schema.entry, "leaf", {"idx": 40}, flip(30))
    elif harm == "missing":
        run(house.url, "DELETE FROM entry WHERE idx = 40")
    else:
        alter(house.url, schema.vault_document, "sealed", {"idx": 39}, flip(30))
    alter(house.url, schema.record, "seq", {"first_idx": 3}, lambda seq: seq + 1)
    before = check(house).damages
    with pytest.raises((LedgerDamaged, VaultError)):
        rebuild(house.url, origin=ORIGIN, master_keys=house.master_keys)
    assert check(house).damages == before


def test_a_small_log_that_is_resumed_is_counted_as_before(house: House, tmp_path: Path) -> None:
    with house.open() as ledger:
        fill(ledger, 5)
    given = {"verifiers": [house.signer.verifier], "origin": ORIGIN, "master_keys": house.master_keys}
    first = fsck(house.url, resume=tmp_path / "state", **given)  # type: ignore[arg-type]
    assert (tmp_path / "state").exists()
    assert fsck(house.url, resume=tmp_path / "state", **given) == first  # type: ignore[arg-type]


def test_an_sqlite_ledger_with_a_writer_is_not_rebuilt(sqlite_house: House, sqlite_ledger: Ledger) -> None:
    fill(sqlite_ledger, 2)
    with pytest.raises(LedgerLocked):
        rebuild(sqlite_house.url, origin=ORIGIN, master_keys=sqlite_house.master_keys)


def test_with_another_master_key_every_document_is_named(house: House, tmp_path: Path) -> None:
    with house.open() as ledger:
        fill(ledger, 3)
    write_master_key(tmp_path / "other.keys", os.urandom)
    report = fsck(
        house.url,
        verifiers=[house.signer.verifier],
        origin=ORIGIN,
        master_keys=FileMasterKeys(tmp_path / "other.keys"),
    )
    assert [damage.index for damage in report.damages] == [0, 2, 3, 5, 6, 8]
