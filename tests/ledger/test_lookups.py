"""Reading by key: those who ask in one turn of a loop are answered by one question, and nobody spoils another's."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor

import pytest

from ledger.errors import LedgerUnavailable, VaultError
from ledger.lookups import Lookups


class Asked:
    """A database of squares that keeps what it was asked; key 13 cannot be read, and nothing can when it is away."""

    def __init__(self) -> None:
        self.questions: list[list[int]] = []
        self.is_away = False

    def __call__(self, keys: Sequence[int]) -> Mapping[int, int]:
        self.questions.append(sorted(keys))
        if self.is_away:
            raise LedgerUnavailable("away")
        if 13 in keys:
            raise VaultError("cannot be decrypted")
        return {key: key * key for key in keys if key < 100}


@pytest.fixture(params=["on the loop", "in a pool"])
def pool(request: pytest.FixtureRequest) -> Executor | None:
    return ThreadPoolExecutor(1) if request.param == "in a pool" else None


async def test_what_is_asked_in_one_turn_is_one_question(pool: Executor | None) -> None:
    asked = Asked()
    lookups = Lookups(asked, pool)
    found = await asyncio.gather(lookups.find([1, 2]), lookups.find([2, 3]), lookups.find([200]))
    assert asked.questions == [[1, 2, 3, 200]]
    assert [found[0][1], found[0][2], found[1][3]] == [1, 4, 9]
    assert 200 not in found[2]
    assert (await lookups.find([4]))[4] == 16
    assert asked.questions[1:] == [[4]]


async def test_a_key_that_cannot_be_read_spoils_no_other(pool: Executor | None) -> None:
    lookups = Lookups(Asked(), pool)
    one, broken, other = await asyncio.gather(
        lookups.find([1]), lookups.find([13]), lookups.find([2]), return_exceptions=True
    )
    assert isinstance(one, Mapping)
    assert isinstance(other, Mapping)
    assert (one[1], other[2]) == (1, 4)
    assert isinstance(broken, VaultError)


async def test_a_database_that_is_away_is_asked_once_and_everybody_is_told(pool: Executor | None) -> None:
    asked = Asked()
    asked.is_away = True
    lookups = Lookups(asked, pool)
    answers = await asyncio.gather(*(lookups.find([key]) for key in range(5)), return_exceptions=True)
    assert [type(answer) for answer in answers] == [LedgerUnavailable] * 5
    assert len(asked.questions) == 1


async def test_whoever_gave_up_is_not_asked_for(pool: Executor | None) -> None:
    asked = Asked()
    lookups = Lookups(asked, pool)
    gone, waiting = lookups.find([13]), lookups.find([5])
    gone.cancel()
    assert (await waiting)[5] == 25
    assert asked.questions == [[5]]


async def test_nothing_is_asked_about_no_keys(pool: Executor | None) -> None:
    asked = Asked()
    assert await Lookups(asked, pool).find([]) == {}
    assert asked.questions == []
