"""The catalogue in force, as values. `gateway.catalogue.loader` makes them; nobody else does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta

from connectors.connector import Form
from gateway.catalogue.expression import Expr
from gateway.catalogue.words import (
    Absence,
    Applicants,
    AuditTiming,
    Certainty,
    CommitmentAllowance,
    CommitmentMode,
    Disclosure,
    ItemState,
    Level,
    Publication,
    Risk,
    Rung,
    Sensitivity,
    Sharing,
    SilentCredit,
    SourcePolicyKind,
    ValueKind,
    WithdrawalEffect,
    WithdrawalUntil,
)

_FORMS = {ValueKind.NAME: Form.NAME, ValueKind.ID_NUMBER: Form.ID_NUMBER}


class UnknownItem(LookupError):
    """The catalogue in force has no item with this code."""

    def __init__(self, code: str) -> None:
        super().__init__(f"no item {code!r} in the catalogue in force")
        self.code = code


class UnknownMatter(LookupError):
    """The catalogue in force has no matter with this code."""

    def __init__(self, code: str) -> None:
        super().__init__(f"no matter {code!r} in the catalogue in force")
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class Basis:
    """One legal basis: what it says, where it was found, and how surely that is known."""

    text: str
    source: str
    certainty: Certainty


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueType:
    """The type of an attribute, an input or a parameter; `words` only for an enumeration."""

    kind: ValueKind
    words: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"enum[{','.join(self.words)}]" if self.kind is ValueKind.ENUM else self.kind.value


@dataclass(frozen=True, slots=True, kw_only=True)
class SourcePolicy:
    """How the sources of one fact are weighed.

    `k` is how many must decide alike: for a quorum that many, for all-agree all of them and at least that many.
    """

    kind: SourcePolicyKind = SourcePolicyKind.FIRST
    k: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class FactType:
    """One kind of thing that one authority can attest.

    `given` are inputs a source may need to find the record; an input of type person reaches the source as three
    texts, `<name>_name`, `<name>_id_number` and `<name>_id_type`.
    """

    code: str
    title: str
    authority: str
    attributes: Mapping[str, ValueType]
    given: Mapping[str, ValueType]
    absence: Absence
    sensitivity: Sensitivity
    sharing: Sharing
    sources: SourcePolicy
    labels: Mapping[str, str] = field(default_factory=dict)
    """The Chinese for attributes and for the words of their enumerations, by name."""

    @property
    def forms(self) -> Mapping[str, Form]:
        """Which attributes and inputs, by the names that reach a source, are names and which are numbers of persons."""
        found: dict[str, Form] = {}
        for name, declared in (*self.attributes.items(), *self.given.items()):
            if declared.kind is ValueKind.PERSON:
                found |= {f"{name}_name": Form.NAME, f"{name}_id_number": Form.ID_NUMBER}
            elif declared.kind in _FORMS:
                found[name] = _FORMS[declared.kind]
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One thing the applicant says; `label` is what the clerk reads beside the field."""

    name: str
    type: ValueType
    label: str
    required: bool
    labels: Mapping[str, str] = field(default_factory=dict)
    """For an enumeration: the Chinese for each word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawal:
    """Until when a commitment may be withdrawn, and what that does to later ones."""

    until: WithdrawalUntil = WithdrawalUntil.DECISION
    after_effect: WithdrawalEffect = WithdrawalEffect.NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitmentRules:
    """Whether and how a commitment may stand in for the item."""

    allowed: CommitmentAllowance
    mode: CommitmentMode = CommitmentMode.LAST_RESORT
    template: str = ""
    proxy: bool = False
    withdrawal: Withdrawal = Withdrawal()
    publication: Publication = Publication.NOT_PUBLIC


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRules:
    """When a commitment is audited; `sampling` is percent of each stratum (0-100), `due_source` the legal source."""

    timing: AuditTiming
    due_working_days: int = 60
    due_source: str = ""
    sampling: Mapping[Risk, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuing:
    """What must be public of an item that a committee still issues.

    Source: the founding document, section 3. `deliberation` is demanded for items of communal interest: the record of
    the residents' deliberation and the signature that must be attached.
    """

    form: str
    procedure: str
    time_limit: str
    use: str
    flow: str
    communal_interest: bool = False
    deliberation: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """What a committee may still state of a TRANSITIONAL item, after which assessment, and when that is reviewed.

    Source: the founding document, section 2. A transition without an end would be a retained item.
    """

    scope: str
    risk_assessment: str
    review_by: date


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """What a certificate would have proved; `list_code` names the list that brought it in.

    `expression` is None only for items that are not verified here: BANNED ones, and RETAINED ones that a
    committee issues (`issuing` says how). `transition` belongs to TRANSITIONAL ones and to no other.
    """

    code: str
    number: int
    title: str
    list_code: str
    state: ItemState
    legal_basis: tuple[Basis, ...]
    demanded_by: str
    issued_by: str
    checked_by: str
    guide: str
    parameters: Mapping[str, Parameter]
    expression: Expr | None
    ladder: tuple[Rung, ...]
    commitment: CommitmentRules
    audit: AuditRules
    disclosure: Disclosure
    sensitivity: Sensitivity
    issuing: Issuing | None = None
    transition: Transition | None = None
    applicants: Applicants = Applicants.PERSON


@dataclass(frozen=True, slots=True, kw_only=True)
class Department:
    """A department that handles a matter, by its unified social credit code."""

    uscc: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MatterItem:
    """How one matter asks one item; None means: as the item says."""

    item: str
    ladder: tuple[Rung, ...] | None = None
    commitment_mode: CommitmentMode | None = None
    disclosure: Disclosure | None = None
    patience: timedelta | None = None
    confirm_by_clerk: bool = False
    excluded_from_commitment: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Matter:
    """One approval: who handles it, what it may ask and for which purposes.

    `patience` is how long a source may be away before people are asked; `retry_after` the wait between askings.
    `credit_silent` says what follows when the credit platform does not answer. A commitment upon which no decision
    comes within `decision_working_days` (None: as configured) lapses; `closing_date` is the last day on which one can
    be withdrawn, for items that say so.
    """

    code: str
    title: str
    list_code: str
    departments: tuple[Department, ...]
    items: Mapping[str, MatterItem]
    purposes: tuple[str, ...]
    patience: timedelta
    retry_after: timedelta
    credit_silent: SilentCredit = SilentCredit.REFUSE_TEMPORARILY
    decision_working_days: int | None = None
    closing_date: date | None = None

    def ladder_of(self, item: Item) -> tuple[Rung, ...]:
        """Return the ladder in force for an item of this matter."""
        override = self.items[item.code].ladder
        return item.ladder if override is None else override

    def mode_of(self, item: Item) -> CommitmentMode:
        """Return the commitment mode in force for an item of this matter."""
        return self.items[item.code].commitment_mode or item.commitment.mode

    def disclosure_of(self, item: Item) -> Disclosure:
        """Return the disclosure in force: an item that discloses only its verdict does so in every matter."""
        if item.disclosure is Disclosure.AGGREGATE:
            return Disclosure.AGGREGATE
        return self.items[item.code].disclosure or item.disclosure

    def patience_of(self, item: Item) -> timedelta:
        """Return how long a source of this item may be away before people are asked."""
        override = self.items[item.code].patience
        return self.patience if override is None else override


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """What a region sets for itself; empty where it says nothing."""

    name: str = ""
    credit_platform: str = ""
    credit_site: str = ""
    publication_basis: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionalList:
    """One file of the chain: whose list, its version and title."""

    level: Level
    code: str
    version: str
    title: str
    parent: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """What may be asked. `version` is the SHA-256 (hex) of `canonical`: the merged lists, canonical JSON (RFC 8785)."""

    version: str
    canonical: bytes = field(repr=False)
    lists: tuple[RegionalList, ...]
    region: Region
    fact_types: Mapping[str, FactType]
    items: Mapping[str, Item]
    matters: Mapping[str, Matter]

    def item(self, code: str) -> Item:
        """Return the item.

        Raises:
            UnknownItem: no item has this code.
        """
        try:
            return self.items[code]
        except KeyError:
            raise UnknownItem(code) from None

    def matter(self, code: str) -> Matter:
        """Return the matter.

        Raises:
            UnknownMatter: no matter has this code.
        """
        try:
            return self.matters[code]
        except KeyError:
            raise UnknownMatter(code) from None
