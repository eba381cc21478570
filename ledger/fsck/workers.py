"""Running tasks on several cores, each process with its own connection; results come in the order of the tasks."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from types import TracebackType
from typing import Self, TypeVar

from ledger.errors import LedgerUnavailable

Task = TypeVar("Task")
Result = TypeVar("Result")


class Workers:
    """A pool of fresh processes; with one worker everything runs in this process."""

    def __init__(self, count: int) -> None:
        # Fresh processes: a forked one would share database connections and locks with threads that it does not have.
        context = multiprocessing.get_context("spawn")
        self._ahead = 2 * count
        self._pool = ProcessPoolExecutor(count, mp_context=context, initializer=_end_with_parent) if count > 1 else None

    def run(self, function: Callable[[Task], Result], tasks: Iterable[Task]) -> Iterator[Result]:
        """Run a module-level function over tasks, a bounded number of them ahead of the results taken.

        Raises:
            LedgerUnavailable: a worker was killed.
        """
        if self._pool is None:
            yield from map(function, tasks)
            return
        waiting: deque[Future[Result]] = deque()
        try:
            for task in tasks:
                waiting.append(_submit(self._pool, function, task))
                if len(waiting) >= self._ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool as failure:
            raise LedgerUnavailable("a process of the check ended before its work") from failure

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)


def _submit(pool: ProcessPoolExecutor, function: Callable[[Task], Result], task: Task) -> Future[Result]:
    """Submit a task. The processes start with the first one, and leave Ctrl-C to the parent: they end with the pool."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])  # which they inherit
    try:
        return pool.submit(function, task)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end_with_parent() -> None:
    """Let a worker end when the process of the check is gone, however it ended: nobody else would end it.

    It may hold master keys. The pool itself tells its workers only when it is shut down.
    """
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, name="parent", daemon=True).start()


def cores() -> int:
    """Count the cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
