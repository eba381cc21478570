"""What a question leaves behind: nothing that only the garbage collector would find.

A collection stops every caller for as long as it takes, and what waits for it is memory that the next calls do without.
"""

import asyncio
import gc
from collections.abc import Sequence

import pytest

from connectors.connector import Claim
from connectors.errors import SourceUnavailable
from connectors.outcome import Cause, Evidence
from tests.connectors.clockwork import Script, Written, about, after, play, says, wrapped
from tests.connectors.people import question


async def answers_at_once(claims: Sequence[Claim], _number: int) -> list[Evidence]:
    return says(claims)


async def is_down(_claims: Sequence[Claim], _number: int) -> list[Evidence]:
    raise SourceUnavailable("s", Cause.OUTAGE)


@pytest.mark.parametrize("batch", [1, 100])
@pytest.mark.parametrize(
    "script", [answers_at_once, after(0.1), after(9), is_down], ids=["well", "slow", "late", "down"]
)
def test_a_question_leaves_nothing_for_the_garbage_collector(script: Script, batch: int) -> None:
    async def ask() -> list[str]:
        source = wrapped(Written(script, batch=batch))
        await source.check_many([about(0)], question())  # what is made once
        gc.collect()
        gc.disable()
        try:
            await asyncio.gather(*(source.check_many([about(n)], question(5, case=f"{n}")) for n in range(1, 4)))
            await asyncio.sleep(20)  # until all that was given up is over
            gc.set_debug(gc.DEBUG_SAVEALL)
            gc.collect()
            return [repr(type(one)) for one in gc.garbage if type(one).__module__.startswith("connectors.")]
        finally:
            gc.set_debug(0)
            gc.garbage.clear()
            gc.enable()

    assert play(ask()) == []
