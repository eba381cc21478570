"""Refusals on the way to a commitment: who was refused, and why, must be provable later, and can be contested.

A refusal is recorded once for each request and rule, and takes no idempotency key of the request: what was refused may
be asked again when things have changed. Nothing else changes with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from msgspec.structs import replace

from gateway.errors import GatewayError, InvalidRequest, Recording, RecordNotFound, TransitionNotAllowed
from gateway.flows.commitments.documents import case_facts
from gateway.flows.look_up import LookUp
from gateway.flows.once import REQUEST, Once, Recorded, Request
from ledger import Draft, RecordRow, new_record
from ledger.canonical import Json

REFUSAL = "refusal"
"""The group that says which rules refused, in words too."""
_KIND = "CommitmentRefused"


class Refusals:
    """Records refusals."""

    def __init__(
        self, *, once: Once, look_up: LookUp, now: Callable[[], datetime], entropy: Callable[[int], bytes]
    ) -> None:
        self._once = once
        self._look_up = look_up
        self._now = now
        self._entropy = entropy

    async def own(self, request: Request, family: str, record: bytes) -> RecordRow:
        """Return a record of the caller's own unit; that another unit asked for it is recorded, and not told.

        Raises:
            RecordNotFound: there is none, or it is another unit's; the two are not told apart.
        """
        try:
            return await self._look_up.own(family, record, request.caller)
        except RecordNotFound as refusal:
            row = await self._look_up.find(record)
            if row is not None and row.family == family:
                facts: dict[str, Json] = {
                    "subject": row.subject.hex() if row.subject else None,
                    "unit": request.caller.unit,
                    "parent": record.hex(),
                }
                await self._append(request, refusal, None, facts, {})
            raise

    async def record(
        self,
        request: Request,
        refusal: GatewayError,
        about: RecordRow,
        content: Mapping[str, Json] | None = None,
    ) -> None:
        """Record a refusal and attach its proof to it.

        It goes to the record of a document that still waits to be signed, else to a record of its own whose parent is
        what it is about (the verification, or the commitment).
        """
        facts, kept = case_facts(about, parent=about.record), content or {}
        recorded = None
        if about.family == "commitment" and about.state == "PREPARED":
            try:
                recorded = await self._append(request, refusal, about.record, {}, kept)
            except TransitionNotAllowed:
                recorded = None  # it was signed, or expired, at the same moment
        recorded = recorded or await self._append(request, refusal, None, facts, kept)
        refusal.recording = Recording(
            proof=recorded.receipts[0],
            index=recorded.first,
            size=recorded.size,
            record=recorded.record,
        )

    async def _append(
        self,
        request: Request,
        refusal: GatewayError,
        record: bytes | None,
        facts: Mapping[str, Json],
        content: Mapping[str, Json],
    ) -> Recorded:
        at = self._now()
        codes = codes_of(refusal)
        draft = Draft(
            kind=_KIND,
            record=record or new_record(at, self._entropy),
            groups={
                REQUEST: request.body,
                REFUSAL: {
                    "reason": refusal.reason,
                    "code": codes[0],
                    "codes": list(codes),
                    "explanation": refusal.chinese,
                },
                "clerk": request.person,
                **content,
            },
            facts=facts,
        )
        return await self._once.record(replace(request, refusal=f"{refusal.reason}: {codes}"), [draft], at=at)


def codes_of(refusal: GatewayError) -> tuple[str, ...]:
    """Give the rules that refused, the one to tell first."""
    if isinstance(refusal, InvalidRequest):
        return tuple(violation.field for violation in refusal.violations)
    codes = getattr(refusal, "codes", None)
    return codes or (str(getattr(refusal, "code", refusal.reason)),)
