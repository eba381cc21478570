"""Accepting signatures: verified on a thread, revocation looked at, time-stamped, and what must be kept of them."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar

import structlog

from gateway.errors import TimestampOff, TimestampUnavailable
from gateway.signatures.chain import Chain
from gateway.signatures.evidence import (
    HANDWRITING,
    SIGNATURE,
    Accepted,
    Clerk,
    Evidence,
    Signatory,
    StaffKey,
    WitnessedEvidence,
)
from gateway.signatures.lists import RevocationList
from gateway.signatures.revocation import Proof, RevocationRule, Revocations, require_known
from gateway.signatures.statuses import StatusSources
from gateway.signatures.timestamps import StampRules, require_in_time, stamped
from gateway.signatures.verification import Act, Trust, Verified, verify_act
from ledger.anchors.authority import Stamp, TimestampAuthority
from ledger.canonical import Json, format_time
from ledger.checks import Checks
from ledger.errors import AnchorError, AnchorUnavailable

_log = structlog.get_logger()
_READERS = 16
"""Threads for what waits for others: revocation lists, OCSP responders, time-stamping authorities."""
_MOST_ANSWERS = 4096
_TOGETHER = 512
"""Signatures that are verified in one batch: commitments that come together are then recorded in one commit."""
_Result = TypeVar("_Result")

FindStaffKey = Callable[[bytes], Awaitable[StaffKey | None]]
"""Finds an enrolled key, revoked or not, by its record; None if there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RevocationSettings:
    """How revocation is looked at, and how often lists are read again."""

    rule: RevocationRule = RevocationRule.OFF
    fresh: timedelta = timedelta(days=7)
    every: timedelta = timedelta(minutes=10)
    sources: StatusSources = field(default_factory=StatusSources)


