"""What may be kept as handwriting: whole images, and nothing else, whatever bytes come."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import SignatureRefused
from gateway.signatures import image
from gateway.signatures.image import media_type
from tests.gateway.signatures.images import (
    EOI,
    JPEG,
    PNG_SIGNATURE,
    SCAN,
    SOI,
    TABLES,
    chunk,
    frame,
    header,
    png,
    rows,
    segment,
)

MOST = 256 << 10
IDAT, IEND, PLTE = chunk(b"IDAT", rows()), chunk(b"IEND"), chunk(b"PLTE", bytes(3))


def judged(content: bytes) -> str:
    """Give the media type, or the code of the refusal; any other exception fails the test."""
    try:
        return media_type(content, MOST)
    except SignatureRefused as refused:
        return refused.code if refused.chinese else "no words for the clerk"


@pytest.mark.parametrize(
    "chunks",
    [
        header() + IDAT,
        header() + chunk(b"tEXt", b"Software\x00pen") + IDAT + chunk(b"tIME", bytes(7)),
        header() + chunk(b"IDAT", rows()[:4]) + chunk(b"IDAT") + chunk(b"IDAT", rows()[4:]),
        header(depth=1, colour=3) + PLTE + IDAT,
        header(depth=16, colour=6, rest=b"\x00\x00\x01") + PLTE + IDAT,
    ],
    ids=["plain", "with words", "in parts", "with a palette", "interlaced"],
)
def test_a_whole_png_is_taken(chunks: bytes) -> None:
    assert judged(PNG_SIGNATURE + chunks + IEND) == image.PNG


@pytest.mark.parametrize(
    "content",
    [
        JPEG,
        SOI + TABLES + frame(marker=0xC2) + SCAN + TABLES + SCAN + EOI,
        SOI + TABLES + frame() + segment(0xDD, b"\x00\x01") + SCAN + b"\xff\xd0\x3f\xff\x00\xff\xd7\x3f" + EOI,
        SOI + b"\xff\xff" + segment(0xFE, b"words") + TABLES + frame() + SCAN + b"\xff\xff" + EOI,
    ],
    ids=["baseline", "progressive", "with restarts and stuffed bytes", "with fill bytes"],
)
def test_a_whole_jpeg_is_taken(content: bytes) -> None:
    assert judged(content) == image.JPEG


NO_PNG = {
    "nothing": b"",
    "no chunk": b"cut",
    "another first chunk": IDAT + header() + IEND,
    "two headers": header() + header() + IDAT + IEND,
    "a long header": chunk(b"IHDR", bytes(3) + b"\x02" + bytes(3) + b"\x02\x08" + bytes(5)) + IDAT + IEND,
    "no picture": header() + IEND,
    "an empty picture": header() + chunk(b"IDAT") + IEND,
    "no end": header() + IDAT,
    "an end with content": header() + IDAT + chunk(b"IEND", b"x"),
    "more after the end": header() + IDAT + IEND + b"x",
    "another image after the end": header() + IDAT + IEND + png(),
    "no width": header(0, 2) + IDAT + IEND,
    "no height": header(2, 0) + IDAT + IEND,
    "a width of no picture": header((1 << 14) + 1, 2) + IDAT + IEND,
    "a height beyond the format": header(2, 1 << 31) + IDAT + IEND,
    "no such depth": header(depth=3) + IDAT + IEND,
    "no such colour": header(colour=5) + IDAT + IEND,
    "no such compression": header(rest=b"\x01\x00\x00") + IDAT + IEND,
    "no such filter": header(rest=b"\x00\x01\x00") + IDAT + IEND,
    "no such interlacing": header(rest=b"\x00\x00\x02") + IDAT + IEND,
    "no palette": header(colour=3) + IDAT + IEND,
    "a palette too late": header(colour=3) + IDAT + PLTE + IEND,
    "two palettes": header(colour=3) + PLTE + PLTE + IDAT + IEND,
    "half a colour": header(colour=3) + chunk(b"PLTE", bytes(4)) + IDAT + IEND,
    "pictures apart": header() + IDAT + chunk(b"tIME", bytes(7)) + IDAT + IEND,
    "an unknown critical chunk": header() + chunk(b"CgBI", bytes(4)) + IDAT + IEND,
    "a chunk without a name": header() + chunk(b"\x00\x01\x02\x03") + IDAT + IEND,
    "a checksum of other content": header() + IDAT[:-1] + bytes([IDAT[-1] ^ 1]) + IEND,
    "a length beyond the end": header() + b"\xff" + IDAT[1:] + IEND,
}


@pytest.mark.parametrize("what", NO_PNG)
def test_what_is_no_whole_png_is_refused(what: str) -> None:
    assert judged(PNG_SIGNATURE + NO_PNG[what]) == "HANDWRITING_MALFORMED"


NO_JPEG = {
    "head and tail": SOI + EOI,
    "words between": SOI + b"\xffhello" + EOI,
    "nothing but tables": SOI + TABLES + EOI,
    "no frame": SOI + TABLES + SCAN + EOI,
    "no scan": SOI + TABLES + frame() + EOI,
    "a scan before the frame": SOI + TABLES + SCAN + frame() + EOI,
    "two frames": SOI + TABLES + frame() + frame() + SCAN + EOI,
    "two frames with a scan each": SOI + TABLES + frame() + SCAN + frame() + SCAN + EOI,
    "a scan without data": SOI + TABLES + frame() + SCAN[:-1] + EOI,
    "no end": SOI + TABLES + frame() + SCAN,
    "cut in a marker": SOI + TABLES + frame() + SCAN + b"\xff",
    "more after the end": JPEG + b"x",
    "another image after the end": JPEG + JPEG,
    "no width": SOI + TABLES + frame(0, 8) + SCAN + EOI,
    "no height": SOI + TABLES + frame(8, 0) + SCAN + EOI,
    "a size of no picture": SOI + TABLES + frame(65535, 65535) + SCAN + EOI,
    "a frame cut short": SOI + TABLES + segment(0xC0, b"\x08\x00\x08") + SCAN + EOI,
    "a frame of no components": SOI + TABLES + segment(0xC0, b"\x08\x00\x08\x00\x08\x00") + SCAN + EOI,
    "no such precision": SOI + TABLES + segment(0xC0, b"\x01\x00\x08\x00\x08\x01\x01\x11\x00") + SCAN + EOI,
    "a differential frame": SOI + TABLES + frame(marker=0xC5) + SCAN + EOI,
    "an empty scan header": SOI + TABLES + frame() + segment(0xDA, b"") + b"\x3f" + EOI,
    "a scan of no components": SOI + TABLES + frame() + segment(0xDA, bytes(4)) + b"\x3f" + EOI,
    "a second beginning": SOI + SOI + TABLES + frame() + SCAN + EOI,
    "a restart outside a scan": SOI + b"\xff\xd0" + TABLES + frame() + SCAN + EOI,
    "a reserved marker": SOI + segment(0x02, b"") + TABLES + frame() + SCAN + EOI,
    "a segment shorter than its length": SOI + b"\xff\xe0\x00\x01" + TABLES + frame() + SCAN + EOI,
    "a segment beyond the end": SOI + b"\xff\xe0\xff\xff" + TABLES + frame() + SCAN + EOI,
    "no marker after a segment": SOI + TABLES + b"x" + frame() + SCAN + EOI,
    "another format": b"GIF89a" + bytes(50),
    "a document": b"%PDF-1.7",
    "nothing": b"",
}


@pytest.mark.parametrize("what", NO_JPEG)
def test_what_is_no_whole_jpeg_is_refused(what: str) -> None:
    assert judged(NO_JPEG[what]) == "HANDWRITING_MALFORMED"


@pytest.mark.parametrize("whole", [png(), JPEG], ids=["PNG", "JPEG"])
def test_every_part_that_is_cut_off_is_missed(whole: bytes) -> None:
    assert {judged(whole[:length]) for length in range(len(whole))} == {"HANDWRITING_MALFORMED"}
    assert {judged(whole[start:]) for start in range(1, len(whole))} == {"HANDWRITING_MALFORMED"}


@given(st.binary(max_size=400), st.sampled_from([b"", PNG_SIGNATURE, PNG_SIGNATURE + header(), SOI, SOI + frame()]))
def test_no_bytes_raise_anything_but_the_refusal(content: bytes, head: bytes) -> None:
    assert judged(head + content) in ("HANDWRITING_MALFORMED", image.PNG, image.JPEG)


@given(st.sampled_from([png(), JPEG]), st.lists(st.integers(0, 8 * 140), min_size=1, max_size=6))
def test_no_flipped_bits_raise_anything_but_the_refusal(whole: bytes, bits: list[int]) -> None:
    flipped = bytearray(whole)
    for bit in bits:
        flipped[bit // 8 % len(whole)] ^= 1 << bit % 8
    assert judged(bytes(flipped)) in ("HANDWRITING_MALFORMED", image.PNG, image.JPEG)


@given(st.integers(0, 8 * len(png()) - 1))
def test_no_flipped_bit_of_a_png_is_missed(bit: int) -> None:
    flipped = bytearray(png())
    flipped[bit // 8] ^= 1 << bit % 8
    assert judged(bytes(flipped)) == "HANDWRITING_MALFORMED"


def filled(head: bytes, part: Callable[[random.Random], bytes]) -> bytes:
    """Fill an image up to the most it may have."""
    chance = random.Random(1)
    parts = [head]
    left = MOST - len(head)
    while (left := left - len(parts[-1])) > 0:
        parts.append(part(chance))
    return b"".join(parts)[:MOST]


@pytest.mark.parametrize(
    "content",
    [
        filled(PNG_SIGNATURE + header(), lambda chance: chunk(bytes([97 + chance.randrange(26) for _ in range(4)]))),
        filled(PNG_SIGNATURE + header(), lambda _: chunk(b"IDAT", b"x")),
        filled(SOI, lambda _: b"\xff"),
        filled(SOI, lambda _: b"\xff\xe0\x00\x02"),
        filled(SOI + TABLES + frame() + SCAN, lambda _: b"\xff\x00"),
        filled(SOI + TABLES + frame(), lambda _: SCAN),
    ],
    ids=["chunks", "empty chunks", "fill bytes", "empty segments", "stuffed bytes", "scans"],
)
def test_the_most_parts_that_an_image_can_have_are_walked_in_no_time(content: bytes) -> None:
    began = time.process_time()
    assert judged(content) == "HANDWRITING_MALFORMED"
    assert time.process_time() - began < 2


def test_an_image_that_is_too_large_is_not_looked_at() -> None:
    with pytest.raises(SignatureRefused) as refused:
        media_type(bytes(101), 100)
    assert refused.value.code == "HANDWRITING_TOO_LARGE"
