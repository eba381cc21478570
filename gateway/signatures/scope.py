"""Of which certificates a revocation list speaks: RFC 5280, sections 5.2.5 and 6.3.3 (b).

An authority may spread its revocations over several lists, each at a distribution point of its own. Such a list says
nothing about a certificate that names another distribution point, or none: that it is not there is no good news.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cryptography import x509

from gateway.signatures.certificates import Certificate

Names = frozenset[x509.GeneralName]


class OutOfScope(ValueError):
    """A revocation list that never says anything about whole certificates: a delta, indirect or partial by reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What a complete revocation list is of: people, authorities, or both, at any distribution point or at these."""

    issuer: x509.Name
    people: bool = True
    authorities: bool = True
    names: Names | None = None
    """Of its distribution point; None: it is of the certificates of every one."""

    def covers(self, one: Certificate) -> bool:
        """Tell whether the list, where it does not name this certificate of its issuer, says that it is not revoked."""
        if not (self.authorities if one.authority else self.people):
            return False
        return self.names is None or any(not self.names.isdisjoint(names) for names in self._names_at(one))

    def _names_at(self, one: Certificate) -> Iterator[Names]:
        """Give the names of each distribution point at which a direct and whole list of the issuer is published."""
        for point in one.distribution_points:
            elsewhere = point.crl_issuer is not None and x509.DirectoryName(self.issuer) not in point.crl_issuer
            if elsewhere or point.reasons is not None:  # another authority's list, or one of some reasons only
                continue
            names = _names(point, self.issuer)
            yield frozenset(point.crl_issuer or ()) if names is None else names


def scope_of(issuer: x509.Name, extensions: x509.Extensions) -> Scope:
    """Read of which certificates a list speaks.

    Raises:
        OutOfScope: it is a delta, indirect or partial list, or says something critical that is not understood.
    """
    found = Scope(issuer=issuer)
    for one in extensions:
        if isinstance(one.value, x509.DeltaCRLIndicator):
            raise OutOfScope("a delta list")
        if isinstance(one.value, x509.IssuingDistributionPoint):
            found = _scope_at(one.value, issuer)
        elif one.critical:
            raise OutOfScope("a list with a critical extension that is not understood")
    return found


def _scope_at(point: x509.IssuingDistributionPoint, issuer: x509.Name) -> Scope:
    if point.indirect_crl or point.only_some_reasons or point.only_contains_attribute_certs:
        raise OutOfScope("an indirect or partial list")
    return Scope(
        issuer=issuer,
        people=not point.only_contains_ca_certs,
        authorities=not point.only_contains_user_certs,
        names=_names(point, issuer),
    )


def _names(point: x509.IssuingDistributionPoint | x509.DistributionPoint, issuer: x509.Name) -> Names | None:
    """Give the names of a distribution point, None where it has none; one relative to the issuer is made whole."""
    if point.relative_name is not None:
        return frozenset([x509.DirectoryName(x509.Name([*issuer.rdns, point.relative_name]))])
    return None if point.full_name is None else frozenset(point.full_name)
