"""Many questions on one stream: bounded, resumed where the stream breaks, each answered once.

A gateway takes questions up in their order and gives each its time from then on. So a question is given up when for
longer than that neither a result of it or of a later one came, nor, where it may still wait its turn, any at all.
Then the stream is left, and what else was on it is asked again on another. A stream that ends before everything has
its result is a broken one, whether it ends with an error or without; its time goes on for what it left.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import grpc
from google.rpc import status_pb2
from grpc import aio

from gateway.client import messages
from gateway.client.endings import Ending
from gateway.client.proofs import LogKeys
from gateway.client.refusals import (
    GatewayRefusal,
    Unavailable,
    ended_early,
    refusal_of,
    refusal_of_status,
    time_is_up,
    verified,
)
from gateway.client.retries import Retries
from gateway.client.values import Answer, Question
from gateway.v1 import verification_pb2 as pb
from gateway.v1 import verification_pb2_grpc

_Call = aio.StreamStreamCall[pb.BatchVerifyRequest, pb.BatchVerifyResponse]
_MOST_QUESTIONS = 200
_MOST_BYTES = 256 * 1024
"""Of one message; servers refuse messages of more than 1 MiB by default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchOutcome:
    """What became of one question of a batch: its answer with a verified receipt, or why there is none."""

    question: Question
    answer: Answer | None = None
    refusal: GatewayRefusal | None = None


@dataclass(slots=True, kw_only=True, eq=False)
class _Asked:
    question: Question
    message: pb.VerifyRequest
    deadline: float
    attempts: int = 0
    since: float | None = None
    """Since when it waits on streams, or was certainly taken up on the last."""


