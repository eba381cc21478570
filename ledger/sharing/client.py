"""Appending through the owner of a ledger: the same interface as the appender of a process that writes itself."""

from __future__ import annotations

import asyncio
import itertools
import socket
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, cast
from weakref import WeakKeyDictionary

from ledger.appends.admission import Admitted
from ledger.appends.batches import take
from ledger.appends.receipts import complete
from ledger.appends.values import Accepted, Appended, Replay
from ledger.errors import LedgerClosed, LedgerDamaged, LedgerError, LedgerOverloaded, LedgerUnavailable
from ledger.sharing.frames import (
    EVERYBODY,
    FrameError,
    Frames,
    Outcome,
    greeting,
    read_answers,
    read_damage,
    require_greeting,
    submissions,
    unpack,
)

_FULL = 128
"""Submissions that are sent before the turn of the loop is over: while the owner commits them, the next are made."""
_GONE = "the process that owns the ledger is not there; it is not known whether what was asked for is durable"
Told = Appended | Replay
Telling = Callable[[LedgerDamaged], None]
Noting = Callable[[bytes], None]


class _Waiting(NamedTuple):
    number: int
    admitted: Admitted


class _Link(asyncio.Protocol):
    """One connection of one event loop to the owner."""

    def __init__(self, origin: str, loop: asyncio.AbstractEventLoop, damaged: Telling, left: Noting) -> None:
        self._origin = origin
        self._damaged = damaged
        self._left = left
        self._loop = loop
        self._frames = Frames()
        self._greeted = False
        self._numbers = itertools.count()
        self._gate: deque[_Waiting] = deque()
        self._transport: asyncio.Transport | None = None
        self._asked: dict[int, tuple[Admitted, asyncio.Future[Told]]] = {}
        self.lost = False

    @property
    def waiting(self) -> int:
        """How many submissions are not answered yet."""
        return len(self._asked)

    def submit(self, admitted: Admitted) -> asyncio.Future[Told]:
        """Queue a submission; those of one turn of the loop travel together."""
        future: asyncio.Future[Told] = self._loop.create_future()
        number = next(self._numbers)
        self._asked[number] = (admitted, future)
        if not self._gate:
            self._loop.call_soon(self._hand_over)
        self._gate.append(_Waiting(number, admitted))
        if len(self._gate) == _FULL:
            self._hand_over()
        return future

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet, and send what waits."""
        self._transport = cast(asyncio.Transport, transport)  # a socket's transport both reads and writes
        self._transport.write(greeting(self._origin))
        self._hand_over()

    def data_received(self, data: bytes) -> None:
        """Settle whoever an answer came for."""
        try:
            for frame in self._frames.feed(data):
                if self._greeted:
                    self._settle(frame)
                else:
                    require_greeting(frame, self._origin)
                    self._greeted = True
        except FrameError as failure:
            self.fail(failure)
            if self._transport is not None:
                self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell everybody who waits that nothing is known."""
        self.fail(LedgerUnavailable(_GONE))

    def fail(self, failure: LedgerError) -> None:
        """End the link: whoever waits is told."""
        self.lost = True
        asked, self._asked = self._asked, {}
        for _, future in asked.values():
            if not future.done():
                future.set_exception(failure)

    def close(self) -> None:
        """Close the connection."""
        self.fail(LedgerClosed("the ledger is closed"))
        if self._transport is not None:
            self._transport.close()

    def _hand_over(self) -> None:
        while self._transport is not None and self._gate:
            self._transport.write(submissions(take(self._gate)))

    def _settle(self, frame: bytes) -> None:
        note, outcomes = read_answers(frame)
        if note:
            self._left(note)
        for number, packed in outcomes:
            if number == EVERYBODY:
                self._damaged(read_damage(packed))
                continue
            asked = self._asked.get(number)
            if asked is None:
                raise FrameError("an answer that nobody asked for")
            admitted, future = asked
            told = _told(unpack(admitted, packed), note)
            del self._asked[number]  # not before: what cannot be unpacked ends the link, and every caller is told
            if future.done():  # the caller gave up
                continue
            if isinstance(told, LedgerError):
                future.set_exception(told)
            else:
                future.set_result(told)


