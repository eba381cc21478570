"""How long a source's good answers took of late."""

from __future__ import annotations

from collections import deque

_REMEMBERED = 256
_LEAST = 20
_RECKONED_EVERY = 16


class Latencies:
    """The durations of the last 256 good answers, in seconds."""

    def __init__(self) -> None:
        self._last: deque[float] = deque(maxlen=_REMEMBERED)
        self._since_reckoned = 0
        self._reckoned: dict[float, float] = {}

    def add(self, seconds: float) -> None:
        """Note one."""
        self._last.append(seconds)
        self._since_reckoned += 1
        if self._since_reckoned >= _RECKONED_EVERY:
            self._reckoned.clear()
            self._since_reckoned = 0

    def percentile(self, share: float) -> float | None:
        """Give the duration that a share (0 to 1) of them did not exceed; None while fewer than 20 are known.

        It may be 15 durations behind: it is reckoned anew every 16.
        """
        if len(self._last) < _LEAST:
            return None
        if share not in self._reckoned:
            ordered = sorted(self._last)
            self._reckoned[share] = ordered[min(len(ordered) - 1, int(share * len(ordered)))]
        return self._reckoned[share]
