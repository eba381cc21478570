"""What a log publishes from its store, on SQLite and on PostgreSQL."""

from __future__ import annotations

import gzip
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from ledger import Ledger, LedgerDamaged, PathMalformed, PublicationDamaged, ResourceMissing
from ledger.appends.publishing import Publishing, Signing
from ledger.appends.values import Level
from ledger.commands import export
from ledger.log.checkpoint import open_checkpoint
from ledger.log.note import split_note
from ledger.log.tiles import ExpandedTile
from ledger.merkle import hash_leaf, subtree_root
from ledger.publication.bundle import format_bundle, parse_bundle
from ledger.publication.paths import implied
from ledger.publication.resources import Publication
from tests.ledger.house import ORIGIN, House, answered, submission
from tests.ledger.publication.logs import forged, grow, opened_store
from tests.vectors.keys import cosignature_line


def test_everything_a_checkpoint_implies_is_there_and_is_what_it_says(house: House, opened: Ledger) -> None:
    grow(opened, 600)
    publication = opened.publication()
    note = publication.get("checkpoint")
    checkpoint = open_checkpoint(note.body, [house.signer.verifier], ORIGIN)
    assert checkpoint.size == 600
    for path in implied(600):
        got = publication.get(str(path))
        if path.level is None:
            entries = parse_bundle(got.body, path.width)
            assert entries == [opened.entry(path.n * 256 + i) for i in range(path.width)]
            hashes = publication.get(str(path).replace("entries", "0")).body
            assert b"".join(hash_leaf(entry) for entry in entries) == hashes
        else:
            assert len(got.body) == 32 * path.width
    top = ExpandedTile(publication.get("tile/1/000.p/2").body)
    assert top.rows[0][1] == ExpandedTile(publication.get("tile/0/001").body).rows[8][0]


def test_headers_follow_the_specification(sqlite_ledger: Ledger) -> None:
    grow(sqlite_ledger, 300)
    publication = sqlite_ledger.publication()
    note, tile, bundle = (publication.get(path) for path in ("checkpoint", "tile/0/000", "tile/entries/000"))
    assert note.media_type == "text/plain; charset=utf-8"
    assert note.cache_control == "no-cache"
    assert tile.media_type == bundle.media_type == "application/octet-stream"
    assert "immutable" in tile.cache_control
    assert "immutable" in bundle.cache_control
    assert len({note.etag, tile.etag, bundle.etag}) == 3


def test_a_narrower_partial_tile_stays_readable_while_the_log_grows(sqlite_ledger: Ledger) -> None:
    grow(sqlite_ledger, 200)
    before = {path: sqlite_ledger.publication().get(path).body for path in ("tile/0/000.p/200", "tile/entries/000.p/7")}
    grow(sqlite_ledger, 100)
    for path, body in before.items():
        assert sqlite_ledger.publication().get(path).body == body


@pytest.mark.parametrize(
    "path",
    [
        "tile/0/000",
        "tile/0/000.p/101",
        "tile/0/001.p/1",
        "tile/1/000.p/1",
        "tile/63/000.p/1",
        "tile/entries/000",
        "tile/entries/000.p/101",
        "tile/0/x009/x223/x372/x036/x854/x775/807",
    ],
)
def test_what_the_checkpoint_does_not_imply_is_missing(sqlite_ledger: Ledger, path: str) -> None:
    grow(sqlite_ledger, 100)
    with pytest.raises(ResourceMissing):
        sqlite_ledger.publication().get(path)


def test_an_empty_log_has_a_checkpoint_and_nothing_else(sqlite_house: House, sqlite_ledger: Ledger) -> None:
    note = sqlite_ledger.publication().get("checkpoint").body
    assert open_checkpoint(note, [sqlite_house.signer.verifier], ORIGIN).size == 0
    for path in ("tile/0/000.p/1", "tile/entries/000.p/1"):
        with pytest.raises(ResourceMissing):
            sqlite_ledger.publication().get(path)


@pytest.mark.parametrize("path", ["", "/checkpoint", "checkpoint/", "tile/../checkpoint", "tile/0/000.p/256"])
def test_other_paths_are_malformed(sqlite_ledger: Ledger, path: str) -> None:
    with pytest.raises(PathMalformed):
        sqlite_ledger.publication().get(path)


