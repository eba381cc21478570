"""Reading DER element by element (X.690), where a library gives no access to a part as it is written."""

from __future__ import annotations

from collections.abc import Iterator

SEQUENCE = 0x30


class NotDer(ValueError):
    """The bytes are cut short, or not of this form."""


def element(data: bytes, at: int, end: int) -> tuple[int, int, int]:
    """Read one element below `end`: its tag, where its content begins, and where it ends.

    Raises:
        NotDer: it does not fit.
    """
    if end - at < 2:
        raise NotDer("cut short")
    tag, length, start = data[at], data[at + 1], at + 2
    if length >= 0x80:
        octets = length & 0x7F
        if not 1 <= octets <= 4 or start + octets > end:
            raise NotDer("a length of another form")
        length, start = int.from_bytes(data[start : start + octets], "big"), start + octets
    if start + length > end:
        raise NotDer("cut short")
    return tag, start, start + length


def elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Give what is within the one element that `data` is: the tag of each element, and the whole of it.

    Raises:
        NotDer: something does not fit.
    """
    _, at, end = element(data, 0, len(data))
    while at < end:
        tag, _, after = element(data, at, end)
        yield tag, data[at:after]
        at = after
