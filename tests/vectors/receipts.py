"""Receipts: those that prove an entry, and those that must not."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ledger.log.checkpoint import Checkpoint
from ledger.merkle import hash_children, hash_leaf, prove_inclusion, tree_root
from ledger.receipt import format_receipt
from tests.vectors.entries import mistaken, more, written
from tests.vectors.keys import OLD, OLD_VKEY, ORIGIN, VKEY, cosignature_line, other_algorithm_lines
from tests.vectors.notes import opening, other_base64, other_numbers, refused, sign


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptCase:
    """A receipt, how to verify it, and the error expected (None: it proves its entry)."""

    why: str
    receipt: bytes
    error: str | None = None
    vkeys: tuple[str, ...] = (VKEY,)
    origin: str = ORIGIN


class Tree:
    """A small tree of given leaves."""

    def __init__(self, leaves: Sequence[bytes]) -> None:
        self.leaves = list(leaves)
        self._rows = [[hash_leaf(leaf) for leaf in leaves]]
        while len(self._rows[-1]) > 1:
            below = self._rows[-1]
            self._rows.append([hash_children(below[i], below[i + 1]) for i in range(0, len(below) - 1, 2)])

    def node(self, level: int, index: int) -> bytes:
        return self._rows[level][index]

    def root(self, size: int | None = None) -> bytes:
        return tree_root(len(self.leaves) if size is None else size, self.node)

    def proof(self, index: int, size: int) -> list[bytes]:
        return prove_inclusion(index, size, self.node)

    def note(self, size: int) -> bytes:
        return sign(Checkpoint(origin=ORIGIN, size=size, root=self.root(size)).text())

    def receipt(self, index: int, size: int) -> bytes:
        return format_receipt(self.leaves[index], index, self.proof(index, size), self.note(size))


def grown() -> Tree:
    """The tree of the entries of `entries.json` and of some more, to have one with a ragged edge."""
    return Tree([*(one.leaf for one in written()), *more(24)])


def receipts() -> Iterator[ReceiptCase]:
    tree = grown()
    size = min(len(tree.leaves), 23)
    for index, at in ((0, 1), (0, 2), (1, 2), (2, 3), (3, 4), (6, 7), (0, 8), (7, 8), (16, 17), (22, 23), (9, 23)):
        yield ReceiptCase(why=f"entry {index} of {at}", receipt=tree.receipt(index, at))
    text = Checkpoint(origin=ORIGIN, size=size, root=tree.root(size)).text()
    history = (OLD_VKEY, VKEY)
    before = format_receipt(tree.leaves[4], 4, tree.proof(4, size), sign(text, [OLD]))
    yield ReceiptCase(why="of the time of the key before", receipt=before, vkeys=history)
    note = sign(text, more=cosignature_line(text) + other_algorithm_lines())
    with_more = format_receipt(tree.leaves[4], 4, tree.proof(4, size), note)
    yield ReceiptCase(why="with lines of witnesses and of other algorithms", receipt=with_more)
    yield from _notes(tree, 3, size)
    yield from _malformed(tree.receipt(3, size))
    yield from _wrongly_proved(tree, size)
    for why, leaf in mistaken():
        alone = Tree([leaf])
        yield ReceiptCase(why=f"of an entry with {why}", receipt=alone.receipt(0, 1), error="EntryError")


def _notes(tree: Tree, index: int, size: int) -> Iterator[ReceiptCase]:
    root = tree.root(size)
    for case in (*opening(size, root), *refused(size, root)):
        receipt = format_receipt(tree.leaves[index], index, tree.proof(index, size), case.note)
        yield ReceiptCase(
            why=f"checkpoint: {case.why}", receipt=receipt, error=case.error, vkeys=case.vkeys, origin=case.origin
        )


def _malformed(good: bytes) -> Iterator[ReceiptCase]:
    def case(why: str, receipt: bytes, error: str = "ReceiptError") -> ReceiptCase:
        return ReceiptCase(why=why, receipt=receipt, error=error)

    header, extra, index, *proof = good.partition(b"\n\n")[0].split(b"\n")
    note = good.partition(b"\n\n")[2]

    def put(*lines: bytes) -> bytes:
        return b"\n".join(lines) + b"\n\n" + note

    yield case("nothing at all", b"")
    yield case("a newline", b"\n")
    yield case("the checkpoint alone", note)
    yield case("no checkpoint", b"\n".join([header, extra, index, *proof, b""]))
    yield case("no checkpoint after the empty line", b"\n".join([header, extra, index, *proof, b"", b""]), "NoteError")
    yield case("another version", put(header.replace(b"v1", b"v2"), extra, index, *proof))
    yield case("no header", put(extra, index, *proof))
    yield case("a space after the header", put(header + b" ", extra, index, *proof))
    yield case("a byte order mark", b"\xef\xbb\xbf" + good)
    yield case("carriage returns", good.replace(b"\n", b"\r\n"))
    yield case("a carriage return in the proof", put(header, extra, index, proof[0] + b"\r", *proof[1:]))
    yield case("no entry", put(header, index, *proof))
    yield case("an entry without a space", put(header, extra.replace(b" ", b""), index, *proof))
    yield case("an entry with two spaces", put(header, extra.replace(b" ", b"  "), index, *proof))
    yield case("the entry after the index", put(header, index, extra, *proof))
    yield case("two entries", put(header, extra, extra, index, *proof))
    yield case("no index", put(header, extra, *proof))
    yield case("nothing but the header", put(header))
    yield case("an empty line before the proof", put(header, extra, index, b"", *proof), "NoteError")
    yield case("an empty line in the proof", put(header, extra, index, proof[0], b"", *proof[1:]), "NoteError")
    yield case("an empty line too many", good.replace(b"\n\n", b"\n\n\n", 1), "NoteError")
    yield case("a letter that is not ASCII", put(header, extra, index + "é".encode(), *proof))
    yield case("65 hashes", put(header, extra, index, *[proof[0]] * 65))
    yield case("bytes after the note", good + b"more", "NoteError")
    yield case("an entry that is not base64", put(header, b"extra not base64", index, *proof))
    for why, wrong in other_numbers(3):
        yield case(f"an index {why}", put(header, extra, b"index " + wrong.encode(), *proof))
    for why, wrong in other_base64(proof[0].decode()):
        yield case(f"a hash in base64 {why}", put(header, extra, index, wrong.encode(), *proof[1:]))
    for why, wrong in other_base64(extra.decode().split(" ")[1]):
        yield case(f"the entry in base64 {why}", put(header, f"extra {wrong}".encode(), index, *proof))


def _wrongly_proved(tree: Tree, size: int) -> Iterator[ReceiptCase]:
    proof, note, leaf = tree.proof(3, size), tree.note(size), tree.leaves[3]

    def case(
        why: str, *, leaf: bytes = leaf, index: int = 3, proof: list[bytes] = proof, note: bytes = note
    ) -> ReceiptCase:
        return ReceiptCase(why=why, receipt=format_receipt(leaf, index, proof, note), error="ProofError")

    yield case("an index one too high", index=4)
    yield case("an index one too low", index=2)
    yield case("an index that is the size", index=size)
    yield case("an index beyond the size", index=size + 3)
    yield case("the largest index", index=2**63 - 1)
    yield case("the index as if the tree were repeated", index=3 + 32)
    yield case("another entry", leaf=tree.leaves[4])
    yield case("one byte of the entry changed", leaf=leaf.replace(b'"seq":', b'"sep":'))
    yield case("no proof", proof=[])
    yield case("a proof without its last hash", proof=proof[:-1])
    yield case("a proof without its first hash", proof=proof[1:])
    yield case("a hash too many", proof=[*proof, bytes(32)])
    yield case("a hash too many at the start", proof=[bytes(32), *proof])
    yield case("the proof in the other order", proof=proof[::-1])
    yield case("two hashes exchanged", proof=[proof[1], proof[0], *proof[2:]])
    yield case("a hash of 31 bytes", proof=[proof[0][:31], *proof[1:]])
    yield case("a hash of 33 bytes", proof=[proof[0] + b"\0", *proof[1:]])
    yield case("one bit of a hash changed", proof=[*proof[:-1], bytes([proof[-1][0] ^ 1]) + proof[-1][1:]])
    yield case("the checkpoint of another size", note=tree.note(size - 1))
    yield case("the proof for another size", proof=tree.proof(3, 16))
    yield case("the root signed for a larger size", note=sign(_text(size + 40, tree.root(size))))
    yield case("the empty log", note=sign(_text(0, tree.root(size))))
    # A node taken for a leaf: the two hashes below it as an entry, and the rest of the proof.
    below = tree.node(0, 2) + tree.node(0, 3)
    yield case(
        "a node for a leaf", leaf=below, index=1, proof=proof[1:], note=sign(_text((size + 1) // 2, tree.root(size)))
    )
    # A leaf taken for a root, and an entry that is a hash.
    yield case("the leaf hash as the entry", leaf=hash_leaf(leaf))
    alone = Tree([leaf])
    yield case("the root of one entry, where there are two", index=0, proof=[], note=sign(_text(2, alone.root())))
    yield case("a hash for the only entry", index=0, proof=[bytes(32)], note=sign(_text(1, alone.root())))


def _text(size: int, root: bytes) -> str:
    return f"{ORIGIN}\n{size}\n{base64.b64encode(root).decode()}\n"
