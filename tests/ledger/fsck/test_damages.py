"""Every kind of damage is found and named, on both databases; a sound ledger is found sound."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ledger import Draft, Ed25519Signer, write_signing_key
from ledger.commands import fsck
from ledger.completeness.commitment import index_submission
from ledger.fsck import FsckReport
from ledger.log import schema
from ledger.log.checkpoint import Checkpoint, sign_checkpoint
from ledger.log.note import split_note
from ledger.log.store import open_store
from ledger.log.tiles import TileTree
from ledger.merkle import hash_leaf
from tests.ledger.fsck.originals import KINDS, Originals
from tests.ledger.house import ORIGIN, START, House, answered, erasing, new_record, submission
from tests.ledger.tampering import alter, flip, run, tampering

LAST = 599
INDEXED = 580
"""The entry that commits to the index."""


def check(
    house: House, *, vault: bool = False, tiles: bool = False, witnesses: tuple[Ed25519Signer, ...] = ()
) -> FsckReport:
    return fsck(
        house.url,
        verifiers=[house.signer.verifier],
        origin=ORIGIN,
        master_keys=house.master_keys if vault else None,
        witnesses=[witness.verifier for witness in witnesses],
        leaves_from_tiles=tiles,
    )


def named(house: House, index: int | None, what: str, *, vault: bool = False) -> FsckReport:
    """Require that a damage is found and named, and that nothing is named before its entry."""
    report = check(house, vault=vault)
    assert any(d.index == index and what in d.what for d in report.damages), report.damages
    if index is not None:
        assert report.damages[0].index == index, report.damages
    assert not report.sound
    return report


def fill(house: House) -> None:
    """600 entries, the even ones of one record each, the odd ones in chains of three, all with documents."""
    with house.open() as ledger:
        chains: list[bytes] = []
        drafts: list[Draft] = []
        for index in range(INDEXED):
            if index % 2 == 0:
                drafts.append(answered(number=index))
                continue
            place = index // 2 % 3
            chains = chains if place else [*chains, new_record()]
            kind = ("CommitmentPrepared", "CommitmentRecorded", "DecisionRecorded")[place]
            facts = {"unit": f"u{index}"} if place == 0 else {}
            drafts.append(Draft(kind=kind, record=chains[-1], groups={"body": index}, facts=facts))

        async def append() -> None:
            for start in range(0, INDEXED, 20):
                await ledger.append(submission(*drafts[start : start + 20]))

        asyncio.run(append())
        assert ledger.commit_index(START).index == INDEXED
        ledger.append_blocking(submission(*(answered(late=n) for n in range(LAST - INDEXED))))
        assert ledger.size() == LAST + 1


@pytest.fixture(scope="module")
def originals(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Originals:
    return Originals(fill, request, tmp_path_factory.mktemp("originals"))


@pytest.fixture(params=KINDS)
def full(request: pytest.FixtureRequest, originals: Originals, tmp_path: Path) -> Iterator[House]:
    with originals.copied(request.param, tmp_path) as house:
        yield house


def test_a_sound_ledger_is_sound(full: House) -> None:
    for vault in (False, True):
        report = check(full, vault=vault)
        assert report.damages == ()
        assert (report.size, report.checkpoints, report.indexes) == (600, 32, 1)
        assert report.records == 290 + 97 + 1 + 19
    assert check(full, tiles=True).damages == ()


def test_an_empty_ledger_is_sound(house: House) -> None:
    assert check(house).damages == ()
    assert check(house, tiles=True).damages == ()


def test_with_several_workers_nothing_else_is_found(full: House) -> None:
    alter(full.url, schema.entry, "leaf", {"idx": 301}, flip(30))
    one = check(full)
    two = fsck(full.url, verifiers=[full.signer.verifier], origin=ORIGIN, workers=2)
    assert one.damages == two.damages
    assert one.damages[0].index == 301


# --- entries ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("index", [0, 1, 255, 256, 511, 512, 590, LAST])
def test_a_flipped_bit_in_an_entry_is_named(full: House, index: int) -> None:
    alter(full.url, schema.entry, "leaf", {"idx": index}, flip(40))
    named(full, index, "")


def test_in_a_full_tile_the_entry_is_told_from_the_tile(full: House) -> None:
    alter(full.url, schema.entry, "leaf", {"idx": 17}, flip(40))
    named(full, 17, "the entry's bytes are not those that were recorded")


def test_swapped_entries_are_both_named(full: House) -> None:
    with tampering(full.url) as connection:
        table = schema.entry
        leaves = {row.idx: row.leaf for row in connection.execute(table.select().where(table.c.idx.in_([20, 40])))}
        connection.execute(table.update().where(table.c.idx == 20).values(leaf=leaves[40]))
        connection.execute(table.update().where(table.c.idx == 40).values(leaf=leaves[20]))
    report = named(full, 20, "not those that were recorded")
    assert {20, 40} <= {d.index for d in report.damages}


@pytest.mark.parametrize("index", [3, 256, LAST])
def test_a_missing_entry_is_named(full: House, index: int) -> None:
    run(full.url, "DELETE FROM entry WHERE idx = :at", at=index)
    named(full, index, "missing")


def test_an_entry_beyond_the_head_is_named(full: House) -> None:
    run(
        full.url, "INSERT INTO entry (idx, record, leaf) SELECT :at, record, leaf FROM entry WHERE idx = 0", at=LAST + 1
    )
    named(full, LAST + 1, "beyond the head")


def test_what_was_rewritten_up_to_the_tiles_contradicts_what_was_signed(full: House) -> None:
    """Somebody alters entry 105 and computes every tile and the head again, but cannot sign."""
    with tampering(full.url) as connection:
        table = schema.entry
        rows = connection.execute(table.select().order_by(table.c.idx)).all()
        leaves = [bytes(row.leaf) for row in rows]
        leaves[105] = leaves[105].replace(b"2026", b"2025")
        connection.execute(table.update().where(table.c.idx == 105).values(leaf=leaves[105]))
        tree = TileTree(0, lambda level, n: b"")
        tree.extend([hash_leaf(leaf) for leaf in leaves])
        for tile in tree.pending():
            connection.execute(
                schema.tile.update()
                .where(schema.tile.c.level == tile.level, schema.tile.c.n == tile.n)
                .values(data=tile.data)
            )
        connection.execute(schema.head.update().values(root=tree.root()))
    named(full, 100, "lead to another root than was signed")


def test_an_entry_put_under_another_record_is_named(full: House) -> None:
    with tampering(full.url) as connection:
        table = schema.entry
        records = {row.idx: row.record for row in connection.execute(table.select().where(table.c.idx.in_([3, 9])))}
        assert records[3] != records[9]
        connection.execute(table.update().where(table.c.idx == 9).values(record=records[3]))
    named(full, 9, "of another record")


def test_an_entry_taken_out_of_its_record_is_named(full: House) -> None:
    run(full.url, "UPDATE entry SET record = NULL WHERE idx = 5")
    named(full, 5, "the projection of record")


# --- tiles ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("level", "n"), [(0, 0), (0, 1), (0, 2), (1, 0)])
@pytest.mark.parametrize("change", ["flip", "short", "width", "missing"])
def test_a_damaged_tile_is_named(full: House, level: int, n: int, change: str) -> None:
    where: dict[str, object] = {"level": level, "n": n}
    if change == "flip":
        alter(full.url, schema.tile, "data", where, flip(33))
        if level == 0:
            named(full, 256 * n + 1, "in the tile differ" if n < 2 else "differ")
            return
    elif change == "short":
        alter(full.url, schema.tile, "data", where, lambda data: data[:-32])
    elif change == "width":
        alter(full.url, schema.tile, "width", where, lambda width: width - 1)
    else:
        run(full.url, "DELETE FROM tile WHERE level = :level AND n = :n", **where)
    named(full, None, f"tile {n} of level {level} is wrong, or missing")


def test_a_tile_beyond_the_head_is_named(full: House) -> None:
    run(
        full.url,
        "INSERT INTO tile (level, n, width, data) SELECT 0, 3, width, data FROM tile WHERE level = 0 AND n = 0",
    )
    named(full, None, "tile 3 of level 0 is beyond the head")


@pytest.mark.parametrize("change", ["flip", "missing"])
def test_damaged_inner_nodes_of_a_tile_are_named(full: House, change: str) -> None:
    where: dict[str, object] = {"level": 0, "n": 1}
    if change == "flip":
        alter(full.url, schema.tile_inner, "data", where, flip(4000))
    else:
        run(full.url, "DELETE FROM tile_inner WHERE level = :level AND n = :n", **where)
    named(full, None, "the inner nodes of tile 1 of level 0 are wrong or missing")


def test_inner_nodes_beyond_the_head_are_named(full: House) -> None:
    run(full.url, "INSERT INTO tile_inner (level, n, data) SELECT 0, 2, data FROM tile_inner WHERE level = 0 AND n = 0")
    named(full, None, "the inner nodes of tile 2 of level 0 are beyond the head")


@pytest.mark.parametrize(("level", "n"), [(0, 1), (0, 2), (1, 0)])
def test_from_tiles_alone_a_damaged_tile_is_found(full: House, level: int, n: int) -> None:
    alter(full.url, schema.tile, "data", {"level": level, "n": n}, flip(33))
    assert not check(full, tiles=True).sound


def test_from_tiles_alone_entries_are_not_read_and_nothing_is_said_of_them(full: House) -> None:
    alter(full.url, schema.entry, "leaf", {"idx": 17}, flip(40))
    assert check(full, tiles=True).sound


# --- what was signed --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 260, 600])
def test_a_flipped_bit_in_a_checkpoint_is_named(full: House, size: int) -> None:
    alter(full.url, schema.checkpoint, "note", {"size": size}, flip(-4))
    named(full, None, f"the checkpoint of size {size}:")


def test_a_checkpoint_with_another_root_is_named_with_the_entries_it_may_be_about(full: House) -> None:
    note = sign_checkpoint(Checkpoint(origin=ORIGIN, size=260, root=bytes(32)), [full.signer])
    run(full.url, "UPDATE checkpoint SET root = :root, note = :note WHERE size = 260", root=bytes(32), note=note)
    named(full, 240, "the entries up to 260 lead to another root")


def test_a_checkpoint_row_that_its_note_contradicts_is_named(full: House) -> None:
    alter(full.url, schema.checkpoint, "root", {"size": 260}, flip(3))
    named(full, None, "the checkpoint of size 260: it says another size or root")


def test_a_stranger_s_signature_is_named(full: House, tmp_path: Path) -> None:
    stranger = write_signing_key(tmp_path / "stranger.pem", ORIGIN)

    def sign_again(note: bytes) -> bytes:
        root = base64.b64decode(split_note(note)[0].split("\n")[2])
        return sign_checkpoint(Checkpoint(origin=ORIGIN, size=260, root=root), [stranger])

    alter(full.url, schema.checkpoint, "note", {"size": 260}, sign_again)
    named(full, None, "the checkpoint of size 260: no signature")


def test_another_log_s_key_finds_nothing_sound(full: House, tmp_path: Path) -> None:
    stranger = write_signing_key(tmp_path / "stranger.pem", ORIGIN)
    report = fsck(full.url, verifiers=[stranger.verifier], origin=ORIGIN)
    assert len(report.damages) >= 32


def test_a_checkpoint_beyond_the_head_is_named(full: House) -> None:
    run(full.url, "UPDATE checkpoint SET size = 700 WHERE size = 260")
    named(full, None, "checkpoint 700 is beyond the head")


def test_a_head_that_nobody_signed_is_named(full: House) -> None:
    alter(full.url, schema.head, "root", {"id": 1}, flip(0))
    named(full, None, "another root than the head says")


def test_a_head_whose_note_is_another_is_named(full: House) -> None:
    with tampering(full.url) as connection:
        older = connection.execute(schema.checkpoint.select().where(schema.checkpoint.c.size == 260)).one()
        connection.execute(schema.head.update().values(note=older.note))
    named(full, None, "the head's checkpoint")


def test_a_head_that_retreated_leaves_entries_beyond_it(full: House) -> None:
    with tampering(full.url) as connection:
        older = connection.execute(schema.checkpoint.select().where(schema.checkpoint.c.size == 260)).one()
        connection.execute(schema.head.update().values(size=260, root=older.root, note=older.note, published=260))
    report = named(full, 260, "beyond the head")
    assert any("checkpoint 280 is beyond" in d.what for d in report.damages)
    assert any("tile 2 of level 0 is beyond" in d.what for d in report.damages)


def test_without_a_head_there_is_nothing_to_check_by(full: House) -> None:
    run(full.url, "DELETE FROM head")
    named(full, None, "head")


def test_a_witness_s_line_is_verified_where_the_witness_is_known(full: House, tmp_path: Path) -> None:
    witness = write_signing_key(tmp_path / "witness.pem", "witness.example")
    store = open_store(full.url)
    with store.reading() as connection:
        notes = {row.size: bytes(row.note) for row in connection.execute(schema.checkpoint.select())}
    store.close()

    def line(size: int) -> str:
        text = split_note(notes[size])[0]
        signature = base64.b64encode(witness.key_id + witness.sign(text.encode())).decode()
        return f"\u2014 witness.example {signature}"

    run(full.url, "INSERT INTO cosignature (size, line) VALUES (260, :line)", line=line(260))
    assert check(full, witnesses=(witness,)).sound
    assert check(full).sound
    run(full.url, "INSERT INTO cosignature (size, line) VALUES (280, :line)", line=line(260))
    assert check(full).sound  # without the witness's key, the line has a good form
    report = check(full, witnesses=(witness,))
    assert ["280" in d.what for d in report.damages] == [True]
    run(full.url, "INSERT INTO cosignature (size, line) VALUES (261, :line)", line=line(260))
    run(full.url, "INSERT INTO cosignature (size, line) VALUES (300, 'nonsense')")
    whats = [d.what for d in check(full).damages]
    assert len(whats) == 2
    assert "size 300" in whats[0]
    assert "of size 261: there is no such checkpoint" in whats[1]


# --- records and documents --------------------------------------------------------------------------------------------


Change = Callable[[House], None]

ROWS: dict[str, tuple[str, object]] = {
    "state": ("state", lambda state: state + 1),
    "seq": ("seq", lambda seq: seq + 1),
    "family": ("family", lambda family: family % 5 + 1),
    "last_idx": ("last_idx", lambda idx: idx + 1),
    "opened_at": ("opened_at", lambda at: at + 1),
    "changed_at": ("changed_at", lambda at: at + 1),
}


@pytest.mark.parametrize("column", list(ROWS))
def test_a_projection_that_its_entries_contradict_is_named(full: House, column: str) -> None:
    name, change = ROWS[column]
    alter(full.url, schema.record, name, {"first_idx": 1}, change)  # type: ignore[arg-type]
    expected = 6 if column == "last_idx" else 5
    named(full, expected, "the projection of record")


def test_facts_are_compared_with_the_documents_where_they_can_be_opened(full: House) -> None:
    alter(full.url, schema.record, "unit", {"first_idx": 1}, lambda unit: unit + "x")
    assert check(full).sound
    named(full, 5, "the projection of record", vault=True)


def test_a_record_that_points_to_another_first_entry_is_named(full: House) -> None:
    alter(full.url, schema.record, "first_idx", {"first_idx": 4}, lambda _: 8)
    report = named(full, 4, "in no record")
    assert any(d.index == 8 for d in report.damages)


@pytest.mark.parametrize("first", [0, 1])
def test_a_record_missing_from_the_projection_is_named_by_its_first_entry(full: House, first: int) -> None:
    run(full.url, "DELETE FROM record WHERE first_idx = :first", first=first)
    report = check(full)
    assert any(d.index == first and "in no record" in d.what for d in report.damages) or first == 1
    assert report.damages[0].index in (first, 3)
    assert not report.sound


def test_a_projected_record_without_entries_is_named(full: House) -> None:
    columns = [c.name for c in schema.record.columns if c.name not in ("record", "first_idx")]
    names = ", ".join(columns)
    run(
        full.url,
        f"INSERT INTO record (record, first_idx, {names}) "
        f"SELECT :record, 100000, {names} FROM record WHERE first_idx = 0",
        record=new_record(),
    )
    report = check(full)
    assert [(d.index, "is missing" in d.what) for d in report.damages] == [(100000, True)]


@pytest.mark.parametrize("part", ["sealed", "wrapped"])
def test_a_flipped_bit_in_a_document_is_named(full: House, part: str) -> None:
    table = schema.vault_document if part == "sealed" else schema.vault_key
    alter(full.url, table, part, {"idx": 3}, flip(20))
    assert check(full).sound  # without master keys nobody can tell
    named(full, 3, "cannot be", vault=True)


@pytest.mark.parametrize("table", ["vault_document", "vault_key"])
def test_a_missing_document_is_named(full: House, table: str) -> None:
    run(full.url, f"DELETE FROM {table} WHERE idx = 3")
    named(full, 3, "document is missing, and was never erased")


def test_documents_that_changed_places_are_named(full: House) -> None:
    with tampering(full.url) as connection:
        for table, names in ((schema.vault_key, ["wrapped"]), (schema.vault_document, ["sealed"])):
            rows = {r["idx"]: r for r in connection.execute(table.select().where(table.c.idx.in_([3, 5]))).mappings()}
            for here, there in ((3, 5), (5, 3)):
                values = {name: rows[there][name] for name in names}
                connection.execute(table.update().where(table.c.idx == here).values(values))
    # Both are of one record, so both open: only the commitments tell them apart.
    named(full, 3, "not what the entry commits to", vault=True)


def test_an_erased_document_is_no_damage_but_what_is_left_of_it_is(full: House) -> None:
    record = new_record()
    with full.open() as ledger:
        ledger.append_blocking(submission(answered(record, body="x")))
        ledger.append_blocking(erasing(ledger, record))
    assert check(full, vault=True).sound
    run(full.url, "INSERT INTO vault_document (idx, sealed) SELECT 600, sealed FROM vault_document WHERE idx = 3")
    named(full, 600, "not all of it is gone")


def test_a_document_that_no_entry_commits_to_is_named(full: House) -> None:
    with full.open() as ledger:
        ledger.append_blocking(submission(Draft(kind="DocumentErased", record=new_record())))
    run(full.url, "INSERT INTO vault_document (idx, sealed) SELECT 600, sealed FROM vault_document WHERE idx = 3")
    named(full, 600, "does not commit to")


# --- the index --------------------------------------------------------------------------------------------------------


def test_a_wrong_index_root_is_named_at_the_entry_that_commits_to_it(full: House) -> None:
    with full.open() as ledger:
        done = ledger.append_blocking(index_submission(300, b"\x01" * 32, new_record(), START))
    run(full.url, "INSERT INTO index_root (size, root) VALUES (300, :root)", root=b"\x01" * 32)
    named(full, done.entries[0].index, "the index of size 300 has another root")


def test_an_index_that_is_not_kept_is_named_at_its_entry(full: House) -> None:
    alter(full.url, schema.index_root, "root", {"size": INDEXED}, flip(9))
    named(full, INDEXED, "not kept")


def test_an_index_that_reaches_beyond_its_entry_is_named(full: House) -> None:
    with full.open() as ledger:
        done = ledger.append_blocking(index_submission(601, b"\x01" * 32, new_record(), START))
    run(full.url, "INSERT INTO index_root (size, root) VALUES (601, :root)", root=b"\x01" * 32)
    named(full, done.entries[0].index, "reaches beyond")


def test_a_wrong_page_or_state_of_the_index_is_named(full: House) -> None:
    alter(full.url, schema.index_page, "data", {"path": b"\x04"}, flip(50))
    named(full, None, "the page of the index at 04 is wrong")
    alter(full.url, schema.index_state, "root", {"id": 1}, flip(0))
    named(full, None, "the stored index of size 580 has another root")
    run(full.url, "DELETE FROM index_page WHERE path = :path", path=b"\x05")
    named(full, None, "pages of the index are missing")
