"""Batch: verify many applicants on one stream, in bounded memory however long it is.

Each question is verified as alone; those under way at the same time share what can be shared by themselves: reads of
the ledger (`ledger.holders`), calls to the sources (`Together`), and the commit of their entries. At most `in_flight`
questions are under way or answered and not yet taken; the next is begun, and the next message read, when there is room.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass

import structlog

from gateway.errors import Draining, FarTooManyItems, GatewayError, TooManyItems
from gateway.flows.verification.verify import Answered, Verify
from gateway.rules.admission import RawQuestion
from gateway.rules.roles import Caller
from ledger.errors import LedgerError

_log = structlog.get_logger()
_MOST_REFUSED = 1000
"""Questions beyond what one message may carry that are refused one by one; a message with more ends its stream."""
_AT_ONCE = 512
"""Questions of one message after which everybody else has a turn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message of a stream: how many questions it holds, each read when it is taken up, which of them (by place) are
    only to be checked, and how long each may take (seconds; None: the gateway's limit)."""

    size: int
    questions: Iterable[RawQuestion]
    timeout: float | None
    is_only_checked: Callable[[int], bool] = lambda _: False


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of one question: an answer, or why there is none; neither, where it was only checked and is right."""

    position: int
    request_id: str
    answered: Answered | None = None
    error: Exception | None = None


Receive = Callable[[], Awaitable[Message | None]]
"""Reads the next message; None when the client has sent its last.

Raises:
    GatewayError: the message cannot be read, or is too large.
"""
Send = Callable[[Sequence[Result]], Awaitable[None]]
"""Writes results; returns when the transport has room for more."""
Pace = Callable[[int], Awaitable[None]]
"""Waits until the caller's rate admits so many further questions."""


class _Abandoned(Exception):
    """What a question waited for was given up under it."""


class _Results:
    """Results on their way out, and the room that they and the questions under way take up."""

    def __init__(self, room: int) -> None:
        self._room = asyncio.Semaphore(room)
        self._ready: deque[Result] = deque()
        self._changed = asyncio.Event()
        self._closed = False

    async def enter(self) -> None:
        await self._room.acquire()

    def put(self, result: Result) -> None:
        self._ready.append(result)
        self._changed.set()

    def close(self) -> None:
        self._closed = True
        self._changed.set()

    async def take(self) -> list[Result]:
        """Wait for results and take all there are; none when there will be no more."""
        while not self._ready and not self._closed:
            self._changed.clear()
            await self._changed.wait()
        taken = list(self._ready)
        self._ready.clear()
        return taken

    def left(self, count: int) -> None:
        for _ in range(count):
            self._room.release()


class Batch:
    """Verifies streams of questions.

    `most_items` is how many questions one message may carry, `longest` (seconds) the most that one may take. Those
    beyond are refused one by one, and spoil no other, so that who sends a few too many loses nothing; of a message with
    far more nothing is looked at, and it ends its stream, as one does that cannot be read or is too large. When
    `stopping` is set, no further message is read. What was read before is answered in every case.
    """

    def __init__(
        self, *, verify: Verify, in_flight: int, most_items: int, longest: float, stopping: asyncio.Event
    ) -> None:
        self._verify = verify
        self._in_flight = in_flight
        self._most_items = most_items
        self._longest = longest
        self._stopping = stopping

    async def __call__(self, receive: Receive, send: Send, pace: Pace, caller: Caller) -> int:
        """Serve one stream until its client has sent its last and every result was taken; returns how many there were.

        Raises:
            Draining: the gateway stops; results of all that was read were sent.
            FarTooManyItems: a message held far too many; results of all that was read before were sent.
            GatewayError: a message could not be read or was too large; results of all that was read before were sent.
        """
        results = _Results(self._in_flight)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(_write(results, send))
                read = both.create_task(self._read(results, receive, pace, caller))
        except BaseExceptionGroup as failures:
            raise _first(failures) from failures
        count, ended = read.result()
        if ended is not None:
            raise ended
        return count

    async def _read(
        self, results: _Results, receive: Receive, pace: Pace, caller: Caller
    ) -> tuple[int, GatewayError | None]:
        position, most = 0, self._most_items + _MOST_REFUSED
        ended: GatewayError | None = None
        try:
            async with asyncio.TaskGroup() as under_way:
                while (message := await self._next(receive)) is not None:
                    if isinstance(message, GatewayError):
                        ended = message
                        break
                    timeout = self._longest if message.timeout is None else min(message.timeout, self._longest)
                    await pace(min(message.size, most))
                    if message.size > most:
                        ended = FarTooManyItems(self._most_items)
                        break
                    for number, question in enumerate(message.questions):
                        if number % _AT_ONCE == _AT_ONCE - 1:
                            await asyncio.sleep(0)
                        await results.enter()
                        if number >= self._most_items:
                            results.put(_refused(position, question, TooManyItems(self._most_items)))
                        elif message.is_only_checked(number):
                            results.put(self._checked(position, question, caller))
                        else:
                            under_way.create_task(self._one(results, position, question, caller, timeout))
                        position += 1
        finally:
            results.close()
        return position, ended or (Draining() if self._stopping.is_set() else None)

    async def _next(self, receive: Receive) -> Message | GatewayError | None:
        """Read a message, or say why it is not taken in; or stop reading because the gateway stops."""
        if self._stopping.is_set():
            return None
        reading = asyncio.ensure_future(receive())
        stopping = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait((reading, stopping), return_when=asyncio.FIRST_COMPLETED)
            return reading.result() if reading.done() else None
        except GatewayError as error:
            return error
        finally:
            stopping.cancel()
            if not reading.done():
                reading.cancel()

    def _checked(self, position: int, question: RawQuestion, caller: Caller) -> Result:
        try:
            self._verify.check(question, caller)
        except GatewayError as error:
            return _refused(position, question, error)
        return Result(position=position, request_id=question.request_id)

    async def _one(
        self, results: _Results, position: int, question: RawQuestion, caller: Caller, longest: float
    ) -> None:
        try:  # Verify keeps to its deadline by itself
            answered = await self._verify(question, caller, asyncio.get_running_loop().time() + longest)
        except (GatewayError, LedgerError, TimeoutError) as error:
            results.put(_refused(position, question, error))
        except asyncio.CancelledError:
            if _is_cancelled():  # with its stream: nobody takes results any more
                raise
            _log.error("question failed unforeseen", error="something that it waited for was given up")
            results.put(_refused(position, question, _Abandoned()))
        except Exception as error:
            # Whatever it was, it was about this question: the others of the stream must be answered all the same.
            _log.error("question failed unforeseen", error=f"{type(error).__module__}.{type(error).__qualname__}")
            results.put(_refused(position, question, error))
        else:
            results.put(Result(position=position, request_id=question.request_id, answered=answered))


async def _write(results: _Results, send: Send) -> None:
    while taken := await results.take():
        await send(taken)
        results.left(len(taken))


def _is_cancelled() -> bool:
    """Say whether somebody cancelled this task, and not only what it waited for."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _refused(position: int, question: RawQuestion, error: Exception) -> Result:
    return Result(position=position, request_id=question.request_id, error=error)


def _first(failures: BaseExceptionGroup[BaseException]) -> BaseException:
    """Give the failure that ended a stream; the others are of those that it cancelled."""
    first = failures.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
