"""Ids of records: random behind their time, so that indexes over them grow at one edge however large the log is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from ledger.canonical import microseconds


def new_record(at: datetime, entropy: Callable[[int], bytes]) -> bytes:
    """Make a record id: 48 bits of milliseconds since 1970, then 80 random bits; the time is in the entry anyway."""
    return (microseconds(at) // 1000).to_bytes(6, "big") + entropy(10)
