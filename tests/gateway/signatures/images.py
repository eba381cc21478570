"""Small images, drawn byte by byte, whole ones and others."""

from __future__ import annotations

import zlib

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def chunk(kind: bytes, content: bytes = b"") -> bytes:
    """Write a chunk of a PNG."""
    return len(content).to_bytes(4, "big") + kind + content + zlib.crc32(kind + content).to_bytes(4, "big")


def header(width: int = 2, height: int = 2, *, depth: int = 8, colour: int = 0, rest: bytes = bytes(3)) -> bytes:
    """Write the IHDR of a PNG."""
    return chunk(b"IHDR", width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([depth, colour]) + rest)


def rows(width: int = 2, height: int = 2) -> bytes:
    """Write the content of the IDATs of a grey PNG."""
    return zlib.compress(b"".join(b"\x00" + bytes(width) for _ in range(height)))


def png(width: int = 2, height: int = 2) -> bytes:
    """Draw a small PNG."""
    return PNG_SIGNATURE + header(width, height) + chunk(b"IDAT", rows(width, height)) + chunk(b"IEND")


def segment(marker: int, content: bytes) -> bytes:
    """Write a segment of a JPEG."""
    return bytes([0xFF, marker]) + (len(content) + 2).to_bytes(2, "big") + content


def frame(width: int = 8, height: int = 8, *, marker: int = 0xC0) -> bytes:
    """Write the SOF of a grey JPEG."""
    return segment(marker, b"\x08" + height.to_bytes(2, "big") + width.to_bytes(2, "big") + b"\x01\x01\x11\x00")


SOI, EOI = b"\xff\xd8", b"\xff\xd9"
TABLES = (
    segment(0xDB, b"\x00" + b"\x01" * 64)
    + segment(0xC4, b"\x00\x01" + bytes(15) + b"\x00")
    + segment(0xC4, b"\x10\x01" + bytes(15) + b"\x00")
)
"""What a grey square needs: a quantisation table, and two codes of one bit for "no difference" and "end of block"."""
SCAN = segment(0xDA, b"\x01\x01\x00\x00\x3f\x00") + b"\x3f"
JPEG = SOI + segment(0xE0, b"JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00") + TABLES + frame() + SCAN + EOI
"""A grey square of 8 by 8 pixels."""
