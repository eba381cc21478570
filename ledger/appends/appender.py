"""The appender: a bounded queue and one commit thread that takes all that waits when the last commit ends.

Group commit without a timer: alone, a caller waits for one commit; under load, each commit carries everybody who came
while the one before was written. Callers on an event loop are handed over once a turn of their loop, so that those
who were woken together also travel together, and the commit thread is woken once for all of them.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from weakref import WeakKeyDictionary

from msgspec import Struct

from ledger.appends.admission import Admitted
from ledger.appends.batches import take
from ledger.appends.sequencer import Committed
from ledger.appends.values import Appended, Replay
from ledger.errors import (
    BatchSpoilt,
    LedgerClosed,
    LedgerDamaged,
    LedgerError,
    LedgerOverloaded,
    LedgerUnavailable,
)

Commit = Callable[[Sequence[Admitted]], Committed[Appended]]
Answer = Appended | Replay | LedgerError


class _Waiting(Struct, frozen=True):
    admitted: Admitted
    future: asyncio.Future[Appended | Replay] | Future[Appended | Replay]
    loop: asyncio.AbstractEventLoop | None


class Appender:
    """Feeds one sequencer. `submit` belongs to an event loop, `append_blocking` may be called from any thread.

    `damaged` is told, on whichever thread finds it, when nothing is appended any more; no caller hears of it before.
    """

    def __init__(
        self, commit: Commit, capacity: int = 4096, damaged: Callable[[LedgerDamaged], None] = lambda _damage: None
    ) -> None:
        self._commit = commit
        self._capacity = capacity
        self._damaged = damaged
        self._queue: deque[_Waiting] = deque()
        self._jobs: deque[tuple[Callable[[], None], Future[None]]] = deque()
        self._gates: WeakKeyDictionary[asyncio.AbstractEventLoop, list[_Waiting]] = WeakKeyDictionary()
        self._last: tuple[asyncio.AbstractEventLoop | None, list[_Waiting]] = (None, [])
        self._changed = threading.Condition()
        self._committing = threading.Lock()
        """Held by whoever commits: the commit thread, or a lone caller that blocks anyway."""
        self._closed = False
        self._damage: LedgerDamaged | None = None
        self._thread = threading.Thread(target=self._run, name="ledger-commit", daemon=True)
        self._thread.start()

    def submit(self, admitted: Admitted) -> asyncio.Future[Appended | Replay]:
        """Queue a submission from a running event loop; cancelling the future does not take it back.

        The future is told what was appended, or what the idempotency key was used for before.

        Raises:
            LedgerOverloaded: too many wait already.
            LedgerClosed, LedgerDamaged: nothing is appended any more.
        """
        loop = asyncio.get_running_loop()
        last, gate = self._last
        if loop is not last:  # nearly always the same one: a weak look-up for each append would cost more
            gate = self._gates.setdefault(loop, [])
            self._last = (loop, gate)
        self._require_open(len(gate))
        if not gate:
            loop.call_soon(self._hand_over, gate)
        future: asyncio.Future[Appended | Replay] = loop.create_future()
        gate.append(_Waiting(admitted, future, loop))
        return future

    def append_blocking(self, admitted: Admitted) -> Appended | Replay:
        """Append and block this thread until it is durable.

        Alone, a caller commits here and waits for nothing but its own commit: two hand-overs between threads would cost
        as much again.
        """
        if not self._queue and self._committing.acquire(blocking=False):
            try:
                self._require_open(0)
                answer = self._answer([admitted])[0]
            finally:
                self._committing.release()
            if isinstance(answer, LedgerError):
                raise answer
            return answer
        future: Future[Appended | Replay] = Future()
        with self._changed:
            self._require_open(0)
            self._queue.append(_Waiting(admitted, future, None))
            self._changed.notify()
        return future.result()

    def run(self, job: Callable[[], None]) -> None:
        """Run a function on the commit thread, between two batches, and block until it is done.

        Raises:
            LedgerClosed, LedgerDamaged: nothing is written any more; whatever the function raises.
        """
        self._begin(job).result()

    def _begin(self, job: Callable[[], None]) -> Future[None]:
        done: Future[None] = Future()
        with self._changed:
            if self._damage is not None:
                raise type(self._damage)(str(self._damage)) from self._damage
            if self._closed:
                raise LedgerClosed("the ledger is closed")
            self._jobs.append((job, done))
            self._changed.notify()
        return done

    def settle(self) -> Future[None]:
        """Begin to commit a batch of nothing, which tells that what is committed already stays; from any thread.

        Raises:
            LedgerClosed, LedgerDamaged: nothing is written any more.
        """
        return self._begin(self._commit_nothing)

    def _commit_nothing(self) -> None:
        try:
            self._commit(())
        except LedgerDamaged as damage:
            self.stop(damage)
            raise

    def stop(self, damage: LedgerDamaged) -> None:
        """Append nothing more: who waits, or comes later, is told of the damage."""
        with self._changed:
            first, self._damage = self._damage is None, self._damage or damage
            left = list(self._queue)
            self._queue.clear()
        if first:
            self._damaged(damage)
        _resolve(left, [damage] * len(left))

    def close(self) -> None:
        """Commit what waits, then stop; whoever comes later gets `LedgerClosed`."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()
        with self._committing:
            return  # what a lone caller was committing is durable as well

    def _require_open(self, waiting: int) -> None:
        if self._damage is not None:
            raise type(self._damage)(str(self._damage)) from self._damage
        if self._closed:
            raise LedgerClosed("the ledger is closed")
        if len(self._queue) + waiting >= self._capacity:
            raise LedgerOverloaded(f"{self._capacity} submissions are waiting already")

    def _hand_over(self, gate: list[_Waiting]) -> None:
        batch = gate.copy()
        gate.clear()
        with self._changed:
            refusal: LedgerError | None = self._damage
            if refusal is None and self._closed:
                refusal = LedgerClosed("the ledger is closed")
            if refusal is None:
                self._queue.extend(batch)
                self._changed.notify()
        if refusal is not None:
            _resolve(batch, [refusal] * len(batch))

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._queue and not self._jobs and not self._closed:
                    self._changed.wait()
                jobs, batch = list(self._jobs), take(self._queue)
                self._jobs.clear()
            if not batch and not jobs:
                return
            with self._committing:
                for job, done in jobs:
                    _run_job(job, done)
                answers = self._answer([waiting.admitted for waiting in batch]) if batch else []
            _resolve(batch, answers)

    def _answer(self, batch: Sequence[Admitted]) -> Sequence[Answer]:
        try:
            committed = self._commit(batch)
        except LedgerDamaged as damage:
            self.stop(damage)
            return [damage] * len(batch)
        except BatchSpoilt:
            return [self._answer([admitted])[0] for admitted in batch]
        except LedgerError as failure:
            return [failure] * len(batch)
        except Exception as failure:  # the commit thread must live on, and every caller must hear of it
            unavailable = LedgerUnavailable(f"the batch could not be committed ({type(failure).__name__})")
            unavailable.__cause__ = failure
            return [unavailable] * len(batch)
        return committed.outcomes


