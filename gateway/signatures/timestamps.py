"""Time stamps of signatures (RFC 3161): what they are of, and how far their time may lie from that of the signing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from gateway.errors import TimestampOff

MOST_TOLERANCE = timedelta(hours=1)
"""The most that may be configured, and so what a stamp that was accepted anywhere keeps to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StampRules:
    """What is asked of time stamps."""

    required: bool = True
    """Whether a signature is refused for now where no stamp can be had."""
    tolerance: timedelta = timedelta(minutes=5)
    """How far the time in a stamp may lie from our clock, either way; at most `MOST_TOLERANCE`."""


def stamped(document: bytes, signature: bytes) -> bytes:
    """Give the bytes that a time stamp is of: the document's, then the signature's (of a platform, those of the JWS).

    The bytes of a signature alone date no document: an ECDSA signature verifies over any other document under a key
    computed for it (duplicate-signature key selection), so an old stamp would serve for a document made later. A
    document is one object of canonical JSON and tells itself where it ends, so no other pair gives the same bytes.
    """
    return document + signature


def require_in_time(stamped_at: datetime, at: datetime, tolerance: timedelta) -> None:
    """Refuse a stamp whose time lies too far from when the signature was verified, before or after.

    Validity and revocation are judged by our clock: a stamp of another time shows that one of the two clocks is wrong.

    Raises:
        TimestampOff: it lies further away than `tolerance`.
    """
    if abs(stamped_at - at) > tolerance:
        raise TimestampOff
