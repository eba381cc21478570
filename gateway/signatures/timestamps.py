"""Time stamps of signatures (RFC 3161): what they are of."""

from __future__ import annotations


def stamped(document: bytes, signature: bytes) -> bytes:
    """Give the bytes that a time stamp is of: the document's, then the signature's (of a platform, those of the JWS).

    The bytes of a signature alone date no document: an ECDSA signature verifies over any other document under a key
    computed for it (duplicate-signature key selection), so an old stamp would serve for a document made later. A
    document is one object of canonical JSON and tells itself where it ends, so no other pair gives the same bytes.
    """
    return document + signature
