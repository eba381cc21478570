"""Calls that come while others are served go on together, and nobody waits long for it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator

import pytest

from gateway.rpc.gathering import _MOST, Gathering

_LONGEST = 0.05
_NEVER = 3600.0


async def _turns(count: int = 3) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def _two_inside(gathering: Gathering) -> list[asyncio.Task[int]]:
    """Let two go on together behind one that is done."""
    first = await gathering.enter()
    both = [asyncio.create_task(gathering.enter()) for _ in range(2)]
    await _turns()
    gathering.leave(first)
    await _turns()
    return both


async def test_who_comes_to_an_idle_gateway_waits_for_nothing() -> None:
    gathering = Gathering(longest=_NEVER)
    for _ in range(3):
        with pytest.raises(StopIteration) as went_on:
            gathering.enter().send(None)
        gathering.leave(went_on.value.value)


async def test_those_who_come_while_another_is_served_go_on_together_once_it_is_done() -> None:
    gathering = Gathering(longest=_NEVER)
    first = await gathering.enter()
    others = [asyncio.create_task(gathering.enter()) for _ in range(5)]
    await _turns()
    assert not any(task.done() for task in others)
    gathering.leave(first)
    await _turns()
    assert len({task.result() for task in others}) == 1


async def test_the_next_group_waits_for_the_last_of_the_group_before() -> None:
    gathering = Gathering(longest=_NEVER)
    others = await _two_inside(gathering)
    late = asyncio.create_task(gathering.enter())
    await _turns()
    gathering.leave(others[0].result())
    await _turns()
    assert not late.done()
    gathering.leave(others[1].result())
    assert await late > others[1].result()


async def test_nobody_waits_longer_than_the_longest_for_a_slow_call() -> None:
    gathering = Gathering(longest=_LONGEST)
    await gathering.enter()
    waiting = [asyncio.create_task(gathering.enter()) for _ in range(2)]
    await asyncio.wait_for(asyncio.gather(*waiting), 20 * _LONGEST)


async def test_a_group_that_computes_is_waited_for_longer_but_not_without_end() -> None:
    now = asyncio.get_running_loop().time
    gathering = Gathering(longest=_MOST / 10, busy=now)
    begun = now()
    await gathering.enter()
    await gathering.enter()
    assert 0.9 * _MOST < now() - begun < 20 * _MOST


async def test_once_a_group_has_computed_it_is_waited_for_as_long_as_any_that_waits() -> None:
    used = 0.0
    gathering = Gathering(longest=_MOST / 10, busy=lambda: used)
    now = asyncio.get_running_loop().time
    begun = now()
    await gathering.enter()
    used = _MOST / 5
    await gathering.enter()
    assert now() - begun > 0.29 * _MOST


async def test_once_one_of_a_busy_group_is_done_the_others_are_not_waited_for_long() -> None:
    now = asyncio.get_running_loop().time
    gathering = Gathering(longest=_MOST / 10, busy=now)
    both = await _two_inside(gathering)
    waiting = asyncio.create_task(gathering.enter())
    await _turns()
    gathering.leave(both[0].result())
    late = asyncio.create_task(asyncio.sleep(_MOST / 2))
    done, _ = await asyncio.wait({waiting, late}, return_when=asyncio.FIRST_COMPLETED)
    assert waiting in done, "it was waited for as a busy one"
    late.cancel()


async def test_a_slow_call_delays_only_those_who_come_shortly_after_it() -> None:
    gathering = Gathering(longest=_LONGEST)
    await gathering.enter()
    await asyncio.sleep(1.5 * _LONGEST)
    with pytest.raises(StopIteration):
        gathering.enter().send(None)


async def test_a_slow_call_that_ends_late_is_not_taken_for_one_of_the_newest_group() -> None:
    gathering = Gathering(longest=_LONGEST)
    slow = await gathering.enter()
    await asyncio.sleep(1.5 * _LONGEST)
    await gathering.enter()
    waiting = asyncio.create_task(gathering.enter())
    await _turns()
    gathering.leave(slow)
    await _turns()
    assert not waiting.done()


async def test_a_call_that_is_given_up_while_it_waits_is_not_waited_for() -> None:
    gathering = Gathering(longest=_NEVER)
    first = await gathering.enter()
    gone = asyncio.create_task(gathering.enter())
    await _turns()
    gone.cancel()
    await _turns()
    gathering.leave(first)
    with pytest.raises(StopIteration):
        gathering.enter().send(None)


async def test_a_call_that_is_given_up_as_it_is_let_on_is_not_waited_for() -> None:
    gathering = Gathering(longest=_NEVER)
    first = await gathering.enter()
    gone = asyncio.create_task(gathering.enter())
    await _turns()
    gathering.leave(first)  # lets it on
    gone.cancel()  # before it has gone on
    with pytest.raises(asyncio.CancelledError):
        await gone
    with pytest.raises(StopIteration):
        gathering.enter().send(None)


@pytest.mark.parametrize("seed", range(5))
async def test_however_calls_come_end_and_are_given_up_every_one_goes_on(seed: int) -> None:
    chance, gathering, inside = random.Random(seed), Gathering(longest=_LONGEST), 0

    async def call() -> None:
        nonlocal inside
        group = await gathering.enter()
        inside += 1
        try:
            await asyncio.sleep(chance.choice((0, 0, 0.001, _LONGEST * 2)))
        finally:
            gathering.leave(group)

    async def calls() -> AsyncIterator[asyncio.Task[None]]:
        for _ in range(200):
            yield asyncio.create_task(call())
            await asyncio.sleep(chance.choice((0, 0, 0.001)))

    made = [task async for task in calls()]
    given_up = chance.sample(made, 50)
    for task in given_up:
        task.cancel()
    done = await asyncio.wait_for(asyncio.gather(*made, return_exceptions=True), 100 * _LONGEST)
    assert all(result is None or isinstance(result, asyncio.CancelledError) for result in done)
    assert inside >= len(made) - len(given_up)
    with pytest.raises(StopIteration):
        gathering.enter().send(None)
