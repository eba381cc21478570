"""Record: a signed document becomes a commitment; one for each case and item, whatever comes at the same moment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from gateway.catalogue.book import Book
from gateway.errors import (
    CommitmentExists,
    DocumentExpired,
    InvalidRequest,
    SignatureRefused,
    StepRefused,
    TransitionNotAllowed,
)
from gateway.flows.act import Act, onto
from gateway.flows.commitments.contest import waived_of
from gateway.flows.commitments.decision_clock import DecisionClock
from gateway.flows.commitments.documents import PREPARED, RECORDED, TAKEN, claim_of, prepared_groups
from gateway.flows.commitments.expire import expire
from gateway.flows.commitments.listings import kept_lists
from gateway.flows.commitments.newest import Newest
from gateway.flows.commitments.prepare import barred, require_open, require_proxies
from gateway.flows.commitments.read import CommitmentRead
from gateway.flows.commitments.refusals import Refusals
from gateway.flows.commitments.signing import Signing
from gateway.flows.commitments.stand import Stand
from gateway.flows.look_up import Life, LookUp
from gateway.flows.once import REQUEST, Once, Recorded, Request
from gateway.letters.document import DOCUMENT
from gateway.rules.admission import subject_from_body
from gateway.rules.eligibility import Barred
from gateway.rules.kept import table, text
from gateway.signatures import Evidence
from ledger import AlreadyClaimed, HistoryLine, RecordRow
from ledger.canonical import Json
from ledger.records.lifecycle import state_after


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What came of a signed document: its entry, and the commitment as it stands then where nothing has to be read
    for it; None where it is to be read.
    """

    recorded: Recorded
    commitment: CommitmentRead | None = None


class RecordSigned:
    """Records signed documents."""

    def __init__(
        self,
        *,
        book: Book,
        once: Once,
        look_up: LookUp,
        stand: Stand,
        newest: Newest,
        signing: Signing,
        refusals: Refusals,
        clock: DecisionClock,
        now: Callable[[], datetime],
    ) -> None:
        self._book = book
        self._once = once
        self._look_up = look_up
        self._stand = stand
        self._newest = newest
        self._signing = signing
        self._refusals = refusals
        self._clock = clock
        self._act = Act(once=once, look_up=look_up, now=now)

    async def __call__(self, request: Request, record: bytes, digest: bytes, evidence: Evidence) -> Done:
        """Record a signed document; evidence, entry and projections in one transaction.

        Raises:
            RecordNotFound: no such commitment of the caller's unit.
            InvalidRequest: the digest is not the document's; the refusal is recorded.
            DocumentExpired, SignatureRefused, NotACommitmentStep, ProxyRefused, CommitmentBarred: refused, and recorded
            so; what the catalogue came to forbid since the notice is refused too.
            TimestampUnavailable: the signature cannot be time-stamped now, and must be; nothing is recorded.
            ClockBehind: the clock is before the notice; nothing is recorded.
            CommitmentExists: it is recorded already, or the case has another for the item; recorded as refused.
            TransitionNotAllowed: it was never prepared.
        """
        if replayed := await self._once.replay(request):
            return Done(recorded=replayed)
        row = await self._refusals.own(request, "commitment", record)
        try:
            return await self._act.judged(row, lambda row, at: self._record(request, row, at, digest, evidence))
        except (SignatureRefused, StepRefused, InvalidRequest) as refusal:
            if isinstance(refusal, DocumentExpired):
                await expire(self._act, self._once, row)
                row = await self._look_up.any("commitment", record)
            return Done(recorded=await self._refusals.refuse(request, refusal, row))

    async def _record(self, request: Request, row: RecordRow, at: datetime, digest: bytes, evidence: Evidence) -> Done:
        kept = await self._require_prepared(row)
        item, _ = require_open(self._book.catalogue, row)
        if "proxy" in table(kept[DOCUMENT]):
            require_proxies(item)
        evidenced = await self._signing.verify(
            table(kept[DOCUMENT]), digest, evidence, operator=request.operator, at=at
        )
        await self._newest.require(row, bytes.fromhex(text(table(kept[DOCUMENT])["verification"])))
        await self._require_eligible(row, kept)
        due = self._clock.due(row.matter or "", at)
        groups: dict[str, Json] = {REQUEST: request.body, "clerk": request.person, **evidenced}
        draft = onto(row, RECORDED, groups, facts={"due_at": due.isoformat()})
        try:
            recorded = await self._once.record(request, [draft], at=at, claims=[(claim_of(row), row.record)])
        except AlreadyClaimed as error:
            raise CommitmentExists(error.record) from error
        if recorded.replayed or row.seq:
            return Done(recorded=recorded)
        return Done(recorded=recorded, commitment=_first_signed(row, kept, recorded.first, at=at, due=due))

    async def _require_prepared(self, row: RecordRow) -> Mapping[str, Json]:
        if row.state in TAKEN:
            raise CommitmentExists(row.record)
        if row.state == "EXPIRED":
            raise DocumentExpired
        if row.state != "PREPARED":
            raise TransitionNotAllowed(RECORDED, row.state)
        return await prepared_groups(self._look_up, row)

    async def _require_eligible(self, row: RecordRow, kept: Mapping[str, Json]) -> None:
        """Look at our own ledger again; what lists said counts for as long as the document can be signed."""
        found = await self._stand.eligibility(
            subject_from_body(table(table(kept[DOCUMENT])["applicant"])),
            row.matter or "",
            row.item or "",
            lists=kept_lists(kept),
            waived=waived_of(kept),
            refused=row.first_idx,  # of a document that follows a lifted refusal, that is the refusal
        )
        if isinstance(found, Barred):
            raise barred(found)


def _first_signed(
    row: RecordRow, kept: Mapping[str, Json], index: int, *, at: datetime, due: datetime
) -> CommitmentRead:
    """Give a commitment whose only entries are its document, of `row`, and its signature."""
    state = state_after(row.record, row.state, RECORDED)
    signed = replace(row, state=state, seq=row.seq + 1, last_idx=index, changed_at=at, due_at=due)
    history = (
        HistoryLine(idx=row.first_idx, kind=PREPARED, at=row.opened_at),
        HistoryLine(idx=index, kind=RECORDED, at=at),
    )
    life = Life(row=signed, history=history, state=state, changed_at=at)
    return CommitmentRead(life=life, document=table(kept[DOCUMENT]), erased=False)
