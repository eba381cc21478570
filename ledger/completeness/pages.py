"""The sparse Merkle tree in stored pages, so that a change costs a few pages and not the whole tree.

A page stands at a path: the first half-bytes of the keys below it, one a byte, so that paths sort as keys do. Its data:

    0x00, then up to 32 pairs of key || value in the order of keys         a bucket
    0x01, then 16 children of 33 bytes: tag || subtree hash                an inner page, four levels of the tree

where the tag is 0 for an empty subtree, 1 for one key, 2 for more. A bucket that grows beyond 32 pairs becomes an inner
page. A key is removed only to see what the tree was before; pages are stored for trees that grow.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from ledger.completeness.smt import EMPTY, MapProof, Pair, hash_node, prove_within, subtree_hash
from ledger.errors import LedgerDamaged

LARGEST_BUCKET = 32
NOTHING = b"\x00"
"""A bucket whose keys were all removed: no stored page is one."""
_FANOUT = 16
_BITS = 4
_BUCKET, _INNER = 0, 1
_NONE, _ONE, _MANY = 0, 1, 2

Node = tuple[int, bytes]
"""`(tag, subtree hash)`."""
_EMPTY_NODE: Node = (_NONE, EMPTY)


class Pages(Protocol):
    """Where pages are kept."""

    def load(self, paths: Sequence[bytes]) -> dict[bytes, bytes]:
        """Return the pages there are at some paths."""
        ...

    def save(self, pages: Mapping[bytes, bytes]) -> None:
        """Store pages, in place of those at the same paths."""
        ...


@dataclass(slots=True)
class _Bucket:
    pairs: dict[bytes, bytes]

    def set(self, changes: Mapping[bytes, bytes | None]) -> None:
        for key, value in changes.items():
            if value is None:
                self.pairs.pop(key, None)
            else:
                self.pairs[key] = value

    def node(self, depth: int) -> Node:
        pairs = sorted(self.pairs.items())
        return (min(len(pairs), _MANY), subtree_hash(pairs, depth * _BITS))

    def encode(self) -> bytes:
        return b"\x00" + b"".join([part for pair in sorted(self.pairs.items()) for part in pair])


@dataclass(slots=True)
class _Inner:
    children: list[Node]

    def node(self, depth: int) -> Node:
        return _combine(self.children)

    def encode(self) -> bytes:
        return b"\x01" + b"".join([bytes([tag]) + value for tag, value in self.children])


_Page = _Bucket | _Inner


def update_pages(pages: Pages, changes: Mapping[bytes, bytes | None], root: bytes | None = None) -> bytes:
    """Set keys to values, or remove them (None), and return the new root; memory is a small multiple of the changes.

    With `root`, the pages must be those of the tree with that root: each one that is read is compared with what the one
    above it says, so that nothing is built upon a page that somebody altered. Without, whoever calls answers for them.

    Raises:
        LedgerDamaged: a stored page is malformed, or is not of the tree with `root`; nothing is written.
    """
    levels = _descend(pages, changes, root)
    nodes: dict[bytes, Node] = {}
    saved: dict[bytes, bytes] = {}
    for depth in range(len(levels) - 1, -1, -1):
        for path, page in levels[depth].items():
            if isinstance(page, _Inner):
                for nibble in range(_FANOUT):
                    node = nodes.pop(path + bytes([nibble]), None)
                    if node is not None:
                        page.children[nibble] = node
            nodes[path] = page.node(depth)
            saved[path] = page.encode()
    if not saved:
        return read_root(pages, root)
    pages.save(saved)
    return nodes[b""][1]


def _descend(pages: Pages, changes: Mapping[bytes, bytes | None], root: bytes | None) -> list[dict[bytes, _Page]]:
    """Bring each change into its bucket; returns the touched pages by depth."""
    levels: list[dict[bytes, _Page]] = []
    waiting: dict[bytes, dict[bytes, bytes | None]] = {b"": dict(changes)} if changes else {}
    fresh: set[bytes] = set()
    told: dict[bytes, Node] = {}
    while waiting:
        depth = len(levels)
        stored = pages.load([path for path in waiting if path not in fresh])
        here: dict[bytes, _Page] = {}
        below: dict[bytes, dict[bytes, bytes | None]] = {}
        split, above = set[bytes](), dict[bytes, Node]()
        for path, pairs in waiting.items():
            page: _Page = _decode(path, stored[path]) if path in stored else _Bucket({})
            if root is not None and path not in fresh:
                _require(path, page.node(depth), told.get(path), root)
            lower: Mapping[bytes, bytes | None] = pairs
            if isinstance(page, _Bucket):
                page.set(pairs)
                lower = {}
                if len(page.pairs) > LARGEST_BUCKET:
                    lower, page = page.pairs, _Inner([_EMPTY_NODE] * _FANOUT)
                    split.update(path + bytes([nibble]) for nibble in range(_FANOUT))
            here[path] = page
            for key, value in lower.items():
                nibble = _nibble(key, depth)
                below.setdefault(path + bytes([nibble]), {})[key] = value
                if isinstance(page, _Inner):
                    above[path + bytes([nibble])] = page.children[nibble]
        levels.append(here)
        waiting, fresh, told = below, split, above
    return levels


def _require(path: bytes, found: Node, told: Node | None, root: bytes) -> None:
    """Require that a page is the one that the page above it, or the root, tells of."""
    if found[1] != root if told is None else found != told:
        raise LedgerDamaged(f"{_name(path)} is not what the index of its root has there")


def read_root(pages: Pages, root: bytes | None = None) -> bytes:
    """Return the root of the stored tree; raises `LedgerDamaged` if it should be `root` and is not."""
    data = pages.load([b""]).get(b"")
    node = _EMPTY_NODE if data is None else _decode(b"", data).node(0)
    if root is not None:
        _require(b"", node, None, root)
    return node[1]


def prove_key(pages: Pages, key: bytes) -> MapProof:
    """Prove what the stored tree holds under a key, or that it holds nothing.

    Raises:
        LedgerDamaged: a stored page is missing or malformed.
    """
    path, beside = b"", list[bytes]()
    while True:
        data = pages.load([path]).get(path)
        if data is None and path:
            raise LedgerDamaged(f"{_name(path)} is missing")
        page = _Bucket({}) if data is None else _decode(path, data)
        if isinstance(page, _Bucket):
            rest = prove_within(sorted(page.pairs.items()), key, len(path) * _BITS)
            return MapProof(path=(*beside, *rest.path), end=rest.end)
        children, nibble = page.children, _nibble(key, len(path))
        lowest, width = 0, _FANOUT
        while width > 1:
            tag, _ = _combine(children[lowest : lowest + width])
            if tag != _MANY:
                break
            width //= 2
            other = lowest if nibble & width else lowest + width
            beside.append(_combine(children[other : other + width])[1])
            lowest = lowest + width if nibble & width else lowest
        below = children[lowest : lowest + width]
        alone = next((at for at, (tag, _) in enumerate(below) if tag != _NONE), None)
        if alone is None:
            return MapProof(path=tuple(beside), end=None)
        path += bytes([lowest + alone])


def _combine(nodes: Sequence[Node]) -> Node:
    """Put 1, 2, 4, 8 or 16 neighbouring subtrees together."""
    row = list(nodes)
    while len(row) > 1:
        row = [_join(row[at], row[at + 1]) for at in range(0, len(row), 2)]
    return row[0]


def _join(left: Node, right: Node) -> Node:
    if left[0] + right[0] <= _ONE:
        return left if left[0] else right
    return (_MANY, hash_node(left[1], right[1]))


def _nibble(key: bytes, depth: int) -> int:
    byte = key[depth >> 1]
    return byte & 15 if depth & 1 else byte >> 4


def _decode(path: bytes, data: bytes) -> _Page:
    body = data[1:]
    if data[:1] == bytes([_BUCKET]) and body and len(body) % 64 == 0:
        pairs = dict(_pairs(body))
        keys = list(pairs)
        if (
            64 * len(keys) == len(body)
            and keys == sorted(keys)
            and _is_below(path, keys[0])
            and _is_below(path, keys[-1])
        ):
            return _Bucket(pairs)
    if data[:1] == bytes([_INNER]) and len(body) == 33 * _FANOUT:
        children = [(body[at], body[at + 1 : at + 33]) for at in range(0, len(body), 33)]
        if all(tag <= _MANY and (tag == _NONE) == (value == EMPTY) for tag, value in children):
            return _Inner(children)
    raise LedgerDamaged(f"{_name(path)} is malformed")


def _is_below(path: bytes, key: bytes) -> bool:
    return all(_nibble(key, depth) == nibble for depth, nibble in enumerate(path))


def _name(path: bytes) -> str:
    return f"the page of the index at {path.hex() or 'the root'}"


def _pairs(body: bytes) -> Iterable[Pair]:
    return ((body[at : at + 32], body[at + 32 : at + 64]) for at in range(0, len(body), 64))
