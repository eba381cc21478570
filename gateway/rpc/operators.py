"""Who acts for the system that calls: as its unit's identity provider asserts it, where one is configured.

The assertion travels in the metadata of a call. It is verified and neither kept nor told; what is known of it for a
while is its digest, so that the next call of the same person costs no verification.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Protocol

from gateway.errors import OperatorAssertionRefused, OperatorAssertionRequired, SignatureRefused
from gateway.rules.roles import Caller, Role
from gateway.signatures.operators import AssertedOperator, OperatorIssuer, verify_operator

METADATA = "operator-assertion"
"""The key of the metadata that holds it."""
_MACHINES = frozenset({Role.CREDIT, Role.OPERATOR, Role.LEDGER_AUDITOR})
"""Roles of systems that act by themselves."""
_MOST_KNOWN = 4096
"""Assertions that are known for a while."""


class MetadataContext(Protocol):
    """The part of a gRPC servicer context that tells what came with the call."""

    def invocation_metadata(self) -> Any:
        """Give keys and values."""
        ...


class Operators:
    """Knows who acts, by unit of the calling system. Belongs to one event loop."""

    def __init__(self, issuers: Iterable[OperatorIssuer] = (), *, now: Callable[[], datetime]) -> None:
        self._issuers: Mapping[str, OperatorIssuer] = {one.unit: one for one in issuers}
        self._now = now
        self._known: OrderedDict[bytes, AssertedOperator] = OrderedDict()

    def identify(self, context: MetadataContext, caller: Caller) -> tuple[Caller, Callable[[], None]]:
        """Say who acts for a caller, and give what requires of a call that goes on that this still counts.

        Raises:
            OperatorAssertionRequired: the unit's systems must say who acts, and this one does not.
            OperatorAssertionRefused: what it shows does not count.
        """
        if not self._issuers:
            return caller, _nothing
        shown = [value for key, value in context.invocation_metadata() or () if key == METADATA]
        issuer = self._issuers.get(caller.unit)
        if not shown:
            if issuer is not None and issuer.required and caller.roles - _MACHINES:
                raise OperatorAssertionRequired
            return caller, _nothing
        if issuer is None:
            raise OperatorAssertionRefused("no issuer of this unit is configured")
        if len(shown) > 1 or not isinstance(shown[0], str):
            raise OperatorAssertionRefused("it is not one text")
        asserted = self._verified(shown[0], issuer)

        def require() -> None:
            if self._now() > asserted.until:
                raise OperatorAssertionRefused("ASSERTION_EXPIRED: it has expired")

        require()
        return replace(caller, person=asserted.person), require

    def _verified(self, jws: str, issuer: OperatorIssuer) -> AssertedOperator:
        key = hashlib.sha256(f"{issuer.unit} {jws}".encode("utf-8", "surrogatepass")).digest()
        known = self._known.get(key)
        if known is None:
            try:
                known = verify_operator(jws, issuer, at=self._now())
            except SignatureRefused as refusal:
                raise OperatorAssertionRefused(str(refusal)) from None
            self._known[key] = known
            if len(self._known) > _MOST_KNOWN:
                self._known.popitem(last=False)
        return known


def _nothing() -> None:
    """Require nothing of a call that goes on."""
