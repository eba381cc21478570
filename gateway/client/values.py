"""What is asked and answered, as values. Texts of these values hide names and numbers, so that no log shows them."""

from __future__ import annotations

import enum
import os
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from gateway.client.proofs import ProvenEntry


class Verdict(enum.Enum):
    """The answer to the whole question."""

    ESTABLISHED = "ESTABLISHED"
    CONTRADICTED = "CONTRADICTED"
    UNDETERMINED = "UNDETERMINED"
    PENDING = "PENDING"
    UNKNOWN = "UNKNOWN"
    """A verdict that this version of the library does not know, or none because the document was erased."""


class Step(enum.Enum):
    """What must happen now."""

    NONE = "NONE"
    DISPUTE = "DISPUTE"
    WAIT = "WAIT"
    ASK_APPLICANT = "ASK_APPLICANT"
    RETRY_AFTER = "RETRY_AFTER"
    ASSISTANCE = "ASSISTANCE"
    OWN_OR_COMMISSIONED_CHECK = "OWN_OR_COMMISSIONED_CHECK"
    COMMITMENT = "COMMITMENT"
    NOT_ESTABLISHABLE = "NOT_ESTABLISHABLE"
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A person or organisation; `id_type` is `resident-id`, `permit` or `uscc`."""

    id_number: str = field(repr=False)
    name: str = field(repr=False)
    id_type: str = "resident-id"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """For what is asked, and by whom: the matter's code, the case, the purpose, the officer and the unit."""

    matter: str
    case_id: str
    purpose: str
    operator: str
    unit: str


Argument = str | int | bool | date | Person
"""What can be said for a parameter."""


def new_request_id(milliseconds: Callable[[], int] | None = None, entropy: Callable[[int], bytes] = os.urandom) -> str:
    """Make a UUID of version 7 (RFC 9562, 5.7): 48 bits of time in milliseconds, then chance."""
    now = milliseconds() if milliseconds else time.time_ns() // 1_000_000
    value = int.from_bytes(now.to_bytes(6, "big") + entropy(10), "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return str(uuid.UUID(int=value))


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Whether something is true of somebody. Sent again, even by another process, it gets its first answer again."""

    case: Case
    item: str
    subject: Person
    parameters: Mapping[str, Argument] = field(default_factory=dict, repr=False)
    request_id: str = field(default_factory=new_request_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class NextStep:
    """What follows from a verdict; `explanation` is for the person at the window."""

    kind: Step
    until: datetime | None
    since: datetime | None
    retry_after: timedelta | None
    attribute: str
    attempts: tuple[str, ...]
    confirm_by_clerk: bool
    explanation: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FactOutcome:
    """What a source, or people, said about one fact: one of the twelve outcomes by name, and the cause of UNAVAILABLE.

    `cached`: the source was not asked again; it is what it said before, at `answered_at`. `about_statement`: people
    found it, about what the applicant says, which may be that there is no such fact; a source speaks of its record.
    `other_identity`: it is a MISMATCH of the name, that of the record under this number is another one.
    """

    fact_type: str
    source: str
    outcome: str
    cause: str
    asked_at: datetime
    answered_at: datetime
    as_of: datetime | None
    attempts: int
    raw_digest: bytes
    cached: bool
    about_statement: bool = False
    other_identity: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """One answered question. Where the matter discloses the verdict only, `facts` are empty, and `reasons` say no more
    than what they amount to (MISSING, UNCLEAR, DISPROVED, TEMPORARY, NEEDS_ATTRIBUTE, PENDING)."""

    record: str
    item: str
    case: Case
    verdict: Verdict
    reasons: tuple[str, ...]
    next_step: NextStep
    facts: tuple[FactOutcome, ...]
    catalogue_version: str
    policy_version: str
    answered_at: datetime
    erased: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer with the proof that it was recorded, verified."""

    verification: Verification
    receipt: ProvenEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a verification stands now; `final` if nothing further is awaited."""

    answer: Answer
    cursor: str
    final: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedFact:
    """One fact that would be asked, at which step, of whom and why."""

    step: int
    fact_type: str
    sources: tuple[str, ...]
    why: str
    sensitive: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanExplained:
    """What asking would come to; `not_entitled` says what this caller may not ask, and by which rule."""

    text: str
    facts: tuple[PlannedFact, ...]
    not_entitled: tuple[str, ...]
    catalogue_version: str