class _Awake:
    """A clock that stands still while the caller does something else than take results."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lost = 0.0
        self._away: float | None = None

    def __call__(self) -> float:
        return (self._clock() if self._away is None else self._away) - self._lost

    @contextmanager
    def away(self) -> Iterator[None]:
        """Stand still until the block ends."""
        self._away = self._clock()
        try:
            yield
        finally:
            self._lost += self._clock() - self._away
            self._away = None


class _Sent:
    """What is on one stream and has no result yet, by position; nothing is waited for beyond `longest` seconds.

    `newest` is when the newest result came, on this stream or on one before it.
    """

    def __init__(self, clock: Callable[[], float], longest: float, newest: float) -> None:
        self._clock = clock
        self._longest = longest
        self._waiting: dict[int, _Asked] = {}
        self._reached = -1
        self.newest = newest

    def add(self, position: int, asked: _Asked) -> None:
        if asked.since is None:
            asked.since = self._clock()
        self._waiting[position] = asked

    def take(self, position: int) -> _Asked | None:
        """Take what a result came for."""
        asked = self._waiting.pop(position, None)
        if asked is not None:
            asked.since, self.newest = None, self._clock()
            for before in range(self._reached + 1, position):
                if before in self._waiting:
                    self._waiting[before].since = self.newest
            self._reached = max(self._reached, position)
        return asked

    def left(self) -> list[tuple[_Asked, float]]:
        """Give what has no result, and for how many seconds each is still waited for."""
        now = self._clock()
        return [
            (asked, self._longest + max(asked.since or 0.0, 0.0 if position < self._reached else self.newest) - now)
            for position, asked in self._waiting.items()
        ]

    def lose(self) -> None:
        """Count an attempt of whatever was certainly taken up: the stream ended before its result."""
        for position, asked in self._waiting.items():
            asked.attempts += position < self._reached

    async def overdue(self) -> None:
        """Wait until something is waited for too long."""
        left = self._longest
        while left > 0:
            await asyncio.sleep(left)
            left = min([left for _, left in self.left()], default=self._longest)


class Batches:
    """Runs one batch: `longest` (seconds) for each question, `window` questions taken and not yet yielded."""

    def __init__(
        self,
        stub: verification_pb2_grpc.VerificationServiceAsyncStub,
        keys: LogKeys,
        retries: Retries,
        *,
        longest: float,
        window: int,
    ) -> None:
        self._stub = stub
        self._keys = keys
        self._retries = retries
        self._longest = longest
        self._room = asyncio.Semaphore(window)
        self._to_send: asyncio.Queue[_Asked | None] = asyncio.Queue()
        self._open = 0
        self._is_fed = False
        self._clock = asyncio.get_running_loop().time
        self._awake = _Awake(self._clock)

    async def run(self, questions: Iterable[Question] | AsyncIterable[Question]) -> AsyncIterator[BatchOutcome]:
        """Ask everything and yield each outcome; leaving early stops everything."""
        feeding = asyncio.create_task(self._feed(questions))
        broken, newest = 0, self._awake()
        try:
            while not self._is_over():
                sent = _Sent(self._awake, self._longest + self._retries.silence, newest)
                why: GatewayRefusal | None = None
                try:
                    async for outcome in self._stream(sent):
                        broken = 0
                        with self._awake.away():
                            yield outcome
                except aio.AioRpcError as error:
                    broken += 1
                    why = verified(refusal_of(error), self._keys)
                    wait = self._retries.wait(why, broken, float("inf"))
                    if wait is None:
                        raise why from error
                    sent.lose()
                    await asyncio.sleep(wait)
                newest = sent.newest
                for asked, left in sent.left():
                    refusal = self._given_up(asked, left, why)
                    if refusal is None:
                        self._to_send.put_nowait(asked)
                    else:
                        self._done()
                        with self._awake.away():
                            yield BatchOutcome(question=asked.question, refusal=refusal)
                        self._end_if_done()
                if feeding.done():
                    feeding.result()
        finally:
            feeding.cancel()
            await asyncio.wait((feeding,))

    async def _feed(self, questions: Iterable[Question] | AsyncIterable[Question]) -> None:
        try:
            async for question in _each(questions):
                await self._room.acquire()
                self._open += 1
                deadline = self._clock() + self._longest
                message = messages.question_message(question)
                self._to_send.put_nowait(_Asked(question=question, message=message, deadline=deadline))
        finally:
            self._is_fed = True
            self._end_if_done()

    def _given_up(self, asked: _Asked, left: float, why: GatewayRefusal | None) -> GatewayRefusal | None:
        """Say why a question that a stream left is not asked again; None when it is."""
        if left <= 0:
            return time_is_up()
        return why if asked.attempts > self._retries.most else None

    def _is_over(self) -> bool:
        return self._is_fed and not self._open

    def _end_if_done(self) -> None:
        if self._is_over():
            self._to_send.put_nowait(None)

    async def _stream(self, sent: _Sent) -> AsyncIterator[BatchOutcome]:
        """Send and receive on one stream until it ends, or something is waited for too long; `sent` holds what has no
        result then, also when the stream breaks.

        Raises:
            aio.AioRpcError: the stream broke, or ended although something has no result yet or is still to come.
        """
        call = self._stub.BatchVerify()
        responses = aiter(call)  # reads on where a message could not be written any more, as `call.read` does not
        writing = asyncio.create_task(self._write(call, sent))
        ending = Ending(call, writing)
        overdue = asyncio.create_task(sent.overdue())
        try:
            while (response := await _read(responses, overdue)) is not None:
                for result in response.results:
                    asked = sent.take(result.position)
                    outcome = self._outcome(asked, result) if asked is not None else None
                    if outcome is not None:
                        self._done()
                        yield outcome
                        self._end_if_done()
            status = await ending.status(overdue)
            if status is not None and status.code() is not grpc.StatusCode.OK:
                raise status
            if not (overdue.done() or self._is_over()):
                raise ended_early()
        finally:
            writing.cancel()
            overdue.cancel()
            await asyncio.wait((writing, overdue))
            call.cancel()

    def _done(self) -> None:
        self._open -= 1
        self._room.release()

    async def _write(self, call: _Call, sent: _Sent) -> None:
        position = 0
        while (asked := await self._to_send.get()) is not None:
            request, size = pb.BatchVerifyRequest(), 0
            request.timeout.FromMilliseconds(round(self._longest * 1000))
            while asked is not None:
                sent.add(position, asked)
                position += 1
                request.requests.append(asked.message)
                size += asked.message.ByteSize()
                if len(request.requests) >= _MOST_QUESTIONS or size >= _MOST_BYTES or self._to_send.empty():
                    break
                asked = self._to_send.get_nowait()
            try:
                await call.write(request)
            except (aio.AioRpcError, asyncio.InvalidStateError):
                return  # the reading side hears why
            if asked is None:
                break
        await call.done_writing()

    def _outcome(self, asked: _Asked, result: pb.BatchVerifyResult) -> BatchOutcome | None:
        """Read a result; None when the question is asked again."""
        if result.WhichOneof("result") == "response":
            response = result.response
            answer = messages.answer(response.verification, response.receipt, self._keys, asked.question)
            return BatchOutcome(question=asked.question, answer=answer)
        error = result.error
        status = status_pb2.Status(code=error.code, message=error.message, details=error.details)
        refusal = verified(refusal_of_status(status), self._keys)
        asked.attempts += 1
        wait = self._retries.wait(refusal, asked.attempts, asked.deadline - self._clock())
        if isinstance(refusal, Unavailable) and wait is not None:
            asyncio.get_running_loop().call_later(wait, self._to_send.put_nowait, asked)
            return None
        return BatchOutcome(question=asked.question, refusal=refusal)


async def _read(
    responses: AsyncIterator[pb.BatchVerifyResponse], overdue: asyncio.Task[None]
) -> pb.BatchVerifyResponse | None:
    """Read the next results; None at the end, whatever it is, or when something is overdue."""
    reading = asyncio.ensure_future(anext(responses, None))
    try:
        await asyncio.wait((reading, overdue), return_when=asyncio.FIRST_COMPLETED)
    finally:
        if not reading.done():
            reading.cancel()
    if not reading.done():
        await asyncio.wait((reading,))
        return None
    try:
        return reading.result()
    except aio.AioRpcError:
        return None


async def _each(questions: Iterable[Question] | AsyncIterable[Question]) -> AsyncIterator[Question]:
    if isinstance(questions, AsyncIterable):
        async for question in questions:
            yield question
        return
    for question in questions:
        yield question
