"""Checking a whole ledger: everything that can be recomputed is, on all cores, and the first bad entry is named.

Works on any copy with only the public key; with master keys, documents are checked against their commitments and the
projection's facts against the documents. Nothing is ever repaired here.
"""

from __future__ import annotations

from ledger.fsck.check import fsck
from ledger.fsck.findings import Damage, FsckReport, Progress

__all__ = ["Damage", "FsckReport", "Progress", "fsck"]
