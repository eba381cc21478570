"""When to ask again: only what is UNAVAILABLE, after growing random waits, as the gateway asks, within the deadline."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from gateway.client.refusals import GatewayRefusal, Unavailable


@dataclass(frozen=True, slots=True, kw_only=True)
class Retries:
    """How often to ask again, and how long to wait before: a random part of a wait that doubles from `first` to
    `longest` seconds (full jitter), after the time the gateway asks for. `chance` gives numbers from 0 to 1.

    `silence` is for how many seconds beyond its own time a question on a stream is waited for."""

    most: int = 6
    first: float = 0.1
    longest: float = 5.0
    silence: float = 30.0
    chance: Callable[[], float] = random.random

    def wait(self, refusal: GatewayRefusal, attempts: int, left: float) -> float | None:
        """Say how many seconds to wait before the next attempt after so many, or None to give up.

        `left` is how many seconds are left until the deadline: what cannot begin before it is not begun.
        """
        if not isinstance(refusal, Unavailable) or attempts > self.most:
            return None
        asked: timedelta = refusal.retry_after or timedelta(0)
        seconds = asked.total_seconds() + self.chance() * min(self.longest, self.first * 2 ** (attempts - 1))
        return seconds if seconds < left else None
