"""Whether something is an image of handwriting that may be kept: PNG or JPEG, whole, and no larger than allowed.

Whole is what can be told without drawing it: every chunk of a PNG (ISO/IEC 15948) with its checksum, every segment of a
JPEG (ITU-T T.81), in an order that has a picture in it, of a size a picture can have, and not a byte after the end.
"""

from __future__ import annotations

import re
import zlib

from gateway.errors import SignatureRefused

PNG, JPEG = "image/png", "image/jpeg"
_MOST_SIDE = 1 << 14
"""Pixels of a side: twice what the largest scanners of a desk make of an A4 page."""

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
"""The bit depths of each type of colour (ISO/IEC 15948, table 11.1)."""
_PALETTE = 3
"""The type of colour that needs a PLTE."""
_ANCILLARY = re.compile(rb"[a-z][A-Za-z]{3}")

_SOI, _EOI, _SOS = 0xD8, 0xD9, 0xDA
_FRAMES = frozenset((0xC0, 0xC1, 0xC2, 0xC3, 0xC9, 0xCA, 0xCB))
"""SOF: what one frame alone may be; the differential ones (C5 to C7, CD to CF) need a frame before them."""
_OTHER_SEGMENTS = frozenset((0xC4, 0xCC, 0xDB, 0xDD, 0xFE, *range(0xE0, 0xF0)))
"""DHT, DAC, DQT, DRI, COM and APPn."""
_SCAN_END = re.compile(rb"\xff[^\x00\xd0-\xd7]", re.DOTALL)
"""A marker that ends the data of a scan: not a stuffed FF, nor a restart."""


class _NotWhole(ValueError):
    """A byte is not as the format has it."""


def media_type(image: bytes, most_bytes: int) -> str:
    """Give the media type of an image; the time it takes grows with its bytes alone.

    Raises:
        SignatureRefused: it is larger than `most_bytes`, or no whole image of either kind.
    """
    if len(image) > most_bytes:
        raise SignatureRefused(
            "HANDWRITING_TOO_LARGE", f"the image has more than {most_bytes} bytes", "手写签名图像过大。"
        )
    try:
        if image.startswith(_PNG_SIGNATURE):
            _walk_png(image)
            return PNG
        _walk_jpeg(image)
    except _NotWhole as error:
        raise SignatureRefused(
            "HANDWRITING_MALFORMED", "the image is no whole PNG or JPEG", "手写签名图像格式有误。"
        ) from error
    return JPEG


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise _NotWhole(what)


def _walk_png(image: bytes) -> None:
    kind, content, at = _chunk(image, len(_PNG_SIGNATURE))
    _require(kind == b"IHDR" and len(content) == 13, "no IHDR in front")
    colour = _header(content)
    has_palette, drawn = False, 0
    while kind != b"IEND":
        before = kind
        kind, content, at = _chunk(image, at)
        if kind == b"IDAT":
            _require(before == kind or not drawn, "IDATs apart")
            _require(has_palette or colour != _PALETTE, "no PLTE before the picture")
            drawn += len(content)
        elif kind == b"PLTE":
            _require(not has_palette and not drawn and len(content) in range(3, 769, 3), "PLTE")
            has_palette = True
        else:
            _require(kind == b"IEND" or _ANCILLARY.fullmatch(kind) is not None, "a chunk that nobody knows")
    _require(drawn > 0, "no picture")
    _require(not content and at == len(image), "more than the end")


def _chunk(image: bytes, at: int) -> tuple[bytes, bytes, int]:
    """Read a chunk: its type, its content, and where the next one begins."""
    end = at + 8 + int.from_bytes(image[at : at + 4], "big")
    _require(end + 4 <= len(image), "a chunk is cut off")
    _require(zlib.crc32(image[at + 4 : end]) == int.from_bytes(image[end : end + 4], "big"), "a checksum")
    return image[at + 4 : at + 8], image[at + 8 : end], end + 4


def _header(content: bytes) -> int:
    """Check an IHDR; give the type of colour."""
    _require_size(int.from_bytes(content[:4], "big"), int.from_bytes(content[4:8], "big"))
    depth, colour, compression, filtering, interlace = content[8:]
    _require(depth in _PNG_DEPTHS.get(colour, ()), "no such colours")
    _require((compression, filtering) == (0, 0) and interlace in (0, 1), "no such method")
    return colour


def _walk_jpeg(image: bytes) -> None:
    marker, at = _marker(image, 0)
    _require(marker == _SOI, "no SOI in front")
    frames, scans = 0, 0
    while marker != _EOI:
        marker, at = _marker(image, at)
        if marker == _EOI:
            break
        content, at = _segment(image, at)
        if marker in _FRAMES:
            _check_frame(content)
            frames += 1
        elif marker == _SOS:
            _require(frames == 1, "a scan without a frame")
            _require(bool(content) and content[0] in range(1, 5) and len(content) == 4 + 2 * content[0], "SOS")
            at = _scan(image, at)
            scans += 1
        else:
            _require(marker in _OTHER_SEGMENTS, "a marker that has no place here")
    _require(frames == 1 and scans > 0, "no picture, or several")
    _require(at == len(image), "more than the end")


def _marker(image: bytes, at: int) -> tuple[int, int]:
    """Read a marker, with the FF that may fill up before it; give its code and where it ends."""
    _require(image[at : at + 1] == b"\xff", "no marker where one must be")
    while image[at : at + 1] == b"\xff":
        at += 1
    _require(at < len(image), "cut off in a marker")
    return image[at], at + 1


def _segment(image: bytes, at: int) -> tuple[bytes, int]:
    """Read the content of a segment, and where it ends."""
    end = at + int.from_bytes(image[at : at + 2], "big")
    _require(at + 2 <= end <= len(image), "a segment is cut off")
    return image[at + 2 : end], end


def _check_frame(content: bytes) -> None:
    _require(len(content) > 5 and content[5] in range(1, 5) and len(content) == 6 + 3 * content[5], "SOF")
    _require(content[0] in range(2, 17), "no such precision")
    _require_size(int.from_bytes(content[3:5], "big"), int.from_bytes(content[1:3], "big"))


def _scan(image: bytes, at: int) -> int:
    """Pass over the data of a scan; give where the marker that ends it begins."""
    end = _SCAN_END.search(image, at)
    _require(end is not None, "a scan is cut off")
    found = end.start() if end else at
    _require(found > at, "a scan without data")
    return found


def _require_size(width: int, height: int) -> None:
    _require(0 < width <= _MOST_SIDE and 0 < height <= _MOST_SIDE, "no size of a picture")
