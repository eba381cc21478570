"""How much one caller may ask for: calls under way, and calls a second. In each process; nobody else is slowed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from gateway.errors import CallsTooFast, TooManyCalls
from gateway.rules.roles import Caller

_EXACT = 1e-6
"""Seconds to which rates are kept."""
_MOMENT = timedelta(milliseconds=200)
"""When to come again where nobody can know when a call of the caller's own will end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerLimits:
    """What one caller may do: calls under way, and questions a second on average (`burst` seconds' worth at once)."""

    calls: int
    rate: int
    burst: float = 2.0


@dataclass(slots=True, kw_only=True)
class _Account:
    """What a caller uses now: its calls under way, and the time until which its rate is spent."""

    calls: int = 0
    spent_until: float = 0.0


class Limits:
    """Counts what each caller does; `clock` gives monotonic seconds."""

    def __init__(
        self, default: CallerLimits, by_caller: Mapping[str, CallerLimits], *, clock: Callable[[], float]
    ) -> None:
        self._default = default
        self._by_caller = by_caller
        self._clock = clock
        self._accounts: dict[str, _Account] = {}

    def of(self, caller: Caller) -> CallerLimits:
        """Give what a caller may do."""
        return self._by_caller.get(caller.id, self._default)

    @contextmanager
    def call(self, caller: Caller) -> Iterator[None]:
        """Let one call in, and count it until the block ends.

        Raises:
            TooManyCalls, CallsTooFast: not now; says when to come again.
        """
        limits = self.of(caller)
        account = self._accounts.setdefault(caller.id, _Account())
        if account.calls >= limits.calls:
            raise TooManyCalls(limits.calls, _MOMENT)
        beyond = max(account.spent_until - self._clock(), 0.0) + 1 / limits.rate - max(limits.burst, 1 / limits.rate)
        if beyond > _EXACT:
            raise CallsTooFast(limits.rate, timedelta(seconds=beyond + _EXACT))
        self._spend(account, limits, 1)
        account.calls += 1
        try:
            yield
        finally:
            account.calls -= 1

    async def pace(self, caller: Caller, count: int) -> None:
        """Wait until the rate admits `count` further questions of a stream, instead of refusing them."""
        limits = self.of(caller)
        account = self._accounts.setdefault(caller.id, _Account())
        ahead = account.spent_until - self._clock() - limits.burst
        self._spend(account, limits, count)  # before waiting, so that those who come meanwhile wait longer
        if ahead > 0:
            await asyncio.sleep(ahead)

    def _spend(self, account: _Account, limits: CallerLimits, count: int) -> None:
        account.spent_until = max(account.spent_until, self._clock()) + count / limits.rate
