"""What was destroyed is what entries say was erased: no more, and no less."""

from __future__ import annotations

from typing import Any

import pytest

from ledger import Draft
from ledger.commands import fsck
from ledger.fsck import FsckReport
from ledger.log import schema
from ledger.vault.remnants import clear_remnants
from tests.ledger.house import ORIGIN, House, answered, erasing, new_record, submission
from tests.ledger.tampering import run, tampering

AT = "2026-11-23T08:00:00.000000Z"


def check(house: House, *, vault: bool = True) -> FsckReport:
    keys = house.master_keys if vault else None
    return fsck(house.url, verifiers=[house.signer.verifier], origin=ORIGIN, master_keys=keys)


def named(house: House, index: int, what: str, *, vault: bool = True) -> None:
    damages = check(house, vault=vault).damages
    assert [(damage.index, what in damage.what) for damage in damages] == [(index, True)], damages


def rows(house: House, *tables: Any) -> list[list[dict[str, Any]]]:
    with tampering(house.url) as connection:
        return [[dict(row) for row in connection.execute(table.select()).mappings()] for table in tables]


def destroy(house: House, index: int, at: str = AT) -> None:
    run(house.url, "UPDATE vault_key SET wrapped = NULL, destroyed_at = :at WHERE idx = :idx", at=at, idx=index)
    run(house.url, "DELETE FROM vault_document WHERE idx = :idx", idx=index)


@pytest.fixture
def kept(house: House) -> tuple[House, bytes, bytes]:
    """A record of two entries, then one of one."""
    first, second = new_record(), new_record()
    with house.open() as ledger:
        drafts = [Draft(kind=kind, record=first, groups={"body": kind}) for kind in _KINDS]
        ledger.append_blocking(submission(*drafts))
        ledger.append_blocking(submission(answered(second, body="x")))
    return house, first, second


_KINDS = ("CommitmentPrepared", "CommitmentRecorded")


def test_a_document_destroyed_without_an_entry_is_named(kept: tuple[House, bytes, bytes]) -> None:
    house, _, _ = kept
    destroy(house, 2)
    for vault in (True, False):
        named(house, 2, "no later entry says that it was erased", vault=vault)


def test_an_entry_that_erased_another_record_is_no_excuse(kept: tuple[House, bytes, bytes]) -> None:
    house, first, _ = kept
    with house.open() as ledger:
        ledger.append_blocking(erasing(ledger, first))
    destroy(house, 2)
    named(house, 2, "no later entry says that it was erased")
    assert check(house, vault=False).sound  # what the entry lists is not legible without master keys


def test_an_entry_that_came_before_is_no_excuse(kept: tuple[House, bytes, bytes]) -> None:
    house, first, _ = kept
    with house.open() as ledger:
        ledger.append_blocking(erasing(ledger, first))
        ledger.append_blocking(submission(Draft(kind="CommitmentLapsed", record=first, groups={"body": "later"})))
    assert check(house).damages == ()
    destroy(house, 4)
    for vault in (True, False):
        named(house, 4, "no later entry says that it was erased", vault=vault)


def test_what_was_erased_and_is_back_from_an_old_copy_is_named(kept: tuple[House, bytes, bytes]) -> None:
    house, first, _ = kept
    copies = rows(house, schema.vault_key, schema.vault_document, schema.record)
    with house.open() as ledger:
        ledger.append_blocking(erasing(ledger, first))
    assert check(house).damages == ()
    with tampering(house.url) as connection:
        for table, copied in zip((schema.vault_key, schema.vault_document), copies, strict=False):
            connection.execute(table.delete().where(table.c.idx == 1))
            connection.execute(table.insert(), [row for row in copied if row["idx"] == 1])
    named(house, 1, "was erased, and is there again")


@pytest.mark.parametrize("at", ["", "yesterday", "2026-11-23T08:00:00Z", "2026-11-23T24:00:00.000000Z"])
def test_a_time_of_destruction_that_is_none_is_named(kept: tuple[House, bytes, bytes], at: str) -> None:
    house, _, second = kept
    with house.open() as ledger:
        ledger.append_blocking(erasing(ledger, second))
    run(house.url, "UPDATE vault_key SET destroyed_at = :at WHERE idx = 2", at=at)
    for vault in (True, False):
        named(house, 2, "at what is no time", vault=vault)


@pytest.mark.parametrize("index", [-1, 5000])
@pytest.mark.parametrize("table", ["vault_key", "vault_document"])
def test_rows_of_the_vault_without_an_entry_are_named(kept: tuple[House, bytes, bytes], table: str, index: int) -> None:
    house, _, _ = kept
    run(house.url, f"UPDATE {table} SET idx = :idx WHERE idx = 2", idx=index)
    whats = [damage.what for damage in check(house).damages]
    assert f"a row of {table} ({index}) is of no entry" in whats


def test_an_entry_that_erases_without_a_list_is_named(house: House) -> None:
    with house.open() as ledger:
        for listed in ("all", ["xy"], [7], ["00"]):
            draft = Draft(kind="DocumentErased", record=new_record(), groups={"erased": listed})  # type: ignore[dict-item]
            ledger.append_blocking(submission(draft))
    assert [(d.index, "does not list" in d.what) for d in check(house).damages] == [(n, True) for n in range(4)]


def test_where_the_list_itself_was_erased_nothing_is_held_against_what_it_may_cover(
    kept: tuple[House, bytes, bytes],
) -> None:
    house, first, second = kept
    with house.open() as ledger:
        order = erasing(ledger, first)
        ledger.append_blocking(order)
        ledger.append_blocking(erasing(ledger, order.drafts[0].record))
        assert check(house).damages == ()
        ledger.append_blocking(submission(answered(body="y")))
    destroy(house, 5)
    named(house, 5, "no later entry says that it was erased")
    assert second


def test_a_digest_of_a_request_is_given_up_with_its_document_and_never_else(house: House) -> None:
    first, second = new_record(), new_record()
    with house.open() as ledger:
        for number, record in enumerate((first, second)):
            ledger.append_blocking(submission(answered(record, body="x"), key=bytes([number]) * 16))
        ledger.append_blocking(erasing(ledger, first))
    assert check(house).remnants == 1
    clear_remnants(house.url)
    assert check(house).remnants == 0
    for vault in (True, False):
        assert check(house, vault=vault).damages == ()
    run(house.url, "UPDATE idempotency SET body_digest = :digest WHERE first_idx = 0", digest=bytes(31))
    assert ["not of its length" in damage.what for damage in check(house).damages] == [True]
    run(house.url, "UPDATE idempotency SET body_digest = :digest", digest=b"")
    damages = check(house).damages
    assert [(b"\x01" * 16).hex() in damage.what for damage in damages] == [True], damages
