"""What makes the tables append-only is looked for: by the check, and by whoever opens them for writing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import inspect

from ledger import AlreadyClaimed, LedgerDamaged
from ledger.commands import fsck, rebuild
from ledger.fsck import FsckReport
from ledger.log import schema
from ledger.log.store import open_store
from tests.ledger.fsck.originals import KINDS, Originals
from tests.ledger.house import ORIGIN, START, House, answered, build, new_record, submission
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


def fill(house: House) -> None:
    with house.open() as ledger:
        ledger.append_blocking(submission(answered(n=1)))
        ledger.commit_index(START)


@pytest.fixture(scope="module")
def originals(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Originals:
    return Originals(fill, request, tmp_path_factory.mktemp("originals"))


@pytest.fixture(params=KINDS)
def filled(request: pytest.FixtureRequest, originals: Originals, tmp_path: Path) -> Iterator[House]:
    with originals.copied(request.param, tmp_path) as house:
        yield house


def test_every_missing_trigger_is_named_and_nobody_writes_without_it(filled: House) -> None:
    assert whats(filled) == []
    made = triggers(filled)
    assert len(made) > 10
    for name, table in made:
        drop(filled, name, table)
        assert whats(filled) == [f"the trigger {name} is missing"]
        with pytest.raises(LedgerDamaged, match=f"{name} is missing.*--rebuild-projections"):
            filled.open()
        rebuild(filled.url, origin=ORIGIN, master_keys=filled.master_keys)  # that it is put back, the next turn shows
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


TABLES = [table.name for table in schema.tables.sorted_tables]
KEYLESS = {name: f"the primary key of table {name} is missing, or another" for name in TABLES}


@pytest.fixture
def filled_postgres(originals: Originals, tmp_path: Path) -> Iterator[House]:
    with originals.copied("postgresql", tmp_path) as house:
        yield house


@pytest.mark.postgres
def test_every_lost_primary_key_is_named_and_nobody_writes_without_it(filled_postgres: House) -> None:
    for name in TABLES:
        execute(filled_postgres, f"ALTER TABLE {name} DROP CONSTRAINT {name}_pkey")
        assert whats(filled_postgres) == [KEYLESS[name]]
        with pytest.raises(LedgerDamaged, match=f"{KEYLESS[name]}.*--rebuild-projections"):
            filled_postgres.open()
        rebuild(filled_postgres.url, origin=ORIGIN, master_keys=filled_postgres.master_keys)
    assert whats(filled_postgres) == []
    with filled_postgres.open() as ledger:
        ledger.append_blocking(submission(answered(n=2)))


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("made", "told", "undone"),
    [
        (
            "CREATE RULE odd AS ON INSERT TO idempotency DO INSTEAD NOTHING",
            "the rule odd of table idempotency is none of ours",
            "DROP RULE odd ON idempotency",
        ),
        (
            "ALTER TABLE uniqueness ENABLE ROW LEVEL SECURITY",
            "the table uniqueness has row security, which is none of ours",
            "ALTER TABLE uniqueness DISABLE ROW LEVEL SECURITY",
        ),
        (
            "ALTER TABLE uniqueness FORCE ROW LEVEL SECURITY",
            "the table uniqueness has row security, which is none of ours",
            "ALTER TABLE uniqueness NO FORCE ROW LEVEL SECURITY",
        ),
        ("ALTER TABLE entry SET UNLOGGED", "the table entry is UNLOGGED: a crash empties it", None),
        (
            "ALTER TABLE head DROP CONSTRAINT head_pkey, ADD PRIMARY KEY (size)",
            "the primary key of table head is missing, or another",
            None,
        ),
    ],
)
def test_what_lets_rows_be_lost_or_contradict_each_other_is_named_and_nobody_writes(
    filled_postgres: House, made: str, told: str, undone: str | None
) -> None:
    execute(filled_postgres, made)
    assert whats(filled_postgres) == [told]
    with pytest.raises(LedgerDamaged, match=told):
        filled_postgres.open()
    if undone is None:
        rebuild(filled_postgres.url, origin=ORIGIN, master_keys=filled_postgres.master_keys)
    else:  # what is none of ours is for a person to remove
        with pytest.raises(LedgerDamaged, match=told):
            rebuild(filled_postgres.url, origin=ORIGIN, master_keys=filled_postgres.master_keys)
        execute(filled_postgres, undone)
    assert whats(filled_postgres) == []


@pytest.mark.postgres
def test_a_key_that_the_rows_do_not_allow_is_damage(filled_postgres: House) -> None:
    execute(
        filled_postgres,
        "ALTER TABLE checkpoint DROP CONSTRAINT checkpoint_pkey",
        "INSERT INTO checkpoint SELECT * FROM checkpoint WHERE size = 1",
    )
    with pytest.raises(LedgerDamaged, match="rows of table checkpoint contradict"):
        rebuild(filled_postgres.url, origin=ORIGIN, master_keys=filled_postgres.master_keys)
    assert KEYLESS["checkpoint"] in whats(filled_postgres)


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("made", "told"),
    [
        (
            "ALTER TABLE idempotency ALTER COLUMN body_digest DROP NOT NULL",
            "the column body_digest of table idempotency may be null",
        ),
        ("ALTER TABLE record ALTER COLUMN unit SET NOT NULL", "the column unit of table record must not be null"),
        (
            "ALTER TABLE meta ALTER COLUMN value TYPE varchar(200)",
            "the column value of table meta is of another type than it should",
        ),
        (
            'ALTER TABLE record ALTER COLUMN code TYPE text COLLATE "default"',
            "the column code of table record is of another type than it should",
        ),
    ],
)
def test_a_column_of_another_kind_is_named(filled_postgres: House, made: str, told: str) -> None:
    execute(filled_postgres, "UPDATE record SET unit = 'u'", made)
    assert whats(filled_postgres) == [told]


@pytest.mark.postgres
def test_a_lost_not_null_is_put_back(filled_postgres: House) -> None:
    execute(filled_postgres, "ALTER TABLE idempotency ALTER COLUMN body_digest DROP NOT NULL")
    rebuild(filled_postgres.url, origin=ORIGIN, master_keys=filled_postgres.master_keys)
    assert whats(filled_postgres) == []


@pytest.mark.parametrize(
    ("columns", "options", "told"),
    [
        ("key BLOB NOT NULL, record BLOB NOT NULL", "STRICT", "primary key of table uniqueness is missing"),
        ("key BLOB PRIMARY KEY, record BLOB NOT NULL", "WITHOUT ROWID", "uniqueness is kept otherwise than it should"),
        ("key BLOB PRIMARY KEY, record BLOB", "STRICT, WITHOUT ROWID", "record of table uniqueness may be null"),
    ],
)
def test_an_sqlite_table_that_was_made_anew_is_named_and_put_right(
    sqlite_house: House, columns: str, options: str, told: str
) -> None:
    record = new_record()
    with sqlite_house.open() as ledger:
        ledger.append_blocking(submission(answered(record), claim_keys=((b"claim", record),)))
    execute(
        sqlite_house,
        "ALTER TABLE uniqueness RENAME TO before",
        f"CREATE TABLE uniqueness ({columns}) {options}",
        "INSERT INTO uniqueness SELECT * FROM before",
        "DROP TABLE before",
    )
    assert any(told in what for what in whats(sqlite_house))
    if "null" not in told:
        with pytest.raises(LedgerDamaged, match=told):
            sqlite_house.open()
    rebuild(sqlite_house.url, origin=ORIGIN, master_keys=sqlite_house.master_keys)
    assert whats(sqlite_house) == []
    with sqlite_house.open() as ledger, pytest.raises(AlreadyClaimed):
        ledger.append_blocking(submission(answered(), claim_keys=((b"claim", new_record()),)))


def test_a_table_with_triggers_is_put_right_together_with_them(sqlite_house: House) -> None:
    with sqlite_house.open() as ledger:
        ledger.append_blocking(submission(answered(n=1)))
    execute(
        sqlite_house,
        "ALTER TABLE entry RENAME TO before",
        "CREATE TABLE entry (idx INTEGER NOT NULL, record BLOB, leaf BLOB NOT NULL) STRICT",
        "INSERT INTO entry SELECT * FROM before",
        "DROP TABLE before",
    )
    assert KEYLESS["entry"] in whats(sqlite_house)
    rebuild(sqlite_house.url, origin=ORIGIN, master_keys=sqlite_house.master_keys)
    assert whats(sqlite_house) == []


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
