"""How a repeated request is recognised (AIP-155): by caller and request_id, with a digest of the body."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from uuid import UUID

from ledger.canonical import Json

_TIME_BYTES = 6


def request_key(caller: str, request_id: UUID) -> bytes:
    """Give the key of a request: 22 bytes that grow with time for version-7 UUIDs.

    A version-7 UUID begins with its time in milliseconds; keeping that in front keeps the index hot however large
    the log grows. Other versions work and cost more.
    """
    asked = request_id.bytes
    return asked[:_TIME_BYTES] + hashlib.sha256(caller.encode() + b"\x00" + asked).digest()[:16]


def differing_fields(first: Json, second: Json) -> list[str]:
    """Name the fields in which two bodies differ, as dotted paths, sorted."""
    left, right = dict(_flat(first)), dict(_flat(second))
    return sorted(path for path in left.keys() | right.keys() if left.get(path, ...) != right.get(path, ...))


def _flat(value: Json, path: str = "") -> Iterator[tuple[str, Json]]:
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _flat(inner, f"{path}.{key}" if path else key)
    else:
        yield path, value
