"""Receipts: everything needed to prove offline that an entry was recorded (https://c2sp.org/tlog-proof).

    c2sp.org/tlog-proof@v1
    extra <base64 of the entry's bytes>
    index <decimal>
    <base64 of a 32-byte hash>          zero or more lines, from the leaf's sibling upwards
                                        an empty line
    <checkpoint note, verbatim>

The format does not authenticate the extra line; here the leaf hash is computed from it, so the proof does.
"""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Sequence
from dataclasses import dataclass

from ledger.errors import NoteError, ReceiptError
from ledger.log.checkpoint import open_checkpoint, parse_decimal
from ledger.log.note import Verifier, decode_base64
from ledger.merkle import hash_leaf, verify_inclusion
from ledger.records.codec import Entry, decode_entry

_HEADER = "c2sp.org/tlog-proof@v1"
_LONGEST = 1 << 20
_LONGEST_PROOF = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedReceipt:
    """The parts of a receipt, nothing of it verified."""

    leaf: bytes
    index: int
    proof: tuple[bytes, ...]
    note: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedReceipt:
    """What a receipt proves: this entry is at this index of the log whose first `size` entries have this root."""

    entry: Entry
    leaf: bytes
    index: int
    size: int
    root: bytes


def receipt_head(leaf: bytes, index: int) -> bytes:
    """Write the lines of a receipt before its proof."""
    return b"c2sp.org/tlog-proof@v1\nextra %sindex %d\n" % (b2a_base64(leaf), index)


def format_receipt(leaf: bytes, index: int, proof: Sequence[bytes], note: bytes) -> bytes:
    """Write a receipt."""
    return receipt_head(leaf, index) + b"".join([b2a_base64(h) for h in proof]) + b"\n" + note


def is_receipt(content: bytes) -> bool:
    """Tell whether something begins as a receipt does (a checkpoint alone does not)."""
    return content.startswith(_HEADER.encode() + b"\n")


def parse_receipt(receipt: bytes) -> ParsedReceipt:
    """Take a receipt apart.

    Raises:
        ReceiptError: it is not in the format, or carries no entry.
    """
    if len(receipt) > _LONGEST:
        raise ReceiptError("the receipt is too long")
    head, gap, note = receipt.partition(b"\n\n")
    try:
        lines = head.decode("ascii").split("\n")
    except UnicodeDecodeError:
        raise ReceiptError("the receipt's first part is not ASCII") from None
    if not gap or len(lines) < 3 or lines[0] != _HEADER:
        raise ReceiptError("not a tlog-proof of version 1")
    if not lines[1].startswith("extra ") or not lines[2].startswith("index "):
        raise ReceiptError("the receipt carries no entry or no index")
    if len(lines) - 3 > _LONGEST_PROOF:
        raise ReceiptError("the proof is too long")
    try:
        return ParsedReceipt(
            leaf=decode_base64(lines[1].removeprefix("extra ")),
            index=parse_decimal(lines[2].removeprefix("index ")),
            proof=tuple(decode_base64(line) for line in lines[3:]),
            note=note,
        )
    except NoteError as failure:
        raise ReceiptError(f"malformed receipt: {failure}") from None


def verify_receipt(receipt: bytes, verifiers: Sequence[Verifier], origin: str) -> VerifiedReceipt:
    """Verify a receipt offline, with only the log's public keys and origin.

    Raises:
        ReceiptError: it is not in the format.
        NoteError: its checkpoint is malformed, of another log or not signed by the log.
        ProofError: the entry is not in the log where the receipt says.
        EntryError: what it proves is not an entry of this ledger.
    """
    parsed = parse_receipt(receipt)
    checkpoint = open_checkpoint(parsed.note, verifiers, origin)
    verify_inclusion(hash_leaf(parsed.leaf), parsed.index, checkpoint.size, parsed.proof, checkpoint.root)
    return VerifiedReceipt(
        entry=decode_entry(parsed.leaf),
        leaf=parsed.leaf,
        index=parsed.index,
        size=checkpoint.size,
        root=checkpoint.root,
    )
