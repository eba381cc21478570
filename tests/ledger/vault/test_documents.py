"""Documents in real databases: read, erased, never resurrected."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

import pytest
from sqlalchemy import select

from ledger import (
    Draft,
    EntryMissing,
    Erased,
    FileMasterKeys,
    Ledger,
    LedgerDamaged,
    SubmissionError,
    VaultError,
    decode_entry,
    disclose,
    verify_disclosure,
)
from ledger.commands import RecordReader, disclose_entry, fsck, rebuild, show
from ledger.log import schema
from ledger.log.store import open_store
from ledger.vault import Cipher, Vault
from ledger.vault.master_keys import rotate_master_key
from ledger.vault.rewrapping import rewrap_keys
from tests.ledger.house import ORIGIN, House, as_now, erasing, submission
from tests.ledger.tampering import run
from tests.ledger.vault.recorded import fill, indices, name_of


def test_fields_and_groups_read_back_with_the_salts_that_open_the_entry(house: House, opened: Ledger) -> None:
    (record,) = fill(opened, 1)
    document = opened.document(indices(opened, record)[0])
    assert not isinstance(document, Erased)
    assert document["person"].value == {"name": name_of(record), "town": "甲镇"}
    receipt = opened.receipt(indices(opened, record)[0])
    disclosure = disclose(receipt, document, "person", ["town"])
    assert verify_disclosure(disclosure, [house.signer.verifier], ORIGIN).value == {"town": "甲镇"}
    assert name_of(record).encode() not in disclosure


def test_an_entry_without_a_document_has_none(opened: Ledger) -> None:
    opened.append_blocking(submission(Draft(kind="CommitmentPrepared", record=os.urandom(16))))
    with pytest.raises(EntryMissing):
        opened.document(0)


def test_erasing_takes_every_document_of_its_records_and_no_other(house: House, opened: Ledger) -> None:
    one, other = fill(opened, 2)
    operation = Draft(kind="DocumentErased", record=os.urandom(16), groups={"why": 1})
    opened.append_blocking(submission(operation, erase=as_now(opened, one)))
    assert all(isinstance(opened.document(idx), Erased) for idx in indices(opened, one))
    assert not any(isinstance(opened.document(idx), Erased) for idx in indices(opened, other))
    store = open_store(house.url, readers=1)
    with store.reading() as connection:
        left = connection.execute(select(schema.vault_document.c.idx)).scalars().all()
        keys = connection.execute(select(schema.vault_key)).all()
    store.close()
    assert sorted(left) == [3, 4, 5, 6]
    assert [row.idx for row in keys if row.wrapped is None] == [0, 1, 2]
    for idx in range(7):
        opened.receipt(idx)


def test_a_document_after_an_erasure_is_legible_and_the_time_of_the_erasure_stays(opened: Ledger) -> None:
    record = os.urandom(16)
    opened.append_blocking(submission(Draft(kind="CommitmentPrepared", record=record, groups={"a": "旧"})))
    operation = Draft(kind="DocumentErased", record=os.urandom(16))
    opened.append_blocking(submission(operation, erase=as_now(opened, record)))
    opened.append_blocking(submission(Draft(kind="CommitmentExpired", record=record, groups={"again": "新"})))
    first, last = indices(opened, record)[0], indices(opened, record)[-1]
    document, erased = opened.document(last), opened.document(first)
    assert isinstance(erased, Erased)
    assert not isinstance(document, Erased)
    assert document["again"].value == "新"


@pytest.mark.parametrize("where", ["groups", "fields"])
def test_the_group_of_facts_cannot_be_given_as_a_document(opened: Ledger, where: str) -> None:
    draft = Draft(kind="CommitmentPrepared", record=os.urandom(16), **{where: {"facts": {"unit": "x"}}})  # type: ignore[arg-type]
    with pytest.raises(SubmissionError, match="reserved"):
        opened.append_blocking(submission(draft))


def test_every_mistake_in_groups_and_fields_is_told_before_anything_is_written(opened: Ledger) -> None:
    draft = Draft(kind="CommitmentPrepared", record=os.urandom(16), groups={"a": 1.5}, fields={"b": {"c": 2**60}})  # type: ignore[dict-item]
    with pytest.raises(SubmissionError) as caught:
        opened.append_blocking(submission(draft))
    assert len(caught.value.mistakes) == 2
    assert opened.size() == 0


def test_the_check_of_a_whole_ledger_knows_fields_erasures_and_new_keys(house: House) -> None:
    with house.open() as ledger:
        gone, *_ = fill(ledger, 3)
        ledger.append_blocking(erasing(ledger, gone))
    master = house.directory / "master.keys"
    rotate_master_key(master, os.urandom, cipher=Cipher.SM4_GCM)
    keys = FileMasterKeys(master)
    store = open_store(house.url, readers=1)
    store.start_writing()
    rewrap_keys(store, Vault(keys, ORIGIN, os.urandom))
    store.close()

    def damages() -> list[tuple[int | None, str]]:
        found = fsck(house.url, verifiers=[house.signer.verifier], origin=ORIGIN, master_keys=keys).damages
        return [(damage.index, damage.what) for damage in found]

    assert damages() == []
    # The documents of two entries of one record change places: each opens, and neither is what its entry commits to.
    for table in ("vault_key", "vault_document"):
        for old, new in ((3, 99), (4, 3), (99, 4)):
            run(house.url, f"UPDATE {table} SET idx = {new} WHERE idx = {old}")
    assert 3 in {index for index, _ in damages()}


def opens(house: House) -> tuple[Callable[[], object], ...]:
    """Every way in which the document of entry 0 is opened for somebody."""
    given = {"origin": ORIGIN, "master_keys": house.master_keys}

    def by_ledger() -> object:
        with house.open() as ledger:
            return ledger.document(0)

    def many() -> object:
        with house.open() as ledger:
            return ledger.documents({0: decode_entry(ledger.entry(0)).record, 1: decode_entry(ledger.entry(1)).record})

    def by_reader() -> object:
        with RecordReader(house.url, **given) as reader:
            return reader.document(0)

    return (
        by_ledger, many, by_reader,
        lambda: show(house.url, 0, **given),
        lambda: disclose_entry(house.url, 0, "person", **given),
    )  # fmt: skip


def moved(table: str) -> tuple[str, ...]:
    """Let the rows of the first two entries change places."""
    return tuple(f"UPDATE {table} SET idx = {new} WHERE idx = {old}" for old, new in ((0, 99), (1, 0), (99, 1)))


_GONE = "DELETE FROM vault_document WHERE idx = 0"
_AT = "UPDATE vault_key SET wrapped = NULL, destroyed_at = '{}' WHERE idx = 0"
HARMS: dict[str, tuple[str, ...]] = {
    "swapped": (*moved("vault_key"), *moved("vault_document")),
    "no document": (_GONE,),
    "no key": ("DELETE FROM vault_key WHERE idx = 0",),
    "neither": (_GONE, "DELETE FROM vault_key WHERE idx = 0"),
    "half destroyed": (_AT.format("2026-11-23T08:00:00.000000Z"),),
    "at no time": (_AT.format("yesterday"), _GONE),
}


@pytest.mark.parametrize("harm", list(HARMS))
def test_no_other_document_than_the_entry_commits_to_is_handed_out_or_computed_from(house: House, harm: str) -> None:
    with house.open() as ledger:
        fill(ledger, 1)
    for ask in opens(house):
        ask()
    for statement in HARMS[harm]:
        run(house.url, statement)
    for ask in opens(house):
        with pytest.raises(LedgerDamaged, match="entry 0"):
            ask()
    with pytest.raises(LedgerDamaged, match="entry 0"):
        rebuild(house.url, origin=ORIGIN, master_keys=house.master_keys)


def test_a_document_is_not_read_as_another_record_s(opened: Ledger) -> None:
    one, other = fill(opened, 2)
    with pytest.raises(VaultError, match="not of record"):
        opened.documents({indices(opened, one)[0]: other})


def test_a_disclosure_is_verified_without_loading_a_database_driver() -> None:
    program = "import sys; import ledger.disclosure; sys.exit('sqlalchemy' in sys.modules or 'sqlite3' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
