"""The owner: the one process that writes an SQLite ledger and holds its signing key.

One thread and no locks: it takes whatever has arrived from all who share the ledger, commits it as one batch, and
answers; while it commits, the next batch gathers in the sockets.
"""

from __future__ import annotations

import os
import selectors
import socket
import stat
import struct
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import structlog

from ledger.appends.admission import MOST_BYTES, Admitted
from ledger.appends.batches import MOST_SUBMISSIONS, take
from ledger.appends.identity import Identity
from ledger.appends.publishing import Publisher, Publishing, Signing, transactions
from ledger.appends.sequencer import Committed, Sequencer, load_tree
from ledger.appends.values import Accepted
from ledger.errors import (
    BatchSpoilt,
    LedgerClosed,
    LedgerDamaged,
    LedgerError,
    LedgerOverloaded,
    LedgerUnavailable,
    RememberedUnusable,
    StoreError,
)
from ledger.log.reader import LogReader
from ledger.log.remembered import Remembered
from ledger.log.store import Store, open_store, read_head
from ledger.log.tiles import TileCache
from ledger.sharing.frames import (
    FrameError,
    Frames,
    Outcome,
    answers,
    damaged,
    greeting,
    read_submissions,
    require_greeting,
)

_log = structlog.get_logger()
_RECEIVE = 1 << 20
_MOST_UNREAD = 256 << 20
"""Bytes of answers that a process may leave unread before it is cut off."""


