"""Garbage is searched for by the clock: all of it is found in the end, and no burst of calls begins a search."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import weakref
from collections.abc import Iterator

import pytest

from gateway.bootstrap.interpreter import tidying


class Circle:
    """Knows itself, so that only a search finds it."""

    def __init__(self) -> None:
        self.own = self


@pytest.fixture(autouse=True)
def _no_search_by_itself() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


def circle(*, outlived: int) -> weakref.ref[Circle]:
    """Make one that is garbage now, and was none while so many generations were searched."""
    one = Circle()
    for generation in range(outlived):
        gc.collect(generation)
    return weakref.ref(one)


@pytest.mark.parametrize(("outlived", "searches"), [(0, 1), (1, 16), (2, 512)])
async def test_what_knows_itself_is_found_however_old_it_is(outlived: int, searches: int) -> None:
    left, chore = circle(outlived=outlived), tidying()

    for _ in range(searches - 1):
        await asyncio.wait_for(chore.act(), 5)  # type: ignore[arg-type]
    assert left() is not None, "what is older is searched more rarely"

    await asyncio.wait_for(chore.act(), 5)  # type: ignore[arg-type]
    assert left() is None


def test_a_burst_of_calls_begins_no_search_and_what_lives_as_long_as_the_process_is_left_out_of_all() -> None:
    shown = subprocess.run(
        [sys.executable, "-c", _BURST], capture_output=True, text=True, check=True, timeout=60
    ).stdout.split()

    assert shown == ["0", "True"]


_BURST = """
import gc
from gateway.bootstrap.interpreter import prepare_interpreter
prepare_interpreter()
searches = [one["collections"] for one in gc.get_stats()]
burst = [[] for _ in range(90_000)]
print(sum(one["collections"] for one in gc.get_stats()) - sum(searches), gc.get_freeze_count() > 10_000)
"""
