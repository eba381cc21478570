"""Checks on threads: each caller hears of its own, and nothing is left waiting."""

from __future__ import annotations

import asyncio
import threading

import pytest

from ledger.checks import Checks


class BadError(Exception):
    """What one check found."""


@pytest.mark.parametrize("count", [1, 2, 63, 500])
def test_every_caller_is_told_what_its_own_check_found(count: int) -> None:
    checks = Checks(threads=2)

    def check(number: int) -> int:
        if number % 7 == 3:
            raise BadError(str(number))
        return number

    async def ask() -> list[int | BaseException]:
        return await asyncio.gather(*(checks.run(lambda n=n: check(n)) for n in range(count)), return_exceptions=True)

    found = asyncio.run(ask())
    checks.close()
    assert [str(one) if isinstance(one, BadError) else one for one in found] == [
        str(n) if n % 7 == 3 else n for n in range(count)
    ]


def test_a_thread_goes_on_with_what_it_has_at_hand_while_the_loop_is_at_other_work() -> None:
    checks, done = Checks(threads=1), threading.Semaphore(0)

    async def ask() -> None:
        futures = [checks.run(done.release) for _ in range(2)]
        await asyncio.sleep(0)  # both are handed out, in two batches
        assert all(done.acquire(timeout=10) for _ in futures)  # and the loop stands still
        await asyncio.gather(*futures)

    asyncio.run(ask())
    checks.close()


async def test_a_check_that_nobody_waits_for_any_more_is_not_made() -> None:
    checks, gate, made = Checks(threads=1), threading.Event(), []

    def check(number: int) -> None:
        gate.wait(10)
        made.append((number, threading.get_ident()))

    async def ask(number: int) -> None:
        await checks.run(lambda: check(number))

    running = [asyncio.create_task(ask(number)) for number in range(20)]
    await asyncio.sleep(0.01)  # the first ones are under way
    running[15].cancel()
    await asyncio.sleep(0)
    gate.set()
    results = await asyncio.gather(*running, return_exceptions=True)
    checks.close()
    assert [n for n, result in enumerate(results) if isinstance(result, asyncio.CancelledError)] == [15]
    assert sorted(number for number, _ in made) == [n for n in range(20) if n != 15]
    assert threading.get_ident() not in {thread for _, thread in made}
