"""Asking somebody outside who may never answer: in a thread that nobody waits for, not even the end of the process."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

Answer = TypeVar("Answer")


def detached(act: Callable[[], Answer], name: str) -> Future[Answer]:
    """Run `act` in a thread of its own; who waits for the future sets the limit.

    The threads of a `ThreadPoolExecutor` will not do: the interpreter joins them when it ends, so that one peer that
    sends a byte now and then would keep a process from ending on SIGTERM.
    """
    future: Future[Answer] = Future()

    def run() -> None:
        try:
            answer = act()
        except BaseException as failure:
            future.set_exception(failure)
        else:
            future.set_result(answer)

    threading.Thread(target=run, name=name, daemon=True).start()
    return future
