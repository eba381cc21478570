"""Pages of an index in a database of this process alone, which leaves memory for a temporary file as it grows."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

from ledger.completeness.pages import NOTHING, Pages

_QUESTION = 200
"""Pages a question."""


class ScratchPages:
    """Pages that are forgotten; close it, or use it as a context manager."""

    def __init__(self) -> None:
        self._driver = sqlite3.connect("")
        self._driver.execute("CREATE TABLE page (path BLOB PRIMARY KEY, data BLOB NOT NULL)")

    def load(self, paths: Sequence[bytes]) -> dict[bytes, bytes]:
        """Read pages."""
        found: dict[bytes, bytes] = {}
        for start in range(0, len(paths), _QUESTION):
            some = paths[start : start + _QUESTION]
            marks = ",".join("?" * len(some))
            found.update(self._driver.execute(f"SELECT path, data FROM page WHERE path IN ({marks})", some))  # noqa: S608
        return found

    def save(self, pages: Mapping[bytes, bytes]) -> None:
        """Write pages."""
        self._driver.executemany("INSERT OR REPLACE INTO page VALUES (?, ?)", pages.items())

    def count(self) -> int:
        """Count the pages."""
        ((count,),) = self._driver.execute("SELECT count(*) FROM page")
        return int(count)

    def close(self) -> None:
        """Forget everything."""
        self._driver.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class OverlaidPages:
    """Stored pages as they would be with changes that are never stored."""

    def __init__(self, stored: Pages, scratch: ScratchPages) -> None:
        self._stored = stored
        self._scratch = scratch

    def load(self, paths: Sequence[bytes]) -> dict[bytes, bytes]:
        """Read pages, changed ones as they were changed."""
        found = self._scratch.load(paths)
        found.update(self._stored.load([path for path in paths if path not in found]))
        return {path: data for path, data in found.items() if data != NOTHING}

    def save(self, pages: Mapping[bytes, bytes]) -> None:
        """Keep pages beside the stored ones."""
        self._scratch.save(pages)
