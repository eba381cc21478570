"""Canonical JSON (RFC 8785) in a profile that has one spelling for each value, and times in one spelling.

The profile: objects with ASCII keys, arrays, strings without lone surrogates, integers of magnitude below 2^53, true,
false, null. No floats.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import orjson

from ledger.errors import CanonicalError

Json = str | int | bool | None | list["Json"] | dict[str, "Json"] | Mapping[str, "Json"] | tuple["Json", ...]
"""A value of the profile."""

_LARGEST = (1 << 53) - 1
_DEEPEST = 64
_SCALARS = frozenset({str, bool, type(None)})
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_newest_second = (0, "1970-01-01T00:00:00")
"""The second that was written last, as its number and its text: times to be written come in their order."""
_AT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", re.ASCII)


def canonical(value: Json, inside: int = 0) -> bytes:
    """Encode a value of the profile in its one canonical form.

    `inside` is how many levels of objects and arrays will be put around it: the depth counts from the outermost.

    Raises:
        CanonicalError: the value is outside the profile. The message never shows the value.
    """
    plain = value if type(value) in _SCALARS or _is_plain(value, inside) else _plain(value, inside)
    try:
        return orjson.dumps(plain, option=orjson.OPT_SORT_KEYS)
    except (orjson.JSONEncodeError, UnicodeEncodeError):
        _plain(value, inside)  # names any other fault, such as a key that is a text of another type
        raise CanonicalError("a string is not well-formed Unicode") from None


def _is_plain(value: object, depth: int) -> bool:
    """Tell whether a value is in the profile and of the types that the encoder takes as they are.

    What cannot be told so quickly, faults included, is left to `_plain`, which names them.
    """
    kind = type(value)
    if kind is dict:
        try:
            if not "".join(value).isascii():  # type: ignore[arg-type] # all keys at once
                return False
        except TypeError:  # a key is no text
            return False
        inner = value.values()  # type: ignore[attr-defined]
    elif kind is list or kind is tuple:
        inner = value
    else:
        return kind is int and -_LARGEST <= value <= _LARGEST  # type: ignore[operator]
    if depth >= _DEEPEST:
        return False
    for item in inner:  # noqa: SIM110  a generator would cost more than what it checks
        if type(item) not in _SCALARS and not _is_plain(item, depth + 1):
            return False
    return True


def _plain(value: Json, depth: int) -> object:
    if depth > _DEEPEST:
        raise CanonicalError(f"nested deeper than {_DEEPEST}")
    kind = type(value)
    if value is None or kind is bool or kind is str:
        return value
    if isinstance(value, int) and kind is int:
        if not -_LARGEST <= value <= _LARGEST:
            raise CanonicalError("an integer is not below 2^53 in magnitude")
        return value
    if isinstance(value, Mapping):
        if not all(type(key) is str and key.isascii() for key in value):
            raise CanonicalError("a key is not an ASCII string")
        return {key: _plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, depth + 1) for item in value]
    raise CanonicalError(f"a {kind.__name__} has no canonical form")


def parse_canonical(data: bytes) -> Json:
    """Decode canonical bytes; anything that encodes differently (duplicate keys, spaces, floats, escapes) is refused.

    Raises:
        CanonicalError: the bytes are not JSON, or not in canonical form.
    """
    value = parse_own(data)
    if canonical(value) != data:
        raise CanonicalError("JSON is not in canonical form")
    return value


def parse_own(data: bytes) -> Json:
    """Decode canonical bytes that nobody else can have written, such as what an authenticated cipher gives back.

    Whether they are in canonical form is not looked at, which is most of the work of `parse_canonical`.

    Raises:
        CanonicalError: the bytes are not JSON.
    """
    try:
        value: Json = orjson.loads(data)
    except (orjson.JSONDecodeError, RecursionError):
        raise CanonicalError("not JSON") from None
    return value


def format_time(at: datetime) -> str:
    """Write an aware time in UTC with microseconds: always 27 characters, which sort as the times do.

    Raises:
        ValueError: the time has no zone.
    """
    return stamp(at)[1]


def stamp(at: datetime) -> tuple[int, str]:
    """Give an aware time both as microseconds since 1970 and as `format_time` writes it.

    Raises:
        ValueError: the time has no zone.
    """
    global _newest_second  # noqa: PLW0603  replaced as a whole, so that threads can only miss it
    if at.tzinfo is None:
        raise ValueError("a time without a zone")
    passed = at - _EPOCH
    second, rest = passed.days * 86_400 + passed.seconds, passed.microseconds
    known, text = _newest_second
    if second != known:
        text = (_EPOCH + timedelta(seconds=second)).isoformat()[:19]
        _newest_second = (second, text)
    return second * 1_000_000 + rest, f"{text}.{rest:06d}Z"


def microseconds(at: datetime) -> int:
    """Count the microseconds from 1970 UTC to an aware time, exactly."""
    passed = at - _EPOCH
    return (passed.days * 86_400 + passed.seconds) * 1_000_000 + passed.microseconds


def from_microseconds(count: int) -> datetime:
    """Return the time in UTC that is `count` microseconds after 1970."""
    return _EPOCH + timedelta(microseconds=count)


def parse_time(text: str) -> datetime:
    """Read a time written by `format_time`; raises ValueError for any other spelling."""
    if _AT.fullmatch(text) is None:
        raise ValueError("not a time of the form 2026-01-31T08:00:00.000000Z")
    at = datetime.fromisoformat(text)
    if format_time(at) != text:  # some versions of Python read hour 24 as the next day
        raise ValueError("not a time in its one spelling")
    return at
