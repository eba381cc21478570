"""The processes of one gateway: some that answer calls at one address and, for SQLite, one that owns the ledger.

The parent answers nothing. It starts each part as a fresh process, says `ready` when all are, starts a part again that
ended by itself, and ends them all when it is told to end. A part whose parent is gone ends by itself. If a part finds
that the ledger is not what it must be, everything ends: starting again would not help.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import structlog

from gateway.bootstrap.refusals import EXIT_STATUS
from gateway.bootstrap.serving import Part
from gateway.config import Settings
from gateway.metrics import FOLDER, forget_process
from gateway.rpc.server import not_bound

_log = structlog.get_logger()
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0
"""Seconds before a part that ended is started again; doubled each time, until it has lived for a while."""
_LIVED = 60.0
_LOOK = 0.1


class _Child:
    """One part, started again and again."""

    def __init__(self, part: Part, command: Sequence[str], counted: Path) -> None:
        self.part = part
        self._command = command
        self._counted = counted
        self._pause = _FIRST_PAUSE
        self._started = self._ended = 0.0
        self.process: subprocess.Popen[str] | None = None
        self.ready = threading.Event()
        self.reload_due = False

    def start(self) -> None:
        """Start it. Its standard input stays open as long as this process lives."""
        self._started = time.monotonic()
        self.ready.clear()
        process = self.process = subprocess.Popen(  # noqa: S603  our own program
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, FOLDER: str(self._counted)},
        )
        threading.Thread(target=self._listen, args=(process,), daemon=True).start()

    def _listen(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("ready"):
                self.ready.set()

    def tend(self) -> int | None:
        """Start it again if it ended and its pause is over; returns the exit status it ended with just now."""
        process = self.process
        if process is not None and process.poll() is not None:
            self.process = None
            forget_process(self._counted, process.pid)
            self._ended = time.monotonic()
            lived = self._ended - self._started
            self._pause = _FIRST_PAUSE if lived > _LIVED else min(2 * self._pause, _LONGEST_PAUSE)
            return process.returncode
        if process is None and time.monotonic() - self._ended >= self._pause:
            self.start()
        return None

    def pass_on(self) -> None:
        """Pass on a SIGHUP that is due, once the part is ready: before that it would end of it."""
        if self.reload_due and self.ready.is_set():
            self.reload_due = False
            self.end(signal.SIGHUP)

    def end(self, sign: int) -> None:
        """Send it a signal."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(sign)

    def wait(self, seconds: float) -> None:
        """Wait until it has ended; kill it if it takes too long."""
        if self.process is None:
            return
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def run_workers(settings: Settings, config: Path, ready: Callable[[int], None]) -> int:
    """Run every part until SIGTERM or SIGINT; `ready` is told the port. Returns the exit status for this process.

    SIGHUP is passed on to every part that answers, and reloads its catalogue and its files of TLS.
    """
    stop, hang_up = threading.Event(), threading.Event()
    signal.signal(signal.SIGHUP, lambda *_: hang_up.set())
    for sign in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sign, lambda *_: stop.set())
    with (
        _reserved(settings.server.listen) as (address, port),
        tempfile.TemporaryDirectory(prefix="chengxin-") as counted,
    ):
        children = _children(settings, config, address, Path(counted))
        status = 0
        try:
            for child in children:  # one after the other: workers need the owner's socket
                child.start()
                status = _await(child, stop)
                if status:
                    return status
            ready(port)
            while not stop.wait(_LOOK):
                if hang_up.is_set():
                    hang_up.clear()
                    for child in children:
                        child.reload_due = child.part is not Part.OWNER
                status = _tend(children)
                if status:
                    return status
        finally:
            refused = _end(children, settings.server.drain.total_seconds())
    return EXIT_STATUS if refused else status


def _children(settings: Settings, config: Path, address: str, counted: Path) -> list[_Child]:
    parts = [Part.FIRST, *[Part.FURTHER] * (settings.server.workers - 1)]
    if settings.ledger.url.startswith("sqlite"):
        parts.insert(0, Part.OWNER)
    base = [sys.executable, "-m", "gateway", "serve", "--config", str(config), "--listen", address]
    return [_Child(part, [*base, "--part", part.value], counted) for part in parts]


def _await(child: _Child, stop: threading.Event) -> int:
    """Wait until a part is ready; its exit status if it ended instead."""
    while not child.ready.wait(_LOOK) and not stop.is_set():
        process = child.process
        if process is not None and process.poll() is not None:
            return process.returncode or 1
    return 0


def _tend(children: Sequence[_Child]) -> int:
    for child in children:
        status = child.tend()
        child.pass_on()
        if status is None:
            continue
        _log.error("a part ended", service=child.part.value, code=status)
        if status == EXIT_STATUS:
            return status
    return 0


def _end(children: Sequence[_Child], drain: float) -> bool:
    """End those who answer first, and the owner when nobody needs it any more; tells whether one refused the ledger
    while it ended."""
    answering = [child for child in children if child.part is not Part.OWNER]
    for group in (answering, [child for child in children if child.part is Part.OWNER]):
        for child in group:
            child.end(signal.SIGTERM)
        for child in group:
            child.wait(drain + 10)
    return any(child.process is not None and child.process.returncode == EXIT_STATUS for child in children)


@contextmanager
def _reserved(listen: str) -> Iterator[tuple[str, int]]:
    """Hold the address, so that port 0 is one port for all parts; nothing is accepted here.

    Raises:
        ConfigurationError: it cannot be bound.
    """
    host, _, port = listen.rpartition(":")
    family = socket.AF_INET6 if host.startswith("[") else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        try:
            holder.bind((host.strip("[]"), int(port)))
        except OSError as error:
            raise not_bound(listen) from error
        chosen = holder.getsockname()[1]
        yield f"{host}:{chosen}", chosen


def end_with_parent() -> None:
    """Let this process end as by SIGTERM when its parent is gone: then its standard input ends."""

    def watch() -> None:
        sys.stdin.read()
        signal.raise_signal(signal.SIGTERM)

    threading.Thread(target=watch, name="parent", daemon=True).start()
