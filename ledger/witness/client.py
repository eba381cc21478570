"""The log's side of witnessing: all witnesses of a policy are asked at once for cosignatures of a checkpoint."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import timedelta
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

import httpx

from ledger.errors import PolicyError, SplitView
from ledger.log.checkpoint import Checkpoint, open_checkpoint, read_checkpoint
from ledger.witness.asking import Asked, OpenOurs, Prove, WitnessCaller
from ledger.witness.outcomes import Contradicts, CosignedBy, Outcome, RefusedBy, Shows, Unreachable
from ledger.witness.policy import Policy

Answer = TypeVar("Answer")
_MOST_WITNESSES = 64


class Cosigners(Protocol):
    """Who cosigns checkpoints before they count as witnessed."""

    def collect(self, note: bytes, size: int, prove: Prove) -> list[str]:
        """Ask for cosignatures of the checkpoint `note` of `size` entries, and return verified lines.

        `prove(old, new)` makes consistency proofs; it is called from several threads.

        Raises:
            SplitView: somebody says that there is another history of this log, or proves it.
        """
        ...

    def satisfied(self, lines: Sequence[str]) -> bool:
        """Tell whether these verified lines are enough."""
        ...


class WitnessCosigners:
    """The witnesses of a policy that have a URL. Safe for several threads; close it, or use it as a context manager.

    `urls` gives submission prefixes by the names of the policy, and goes before those the policy gives; `timeout` is
    the longest that `collect` waits for one witness; `tls` verifies https witnesses of a private authority; `told`
    gets what each witness did. `open_ours` verifies checkpoints of our own log, which prove what a witness says of
    another history: `KeyHistory.open`, or, by default, with the keys of logs that the policy lists. What size each
    witness has is kept in memory: after a start, the first answer tells.

    Raises:
        PolicyError: `urls` names a witness that the policy does not, or the quorum cannot be reached through URLs.
    """

    def __init__(
        self,
        policy: Policy,
        urls: Mapping[str, str] | None = None,
        timeout: timedelta = timedelta(seconds=10),
        *,
        open_ours: OpenOurs | None = None,
        tls: ssl.SSLContext | None = None,
        told: Callable[[Outcome], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._policy = policy
        self._patience = timeout.total_seconds()
        self._told = told
        self._client = httpx.Client(timeout=self._patience, verify=True if tls is None else tls)
        found = _addresses(policy, urls or {})
        self._callers = [
            WitnessCaller(
                witness,
                found[witness.name],
                self._client,
                open_ours=open_ours or _open_listed(policy),
                patience=self._patience,
                clock=clock,
            )
            for witness in policy.witnesses
            if witness.name in found
        ]
        self._pool = ThreadPoolExecutor(max(1, len(self._callers)), thread_name_prefix="witness")
        self._running: dict[str, Future[Any]] = {}
        self._guard = threading.Lock()

    def collect(self, note: bytes, size: int, prove: Prove) -> list[str]:
        """Ask every witness for a cosignature; returns when all have answered or their time is over.

        Witnesses that do not answer in time are left out, and not asked again until their call has ended.

        Raises:
            NoteError: `note` is no checkpoint, or not of `size`.
            SplitView: a witness says that it holds another history of this log; it carries the proofs that were shown,
                and the lines of the others.
        """
        asked = Asked.read(note, size, prove)
        with self._guard:
            outcomes = self._at_once(lambda caller: caller.submit(asked))
        for outcome in outcomes:
            if self._told is not None:
                self._told(outcome)
        lines = [line for outcome in outcomes if isinstance(outcome, CosignedBy) for line in outcome.lines]
        against = [one for one in outcomes if isinstance(one, Contradicts)]
        if against:
            proofs = {one.witness: one.proof for one in against if one.proof is not None}
            raise SplitView({one.witness: one.reason for one in against}, lines, proofs)
        return lines

    def _at_once(self, ask: Callable[[WitnessCaller], Answer]) -> list[Answer | Unreachable]:
        """Ask every witness, and wait until all have answered or their time is over."""
        calls = [(caller.name, self._call(caller, ask)) for caller in self._callers]
        wait([call for _, call in calls if call is not None], timeout=self._patience)
        answers: list[Answer | Unreachable] = []
        for name, call in calls:
            answer = _outcome(name, call)
            answers.append(answer)
        return answers

    def _call(self, caller: WitnessCaller, ask: Callable[[WitnessCaller], Answer]) -> Future[Answer] | None:
        running = self._running.get(caller.name)
        if running is not None and not running.done():
            return None
        call = self._pool.submit(ask, caller)
        self._running[caller.name] = call
        return call

    def satisfied(self, lines: Sequence[str]) -> bool:
        """Tell whether lines that `collect` returned reach the policy's quorum."""
        return self._policy.satisfied(lines)

    def sizes(self) -> dict[str, int]:
        """Return the size each witness is known to have cosigned, by name; 0 where nothing is known."""
        return {caller.name: caller.size for caller in self._callers}

    def newest(self, origin: str) -> list[Shows | Unreachable | RefusedBy]:
        """Ask every witness to show the newest checkpoint it holds of the log `origin`; one answer for each.

        What is shown was signed by a key of the log for its size: on a start it tells whether the log was rolled back
        (`Remembered`). Returns when all have answered or their time is over.
        """
        with self._guard:
            return self._at_once(lambda caller: caller.newest(origin))

    def close(self) -> None:
        """Give up running calls and close every connection."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _open_listed(policy: Policy) -> OpenOurs:
    def opened(note: bytes) -> Checkpoint:
        origin = read_checkpoint(note).origin
        return open_checkpoint(note, [log.key for log in policy.logs if log.key.name == origin], origin)

    return opened


def _outcome(name: str, call: Future[Answer] | None) -> Answer | Unreachable:
    if call is None:
        return Unreachable(witness=name, reason="it has not answered an earlier call yet")
    if not call.done():
        return Unreachable(witness=name, reason="it did not answer in time")
    return call.result()


def _addresses(policy: Policy, urls: Mapping[str, str]) -> dict[str, str]:
    names = {witness.name for witness in policy.witnesses}
    mistakes = [f"there is no witness {name!r}" for name in urls if name not in names]
    found = {witness.name: urls.get(witness.name) or witness.url for witness in policy.witnesses}
    known = {name: url.rstrip("/") for name, url in found.items() if url is not None}
    mistakes += [f"{url!r} is not an http or https URL" for url in known.values() if not _is_web(url)]
    if not policy.reachable(known):
        mistakes.append(f"quorum {policy.quorum!r} cannot be reached: too few witnesses have a URL")
    if len(known) > _MOST_WITNESSES:
        mistakes.append(f"more than {_MOST_WITNESSES} witnesses have a URL")
    if mistakes:
        raise PolicyError(mistakes)
    return known


def _is_web(url: str) -> bool:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        return False
    return parsed.scheme in ("http", "https") and bool(parsed.host)