def test_nothing_beyond_the_published_checkpoint_is_shown(house: House, tmp_path: Path) -> None:
    """The store is ahead of what is published while checkpoints are signed at an interval."""
    with house.open() as ledger:
        grow(ledger, 100)
        earlier = ledger.checkpoint()
    out, keys = tmp_path / "out", [house.signer.verifier]
    with house.open(publishing=Publishing(signing=Signing.INTERVAL, interval=3600)) as ledger:
        for _ in range(2):
            ledger.append_blocking(submission(*(answered() for _ in range(100))), Level.SEQUENCED)
        assert ledger.size() == 300
        publication = ledger.publication()
        assert publication.get("checkpoint").body == earlier
        assert len(publication.get("tile/0/000.p/100").body) == 3200
        for path in ("tile/0/000", "tile/0/000.p/101", "tile/0/001.p/44", "tile/1/000.p/1", "tile/entries/000.p/101"):
            with pytest.raises(ResourceMissing):
                publication.get(path)
        assert export(house.url, out, verifiers=keys, origin=ORIGIN).size == 100
    assert {path.name for path in (out / "tile/0/000.p").iterdir()} == {"100"}


def test_the_published_checkpoint_carries_the_cosignatures_it_has_by_now(
    sqlite_house: House, sqlite_ledger: Ledger
) -> None:
    grow(sqlite_ledger, 3)
    publication = sqlite_ledger.publication()
    before = publication.get("checkpoint")
    line = cosignature_line(split_note(before.body)[0]).rstrip()
    with closing(sqlite3.connect(sqlite_house.directory / "ledger.db")) as database, database:
        database.execute("INSERT INTO cosignature (size, line) VALUES (3, ?)", [line])
        database.execute("INSERT INTO cosignature (size, line) VALUES (2, 'of another size')")
    after = publication.get("checkpoint")
    assert after.body == before.body + f"{line}\n".encode()
    assert after.etag != before.etag
    assert open_checkpoint(after.body, [sqlite_house.signer.verifier], ORIGIN).size == 3


def test_a_bundle_compresses_to_the_same_bytes_each_time_and_a_tile_does_not_compress(sqlite_ledger: Ledger) -> None:
    grow(sqlite_ledger, 256)
    publication = sqlite_ledger.publication()
    packed, plain = publication.get("tile/entries/000", "gzip"), publication.get("tile/entries/000")
    assert gzip.decompress(packed.body) == plain.body
    assert len(packed.body) < len(plain.body)
    assert packed.etag != plain.etag
    assert packed.varies
    assert plain.varies
    assert publication.get("tile/entries/000.p/9", "gzip").body == publication.get("tile/entries/000.p/9", "gzip").body
    tile = publication.get("tile/0/000", "gzip")
    assert (tile.coding, tile.varies, len(tile.body)) == ("identity", False, 8192)


def test_full_resources_are_kept_within_bounds(sqlite_house: House) -> None:
    with sqlite_house.open() as ledger:
        grow(ledger, 1024)
    with opened_store(sqlite_house) as store:
        publication = Publication(store, capacity=2 * 8192)
        first = publication.get("tile/0/000")
        assert publication.get("tile/0/000") is first
        publication.get("tile/0/001")
        publication.get("tile/0/002")
        again = publication.get("tile/0/000")
        assert again is not first
        assert again == first


def test_a_lost_entry_or_tile_is_damage_and_not_a_gap(sqlite_house: House) -> None:
    with sqlite_house.open() as ledger:
        grow(ledger, 100)
    with forged(sqlite_house) as database:
        database.execute("DELETE FROM entry WHERE idx = 50")
        database.execute("DELETE FROM tile")
    with opened_store(sqlite_house) as store:
        for path in ("tile/entries/000.p/100", "tile/0/000.p/100"):
            with pytest.raises(LedgerDamaged):
                Publication(store).get(path)


def test_an_entry_too_long_for_a_bundle_is_refused() -> None:
    assert len(format_bundle([b"x" * 65_535])) == 65_537
    with pytest.raises(PublicationDamaged):
        format_bundle([b"x" * 65_536])


def test_subtrees_of_a_served_tile_lead_to_the_root(sqlite_house: House, sqlite_ledger: Ledger) -> None:
    grow(sqlite_ledger, 100)
    tile = ExpandedTile(sqlite_ledger.publication().get("tile/0/000.p/100").body)
    checkpoint = open_checkpoint(sqlite_ledger.checkpoint(), [sqlite_house.signer.verifier], ORIGIN)
    assert subtree_root(0, 100, lambda level, index: tile.rows[level][index]) == checkpoint.root
