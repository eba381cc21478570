"""Answers that agreed, kept while the source's own promise of freshness says they still hold; pure, time is passed in.

Nothing but MATCH is ever kept: a failure, an absence or a contradiction is always asked again.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from datetime import datetime, timedelta

from msgspec.structs import replace

from connectors.outcome import Evidence, Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    evidence: Evidence
    until: datetime
    purposes: frozenset[Hashable]


class Cache:
    """Keeps the MATCH of a claim for those who asked it for the same purpose.

    An answer holds until `longest` after it was given, and no longer than `freshness` after the date of its data; one
    without a date is not kept. At most `entries` are; the one used longest ago goes first. Keys are kept as digests
    under `salt`, so that memory that is looked at later does not list who was asked about.
    """

    def __init__(self, *, longest: timedelta, freshness: timedelta, entries: int, salt: bytes) -> None:
        self._longest = longest
        self._freshness = freshness
        self._entries = entries
        self._salt = salt
        self._kept: OrderedDict[bytes, _Kept] = OrderedDict()

    def find(self, claim: Hashable, purpose: Hashable, now: datetime) -> Evidence | None:
        """Find the answer to a claim: as it was given, marked as cached, after no attempt."""
        key = self._key(claim)
        kept = self._kept.get(key)
        if kept is None or purpose not in kept.purposes:
            return None
        # A clock that was set back must not make an old answer young.
        if not kept.evidence.answered_at <= now < kept.until:
            del self._kept[key]
            return None
        self._kept.move_to_end(key)
        return replace(kept.evidence, cached=True, attempts=0)

    def note(self, claim: Hashable, purpose: Hashable, evidence: Evidence) -> None:
        """Keep an answer that agrees; forget what was kept when the source now says anything else."""
        key = self._key(claim)
        if evidence.outcome.kind is Kind.UNAVAILABLE:
            return
        held = self._kept.pop(key, None)
        if evidence.outcome.kind is not Kind.MATCH or evidence.as_of is None:
            return
        until = min(evidence.answered_at + self._longest, evidence.as_of + self._freshness)
        purposes = frozenset({purpose}) | (held.purposes if held is not None else frozenset())
        self._kept[key] = _Kept(evidence=evidence, until=until, purposes=purposes)
        if len(self._kept) > self._entries:
            self._kept.popitem(last=False)

    def _key(self, claim: Hashable) -> bytes:
        return hashlib.blake2b(repr(claim).encode("utf-8", "surrogatepass"), key=self._salt, digest_size=16).digest()
