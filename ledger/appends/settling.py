"""Settling: up to which size the log is known to be wherever its standby servers have it, so that it may be told.

Whoever waits for its own commit knows that. Whoever only reads does not: a transaction that waits for a synchronous
standby is shown to nobody, but PostgreSQL shows it once the wait was cut short, by a crash of the server, the end of a
session or a timeout, and a fail-over may still lose it. A commit of our own that comes after what was read proves that
it stays: a standby has the write-ahead log up to there, or none of it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future

from ledger.errors import LedgerUnavailable

Settle = Callable[[], "Future[None]"]
"""Begins a small writing transaction of this process, which tells `Settled.tell` as of which size it was."""
_EVERYTHING = 1 << 62
_LONGEST = 2.0
"""Seconds after which readers do not wait for it any more: their threads are few, and serve others too."""
_TRIES = 2
"""The first may have begun before what was read was committed."""


class Settled:
    """A size that only grows; safe for several threads. In the normal case nothing but two numbers is compared."""

    def __init__(self) -> None:
        self._size = _EVERYTHING
        self._settle: Settle | None = None
        self._guard = threading.Lock()
        self._under_way: tuple[Future[None], float] | None = None

    def settle_by(self, settle: Settle) -> None:
        """Take nothing for settled any more that was not told, or that `settle` does not settle."""
        self._size, self._settle = 0, settle

    @property
    def size(self) -> int:
        """As far as which everything is known to be settled."""
        return self._size

    def tell(self, size: int) -> None:
        """Note that a transaction of this process, which found or left the log at `size`, is committed."""
        self._size = max(self._size, size)

    def require(self, size: int) -> None:
        """Require that the first `size` entries are settled; settle them, once for all who ask, if it is not known.

        Raises:
            LedgerUnavailable: they are not in time.
            LedgerDamaged, LedgerClosed: nothing is committed any more.
        """
        for _ in range(_TRIES):
            if size <= self._size:
                return
            self._await_settling()
        if size > self._size:
            raise LedgerUnavailable("what was read is not what is committed")

    def _await_settling(self) -> None:
        settle = self._settle
        assert settle is not None  # else everything is settled
        with self._guard:
            if self._under_way is None or self._under_way[0].done():
                self._under_way = settle(), time.monotonic() + _LONGEST
            settling, until = self._under_way
        try:
            settling.result(max(0.0, until - time.monotonic()))
        except TimeoutError:
            raise LedgerUnavailable("no standby server has confirmed yet what would be told") from None
