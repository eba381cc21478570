"""Structured logs (JSON lines) that carry ids, digests and codes, and nothing about a person.

What may be logged is listed, not what may not: a field that is not on the list is dropped by name, so a careless
call loses a detail instead of leaking a name.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import MutableMapping
from contextlib import suppress
from typing import Any, TextIO, cast

import orjson
import structlog

ALLOWED = frozenset(
    {
        "address", "advice", "attempts", "authority", "bytes", "caller", "catalogue", "cause", "certificate_expires",
        "code", "count", "deadline_ms", "done", "duration_ms", "entry", "error", "event", "fact_type", "file", "index",
        "item", "level", "list", "matter", "method", "origin", "outcome", "peer", "pid", "policy", "problem", "reason",
        "record", "result", "role", "service", "signal", "size", "source", "stamp_ahead", "state", "step", "timestamp",
        "total", "unit", "url", "verdict", "version", "why", "witness",
    }
)  # fmt: skip


def _only_allowed(_logger: object, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    dropped = [key for key in event if key not in ALLOWED]
    for key in dropped:
        del event[key]
    if dropped:
        event["dropped"] = sorted(dropped)
    return event


def _render(_logger: object, _name: str, event: MutableMapping[str, Any]) -> str:
    return orjson.dumps(event, default=lambda _value: "unprintable", option=orjson.OPT_SORT_KEYS).decode()


class _Unfailing:
    """Where lines are written: what cannot be (a full disk, a reader that is gone) is counted, and fails nobody.

    A call that is recorded is answered, whatever becomes of the line about it. Nothing goes through the stream's own
    buffer, which would keep what could not be written, and write it later: a line is written or lost, and counted once.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lost = 0
        self._rest = b""
        """Of a line that was written in part; it is finished before anything else is written."""

    def write(self, text: str) -> None:
        """Write a line, and before it how many were lost, where some were."""
        try:
            self._finish()
            if self._lost:
                self._begin(_lost_before(self._lost))
                self._lost = 0
                self._finish()
            self._begin(text)
        except (OSError, ValueError):  # ValueError: the stream is closed
            self._lost += 1
            return
        with suppress(OSError, ValueError):
            self._finish()

    def _begin(self, line: str) -> None:
        """Write a line or its beginning.

        Raises:
            OSError: none of it can be written.
            ValueError: the stream is closed.
        """
        try:
            descriptor = self._stream.fileno()
        except io.UnsupportedOperation:  # a stream in memory
            self._stream.write(line)
            self._stream.flush()
            return
        encoded = line.encode(self._stream.encoding, self._stream.errors or "strict")
        self._rest = encoded[os.write(descriptor, encoded) :]

    def _finish(self) -> None:
        while self._rest:
            self._rest = self._rest[os.write(self._stream.fileno(), self._rest) :]

    def flush(self) -> None:
        """Do nothing: every line is written at once."""


def _lost_before(count: int) -> str:
    return orjson.dumps({"count": count, "event": "log lines were lost", "level": "warning"}).decode() + "\n"


def configure(stream: TextIO | None = None, *, level: int = 20) -> None:
    """Send JSON lines to `stream` (standard error by default), at `level` and above (20 is info).

    What cannot be written is lost, and how many lines were is said in the next that can.
    """
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _only_allowed,
            _render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=cast(TextIO, _Unfailing(stream or sys.stderr))),
        cache_logger_on_first_use=False,
    )
