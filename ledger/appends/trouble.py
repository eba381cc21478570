"""Trouble that is met again and again, told once when it begins and once when it is over."""

from __future__ import annotations


class Trouble:
    """What is wrong with something that is tried at an interval; belongs to one thread."""

    def __init__(self) -> None:
        self._kind = ""

    def begins(self, kind: str) -> bool:
        """Note that something is wrong, by its kind; tells whether that is news."""
        news, self._kind = kind != self._kind, kind
        return news

    def ends(self) -> bool:
        """Note that all is well; tells whether that is news."""
        news, self._kind = self._kind != "", ""
        return news