class _Peer:
    """One process that shares the ledger."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.frames = Frames()
        self.greeted = False
        self.unsent = bytearray()


class _Waiting(NamedTuple):
    peer: _Peer
    number: int
    admitted: Admitted


class Owner:
    """Serves one sequencer on a unix socket; `serve` belongs to one thread, `run` and `stop` may be called from any.

    `damaged` is told of damage before anybody else is.
    """

    def __init__(
        self,
        commit: Callable[[Sequence[Admitted]], Committed[Accepted]],
        path: Path,
        origin: str,
        capacity: int = 4096,
        damaged: Callable[[LedgerDamaged], None] = lambda _damage: None,
    ) -> None:
        self._commit = commit
        self._damaged = damaged
        self._path = path
        self._origin = origin
        self._capacity = capacity
        self._selector = selectors.DefaultSelector()
        self._queue: deque[_Waiting] = deque()
        self._queued = 0
        """Bytes of what waits in the queue."""
        self._jobs: deque[tuple[Callable[[], None], Future[None]]] = deque()
        self._woken, self._waker = os.pipe()
        self._stopping = threading.Event()
        self._damage: LedgerDamaged | None = None
        self._failed: LedgerDamaged | None = None
        """Damage that also those must hear of who wait for something else than an answer of this process."""
        self._told = False
        self._tell: Callable[[LedgerDamaged], None] = _ignore
        self._listener = _listen(path)
        self._selector.register(self._listener, selectors.EVENT_READ, None)
        self._selector.register(self._woken, selectors.EVENT_READ, None)

    def run(self, job: Callable[[], None]) -> None:
        """Run a function between two batches, and block until it is done.

        Raises:
            LedgerClosed, LedgerDamaged: nothing is written any more; whatever the function raises.
        """
        done: Future[None] = Future()
        if self._damage is not None:
            raise LedgerDamaged(str(self._damage)) from self._damage
        if self._stopping.is_set():
            raise LedgerClosed("the ledger is closed")
        self._jobs.append((job, done))
        self._wake()
        done.result()

    def fail(self, damage: LedgerDamaged) -> None:
        """Append nothing more, and tell everybody who asks, or waits, of the damage; from any thread."""
        self._damage = damage
        self._damaged(damage)
        self._failed = damage
        self._tell(damage)
        self._wake()

    def watch(self, tell: Callable[[LedgerDamaged], None]) -> None:
        """Have `tell` called, on the thread that found it, when nothing is appended any more."""
        self._tell = tell

    def stop(self) -> None:
        """Commit what has arrived, answer it, and let `serve` return."""
        self._stopping.set()
        self._wake()

    def serve(self) -> None:
        """Serve until `stop`; the socket is removed at the end."""
        try:
            while not self._stopping.is_set():
                self._receive(None if not self._queue else 0)
                self._turn()
            while self._queue:
                self._turn()
            self._turn()  # whoever waits hears of damage that was found last
            self._flush_all()
        finally:
            self._close()

    def _turn(self) -> None:
        while self._jobs:
            job, done = self._jobs.popleft()
            try:
                job()
            except BaseException as failure:  # whoever waits for the job hears of it, whatever it is
                done.set_exception(failure)
            else:
                done.set_result(None)
        if self._queue:
            self._commit_batch()
        if self._failed is not None and not self._told:
            self._told = True
            for key in list(self._selector.get_map().values()):
                if isinstance(key.data, _Peer) and key.data.greeted:
                    self._send(key.data, damaged(self._failed))

    def _receive(self, timeout: float | None) -> None:
        """Take what has arrived, until nothing is ready or a batch is full."""
        while len(self._queue) < MOST_SUBMISSIONS and self._queued < MOST_BYTES:
            events = self._selector.select(timeout)
            if not events:
                return
            for key, ready in events:
                self._on_ready(key, ready)
            if self._stopping.is_set() or (self._jobs and not self._queue) or self._failed is not None:
                return
            timeout = 0 if self._queue else timeout

    def _on_ready(self, key: selectors.SelectorKey, ready: int) -> None:
        if key.fileobj is self._listener:
            self._accept()
        elif key.fileobj == self._woken:
            os.read(self._woken, 4096)
        else:
            peer: _Peer = key.data
            if ready & selectors.EVENT_WRITE:
                self._flush(peer)
            if ready & selectors.EVENT_READ:
                self._read(peer)

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        if struct.unpack("3i", credentials)[1] not in (0, os.geteuid()):
            connection.close()
            return
        connection.setblocking(False)
        peer = _Peer(connection)
        self._selector.register(connection, selectors.EVENT_READ, peer)
        self._send(peer, greeting(self._origin))

    def _read(self, peer: _Peer) -> None:
        try:
            data = peer.connection.recv(_RECEIVE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._drop(peer)
            return
        try:
            for frame in peer.frames.feed(data):
                self._on_frame(peer, frame)
        except FrameError as failure:
            _log.warning("a process was cut off", error=str(failure))
            self._drop(peer)

    def _on_frame(self, peer: _Peer, frame: bytes) -> None:
        if not peer.greeted:
            require_greeting(frame, self._origin)
            peer.greeted = True
            if self._told and self._failed is not None:
                self._send(peer, damaged(self._failed))
            return
        refused: list[tuple[int, Admitted, Outcome]] = []
        for number, admitted in read_submissions(frame):
            if self._damage is not None:
                refused.append((number, admitted, self._damage))
            elif len(self._queue) >= self._capacity:
                overloaded = LedgerOverloaded(f"{self._capacity} submissions are waiting already")
                refused.append((number, admitted, overloaded))
            else:
                self._queue.append(_Waiting(peer, number, admitted))
                self._queued += admitted.weight
        if refused:
            self._send(peer, answers(b"", refused))

    def _commit_batch(self) -> None:
        batch = take(self._queue)
        self._queued -= sum([waiting.admitted.weight for waiting in batch])
        try:
            self._answer(batch)
        except BatchSpoilt:
            for waiting in batch:
                self._answer([waiting])

    def _answer(self, batch: Sequence[_Waiting]) -> None:
        """Commit, and send everybody what became of it; raises `BatchSpoilt`."""
        note, outcomes = self._outcomes(batch)
        by_peer: dict[_Peer, list[tuple[int, Admitted, Outcome]]] = {}
        for (peer, number, admitted), outcome in zip(batch, outcomes, strict=True):
            by_peer.setdefault(peer, []).append((number, admitted, outcome))
        for peer, told in by_peer.items():
            self._send(peer, answers(note, told))

    def _outcomes(self, batch: Sequence[_Waiting]) -> tuple[bytes, Sequence[Outcome]]:
        if self._damage is not None:
            return b"", [self._damage] * len(batch)
        try:
            committed = self._commit([waiting.admitted for waiting in batch])
        except LedgerDamaged as damage:
            _log.error("appending stopped", error=str(damage))
            self.fail(damage)
            return b"", [damage] * len(batch)
        except BatchSpoilt:
            raise
        except LedgerError as failure:
            return b"", [failure] * len(batch)
        except Exception as failure:  # the owner must live on, and every caller must hear of it
            _log.exception("a batch could not be committed")
            unknown = LedgerUnavailable(f"the batch could not be committed ({type(failure).__name__})")
            return b"", [unknown] * len(batch)
        return committed.note, committed.outcomes

    def _send(self, peer: _Peer, data: bytes) -> None:
        if peer.connection.fileno() < 0:  # it has gone; its entries stand, and its repeat finds them
            return
        peer.unsent += data
        self._flush(peer)

    def _flush(self, peer: _Peer) -> None:
        try:
            while peer.unsent:
                sent = peer.connection.send(peer.unsent)
                del peer.unsent[:sent]
        except BlockingIOError:
            pass
        except OSError:
            self._drop(peer)
            return
        if len(peer.unsent) > _MOST_UNREAD:
            self._drop(peer)
            return
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if peer.unsent else 0)
        if self._selector.get_key(peer.connection).events != events:
            self._selector.modify(peer.connection, events, peer)

    def _flush_all(self) -> None:
        for key in list(self._selector.get_map().values()):
            if isinstance(key.data, _Peer) and key.data.unsent:
                key.data.connection.setblocking(True)
                key.data.connection.settimeout(5)
                with suppress(OSError):
                    key.data.connection.sendall(key.data.unsent)

    def _drop(self, peer: _Peer) -> None:
        if peer.connection.fileno() >= 0:
            self._selector.unregister(peer.connection)
            peer.connection.close()

    def _wake(self) -> None:
        with suppress(OSError):
            os.write(self._waker, b"\x00")

    def _close(self) -> None:
        for key in list(self._selector.get_map().values()):
            if isinstance(key.data, _Peer):
                self._drop(key.data)
        self._path.unlink(missing_ok=True)
        self._listener.close()
        self._selector.close()
        os.close(self._woken)
        os.close(self._waker)
        while self._jobs:
            self._jobs.popleft()[1].set_exception(LedgerClosed("the ledger is closed"))


@contextmanager
def open_owner(
    url: str,
    path: Path,
    *,
    identity: Identity,
    now: Callable[[], datetime],
    publishing: Publishing | None = None,
    capacity: int = 4096,
    seen: Remembered | None = None,
) -> Iterator[Owner]:
    """Become the one writer of a ledger, and listen on the socket `path`; `Owner.serve` then serves.

    `seen` is what is known of the log outside its database; the newest checkpoint is remembered there at the end, or
    as soon as damage is found.

    Raises:
        As `Ledger.open`; at the end, LogShrunk or LedgerDamaged if the log does not continue what was remembered.
    """
    publishing = publishing or Publishing()
    left: Callable[[bytes], None] = _ignore if seen is None else seen.left

    def hold(damage: LedgerDamaged) -> None:
        if seen is None:
            return
        try:
            seen.hold(damage, identity.verifiers, identity.origin)
        except OSError as failure:
            _log.critical("the newest checkpoint could not be remembered", error=str(failure))

    store = open_store(url, readers=2)
    owner = publisher = None
    try:
        store.start_writing()
        with store.reading() as connection:
            load_tree(connection, read_head(connection), identity)
        if seen is not None:
            seen.require(store, identity.verifiers, identity.origin)
        inline = publishing.signing is Signing.INLINE
        sequencer = Sequencer(store, identity, now, lambda filled: None, _as_accepted, inline=inline, left=left)
        owner = Owner(sequencer.commit, path, identity.origin, capacity, hold)
        if publishing.needs_publisher:
            reader = LogReader(store, TileCache())
            publisher = Publisher(
                store, reader, identity, publishing, commit=transactions(store, owner.run),
                published=_ignore, witnessed=_ignore, failed=owner.fail, now=now, left=left,
            )  # fmt: skip
            publisher.start()
        yield owner
        if publisher is not None:
            publisher.close()
        if seen is not None:
            _remember(seen, store, identity)
    finally:
        if publisher is not None:
            publisher.close()
        store.close()


def _remember(seen: Remembered, store: Store, identity: Identity) -> None:
    try:
        seen.advance(store, identity.verifiers, identity.origin)
    except (LedgerUnavailable, RememberedUnusable, OSError) as failure:
        _log.warning("the newest checkpoint could not be remembered", error=str(failure))


def _as_accepted(accepted: Accepted, _note: bytes) -> Accepted:
    """Leave receipts to who is told, who is sent the note once for all of a batch."""
    return accepted


def _ignore(_told: object) -> None:
    """Those who wait look at the head row themselves: they are in other processes."""


def _listen(path: Path) -> socket.socket:
    """Listen on a socket that only this user can reach; the caller holds the ledger's lock, so a leftover is stale.

    Raises:
        StoreError: there cannot be a socket at this path, or there is something else.
    """
    with suppress(FileNotFoundError):
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise StoreError(f"{path} is not a socket, and stays: have the owner listen elsewhere")
        path.unlink()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        listener.bind(str(path))
    except OSError as failure:
        listener.close()
        raise StoreError(f"the owner cannot listen at {path}: {failure}") from failure
    finally:
        os.umask(before)
    listener.listen(128)
    listener.setblocking(False)
    return listener
