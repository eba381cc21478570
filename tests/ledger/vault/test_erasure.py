"""Erasure by order: two people, everything legible gone from the files and from later backups, every proof valid."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import select
from sqlalchemy.engine import make_url

from ledger import AlreadyClaimed, Draft, Erased, ErasureRefused, Ledger, RemnantsLeft, verify_receipt
from ledger.log import schema
from ledger.log.store import Store, open_store
from ledger.vault.erasure import Doomed, ErasureOrder, Officer, erasure_submission, examine_order, related_records
from ledger.vault.remnants import clear_remnants
from tests.ledger.house import ORIGIN, START, House, build, submission
from tests.ledger.vault.recorded import FIRST, SECOND, dump, files_of, fill, holds, indices, order, secret


def carry_out(house: House, ledger: Ledger, asked: ErasureOrder) -> bytes:
    store = open_store(house.url, readers=1)
    try:
        doomed = examine_order(store, asked)
    finally:
        store.close()
    done = ledger.append_blocking(erasure_submission(asked, doomed, record=os.urandom(16), at=START))
    return done.receipts[0]


@pytest.fixture
def store(house: House) -> Store:
    return open_store(house.url, readers=1)


def test_an_order_is_carried_out_and_every_proof_old_and_new_stays_valid(house: House, opened: Ledger) -> None:
    one, other = fill(opened, 2)
    old = [opened.receipt(idx) for idx in indices(opened, one)]
    receipt = carry_out(house, opened, order(one))
    entry = verify_receipt(receipt, [house.signer.verifier], ORIGIN).entry
    assert entry.kind == "DocumentErased"
    for text in ("张三", "李四", FIRST.number, "个人信息保护法", one.hex()):
        assert text.encode() not in opened.entry(opened.size() - 1)
    for proof in (*old, *(opened.receipt(idx) for idx in range(opened.size()))):
        verify_receipt(proof, [house.signer.verifier], ORIGIN)
    assert all(isinstance(opened.document(idx), Erased) for idx in indices(opened, one))
    assert not any(isinstance(opened.document(idx), Erased) for idx in indices(opened, other))
    document = opened.document(opened.size() - 1)
    assert not isinstance(document, Erased)
    assert document["erased"].value == [one.hex()]
    assert document["order"].value == {
        "basis": "《个人信息保护法》第四十七条",
        "document-number": "黑数删〔2026〕7号",
        "first-number": FIRST.number,
        "first-name": FIRST.name,
        "second-number": SECOND.number,
        "second-name": SECOND.name,
    }


def test_nothing_legible_is_left_in_the_sqlite_files_or_in_a_later_backup(sqlite_house: House) -> None:
    with sqlite_house.open() as ledger:
        records = fill(ledger, 40)
        secrets = [secret(sqlite_house.url, ledger, record) for record in records[::2]]
        kept = secret(sqlite_house.url, ledger, records[1])
        carry_out(sqlite_house, ledger, order(*(one.record for one in secrets)))
    clear_remnants(sqlite_house.url)
    path = str(make_url(sqlite_house.url).database)
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(path + ".backup")) as backup:
        source.backup(backup)
    files = files_of(sqlite_house)
    assert any(file.name.endswith(".backup") for file in files)
    assert_gone(files, [needle for one in secrets for needle in one.needles])
    stored = (*kept.keys, *kept.texts[:-1])
    assert all(sum(holds(file, needle) for file in files) == 2 for needle in stored)
    assert not any(holds(file, kept.texts[-1]) for file in files)


def assert_gone(files: list[Path], needles: list[bytes]) -> None:
    contents = [file.read_bytes() for file in files]
    for needle in needles:
        for content in contents:
            assert needle not in content
            assert needle.hex().encode() not in content


@pytest.mark.postgres
def test_nothing_legible_is_left_in_the_postgresql_files_or_in_a_later_dump(postgres_url: str, tmp_path: Path) -> None:
    house = build(postgres_url, tmp_path)
    with house.open() as ledger:
        records = fill(ledger, 40)
        secrets = [secret(house.url, ledger, record) for record in records[::2]]
        kept = secret(house.url, ledger, records[1])
        carry_out(house, ledger, order(*(one.record for one in secrets)))
    needles = [needle for one in secrets for needle in one.needles]
    clear_remnants(house.url)
    dumped = dump(house.url, tmp_path / "dump.sql")
    assert_gone([dumped], needles)
    assert all(holds(dumped, needle) for needle in (*kept.keys, *kept.texts[:-1]))
    if "host" not in make_url(postgres_url).query:
        pytest.skip("the files of a server given by TEST_POSTGRES_URL are not at hand")
    flush(postgres_url)
    assert_gone(files_of(house), [needle for one in secrets for needle in (*one.keys, one.texts[-1])])
    clear_remnants(house.url, rewrite="all")
    flush(postgres_url)
    assert_gone(files_of(house), needles)
    assert all(any(holds(file, needle) for file in files_of(house)) for needle in kept.keys)


def flush(url: str) -> None:
    """Have PostgreSQL write its pages to its files."""
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute("CHECKPOINT")


def test_an_order_that_is_wrong_in_every_way_is_refused_with_every_mistake(
    house: House, opened: Ledger, store: Store
) -> None:
    unknown = bytes(16)
    wrong = order(
        unknown, unknown, b"short", officers=(FIRST, Officer(number="", name="张三")), basis=" ", document_number=""
    )
    with pytest.raises(ErasureRefused) as caught:
        examine_order(store, wrong)
    assert caught.value.mistakes == [
        "a record is given twice",
        "the basis is empty or longer than 1000",
        "the document number is empty or longer than 1000",
        "a staff number is empty or longer than 1000",
        "the two people have the same staff number or name: one person cannot order it alone",
        f"record {unknown.hex()} is unknown",
        f"record {b'short'.hex()} is unknown",
    ]
    assert opened.size() == 0
    store.close()


@pytest.mark.parametrize(
    "officers",
    [
        (FIRST,),
        (FIRST, FIRST),
        (FIRST, SECOND, Officer(number="3", name="王五")),
        (FIRST, Officer(number=FIRST.number, name="李四")),
        (FIRST, Officer(number="２３０１００-０７ ", name="李四")),
        (FIRST, Officer(number="230100-99", name=" 张 三")),
        (Officer(number="ab-1", name="甲"), Officer(number="AB-1", name="乙")),
    ],
)
def test_one_person_cannot_order_an_erasure_alone(
    house: House, opened: Ledger, store: Store, officers: tuple[Officer, ...]
) -> None:
    (record,) = fill(opened, 1)
    with pytest.raises(ErasureRefused, match="two people"):
        examine_order(store, order(record, officers=officers))
    store.close()
    assert not isinstance(opened.document(0), Erased)


def test_a_refusal_names_no_person(store: Store, opened: Ledger) -> None:
    with pytest.raises(ErasureRefused) as caught:
        examine_order(store, order(bytes(16), officers=(FIRST, FIRST)))
    store.close()
    assert FIRST.name not in str(caught.value)
    assert FIRST.number not in str(caught.value)
    assert FIRST.name not in repr(order(bytes(16)))


def test_erasing_twice_is_refused(house: House, opened: Ledger, store: Store) -> None:
    (record,) = fill(opened, 1)
    carry_out(house, opened, order(record))
    with pytest.raises(ErasureRefused, match="no document left"):
        examine_order(store, order(record))
    store.close()
    assert opened.size() == 4


def test_of_two_orders_for_the_same_documents_at_once_one_is_refused(
    house: House, opened: Ledger, store: Store
) -> None:
    (record,) = fill(opened, 1)
    doomed = examine_order(store, order(record))
    opened.append_blocking(erasure_submission(order(record), doomed, record=os.urandom(16), at=START))
    with pytest.raises(AlreadyClaimed):
        opened.append_blocking(erasure_submission(order(record), doomed, record=os.urandom(16), at=START))
    store.close()
    assert opened.size() == 4


def test_a_document_that_came_after_an_erasure_can_be_erased_too(house: House, opened: Ledger) -> None:
    (record,) = fill(opened, 1)
    carry_out(house, opened, order(record))
    opened.append_blocking(submission(Draft(kind="CommitmentRequeried", record=record, groups={"again": "新"})))
    carry_out(house, opened, order(record))
    assert all(isinstance(opened.document(idx), Erased) for idx in indices(opened, record))


def test_a_failed_erasure_destroys_nothing(house: House, opened: Ledger) -> None:
    (record,) = fill(opened, 1)
    doomed = (Doomed(record=record, family="commitment", state="IN_FORCE", documents=3, last_idx=2),)
    taken = erasure_submission(order(record), doomed, record=os.urandom(16), at=START)
    opened.append_blocking(submission(claim_keys=((taken.claim_keys[0][0], os.urandom(16)),)))
    with pytest.raises(AlreadyClaimed):
        opened.append_blocking(taken)
    assert not any(isinstance(opened.document(idx), Erased) for idx in indices(opened, record))


def test_a_reader_that_needs_old_pages_makes_cleaning_fail_aloud(
    sqlite_house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    with sqlite_house.open() as ledger:
        (record,) = fill(ledger, 1)
        path = str(make_url(sqlite_house.url).database)
        with closing(sqlite3.connect(path, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM vault_key").fetchone()
            carry_out(sqlite_house, ledger, order(record))
            ledger.close()
            with pytest.raises(RemnantsLeft, match="reader"):
                clear_remnants(sqlite_house.url)
    clear_remnants(sqlite_house.url)


def test_a_persons_records_are_found_with_those_that_hang_on_them(house: House, opened: Ledger, store: Store) -> None:
    subject, first, child, grandchild, stranger = b"\x01" * 33, *(os.urandom(16) for _ in range(4))
    for record, facts in (
        (first, {"subject": subject.hex()}),
        (child, {"parent": first.hex()}),
        (grandchild, {"parent": child.hex(), "subject": subject.hex()}),
        (stranger, {"subject": "02" * 33}),
    ):
        opened.append_blocking(submission(Draft(kind="VerificationAnswered", record=record, facts=facts)))
    assert set(related_records(store, subject)) == {first, child, grandchild}
    assert related_records(store, b"\x03" * 33) == ()
    store.close()


def test_destroyed_keys_are_null_and_say_when(house: House, opened: Ledger, store: Store) -> None:
    (record,) = fill(opened, 1)
    carry_out(house, opened, order(record))
    with store.reading() as connection:
        rows = connection.execute(select(schema.vault_key).order_by(schema.vault_key.c.idx)).all()
    store.close()
    assert [(row.wrapped is None, row.destroyed_at is None) for row in rows] == [(True, False)] * 3 + [(False, True)]
