"""Pages end by bytes as well as by number: a response that is larger than the server sends is no response."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeVar

from google.protobuf.message import Message

Part = TypeVar("Part", bound=Message)
Part_contra = TypeVar("Part_contra", bound=Message, contravariant=True)

LONGEST_PAGE = 1 << 20
"""Bytes; gRPC clients take 4 MiB by default."""
_AROUND = 12
"""Bytes around a part within its page, at most: its field, and its length."""


class Parts(Protocol[Part_contra]):
    """The repeated field of a page."""

    def append(self, value: Part_contra, /) -> None:
        """Add one more."""
        ...


def page_bytes(max_message_bytes: int) -> int:
    """Say how many bytes of parts a page may have, where messages of a size are sent; the rest is for the others."""
    return min(max_message_bytes // 2, LONGEST_PAGE)


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
