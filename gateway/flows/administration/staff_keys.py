"""Staff keys: the signing keys of clerks who witness signatures by hand.

PROPOSED by one person, with the proof that the clerk holds the key → ENROLLED (or REJECTED) by a second; neither is the
clerk. REVOKED at any time by one: what it signed before stands. A key that replaces another ends it when enrolled.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from gateway.errors import (
    DocumentErased,
    InvalidRequest,
    RecordNotFound,
    SameOfficer,
    SignatureRefused,
    StaffKeyRefused,
    Violation,
)
from gateway.flows.act import Act, onto, require_after, require_takes
from gateway.flows.look_up import Life, LookUp
from gateway.flows.once import REQUEST, Once, Recorded, Request
from gateway.flows.second_officer import require_second
from gateway.rules.kept import table, text
from gateway.rules.roles import Caller
from gateway.rules.separation import SecondOfficerRequired, verify_second_officer
from gateway.signatures import StaffKey, read_public_key, verify_bytes
from ledger import AlreadyClaimed, Draft, Ledger, RecordRow, new_record
from ledger.canonical import Json, canonical

KEY = "key"
"""The group of StaffKeyProposed that holds the key and whose it is."""
FAMILY = "staffkey"
_REVOKED = "StaffKeyRevoked"
_STATES = ("KEY_PROPOSED", "KEY_ENROLLED", "KEY_REJECTED", "KEY_REVOKED")
_END = (1 << 62) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A key to be enrolled: the clerk's staff number, the key, the proof of holding it, and the key it replaces."""

    person: str
    algorithm: str
    public_key: bytes = field(repr=False)
    """SubjectPublicKeyInfo, DER."""
    possession: bytes = field(repr=False)
    replaces: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyTold:
    """A key as it stood: what was proposed, its life, and since when it may sign and no longer may."""

    life: Life
    person: str
    algorithm: str
    public_key: bytes = field(repr=False)
    replaces: bytes | None
    enrolled_at: datetime | None
    revoked_at: datetime | None


def enrolment(*, person: str, unit: str, algorithm: str, public_key: bytes, request_id: UUID) -> bytes:
    """Write what a clerk signs to prove that the key is held: canonical JSON (RFC 8785).

    The request's id makes a proof worth nothing for another proposal.
    """
    return canonical(
        {
            "type": "chengxin/staff-key-enrolment",
            "version": 1,
            "person": person,
            "unit": unit,
            "algorithm": algorithm,
            "public_key": public_key.hex(),
            "request_id": str(request_id),
        }
    )


