"""Keep one slow source from holding everybody: so many calls at once, so many waiting, no more; and no call for less
than it could carry.

A call leaves when a lane is free. Where a call carries several claims, those asked for within one turn of the loop, or
while all lanes are busy, board the call that leaves next. No timer: an idle source waits for nothing.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass, field
from functools import partial

from connectors.bell import Bell
from connectors.connector import Claim, QueryContext
from connectors.outcome import Evidence

Fly = Callable[[Sequence[Claim], QueryContext, float], Awaitable[list[Evidence]]]
"""Answers claims under a context by a loop time."""


class Full(Exception):
    """As many calls wait as may wait."""


@dataclass(slots=True, eq=False)
class Seat:
    """One claim's place in a call; several callers may wait for the answer, and a seat that none waits for is free."""

    key: Hashable
    claim: Claim
    load: Load
    waiting: int = 0
    over: Bell = field(default_factory=Bell)
    """Rings when there is an answer, or will be none."""
    answer: Evidence | None = None

    def end(self, answer: Evidence | None) -> None:
        """Give the answer, or none, to all who wait; of no effect on a seat that is over."""
        if not self.over.has_rung:
            self.answer = answer
            self.over.ring()


@dataclass(slots=True, kw_only=True, eq=False)
class Load:
    """What one call will carry, or carries, and the loop time by which it ends."""

    fact_type: str
    context: QueryContext
    ends_at: float
    seats: list[Seat] = field(default_factory=list)
    has_left: bool = False
    task: asyncio.Task[None] | None = None
    """While it is under way."""


class Bulkhead:
    """Lets `lanes` calls run at once; `queue` more may wait; waiting and running take `longest` seconds at most.

    A call carries up to `batch` claims. With a `batch` of 1 the claims of one caller travel together under that
    caller's context and nobody joins them; otherwise those of all callers do. `fly` answers every claim of a load and
    never raises an ordinary exception.
    """

    def __init__(self, fly: Fly, *, lanes: int, queue: int, longest: float, batch: int = 1) -> None:
        self._fly = fly
        self._longest = longest
        self._idle = lanes
        self._queue = queue
        self._batch = batch
        self._waiting: deque[Load] = deque()
        self._open: dict[str, Load] = {}
        """The load of each fact type that has not left yet and has room."""
        self._flying: set[Load] = set()
        self._woken = False

    @property
    def waiting(self) -> int:
        """How many calls wait for a lane."""
        return len(self._waiting)

    @property
    def is_busy(self) -> bool:
        """Whether a call runs."""
        return bool(self._flying)

    def board(self, claims: Sequence[tuple[Hashable, Claim]], context: QueryContext) -> list[Seat]:
        """Give each claim of one fact type a seat.

        Raises:
            Full: not all of them can have one; none has.
        """
        if not self._has_room(claims[0][1].fact_type, len(claims)):
            raise Full
        own = None if self._batch > 1 else self._new_load(claims[0][1].fact_type, context)
        seats = [self._seat(own or self._open_load(claim.fact_type, context), key, claim) for key, claim in claims]
        self._wake()
        return seats

    def _has_room(self, fact_type: str, claims: int) -> bool:
        if self._batch == 1:
            needed = 1
        else:
            is_open = fact_type in self._open
            left = self._batch - len(self._open[fact_type].seats) if is_open else 0
            needed = -(-max(0, claims - left) // self._batch)
        return not needed or len(self._waiting) + needed <= self._queue + self._idle

    def _open_load(self, fact_type: str, context: QueryContext) -> Load:
        load = self._open.get(fact_type)
        if load is None or len(load.seats) >= self._batch:
            load = self._open[fact_type] = self._new_load(fact_type, context)
        return load

    def _new_load(self, fact_type: str, context: QueryContext) -> Load:
        ends_at = asyncio.get_running_loop().time() + self._longest
        load = Load(fact_type=fact_type, context=context, ends_at=ends_at)
        self._waiting.append(load)
        return load

    def _seat(self, load: Load, key: Hashable, claim: Claim) -> Seat:
        seat = Seat(key, claim, load)
        load.seats.append(seat)
        return seat

    def _wake(self) -> None:
        if not self._woken:
            self._woken = True
            asyncio.get_running_loop().call_soon(self._depart)

    def _depart(self) -> None:
        self._woken = False
        while self._idle and self._waiting:
            load = self._waiting.popleft()
            if self._open.get(load.fact_type) is load:
                del self._open[load.fact_type]
            if not load.seats:
                continue
            self._idle -= 1
            self._flying.add(load)
            seats, load.has_left = tuple(load.seats), True
            load.task = asyncio.create_task(self._carry(seats, load))
            load.task.add_done_callback(partial(self._landed, load, seats))

    async def _carry(self, seats: Sequence[Seat], load: Load) -> None:
        answers = await self._fly([seat.claim for seat in seats], load.context, load.ends_at)
        for seat, answer in zip(seats, answers, strict=True):
            seat.end(answer)

    def _landed(self, load: Load, seats: Sequence[Seat], _task: asyncio.Task[None]) -> None:
        # A callback and no `finally`: a task that is cancelled before its first step never enters its body.
        for seat in seats:
            seat.end(None)
        # What knows each other would stay in memory until the garbage collector finds it, and that stops everybody.
        load.seats.clear()
        load.task = None
        self._flying.discard(load)
        self._idle += 1
        self._wake()

    def leave(self, seat: Seat) -> None:
        """Give up a seat that nobody waits for any more; a call that carries nobody's claim is stopped."""
        load = seat.load
        if seat.over.has_rung or seat not in load.seats:
            return
        load.seats.remove(seat)
        if load.seats:
            return
        if load.task is not None:
            load.task.cancel()
        elif load in self._waiting:
            self._waiting.remove(load)
            if self._open.get(load.fact_type) is load:
                del self._open[load.fact_type]

    async def aclose(self) -> None:
        """Stop every call, and wait until each has stopped."""
        for load in self._waiting:
            for seat in load.seats:
                seat.end(None)
        self._waiting.clear()
        self._open.clear()
        tasks = [load.task for load in self._flying if load.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
