"""The sparse Merkle tree as its definition says, bit by bit over text, and slow."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping


def root(pairs: Mapping[bytes, bytes]) -> bytes:
    return _subtree({"".join(f"{byte:08b}" for byte in key): (key, value) for key, value in pairs.items()}, "")


def _subtree(pairs: Mapping[str, tuple[bytes, bytes]], prefix: str) -> bytes:
    here = {bits: pair for bits, pair in pairs.items() if bits.startswith(prefix)}
    if len(here) == 0:
        return b"\0" * 32
    if len(here) == 1:
        ((key, value),) = here.values()
        return hashlib.sha256(b"\0" + key + value).digest()
    return hashlib.sha256(b"\x01" + _subtree(here, prefix + "0") + _subtree(here, prefix + "1")).digest()