class SharedAppender:
    """Appends through the owner at `path`; `submit` belongs to an event loop, `append_blocking` to any thread.

    `damaged` is told when the owner appends and publishes nothing more; `left` has each checkpoint that the owner
    signed with an append of this process, before its callers.
    """

    def __init__(
        self,
        path: Path,
        origin: str,
        capacity: int = 4096,
        damaged: Telling = lambda _damage: None,
        left: Noting = lambda _note: None,
    ) -> None:
        self._path = path
        self._origin = origin
        self._capacity = capacity
        self._damaged = damaged
        self._left = left
        self._links: WeakKeyDictionary[asyncio.AbstractEventLoop, _Link] = WeakKeyDictionary()
        self._last: tuple[asyncio.AbstractEventLoop | None, _Link | None] = (None, None)
        self._closed = False
        self._blocking: socket.socket | None = None
        self._frames = Frames()
        self._arrived: deque[bytes] = deque()
        self._guard = threading.Lock()
        self._connecting: set[asyncio.Task[None]] = set()

    def submit(self, admitted: Admitted) -> asyncio.Future[Told]:
        """Queue a submission from a running event loop; cancelling the future does not take it back.

        Raises:
            LedgerOverloaded: too many wait already.
            LedgerClosed: the ledger was closed.
        """
        loop = asyncio.get_running_loop()
        last, link = self._last
        if loop is not last or link is None or link.lost:
            link = self._link(loop)
        if link.waiting >= self._capacity:
            raise LedgerOverloaded(f"{self._capacity} submissions are waiting already")
        return link.submit(admitted)

    def _link(self, loop: asyncio.AbstractEventLoop) -> _Link:
        if self._closed:
            raise LedgerClosed("the ledger is closed")
        link = self._links.get(loop)
        if link is None or link.lost:
            link = self._links[loop] = _Link(self._origin, loop, self._damaged, self._left)
            task = loop.create_task(self._connect(link))
            self._connecting.add(task)
            task.add_done_callback(self._connecting.discard)
        self._last = (loop, link)
        return link

    async def _connect(self, link: _Link) -> None:
        try:
            await asyncio.get_running_loop().create_unix_connection(lambda: link, str(self._path))
        except OSError:
            # Nothing was sent, but whoever waits cannot tell that from a loss, and does the same in both cases.
            link.fail(LedgerUnavailable(_GONE))

    def append_blocking(self, admitted: Admitted) -> Told:
        """Append and block this thread until it is durable; one at a time."""
        with self._guard:
            if self._closed:
                raise LedgerClosed("the ledger is closed")
            try:
                told = self._exchange(admitted)
            except (OSError, FrameError) as failure:
                self._hang_up()
                raise LedgerUnavailable(_GONE) from failure
        if isinstance(told, LedgerError):
            raise told
        return told

    def _exchange(self, admitted: Admitted) -> Told | LedgerError:
        connection = self._blocking
        if connection is None:
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self._blocking, self._frames, self._arrived = connection, Frames(), deque()
            connection.connect(str(self._path))
            connection.sendall(greeting(self._origin))
            require_greeting(self._next_frame(connection), self._origin)
        connection.sendall(submissions([(0, admitted)]))
        note, outcomes = read_answers(self._next_frame(connection))
        while outcomes and outcomes[0][0] == EVERYBODY:
            self._damaged(read_damage(outcomes[0][1]))
            note, outcomes = read_answers(self._next_frame(connection))
        if note:
            self._left(note)
        return _told(unpack(admitted, outcomes[0][1]), note)

    def _next_frame(self, connection: socket.socket) -> bytes:
        while not self._arrived:
            data = connection.recv(1 << 20)
            if not data:
                raise FrameError("the connection ended")
            self._arrived.extend(self._frames.feed(data))
        return self._arrived.popleft()

    def _hang_up(self) -> None:
        if self._blocking is not None:
            self._blocking.close()
            self._blocking = None

    def close(self) -> None:
        """Close every connection; whoever waits is told."""
        self._closed = True
        with self._guard:
            self._hang_up()
        for loop, link in list(self._links.items()):
            if not loop.is_closed():
                loop.call_soon_threadsafe(link.close)


def _told(outcome: Outcome, note: bytes) -> Told | LedgerError:
    return complete(outcome, note) if isinstance(outcome, Accepted) else outcome
