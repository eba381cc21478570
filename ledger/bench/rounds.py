"""Measuring two things in turn, A B A B, and what their ratio is: absolute figures depend on the machine."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

ROUNDS = 5
SECONDS = 1.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One line of the table; `ratio` is the median of the rounds' own ratios, `spread` their least and greatest."""

    what: str
    ours: float
    beside: str
    theirs: float
    ratio: float
    spread: tuple[float, float]
    target: str
    unit: str = "/s"


def compare(
    what: str,
    ours: Callable[[], float],
    beside: str,
    theirs: Callable[[], float],
    *,
    target: str,
    rounds: int = ROUNDS,
    unit: str = "/s",
) -> Measured:
    """Measure both in turn after a round that does not count.

    What one has written is on disk before the other begins: else each would wait for the other's pages, and the one
    that writes less would wait longer.
    """

    def settled(measure: Callable[[], float]) -> float:
        os.sync()
        return measure()

    settled(ours)
    settled(theirs)
    pairs = [(settled(ours), settled(theirs)) for _ in range(rounds)]
    ratios = [one / other for one, other in pairs]
    return Measured(
        what=what,
        ours=statistics.median(one for one, _ in pairs),
        beside=beside,
        theirs=statistics.median(other for _, other in pairs),
        ratio=statistics.median(ratios),
        spread=(min(ratios), max(ratios)),
        target=target,
        unit=unit,
    )


def rate(act: Callable[[], int], seconds: float = SECONDS) -> float:
    """Repeat what does some number of things until the time is over; things a second."""
    done, started = 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        done += act()
    return done / (time.perf_counter() - started)


async def work_off(acts: Sequence[Callable[[], Awaitable[int]]], callers: int) -> float:
    """Do what was prepared, from many callers, each taking the next as soon as it is answered; things a second."""
    import asyncio

    done, left = 0, iter(acts)
    started = time.perf_counter()

    async def caller() -> None:
        nonlocal done
        for act in left:
            count = await act()  # before `done` is read: others add to it meanwhile
            done += count

    await asyncio.gather(*(caller() for _ in range(callers)))
    return done / (time.perf_counter() - started)


async def closed_loop(act: Callable[[], Awaitable[int]], callers: int, seconds: float = SECONDS) -> float:
    """Call from many callers, each again as soon as it is answered; things a second."""
    import asyncio

    done = 0
    started = time.perf_counter()
    ends = started + seconds

    async def caller() -> None:
        nonlocal done
        while time.perf_counter() < ends:
            count = await act()  # before `done` is read: others add to it meanwhile
            done += count

    await asyncio.gather(*(caller() for _ in range(callers)))
    return done / (time.perf_counter() - started)
