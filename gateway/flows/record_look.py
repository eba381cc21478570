"""Record a look: whoever looks a person up leaves a trace: of whom, by whom and why, before anything is told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from connectors.connector import Subject
from gateway.flows.once import Once, Recorded
from gateway.rules.admission import Operator, subject_body
from ledger import BlindIndex, Draft, new_record
from ledger.canonical import Json

_NO_CASE: Mapping[str, Json] = {}


class RecordLook:
    """Records that people were looked up."""

    def __init__(
        self, *, once: Once, index: BlindIndex, now: Callable[[], datetime], entropy: Callable[[int], bytes]
    ) -> None:
        self._once = once
        self._index = index
        self._now = now
        self._entropy = entropy

    async def __call__(
        self, subject: Subject, operator: Operator, purpose: str, *, case: Mapping[str, Json] = _NO_CASE
    ) -> Recorded:
        """Record a look at a person; `case` says for which case, where it is for one."""
        at = self._now()
        draft = Draft(
            kind="SubjectLookedUp",
            record=new_record(at, self._entropy),
            groups={
                "subject": subject_body(subject),
                "purpose": purpose,
                "operator": {"person": operator.person, "unit": operator.unit},
                **({"case": dict(case)} if case else {}),
            },
            facts={**self.subject_fact(subject), "unit": operator.unit},
        )
        return await self._once.record(None, [draft], at=at)

    def subject_fact(self, subject: Subject) -> dict[str, Json]:
        """Give the fact by which a person finds the entry again."""
        return {"subject": self._index.of(subject.id_type, subject.id_number).hex()}
