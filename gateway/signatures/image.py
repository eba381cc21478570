"""Whether something is an image of handwriting that may be kept: PNG or JPEG, whole, and no larger than allowed."""

from __future__ import annotations

from gateway.errors import SignatureRefused

PNG, JPEG = "image/png", "image/jpeg"
_PNG_HEAD = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
_PNG_END = b"\x00\x00\x00\x00IEND\xaeB`\x82"
_JPEG_HEAD, _JPEG_END = b"\xff\xd8\xff", b"\xff\xd9"
_LEAST_PNG = len(_PNG_HEAD) + 13 + 4 + len(_PNG_END)


def media_type(image: bytes, most_bytes: int) -> str:
    """Give the media type of an image, by its first and last bytes (PNG: ISO/IEC 15948; JPEG: ITU-T T.81).

    Raises:
        SignatureRefused: it is larger than `most_bytes`, or no whole image of either kind.
    """
    if len(image) > most_bytes:
        raise SignatureRefused(
            "HANDWRITING_TOO_LARGE", f"the image has more than {most_bytes} bytes", "手写签名图像过大。"
        )
    if image.startswith(_PNG_HEAD) and image.endswith(_PNG_END) and len(image) >= _LEAST_PNG and _has_area(image):
        return PNG
    if image.startswith(_JPEG_HEAD) and image.endswith(_JPEG_END):
        return JPEG
    raise SignatureRefused("HANDWRITING_MALFORMED", "the image is no whole PNG or JPEG", "手写签名图像格式有误。")


def _has_area(png: bytes) -> bool:
    width, height = png[16:20], png[20:24]
    return any(width) and any(height)
