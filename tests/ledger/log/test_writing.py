"""Writing rows in one block: what is stored is what was sent, on each kind of database; a failure leaves nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import bindparam

from ledger.log import schema
from ledger.log.store import Store, lock_head, open_store
from tests.ledger.house import House

BYTES = st.binary(max_size=40)
TEXT = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=12)
NUMBER = st.integers(-(1 << 63), (1 << 63) - 1)
SMALL = st.integers(-(1 << 15), (1 << 15) - 1)
ROWS = st.dictionaries(
    st.binary(min_size=16, max_size=16),
    st.tuples(
        SMALL, SMALL, st.integers(-(1 << 31), (1 << 31) - 1), NUMBER, NUMBER, NUMBER, NUMBER,
        *(st.none() | BYTES for _ in range(3)), *(st.none() | TEXT for _ in range(5)), st.none() | NUMBER,
    ),
    max_size=12,
)  # fmt: skip
FOUND = schema.head.update().where(schema.head.c.size == bindparam("old")).values(size=bindparam("size"))

EVERYTHING = schema.record.delete()


@pytest.fixture
def store(house: House) -> Iterator[Store]:
    opened = open_store(house.url)
    opened.start_writing()
    yield opened
    opened.close()


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS, leading=st.booleans())
def test_rows_come_back_as_they_were_written(
    store: Store, rows: dict[bytes, tuple[object, ...]], *, leading: bool
) -> None:
    written = [(key, *row) for key, row in rows.items()]
    if leading:
        written = [row[:8] for row in written]
    with store.writing() as connection:
        with store.database.writing(connection) as writes:
            writes.run(EVERYTHING, {})
            writes.insert(schema.record, written)
        found = store.database.select_many(connection, schema.record, "record", list(rows)) if rows else []
    width = len(schema.record.columns)
    assert sorted(map(tuple, found)) == sorted(row + (None,) * (width - len(row)) for row in written)


def test_a_statement_tells_how_many_rows_it_changed(store: Store) -> None:
    with store.writing() as connection, store.database.writing(connection) as writes:
        missed, met = writes.run(FOUND, {"old": 5, "size": 6}), writes.run(FOUND, {"old": 0, "size": 6})
    assert (missed.rowcount, met.rowcount) == (0, 1)


def write(store: Store, *batches: list[tuple[str, str]], fail_within: bool = False, fail_after: bool = False) -> None:
    """Write rows of `meta` in one transaction, and fail where asked to."""
    with store.writing() as connection:
        with store.database.writing(connection) as writes:
            for rows in batches:
                writes.insert(schema.meta, rows)
            if fail_within:
                raise ZeroDivisionError
        if fail_after:
            raise ZeroDivisionError


def read(store: Store, *keys: str) -> list[tuple[str, str]]:
    with store.reading() as connection:
        return [(row[0], row[1]) for row in store.database.select_many(connection, schema.meta, "key", keys)]


def test_the_first_write_of_a_transaction_begins_it(store: Store) -> None:
    with pytest.raises(ZeroDivisionError):
        write(store, [("a", "b")], fail_after=True)
    assert read(store, "a") == []


@pytest.mark.parametrize("before", [0, 1])
def test_a_write_that_fails_takes_the_others_with_it(store: Store, before: int) -> None:
    """Those sent after it in the block as well; the next transaction is on a good connection again."""
    for _ in range(2):
        with pytest.raises(store.database.errors):
            write(store, [("a", "b")] * before, [("origin", "another")], [("c", "d")])
    write(store, [("c", "e")])
    assert read(store, "a", "c") == [("c", "e")]


def test_what_fails_between_two_writes_is_told_and_the_connection_is_good(store: Store) -> None:
    with pytest.raises(ZeroDivisionError):
        write(store, [("a", "b")], fail_within=True)
    with store.writing() as connection:
        assert lock_head(store.database, connection).size == 0
    assert read(store, "a") == []


CHECKPOINT = (1, bytes(32), b"note", "2026")


def write_checkpoint_after(store: Store, first: list[tuple[str, str]], *, fail: bool) -> None:
    """Write rows of `meta` and then a checkpoint, in one block."""
    with store.writing() as connection, store.database.writing(connection) as writes:
        if store.database.name == "postgresql" or not fail:  # where what is sent fails later
            writes.insert(schema.meta, first)
            writes.insert(schema.checkpoint, [CHECKPOINT])
        if fail:
            raise ZeroDivisionError


def test_what_could_not_be_prepared_is_prepared_again(store: Store) -> None:
    """As what comes after a statement that fails, while something else is told and the connection is kept."""
    with pytest.raises(ZeroDivisionError):
        write_checkpoint_after(store, [("origin", "another")], fail=True)
    write_checkpoint_after(store, [("c", "e")], fail=False)
    with store.reading() as connection:
        assert store.database.select_many(connection, schema.checkpoint, "size", [1]) == [CHECKPOINT]