class Signatures:
    """Accepts or refuses evidence. One for a process; `close` ends its threads."""

    def __init__(
        self,
        trust: Trust,
        *,
        staff_keys: FindStaffKey,
        revocation: RevocationSettings | None = None,
        timestamps: TimestampAuthority | None = None,
        stamp_rules: StampRules | None = None,
    ) -> None:
        self._trust = trust
        self._staff_keys = staff_keys
        self._revocation = revocation or RevocationSettings()
        self._timestamps = timestamps
        self._stamp_rules = stamp_rules or StampRules()
        self._checks = Checks(threads=1, at_hand=1, most=_TOGETHER)
        self._outside = ThreadPoolExecutor(_READERS, thread_name_prefix="statuses")
        self._known: Revocations | None = None
        self._lists: Mapping[str, RevocationList] = {}
        self._read_at: datetime | None = None
        self._reading: asyncio.Task[None] | None = None
        self._answers: dict[bytes, bytes] = {}

    async def accept(
        self, document: bytes, evidence: Evidence, *, signatory: Signatory, clerk: Clerk, at: datetime
    ) -> Accepted:
        """Verify that this person signed exactly this document, and give what must be kept of it.

        Raises:
            SignatureRefused: the code says which rule is broken.
            TimestampUnavailable: a time stamp is required and cannot be had, or the one that was given is off.
        """
        key = await self._staff_keys(evidence.staff_key) if isinstance(evidence, WitnessedEvidence) else None
        act = Act(document=document, evidence=evidence, signatory=signatory, clerk=clerk, staff_key=key)
        verified = await self._checks.run(lambda: verify_act(act, self._trust, at=at))
        proofs = await self._not_revoked(verified.chain, at) if verified.chain else ()
        stamp = await self._stamp(stamped(document, verified.signature), at)
        return Accepted(groups=_kept(document, verified, proofs, stamp, at))

    def close(self) -> None:
        """End the threads."""
        self._checks.close()
        self._outside.shutdown(wait=True, cancel_futures=True)

    async def _not_revoked(self, chain: Chain, at: datetime) -> tuple[Proof, ...]:
        rule = self._revocation.rule
        if rule is RevocationRule.OFF:
            return ()
        known = await self._revocations(at)
        unknown = await self._checks.run(lambda: known.unknown(chain, at=at, now=at))
        if unknown and self._revocation.sources.ocsp_url:
            answers = await self._outsider(lambda: self._revocation.sources.ask(unknown))
            self._remember(answers)
            known = known.with_answers(answers)
        proofs, every = await self._checks.run(lambda: known.check(chain, at=at, now=at))
        require_known(rule, every)
        return proofs

    async def _revocations(self, at: datetime) -> Revocations:
        """Give what is known; what was read too long ago is read again beside the calls, the first time before them."""
        due = self._read_at is None or at - self._read_at >= self._revocation.every
        if due and self._reading is None:
            self._reading = asyncio.create_task(self._read(at))
            self._reading.add_done_callback(self._has_read)
        if self._known is None and self._reading is not None:
            await asyncio.shield(self._reading)
        return self._known or Revocations(rule=self._revocation.rule)

    async def _read(self, at: datetime) -> None:
        settings = self._revocation
        earlier = self._lists
        found = await self._outsider(lambda: settings.sources.read(earlier))
        self._answers.clear()
        self._lists = found.lists
        self._known = Revocations(
            tuple(found.lists.values()), found.answers,
            unusable=found.unusable, rule=settings.rule, fresh=settings.fresh,
        )  # fmt: skip
        self._read_at = at

    def _has_read(self, reading: asyncio.Task[None]) -> None:
        self._reading = None
        failure = None if reading.cancelled() else reading.exception()
        if failure is not None:
            _log.error("revocations cannot be read", error=type(failure).__name__)

    def _remember(self, answers: list[bytes]) -> None:
        """Keep answers for the next signature of the same person, until lists are read again."""
        if self._known is not None and len(self._answers) < _MOST_ANSWERS:
            new = [one for one in answers if hashlib.sha256(one).digest() not in self._answers]
            self._answers.update((hashlib.sha256(one).digest(), one) for one in new)
            self._known = self._known.with_answers(new)

    async def _stamp(self, content: bytes, at: datetime) -> Stamp | None:
        authority, rules = self._timestamps, self._stamp_rules
        if authority is None:
            return None
        try:
            stamp = await self._outsider(lambda: authority.stamp(content))
        except (AnchorError, AnchorUnavailable) as error:
            _log.warning("no time stamp of a signature", error=type(error).__name__)
            if rules.required:
                raise TimestampUnavailable from error
            return None
        try:
            require_in_time(stamp.at, at, rules.tolerance)
        except TimestampOff:
            _log.error("our clock is not that of the time stamps", stamp_ahead=(stamp.at - at).total_seconds())
            raise
        return stamp

    async def _outsider(self, work: Callable[[], _Result]) -> _Result:
        return await asyncio.get_running_loop().run_in_executor(self._outside, work)


def _kept(
    document: bytes, verified: Verified, proofs: tuple[Proof, ...], stamp: Stamp | None, at: datetime
) -> dict[str, Json]:
    signature: dict[str, Json] = {
        **verified.kept,
        "document_digest": hashlib.sha256(document).hexdigest(),
        "verified_at": format_time(at),
        "revocation": [_kept_proof(one) for one in proofs],
        "timestamp": None
        if stamp is None
        else {"at": format_time(stamp.at), "token": base64.b64encode(stamp.token).decode()},
    }
    groups: dict[str, Json] = {SIGNATURE: signature}
    if verified.handwriting is not None:
        groups[HANDWRITING] = verified.handwriting
    return groups


def _kept_proof(proof: Proof) -> Json:
    # A list is long and the same for thousands of signatures: kept once by its digest, beside the vault.
    content = None if proof.kind == "crl" else base64.b64encode(proof.content).decode()
    return {"kind": proof.kind, "sha256": proof.digest, "content": content}
