"""The current state of each record: a fold of its entries, which can be dropped and computed again at any time."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from ledger.canonical import Json, format_time, parse_time
from ledger.records.codec import Entry
from ledger.records.lifecycle import FAMILY_OF, next_state

FACTS_GROUP = "facts"
"""The reserved group of a vaulted document under which the facts of the projection are kept."""

_BYTES_FACTS = ("subject", "case_key", "parent")
_TEXT_FACTS = ("unit", "matter", "item", "code", "grade")
FACT_NAMES = (*_BYTES_FACTS, *_TEXT_FACTS, "due_at")
"""What `Draft.facts` may set. Bytes are given in hex, times in ISO 8601 with a zone; null clears."""
_HEX = re.compile(r"(?:[0-9a-f]{2}){1,64}", re.ASCII)
_LONGEST_TEXT = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordRow:
    """The current state of one record. Nothing in it is personal in clear (`subject`, `case_key` are keyed)."""

    record: bytes
    family: str
    state: str
    seq: int
    first_idx: int
    last_idx: int
    last_leaf_hash: bytes
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


Facts = Mapping[str, bytes | str | datetime | None]


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
    if name != "due_at":
        return value
    try:
        return format_time(datetime.fromisoformat(value))
    except ValueError:
        raise ValueError("not a time with a zone") from None


def read_facts(stored: Mapping[str, Json]) -> Facts:
    """Give stored facts the types of the projection's columns."""
    read: dict[str, bytes | str | datetime | None] = {}
    for name, value in stored.items():
        if value is None or name in _TEXT_FACTS:
            read[name] = None if value is None else str(value)
        elif name in _BYTES_FACTS:
            read[name] = bytes.fromhex(str(value))
        elif name == "due_at":
            read[name] = parse_time(str(value))
    return read


def fold(row: RecordRow | None, entry: Entry, idx: int, leaf_hash: bytes, facts: Facts) -> RecordRow:
    """Apply one entry to the state of its record; facts that are given overwrite, others stay.

    Raises:
        TransitionRefused: the lifecycle does not allow this entry in this state.
    """
    if row is None:
        state = next_state(entry.record, None, None, entry.kind)
        row = RecordRow(
            record=entry.record,
            family=FAMILY_OF[entry.kind].name,
            state=state,
            seq=entry.seq,
            first_idx=idx,
            last_idx=idx,
            last_leaf_hash=leaf_hash,
            opened_at=entry.at,
            changed_at=entry.at,
        )
    else:
        state = next_state(entry.record, row.family, row.state, entry.kind)
        row = replace(row, state=state, seq=entry.seq, last_idx=idx, last_leaf_hash=leaf_hash, changed_at=entry.at)
    return replace(row, **facts) if facts else row  # type: ignore[arg-type]  # read_facts gave each column its type


def forget(row: RecordRow) -> RecordRow:
    """Clear every fact of a record whose documents are erased: what is left follows from the entries alone."""
    return replace(
        row,
        subject=None,
        case_key=None,
        parent=None,
        unit=None,
        matter=None,
        item=None,
        code=None,
        grade=None,
        due_at=None,
    )
