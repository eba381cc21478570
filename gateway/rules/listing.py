"""Whether a person stands on a list that bars from commitments: of serious distrust, of declared incapacity. Pure.

Such a list is asked like any source, with the same twelve outcomes. Only two of them decide: MATCH says that the person
is listed, NO_RECORD of a complete list that the person is not. Everything else leaves it open, and open never means
"not listed": also a MISMATCH, because a record under the same number and another name may well be this person's.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

from connectors.connector import Claim, Subject
from connectors.outcome import Evidence, Kind
from gateway.catalogue.model import FactType
from gateway.catalogue.words import Absence, Sensitivity
from gateway.rules.plan import FactCheck, Leaf, Plan
from gateway.rules.reasons import Reason, ReasonKind
from gateway.rules.truth import Truth
from gateway.rules.verdict import judge

_CHECK = "f1"


class Listing(enum.Enum):
    """What a list says of a person."""

    LISTED = "LISTED"
    NOT_LISTED = "NOT_LISTED"
    UNKNOWN = "UNKNOWN"
    """The list was asked and gave no usable answer."""
    NOT_ASKED = "NOT_ASKED"
    """No such list is configured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """What a list says of a person; `reasons` say why it is UNKNOWN, and are empty otherwise."""

    listing: Listing
    reasons: frozenset[Reason] = frozenset()


def listing_plan(fact: FactType, subject: Subject) -> Plan:
    """Give the plan that asks one thing: is there a record of the subject on this list."""
    check = FactCheck(
        id=_CHECK,
        fact_type=fact.code,
        claim=Claim(fact_type=fact.code, subject=subject),
        absence_conclusive=fact.absence is Absence.CONCLUSIVE,
        policy=fact.sources,
        sensitive=fact.sensitivity is Sensitivity.SENSITIVE,
    )
    return Plan(root=Leaf(id=_CHECK), checks={_CHECK: check})


def weigh_listing(plan: Plan, evidence: Sequence[Evidence], *, sources: int) -> Listed:
    """Say what the sources of a list said; total over every outcome. `sources` is how many are configured."""
    if any(one.outcome.kind is Kind.MISMATCH for one in evidence):
        return Listed(listing=Listing.UNKNOWN, reasons=frozenset({Reason(kind=ReasonKind.AMBIGUOUS)}))
    judged = judge(plan.checks[_CHECK], evidence, sources=max(1, sources))
    match judged.truth:
        case Truth.TRUE:
            return Listed(listing=Listing.LISTED)
        case Truth.FALSE:
            return Listed(listing=Listing.NOT_LISTED)
        case _:
            return Listed(listing=Listing.UNKNOWN, reasons=judged.reasons)
