"""The current state of each record: a fold of its entries, which can be dropped and computed again at any time."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from ledger.canonical import Json, format_time, microseconds, parse_time
from ledger.records.lifecycle import next_state

FACTS_GROUP = "facts"
"""The reserved group of a vaulted document under which the facts of the projection are kept."""

_BYTES_FACTS = ("subject", "case_key", "parent")
_TEXT_FACTS = ("unit", "matter", "item", "code", "grade")
FACT_NAMES = (*_BYTES_FACTS, *_TEXT_FACTS, "due_at")
"""What `Draft.facts` may set. Bytes are given in hex, times in ISO 8601 with a zone; null clears."""
_HEX = re.compile(r"(?:[0-9a-f]{2}){1,64}", re.ASCII)
_LONGEST_TEXT = 256
_NO_TEXT = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""Control characters, which stand in no name and no code (a database may not even take U+0000), and half characters."""
NO_FACTS = (None,) * len(FACT_NAMES)

Facts = Mapping[str, Any]
"""Facts as the projection stores them: bytes, text, microseconds or None, as the columns of `StoredRow` say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordRow:
    """The current state of one record. Nothing in it is personal in clear (`subject`, `case_key` are keyed)."""

    record: bytes
    family: str
    state: str
    seq: int
    first_idx: int
    last_idx: int
    opened_at: datetime
    changed_at: datetime
    subject: bytes | None = None
    case_key: bytes | None = None
    parent: bytes | None = None
    unit: str | None = None
    matter: str | None = None
    item: str | None = None
    code: str | None = None
    grade: str | None = None
    due_at: datetime | None = None


class StoredRow(NamedTuple):
    """A row of the table `record`, column for column; a tuple, because one is made for each append."""

    record: bytes
    family: int
    state: int
    seq: int
    first_idx: int
    last_idx: int
    opened_at: int
    changed_at: int
    subject: bytes | None = None
    case_key: bytes | None = None
    parent: bytes | None = None
    unit: str | None = None
    matter: str | None = None
    item: str | None = None
    code: str | None = None
    grade: str | None = None
    due_at: int | None = None


def normalise_facts(facts: Mapping[str, Json]) -> tuple[dict[str, Json], list[str]]:
    """Bring facts into the one form that is stored (times in UTC with microseconds); the mistakes found come second."""
    normal: dict[str, Json] = {}
    mistakes: list[str] = []
    for name, value in facts.items():
        if name not in FACT_NAMES:
            mistakes.append(f"unknown fact {name!r}")
        elif value is None:
            normal[name] = None
        else:
            try:
                normal[name] = _normal(name, value)
            except ValueError as failure:
                mistakes.append(f"fact {name!r} is {failure}")
    return normal, mistakes


def _normal(name: str, value: Json) -> str:
    if not isinstance(value, str):
        raise ValueError("not a text")
    if name in _BYTES_FACTS and _HEX.fullmatch(value) is None:
        raise ValueError("not 1 to 64 bytes in lower-case hex")
    if name in _TEXT_FACTS and not 0 < len(value) <= _LONGEST_TEXT:
        raise ValueError(f"empty or longer than {_LONGEST_TEXT}")
    if _NO_TEXT.search(value) is not None:
        raise ValueError("a text with control characters, or not well-formed Unicode")
    if name != "due_at":
        return value
    try:
        return format_time(datetime.fromisoformat(value))
    except ValueError:
        raise ValueError("not a time with a zone") from None


def read_facts(stored: Mapping[str, Json]) -> Facts:
    """Give stored facts the types of the projection's columns."""
    read: dict[str, bytes | str | int | None] = {}
    for name, value in stored.items():
        if value is None or name in _TEXT_FACTS:
            read[name] = None if value is None else str(value)
        elif name in _BYTES_FACTS:
            read[name] = bytes.fromhex(str(value))
        elif name == "due_at":
            read[name] = microseconds(parse_time(str(value)))
    return read


def open_row(record: bytes, opens: tuple[int, int], idx: int, at: int, facts: Facts) -> StoredRow:
    """Begin a record with its first entry, made at `at` (microseconds); `opens` are its family and state."""
    family, state = opens
    if not facts:
        return StoredRow(record, family, state, 0, idx, idx, at, at)
    return StoredRow(record, family, state, 0, idx, idx, at, at, **facts)


def fold(row: StoredRow, kind: str, idx: int, at: int, facts: Facts) -> StoredRow:
    """Apply a further entry to the state of its record; facts that are given overwrite, others stay.

    Raises:
        TransitionRefused: the lifecycle does not allow this entry in this state.
    """
    state = next_state(row.record, row.family, row.state, kind)
    changed: dict[str, Any] = {**facts, "state": state, "seq": row.seq + 1, "last_idx": idx, "changed_at": at}
    return row._replace(**changed)


def forget(row: StoredRow) -> StoredRow:
    """Clear every fact of a record whose documents are erased: what is left follows from the entries alone."""
    nothing: dict[str, Any] = dict.fromkeys(FACT_NAMES)
    return row._replace(**nothing)