def _run_job(job: Callable[[], None], done: Future[None]) -> None:
    try:
        job()
    except BaseException as failure:  # whoever waits for the job hears of it, whatever it is
        done.set_exception(failure)
    else:
        done.set_result(None)


def _resolve(batch: Sequence[_Waiting], answers: Sequence[Answer]) -> None:
    """Wake every caller, with one call into each event loop."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Appended | Replay], Answer]]] = {}
    for waiting, answer in zip(batch, answers, strict=True):
        if isinstance(waiting.future, Future):
            _settle(waiting.future, answer)
        elif waiting.loop is not None:
            by_loop.setdefault(waiting.loop, []).append((waiting.future, answer))
    for loop, settled in by_loop.items():
        try:
            loop.call_soon_threadsafe(_settle_all, settled)
        except RuntimeError:  # the loop was closed while its callers waited: nobody is left to be told
            continue


def _settle_all(settled: Sequence[tuple[asyncio.Future[Appended | Replay], Answer]]) -> None:
    for future, answer in settled:
        if not future.done():
            _settle(future, answer)


def _settle(future: asyncio.Future[Appended | Replay] | Future[Appended | Replay], answer: Answer) -> None:
    if isinstance(answer, LedgerError):
        future.set_exception(answer)
    else:
        future.set_result(answer)
