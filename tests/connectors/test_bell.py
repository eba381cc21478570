"""A bell rings once, for all who wait, and nobody waits longer than they said."""

import asyncio

import pytest

from connectors.bell import Bell


def soon() -> float:
    return asyncio.get_running_loop().time() + 60


async def test_all_who_wait_hear_it_and_so_do_those_who_come_later() -> None:
    bell = Bell()
    waiting = [asyncio.create_task(bell.heard(soon())) for _ in range(3)]
    await asyncio.sleep(0)
    assert not any(one.done() for one in waiting)
    bell.ring()
    bell.ring()
    assert await asyncio.gather(*waiting, bell.heard(soon())) == [True] * 4


async def test_who_waits_until_a_time_that_is_over_hears_nothing() -> None:
    assert await Bell().heard(asyncio.get_running_loop().time() - 1) is False


async def test_who_goes_takes_nobody_along() -> None:
    bell = Bell()
    goes, stays = (asyncio.create_task(bell.heard(soon())) for _ in range(2))
    await asyncio.sleep(0)
    goes.cancel()
    with pytest.raises(asyncio.CancelledError):
        await goes
    bell.ring()
    assert await stays
