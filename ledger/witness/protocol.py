"""The messages of https://c2sp.org/tlog-witness.

A request (`POST <submission prefix>/add-checkpoint`):

    old <size of the checkpoint that the witness cosigned last>
    <base64 of a 32-byte hash>          zero to 63 lines: the consistency proof
                                        an empty line
    <checkpoint note, verbatim>

The answer is one or more signature lines, or after a 409 the size the witness has, in decimal and LF.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from ledger.errors import NoteError, WitnessError
from ledger.log.checkpoint import parse_decimal
from ledger.log.note import decode_base64, parse_line

ADD_CHECKPOINT = "add-checkpoint"
SIZE_TYPE = "text/x.tlog.size"
LONGEST_REQUEST = 1 << 18
"""Bytes: 63 proof lines and a note with sixteen of the longest signatures fit well."""
LONGEST_ANSWER = 1 << 17
LONGEST_PROOF = 63
_MOST_LINES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a log sends: the size it believes the witness has, a proof from there, and its checkpoint."""

    old: int
    proof: tuple[bytes, ...]
    note: bytes


def format_request(request: Request) -> bytes:
    """Write a request.

    Raises:
        WitnessError: the proof has more hashes than the protocol allows.
    """
    if len(request.proof) > LONGEST_PROOF:
        raise WitnessError("the proof is too long")
    proof = b"".join(base64.b64encode(value) + b"\n" for value in request.proof)
    return b"old %d\n" % request.old + proof + b"\n" + request.note


def parse_request(body: bytes) -> Request:
    """Read a request; its note is not looked into.

    Raises:
        WitnessError: it is not in the format.
    """
    if len(body) > LONGEST_REQUEST:
        raise WitnessError("the request is too long")
    head, gap, note = body.partition(b"\n\n")
    try:
        first, *proof = head.decode("ascii").split("\n")
    except UnicodeDecodeError:
        raise WitnessError("the request's first part is not ASCII") from None
    if not gap or not first.startswith("old "):
        raise WitnessError("the request has no old size, or no empty line before the checkpoint")
    if len(proof) > LONGEST_PROOF:
        raise WitnessError("the proof is too long")
    try:
        hashes = tuple(decode_base64(line) for line in proof)
        old = parse_decimal(first.removeprefix("old "))
    except NoteError as failure:
        raise WitnessError(f"malformed request: {failure}") from None
    if any(len(value) != 32 for value in hashes):
        raise WitnessError("a hash of the proof is not 32 bytes long")
    return Request(old=old, proof=hashes, note=note)


def format_answer(lines: Sequence[str]) -> bytes:
    """Write the signature lines of an answer."""
    return "".join(f"{line}\n" for line in lines).encode()


def parse_answer(body: bytes) -> list[str]:
    """Read the signature lines of an answer, each without its newline; nothing of them is verified.

    Raises:
        WitnessError: it is not in the format.
    """
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise WitnessError("the answer is not UTF-8") from None
    if not text.endswith("\n"):
        raise WitnessError("the answer does not end in a newline")
    lines = text[:-1].split("\n")
    if len(lines) > _MOST_LINES:
        raise WitnessError("the answer has too many lines")
    try:
        for line in lines:
            parse_line(line)
    except NoteError as failure:
        raise WitnessError(f"malformed answer: {failure}") from None
    return lines


def format_size(size: int) -> bytes:
    """Write the size that a conflict tells."""
    return b"%d\n" % size


def parse_size(body: bytes) -> int:
    """Read the size that a conflict tells.

    Raises:
        WitnessError: it is not a decimal number and a newline.
    """
    try:
        if not body.endswith(b"\n"):
            raise NoteError("no newline")
        return parse_decimal(body[:-1].decode("ascii"))
    except (NoteError, UnicodeDecodeError):
        raise WitnessError("the size the witness has is not a decimal number and a newline") from None


def origin_hash(origin: str) -> str:
    """Name a log in `GET <monitoring prefix>/<origin hash>/checkpoint`: SHA-256 of its origin, hexadecimal."""
    return hashlib.sha256(origin.encode()).hexdigest()
