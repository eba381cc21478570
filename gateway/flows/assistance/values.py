"""What is asked of people, what they found, and what was recorded of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from connectors.outcome import Kind
from gateway.flows.once import Recorded
from gateway.rules.admission import Operator, Question
from ledger import RecordRow
from ledger.canonical import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """What is asked of whom: the verification that is open, the unit, the type of fact, how long it has, and a note."""

    verification: bytes
    unit: str
    fact_type: str
    working_days: int
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What people found: one of `rules.people.OUTCOMES`, on what basis, who else found it, and digests of files."""

    outcome: Kind
    basis: str
    second: Operator | None
    attachments: Sequence[tuple[str, bytes]] = ()

    def body(self) -> dict[str, Json]:
        """Give it as a canonical value."""
        return {
            "outcome": self.outcome.value,
            "basis": self.basis,
            "second": None if self.second is None else {"person": self.second.person, "unit": self.second.unit},
            "attachments": [{"title": title, "sha256": digest.hex()} for title, digest in self.attachments],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Checking:
    """A check of the approval department itself, or one that it paid for: `commission` says whom and under what."""

    verification: bytes
    fact_type: str
    method: str
    finding: Finding
    commission: Mapping[str, Json] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Assisted:
    """What was recorded, and the record of the new answer to the claim, if there is one."""

    recorded: Recorded
    verification: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A claim in a case: a record of the case, and the question as it was asked."""

    row: RecordRow
    question: Question

    @property
    def case_key(self) -> bytes:
        """The keyed index of the case."""
        return self.row.case_key or b""
