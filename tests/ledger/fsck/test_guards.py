"""What makes the tables append-only is looked for: by the check, and by whoever opens them for writing."""

from __future__ import annotations

import pytest
from sqlalchemy import inspect

from ledger import LedgerDamaged
from ledger.commands import fsck, rebuild
from ledger.fsck import FsckReport
from ledger.log import schema
from ledger.log.store import open_store
from tests.ledger.house import ORIGIN, START, House, answered, submission
from tests.ledger.tampering import run


def check(house: House, *, tiles: bool = False, inline: bool = False) -> FsckReport:
    return fsck(
        house.url,
        verifiers=[house.signer.verifier],
        origin=ORIGIN,
        leaves_from_tiles=tiles,
        inline=inline,
    )


def whats(house: House) -> list[str]:
    found = [[damage.what for damage in check(house, tiles=tiles).damages] for tiles in (False, True)]
    assert found[0] == found[1]
    return found[0]


def execute(house: House, *statements: str) -> None:
    """Run statements as the owner of the database."""
    store = open_store(house.url)
    engine = store.database.writer()
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    engine.dispose()
    store.close()


def triggers(house: House) -> list[tuple[str, str]]:
    """Every trigger and its table."""
    store = open_store(house.url)
    with store.reading() as connection:
        kind = connection.dialect.name
    store.close()
    made = [statement.split() for statement in schema.triggers(kind) if statement.startswith("CREATE TRIGGER")]
    return [(words[2], words[words.index("ON") + 1]) for words in made]


def drop(house: House, name: str, table: str) -> None:
    execute(house, f"DROP TRIGGER {name}" + (f" ON {table}" if house.url.startswith("postgresql") else ""))


@pytest.fixture
def filled(house: House) -> House:
    with house.open() as ledger:
        ledger.append_blocking(submission(answered(n=1)))
        ledger.commit_index(START)
    return house


def test_every_missing_trigger_is_named_and_nobody_writes_without_it(filled: House) -> None:
    assert whats(filled) == []
    made = triggers(filled)
    assert len(made) > 10
    for name, table in made:
        drop(filled, name, table)
        assert whats(filled) == [f"the trigger {name} is missing"]
        with pytest.raises(LedgerDamaged, match=f"{name} is missing.*--rebuild-projections"):
            filled.open()
        rebuild(filled.url, origin=ORIGIN, master_keys=filled.master_keys)
        assert whats(filled) == []
    with filled.open() as ledger:
        ledger.append_blocking(submission(answered(n=2)))


def test_a_trigger_that_does_nothing_is_named(filled: House) -> None:
    if filled.url.startswith("postgresql"):
        execute(filled, "ALTER TABLE entry DISABLE TRIGGER entry_frozen")
        named = "entry_frozen"
    else:
        execute(
            filled,
            "DROP TRIGGER entry_no_DELETE",
            "CREATE TRIGGER entry_no_DELETE BEFORE DELETE ON entry BEGIN SELECT 1; END",
        )
        named = "entry_no_DELETE"
    assert whats(filled) == [f"the trigger {named} is another, or does not fire"]
    with pytest.raises(LedgerDamaged):
        filled.open()
    rebuild(filled.url, origin=ORIGIN, master_keys=filled.master_keys)
    assert whats(filled) == []


@pytest.mark.postgres
def test_a_function_that_refuses_nothing_is_named(postgres_url: str, tmp_path: object) -> None:
    from pathlib import Path

    from tests.ledger.house import build

    house = build(postgres_url, Path(str(tmp_path)))
    execute(
        house,
        "CREATE OR REPLACE FUNCTION ledger_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RETURN NULL; END $$",
    )
    assert len(whats(house)) == len(triggers(house))
    rebuild(house.url, origin=ORIGIN, master_keys=house.master_keys)
    assert whats(house) == []


def test_a_trigger_of_a_stranger_is_named(sqlite_house: House) -> None:
    execute(sqlite_house, "CREATE TRIGGER odd AFTER INSERT ON entry BEGIN DELETE FROM uniqueness; END")
    assert whats(sqlite_house) == ["the trigger odd is none of ours"]
    with pytest.raises(LedgerDamaged, match="odd is none of ours"):
        sqlite_house.open()


def test_a_missing_index_is_named_and_made_again(filled: House) -> None:
    execute(filled, "DROP INDEX record_subject")
    assert whats(filled) == ["the index record_subject of table record is missing, or another"]
    with filled.open() as ledger:  # slower, and no less right
        assert ledger.size() == 2
    rebuild(filled.url, origin=ORIGIN, master_keys=filled.master_keys)
    assert whats(filled) == []


@pytest.mark.parametrize("table", [table.name for table in schema.tables.sorted_tables if table.name != "meta"])
def test_a_missing_table_is_named(filled: House, table: str) -> None:
    execute(filled, f"DROP TABLE {table}")
    assert whats(filled) == [f"the table {table} is missing"]


def test_a_table_with_another_column_is_named(filled: House) -> None:
    execute(filled, "ALTER TABLE uniqueness ADD COLUMN more TEXT")
    assert whats(filled) == ["the table uniqueness has other columns than it should"]


def test_a_head_set_back_to_an_older_checkpoint_is_named_where_each_is_published_at_once(filled: House) -> None:
    store = open_store(filled.url)
    with store.reading() as connection:
        assert inspect(connection).get_table_names()
        older = connection.execute(schema.checkpoint.select().where(schema.checkpoint.c.size == 1)).one()
    store.close()
    assert check(filled, inline=True).damages == ()
    run(filled.url, "UPDATE head SET published = 1, note = :note", note=bytes(older.note))
    (damage,) = check(filled, inline=True).damages
    assert damage.what == "the head says that 1 is published, but there is a checkpoint of 2"
    assert check(filled).sound  # signed at an interval, a checkpoint may wait for its witnesses


def test_a_head_that_claims_any_size_does_not_keep_the_check_for_ever(filled: House) -> None:
    run(filled.url, "UPDATE head SET size = :size", size=1 << 62)
    report = check(filled)
    assert not report.sound
    assert report.damages[0].index == 2
