"""Checking a whole published log from outside: every tile and every entry against the signed checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ledger.errors import EntryError, PublicationDamaged, ResourceMissing
from ledger.log.tiles import WIDTH
from ledger.publication.client import PublishedLog, Seen
from ledger.records.codec import decode_entry

_MOST_DAMAGES = 1000
Progress = Callable[[int, int], None]
"""`(done, total)`, in entries."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedDamage:
    """One thing that is wrong; `index` is the first entry it may concern."""

    index: int
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedReport:
    """What was checked, and what is wrong: at most 1,000 damages, in order of the entries."""

    seen: Seen = field(repr=False)
    damages: tuple[PublishedDamage, ...]

    @property
    def sound(self) -> bool:
        """Tell whether nothing is wrong."""
        return not self.damages


def inspect_published(log: PublishedLog, *, progress: Progress | None = None) -> PublishedReport:
    """Check a published log below its newest checkpoint, in bounded memory; what is wrong is listed, not raised.

    Every full tile is proved by the one above it, up to the right edge, which leads to the signed root; every entry
    hashes to its leaf and is an entry of this ledger in its one spelling.

    Raises:
        NoteError: the checkpoint is malformed, badly signed, of an unknown key or of another log.
        PublicationDamaged, ResourceMissing: the right edge does not lead to its root: nothing else can be proved.
        PublicationUnavailable: the log cannot be read now.
    """
    seen = log.checkpoint()
    tell = progress or (lambda done, total: None)
    damages: list[PublishedDamage] = []
    for n in range(-(-seen.size // WIDTH)):
        for damage in _inspect_bundle(seen, n):
            if len(damages) < _MOST_DAMAGES:
                damages.append(damage)
        tell(min(seen.size, (n + 1) * WIDTH), seen.size)
    return PublishedReport(seen=seen, damages=tuple(damages))


def _inspect_bundle(seen: Seen, n: int) -> list[PublishedDamage]:
    try:
        entries = seen.tiles.entries(n)
    except (PublicationDamaged, ResourceMissing) as failure:
        return [PublishedDamage(index=n * WIDTH, what=str(failure))]
    damages: list[PublishedDamage] = []
    for index, entry in enumerate(entries, n * WIDTH):
        try:
            decode_entry(entry)
        except EntryError as failure:
            damages.append(PublishedDamage(index=index, what=str(failure)))
    return damages
