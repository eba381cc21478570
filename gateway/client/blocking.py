"""The client for threads: as `gateway.client.asynchronous`, blocking."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Self, TypeVar

import grpc

from gateway.client import commitments as committed
from gateway.client import listing, messages
from gateway.client.channel import Assert, open_blocking_channel
from gateway.client.pages import Pages
from gateway.client.proofs import LogKeys
from gateway.client.refusals import ended_early, refusal_of, time_is_up, verified
from gateway.client.retries import Retries
from gateway.client.values import Answer, Argument, PlanExplained, Question, Standing, Verification
from gateway.v1 import commitment_pb2_grpc, verification_pb2, verification_pb2_grpc

Response = TypeVar("Response")


class BlockingGatewayClient:
    """Asks a gateway over one channel; may be used by several threads. See `GatewayClient` for what it raises."""

    def __init__(
        self, channel: grpc.Channel, *, keys: LogKeys, timeout: float = 10.0, retries: Retries | None = None
    ) -> None:
        self._channel = channel
        self._stub = verification_pb2_grpc.VerificationServiceStub(channel)
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
        channel = open_blocking_channel(
            server, authority=authority, certificate=certificate, key=key, operator=operator
        )
        return cls(channel, keys=LogKeys.read(log_keys, history=key_history), timeout=timeout)

    def verify(self, question: Question, *, timeout: float | None = None) -> Answer:
        """Ask a question; asked again where the gateway was unavailable, always with the same request_id."""
        request = messages.question_message(question)
        response = self._call(lambda left: self._stub.Verify(request, timeout=left), timeout)
        return messages.answer(response.verification, response.receipt, self._keys, question)

    def get(self, record: str) -> Answer:
        """Return an earlier answer, with a receipt against the newest checkpoint."""
        request = verification_pb2.GetVerificationRequest(record=record)
        response = self._call(lambda left: self._stub.GetVerification(request, timeout=left))
        return messages.answer(response.verification, response.receipt, self._keys)

    def answers(self, selection: listing.Selection, *, page_size: int = 100) -> Iterator[Verification]:
        """Yield earlier answers, newest first, page by page; raises `ListIncomplete` if the list has no end."""
        pages = Pages()
        while pages.token is not None:
            request = listing.page_request(selection, pages.token, page_size)
            response = self._call(lambda left, r=request: self._stub.ListVerifications(r, timeout=left))  # type: ignore[misc]
            yield from listing.page(response, self._keys)
            pages.turn(response.next_page_token)

    def commitments(
        self,
        selection: committed.CommitmentSelection,
        *,
        acting: committed.Acting | None = None,
        page_size: int = 100,
    ) -> Iterator[committed.Commitment]:
        """Yield commitments, newest first, page by page; `acting` is needed where a person is looked up.

        Raises:
            ListIncomplete: the list has no end.
        """
        pages = Pages()
        while pages.token is not None:
            request = committed.page_request(selection, acting, pages.token, page_size)
            response = self._call(lambda left, r=request: self._commitments.ListCommitments(r, timeout=left))  # type: ignore[misc]
            yield from committed.page(response, self._keys)
            pages.turn(response.next_page_token)

    def export_commitments(
        self,
        selection: committed.CommitmentSelection,
        target: IO[bytes],
        *,
        form: str,
        acting: committed.Acting,
        purpose: str,
        progress: committed.Progress | None = None,
    ) -> committed.Exported:
        """Write commitments into a file; as `GatewayClient.export_commitments`."""
        request = committed.export_request(selection, form, acting, purpose)
        receiving = committed.Receiving(target, progress)
        try:
            for part in self._commitments.ExportCommitments(request):
                receiving.take(part)
        except grpc.RpcError as error:
            raise verified(refusal_of(error), self._keys) from error
        return receiving.finish(self._keys)

    def explain(self, matter: str, item: str, parameters: Mapping[str, Argument] | None = None) -> PlanExplained:
        """Say who would be asked; asks nobody."""
        request = verification_pb2.ExplainPlanRequest(
            matter=matter, item=item, parameters=messages.arguments(parameters or {})
        )
        return messages.plan_explained(self._call(lambda left: self._stub.ExplainPlan(request, timeout=left)))

    def watch(self, record: str, cursor: str = "") -> Iterator[Standing]:
        """Yield how a verification stands now and then each change, until it is final."""
        attempts = 0
        while True:
            request = verification_pb2.WatchVerificationRequest(record=record, cursor=cursor)
            try:
                for response in self._stub.WatchVerification(request):
                    standing = messages.standing(response, self._keys)
                    attempts = attempts if standing.cursor == cursor else 0
                    cursor = standing.cursor
                    yield standing
                    if standing.final:
                        return
                raise ended_early()
            except grpc.RpcError as error:
                attempts += 1
                self._wait_or_raise(error, attempts, float("inf"))

    def _call(self, call: Callable[[float], Response], timeout: float | None = None) -> Response:
        deadline = time.monotonic() + (self._timeout if timeout is None else timeout)
        attempts = 0
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                raise time_is_up()
            try:
                return call(left)
            except grpc.RpcError as error:
                attempts += 1
                self._wait_or_raise(error, attempts, deadline - time.monotonic())

    def _wait_or_raise(self, error: grpc.RpcError, attempts: int, left: float) -> None:
        refusal = verified(refusal_of(error), self._keys)
        wait = self._retries.wait(refusal, attempts, left)
        if wait is None:
            raise refusal from error
        time.sleep(wait)

    def close(self) -> None:
        """Close the channel."""
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
