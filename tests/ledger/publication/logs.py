"""Logs to publish: small real ones in a database, and large ones of hashes alone."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager

from ledger import Ledger, ResourceMissing
from ledger.log.store import Store, open_store
from ledger.log.tiles import WIDTH, TileTree
from ledger.merkle import hash_leaf
from ledger.publication.bundle import format_bundle
from ledger.publication.paths import TilePath
from tests.ledger.house import House, answered, submission


def grow(ledger: Ledger, count: int) -> None:
    """Append entries, several drafts a submission, so that many sizes have no checkpoint."""
    while count:
        some = min(count, 100)
        ledger.append_blocking(submission(*(answered(number=number) for number in range(some))))
        count -= some


@contextmanager
def opened_store(house: House) -> Iterator[Store]:
    store = open_store(house.url, readers=2)
    try:
        yield store
    finally:
        store.close()


@contextmanager
def forged(house: House) -> Iterator[sqlite3.Connection]:
    """Lend the SQLite file to somebody who may change anything in it: the triggers are gone meanwhile."""
    with closing(sqlite3.connect(house.directory / "ledger.db")) as database, database:
        triggers = database.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for name, _ in triggers:
            database.execute(f"DROP TRIGGER {name}")
        yield database
        for _, made in triggers:
            database.execute(made)


class Memory:
    """A source of resources by path, which counts what is fetched and can be made to lie."""

    def __init__(self, resources: dict[str, bytes]) -> None:
        self.resources = resources
        self.fetched: list[str] = []

    def fetch(self, path: str, longest: int) -> bytes:
        self.fetched.append(path)
        if path not in self.resources:
            raise ResourceMissing(f"{path} is missing")
        return self.resources[path][: longest + 1]


def leaf(index: int) -> bytes:
    return b"entry %d" % index


def materialise(size: int) -> tuple[Memory, bytes]:
    """Build every tile and bundle of a log of entries `leaf(i)`; gives them and the root."""
    made: dict[str, bytes] = {}

    def load(level: int, n: int) -> bytes:
        return made[str(TilePath(level=level, n=n))]

    tree = TileTree(0, load)
    for index in range(size):
        tree.append(hash_leaf(leaf(index)))
        if tree.size % WIDTH == 0 or tree.size == size:
            for tile in tree.pending():
                made[str(TilePath(level=tile.level, n=tile.n, width=tile.width))] = tile.data
            tree.settle()
            n = index // WIDTH
            width = index % WIDTH + 1
            bundle = format_bundle(leaf(i) for i in range(n * WIDTH, index + 1))
            made[str(TilePath(level=None, n=n, width=width))] = bundle
    return Memory(made), tree.root()
