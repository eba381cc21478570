"""Who calls: the system that a client certificate names, and the roles that the configuration gives it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Protocol

from gateway.errors import CallerUnknown
from gateway.rpc.certificates import CallerCertificates
from gateway.rules.roles import Caller, Role, unit_of


class PeerContext(Protocol):
    """The part of a gRPC servicer context that tells who is on the other end."""

    def auth_context(self) -> Mapping[str, Iterable[bytes]]:
        """Give what the handshake established."""
        ...


class Callers:
    """Knows callers by the certificate of their connection.

    The certificate is looked at with every call: an address and port can come back with another certificate, so
    who was there before is no evidence of who is there now. `certificates` tells whether it still counts.
    """

    def __init__(
        self,
        known: Mapping[str, frozenset[Role]],
        *,
        trust_domain: str,
        plaintext: bool,
        certificates: CallerCertificates | None = None,
    ) -> None:
        self._known = known
        self._domain = trust_domain
        self._plaintext = plaintext
        self._certificates = certificates

    def identify(self, context: PeerContext) -> Caller:
        """Say who calls.

        Raises:
            CallerUnknown: no certificate names a system, or the system is not configured.
            CallerRefused: the certificate counted when the connection began, and does not now.
        """
        auth = context.auth_context()
        if self._certificates is not None:
            self._certificates.require(auth)
        return self._caller(_uris(auth))

    def standing(self, context: PeerContext) -> Callable[[], None]:
        """Give what requires of a call that goes on that its caller's certificate still counts: it raises
        `CallerRefused`."""
        if self._certificates is None:
            return lambda: None
        return partial(self._certificates.require, context.auth_context())

    def _caller(self, uris: list[str]) -> Caller:
        if self._plaintext and not uris:
            # Without TLS nobody can be told apart: the one configured caller it is, and there may be no second.
            uris = list(self._known) if len(self._known) == 1 else []
        for uri in uris:
            unit = unit_of(uri, self._domain)
            if unit is not None:
                roles = self._known.get(uri)
                if roles is None:
                    raise CallerUnknown("the certificate's system is not configured here")
                return Caller(id=uri, unit=unit, roles=roles)
        raise CallerUnknown("the certificate names no system of this trust domain")


def _uris(auth: Mapping[str, Iterable[bytes]]) -> list[str]:
    names = auth.get("x509_subject_alternative_name", ())
    return [name.decode("ascii", "replace") for name in names if name.startswith(b"spiffe://")]
