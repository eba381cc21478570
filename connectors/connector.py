"""The seam between the gateway and a department's data source.

A connector answers claims; it knows nothing of verdicts, commitments or the ledger. Deadlines, retry, breaker,
bulkhead and windows live in `connectors.resilience.Resilient`, which wraps any connector; nothing is inherited.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, ClassVar, Protocol

import msgspec
from msgspec import Struct

from connectors.outcome import Evidence
from connectors.veiled import Veiled

Value = str | int | bool | date
"""What an attribute can hold."""


class Form(enum.Enum):
    """What a text is, where it is more than a text: these are written in several ways that mean the same."""

    NAME = "name"
    """Of a person or organisation; compared as that of a subject is."""
    ID_NUMBER = "id_number"
    """Of a person; in either case, with or without blanks and hyphens, of 18 digits or 15."""


class Subject(Veiled, frozen=True, kw_only=True):
    """The person or organisation a claim is about, already normalised.

    `id_type` is `resident-id` (GB 11643), `permit` or `uscc` (GB 32100). Its text form hides everything, so that
    a stray log line or traceback cannot carry a name.
    """

    id_type: str
    id_number: str
    name: str

    shown: ClassVar = ("id_type",)


class Claim(Veiled, frozen=True, kw_only=True):
    """What the applicant asserts about one fact: the record of `subject` carries the `expected` attributes.

    With no expected attributes the claim is that a record exists. `given` holds further inputs that a source may
    need to find the record (a certificate number, the other person of a relation). `forms` says which of both are
    names or numbers. `place` (a six-digit division) and `period` say where and when the fact lies, for coverage.
    """

    fact_type: str
    subject: Subject
    expected: Mapping[str, Value] = msgspec.field(default_factory=dict)
    given: Mapping[str, Value] = msgspec.field(default_factory=dict)
    forms: Mapping[str, Form] = msgspec.field(default_factory=dict)
    place: str = ""
    period: tuple[date, date] | None = None

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("fact_type", self.fact_type), ("expected", sorted(self.expected))]


class QueryContext(Struct, frozen=True, kw_only=True):
    """Who asks and why: real exchange platforms demand each of these with every query (none may be empty)."""

    matter: str
    case: str
    item: str
    operator: str
    unit: str
    reason: str
    deadline: float
    """Loop time (`asyncio.get_running_loop().time()`) after which nobody waits for the answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """Where and since when a source is complete; an empty tuple of places means everywhere."""

    places: tuple[str, ...] = ()
    """Prefixes of division codes (`23` is the province, `2301` the city)."""
    since: date | None = None
    until: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """What a source declares of one fact type beside its code, for whoever asks to compare with what is asked."""

    attributes: frozenset[str] = frozenset()
    """Those that it compares."""
    given: frozenset[str] = frozenset()
    """What a claim gives by which it finds a record, or tells it apart."""
    words: Mapping[str, frozenset[Value]] = field(default_factory=dict)
    """By attribute: what its codes stand for."""
    uncoded: frozenset[str] = frozenset()
    """Those attributes that are compared as they are held, through no code table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a source declares of itself; the gateway trusts no more than this."""

    source: str
    department: str
    fact_types: frozenset[str]
    coverage: Mapping[str, Coverage] = field(default_factory=dict)
    """By fact type; of one not named no completeness is declared: that it has no record proves nothing."""
    moving_coverage: bool = False
    """Whether coverage comes with the data: what it is now, is known only by asking. The source itself then says
    NOT_COVERED, by the coverage of the data that it answers from."""
    declared: Mapping[str, Declared] = field(default_factory=dict)
    """By fact type; of one not named nothing is known before it is asked."""
    freshness: timedelta | None = None
    sensitive: frozenset[str] = frozenset()
    batch: int = 1
    """Claims of one fact type that one call answers at about the cost of one. More than 1 only where the source is
    not told who asks, and why: the claims of several callers then travel in one call, under the context of one."""
    lanes: int = 0
    """Calls that it can work on at once; 0 for no limit of its own."""
    asked_once: frozenset[str] = frozenset()
    """Fact types that may not be asked again for the same answer (asking is charged, or uses up a ticket)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """What a probe of the source found; `detail` is for operators and never holds personal data.

    `newest` is the date of the data by type of fact, where the source tells it without being asked about anybody.
    """

    ok: bool
    detail: str
    probed_at: datetime
    newest: Mapping[str, datetime] = field(default_factory=dict)


class Connector(Protocol):
    """A department's data source, able to answer some types of fact."""

    @property
    def manifest(self) -> Manifest:
        """What the source declares: department, fact types, coverage, freshness."""
        ...

    async def check_many(self, claims: Sequence[Claim], context: QueryContext) -> list[Evidence]:
        """Answer each claim, in the same order.

        Raises:
            SourceUnavailable: no usable answer came (`connectors.errors`); nothing may be concluded.
            SourceRefused: the source will not answer us; asking again will not help.
            NotAsked: the question cannot be put to the source; it says nothing of the source.
        """
        ...

    async def probe(self) -> Health:
        """Say whether the source answers, without asking about anybody."""
        ...

    async def aclose(self) -> None:
        """Release connections; the connector is not used afterwards."""
        ...
