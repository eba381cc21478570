"""Whether the certificate that a caller showed still counts: by the authorities and the revocation lists in force.

TLS judges a certificate once, when its connection begins; a connection may live for weeks. So what was taken out of
force since is looked at with every call: the serial numbers that a list revokes, and authorities that no longer stand
in their file. TLS tells of a caller's own certificate only: an authority that issues callers' certificates stands in
the file itself, not only the one above it. What was judged is remembered by the certificate's bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.errors import (
    CallerAuthorityWithdrawn,
    CallerRefused,
    CallerRevocationUnknown,
    CallerRevoked,
    SignatureRefused,
)
from gateway.signatures.certificates import Certificate, parse_certificate
from gateway.signatures.lists import RevocationList

_MOST_JUDGED = 4096
_SHOWN = "x509_pem_cert"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """What the server shows (PEM), which authorities its callers' certificates must come from (PEM), and the lists of
    those that are revoked; None where there are none.

    Whoever makes one has judged that TLS can use them: of what it cannot use, gRPC says what it says of a port in use.
    """

    certificate: bytes
    key: bytes = field(repr=False)
    client_authority: bytes
    revocations: tuple[RevocationList, ...] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judged:
    """What came of a certificate, and until when; None: as long as these files are in force."""

    refusal: type[CallerRefused] | None = None
    until: datetime | None = None


class CallerCertificates:
    """Refuses calls on certificates that no longer count; `renew` may be called from any thread."""

    def __init__(self, tls: Tls, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._now = now
        self._trust = _Trust(tls)

    def renew(self, tls: Tls) -> None:
        """Judge by other authorities and lists from now on."""
        self._trust = _Trust(tls, before=self._trust)

    def require(self, auth: Mapping[str, Iterable[bytes]]) -> None:
        """Require that the certificate of a connection counts now.

        Raises:
            CallerRevoked: its authority revoked it, or was revoked itself.
            CallerAuthorityWithdrawn: its authority was taken out of force after the connection began.
            CallerRevocationUnknown: there are lists, and none that is in force tells of it.
        """
        trust = self._trust
        if not trust.judges:
            return
        shown = next(iter(auth.get(_SHOWN, ())), b"")
        judged = trust.judged.get(shown)
        if judged is None or (judged.until is not None and judged.until < self._now()):
            judged = trust.remember(shown, self._now())
        if judged.refusal is not None:
            raise judged.refusal


class _Trust:
    """The authorities and lists of some files, those authorities that were in force before, and what was judged."""

    def __init__(self, tls: Tls, *, before: _Trust | None = None) -> None:
        self.authorities = x509.load_pem_x509_certificates(tls.client_authority)
        known: tuple[x509.Certificate, ...] = ()
        if before is not None:
            known = (*before.authorities, *before.withdrawn)
        self.withdrawn: list[x509.Certificate] = [one for one in dict.fromkeys(known) if one not in self.authorities]
        self._lists = tls.revocations
        self.judges = bool(self.withdrawn) or self._lists is not None
        self._revoked = self._revoked_authorities()
        self.judged: dict[bytes, _Judged] = {}

    def remember(self, shown: bytes, now: datetime) -> _Judged:
        """Judge a certificate (PEM), and remember what came of it."""
        if len(self.judged) >= _MOST_JUDGED:
            self.judged.clear()
        judged = self.judged[shown] = self._judge(shown, now)
        return judged

    def _judge(self, shown: bytes, now: datetime) -> _Judged:
        try:
            one = x509.load_pem_x509_certificate(shown)
        except ValueError:
            return _Judged(refusal=CallerRevocationUnknown)
        issuers = [authority for authority in self.authorities if is_issued(one, authority)]
        if not issuers and any(is_issued(one, authority) for authority in self.withdrawn):
            return _Judged(refusal=CallerAuthorityWithdrawn)
        if issuers and all(authority in self._revoked for authority in issuers):
            return _Judged(refusal=CallerRevoked)
        return _Judged() if self._lists is None else self._status(one, issuers, now)

    def _status(self, one: x509.Certificate, issuers: Sequence[x509.Certificate], now: datetime) -> _Judged:
        """Ask the lists of who issued a certificate: one that is over still tells whom it revokes, and nothing else."""
        try:
            told = parse_certificate(one.public_bytes(Encoding.DER))
        except SignatureRefused:
            return _Judged(refusal=CallerRevocationUnknown)
        lists = list(self._lists_of(issuers))
        if any(one.serial_number in crl.revoked for crl in lists):
            return _Judged(refusal=CallerRevoked)
        ends = [end for crl in lists if crl.scope.covers(told) and (end := ends_at(crl)) is not None and now <= end]
        return _Judged(until=max(ends)) if ends else _Judged(refusal=CallerRevocationUnknown)

    def _lists_of(self, issuers: Iterable[x509.Certificate]) -> Iterator[RevocationList]:
        parsed = list(filter(None, map(_parsed, issuers)))
        return (crl for crl in self._lists or () if any(crl.is_of(issuer) for issuer in parsed))

    def _revoked_authorities(self) -> list[x509.Certificate]:
        """Give those that a list revokes, and those that only such ones issued, however far below."""
        above = {one: [other for other in self.authorities if other != one and is_issued(one, other)]
                 for one in self.authorities}  # fmt: skip
        revoked = [
            one for one, issuers in above.items()
            if any(one.serial_number in crl.revoked for crl in self._lists_of(issuers))
        ]  # fmt: skip
        below = [one for one in above if above[one] and not is_issued(one, one)]
        while found := [one for one in below if one not in revoked and all(it in revoked for it in above[one])]:
            revoked += found
        return revoked


def is_issued(one: x509.Certificate, authority: x509.Certificate) -> bool:
    """Tell whether an authority issued a certificate: by its name and its signature."""
    try:
        one.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def ends_at(crl: RevocationList) -> datetime | None:
    """Say until when a list is in force; None where it does not tell."""
    return crl.parsed.next_update_utc


def _parsed(authority: x509.Certificate) -> Certificate | None:
    try:
        return parse_certificate(authority.public_bytes(Encoding.DER))
    except SignatureRefused:
        return None
