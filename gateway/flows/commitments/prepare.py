"""Prepare: hand out the document to sign, where a commitment may stand in for missing data.

1. a repeated request gets its first answer;
2. the verification must lead to a commitment now: its answer, its age, the catalogue in force;
3. who acts, and what is published, must be as the item allows;
4. the person must be eligible: by our own ledger and by the configured lists, which are asked like any source, and who
   acts for the person must not be on that of declared incapacity;
5. the document is recorded before it is handed out, and so is a refusal, with its reasons.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from gateway.catalogue.book import Book
from gateway.catalogue.model import Catalogue, Item, Matter
from gateway.catalogue.words import Publication
from gateway.errors import (
    ClosedByCatalogue,
    CommitmentBarred,
    CommitmentExists,
    InvalidRequest,
    NotACommitmentStep,
    ProxyRefused,
    PublicationDeclined,
    StepRefused,
    VerificationOutdated,
    Violation,
)
from gateway.flows.act import require_after
from gateway.flows.commitments.contest import LIFTED, Contest, Lifted
from gateway.flows.commitments.documents import ELIGIBILITY, PREPARED, WITHDRAWAL, case_facts, withdrawal_body
from gateway.flows.commitments.listings import NOTHING_ASKED, Listings, Lists
from gateway.flows.commitments.newest import Newest
from gateway.flows.commitments.refusals import Refusals
from gateway.flows.commitments.stand import Stand, has_full_capacity
from gateway.flows.look_up import ANSWER, LookUp
from gateway.flows.once import REQUEST, Once, Recorded, Request
from gateway.letters.document import DOCUMENT, Consent, Occasion, Proxy, compose, window_of
from gateway.letters.fulfilment import TELLING, telling_body
from gateway.letters.templates import Templates
from gateway.rules.admission import Question, question_from_body
from gateway.rules.clocks import legal_day
from gateway.rules.eligibility import Barred
from gateway.rules.fallback import StepKind, settings_for
from gateway.rules.kept import moment, table, text
from gateway.rules.listing import Listing
from ledger import Draft, RecordRow, new_record
from ledger.canonical import Json, canonical


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the clerk asks for: the verification, who acts for the applicant, what the applicant says to publication.

    `lifted` is the record of a refusal that a reviewer lifted, which this document follows.
    """

    verification: bytes
    consent: Consent = Consent.NOT_SAID
    proxy: Proxy | None = None
    lifted: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A document that can be signed: its content, its exact bytes, and until when."""

    record: bytes
    content: Mapping[str, Json] = field(repr=False)
    document: bytes = field(repr=False)
    expires_at: datetime
    recorded: Recorded

    @property
    def digest(self) -> bytes:
        """SHA-256 of the document."""
        return hashlib.sha256(self.document).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """What a document is asked for: the verification as recorded, and what it asked."""

    row: RecordRow
    question: Question
    item: Item
    matter: Matter


class Prepare:
    """Hands out documents."""

    def __init__(
        self,
        *,
        book: Book,
        once: Once,
        look_up: LookUp,
        stand: Stand,
        newest: Newest,
        listings: Listings,
        refusals: Refusals,
        contest: Contest,
        templates: Templates,
        contacts: Mapping[str, str],
        verification_valid: timedelta,
        document_valid: timedelta,
        now: Callable[[], datetime],
        entropy: Callable[[int], bytes],
    ) -> None:
        self._book = book
        self._once = once
        self._look_up = look_up
        self._stand = stand
        self._newest = newest
        self._listings = listings
        self._refusals = refusals
        self._contest = contest
        self._templates = templates
        self._contacts = contacts
        self._verification_valid = verification_valid
        self._document_valid = document_valid
        self._now = now
        self._entropy = entropy

    async def __call__(self, request: Request, asked: Asked, deadline: float) -> Prepared:
        """Hand out the document to sign, for a verification whose next step is COMMITMENT.

        Raises:
            RecordNotFound: no such verification (or lifted refusal) of the caller's unit.
            InvalidRequest: publication is demanded and nothing was said to it; nothing is recorded.
            NotACommitmentStep, VerificationOutdated, ProxyRefused, PublicationDeclined, CommitmentBarred,
            CommitmentExists, RefusalStands: refused, and recorded so.
            ClockBehind: the clock is before the answer; nothing is recorded.
        """
        if replayed := await self._once.replay(request):
            return await self._first(replayed)
        row = await self._refusals.own(request, "verification", asked.verification)
        require_after(row, self._now())
        kept = await self._look_up.document(row.record, row.first_idx)
        lists, of_agent = NOTHING_ASKED, NOTHING_ASKED
        try:
            case = self._require_open(row, kept)
            await self._newest.require(row, row.record)
            require_proxy(case.item, case.question, asked.proxy, today=legal_day(self._now()))
            require_publication(case.item.commitment.publication, asked.consent)
            lifted = await self._contest.lifted(request, asked.lifted, row)
            await self._require_free(row)
            lists, of_agent = await self._ask_lists(request, case, asked.proxy, deadline)
            await self._require_eligible(case, lists, lifted)
            require_capable(of_agent.incapacity, case.matter.retry_after)
        except StepRefused as refusal:
            asked_of = {ELIGIBILITY: _eligibility(lists, of_agent, None)}
            return await self._first(await self._refusals.refuse(request, refusal, row, asked_of))
        return await self._record(request, asked, case, _eligibility(lists, of_agent, lifted), lifted)

    def _require_open(self, row: RecordRow, kept: Mapping[str, Json]) -> _Case:
        """Check that this verification leads to a commitment now: the answer, its age, the catalogue."""
        if row.state != "ANSWERED":
            raise NotACommitmentStep("REFUSED")
        step = text(table(table(kept[ANSWER])["next_step"])["kind"])
        if step != StepKind.COMMITMENT.value:
            raise NotACommitmentStep(step)
        item, matter = require_open(self._book.catalogue, row)
        if self._now() - row.opened_at > self._verification_valid:
            raise VerificationOutdated
        return _Case(row=row, question=question_from_body(table(kept[REQUEST])), item=item, matter=matter)

    async def _require_free(self, row: RecordRow) -> None:
        taken = await self._stand.taken(row)
        if taken is not None:
            raise CommitmentExists(taken)

    async def _ask_lists(
        self, request: Request, case: _Case, proxy: Proxy | None, deadline: float
    ) -> tuple[Lists, Lists]:
        """Ask about the applicant and, at the same time, about who acts for the applicant, if anybody does."""
        asking = self._listings(case.question, request.operator, deadline)
        if proxy is None:
            return await asking, NOTHING_ASKED
        agent = self._listings.capacity(proxy.agent, case.question, request.operator, deadline)
        return await asyncio.gather(asking, agent)

    async def _require_eligible(self, case: _Case, lists: Lists, lifted: Lifted | None) -> None:
        found = await self._stand.eligibility(
            case.question.subject,
            case.matter.code,
            case.item.code,
            lists=lists,
            waived=lifted.waived if lifted else frozenset(),
            refused=lifted.refused if lifted else None,
        )
        if isinstance(found, Barred):
            raise barred(found, case.matter.retry_after)

    async def _record(
        self, request: Request, asked: Asked, case: _Case, eligibility: dict[str, Json], lifted: Lifted | None
    ) -> Prepared:
        at = self._now()
        record = lifted.record if lifted else new_record(at, self._entropy)
        expires_at = at + self._document_valid
        document = self._document(record, asked, case, at, expires_at)
        draft = Draft(
            kind=PREPARED,
            record=record,
            groups={
                REQUEST: request.body,
                DOCUMENT: document,
                ELIGIBILITY: eligibility,
                TELLING: telling_body(case.item),
                WITHDRAWAL: withdrawal_body(window_of(case.item, case.matter)),
                "clerk": request.person,
            },
            facts={**case_facts(case.row, parent=asked.verification), "due_at": expires_at.isoformat()},
            expect_state=LIFTED if lifted else None,
        )
        recorded = await self._once.record(request, [draft], at=at)
        return await self._first(recorded) if recorded.replayed else _prepared(record, document, recorded)

    def _document(
        self, record: bytes, asked: Asked, case: _Case, at: datetime, expires_at: datetime
    ) -> dict[str, Json]:
        question, item, matter = case.question, case.item, case.matter
        occasion = Occasion(
            record=record, verification=asked.verification, prepared_at=at, expires_at=expires_at,
            contact=self._contacts.get(question.context.operator.unit, ""),
        )  # fmt: skip
        template = self._templates.choose(item, matter.code)
        return compose(
            template, question, item=item, matter=matter, occasion=occasion, proxy=asked.proxy, consent=asked.consent
        )

    async def _first(self, recorded: Recorded) -> Prepared:
        """Give what a request came to before."""
        document = table((await self._look_up.first_document(recorded))[DOCUMENT])
        return _prepared(recorded.record, document, recorded)


def _prepared(record: bytes, document: Mapping[str, Json], recorded: Recorded) -> Prepared:
    expires_at = moment(document["expires_at"])
    if expires_at is None:
        raise TypeError("a document says until when it can be signed")
    return Prepared(
        record=record, content=document, document=canonical(document), expires_at=expires_at, recorded=recorded
    )


def require_proxy(item: Item, question: Question, proxy: Proxy | None, *, today: date) -> None:
    """Check that this agent may act for the applicant of a question, where one is named.

    Raises:
        ProxyRefused: the item lets nobody act, or the agent is the applicant, or no natural person of full age.
    """
    if proxy is None:
        return
    agent, applicant = proxy.agent, question.subject
    require_proxies(item)
    if (agent.id_type, agent.id_number) == (applicant.id_type, applicant.id_number):
        raise ProxyRefused("AGENT_IS_APPLICANT", "the agent is the applicant", "代理人不能是申请人本人。")
    if agent.id_type == "uscc":
        raise ProxyRefused("AGENT_NOT_A_PERSON", "an agent is a natural person", "代理人须为自然人。")
    if not has_full_capacity(agent, today):
        raise ProxyRefused("AGENT_CAPACITY", "the agent is not of full age", "代理人须具有完全民事行为能力。")


def require_open(catalogue: Catalogue, row: RecordRow) -> tuple[Item, Matter]:
    """Give item and matter of a record, for which the catalogue must open a commitment now.

    Raises:
        ClosedByCatalogue: it does not.
    """
    item, matter = catalogue.items.get(row.item or ""), catalogue.matters.get(row.matter or "")
    if item is None or matter is None or item.code not in matter.items:
        raise ClosedByCatalogue
    if not settings_for(item, matter).commitment_open:
        raise ClosedByCatalogue
    return item, matter


def require_proxies(item: Item) -> None:
    """Check that an item lets anybody act for the applicant.

    Raises:
        ProxyRefused: it does not.
    """
    if not item.commitment.proxy:
        raise ProxyRefused("NOT_ALLOWED", "the item lets nobody commit for another", "该事项不允许代为承诺。")


def require_capable(listing: Listing, retry_after: timedelta) -> None:
    """Check what the register of declared incapacity says of an agent; what leaves it open is never "not declared".

    Raises:
        ProxyRefused: a court declared the agent to be without full civil capacity, or the register does not answer.
    """
    if listing is Listing.LISTED:
        raise ProxyRefused(
            "AGENT_CAPACITY_DECLARED",
            "a court declared the agent to be without full civil capacity",
            "代理人经法院宣告为无或者限制民事行为能力人,不能代为承诺。",
        )
    if listing is Listing.UNKNOWN:
        raise ProxyRefused(
            "AGENT_CAPACITY_SILENT",
            "the register of declared incapacity gives no usable answer about the agent",
            "代理人的民事行为能力信息暂时无法查询,请稍后重试。",
            retry_after,
        )


def require_publication(scope: Publication, consent: Consent) -> None:
    """Check what the applicant said to publication against what the item demands.

    Raises:
        InvalidRequest: the item demands publication, and nothing was said to it.
        PublicationDeclined: the item demands it, and the applicant does not agree.
    """
    if scope is Publication.NOT_PUBLIC or consent is Consent.AGREED:
        return
    if consent is Consent.NOT_SAID:
        raise InvalidRequest(
            [
                Violation(
                    field="publication_consent",
                    description=f"is required: letters of this item are published ({scope.value})",
                    chinese="该事项的承诺书依规定公开,请询问并填写申请人是否同意公开。",
                )
            ]
        )
    raise PublicationDeclined


def barred(found: Barred, retry_after: timedelta | None = None) -> CommitmentBarred:
    """Make the refusal of a person who may not commit; what passes by itself says when to come again."""
    codes = [bar.code.value for bar in found.bars]
    return CommitmentBarred(codes, found.chinese, retry_after if found.temporary else None)


def _eligibility(lists: Lists, of_agent: Lists, lifted: Lifted | None) -> dict[str, Json]:
    waived: list[Json] = []
    if lifted is not None:
        waived += sorted(code.value for code in lifted.waived)
    return {"lists": lists.body(), "agent_lists": of_agent.body(), "waived": waived}
