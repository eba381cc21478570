"""Whether a certificate was revoked before it signed: revocation lists (RFC 5280 section 5) and OCSP (RFC 6960).

Revoked before the signing is refused; revoked after it stands. What is stale, of another issuer, indirect, partial by
reason or a delta says nothing; a list of another distribution point than the certificate names (`scope`) tells of the
certificates in it, and nothing by its silence. Who says nothing leaves the status unknown, and the configured rule
decides:

    require         unknown is refused
    if-available    unknown is accepted, unless the issuer's list is at hand and cannot be used: too long, not
                    readable, or not signed by the issuer; such a list could be the one that revokes
    off             nobody is asked
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID

from gateway.errors import SignatureRefused
from gateway.signatures.certificates import Certificate, parse_certificate
from gateway.signatures.chain import Chain
from gateway.signatures.issuing import NotIssued, verify_answer_issued, verify_certificate_issued
from gateway.signatures.lists import RevocationList

LONGEST_ANSWER = 64 << 10
_SKEW = timedelta(minutes=5)

_log = structlog.get_logger()


class RevocationRule(enum.Enum):
    """What is done about certificates whose status is unknown."""

    REQUIRE = "require"
    IF_AVAILABLE = "if-available"
    OFF = "off"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What told that a certificate was not revoked: `crl` or `ocsp`, as it came (DER)."""

    kind: str
    content: bytes = field(repr=False, compare=False)
    digest: str
    """SHA-256, hexadecimal."""


class Revocations:
    """What is known of revocations: lists by issuer and OCSP answers by serial number; immutable."""

    def __init__(
        self,
        lists: Sequence[RevocationList] = (),
        answers: Sequence[bytes] = (),
        *,
        unusable: Collection[bytes] = (),
        rule: RevocationRule = RevocationRule.OFF,
        fresh: timedelta = timedelta(days=7),
    ) -> None:
        """`unusable` are the names (DER) of authorities of which there is a list that cannot be used."""
        self.rule = rule
        self._fresh = fresh
        self._unusable = frozenset(unusable)
        self._lists = tuple(lists)
        self._answers: dict[int, tuple[ocsp.OCSPResponse, ...]] = {}
        self._add(answers)

    def _add(self, answers: Sequence[bytes]) -> None:
        for answer in filter(None, map(_parsed_answer, answers)):
            for serial in {one.serial_number for one in answer.responses}:
                self._answers[serial] = (*self._answers.get(serial, ()), answer)

    def check(self, chain: Chain, *, at: datetime, now: datetime) -> tuple[tuple[Proof, ...], bool]:
        """Check every certificate of a chain but its anchor; `at` is when it signed, `now` what freshness is of.

        Returns:
            What told so, and whether every status is known.

        Raises:
            SignatureRefused: a certificate was revoked before the signing, or its status is unknown and the rule takes
                that only where no list of its issuer is at hand.
        """
        if self.rule is RevocationRule.OFF:
            return (), True
        found = []
        for one, issuer in chain.links():
            found.append(self._status(one, issuer, at, now))
            if found[-1] is None and self.rule is RevocationRule.IF_AVAILABLE and self._is_owed(issuer, now):
                raise _unknown()
        return tuple(dict.fromkeys(one for one in found if one is not None)), None not in found

    def unknown(self, chain: Chain, *, at: datetime, now: datetime) -> list[tuple[Certificate, Certificate]]:
        """Give the certificates, each with its issuer, of which nothing usable is known."""
        if self.rule is RevocationRule.OFF:
            return []
        return [(one, issuer) for one, issuer in chain.links() if self._status(one, issuer, at, now) is None]

    def with_answers(self, answers: Sequence[bytes]) -> Revocations:
        """Give what is known with these OCSP answers as well; what does not parse is left out."""
        more = Revocations(self._lists, unusable=self._unusable, rule=self.rule, fresh=self._fresh)
        more._answers = dict(self._answers)
        more._add(answers)
        return more

    def _status(self, one: Certificate, issuer: Certificate, at: datetime, now: datetime) -> Proof | None:
        """Find what tells of one certificate; every usable source is heard, for one may know of a revocation first."""
        told: Proof | None = None
        for crl in self._lists_of(issuer, now):
            # A serial number is of one certificate of the issuer, whatever the list is of: only silence has limits.
            _require_not_revoked(crl.revoked.get(one.parsed.serial_number), at)
            if crl.scope.covers(one):
                told = told or Proof(kind="crl", content=crl.content, digest=crl.digest)
        for answer in self._answers.get(one.parsed.serial_number, ()):
            single = _single_answer(answer, one, issuer)
            if single is None or not self._is_fresh(single.this_update_utc, single.next_update_utc, now):
                continue
            if single.certificate_status is ocsp.OCSPCertStatus.UNKNOWN:
                continue
            if not self._is_believed(answer, issuer, now):
                _log.warning("an OCSP answer is not signed for the authority it names", authority=issuer.digest.hex())
                continue
            _require_not_revoked(single.revocation_time_utc, at)
            content = answer.public_bytes(Encoding.DER)
            told = told or Proof(kind="ocsp", content=content, digest=hashlib.sha256(content).hexdigest())
        return told

    def _is_owed(self, issuer: Certificate, now: datetime) -> bool:
        """Tell whether a list at hand names an authority as its issuer, and cannot be used."""
        return issuer.subject in self._unusable or any(
            crl.names(issuer) and not crl.is_of(issuer) for crl in self._fresh_lists(now)
        )

    def _is_believed(self, answer: ocsp.OCSPResponse, issuer: Certificate, now: datetime) -> bool:
        """Tell whether the issuer signed an answer, or a responder of its own that no list at hand names as revoked."""
        if _is_signed_by(answer, issuer):
            return True
        return any(
            _is_signed_by(answer, one) and not self._is_revoked_responder(one, issuer, now)
            for one in _responders(answer, issuer)
        )

    def _is_revoked_responder(self, responder: Certificate, issuer: Certificate, now: datetime) -> bool:
        # Since when it is revoked does not matter: whoever holds a lost key dates its answers back.
        serial = responder.parsed.serial_number
        return not _is_never_looked_up(responder) and any(serial in crl.revoked for crl in self._lists_of(issuer, now))

    def _lists_of(self, issuer: Certificate, now: datetime) -> Iterator[RevocationList]:
        """Give the lists that an authority issued and that are still to be believed."""
        return (crl for crl in self._fresh_lists(now) if crl.is_of(issuer))

    def _fresh_lists(self, now: datetime) -> Iterator[RevocationList]:
        for crl in self._lists:
            if self._is_fresh(crl.parsed.last_update_utc, crl.parsed.next_update_utc, now):
                yield crl

    def _is_fresh(self, since: datetime, until: datetime | None, now: datetime) -> bool:
        return since <= now + _SKEW and now - since <= self._fresh and (until is None or now <= until)


