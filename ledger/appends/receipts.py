"""The receipts of a whole batch at once.

The paths of neighbours share all but their lower ends, so they are built from the root downwards: each node of the
batch is visited once, for however many receipts its hash appears in. On the way back up every parent is hashed again
from its children, so that each receipt is verified against the signed root before it can leave.
"""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Sequence
from hashlib import sha256

from ledger.appends.values import Accepted, Appended
from ledger.errors import LedgerDamaged
from ledger.log.tiles import TileTree
from ledger.receipt import receipt_head


class _Paths:
    """Collects the encoded paths of the leaves from `first` to the end of the tree."""

    def __init__(self, tree: TileTree, first: int, hashes: Sequence[bytes]) -> None:
        self._node = tree.node
        self._first = first
        self._hashes = hashes
        self.paths: list[bytes] = [b""] * len(hashes)

    def walk(self, start: int, end: int, above: bytes) -> bytes:
        """Give every leaf of `[start, end)` its path, `above` being what follows; returns the hash computed anew."""
        first = self._first
        if end - start == 1:
            self.paths[start - first] = above
            return self._hashes[start - first]
        if end - start == 2 and start >= first:
            left, right = self._hashes[start - first], self._hashes[start - first + 1]
            self.paths[start - first] = b2a_base64(right) + above
            self.paths[start - first + 1] = b2a_base64(left) + above
            return sha256(b"\x01" + left + right).digest()
        if end - start == 4 and start >= first:
            return self._walk_four(start - first, above)
        level = (end - start - 1).bit_length() - 1
        middle = start + (1 << level)
        left = self._node(level, start >> level)
        below = self.walk(middle, end, b2a_base64(left) + above)
        if middle > first:
            self._require_same(left, self.walk(start, middle, b2a_base64(below) + above))
        return sha256(b"\x01" + left + below).digest()

    def _walk_four(self, at: int, above: bytes) -> bytes:
        """Do what `walk` does for a complete subtree of four, of which half of all nodes are part, in one call."""
        a, b, c, d = self._hashes[at : at + 4]
        left, right = sha256(b"\x01" + a + b).digest(), sha256(b"\x01" + c + d).digest()
        of_left, of_right = b2a_base64(right) + above, b2a_base64(left) + above
        self.paths[at : at + 4] = [
            b2a_base64(b) + of_left,
            b2a_base64(a) + of_left,
            b2a_base64(d) + of_right,
            b2a_base64(c) + of_right,
        ]
        return sha256(b"\x01" + left + right).digest()

    def _require_same(self, stored: bytes, computed: bytes) -> None:
        if stored != computed:
            raise LedgerDamaged("the tree in memory does not follow from its leaves")


def batch_paths(tree: TileTree, root: bytes, leaf_hashes: Sequence[bytes]) -> list[bytes]:
    """Encode the proof of each of the newest leaves of the tree against its root, all verified.

    Raises:
        LedgerDamaged: a path does not lead to `root`; no receipt may leave.
    """
    paths = _Paths(tree, tree.size - len(leaf_hashes), leaf_hashes)
    if paths.walk(0, tree.size, b"") != root:
        raise LedgerDamaged("the paths of a batch lead to another root than was signed")
    return paths.paths


def complete(accepted: Accepted, note: bytes) -> Appended:
    """Put the receipts of a submission together from its paths and the checkpoint of its batch."""
    if not accepted.paths:
        return Appended(accepted.entries, 0, (), False)
    end = b"\n" + note
    if len(accepted.paths) == 1:
        entry = accepted.entries[0]
        receipt = receipt_head(entry.entry, entry.index) + accepted.paths[0] + end
        return Appended(accepted.entries, accepted.size, (receipt,), False)
    receipts = [
        receipt_head(entry.entry, entry.index) + path + end
        for entry, path in zip(accepted.entries, accepted.paths, strict=True)
    ]
    return Appended(accepted.entries, accepted.size, tuple(receipts), False)
