"""Entry bundles (https://c2sp.org/tlog-tiles, "Log entries"): up to 256 entries, each after its length in two bytes."""

from __future__ import annotations

from collections.abc import Iterable

from ledger.errors import PublicationDamaged
from ledger.log.tiles import WIDTH

LONGEST_BUNDLE = WIDTH * (2 + 0xFFFF)
"""Bytes."""


def format_bundle(entries: Iterable[bytes]) -> bytes:
    """Write entries, each after its length as a big-endian uint16.

    Raises:
        PublicationDamaged: an entry is longer than 65,535 bytes.
    """
    parts: list[bytes] = []
    for entry in entries:
        if len(entry) > 0xFFFF:
            raise PublicationDamaged("an entry is too long for a bundle")
        parts += (len(entry).to_bytes(2, "big"), entry)
    return b"".join(parts)


def parse_bundle(data: bytes, count: int) -> list[bytes]:
    """Read a bundle of exactly `count` entries; total.

    Raises:
        PublicationDamaged: it ends early, or holds more or fewer entries.
    """
    entries: list[bytes] = []
    at = 0
    while at < len(data):
        end = at + 2 + int.from_bytes(data[at : at + 2], "big")
        if at + 2 > len(data) or end > len(data):
            raise PublicationDamaged("an entry bundle ends in the middle of an entry")
        if len(entries) == count:
            raise PublicationDamaged(f"an entry bundle holds more than {count} entries")
        entries.append(data[at + 2 : end])
        at = end
    if len(entries) != count:
        raise PublicationDamaged(f"an entry bundle holds {len(entries)} entries, not {count}")
    return entries
