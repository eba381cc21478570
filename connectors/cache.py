"""Answers that agreed, kept while the source's own promise of freshness says they still hold; pure, time is passed in.

Nothing but MATCH is ever kept: a failure, an absence or a contradiction is always asked again.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from msgspec.structs import replace

from connectors.outcome import Evidence, Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    evidence: Evidence
    until: datetime


class Cache:
    """Keeps the MATCH of a claim for those who asked it for the same purpose, as they were told it themselves.

    An answer holds until `longest` after it was given, and no longer than `freshness` after the date of its data; one
    without a date is not kept. Nor is one that was asked for before the source last said otherwise: it may be slow in
    coming. At most `entries` are kept; the one used longest ago goes first. Keys are kept as digests under `salt`, so
    that memory that is looked at later does not list who was asked about.
    """

    def __init__(self, *, longest: timedelta, freshness: timedelta, entries: int, salt: bytes) -> None:
        self._longest = longest
        self._freshness = freshness
        self._entries = entries
        self._salt = salt
        self._kept: OrderedDict[tuple[bytes, Hashable], _Kept] = OrderedDict()
        self._purposes: dict[bytes, set[Hashable]] = {}
        self._otherwise: OrderedDict[bytes, datetime] = OrderedDict()
        self._forgotten = datetime.min.replace(tzinfo=UTC)
        """The latest time at which the source said otherwise of a claim that `_otherwise` no longer knows."""

    def find(self, claim: Hashable, purpose: Hashable, now: datetime) -> Evidence | None:
        """Find the answer to a claim: as it was given, marked as cached, after no attempt."""
        key = self._key(claim)
        kept = self._kept.get((key, purpose))
        if kept is None:
            return None
        # A clock that was set back must not make an old answer young.
        if not kept.evidence.answered_at <= now < kept.until:
            self._drop(key, purpose)
            return None
        self._kept.move_to_end((key, purpose))
        return replace(kept.evidence, cached=True, attempts=0)

    def note(self, claim: Hashable, purpose: Hashable, evidence: Evidence) -> None:
        """Keep an answer that agrees; forget what was kept for anybody when the source now says anything else."""
        key = self._key(claim)
        if evidence.outcome.kind is Kind.UNAVAILABLE:
            return
        if evidence.outcome.kind is not Kind.MATCH:
            self._end(key, evidence.answered_at)
            return
        held = self._kept.get((key, purpose))
        is_older = held is not None and evidence.asked_at < held.evidence.asked_at
        if is_older or evidence.asked_at <= self._otherwise.get(key, self._forgotten):
            return
        self._drop(key, purpose)
        if evidence.as_of is None:
            return
        until = min(evidence.answered_at + self._longest, evidence.as_of + self._freshness)
        self._kept[key, purpose] = _Kept(evidence=evidence, until=until)
        self._purposes.setdefault(key, set()).add(purpose)
        if len(self._kept) > self._entries:
            self._drop(*next(iter(self._kept)))

    def _end(self, key: bytes, at: datetime) -> None:
        """Forget what was kept of a claim that was asked for before the source said otherwise, and remember when."""
        at = max(at, self._otherwise.get(key, self._forgotten))
        for purpose in list(self._purposes.get(key, ())):
            if self._kept[key, purpose].evidence.asked_at <= at:
                self._drop(key, purpose)
        self._otherwise[key] = at
        self._otherwise.move_to_end(key)
        if len(self._otherwise) > self._entries:
            _, gone = self._otherwise.popitem(last=False)
            self._forgotten = max(self._forgotten, gone)

    def _drop(self, key: bytes, purpose: Hashable) -> None:
        if self._kept.pop((key, purpose), None) is None:
            return
        self._purposes[key].discard(purpose)
        if not self._purposes[key]:
            del self._purposes[key]

    def _key(self, claim: Hashable) -> bytes:
        return hashlib.blake2b(repr(claim).encode("utf-8", "surrogatepass"), key=self._salt, digest_size=16).digest()
