"""What a check finds."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

_MOST_DAMAGES = 1000
Progress = Callable[[int, int], None]
"""`(done, total)`: called now and then; each pass counts each entry it reads once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """One thing that is wrong; `index` is the entry concerned, None if it is none in particular."""

    index: int | None
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FsckReport:
    """What was checked and what is wrong, the lowest entry first."""

    size: int
    checkpoints: int
    records: int
    damages: tuple[Damage, ...]
    indexes: int = 0
    """Entries that commit to an index, each with its root computed again."""
    skipped: int = 0
    """Entries of the log that an earlier run had verified and this one did not read again."""
    unverified: int = 0
    """Lines of checkpoints and of witnesses that only look like signatures: their keys were not given."""
    remnants: int = 0
    """Digests of requests whose documents are erased: clearing (`ledger.vault.remnants`) did not come to its end."""

    @property
    def sound(self) -> bool:
        """Tell whether nothing is wrong."""
        return not self.damages


@dataclass(slots=True, kw_only=True)
class Findings:
    """Collects damages, one for each entry and a bounded number in all, and what was counted."""

    damages: list[Damage] = field(default_factory=list)
    bad: set[int] = field(default_factory=set)
    checkpoints: int = 0
    records: int = 0
    indexes: int = 0
    skipped: int = 0
    unverified: int = 0
    remnants: int = 0

    @property
    def full(self) -> bool:
        """Tell whether nothing more is noted."""
        return len(self.damages) >= _MOST_DAMAGES

    def add(self, index: int | None, what: str) -> None:
        """Note a damage, unless another was noted for the same entry."""
        self.add_all([Damage(index=index, what=what)])

    def add_all(self, damages: Iterable[Damage]) -> None:
        """Note several damages."""
        for damage in damages:
            if self.full:
                return
            if damage.index is None or damage.index not in self.bad:
                self.damages.append(damage)
            if damage.index is not None:
                self.bad.add(damage.index)

    def report(self, size: int) -> FsckReport:
        """Put the report together."""
        ordered = sorted(self.damages, key=lambda d: size if d.index is None else d.index)
        return FsckReport(
            size=size,
            checkpoints=self.checkpoints,
            records=self.records,
            indexes=self.indexes,
            skipped=self.skipped,
            unverified=self.unverified,
            remnants=self.remnants,
            damages=tuple(ordered),
        )
