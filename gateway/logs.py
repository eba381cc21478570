"""Structured logs (JSON lines) that carry ids, digests and codes, and nothing about a person.

What may be logged is listed, not what may not: a field that is not on the list is dropped by name, so a careless
call loses a detail instead of leaking a name.
"""

from __future__ import annotations

import sys
from collections.abc import MutableMapping
from typing import Any, TextIO

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


def configure(stream: TextIO | None = None, *, level: int = 20) -> None:
    """Send JSON lines to `stream` (standard error by default), at `level` and above (20 is info)."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _only_allowed,
            _render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=stream or sys.stderr),
        cache_logger_on_first_use=False,
    )