class StaffKeys:
    """Enrols, replaces and revokes the keys of clerks, and tells what a key was worth when."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        once: Once,
        look_up: LookUp,
        now: Callable[[], datetime],
        entropy: Callable[[int], bytes],
    ) -> None:
        self._ledger = ledger
        self._once = once
        self._look_up = look_up
        self._act = Act(once=once, look_up=look_up, now=now)
        self._now = now
        self._entropy = entropy

    async def propose(self, request: Request, proposal: Proposal) -> Recorded:
        """Propose a key for a clerk of the caller's unit.

        Raises:
            InvalidRequest: the public key is none of an accepted algorithm.
            StaffKeyRefused: the proof does not hold, the clerk proposes for themselves, the key is known already, or
                what it replaces is not an enrolled key of the same clerk.
            RecordNotFound: there is no such key to replace.
        """
        if replayed := await self._once.replay(request):
            return replayed
        _require_another(request.operator.person, proposal.person)
        verify_possession(proposal, unit=request.caller.unit, request_id=request.request_id)
        if proposal.replaces is not None:
            await self._require_predecessor(request.caller, proposal)
        at = self._now()
        record = new_record(at, self._entropy)
        draft = Draft(
            kind="StaffKeyProposed",
            record=record,
            groups={
                REQUEST: request.body,
                KEY: {
                    "person": proposal.person,
                    "unit": request.caller.unit,
                    "algorithm": proposal.algorithm,
                    "public_key": proposal.public_key.hex(),
                    "possession": proposal.possession.hex(),
                    "replaces": proposal.replaces.hex() if proposal.replaces else "",
                },
                "operator": request.person,
            },
            facts={
                "unit": request.caller.unit,
                "parent": proposal.replaces.hex() if proposal.replaces else None,
            },
        )
        claim = hashlib.sha256(b"staff-key\x00" + proposal.public_key).digest()
        try:
            return await self._once.record(request, [draft], at=at, claims=[(claim, record)])
        except AlreadyClaimed as error:
            raise StaffKeyRefused("KEY_KNOWN", "this key was proposed before", "该密钥已登记或曾被登记。") from error

    async def decide(self, request: Request, record: bytes, *, enrol: bool) -> Recorded:
        """Enrol or reject a proposed key; enrolling ends the key that it replaces, in the same act.

        Raises:
            RecordNotFound: no such key of the caller's unit.
            SameOfficer: who decides proposed it, or is its holder.
            TransitionNotAllowed: it was decided already.
            ClockBehind: the clock is before what was recorded last; nothing is recorded.
        """
        if replayed := await self._once.replay(request):
            return replayed
        kind = "StaffKeyEnrolled" if enrol else "StaffKeyRejected"

        async def judge(row: RecordRow, at: datetime) -> Recorded:
            require_takes(row, kind)
            await self._require_second(row, request)
            drafts = [_draft(request, row, kind)]
            if enrol and row.parent is not None:
                replaced = await self._look_up.own(FAMILY, row.parent, request.caller)
                if replaced.state == "KEY_ENROLLED":
                    require_after(replaced, at)
                    drafts.append(_draft(request, replaced, _REVOKED))
            return await self._once.record(request, drafts, at=at)

        return await self._act(request, await self._look_up.own(FAMILY, record, request.caller), judge)

    async def revoke(self, request: Request, record: bytes, reason: str) -> Recorded:
        """End a key at once; one person is enough to stop a key that may be lost.

        Raises:
            RecordNotFound: no such key of the caller's unit.
            TransitionNotAllowed: it is not enrolled.
        """
        if replayed := await self._once.replay(request):
            return replayed

        async def judge(row: RecordRow, at: datetime) -> Recorded:
            require_takes(row, _REVOKED)
            draft = _draft(request, row, _REVOKED, {"revocation": {"reason": reason}})
            return await self._once.record(request, [draft], at=at)

        return await self._act(request, await self._look_up.own(FAMILY, record, request.caller), judge)

    async def find(self, record: bytes) -> StaffKey | None:
        """Return a key that is or was enrolled, with the times that say what its signatures are worth; else None."""
        try:
            told = await self.told(await self._look_up.any(FAMILY, record))
        except (RecordNotFound, DocumentErased):
            return None
        if told.enrolled_at is None:
            return None
        return StaffKey(
            record=record,
            person=told.person,
            unit=told.life.row.unit or "",
            algorithm=told.algorithm,
            public_key=told.public_key,
            enrolled_at=told.enrolled_at,
            revoked_at=told.revoked_at,
        )

    async def own(self, record: bytes, caller: Caller) -> KeyTold:
        """Return a key of the caller's own unit; raises `RecordNotFound`."""
        return await self.told(await self._look_up.own(FAMILY, record, caller))

    async def told(self, row: RecordRow, *, until: int | None = None) -> KeyTold:
        """Return a key as it stood after an index, or as it stands now."""
        life = await self._look_up.life(row, until=until)
        kept = table((await self._look_up.document(row.record, row.first_idx))[KEY])
        since = {line.kind: line.at for line in life.history}
        return KeyTold(
            life=life,
            person=text(kept["person"]),
            algorithm=text(kept["algorithm"]),
            public_key=bytes.fromhex(text(kept["public_key"])),
            replaces=bytes.fromhex(text(kept["replaces"])) or None,
            enrolled_at=since.get("StaffKeyEnrolled"),
            revoked_at=since.get("StaffKeyRevoked"),
        )

    async def list(self, caller: Caller, *, before: int | None, size: int) -> tuple[Sequence[KeyTold], int | None]:
        """Return one page of the keys of the caller's unit, newest first, and where the next one begins, if any."""
        register, edge = self._ledger.register(), _END if before is None else before
        rows = await self._ledger.read(
            lambda: register.newest(FAMILY, _STATES, before_idx=edge, span=edge, limit=size, only={"unit": caller.unit})
        )
        following = rows[-1].first_idx if len(rows) == size else None
        return [await self.told(row) for row in rows], following

    async def _require_second(self, row: RecordRow, request: Request) -> None:
        holder = text(table((await self._look_up.document(row.record, row.first_idx))[KEY])["person"])
        await require_second(self._look_up, row, "enrolling", request.operator)
        try:
            verify_second_officer("enrolling", request.operator.person, [holder])
        except SecondOfficerRequired as error:
            raise SameOfficer from error

    async def _require_predecessor(self, caller: Caller, proposal: Proposal) -> None:
        row = await self._look_up.own(FAMILY, proposal.replaces or b"", caller)
        if row.state != "KEY_ENROLLED" or (await self.told(row)).person != proposal.person:
            raise StaffKeyRefused(
                "REPLACES_WRONG_KEY",
                "what is replaced is not an enrolled key of the same clerk",
                "被更换的密钥不是该人员在用的密钥。",
            )


def _draft(request: Request, row: RecordRow, kind: str, content: Mapping[str, Json] | None = None) -> Draft:
    return onto(row, kind, {REQUEST: request.body, "operator": request.person, **(content or {})})


def verify_possession(proposal: Proposal, *, unit: str, request_id: UUID) -> None:
    """Verify that whoever made the proof holds the key.

    Raises:
        InvalidRequest: the public key is none of an accepted algorithm.
        StaffKeyRefused: the signature does not cover the enrolment, or is not of the algorithm named.
    """
    try:
        key = read_public_key(proposal.public_key)
    except SignatureRefused as error:
        raise InvalidRequest(
            [Violation(field="public_key", description=str(error), chinese="公钥格式有误,或者算法不被接受。")]
        ) from error
    signed = enrolment(
        person=proposal.person,
        unit=unit,
        algorithm=proposal.algorithm,
        public_key=proposal.public_key,
        request_id=request_id,
    )
    try:
        verify_bytes(proposal.algorithm, key, proposal.possession, signed)
    except SignatureRefused as error:
        raise StaffKeyRefused("POSSESSION_UNPROVEN", str(error), "未能证明该人员持有此密钥。") from error


def _require_another(operator: str, holder: str) -> None:
    try:
        verify_second_officer("proposing", operator, [holder])
    except SecondOfficerRequired as error:
        raise StaffKeyRefused(
            "HOLDER_PROPOSES", "the clerk may not propose", "不得由本人提出登记本人的密钥。"
        ) from error
