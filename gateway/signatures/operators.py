"""What a department's identity provider asserts of who acts: a compact JWS (RFC 7515) with the claims of a JWT.

The department's system shows it with each call; the gateway verifies it and keeps nothing of it. Header, keys and times
are judged as those of a real-name platform's assertion. The claims: `iss`, `aud`, `exp`, `iat`, `sub` (the person, as
the calls name the operator), `nbf` where the provider gives it, and `unit` (a unified social credit code): always where
one provider serves several units, or somebody of one could act for another.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from gateway.errors import SignatureRefused
from gateway.signatures.platform import Platform, instant, parse_assertion, verify_assertion

_TEXTS = ("iss", "sub")


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorIssuer:
    """The identity provider of one unit, and whether its systems must say by its word who acts."""

    unit: str
    platform: Platform
    required: bool
    is_shared: bool = False
    """Whether the provider serves other units too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AssertedOperator:
    """A person who was proven to act, and until when that counts."""

    person: str
    until: datetime


def verify_operator(jws: str, issuer: OperatorIssuer, *, at: datetime) -> AssertedOperator:
    """Verify that a unit's identity provider asserts, at this time, who acts.

    Raises:
        SignatureRefused: the code says which rule is broken.
    """
    assertion = parse_assertion(jws)
    verify_assertion(assertion, (issuer.platform,), texts=_TEXTS, at=at)
    claims = assertion.claims
    if (issuer.is_shared or "unit" in claims) and claims.get("unit") != issuer.unit:
        raise SignatureRefused("ASSERTION_UNIT", "it is not of the caller's unit", "经办人身份凭证不属于本单位。")
    return AssertedOperator(person=str(claims["sub"]), until=instant(claims["exp"]) + issuer.platform.leeway)
