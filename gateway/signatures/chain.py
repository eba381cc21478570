"""From a signer's certificate to an accepted authority: RFC 5280 section 6, as far as personal certificates need it.

One set of rules for every algorithm, SM2 included (the verifier of `cryptography` knows neither SM2 nor Ed25519
authorities; the tests compare the two on what both know). Accounted for: names, signatures, validity of every
certificate at the time of signing, basic constraints, path length, key usage of authorities, required certificate
policies. Whatever else a certificate says critically refuses the chain, and so do name constraints and policy mappings,
the anchor's too: RFC 5280 leaves them to whoever trusts it, and OpenSSL follows them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.errors import SignatureRefused
from gateway.signatures.certificates import ANY_POLICY, Certificate, parse_certificate
from gateway.signatures.issuing import NotIssued, verify_certificate_issued
from gateway.signatures.remembered import Remembered

MOST_CERTIFICATES = 5
"""A signature comes with the signer's certificate and at most four others."""
_CHAINS = 8192
_LINKS = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """The signer's certificate, then each issuer, the anchor last; and when all of them are valid."""

    certificates: tuple[Certificate, ...]
    starts: datetime
    ends: datetime

    @property
    def leaf(self) -> Certificate:
        """The signer's certificate."""
        return self.certificates[0]

    def links(self) -> Iterator[tuple[Certificate, Certificate]]:
        """Give each certificate with its issuer, the anchor only as issuer."""
        return zip(self.certificates, self.certificates[1:], strict=False)


class Chains:
    """Finds chains to the anchors, and remembers the ones it found as long as they hold."""

    def __init__(
        self, anchors: Sequence[Certificate], *, most_intermediates: int = 3, policies: Sequence[str] = ()
    ) -> None:
        self._anchors = tuple(anchors)
        self._most_intermediates = most_intermediates
        self._policies = frozenset(policies)
        self._found: Remembered[bytes, Chain] = Remembered(_CHAINS)
        # Links between authorities, which every signer's chain has in common.
        self._links: Remembered[tuple[bytes, bytes], bool] = Remembered(_LINKS)

    def find(self, certificates: Sequence[bytes], at: datetime) -> Chain:
        """Find the chain of the first certificate (DER) by way of the others, as it held at a time.

        Raises:
            SignatureRefused: a certificate does not parse, the signer's is not valid then, or no chain holds then.
        """
        name = hashlib.sha256(b"".join(hashlib.sha256(one).digest() for one in certificates)).digest()
        known = self._found.get(name)
        if known is not None and known.starts <= at <= known.ends:
            return known
        leaf, *others = _parsed(certificates)
        _require_valid(leaf, at)
        best: SignatureRefused | None = None
        for path in self._paths((leaf,), others):
            try:
                self._judge(path, at)
            except SignatureRefused as refused:
                best = best or refused
                continue
            chain = Chain(certificates=path, starts=max(one.starts for one in path), ends=min(one.ends for one in path))
            self._found.put(name, chain)
            return chain
        raise best or _not_trusted("the chain does not end at an accepted authority")

    def _paths(self, path: tuple[Certificate, ...], others: Sequence[Certificate]) -> Iterator[tuple[Certificate, ...]]:
        """Give every way from the certificate at the end of `path` to an anchor, each signature verified."""
        last = path[-1]
        for anchor in self._anchors:
            if self._issued(last, anchor):
                yield (*path, anchor)
        if len(path) > self._most_intermediates:
            return
        for other in others:
            if other not in path and self._issued(last, other):
                yield from self._paths((*path, other), others)

    def _issued(self, child: Certificate, issuer: Certificate) -> bool:
        if child.issuer != issuer.subject or child.digest == issuer.digest:
            return False
        link = (child.digest, issuer.digest)
        if child.authority and self._links.get(link):
            return True
        try:
            verify_certificate_issued(child.parsed, issuer.key)
        except NotIssued:
            return False
        if child.authority:
            self._links.put(link, True)
        return True

    def _judge(self, path: Sequence[Certificate], at: datetime) -> None:
        if any(one.unhandled for one in path):
            raise _not_trusted("a certificate says something critical that is not understood")
        for below, authority in enumerate(path[1:]):
            _require_authority(authority, below)
            if not authority.starts <= at <= authority.ends:
                raise _not_trusted("an authority's certificate was not valid at the time of signing")
        if self._policies:
            self._require_policy(path)

    def _require_policy(self, path: Sequence[Certificate]) -> None:
        valid = self._policies
        for one in path[:-1]:
            any_policy = one.authority and ANY_POLICY in one.policies
            valid = valid if any_policy else valid & one.policies
        if not valid:
            raise SignatureRefused(
                "CERTIFICATE_POLICY_MISSING",
                "the certificate was not issued under a required policy",
                "签名证书的签发策略不符合要求。",
            )


def _parsed(certificates: Sequence[bytes]) -> list[Certificate]:
    if not certificates:
        raise SignatureRefused("CERTIFICATE_MISSING", "no certificate came with the signature", "未附签名证书。")
    if len(certificates) > MOST_CERTIFICATES:
        raise SignatureRefused("CHAIN_TOO_LONG", f"more than {MOST_CERTIFICATES} certificates", "证书链过长。")
    return [parse_certificate(one) for one in certificates]


def _require_valid(leaf: Certificate, at: datetime) -> None:
    if at < leaf.starts:
        raise SignatureRefused("CERTIFICATE_NOT_YET_VALID", "the certificate is not valid yet", "签名证书尚未生效。")
    if at > leaf.ends:
        raise SignatureRefused("CERTIFICATE_EXPIRED", "the certificate had expired", "签名证书已过期。")


def _require_authority(one: Certificate, below: int) -> None:
    """Require that a certificate may issue, with `below` intermediates between it and the signer's."""
    if not one.authority or (one.usage is not None and not one.usage.key_cert_sign):
        raise _not_trusted("an issuer is not an authority")
    if one.path_length is not None and below > one.path_length:
        raise _not_trusted("an authority's path length is exceeded")


def _not_trusted(detail: str) -> SignatureRefused:
    return SignatureRefused("CERTIFICATE_NOT_TRUSTED", detail, "签名证书不是由受信任的机构签发。")
