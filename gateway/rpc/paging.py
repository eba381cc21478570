"""Pages end by bytes as well as by number: a response that is larger than the server sends is no response.

And where in the ledger a caller wants to go on.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeVar

from google.protobuf.message import Message

from gateway.errors import InvalidRequest, Violation
from gateway.rules.admission import Mistakes

Part = TypeVar("Part", bound=Message)
Part_contra = TypeVar("Part_contra", bound=Message, contravariant=True)

LONGEST_PAGE = 1 << 20
"""Bytes; gRPC clients take 4 MiB by default."""
_AROUND = 12
"""Bytes around a part within its page, at most: its field, and its length."""
_LONGEST_TOKEN = 18
"""Digits of a place in the ledger that a database can compare with."""
_BIGGEST = 2**62


class Parts(Protocol[Part_contra]):
    """The repeated field of a page."""

    def append(self, value: Part_contra, /) -> None:
        """Add one more."""
        ...


def page_bytes(max_message_bytes: int) -> int:
    """Say how many bytes of parts a page may have, where messages of a size are sent; the rest is for the others."""
    return min(max_message_bytes // 2, LONGEST_PAGE)


def position_of(token: str, mistakes: Mistakes) -> int | None:
    """Read a page token that is a place in the ledger; None on the first page, and what none gave out is a mistake."""
    if not token:
        return None
    if not (token.isascii() and token.isdigit() and len(token) <= _LONGEST_TOKEN):
        mistakes.add("page_token", "is not one that this list gave out", "翻页标记有误。")
        return None
    return int(token)


def bounded(where: str, value: int) -> int:
    """Read an index or a size that the ledger can be asked for.

    Raises:
        InvalidRequest: no ledger will ever be so large.
    """
    if value > _BIGGEST:
        raise InvalidRequest([Violation(field=where, description="is too large", chinese="数值过大。")])
    return value


def fill(page: Parts[Part], parts: Iterable[Part], most: int) -> int:
    """Add parts to a page as long as they fit into so many bytes, the first in any case; returns how many it added."""
    added, left = 0, most
    for part in parts:
        left -= part.ByteSize() + _AROUND
        if left < 0 and added:
            break
        page.append(part)
        added += 1
    return added
