"""Damage of the database itself: an index that finds nothing, a page that cannot be read, a file that is cut short."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import zip_longest
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.engine import make_url

from ledger import Draft, LedgerDamaged
from ledger.commands import fsck, rebuild
from ledger.fsck import FsckReport
from ledger.fsck.probes import LOOKUPS, Probed, probe_question, probed_indexes
from ledger.log.store import open_store
from ledger.records.register import Register
from tests.ledger.fsck.originals import Originals
from tests.ledger.house import ORIGIN, START, House, answered, build, new_record, submission
from tests.ledger.tampering import run
from tests.postgres import database as database_of
from tests.postgres import own_server

PAGE = 4096
SUBJECT = bytes(range(16, 32))
CHAINS = 120


def check(house: House, *, workers: int = 1, tiles: bool = False) -> FsckReport:
    return fsck(
        house.url,
        verifiers=[house.signer.verifier],
        origin=ORIGIN,
        master_keys=house.master_keys,
        workers=workers,
        leaves_from_tiles=tiles,
    )


def whats(report: FsckReport) -> list[str]:
    return [damage.what for damage in report.damages]


def fill(house: House) -> None:
    with house.open() as ledger:
        for number in range(CHAINS):
            facts = {
                "subject": (SUBJECT if number % 4 == 0 else new_record()).hex(), "case_key": new_record().hex(),
                "code": f"c{number % 7}", "due_at": "2026-12-01T00:00:00+08:00",
            }  # fmt: skip
            facts |= {"item": "i"} if number % 3 else {}
            first = Draft(kind="CommitmentPrepared", record=new_record(), groups={"body": "x" * 300}, facts=facts)
            later = Draft(kind="CommitmentRecorded", record=first.record)
            key = (number + 1).to_bytes(6, "big") + b"k" * 10
            ledger.append_blocking(
                submission(first, later, key=key, claim_keys=((b"claim %d" % number, first.record),))
            )
        ledger.commit_index(START)
        ledger.append_blocking(submission(answered(n=1)))
    if house.url.startswith("sqlite"):
        with closing(sqlite3.connect(file_of(house))) as database:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")


@pytest.fixture(scope="module")
def originals(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Originals:
    return Originals(fill, request, tmp_path_factory.mktemp("originals"))


@pytest.fixture
def filled(originals: Originals, tmp_path: Path) -> Iterator[House]:
    with originals.copied("sqlite", tmp_path) as house:
        yield house


@pytest.fixture
def filled_postgres(originals: Originals, tmp_path: Path) -> Iterator[House]:
    with originals.copied("postgresql", tmp_path) as house:
        yield house


def file_of(house: House) -> Path:
    return house.directory / "ledger.db"


def plain(url: str) -> str:
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


def pages_of(house: House, name: str) -> list[int]:
    question = "SELECT pageno FROM dbstat WHERE name = ? AND pagetype <> 'overflow'"
    with closing(sqlite3.connect(file_of(house))) as database:
        return [page for (page,) in database.execute(question, (name,))]


def damage(house: House, change: Callable[[bytearray], None]) -> None:
    """Change the file, as a disk would."""
    content = bytearray(file_of(house).read_bytes())
    change(content)
    file_of(house).write_bytes(content)


def zero(house: House, page: int) -> None:
    damage(house, lambda content: content.__setitem__(slice((page - 1) * PAGE, page * PAGE), bytes(PAGE)))


def rot_subjects(house: House) -> None:
    """Flip the lowest bit of a subject wherever the index holds it."""
    pages = pages_of(house, "record_subject")

    def flip(content: bytearray) -> None:
        for page in pages:
            at = (page - 1) * PAGE
            while (at := content.find(SUBJECT, at, page * PAGE)) >= 0:
                content[at + len(SUBJECT) - 1] ^= 1

    damage(house, flip)


def of_the_subject(house: House) -> int:
    store = open_store(house.url)
    try:
        return len(Register(store).by_subjects([SUBJECT], ["commitment"]).get(SUBJECT, []))
    finally:
        store.close()


# --- indexes that find nothing ----------------------------------------------------------------------------------------

SUBJECTS = "the index record_subject of table record does not find what the table holds"


def test_an_index_that_does_not_find_a_person_is_named_and_made_again(filled: House) -> None:
    assert (of_the_subject(filled), check(filled).damages) == (CHAINS // 4, ())
    rot_subjects(filled)
    assert of_the_subject(filled) == 0
    assert whats(check(filled)) == [SUBJECTS]
    assert whats(check(filled, workers=2)) == [SUBJECTS]

    rebuild(filled.url, origin=ORIGIN, master_keys=filled.master_keys)

    assert (of_the_subject(filled), check(filled).damages) == (CHAINS // 4, ())


@pytest.mark.postgres
def test_an_index_of_postgresql_that_does_not_find_a_row_is_named_and_made_again(filled_postgres: House) -> None:
    lost = [
        index
        for index in indexes_of(filled_postgres)
        if index.table.name not in ("anchor", "cosignature", "tile_inner") and index.name != "record_parent"
    ]
    tables: dict[str, list[Probed]] = {}
    for index in lost:
        tables.setdefault(index.table.name, []).append(index)
    for turn in zip_longest(*tables.values()):  # one index of each table at a time
        indexes = [index for index in turn if index is not None]
        for index in indexes:
            lose_a_row(filled_postgres, index)
        told = whats(check(filled_postgres))
        for index in indexes:
            assert f"the index {index.name} of table {index.table.name} does not find what the table holds" in told
        rebuild(filled_postgres.url, origin=ORIGIN, master_keys=filled_postgres.master_keys)
        assert check(filled_postgres).damages == (), [index.name for index in indexes]


def indexes_of(house: House) -> list[Probed]:
    store = open_store(house.url)
    try:
        with store.reading() as connection:
            return probed_indexes(connection)
    finally:
        store.close()


def lose_a_row(house: House, index: Probed) -> None:
    """Write the rows of a table again while an index of it is not kept up."""
    table = index.table.name
    with psycopg.connect(plain(house.url)) as database:
        database.execute("SET session_replication_role = replica")
        kept = f"UPDATE pg_index SET indisready = %s WHERE indexrelid = '{index.name}'::regclass"
        database.execute(kept, [False])
        database.execute(f"CREATE TEMPORARY TABLE before AS SELECT * FROM {table}")
        database.execute(f"DELETE FROM {table}")
        database.execute(f"INSERT INTO {table} SELECT * FROM before")
        database.execute(kept, [True])


@pytest.mark.postgres
def test_each_index_is_asked_by_itself(filled_postgres: House) -> None:
    with psycopg.connect(plain(filled_postgres.url)) as database:
        database.execute(LOOKUPS)
        for index in indexes_of(filled_postgres):
            question = probe_question(index).replace("?", "'{}'")
            plan = "".join(line for (line,) in database.execute(f"EXPLAIN {question}"))
            assert f" using {index.name} " in plan, plan
            assert "Seq Scan" not in plan


# --- pages that cannot be read ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "entry", "entry_record", "tile", "tile_inner", "checkpoint", "idempotency", "record", "record_case_key",
        "uniqueness", "vault_key", "vault_document", "index_page", "index_state", "index_root", "cosignature",
    ],
)  # fmt: skip
def test_a_page_that_cannot_be_read_is_named_and_the_rest_is_checked(
    filled: House, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with closing(sqlite3.connect(file_of(filled))) as database, database:
        database.execute("UPDATE meta SET value = 'another' WHERE key = 'opened_at'")
    page = pages_of(filled, name)[-1]
    zero(filled, page)

    report = check(filled)

    assert report.size == 2 * CHAINS + 2
    named = [what for what in whats(report) if name in what and f"Page {page}: " in what]
    assert len(named) == 1, report.damages
    assert "what the store tells of itself is wrong: opened_at" in whats(report)
    assert capfd.readouterr().err == ""


def test_what_stands_on_a_damaged_page_is_not_made_again(filled: House) -> None:
    zero(filled, pages_of(filled, "record_subject")[-1])
    before = check(filled).damages
    with pytest.raises(LedgerDamaged, match="restore a copy"):
        rebuild(filled.url, origin=ORIGIN, master_keys=filled.master_keys)
    assert check(filled).damages == before


def test_entries_of_a_damaged_page_are_named_and_no_others(filled: House) -> None:
    pages = pages_of(filled, "entry")
    zero(filled, pages[len(pages) // 2])
    report = check(filled, tiles=True)
    assert report.damages == ()  # the hashes are whole
    unread = [damage.index for damage in check(filled).damages if damage.what == "the entry cannot be read"]
    assert 1 < len(unread) < 2 * CHAINS
    assert unread == list(range(unread[0], unread[-1] + 1))  # type: ignore[operator, arg-type]


def test_a_head_that_cannot_be_read_is_named(filled: House) -> None:
    (page,) = pages_of(filled, "head")
    zero(filled, page)
    (told,) = whats(check(filled))
    assert "head" in told
    assert f"Page {page}: " in told


def test_a_file_that_is_cut_short_is_told(filled: House) -> None:
    pages = len(file_of(filled).read_bytes()) // PAGE
    damage(filled, lambda content: content.__delitem__(slice(7 * PAGE + 100, None)))
    assert whats(check(filled)) == [f"the database file is cut short: it ends in page 8 of {pages}"]


def test_a_schema_that_cannot_be_read_is_told(filled: House) -> None:
    zero(filled, pages_of(filled, "sqlite_schema")[-1])
    assert whats(check(filled)) == ["nothing of the database file can be read: its schema is damaged"]


def test_a_list_of_free_pages_that_is_wrong_is_told(filled: House) -> None:
    damage(filled, lambda content: content.__setitem__(slice(36, 40), (5).to_bytes(4, "big")))
    (told,) = whats(check(filled))
    assert "freelist" in told


@pytest.mark.postgres
def test_a_block_of_postgresql_that_cannot_be_read_is_named_and_the_rest_is_checked(tmp_path: Path) -> None:
    with own_server() as server, database_of(server.url) as url:
        house = build(url, tmp_path)
        fill(house)
        run(url, "UPDATE meta SET value = 'another' WHERE key = 'opened_at'")
        with psycopg.connect(plain(url), autocommit=True) as database:
            database.execute("CHECKPOINT")
            place, folder = database.execute(
                "SELECT pg_relation_filepath('uniqueness'), current_setting('data_directory')"
            ).fetchone() or ("", "")
        server.kill()
        with (Path(folder) / place).open("r+b") as content:
            content.write(bytes([255]) * 64)
        server.start()

        report = check(house)

        assert any("uniqueness" in what and "block 0 is damaged" in what for what in whats(report)), report.damages
        assert "what the store tells of itself is wrong: opened_at" in whats(report)
        assert report.records == CHAINS + 2
