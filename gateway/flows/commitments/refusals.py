"""Refusals of acts upon commitments: who was refused, and why, must be provable later, and can be contested.

A refusal is recorded once for each request and rule, and takes no idempotency key of the request: what was refused may
be asked again when things have changed. Nothing else changes with it. How many a caller can make is bounded by the
caller's limits (`[limits]`), as all that it does.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import datetime

from msgspec.structs import replace

from gateway.errors import GatewayError, InvalidRequest, Recording, RecordNotFound, StepRefused, TransitionNotAllowed
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
        """Return a record of the caller's own unit; that there is none is recorded.

        The refusal is the caller's unit's, and the id of a record stands in the published log and on every letter: so
        the entry is the same whether another unit has such a record or nobody, and no list and no count tells that it
        exists or whom it concerns. What was sought stands in the document alone, which auditors open, and of the
        request nothing else: a person in it has no key here under which it could be erased.

        Raises:
            RecordNotFound: there is none, or it is another unit's; the two are not told apart.
        """
        try:
            return await self._look_up.own(family, record, request.caller)
        except RecordNotFound as refusal:
            sought: dict[str, Json] = {
                "method": request.body["method"],
                "family": family,
                "record": record.hex(),
                "operator": request.person,
            }
            await self._append(replace(request, body=sought), refusal, None, {"unit": request.caller.unit}, {})
            raise

    @asynccontextmanager
    async def of(self, request: Request, about: RecordRow) -> AsyncIterator[None]:
        """Record what is refused while something is done with a record, because the state of things does not allow it.

        Raises:
            StepRefused: what was refused, with its proof.
        """
        try:
            yield
        except StepRefused as refusal:
            await self.record(request, refusal, about)
            raise

    async def refuse(
        self,
        request: Request,
        refusal: GatewayError,
        about: RecordRow,
        content: Mapping[str, Json] | None = None,
    ) -> Recorded:
        """Return what a request came to that was sent twice at one moment (`Once.done_or`), or record its refusal.

        Raises:
            GatewayError: `refusal`, with its proof.
        """
        if replayed := await self._once.replay(request):
            return replayed
        await self.record(request, refusal, about, content)
        raise refusal

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
        kept = content or {}
        if about.family == "commitment" and about.state == "PREPARED":
            with suppress(TransitionNotAllowed):  # it was signed, or expired, at the same moment
                await self._append(request, refusal, about.record, {}, kept)
                return
        await self._append(request, refusal, None, case_facts(about, parent=about.record), kept)

    async def _append(
        self,
        request: Request,
        refusal: GatewayError,
        record: bytes | None,
        facts: Mapping[str, Json],
        content: Mapping[str, Json],
    ) -> None:
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
        recorded = await self._once.record(replace(request, refusal=f"{refusal.reason}: {codes}"), [draft], at=at)
        refusal.recording = Recording(
            proof=recorded.receipts[0],
            index=recorded.first,
            size=recorded.size,
            record=recorded.record,
        )


def codes_of(refusal: GatewayError) -> tuple[str, ...]:
    """Give the rules that refused, the one to tell first."""
    if isinstance(refusal, InvalidRequest):
        return tuple(violation.field for violation in refusal.violations)
    codes = getattr(refusal, "codes", None)
    return codes or (str(getattr(refusal, "code", refusal.reason)),)
