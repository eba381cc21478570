"""Many questions on one stream: bounded, resumed where the stream breaks, each answered once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from dataclasses import dataclass

from google.rpc import status_pb2
from grpc import aio

from gateway.client import messages
from gateway.client.proofs import LogKeys
from gateway.client.refusals import GatewayRefusal, Unavailable, refusal_of, refusal_of_status, verified
from gateway.client.retries import Retries
from gateway.client.values import Answer, Question
from gateway.v1 import verification_pb2 as pb
from gateway.v1 import verification_pb2_grpc

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

    async def run(self, questions: Iterable[Question] | AsyncIterable[Question]) -> AsyncIterator[BatchOutcome]:
        """Ask everything and yield each outcome; leaving early stops everything."""
        feeding = asyncio.create_task(self._feed(questions))
        broken = 0
        try:
            while not (self._is_fed and not self._open):
                sent: dict[int, _Asked] = {}
                try:
                    async for outcome in self._stream(sent):
                        broken = 0
                        yield outcome
                except aio.AioRpcError as error:
                    broken += 1
                    refusal = verified(refusal_of(error), self._keys)
                    wait = self._retries.wait(refusal, broken, float("inf"))
                    if wait is None:
                        raise refusal from error
                    await asyncio.sleep(wait)
                for asked in sent.values():
                    self._to_send.put_nowait(asked)
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

    def _end_if_done(self) -> None:
        if self._is_fed and not self._open:
            self._to_send.put_nowait(None)

    async def _stream(self, sent: dict[int, _Asked]) -> AsyncIterator[BatchOutcome]:
        """Send and receive on one stream; `sent` holds what has no result yet, also when the stream breaks."""
        call = self._stub.BatchVerify()
        writing = asyncio.create_task(self._write(call, sent))
        try:
            async for response in call:
                for result in response.results:
                    asked = sent.pop(result.position, None)
                    outcome = self._outcome(asked, result) if asked is not None else None
                    if outcome is not None:
                        self._open -= 1
                        self._room.release()
                        yield outcome
                        self._end_if_done()
        finally:
            writing.cancel()
            await asyncio.wait((writing,))
            call.cancel()

    async def _write(
        self, call: aio.StreamStreamCall[pb.BatchVerifyRequest, pb.BatchVerifyResponse], sent: dict[int, _Asked]
    ) -> None:
        position = 0
        while (asked := await self._to_send.get()) is not None:
            request, size = pb.BatchVerifyRequest(), 0
            request.timeout.FromMilliseconds(round(self._longest * 1000))
            while asked is not None:
                sent[position] = asked
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


async def _each(questions: Iterable[Question] | AsyncIterable[Question]) -> AsyncIterator[Question]:
    if isinstance(questions, AsyncIterable):
        async for question in questions:
            yield question
        return
    for question in questions:
        yield question
