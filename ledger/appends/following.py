"""Following a log that another process publishes: how far publication and witnessing have come."""

from __future__ import annotations

import threading

import structlog

from ledger.appends.trouble import Trouble
from ledger.appends.waiting import Milestone
from ledger.errors import LedgerError
from ledger.log.store import Store, read_head, read_witnessed_size

_log = structlog.get_logger()


class Follower:
    """Looks at the head row at an interval (seconds), and tells the milestones."""

    def __init__(self, store: Store, published: Milestone, witnessed: Milestone, interval: float) -> None:
        self._store = store
        self._published = published
        self._witnessed = witnessed
        self._interval = interval
        self._failing = Trouble()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ledger-follow", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """End."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._stopped.wait(self._interval):
            try:
                self._look()
            except LedgerError as failure:  # the next look may succeed; who waits does so within a deadline
                if self._failing.begins(type(failure).__name__):
                    _log.warning("the head could not be read; it is tried again", error=str(failure))
            except Exception as failure:  # whatever it is, nobody who waits would be told any more
                if self._failing.begins(type(failure).__name__):
                    _log.critical("the head could not be read", error=type(failure).__name__)
            else:
                if self._failing.ends():
                    _log.info("the head can be read again")

    def _look(self) -> None:
        with self._store.reading() as connection:
            self._published.tell(read_head(connection).published)
            self._witnessed.tell(read_witnessed_size(connection))
