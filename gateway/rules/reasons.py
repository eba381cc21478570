"""Why a leaf is not decided, and which reason is the strongest."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from connectors.outcome import Cause, Kind, Outcome


class ReasonKind(enum.Enum):
    """Every way in which a fact can stay open."""

    PENDING = "PENDING"
    NEEDS_ATTRIBUTE = "NEEDS_ATTRIBUTE"
    UNAVAILABLE = "UNAVAILABLE"
    STALE = "STALE"
    NOT_ASKED = "NOT_ASKED"
    AMBIGUOUS = "AMBIGUOUS"
    CONFLICT = "CONFLICT"
    UNCONFIRMED = "UNCONFIRMED"
    DISPROVED = "DISPROVED"
    SUBJECT_INACTIVE = "SUBJECT_INACTIVE"
    NO_RECORD = "NO_RECORD"
    NOT_COVERED = "NOT_COVERED"
    NOT_HELD = "NOT_HELD"
    REFUSED = "REFUSED"


class Strength(enum.IntEnum):
    """The rank of reasons: the greater decides what happens next."""

    MISSING = 1
    UNCLEAR = 2
    DISPROVED = 3
    TEMPORARY = 4
    NEEDS_ATTRIBUTE = 5
    PENDING = 6


STRENGTH: Mapping[ReasonKind, Strength] = {
    ReasonKind.PENDING: Strength.PENDING,
    ReasonKind.NEEDS_ATTRIBUTE: Strength.NEEDS_ATTRIBUTE,
    ReasonKind.UNAVAILABLE: Strength.TEMPORARY,
    ReasonKind.STALE: Strength.TEMPORARY,
    ReasonKind.NOT_ASKED: Strength.TEMPORARY,
    ReasonKind.DISPROVED: Strength.DISPROVED,
    ReasonKind.AMBIGUOUS: Strength.UNCLEAR,
    ReasonKind.CONFLICT: Strength.UNCLEAR,
    ReasonKind.UNCONFIRMED: Strength.UNCLEAR,
    ReasonKind.SUBJECT_INACTIVE: Strength.UNCLEAR,
    ReasonKind.NO_RECORD: Strength.MISSING,
    ReasonKind.NOT_COVERED: Strength.MISSING,
    ReasonKind.NOT_HELD: Strength.MISSING,
    ReasonKind.REFUSED: Strength.MISSING,
}
"""NOT_ASKED is temporary: a question that was cut short can be asked again, and proves nothing missing. UNCONFIRMED is
unclear: a source decided and too few others did, so the data are not missing, whatever the others say. DISPROVED stands
beside the reasons of what is still open: people found what the applicant says untrue of a fact that could have borne it
out. Another fact may still do so, the applicant's own word may not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One reason, with the detail that its kind has."""

    kind: ReasonKind
    cause: Cause | None = None
    until: datetime | None = None
    attribute: str = ""

    def __str__(self) -> str:
        detail = self.cause.value if self.cause else self.attribute
        return f"{self.kind.value}({detail})" if detail else self.kind.value

    @property
    def strength(self) -> Strength:
        """The rank of its kind."""
        return STRENGTH[self.kind]


_TEMPORARY = {Strength.TEMPORARY.name, *(kind.value for kind, rank in STRENGTH.items() if rank is Strength.TEMPORARY)}


def is_temporary(told: str) -> bool:
    """Tell whether a reason, or a strength that stands for one, as an answer tells it, may pass by itself."""
    return told.partition("(")[0] in _TEMPORARY


NOT_ASKED = Reason(kind=ReasonKind.NOT_ASKED)
AMBIGUOUS = Reason(kind=ReasonKind.AMBIGUOUS)
CONFLICT = Reason(kind=ReasonKind.CONFLICT)
UNCONFIRMED = Reason(kind=ReasonKind.UNCONFIRMED)
DISPROVED = Reason(kind=ReasonKind.DISPROVED)

_REASONS = {
    Kind.MISMATCH: ReasonKind.AMBIGUOUS,
    Kind.NO_RECORD: ReasonKind.NO_RECORD,
    Kind.NOT_HELD: ReasonKind.NOT_HELD,
    Kind.AMBIGUOUS: ReasonKind.AMBIGUOUS,
    Kind.SUBJECT_INACTIVE: ReasonKind.SUBJECT_INACTIVE,
    Kind.NOT_COVERED: ReasonKind.NOT_COVERED,
    Kind.STALE: ReasonKind.STALE,
    Kind.NEEDS_ATTRIBUTE: ReasonKind.NEEDS_ATTRIBUTE,
    Kind.PENDING: ReasonKind.PENDING,
    Kind.UNAVAILABLE: ReasonKind.UNAVAILABLE,
    Kind.REFUSED: ReasonKind.REFUSED,
}


def reason_of(outcome: Outcome) -> Reason:
    """Return why an outcome leaves its fact open. A MISMATCH does where it is not told whose the records are.

    Raises:
        ValueError: the outcome is MATCH, which decides.
    """
    if outcome.kind not in _REASONS:
        raise ValueError(f"{outcome.kind.value} decides, it is no reason")
    kind = _REASONS[outcome.kind]
    return Reason(kind=kind, cause=outcome.cause, until=outcome.until, attribute=outcome.attribute)


def strongest(reasons: Iterable[Reason]) -> Strength | None:
    """Return the greatest strength among them; None of none."""
    return max((reason.strength for reason in reasons), default=None)
