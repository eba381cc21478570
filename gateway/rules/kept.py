"""Read back what was kept: documents are canonical JSON of shapes that this program wrote itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from ledger.canonical import Json


def table(value: Json) -> Mapping[str, Json]:
    """Take a kept value as a table.

    Raises:
        TypeError: the document is not of the shape that this version writes.
    """
    if not isinstance(value, (dict, Mapping)):  # a plain dict is told at once, an abstract Mapping slowly
        raise TypeError("a table is kept here")
    return value


def rows(value: Json) -> Sequence[Json]:
    """Take a kept value as a list; raises `TypeError`."""
    if not isinstance(value, list | tuple):
        raise TypeError("a list is kept here")
    return value


def text(value: Json) -> str:
    """Take a kept value as a text; raises `TypeError`."""
    if not isinstance(value, str):
        raise TypeError("a text is kept here")
    return value


def number(value: Json) -> int:
    """Take a kept value as a whole number; raises `TypeError`."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError("a number is kept here")
    return value


def moment(value: Json) -> datetime | None:
    """Take a kept value as a time with a zone, or nothing; raises `TypeError` or `ValueError`."""
    return None if value is None else datetime.fromisoformat(text(value))
