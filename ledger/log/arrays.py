"""Columns of rows as PostgreSQL arrays in binary form.

One statement over arrays inserts any number of rows and may stand in a pipeline, as COPY may not: nothing is waited for
between two tables. The driver packs lists too, value by value, at several times the cost.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, cast

_HEAD = struct.Struct(">iiiii")
_NULL = b"\xff\xff\xff\xff"


class ElementType(NamedTuple):
    """A type of PostgreSQL that columns of ours have."""

    name: str
    oid: int
    encode: Callable[[Any], bytes] | None
    """How a value becomes bytes; None for what is bytes."""


ELEMENT_TYPES = {
    "BIGINT": ElementType("int8", 20, struct.Struct(">q").pack),
    "INTEGER": ElementType("int4", 23, struct.Struct(">i").pack),
    "SMALLINT": ElementType("int2", 21, struct.Struct(">h").pack),
    "BYTEA": ElementType("bytea", 17, None),
    "TEXT": ElementType("text", 25, str.encode),
}
"""By the names that SQLAlchemy gives them."""


def pack_array(kind: ElementType, values: Sequence[Any]) -> bytes:
    """Pack values (numbers, bytes or texts, and None) as an array of a type."""
    nulls = None in values
    head = _HEAD.pack(1, nulls, kind.oid, len(values), 1)
    if nulls:
        encode = kind.encode or bytes
        return head + b"".join([_NULL if value is None else _with_length(encode(value)) for value in values])
    encoded = values if kind.encode is None else list(map(kind.encode, values))
    if len(set(map(len, encoded))) == 1:  # numbers, keys, hashes, entries of one kind: the most by far
        length = len(encoded[0]).to_bytes(4, "big")
        return head + length + length.join(encoded)
    return head + b"".join(map(_with_length, encoded))


def _with_length(value: bytes) -> bytes:
    return len(value).to_bytes(4, "big") + value


def pack_value(value: object) -> bytes | None:
    """Pack a value of a statement that casts it to `bigint`, `bytea` or `text`."""
    if isinstance(value, int):
        return value.to_bytes(8, "big", signed=True)
    return value.encode() if isinstance(value, str) else cast(bytes | None, value)


def unpack_value(oid: int, value: bytes) -> int | bytes | str:
    """Read a value of one of the types above that the server sent."""
    if oid == ELEMENT_TYPES["BYTEA"].oid:
        return value
    return value.decode() if oid == ELEMENT_TYPES["TEXT"].oid else int.from_bytes(value, "big", signed=True)
