"""Mistakes in catalogue files: collected, then raised all at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Mistake:
    """One mistake: the file, the line (from 1; 0 when it concerns the file as a whole) and what is wrong."""

    file: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.text}"


class CatalogueError(ValueError):
    """The catalogue files are wrong; `mistakes` lists every mistake, sorted by file and line."""

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        count = "one mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
        super().__init__(f"{count} in the catalogue:\n" + "\n".join(f"  {m}" for m in mistakes))
        self.mistakes = tuple(mistakes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where something stands."""

    file: str
    line: int


@dataclass(slots=True)
class Mistakes:
    """Collects mistakes; the same one met twice (an inherited item read again below) is one."""

    found: set[Mistake] = field(default_factory=set)

    def add(self, place: Place, text: str) -> None:
        """Keep one mistake."""
        self.found.add(Mistake(file=place.file, line=place.line, text=text))

    def raise_any(self) -> None:
        """Raise everything found, if anything was.

        Raises:
            CatalogueError: there is at least one mistake.
        """
        if self.found:
            raise CatalogueError(sorted(self.found))
