"""What a check remembers of how far it came, so that an interrupted one can go on, and a later one skip.

Whoever can write this file can make a check skip what it should read: keep it where only the one who checks can write.
"""

from __future__ import annotations

import base64
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ledger.durable_file import replace_file
from ledger.errors import ResumeRefused

_FORMAT = "chengxin/fsck@v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordsDone:
    """How far the records of a log of `size` entries were checked: the first `parts` of `of`."""

    size: int
    parts: int
    of: int
    entries: int
    records: int
    indexes: tuple[tuple[int, dict[str, str]], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FsckState:
    """What was verified without any damage of the log `origin`."""

    origin: str
    hashed: bool
    """Whether entries were hashed, or only tiles."""
    opened: bool
    """Whether documents were opened."""
    size: int
    root: bytes
    note: bytes
    """A checkpoint, signed of these entries or more."""
    checkpoints: int
    records: RecordsDone | None = None


def write_state(path: Path, state: FsckState) -> None:
    """Replace the file at once: after a crash there is the old one or the new one."""
    done = state.records
    records = None if done is None else asdict(done)
    value = {
        "format": _FORMAT,
        "origin": state.origin,
        "hashed": state.hashed,
        "opened": state.opened,
        "size": state.size,
        "root": state.root.hex(),
        "checkpoint": base64.b64encode(state.note).decode(),
        "checkpoints": state.checkpoints,
        "records": records,
    }
    replace_file(path, json.dumps(value).encode())


def read_state_file(path: Path) -> FsckState | None:
    """Read the file; None if there is none.

    Raises:
        ResumeRefused: it is not such a file.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as failure:
        raise ResumeRefused(f"{path} cannot be read ({type(failure).__name__})") from None
    return read_state(text)


def read_state(text: str) -> FsckState:
    """Read what `write_state` wrote; raises `ResumeRefused`."""
    try:
        return _read(json.loads(text))
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as failure:
        raise ResumeRefused(f"not the state of a check ({type(failure).__name__})") from None


def _read(value: dict[str, Any]) -> FsckState:
    if value["format"] != _FORMAT:
        raise ValueError("another format")
    done = value["records"]
    return FsckState(
        origin=str(value["origin"]),
        hashed=bool(value["hashed"]),
        opened=bool(value["opened"]),
        size=int(value["size"]),
        root=bytes.fromhex(value["root"]),
        note=base64.b64decode(value["checkpoint"], validate=True),
        checkpoints=int(value["checkpoints"]),
        records=None if done is None else _read_records(done),
    )


def _read_records(done: dict[str, Any]) -> RecordsDone:
    counts = {name: int(done[name]) for name in ("size", "parts", "of", "entries", "records")}
    indexes = tuple((int(index), {str(k): str(v) for k, v in commits.items()}) for index, commits in done["indexes"])
    return RecordsDone(indexes=indexes, **counts)
