"""Putting the certificates of a time stamp into DER order.

Authorities built on OpenSSL write them in any order; our parser takes DER only, where a SET OF is sorted (X.690, 11.6).
No signature covers the order, and sorting in place changes no length.
"""

from __future__ import annotations

from ledger.errors import AnchorError

_SEQUENCE, _SET, _OID, _CONTEXT_0 = 0x30, 0x31, 0x06, 0xA0
_INTEGER = 0x02


def sort_certificates(response: bytes) -> bytes:
    """Return a DER `TimeStampResp` with the certificates of its token sorted; without a token, as it is.

    Raises:
        AnchorError: it is not built as RFC 3161 and RFC 5652 say.
    """
    span = _certificates(response)
    if span is None:
        return response
    start, end = span
    parts, at = [], start
    while at < end:
        _, _, after = _element(response, at, end)
        parts.append(response[at:after])
        at = after
    return response[:start] + b"".join(sorted(parts)) + response[end:]


def _certificates(response: bytes) -> tuple[int, int] | None:
    """Find where the certificates begin and end."""
    start, end = _inside(response, 0, len(response), _SEQUENCE)
    _, _, at = _element(response, start, end)  # PKIStatusInfo
    if at == end:
        return None
    start, end = _inside(response, at, end, _SEQUENCE)  # ContentInfo
    _, at = _inside(response, start, end, _OID)
    start, end = _inside(response, at, end, _CONTEXT_0)
    at, end = _inside(response, start, end, _SEQUENCE)  # SignedData
    for tag in (_INTEGER, _SET, _SEQUENCE):  # version, digest algorithms, content
        _, at = _inside(response, at, end, tag)
    if at == end or response[at] != _CONTEXT_0:
        return None
    return _inside(response, at, end, _CONTEXT_0)


def _inside(data: bytes, at: int, end: int, tag: int) -> tuple[int, int]:
    found, start, after = _element(data, at, end)
    if found != tag:
        raise AnchorError("not a time-stamp response")
    return start, after


def _element(data: bytes, at: int, end: int) -> tuple[int, int, int]:
    """Read one DER element below `end`: its tag, where its content begins, and where it ends."""
    if end - at < 2:
        raise AnchorError("not a time-stamp response")
    tag, length, start = data[at], data[at + 1], at + 2
    if length >= 0x80:
        octets = length & 0x7F
        if not 1 <= octets <= 4 or start + octets > end:
            raise AnchorError("not a time-stamp response")
        length, start = int.from_bytes(data[start : start + octets], "big"), start + octets
    if start + length > end:
        raise AnchorError("not a time-stamp response")
    return tag, start, start + length
