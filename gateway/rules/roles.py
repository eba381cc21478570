"""Systems that call, and what their roles let them do."""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass

from gateway.errors import NotEntitled

_SPIFFE = re.compile(r"spiffe://(?P<domain>[a-z0-9.-]+)/org/(?P<unit>[0-9A-Z]{18})/(?P<system>[a-z0-9-]{1,64})")


class Role(enum.Enum):
    """What a system may do; the value is the word used in the configuration."""

    CLERK = "clerk"
    OFFICER = "officer"
    SOURCE_OFFICER = "source-officer"
    AUDITOR = "auditor"
    REVIEWER = "reviewer"
    CREDIT = "credit"
    SUPERVISOR = "supervisor"
    OPERATOR = "operator"
    LEDGER_AUDITOR = "ledger-auditor"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """A system that calls: its SPIFFE ID, its unit (a unified social credit code) and its roles; and the person who was
    proven to act through it, empty where that was left to its word."""

    id: str
    unit: str
    roles: frozenset[Role]
    person: str = ""

    def require(self, *allowed: Role) -> None:
        """Refuse a caller that has none of the roles.

        Raises:
            NotEntitled: names the roles that would do.
        """
        if not self.roles.intersection(allowed):
            words = ", ".join(role.value for role in allowed)
            raise NotEntitled(f"this needs one of the roles: {words}", "该系统没有办理此项操作的角色。")


def unit_of(uri: str, trust_domain: str) -> str | None:
    """Give the unit (a unified social credit code) that a caller's SPIFFE ID names, or None if it is none of ours."""
    parts = _SPIFFE.fullmatch(uri)
    return parts["unit"] if parts and parts["domain"] == trust_domain else None


def unit_in(uri: str) -> str | None:
    """Give the unit that a SPIFFE ID of any trust domain names, or None if it is no system's."""
    parts = _SPIFFE.fullmatch(uri)
    return parts["unit"] if parts else None
