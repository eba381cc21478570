"""Putting the certificates of a time stamp into DER order.

Authorities built on OpenSSL write them in any order; our parser takes DER only, where a SET OF is sorted (X.690, 11.6).
No signature covers the order, and sorting in place changes no length.
"""

from __future__ import annotations

from ledger.der import SEQUENCE, NotDer, element
from ledger.errors import AnchorError

_INTEGER, _OID, _SET, _CONTEXT_0 = 0x02, 0x06, 0x31, 0xA0


def sort_certificates(response: bytes) -> bytes:
    """Return a DER `TimeStampResp` with the certificates of its token sorted; without a token, as it is.

    Raises:
        AnchorError: it is not built as RFC 3161 and RFC 5652 say.
    """
    try:
        span = _certificates(response)
        if span is None:
            return response
        start, end = span
        parts, at = [], start
        while at < end:
            _, _, after = element(response, at, end)
            parts.append(response[at:after])
            at = after
    except NotDer as error:
        raise AnchorError("not a time-stamp response") from error
    return response[:start] + b"".join(sorted(parts)) + response[end:]


def _certificates(response: bytes) -> tuple[int, int] | None:
    """Find where the certificates begin and end."""
    start, end = _inside(response, 0, len(response), SEQUENCE)
    _, _, at = element(response, start, end)  # PKIStatusInfo
    if at == end:
        return None
    start, end = _inside(response, at, end, SEQUENCE)  # ContentInfo
    _, at = _inside(response, start, end, _OID)
    start, end = _inside(response, at, end, _CONTEXT_0)
    at, end = _inside(response, start, end, SEQUENCE)  # SignedData
    for tag in (_INTEGER, _SET, SEQUENCE):  # version, digest algorithms, content
        _, at = _inside(response, at, end, tag)
    if at == end or response[at] != _CONTEXT_0:
        return None
    return _inside(response, at, end, _CONTEXT_0)


def _inside(data: bytes, at: int, end: int, tag: int) -> tuple[int, int]:
    found, start, after = element(data, at, end)
    if found != tag:
        raise NotDer("another element is expected")
    return start, after
