"""Reading a published log as an outsider: with the log's public keys, and trust in nothing that is served.

with open_published("https://log.example.gov.cn/", verifiers, origin) as log:
    seen = log.checkpoint()
    log.receipt(seen, 7)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ledger.errors import EntryMissing, PublicationUnavailable, ResourceMissing
from ledger.exchange import is_web
from ledger.keyring.published import LONGEST
from ledger.log.checkpoint import open_checkpoint
from ledger.log.note import Verifier
from ledger.log.tiles import WIDTH
from ledger.merkle import hash_leaf, prove_consistency, prove_inclusion, verify_consistency, verify_inclusion
from ledger.publication.paths import CHECKPOINT, KEY_HISTORY
from ledger.publication.sources import DirectorySource, HttpSource, Source
from ledger.publication.tiles import ProvedTiles
from ledger.receipt import format_receipt

_LONGEST_NOTE = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A checkpoint whose signature was verified, and the proved tiles below it."""

    size: int
    root: bytes
    note: bytes
    tiles: ProvedTiles = field(repr=False)


class PublishedLog:
    """One published log, known by its origin and the log's own keys (a witness's key alone proves nothing here)."""

    def __init__(self, source: Source, verifiers: Sequence[Verifier], origin: str) -> None:
        self._source = source
        self._verifiers = verifiers
        self._origin = origin

    def checkpoint(self) -> Seen:
        """Fetch and verify the newest checkpoint, and prove that the right-edge tiles lead to its root.

        Raises:
            NoteError: it is malformed, badly signed, of an unknown key or of another log.
            ResourceMissing, PublicationUnavailable, PublicationDamaged: it or the right edge cannot be had.
        """
        return self.below(self._source.fetch(CHECKPOINT, _LONGEST_NOTE))

    def below(self, note: bytes) -> Seen:
        """Verify a checkpoint that came from elsewhere (a receipt, an earlier visit); raises as `checkpoint` does."""
        checkpoint = open_checkpoint(note, self._verifiers, self._origin)
        tiles = ProvedTiles(self._source, checkpoint.size, checkpoint.root)
        return Seen(size=checkpoint.size, root=checkpoint.root, note=note, tiles=tiles)

    def entry(self, seen: Seen, index: int) -> bytes:
        """Fetch one entry and prove that it is in the log.

        Raises:
            EntryMissing: the log has not so many entries.
            PublicationError: it cannot be read or is not the one in the tree.
        """
        _require_within(seen, index)
        n, position = divmod(index, WIDTH)
        return seen.tiles.entries(n)[position]

    def inclusion(self, seen: Seen, index: int) -> list[bytes]:
        """Make the inclusion proof of an entry from proved tiles; raises as `entry` does."""
        _require_within(seen, index)
        return prove_inclusion(index, seen.size, seen.tiles.node)

    def consistency(self, earlier: bytes, new: Seen) -> list[bytes]:
        """Prove that the log of the checkpoint `new` begins with that of an earlier one, such as a receipt's.

        Only tiles of `new` are read, so it does not matter which checkpoints were published meanwhile.

        Raises:
            NoteError: the earlier checkpoint is malformed, badly signed, of an unknown key or of another log.
            ProofError: it is no beginning: the log was forked or rewritten, or the earlier one is the larger one.
            PublicationError: a tile cannot be had.
        """
        old = open_checkpoint(earlier, self._verifiers, self._origin)
        proof = prove_consistency(old.size, new.size, new.tiles.node)
        verify_consistency(old.size, new.size, proof, old.root, new.root)
        return proof

    def receipt(self, seen: Seen, index: int) -> bytes:
        """Make the receipt of an entry, as the log itself would; raises as `entry` does."""
        leaf, proof = self.entry(seen, index), self.inclusion(seen, index)
        verify_inclusion(hash_leaf(leaf), index, seen.size, proof, seen.root)
        return format_receipt(leaf, index, proof, seen.note)


@contextmanager
def open_source(place: str) -> Iterator[Source]:
    """Open a place that is an `http(s)://` URL prefix or a directory.

    Raises:
        PublicationUnavailable: it is neither.
    """
    try:
        web = is_web(place)
    except ValueError as wrong:
        raise PublicationUnavailable(f"{place!r} {wrong}") from None
    if web:
        with HttpSource(place) as source:
            yield source
    elif place and Path(place).is_dir():
        yield DirectorySource(Path(place))
    else:
        raise PublicationUnavailable(f"{place!r} is neither a folder nor an http or https URL")


def published_key_history(place: str) -> str | None:
    """Fetch the key history beside a published log, or None if there is none; what it says is not verified here.

    Raises:
        PublicationUnavailable, PublicationDamaged: it cannot be read, or is longer than any can be.
    """
    with open_source(place) as source:
        try:
            return source.fetch(KEY_HISTORY, LONGEST).decode("utf-8", "replace")
        except ResourceMissing:
            return None


@contextmanager
def open_published(place: str, verifiers: Sequence[Verifier], origin: str) -> Iterator[PublishedLog]:
    """Open the log published at a URL prefix or in a directory; nothing is read yet."""
    with open_source(place) as source:
        yield PublishedLog(source, verifiers, origin)


def _require_within(seen: Seen, index: int) -> None:
    if not 0 <= index < seen.size:
        raise EntryMissing(f"the log of size {seen.size} has no entry {index}")
