"""What a log publishes, made from its store: one path, one resource (https://c2sp.org/tlog-tiles).

Only what the newest signed checkpoint implies exists. A narrower partial tile is a prefix of what is stored, so the
partials of every earlier checkpoint stay readable; nothing beyond the checkpoint is ever shown.
"""

from __future__ import annotations

import gzip
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Literal

from sqlalchemy import Connection

from ledger.errors import LedgerDamaged, ResourceMissing
from ledger.log.checkpoint import read_checkpoint
from ledger.log.reader import read_entries
from ledger.log.store import Store, read_head, read_published_note, read_tile
from ledger.log.tiles import WIDTH
from ledger.publication.bundle import format_bundle
from ledger.publication.paths import CHECKPOINT, TilePath, available, parse_path

Coding = Literal["identity", "gzip"]
TEXT = "text/plain; charset=utf-8"
BYTES = "application/octet-stream"
_FRESH = "no-cache"
_FOREVER = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One resource as it goes out; `etag` is strong, and another for another coding."""

    body: bytes
    media_type: str
    cache_control: str
    etag: str
    coding: Coding = "identity"
    varies: bool = False
    """Whether another coding of the same resource can be had."""


def text_resource(body: bytes) -> Resource:
    """Make a resource of a text that may be another one tomorrow."""
    return Resource(body=body, media_type=TEXT, cache_control=_FRESH, etag=_tag(body))


class Publication:
    """Reads the resources of one log from its store; safe for several threads.

    `capacity` bounds the bytes of full tiles and bundles that are kept, for they never change. `leaving` has each
    checkpoint with its size before it leaves.
    """

    def __init__(
        self,
        store: Store,
        capacity: int = 16 << 20,
        *,
        leaving: Callable[[bytes, int], None] = lambda _note, _size: None,
    ) -> None:
        self._store = store
        self._leaving = leaving
        self._kept = _Kept(capacity)

    def get(self, path: str, coding: Coding = "identity") -> Resource:
        """Return the resource at a path (without a leading slash), entry bundles in the coding asked for.

        Raises:
            PathMalformed: it is not a path of tlog-tiles.
            ResourceMissing: the published checkpoint does not imply it.
            LedgerDamaged: the store does not hold what its checkpoint implies.
            LedgerUnavailable: the store cannot be read, or it is not sure that its newest checkpoint stays.
        """
        if path == CHECKPOINT:
            return self._checkpoint()
        asked = parse_path(path)
        coding = coding if asked.level is None else "identity"
        kept = self._kept.get((path, coding))
        if kept is None:
            kept = _pack(self._read(asked), asked, coding)
            if asked.width == WIDTH:
                self._kept.put((path, coding), kept)
        return kept

    def _checkpoint(self) -> Resource:
        with self._store.reading() as connection:
            note = read_published_note(connection)
        self._leaving(note, read_checkpoint(note).size)
        return text_resource(note)

    def _read(self, asked: TilePath) -> bytes:
        with self._store.reading() as connection:
            if asked.width > available(asked.level, asked.n, read_head(connection).published):
                raise ResourceMissing("the published checkpoint does not imply this resource")
            return read_resource(connection, asked)


def read_resource(connection: Connection, asked: TilePath) -> bytes:
    """Read a tile or bundle that the caller knows to be below a published checkpoint; raises `LedgerDamaged`."""
    if asked.level is None:
        return format_bundle(read_entries(connection, asked.n * WIDTH, asked.width))
    data = read_tile(connection, asked.level, asked.n)[: 32 * asked.width]
    if len(data) != 32 * asked.width:
        raise LedgerDamaged(f"tile {asked.n} of level {asked.level} is too short")
    return data


def _pack(data: bytes, asked: TilePath, coding: Coding) -> Resource:
    # Without a time stamp, so that the same entries always compress to the same bytes.
    body = gzip.compress(data, mtime=0) if coding == "gzip" else data
    return Resource(
        body=body,
        media_type=BYTES,
        cache_control=_FOREVER,
        etag=_tag(body),
        coding=coding,
        varies=asked.level is None,
    )


def _tag(body: bytes) -> str:
    return f'"{sha256(body).hexdigest()[:32]}"'


class _Kept:
    """The most recently used resources, up to a sum of bytes."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._held = 0
        self._resources: OrderedDict[tuple[str, Coding], Resource] = OrderedDict()
        self._guard = threading.Lock()

    def get(self, key: tuple[str, Coding]) -> Resource | None:
        with self._guard:
            found = self._resources.get(key)
            if found is not None:
                self._resources.move_to_end(key)
            return found

    def put(self, key: tuple[str, Coding], resource: Resource) -> None:
        with self._guard:
            if key in self._resources or len(resource.body) > self._capacity:
                return
            self._resources[key] = resource
            self._held += len(resource.body)
            while self._held > self._capacity:
                _, dropped = self._resources.popitem(last=False)
                self._held -= len(dropped.body)
