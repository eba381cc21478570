"""Which keys cannot be in the store yet, and need not be looked up."""

from __future__ import annotations

from collections.abc import Iterable

MOST = 2048
"""Keys of one generation."""


class Fresh:
    """What is known of one column of keys that begin with their time, so that most are greater than all before.

    Holds all stored keys above a mark, in two generations; the older one is given up, and the mark raised, when the
    newer one is full. What is not old is new only as long as nobody else writes.
    """

    def __init__(self, greatest: bytes, most: int = MOST) -> None:
        """Begin with the greatest key that is stored."""
        self._mark = greatest
        self._most = most
        self._older: set[bytes] = set()
        self._newer: set[bytes] = set()

    @property
    def held(self) -> int:
        """How many keys are held."""
        return len(self._older) + len(self._newer)

    def old(self, keys: set[bytes]) -> set[bytes]:
        """Pick the keys that may be stored and have to be looked up."""
        found = (keys & self._newer) | (keys & self._older)
        if keys and min(keys) <= self._mark:
            found.update([key for key in keys if key <= self._mark])
        return found

    def stored(self, keys: Iterable[bytes]) -> None:
        """Note keys that are stored now."""
        self._newer.update(keys)
        if len(self._newer) >= self._most:
            self._mark = max(self._mark, max(self._older, default=b""))
            self._older, self._newer = self._newer, set()
