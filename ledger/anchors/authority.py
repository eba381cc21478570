"""Asking a time-stamping authority over HTTP (RFC 3161, 3.4)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ledger.anchors.token import Roots, require_rfc3161, verify_anchor
from ledger.errors import AnchorError, AnchorUnavailable
from ledger.exchange import ExchangeFailed, exchange

_QUERY = "application/timestamp-query"
_REPLY = "application/timestamp-reply"
_LONGEST = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """A verified time stamp: its time, and the response as it came (DER)."""

    at: datetime
    token: bytes


class TimestampAuthority:
    """One authority, at one address, whose stamps are verified before they are believed."""

    def __init__(self, url: str, roots: Roots, *, timeout: float = 20.0) -> None:
        require_rfc3161()
        self._url = url
        self._roots = roots
        self._timeout = timeout

    def stamp(self, note: bytes) -> Stamp:
        """Get a time stamp of a checkpoint.

        Raises:
            AnchorUnavailable: the authority cannot be reached, or answers with anything but a time-stamp reply.
            AnchorError: it answers with a stamp that does not hold, or refuses.
        """
        from rfc3161_client import HashAlgorithm, TimestampRequestBuilder

        request = TimestampRequestBuilder().data(note).hash_algorithm(HashAlgorithm.SHA256).nonce(nonce=True).build()
        token = self._ask(request.as_bytes())
        if request.nonce is None:
            raise AnchorError("the question was made without a nonce")
        return Stamp(at=verify_anchor(token, note, self._roots, nonce=request.nonce), token=token)

    def _ask(self, question: bytes) -> bytes:
        try:
            reply = exchange(
                self._url, content=question, headers={"Content-Type": _QUERY}, seconds=self._timeout, longest=_LONGEST
            )
        except ExchangeFailed as failure:
            raise AnchorUnavailable(f"the authority cannot be asked ({failure})") from failure
        if reply.status != 200 or reply.kind != _REPLY:
            raise AnchorUnavailable(f"the authority answered {reply.status} {reply.kind or 'without a content type'}")
        return reply.body
