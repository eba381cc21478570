"""Bound retries to a share of calls, so that a source in trouble is not given more to do."""

from __future__ import annotations


class RetryBudget:
    """A bucket that each call fills by `share` of a retry, and each retry empties by one.

    It starts with, and never holds more than, `most` retries.
    """

    def __init__(self, *, share: float, most: float = 10.0) -> None:
        self._share = share
        self._most = most
        self._held = most if share > 0 else 0.0

    def called(self) -> None:
        """Note a first attempt."""
        self._held = min(self._most, self._held + self._share)

    def take(self) -> bool:
        """Take a retry, if one is left."""
        if self._held < 1:
            return False
        self._held -= 1
        return True
