"""The paths of a published log (https://c2sp.org/tlog-tiles, "Merkle Tree" and "Log entries").

    checkpoint
    tile/<L>/<N>[.p/<W>]            L from 0 to 63
    tile/entries/<N>[.p/<W>]        N as x001/x234/067, W from 1 to 255

Each resource has one path; any other spelling is malformed. Beside them lies `key-history`, which is not of tlog-tiles:
with it and the first key, whoever reads the log can follow a change of its keys.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ledger.errors import PathMalformed
from ledger.log.tiles import HEIGHT, WIDTH

CHECKPOINT = "checkpoint"
KEY_HISTORY = "key-history"
_ENTRIES = "entries"
_LARGEST = (1 << 63) - 1
_HIGHEST = 63
_FORM = re.compile(
    r"tile/(?P<level>entries|0|[1-9][0-9]?)/(?P<n>(?:x[0-9]{3}/){0,6}[0-9]{3})(?:\.p/(?P<width>[1-9][0-9]{0,2}))?",
    re.ASCII,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TilePath:
    """Tile `n` of a level, or entry bundle `n` (level None); `width` is 256 for a full one."""

    level: int | None
    n: int
    width: int = WIDTH

    def __str__(self) -> str:
        level = _ENTRIES if self.level is None else self.level
        partial = "" if self.width == WIDTH else f".p/{self.width}"
        return f"tile/{level}/{encode_index(self.n)}{partial}"

    @property
    def full(self) -> TilePath:
        """The path of the full tile or bundle of this number."""
        return TilePath(level=self.level, n=self.n)


def encode_index(n: int) -> str:
    """Write a tile number in groups of three digits, all but the last with an x: 1234067 is `x001/x234/067`."""
    groups = f"{n:,}".split(",")
    groups[0] = groups[0].zfill(3)
    return "/".join([*(f"x{group}" for group in groups[:-1]), groups[-1]])


def parse_path(path: str) -> TilePath:
    """Read the path of a tile or an entry bundle; total.

    Raises:
        PathMalformed: it is not such a path in its one spelling.
    """
    found = _FORM.fullmatch(path)
    if found is None:
        raise PathMalformed("not the path of a tile or an entry bundle")
    n = int(found["n"].replace("x", "").replace("/", ""))
    width = WIDTH if found["width"] is None else int(found["width"])
    level = None if found["level"] == _ENTRIES else int(found["level"])
    if found["width"] is not None and width >= WIDTH:
        raise PathMalformed("a partial tile has fewer than 256 hashes")
    if level is not None and level > _HIGHEST:
        raise PathMalformed("a level is at most 63")
    if n > _LARGEST or encode_index(n) != found["n"]:
        raise PathMalformed("the tile number has too many groups or leading zeroes")
    return TilePath(level=level, n=n, width=width)


def available(level: int | None, n: int, size: int) -> int:
    """Count the hashes (or entries) that tile `n` of a level has in a log of `size`: 0 to 256."""
    total = size >> (HEIGHT * (level or 0))
    return max(0, min(WIDTH, total - WIDTH * n))


def implied(size: int) -> Iterator[TilePath]:
    """List what a checkpoint of `size` implies: each bundle beside its tile, then the levels above, each by number."""
    for n in range(-(-size // WIDTH)):
        width = available(0, n, size)
        yield TilePath(level=0, n=n, width=width)
        yield TilePath(level=None, n=n, width=width)
    level = 1
    while total := size >> (HEIGHT * level):
        for n in range(-(-total // WIDTH)):
            yield TilePath(level=level, n=n, width=available(level, n, size))
        level += 1


def right_edge(size: int) -> Iterator[TilePath]:
    """List the partial tiles of a log of `size`, the lowest level first; the root is computed from them alone."""
    level = 0
    while total := size >> (HEIGHT * level):
        if total % WIDTH:
            yield TilePath(level=level, n=total // WIDTH, width=total % WIDTH)
        level += 1
