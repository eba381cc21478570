"""What one source can say of one claim: the twelve outcomes, closed and total.

An answer is a value; a failure is an exception inside `connectors` and becomes an outcome at one place
(`connectors.resilience`). Nothing here knows a transport.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from datetime import datetime

from msgspec import Struct


class Kind(enum.Enum):
    """The twelve things a source can say; the value is the name written to entries and on the wire."""

    MATCH = "MATCH"
    """The source's record agrees with the claim."""
    MISMATCH = "MISMATCH"
    """The source's record contradicts the claim, or bears another name (`Outcome.other_identity`)."""
    NO_RECORD = "NO_RECORD"
    """The source answered, is declared complete for this place and period, and holds no record."""
    NOT_HELD = "NOT_HELD"
    """The record exists, the attribute asked about is empty."""
    AMBIGUOUS = "AMBIGUOUS"
    """Several candidates fit the subject."""
    SUBJECT_INACTIVE = "SUBJECT_INACTIVE"
    """The subject is dead, cancelled or merged in the source."""
    NOT_COVERED = "NOT_COVERED"
    """The source declares that it does not cover this place or period; told without a call."""
    STALE = "STALE"
    """The source's data are older than the freshness it promised."""
    NEEDS_ATTRIBUTE = "NEEDS_ATTRIBUTE"
    """The source can decide if told one more thing (`Outcome.attribute`)."""
    PENDING = "PENDING"
    """A person is looking (`Outcome.until`)."""
    UNAVAILABLE = "UNAVAILABLE"
    """No answer in the agreed format came (`Outcome.cause`); never to be taken for NO_RECORD."""
    REFUSED = "REFUSED"
    """The source will not answer us (`Outcome.rule`); asking again does not help."""


class Cause(enum.Enum):
    """Why a source is UNAVAILABLE."""

    OUTAGE = "OUTAGE"
    TIMEOUT = "TIMEOUT"
    WINDOW = "WINDOW"
    OVERLOAD = "OVERLOAD"
    GARBLED = "GARBLED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One of the twelve, with the detail that its kind requires and no other.

    `why` says what kept an answer from being used, for whoever tries a stanza: in words of ours and of the stanza,
    never of the answer. It is no part of what was answered: outcomes that differ in it are equal, and it is recorded
    nowhere. `other_identity` says of MISMATCH that it is of whose the record is: it stands under the number asked
    about, and another name. Nothing is said then of what it holds, nor that the subject has none.

    Raises:
        ValueError: a detail is missing for the kind, or given for a kind that has none.
    """

    kind: Kind
    cause: Cause | None = None
    until: datetime | None = None
    attribute: str = ""
    rule: str = ""
    other_identity: bool = False
    why: str = field(default="", compare=False, repr=False)

    def __post_init__(self) -> None:
        if (self.kind is Kind.UNAVAILABLE) != (self.cause is not None):
            raise ValueError("a cause belongs to UNAVAILABLE and to nothing else")
        if (self.kind is Kind.NEEDS_ATTRIBUTE) != bool(self.attribute):
            raise ValueError("an attribute name belongs to NEEDS_ATTRIBUTE and to nothing else")
        if (self.kind is Kind.REFUSED) != bool(self.rule):
            raise ValueError("a rule belongs to REFUSED and to nothing else")
        if self.other_identity and self.kind is not Kind.MISMATCH:
            raise ValueError("whose a record is differs with MISMATCH and with nothing else")
        if self.until is not None and self.kind not in (Kind.PENDING, Kind.UNAVAILABLE):
            raise ValueError("a time to come back belongs to PENDING and UNAVAILABLE only")
        if self.kind is Kind.PENDING and self.until is None:
            raise ValueError("PENDING says until when")


MATCH = Outcome(kind=Kind.MATCH)
MISMATCH = Outcome(kind=Kind.MISMATCH)
OTHER_IDENTITY = Outcome(kind=Kind.MISMATCH, other_identity=True)
NO_RECORD = Outcome(kind=Kind.NO_RECORD)
NOT_HELD = Outcome(kind=Kind.NOT_HELD)
AMBIGUOUS = Outcome(kind=Kind.AMBIGUOUS)
SUBJECT_INACTIVE = Outcome(kind=Kind.SUBJECT_INACTIVE)
NOT_COVERED = Outcome(kind=Kind.NOT_COVERED)
STALE = Outcome(kind=Kind.STALE)


def unavailable(cause: Cause, until: datetime | None = None, why: str = "") -> Outcome:
    """Say that no usable answer came, and why."""
    return Outcome(kind=Kind.UNAVAILABLE, cause=cause, until=until, why=why)


class Evidence(Struct, frozen=True, kw_only=True):
    """What one source said of one claim, when, and on data as of when; never the raw answer.

    `raw_digest` is the SHA-256 of the source's raw answer (32 bytes), or empty when none came; records can be guessed
    by it, so that it is not for who asked. `attempts` is how often the source was asked; a connector says 0 of what it
    tells without looking. `cached` says that the source was not asked now: it answered this at
    `answered_at`, and its promise of freshness covers the time since.
    `undeclared` says of NO_RECORD that the source declares no coverage: the absence of a record proves nothing.
    """

    source: str
    fact_type: str
    outcome: Outcome
    asked_at: datetime
    answered_at: datetime
    as_of: datetime | None = None
    attempts: int = 1
    raw_digest: bytes = b""
    cached: bool = False
    undeclared: bool = False
