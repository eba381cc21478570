"""Verify: ask, judge, say what follows, record it, and only then answer.

1. a repeated request gets its first answer, whatever the catalogue says by then;
2. the form and the catalogue admit the question, or every mistake is named;
3. a caller who may not ask is refused, also one whose guesses about this person are used up, and the refusal recorded;
4. the sources are asked as far as needed;
5. verdict and next step follow from pure rules;
6. question and answer are recorded; what cannot be recorded did not happen.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from connectors.connector import QueryContext
from connectors.outcome import Evidence, Kind
from gateway.catalogue.book import Book
from gateway.catalogue.model import Catalogue, Item, Matter
from gateway.catalogue.words import Disclosure, ItemState, Rung
from gateway.errors import GatewayError, GuessBudgetSpent, ItemBanned, NotEntitled, NotYetPublished
from gateway.flows.look_up import ANSWER, EVIDENCE, LookUp, opened_answer
from gateway.flows.once import REQUEST, Once, Recorded, Request
from gateway.flows.verification.ask import Ask, Asked
from gateway.flows.verification.guess import GuessBudget, until_counted
from gateway.flows.verification.patience import Patience
from gateway.flows.verification.people import People
from gateway.flows.verification.refusals import REFUSAL, attach_proof
from gateway.rules.admission import (
    Question,
    RawQuestion,
    Reading,
    question_body,
    read_question,
    require_admitted,
)
from gateway.rules.clocks import legal_day
from gateway.rules.fallback import FallbackInput, NextStep, Situation, StepKind, next_step, situation
from gateway.rules.kept import table, text
from gateway.rules.people import Heard
from gateway.rules.plan import NotVerifiable, ParametersRefused, Plan, plan
from gateway.rules.roles import Caller
from gateway.rules.same_case import case_of
from gateway.rules.terms import Terms, TermsOf
from gateway.rules.verdict import Verdict, barred, doubted, evenly, next_checks
from ledger import BlindIndex, Draft, LedgerUnavailable, Opening, new_record
from ledger.canonical import Json

_DECIDING = frozenset({Kind.MATCH, Kind.MISMATCH, Kind.NO_RECORD})
"""What a source says that can settle a fact."""
_SILENT = frozenset({Kind.UNAVAILABLE, Kind.PENDING})
"""What a source says that has not answered: it takes nothing back."""
_Voice = tuple[str, str]
"""A source, and a type of fact of which it speaks."""
_LAST_PART = 0.2
"""The part of the time kept for recording that stays for telling the caller that the ledger did not answer."""


class Answered(Struct, frozen=True, kw_only=True):
    """An answer as it was recorded: the kept question and answer, the proof, and what opens both in the entry."""

    question: Mapping[str, Json]
    answer: Mapping[str, Json]
    recorded: Recorded
    openings: Mapping[str, Opening]


@dataclass(slots=True)
class _Waiting:
    """Since when (loop time) a question waits for the ledger, None while it waits for anything else; and whether what
    it came to is recorded, and its publication all that it waits for.
    """

    since: float | None = None
    is_recorded: bool = False

    def sequenced(self) -> None:
        """Note that what it came to is recorded."""
        self.is_recorded = True


class _Asking(Struct, frozen=True, kw_only=True):
    """A question on its way: the request it came with, and the catalogue it began with."""

    request: Request
    reading: Reading
    catalogue: Catalogue
    for_ledger: _Waiting

    @property
    def question(self) -> Question:
        """What is asked."""
        return self.reading.question


class Keys(NamedTuple):
    """The keyed indexes of the person whom a question is about, and of its case."""

    subject: bytes
    case: bytes


class Weighed(Struct, frozen=True, kw_only=True):
    """What sources and people said together, the rungs of the ladder that were tried on each fact that is open (on each
    of the item, where only the verdict is disclosed), and since when people who are overdue have been waited for.
    """

    asked: Asked
    attempted: frozenset[Rung] = frozenset()
    overdue_since: datetime | None = None


class Verify:
    """Answers questions about applicants."""

    def __init__(
        self,
        *,
        book: Book,
        ask: Ask,
        once: Once,
        look_up: LookUp,
        guesses: GuessBudget,
        patience: Patience,
        people: People,
        index: BlindIndex,
        reserve: float,
        now: Callable[[], datetime],
        entropy: Callable[[int], bytes],
        count: Callable[[str, str], None],
    ) -> None:
        """`count` is told verdict and next step of each new answer once it is recorded."""
        self._book = book
        self._ask = ask
        self._once = once
        self._look_up = look_up
        self._guesses = guesses
        self._patience = patience
        self._people = people
        self._index = index
        self._reserve = reserve
        self._now = now
        self._entropy = entropy
        self._count = count
        self._terms = TermsOf()

    async def __call__(self, raw: RawQuestion, caller: Caller, deadline: float) -> Answered:
        """Answer a question by a loop time.

        Raises:
            InvalidRequest: the question is malformed; nothing was recorded.
            NotEntitled, ItemBanned, GuessBudgetSpent: the caller may not ask this; the refusal is recorded.
            RequestIdReused: the request_id came before with another body.
            TimeoutError: there was not time enough; the ledger did not take long.
            NotYetPublished: what was found, or the refusal, is recorded, and nothing proves it in time.
            ledger.LedgerUnavailable: what was found could not be recorded in time, so it is not told.
        """
        catalogue = self._book.catalogue
        reading = read_question(raw, caller, today=legal_day(self._now()))
        if not reading.is_well_formed:  # no answer was ever given to it
            require_admitted(reading, catalogue)
        question = reading.question
        body = question_body(question)
        request = Request(caller=caller, operator=question.context.operator, request_id=reading.request_id, body=body)
        clock = asyncio.get_running_loop().time
        left = deadline - clock()
        if left <= 0:
            raise TimeoutError
        for_ledger = _Waiting()
        asking = _Asking(request=request, reading=reading, catalogue=catalogue, for_ledger=for_ledger)
        try:
            # Sources are given up before; whatever still waits then, waits for the ledger.
            async with asyncio.timeout_at(deadline - self._kept(left) * _LAST_PART):
                return await self._answer(asking, deadline)
        except TimeoutError as error:
            if for_ledger.is_recorded:
                raise NotYetPublished from error
            if for_ledger.since is None or clock() - for_ledger.since < self._reserve / 2:
                raise  # a ledger that had less than the time that is kept for it is not to blame
            raise LedgerUnavailable("the ledger did not answer in time") from error

    async def _answer(self, asking: _Asking, deadline: float) -> Answered:
        clock = asyncio.get_running_loop().time
        asking.for_ledger.since = clock()
        if replayed := await self._once.replay(asking.request, sequenced=asking.for_ledger.sequenced):
            return await self._first_answer(replayed)
        asking.for_ledger.since = None
        catalogue = asking.catalogue
        question = require_admitted(asking.reading, catalogue)
        try:
            item, matter = catalogue.item(question.item), catalogue.matter(question.context.matter)
            require_entitled(asking.request.caller, item, matter)
            planned = self.plan(question, catalogue)
            guesses = self._guesses.guesses(planned, question.subject)
            await self._guesses.enter(guesses)
            try:
                asked = await self.ask(question, catalogue, deadline, planned=planned)
                asking.for_ledger.since = clock()
                return await self._record(asking, planned, asked, deadline)
            finally:
                self._guesses.leave(guesses)
        except (NotEntitled, ItemBanned, GuessBudgetSpent) as refusal:
            asking.for_ledger.since = clock()
            await self._record_refusal(asking, refusal)
            raise

    def check(self, raw: RawQuestion, caller: Caller) -> None:
        """Check a question without asking it or recording anything."""
        catalogue = self._book.catalogue
        question = require_admitted(read_question(raw, caller, today=legal_day(self._now())), catalogue)
        require_entitled(caller, catalogue.item(question.item), catalogue.matter(question.context.matter))

    def may_ask(self, question: Question, caller: Caller) -> bool:
        """Tell whether the catalogue in force lets a caller ask a question that was asked before."""
        catalogue = self._book.catalogue
        item, matter = catalogue.items.get(question.item), catalogue.matters.get(question.context.matter)
        if item is None or matter is None or not item.applicants.admits(question.subject.id_type):
            return False
        try:
            require_entitled(caller, item, matter)
            self.plan(question, catalogue)
        except (NotEntitled, ItemBanned, ParametersRefused, NotVerifiable):
            return False
        return True

    def plan(self, question: Question, catalogue: Catalogue) -> Plan:
        """Say what must be checked to answer an admitted question."""
        item = catalogue.item(question.item)
        today = legal_day(self._now())
        return plan(item, question.parameters, question.subject, catalogue.fact_types, today=today)

    async def ask(
        self, question: Question, catalogue: Catalogue, deadline: float, *, planned: Plan | None = None
    ) -> Asked:
        """Ask the sources about an admitted question; part of the time is kept for recording the answer.

        Raises:
            TimeoutError: there is no time left to ask anybody.
        """
        return await self._ask(planned or self.plan(question, catalogue), self._context(question, deadline))

    def _context(self, question: Question, deadline: float) -> QueryContext:
        """Say for what sources are asked, and until when.

        Raises:
            TimeoutError: there is no time left to ask anybody.
        """
        left = deadline - asyncio.get_running_loop().time()
        if left <= 0:
            raise TimeoutError
        return QueryContext(
            matter=question.context.matter,
            case=question.context.case_id,
            item=question.item,
            operator=question.context.operator.person,
            unit=question.context.operator.unit,
            reason=question.context.purpose,
            deadline=deadline - self._kept(left),
        )

    def _kept(self, left: float) -> float:
        """Say how much of the time left is kept for recording: never more than half."""
        return min(self._reserve, left / 2)

    def terms(self, question: Question, catalogue: Catalogue) -> Terms:
        """Say under which terms a question is answered that its matter may ask."""
        return self._terms(catalogue, question.item, question.context.matter)

    def step(
        self,
        asked: Asked,
        terms: Terms,
        *,
        since: datetime | None = None,
        attempted: frozenset[Rung] = frozenset(),
    ) -> NextStep:
        """Say what follows from what the sources said; `since` is since when the case waits for those that are away,
        `attempted` the rungs of the ladder on which people have been asked of each fact that is open.
        """
        said = asked.judgement
        return next_step(
            FallbackInput(
                verdict=said.verdict,
                reasons=said.reasons,
                settings=terms.settings,
                attempted=attempted,
                patience_passed=since is not None and self._now() - since >= terms.settings.patience,
                since=since,
            )
        )

    async def with_people(
        self,
        question: Question,
        planned: Plan,
        asked: Asked,
        terms: Terms,
        deadline: float,
        *,
        heard: Heard,
    ) -> Weighed:
        """Judge again with what people said of the claim in the case.

        Where they disagree with what decided the question, sources that were spared for it are asked after all.

        Raises:
            TimeoutError: there is no time left to ask them.
        """
        weighed = self.weigh(planned, asked, heard, terms)
        if not next_checks(planned, weighed.asked.answers, doubted(planned, heard.evidence)):
            return weighed
        context = self._context(question, deadline)
        asked = await self._ask(planned, context, people=heard.evidence, before=weighed.asked)
        return self.weigh(planned, asked, heard, terms)

    def says_nothing_new(self, planned: Plan, asked: Asked, kept: Sequence[Sequence[Mapping[str, Json]]]) -> bool:
        """Tell whether all that decides an answer was said before, by the facts that are kept of each earlier answer,
        oldest first, and who bore the applicant out by then still does; what people found untrue was not said.
        """
        if any(one.outcome.kind is Kind.MISMATCH for one in asked.heard):
            return False
        kinds, bore_out = _bears_out(planned), set[_Voice]()
        for facts in kept:
            said = [(text(one["source"]), text(one["fact_type"]), Kind(text(one["outcome"]))) for one in facts]
            out, other = _split(said, kinds)
            bore_out = bore_out - other | out
        _, other = _split([(one.source, one.fact_type, one.outcome.kind) for one in asked.evidence], kinds)
        if bore_out & other:
            return False
        known = [fact for facts in kept for fact in facts]
        deciding = [one for one in asked.evidence if one.outcome.kind in _DECIDING]
        return bool(deciding) and all(any(self._ask.is_what_was_said(one, fact) for fact in known) for one in deciding)

    def weigh(self, planned: Plan, asked: Asked, heard: Heard, terms: Terms) -> Weighed:
        """Judge again with what people said, by what the sources said alone.

        Where only the verdict is disclosed, whoever is asked about a fact counts alike whether it is open or settled.
        """
        together = self._ask.beside(planned, asked, heard.evidence)
        facts = open_facts(planned, together)
        if terms.disclosure is not Disclosure.PER_FACT:
            together = replace(together, judgement=evenly(together.judgement, together.heard))
            facts = planned.fact_types()
        if heard.untrue:
            together = replace(together, judgement=barred(together.judgement))
        return Weighed(asked=together, attempted=heard.attempted(facts), overdue_since=heard.overdue_since)

    async def follow(self, question: Question, weighed: Weighed, terms: Terms) -> NextStep:
        """Say what follows from what sources and people said."""
        since = await self._since(question, weighed)
        return self.step(weighed.asked, terms, since=since, attempted=weighed.attempted)

    async def _since(self, question: Question, weighed: Weighed) -> datetime | None:
        """Say since when a case waits for sources that are away, or for people who are overdue; None if it waits for
        none. While people are in time it waits for them, and since when it did before is kept.
        """
        judged = weighed.asked.judgement
        where = situation(judged.verdict, judged.reasons)
        if where not in (Situation.TEMPORARY, Situation.PENDING):
            return None
        subject, case_key = self.keys(question)
        before = await self._patience.since(question, case_key=case_key, subject=subject)
        if where is Situation.PENDING:
            return before
        return min(one for one in (before, weighed.overdue_since, self._now()) if one is not None)

    def draft(
        self,
        question: Question,
        asked: Asked,
        step: NextStep,
        terms: Terms,
        *,
        at: datetime,
        parent: bytes | None = None,
        keys: Keys | None = None,
    ) -> Draft:
        """Make the entry of an answer: question and answer go to the vault, digests to the log; `keys` are the
        question's, where they are known.
        """
        facts: list[Json] = [fact_body(evidence) for evidence in asked.evidence]
        facts += [fact_body(evidence) | {"about_statement": True} for evidence in asked.heard]
        told = terms.disclosure is Disclosure.PER_FACT
        reasons: list[Json] = [str(reason) for reason in sorted(asked.judgement.reasons, key=str)]
        # Of one fact, or of the last that is open, a reason is the outcome; its strength is what the step follows from.
        strengths: list[Json] = [*sorted({reason.strength.name for reason in asked.judgement.reasons})]
        answer = _answer(
            question.item,
            asked,
            _told_of(asked, step) if told else step,
            terms,
            at,
            facts=facts if told else [],
            reasons=reasons if told else strengths,
        )
        groups: dict[str, Json] = {REQUEST: question_body(question), ANSWER: answer}
        return Draft(
            kind="VerificationAnswered",
            record=new_record(at, self._entropy),
            policy=terms.policy,
            groups=groups if told else {**groups, EVIDENCE: {"reasons": reasons, "facts": facts}},
            facts=self._facts(question, parent, keys or self.keys(question)),
        )

    async def _record(self, asking: _Asking, planned: Plan, asked: Asked, deadline: float) -> Answered:
        terms = self.terms(asking.question, asking.catalogue)
        keys = self.keys(asking.question)
        heard = await self._people.heard(asking.question, keys.case, subject=keys.subject)
        weighed = await self.with_people(asking.question, planned, asked, terms, deadline, heard=heard)
        asked = weighed.asked
        step = await self.follow(asking.question, weighed, terms)
        established = asked.judgement.verdict is Verdict.ESTABLISHED
        wrong = self._guesses.wrong(planned, asking.question.subject, asked.tells, established=established)

        async def record() -> Answered:
            at = self._now()
            draft = self.draft(asking.question, asked, step, terms, at=at, keys=keys)
            counting = await self._guesses.counting(wrong, draft.record)
            recorded = await self._once.record(
                asking.request,
                [draft],
                at=at,
                claims=counting.claims,
                releases=counting.releases,
                sequenced=asking.for_ledger.sequenced,
            )
            if recorded.replayed:
                return await self._first_answer(recorded)
            self._count(asked.judgement.verdict.value, step.kind.value)
            return Answered(
                question=table(draft.groups[REQUEST]),
                answer=table(draft.groups[ANSWER]),
                recorded=recorded,
                openings={group: recorded.openings[0][group] for group in (REQUEST, ANSWER)},
            )

        return await until_counted(record)

    async def _record_refusal(self, asking: _Asking, refusal: GatewayError) -> None:
        """Record a refusal, once for each request and rule, and attach its proof to the refusal."""
        at = self._now()
        draft = self.refused(asking.question, refusal, asking.catalogue, at=at)
        # Under a key of its own: the request itself stays open, and is answered once the rule has fallen away.
        request = replace(asking.request, refusal=f"{refusal.reason}: {refusal}")
        recorded = await self._once.record(request, [draft], at=at, sequenced=asking.for_ledger.sequenced)
        await attach_proof(refusal, recorded, self._look_up)

    def refused(self, question: Question, refusal: GatewayError, catalogue: Catalogue, *, at: datetime) -> Draft:
        """Make the entry of a refusal, which stands in the place of an answer."""
        rule: dict[str, Json] = {
            "reason": refusal.reason,
            "rule": str(refusal),
            "catalogue_version": catalogue.version,
        }
        return Draft(
            kind="VerificationRefused",
            record=new_record(at, self._entropy),
            groups={REQUEST: question_body(question), REFUSAL: rule},
            facts=self._facts(question, None, self.keys(question)),
        )

    def keys(self, question: Question) -> Keys:
        """Give the keyed indexes of the person and of the case."""
        subject, context = question.subject, question.context
        return Keys(
            self._index.of(subject.id_type, subject.id_number),
            self._index.of("case", case_of(context.operator.unit, context.case_id)),
        )

    @staticmethod
    def _facts(question: Question, parent: bytes | None, keys: Keys) -> dict[str, Json]:
        context = question.context
        return {
            "subject": keys.subject.hex(),
            "case_key": keys.case.hex(),
            "unit": context.operator.unit,
            "matter": context.matter,
            "item": question.item,
            "parent": parent.hex() if parent else None,
        }

    async def _first_answer(self, recorded: Recorded) -> Answered:
        groups = await self._look_up.groups(recorded.record, recorded.first)
        question, answer = groups[REQUEST], groups[ANSWER]
        return Answered(
            question=table(question.value),
            answer=table(answer.value),
            recorded=recorded,
            openings={REQUEST: question.opening, **opened_answer(answer)},
        )


def open_facts(planned: Plan, asked: Asked) -> frozenset[str]:
    """Name the types of fact that could still decide a question."""
    return frozenset(planned.checks[check_id].fact_type for check_id in asked.judgement.undecided)


def _bears_out(planned: Plan) -> dict[str, set[Kind]]:
    """Say of each type of fact what a source says that bears the applicant out."""
    signs = planned.signs()
    kinds: dict[str, set[Kind]] = {fact_type: set() for fact_type in planned.fact_types()}
    for check in planned.checks.values():
        if not signs.get(check.id, False):
            kinds[check.fact_type].add(Kind.MATCH)
        if signs.get(check.id, True):
            kinds[check.fact_type] |= {Kind.MISMATCH, Kind.NO_RECORD} if check.absence_conclusive else {Kind.MISMATCH}
    return kinds


def _split(said: Iterable[tuple[str, str, Kind]], kinds: Mapping[str, set[Kind]]) -> tuple[set[_Voice], set[_Voice]]:
    """Name who bears the applicant out, and who answers without that; nobody who was not asked, or has not answered."""
    answered = [(source, fact_type, kind) for source, fact_type, kind in said if kind not in _SILENT]
    out = {(source, fact_type) for source, fact_type, kind in answered if kind in kinds.get(fact_type, ())}
    return out, {(source, fact_type) for source, fact_type, _ in answered} - out


def require_entitled(caller: Caller, item: Item, matter: Matter) -> None:
    """Refuse a caller whose department does not handle the matter, or a question that the matter may not ask.

    Raises:
        NotEntitled: names the rule.
        ItemBanned: nobody may demand this; names the basis.
    """
    if item.state is ItemState.BANNED:
        raise ItemBanned(item.code, ";".join(basis.text for basis in item.legal_basis))
    if caller.unit not in {department.uscc for department in matter.departments}:
        raise NotEntitled(
            f"the caller's department does not handle matter {matter.code!r}", "本单位不办理该事项,不得查询。"
        )
    if item.code not in matter.items:
        raise NotEntitled(
            f"matter {matter.code!r} may not ask item {item.code!r}",
            "该办理事项的目录中没有此证明事项,不得查询或索要。",
        )


OTHER_NAME = "该证件号码下的记录与申报姓名不一致,请先核对所填姓名和证件号码。"


def _told_of(asked: Asked, step: NextStep) -> NextStep:
    """Tell the clerk with the step that a record bears another name: what was typed wrong is seen at a glance."""
    if step.kind is StepKind.NONE or not any(one.outcome.other_identity for one in asked.evidence):
        return step
    return replace(step, explanation=OTHER_NAME + step.explanation)


def _answer(
    item: str, asked: Asked, step: NextStep, terms: Terms, at: datetime, *, facts: list[Json], reasons: list[Json]
) -> dict[str, Json]:
    return {
        "item": item,
        "verdict": asked.judgement.verdict.value,
        "reasons": reasons,
        "next_step": _step(step),
        "facts": facts,
        "disclosure": terms.disclosure.value,
        "catalogue_version": terms.catalogue_version,
        "policy_version": terms.policy,
        "answered_at": at.isoformat(),
    }


def _step(step: NextStep) -> dict[str, Json]:
    return {
        "kind": step.kind.value,
        "until": step.until.isoformat() if step.until else None,
        "retry_after_s": int(step.retry_after.total_seconds()) if step.retry_after else None,
        "attribute": step.attribute,
        "attempts": list(step.attempts),
        "since": step.since.isoformat() if step.since else None,
        "confirm_by_clerk": step.confirm_by_clerk,
        "explanation": step.explanation,
    }


def fact_body(evidence: Evidence) -> dict[str, Json]:
    """Give what one source said, as it is kept: never the raw answer."""
    kept: dict[str, Json] = {
        "fact_type": evidence.fact_type,
        "source": evidence.source,
        "outcome": evidence.outcome.kind.value,
        "cause": evidence.outcome.cause.value if evidence.outcome.cause else "",
        "asked_at": evidence.asked_at.isoformat(),
        "answered_at": evidence.answered_at.isoformat(),
        "as_of": evidence.as_of.isoformat() if evidence.as_of else None,
        "attempts": evidence.attempts,
        "cached": evidence.cached,
        "raw_digest": evidence.raw_digest.hex(),
    }
    return kept | {"other_identity": True} if evidence.outcome.other_identity else kept
