"""The guess budget under every order of events: looks at the ledger that are old when they arrive, and ends in between.

The ledger here is a table with chance in its timing, because the real one cannot be made to answer in a chosen order;
`test_guess.py` has the real one.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import pytest

from connectors.connector import Claim, Subject
from gateway.catalogue.model import SourcePolicy
from gateway.errors import GuessBudgetSpent
from gateway.flows.verification.guess import Counting, GuessBudget
from gateway.rules.guessing import Tells
from gateway.rules.plan import FactCheck, Leaf, Plan
from ledger import BlindIndex, RecordRow

NOW = datetime(2026, 1, 1, tzinfo=UTC)
WHO = Subject(id_type="resident-id", id_number="230199198001010072", name="示例甲")


class Table:
    """Claims and who holds them; a look takes chance turns of the loop before and after it is taken."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.held: dict[bytes, RecordRow] = {}

    async def holders(self, keys: Sequence[bytes]) -> Mapping[bytes, RecordRow]:
        await self.turns()
        seen = {key: self.held[key] for key in keys if key in self.held}
        await self.turns()
        return seen

    async def record(self, counting: Counting, record: bytes) -> bool:
        await self.turns()
        left = {key: row for key, row in self.held.items() if key not in counting.releases}
        if any(key in left and left[key].record != holder for key, holder in counting.claims):
            return False
        row = RecordRow(record=record, family="verification", state="ANSWERED", seq=0, first_idx=0, last_idx=0,
                        opened_at=NOW, changed_at=NOW)  # fmt: skip
        self.held = left | {key: row for key, _ in counting.claims}
        await self.turns()
        return True

    async def turns(self, most: int = 6) -> None:
        for _ in range(self.chance.randrange(most)):
            await asyncio.sleep(0)


def plan(said: str) -> Plan:
    claim = Claim(fact_type="home-ownership", subject=WHO, expected={"address": said})
    check = FactCheck(id="f1", fact_type="home-ownership", claim=claim, absence_conclusive=False,
                      policy=SourcePolicy(), sensitive=False)  # fmt: skip
    return Plan(root=Leaf(id="f1"), checks={"f1": check})


async def play(seed: int, budget: int) -> tuple[set[str], int, int]:
    """Let many ask at once, a few of them rightly; returns the wrong claims told, the right ones told, and refusals."""
    chance = random.Random(seed)
    table = Table(chance)
    guesses = GuessBudget(
        ledger=table,  # type: ignore[arg-type]
        index=BlindIndex(key=bytes(32), version=1), budget=budget, window=timedelta(days=1), now=lambda: NOW,
    )  # fmt: skip
    wrong: set[str] = set()
    right = refused = 0

    async def ask(said: str, number: int) -> None:
        nonlocal right, refused
        planned = plan(said)
        await table.turns(40)
        asked = guesses.guesses(planned, WHO)
        try:
            await guesses.enter(asked)
            try:
                await table.turns()
                tells = {"f1": Tells.WHOLE if said != "right" else Tells.NOTHING}
                record = number.to_bytes(16, "big")
                while True:
                    counting = await guesses.counting(guesses.wrong(planned, WHO, tells, established=False), record)
                    if await table.record(counting, record):
                        break
            finally:
                guesses.leave(asked)
        except GuessBudgetSpent:
            refused += 1
            return
        if said == "right":
            # What was told before the right answer is what somebody who guesses could have tried before it.
            assert len(wrong) <= budget
            right += 1
        else:
            wrong.add(said)

    said = [f"wrong-{chance.randrange(8)}" for _ in range(25)] + ["right"] * 5
    chance.shuffle(said)
    asking = [asyncio.create_task(ask(one, number)) for number, one in enumerate(said, 1)]

    async def leave() -> None:
        for task in chance.sample(asking, 6):
            await table.turns(30)
            task.cancel()  # a client goes, some of them twice
            task.cancel()

    async with asyncio.timeout(20):
        _, *ended = await asyncio.gather(leave(), *asking, return_exceptions=True)
    assert [one for one in ended if one is not None and not isinstance(one, asyncio.CancelledError)] == []
    assert not guesses._asking, "whoever ended holds nothing"
    assert not guesses._looking
    assert not guesses._waiting
    return wrong, right, refused


@pytest.mark.parametrize("budget", [1, 2, 5])
async def test_no_order_tells_more_than_the_budget_or_leaves_anything_behind(budget: int) -> None:
    for seed in range(150):
        wrong, right, refused = await play(seed, budget)
        assert len(wrong) <= budget
        assert right + refused >= 0


async def test_who_only_asks_rightly_is_never_refused() -> None:
    for seed in range(50):
        chance = random.Random(seed)
        table = Table(chance)
        guesses = GuessBudget(
            ledger=table,  # type: ignore[arg-type]
            index=BlindIndex(key=bytes(32), version=1), budget=1, window=timedelta(days=1), now=lambda: NOW,
        )  # fmt: skip

        async def ask(guesses: GuessBudget = guesses, table: Table = table) -> None:
            await table.turns(40)
            asked = guesses.guesses(plan("right"), WHO)
            await guesses.enter(asked)
            await table.turns()
            guesses.leave(asked)

        async with asyncio.timeout(20):
            await asyncio.gather(*(ask() for _ in range(20)))


async def test_a_fact_about_which_nobody_was_wrong_costs_one_key_and_any_other_all() -> None:
    looked: list[int] = []

    class Watched(Table):
        async def holders(self, keys: Sequence[bytes]) -> Mapping[bytes, RecordRow]:
            looked.append(len(keys))
            return await super().holders(keys)

    table = Watched(random.Random(1))
    guesses = GuessBudget(
        ledger=table,  # type: ignore[arg-type]
        index=BlindIndex(key=bytes(32), version=1), budget=3, window=timedelta(days=1), now=lambda: NOW,
    )  # fmt: skip
    for number, said in enumerate(("right", "wrong-1", "wrong-2", "right"), 1):
        planned = plan(said)
        asked = guesses.guesses(planned, WHO)
        await guesses.enter(asked)
        if said != "right":
            record = number.to_bytes(16, "big")
            assert await table.record(
                await guesses.counting(guesses.wrong(planned, WHO, {"f1": Tells.WHOLE}, established=False), record),
                record,
            )
        guesses.leave(asked)
    # A look before each question (at the first slot, and at all where that is held), and one for each contradiction.
    assert looked == [1, 1, 5, 1, 5, 5, 1, 5]