def _require_not_revoked(since: datetime | None, at: datetime) -> None:
    if since is not None and since <= at:
        raise SignatureRefused(
            "CERTIFICATE_REVOKED", "the certificate had been revoked when it signed", "签名证书在签署前已被吊销。"
        )


def require_known(rule: RevocationRule, known: bool) -> None:
    """Apply the rule about unknown statuses; raises `SignatureRefused`."""
    if rule is RevocationRule.REQUIRE and not known:
        raise _unknown()


def _unknown() -> SignatureRefused:
    return SignatureRefused(
        "REVOCATION_UNKNOWN",
        "whether the certificate is revoked cannot be told, and must be",
        "无法确认签名证书是否已被吊销,请稍后重试。",
    )


def _parsed_answer(content: bytes) -> ocsp.OCSPResponse | None:
    if len(content) > LONGEST_ANSWER:
        return None
    try:
        answer = ocsp.load_der_ocsp_response(content)
        good = answer.response_status is ocsp.OCSPResponseStatus.SUCCESSFUL and any(answer.responses)
        good = good and b"\x00" + answer.signature in content  # no unused bits: a second spelling
        _ = answer.certificates, answer.produced_at_utc
    except Exception:  # the parser raises whatever it likes on hostile bytes: none of them is an answer
        return None
    return answer if good else None


def _single_answer(answer: ocsp.OCSPResponse, one: Certificate, issuer: Certificate) -> ocsp.OCSPSingleResponse | None:
    try:
        for single in answer.responses:
            if single.serial_number == one.parsed.serial_number:
                asked = question(one, issuer, single.hash_algorithm)
                if (asked.issuer_name_hash, asked.issuer_key_hash) == (single.issuer_name_hash, single.issuer_key_hash):
                    return single
    except (ValueError, UnsupportedAlgorithm):  # a hash that is not known
        return None
    return None


def question(one: Certificate, issuer: Certificate, algorithm: hashes.HashAlgorithm) -> ocsp.OCSPRequest:
    """Build the OCSP question about a certificate; `algorithm` hashes the issuer's name and key."""
    return ocsp.OCSPRequestBuilder().add_certificate(one.parsed, issuer.parsed, algorithm).build()


def _responders(answer: ocsp.OCSPResponse, issuer: Certificate) -> Iterator[Certificate]:
    """Give the responders in an answer that its issuer certified for this alone (RFC 6960 4.2.2.2)."""
    for given in answer.certificates:
        try:
            responder = parse_certificate(given.public_bytes(Encoding.DER))
            verify_certificate_issued(responder.parsed, issuer.key)
        except (SignatureRefused, NotIssued):
            continue
        in_time = responder.starts <= answer.produced_at_utc <= responder.ends
        if _may_answer(responder) and in_time and responder.issuer == issuer.subject:
            yield responder


def _may_answer(responder: Certificate) -> bool:
    named = responder.purposes is not None and ExtendedKeyUsageOID.OCSP_SIGNING in responder.purposes
    signs = responder.usage is None or responder.usage.digital_signature
    allowed = {ExtensionOID.BASIC_CONSTRAINTS, ExtensionOID.KEY_USAGE, ExtensionOID.EXTENDED_KEY_USAGE}
    return named and signs and all(one.oid in allowed for one in responder.parsed.extensions if one.critical)


def _is_never_looked_up(responder: Certificate) -> bool:
    """Tell whether its issuer says that a responder is believed for as long as it is valid (RFC 6960 4.2.2.2.1)."""
    return any(one.oid == ExtensionOID.OCSP_NO_CHECK for one in responder.parsed.extensions)


def _is_signed_by(answer: ocsp.OCSPResponse, signer: Certificate) -> bool:
    try:
        verify_answer_issued(answer, signer.key)
    except NotIssued:
        return False
    return True
