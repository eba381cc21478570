"""An event loop whose time leaps instead of passing, a clock that goes by it, and a source whose answers are written.

Nothing waits in real time: when all tasks wait, the loop's time becomes that of the next timer.
"""

import asyncio
import selectors
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

from connectors.connector import Claim, Health, Manifest, QueryContext, Subject
from connectors.outcome import MATCH, Evidence, Outcome
from connectors.policy import Policy
from connectors.resilience import Resilient
from connectors.telemetry import Counts
from tests.connectors.people import NOW

T = TypeVar("T")
FACT = "marriage-registration"
Script = Callable[[Sequence[Claim], int], Awaitable[list[Evidence]]]
"""Answers claims; told the number of the call, from 1."""


class _Leaping(selectors.DefaultSelector):
    def __init__(self) -> None:
        super().__init__()
        self.leapt = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout is None:
            raise RuntimeError("everybody waits, and for nothing")
        if not ready and timeout:
            self.leapt += timeout
        return ready


class LeapingLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._leaping = _Leaping()
        super().__init__(self._leaping)

    def time(self) -> float:
        return self._leaping.leapt


def play(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run to the end in leaping time."""
    with asyncio.Runner(loop_factory=LeapingLoop) as runner:
        return runner.run(coroutine)


def seconds() -> float:
    return asyncio.get_running_loop().time()


def wall() -> datetime:
    """The time of day, by the loop's time."""
    return NOW + timedelta(seconds=seconds())


class Written:
    """A source whose answers a test writes; `calls` are the claims of each call, `cancelled` the calls given up."""

    def __init__(self, script: Script, **manifest: Any) -> None:
        told = {"source": "s", "department": "民政厅", "fact_types": frozenset({FACT, "birth"}), **manifest}
        self.manifest = Manifest(**told)
        self._script = script
        self.calls: list[list[Claim]] = []
        self.cancelled: list[int] = []

    async def check_many(self, claims: Sequence[Claim], context: QueryContext) -> list[Evidence]:
        self.calls.append(list(claims))
        number = len(self.calls)
        try:
            return await self._script(claims, number)
        except asyncio.CancelledError:
            self.cancelled.append(number)
            raise

    async def probe(self) -> Health:
        return Health(ok=True, detail="", probed_at=wall())

    async def aclose(self) -> None:
        pass


def says(claims: Sequence[Claim], outcome: Outcome = MATCH, as_of: datetime | None = None) -> list[Evidence]:
    return [
        Evidence(source="s", fact_type=one.fact_type, outcome=outcome, asked_at=wall(), answered_at=wall(), as_of=as_of)
        for one in claims
    ]


def after(delay: float, outcome: Outcome | Exception = MATCH, *later: tuple[float, Outcome | Exception]) -> Script:
    """Answer the first call after a delay, the second as the next pair says, and so on; the last pair stays."""
    pairs = ((delay, outcome), *later)

    async def answer(claims: Sequence[Claim], number: int) -> list[Evidence]:
        wait, what = pairs[min(number, len(pairs)) - 1]
        await asyncio.sleep(wait)
        if isinstance(what, Exception):
            raise what
        return says(claims, what)

    return answer


def wrapped(inner: Written, counts: Counts | None = None, **policy: Any) -> Resilient:
    settings = Policy(**{"backoff": timedelta(milliseconds=1), **policy})
    return Resilient(inner, settings, now=wall, random=lambda: 1.0, telemetry=counts or Counts())


def person(number: int) -> Subject:
    return Subject(id_type="resident-id", id_number=f"2301031985{number:08d}", name=f"某{number}")


def about(number: int, /, **expected: Any) -> Claim:
    return Claim(fact_type=FACT, subject=person(number), expected=expected)
