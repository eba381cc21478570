"""The closed vocabularies of the catalogue; each value is the word written in the YAML files."""

from __future__ import annotations

import enum


class Level(enum.Enum):
    """Whose list a file is."""

    NATION = "nation"
    PROVINCE = "province"
    CITY = "city"


class Applicants(enum.Enum):
    """Of whom an item can be asked: what is true or false of people only is never asked of an organisation."""

    PERSON = "PERSON"
    ORGANISATION = "ORGANISATION"
    ANY = "ANY"

    @property
    def kinds(self) -> tuple[Applicants, ...]:
        """The kinds of applicant that are admitted."""
        return (Applicants.PERSON, Applicants.ORGANISATION) if self is Applicants.ANY else (self,)

    def admits(self, id_type: str) -> bool:
        """Say whether an applicant with an identifier of a type is one of them."""
        return (Applicants.ORGANISATION if id_type == "uscc" else Applicants.PERSON) in self.kinds


class ItemState(enum.Enum):
    """Whether anybody may still demand or issue the certificate."""

    BANNED = "BANNED"
    """May not be demanded at all."""
    NOT_ISSUED_BY_COMMITTEE = "NOT_ISSUED_BY_COMMITTEE"
    """Residents' committees do not issue it; the fact is verified here."""
    TRANSITIONAL = "TRANSITIONAL"
    """A committee may still state what is its own duty and what it can verify, until the transition is reviewed."""
    RETAINED = "RETAINED"
    """A committee issues it, with basis, form, procedure, time limit, use and flow made public."""


class Certainty(enum.Enum):
    """How surely a legal source is known."""

    LAW_READ = "L"
    SITE_READ = "S"
    MEMORY = "M"
    INFERRED = "I"


class ValueKind(enum.Enum):
    """The types that attributes, inputs and parameters have; a name or number of its own only attributes and inputs."""

    STRING = "string"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    DATE = "date"
    ENUM = "enum"
    PERSON = "person"
    DIVISION = "division"
    NAME = "name"
    ID_NUMBER = "id_number"


class Absence(enum.Enum):
    """Whether "no record" in a complete source proves that there is nothing."""

    CONCLUSIVE = "conclusive"
    INCONCLUSIVE = "inconclusive"


class Sensitivity(enum.Enum):
    """SENSITIVE facts never enter a credit report (regional credit regulations; PIPL article 28)."""

    ORDINARY = "ORDINARY"
    SENSITIVE = "SENSITIVE"


class Sharing(enum.Enum):
    """How the holding department shares the data (the classes of government data sharing)."""

    UNCONDITIONAL = "UNCONDITIONAL"
    CONDITIONAL = "CONDITIONAL"
    NOT_SHARED = "NOT_SHARED"


class SourcePolicyKind(enum.Enum):
    """How several sources of one fact are weighed."""

    FIRST = "first"
    QUORUM = "quorum"
    ALL_AGREE = "all-agree"


class Rung(enum.Enum):
    """A step of an item's ladder when the data are missing."""

    ASSISTANCE = "ASSISTANCE"
    OWN_OR_COMMISSIONED_CHECK = "OWN_OR_COMMISSIONED_CHECK"
    COMMITMENT = "COMMITMENT"


LADDER_ORDER: tuple[Rung, ...] = (Rung.ASSISTANCE, Rung.OWN_OR_COMMISSIONED_CHECK, Rung.COMMITMENT)
"""The founding document's order; a ladder may leave rungs out but never turns them round."""


class CommitmentAllowance(enum.Enum):
    """Whether a commitment can ever stand in for an item."""

    NEVER = "NEVER"
    BY_MATTER = "BY_MATTER"
    """Only where a matter's own ladder names it."""
    BY_DEFAULT = "BY_DEFAULT"


class CommitmentMode(enum.Enum):
    """LAST_RESORT: after the ladder's other rungs; APPLICANT_CHOICE: as soon as data are known to be missing."""

    LAST_RESORT = "LAST_RESORT"
    APPLICANT_CHOICE = "APPLICANT_CHOICE"


class WithdrawalUntil(enum.Enum):
    """Until when a commitment may be withdrawn."""

    DECISION = "DECISION"
    FEE_PAYMENT = "FEE_PAYMENT"
    CLOSING_DATE = "CLOSING_DATE"


class WithdrawalEffect(enum.Enum):
    """What withdrawal does to later commitments in the same matter."""

    NONE = "NONE"
    BARRED_THIS_YEAR = "BARRED_THIS_YEAR"


class SilentCredit(enum.Enum):
    """What happens to a commitment when the credit platform gives no usable answer: never is the person eligible."""

    REFUSE_TEMPORARILY = "REFUSE_TEMPORARILY"
    """Refused for now; the platform is asked again later."""
    OTHER_RUNGS = "OTHER_RUNGS"
    """Refused; the case goes to the item's other rungs at once."""


class Publication(enum.Enum):
    """How far a commitment letter may be made public (the three values of the national reporting template)."""

    PUBLIC = "PUBLIC"
    LIMITED = "LIMITED"
    NOT_PUBLIC = "NOT_PUBLIC"


class AuditTiming(enum.Enum):
    """When a commitment is checked."""

    NONE = "NONE"
    DURING = "DURING"
    AFTER = "AFTER"


class Risk(enum.Enum):
    """The strata of a draw."""

    LOW = "LOW"
    MEDIUM = "MEDIUM"
    HIGH = "HIGH"


class Disclosure(enum.Enum):
    """Whether the caller sees the outcome of each fact or only the verdict."""

    PER_FACT = "PER_FACT"
    AGGREGATE = "AGGREGATE"
