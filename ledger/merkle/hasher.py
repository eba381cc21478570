"""Hashes of leaves and nodes, kept apart by their first byte (RFC 6962, 2.1)."""

from __future__ import annotations

from hashlib import sha256

EMPTY_ROOT = sha256(b"").digest()
"""The root of the tree without leaves."""


def hash_leaf(data: bytes) -> bytes:
    """Hash one leaf: SHA-256(0x00 || data), 32 bytes."""
    return sha256(b"\x00" + data).digest()


def hash_children(left: bytes, right: bytes) -> bytes:
    """Hash one inner node: SHA-256(0x01 || left || right), 32 bytes."""
    return sha256(b"\x01" + left + right).digest()
