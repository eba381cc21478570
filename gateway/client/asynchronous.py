"""The client for asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Self, TypeVar

from grpc import aio

from gateway.client import commitments as committed
from gateway.client import listing, messages
from gateway.client.batches import Batches, BatchOutcome
from gateway.client.channel import Assert, open_channel
from gateway.client.pages import Pages
from gateway.client.proofs import LogKeys
from gateway.client.refusals import ended_early, refusal_of, time_is_up, verified
from gateway.client.retries import Retries
from gateway.client.values import Answer, Argument, PlanExplained, Question, Standing, Verification
from gateway.v1 import commitment_pb2_grpc, verification_pb2, verification_pb2_grpc

Response = TypeVar("Response")


class GatewayClient:
    """Asks a gateway over one channel; `timeout` (seconds) is how long one question may take, repetitions included.

    Every method raises a `GatewayRefusal` where the gateway refuses or cannot be reached, and `ReceiptRefused` where
    what it says was recorded is not proven.
    """

    def __init__(
        self, channel: aio.Channel, *, keys: LogKeys, timeout: float = 10.0, retries: Retries | None = None
    ) -> None:
        self._channel = channel
        self._stub: verification_pb2_grpc.VerificationServiceAsyncStub
        self._stub = verification_pb2_grpc.VerificationServiceStub(channel)
        self._commitments: commitment_pb2_grpc.CommitmentServiceAsyncStub
        self._commitments = commitment_pb2_grpc.CommitmentServiceStub(channel)
        self._keys = keys
        self._timeout = timeout
        self._retries = retries or Retries()

    @classmethod
    def connect(
        cls,
        server: str,
        *,
        authority: Path,
        certificate: Path,
        key: Path,
        log_keys: Path,
        key_history: Path | None = None,
        operator: Assert | None = None,
        timeout: float = 10.0,
    ) -> Self:
        """Connect to `server` (host:port) by mutual TLS, and trust the log keys in a file; see `LogKeys.read`.

        `operator` gives for each call an assertion of who acts, where the unit's identity provider makes them.
        """
        channel = open_channel(server, authority=authority, certificate=certificate, key=key, operator=operator)
        return cls(channel, keys=LogKeys.read(log_keys, history=key_history), timeout=timeout)

    async def verify(self, question: Question, *, timeout: float | None = None) -> Answer:  # noqa: ASYNC109  it is gRPC's
        """Ask a question; asked again where the gateway was unavailable, always with the same request_id."""
        request = messages.question_message(question)
        response = await self._call(lambda left: self._stub.Verify(request, timeout=left), timeout)
        return messages.answer(response.verification, response.receipt, self._keys, question)

    async def get(self, record: str) -> Answer:
        """Return an earlier answer, with a receipt against the newest checkpoint."""
        request = verification_pb2.GetVerificationRequest(record=record)
        response = await self._call(lambda left: self._stub.GetVerification(request, timeout=left))
        return messages.answer(response.verification, response.receipt, self._keys)

    async def answers(self, selection: listing.Selection, *, page_size: int = 100) -> AsyncIterator[Verification]:
        """Yield earlier answers, newest first, page by page; raises `ListIncomplete` if the list has no end."""
        pages = Pages()
        while pages.token is not None:
            request = listing.page_request(selection, pages.token, page_size)
            response = await self._call(lambda left, r=request: self._stub.ListVerifications(r, timeout=left))  # type: ignore[misc]
            for one in listing.page(response, self._keys):
                yield one
            pages.turn(response.next_page_token)

    async def commitments(
        self,
        selection: committed.CommitmentSelection,
        *,
        acting: committed.Acting | None = None,
        page_size: int = 100,
    ) -> AsyncIterator[committed.Commitment]:
        """Yield commitments, newest first, page by page; `acting` is needed where a person is looked up.

        Raises:
            ListIncomplete: the list has no end.
        """
        pages = Pages()
        while pages.token is not None:
            request = committed.page_request(selection, acting, pages.token, page_size)
            response = await self._call(lambda left, r=request: self._commitments.ListCommitments(r, timeout=left))  # type: ignore[misc]
            for one in committed.page(response, self._keys):
                yield one
            pages.turn(response.next_page_token)

    async def export_commitments(
        self,
        selection: committed.CommitmentSelection,
        target: IO[bytes],
        *,
        form: str,
        acting: committed.Acting,
        purpose: str,
        progress: committed.Progress | None = None,
    ) -> committed.Exported:
        """Write commitments into a file (`csv`, `xlsx` or `jsonl`), and verify that it is whole and recorded.

        It may be long, and is not asked again by itself: each export is a record of its own.

        Raises:
            ExportIncomplete: what arrived is not the whole file.
        """
        request = committed.export_request(selection, form, acting, purpose)
        receiving = committed.Receiving(target, progress)
        try:
            async for part in self._commitments.ExportCommitments(request):
                receiving.take(part)
        except aio.AioRpcError as error:
            raise verified(refusal_of(error), self._keys) from error
        return receiving.finish(self._keys)

    async def explain(self, matter: str, item: str, parameters: Mapping[str, Argument] | None = None) -> PlanExplained:
        """Say who would be asked; asks nobody."""
        request = verification_pb2.ExplainPlanRequest(
            matter=matter, item=item, parameters=messages.arguments(parameters or {})
        )
        response = await self._call(lambda left: self._stub.ExplainPlan(request, timeout=left))
        return messages.plan_explained(response)

    async def watch(self, record: str, cursor: str = "") -> AsyncIterator[Standing]:
        """Yield how a verification stands now and then each change, until it is final.

        Goes on by itself where the gateway was unavailable, or ended the stream before that; a `cursor` that was
        yielded goes on from there.
        """
        attempts = 0
        while True:
            request = verification_pb2.WatchVerificationRequest(record=record, cursor=cursor)
            try:
                async for response in self._stub.WatchVerification(request):
                    standing = messages.standing(response, self._keys)
                    attempts = attempts if standing.cursor == cursor else 0
                    cursor = standing.cursor
                    yield standing
                    if standing.final:
                        return
                raise ended_early()
            except aio.AioRpcError as error:
                attempts += 1
                await self._wait_or_raise(error, attempts, float("inf"))

    def verify_many(
        self,
        questions: Iterable[Question] | AsyncIterable[Question],
        *,
        timeout: float | None = None,
        window: int = 1000,
    ) -> AsyncIterator[BatchOutcome]:
        """Ask many questions on one stream and yield what becomes of each, in any order.

        At most `window` questions are taken and not yet yielded. A refusal of a question is yielded, not raised;
        questions that found the gateway unavailable are asked again until `timeout` (seconds, for each), and what stays
        without an answer is given up as `DeadlinePassed` a while after that, or as `Unavailable` if too many streams
        ended before it. A refusal of the whole stream is raised at once, unless it is `Unavailable`: that only when the
        gateway cannot be reached at all any more, or gives nothing.
        """
        longest = self._timeout if timeout is None else timeout
        batches = Batches(self._stub, self._keys, self._retries, longest=longest, window=window)
        return batches.run(questions)

    async def _call(
        self,
        call: Callable[[float], Awaitable[Response]],
        timeout: float | None = None,  # noqa: ASYNC109  it is gRPC's
    ) -> Response:
        clock = asyncio.get_running_loop().time
        deadline = clock() + (self._timeout if timeout is None else timeout)
        attempts = 0
        while True:
            left = deadline - clock()
            if left <= 0:
                raise time_is_up()
            try:
                return await call(left)
            except aio.AioRpcError as error:
                attempts += 1
                await self._wait_or_raise(error, attempts, deadline - clock())

    async def _wait_or_raise(self, error: aio.AioRpcError, attempts: int, left: float) -> None:
        refusal = verified(refusal_of(error), self._keys)
        wait = self._retries.wait(refusal, attempts, left)
        if wait is None:
            raise refusal from error
        await asyncio.sleep(wait)

    async def close(self) -> None:
        """Close the channel."""
        await self._channel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
