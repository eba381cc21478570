"""Ask the sources what a plan needs: concurrently, no more than needed, and stop what no longer matters.

What is asked one after the other shares the time there is (`gateway.rules.time_share`).

Who gets an answer never gets the digest of what a source sent: whoever knows all of a record but an address would find
the address by trying addresses, without asking anybody. In its place stands a keyed digest of it, of each asking its
own, by which the gateway, and nobody without its key, can hold a source to what it sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from msgspec import Struct
from msgspec.structs import asdict, replace

from connectors.connector import Connector, QueryContext
from connectors.outcome import NOT_COVERED, OTHER_IDENTITY, Evidence, Kind
from gateway.catalogue.words import SourcePolicyKind
from gateway.rules.guessing import Tells, told_by
from gateway.rules.kept import text
from gateway.rules.plan import FactCheck, Leaf, Plan
from gateway.rules.time_share import time_share
from gateway.rules.verdict import Judgement, LeafTruth, doubted, evaluate, judge, next_checks, sources_to_ask
from ledger.canonical import Json

NO_SOURCE = "-"
"""Stands for the source where no department shares this type of fact here: it is covered by nobody."""
_OF_RAW = b"chengxin/verification/v1/raw\x00"
People = Mapping[str, Sequence[Evidence]]
"""What people said, by type of fact."""
NOBODY: People = {}


class Told(Evidence, frozen=True, kw_only=True):
    """What a source said, as it may be told: `raw_digest` is keyed. `sent` is the digest of what it sent, by which the
    gateway alone can compare it with what is kept; it is kept nowhere and told to nobody.
    """

    sent: bytes = b""


class Asked(Struct, frozen=True, kw_only=True):
    """The judgement, what each source said (in the plan's order), and what that tells of each check to who guesses.

    `said` and `answers` are the same by check, as far as checks were asked. `heard` is what people said beside the
    sources, of any type of fact in the plan.
    """

    judgement: Judgement
    evidence: tuple[Evidence, ...]
    heard: tuple[Evidence, ...] = ()
    tells: Mapping[str, Tells] = {}
    said: Mapping[str, tuple[Evidence, ...]] = {}
    answers: Mapping[str, LeafTruth] = {}


class Ask:
    """Asks configured sources, in the order of the configuration for each type of fact."""

    def __init__(
        self, sources: Mapping[str, Connector], *, now: Callable[[], datetime], digest: Callable[[bytes], bytes]
    ) -> None:
        """`digest` is keyed (`ledger.BlindIndex.digest`)."""
        self._digest = digest
        self._by_fact: dict[str, tuple[Connector, ...]] = {}
        for connector in sources.values():
            for fact_type in connector.manifest.fact_types:
                self._by_fact[fact_type] = (*self._by_fact.get(fact_type, ()), connector)
        self._departments = {one.manifest.source: one.manifest.department for one in sources.values()}
        self._now = now

    def department_of(self, source: str) -> str:
        """Name the department of a source; empty where none is named."""
        return self._departments.get(source, "")

    def sources_for(self, fact_type: str) -> tuple[str, ...]:
        """Name the sources that would be asked for a type of fact, in order."""
        return tuple(connector.manifest.source for connector in self._by_fact.get(fact_type, ()))

    async def __call__(
        self, plan: Plan, context: QueryContext, *, people: People = NOBODY, before: Asked | None = None
    ) -> Asked:
        """Ask until the plan is decided, with what people said of types of fact, or nothing is left to ask; go on from
        what was asked `before`, where something was.
        """
        weigh, in_doubt = self._weighing(plan, people), doubted(plan, people)
        evidence = dict(before.said) if before else {}
        answers = {check_id: weigh(plan.checks[check_id], said) for check_id, said in evidence.items()}
        running: dict[asyncio.Task[tuple[Evidence, ...]], FactCheck] = {}
        try:
            while due := next_checks(plan, answers, in_doubt):
                if len(due) == 1 and not running:  # nothing to race with: no task, and so no turn of the loop
                    (check,) = due
                    evidence[check.id] = await self._leaf(check, plan, answers, context)
                    answers[check.id] = weigh(check, evidence[check.id])
                    continue
                under_way = {check.id for check in running.values()}
                for check in due:
                    if check.id not in under_way:
                        running[asyncio.create_task(self._leaf(check, plan, answers, context))] = check
                done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    check = running.pop(task)
                    evidence[check.id] = task.result()
                    answers[check.id] = weigh(check, evidence[check.id])
        finally:
            if running:
                await _cancel(running)
        return _asked(plan, evidence, answers, people)

    def beside(self, plan: Plan, asked: Asked, people: People) -> Asked:
        """Judge again what the sources said, with what people said of types of fact.

        A source that decides is weighed with people too: where they disagree, that is never resolved silently. What
        people say tells nothing to who guesses.
        """
        if not (people or asked.heard):
            return asked
        weigh = self._weighing(plan, people)
        answers = {check_id: weigh(plan.checks[check_id], said) for check_id, said in asked.said.items()}
        return _asked(plan, asked.said, answers, people)

    def _weighing(self, plan: Plan, people: People) -> Callable[[FactCheck, tuple[Evidence, ...]], LeafTruth]:
        """Give what weighs a check. People speak of what the applicant says: every check of the type bears it out, or
        contradicts it, alike; of one that stands in the plan both ways they say nothing.
        """
        signs = plan.signs()

        def weigh(check: FactCheck, evidence: tuple[Evidence, ...]) -> LeafTruth:
            heard = people.get(check.fact_type, ()) if check.id in signs else ()
            sources = max(1, len(self._by_fact.get(check.fact_type, ())))
            return judge(check, evidence, sources=sources, people=heard, negated=signs.get(check.id, True))

        return weigh

    async def _leaf(
        self, check: FactCheck, plan: Plan, answers: Mapping[str, LeafTruth], context: QueryContext
    ) -> tuple[Evidence, ...]:
        sources = self._by_fact.get(check.fact_type, ())
        if not sources:
            return (self._covered_by_nobody(check),)
        said: list[Evidence] = []
        negated = plan.signs().get(check.id, True)
        while more := sources_to_ask(
            check.policy, said, absence_conclusive=check.absence_conclusive, sources=len(sources), negated=negated
        ):
            asked = sources[len(said) : len(said) + more]
            limited = _limited(context, self._share(check, plan, answers, len(said)))
            if len(asked) == 1:
                found = [await asked[0].check_many([check.claim], limited)]
            else:
                found = await asyncio.gather(*(source.check_many([check.claim], limited) for source in asked))
            said.extend(self._veiled(_as_declared(check, answer[0])) for answer in found)
        return tuple(said)

    def _veiled(self, evidence: Evidence) -> Evidence:
        if not evidence.raw_digest:
            return evidence
        asked = f"{evidence.source}/{evidence.fact_type}/{evidence.asked_at.isoformat()}"
        veiled = self._keyed(asked, evidence.raw_digest)
        return Told(**asdict(evidence) | {"raw_digest": veiled, "sent": evidence.raw_digest})

    def _keyed(self, asked: str, raw_digest: bytes) -> bytes:
        return self._digest(_OF_RAW + asked.encode() + b"\x00" + raw_digest)

    def is_what_was_said(self, evidence: Evidence, kept: Mapping[str, Json]) -> bool:
        """Tell whether a source says what it said before, by what is kept of that: the same outcome upon the same data.

        What it sent decides, where both are known, whatever the date of the data; else that date.
        """
        outcome = evidence.outcome
        if (evidence.source, evidence.fact_type) != (kept["source"], kept["fact_type"]):
            return False
        if (outcome.kind.value, outcome.other_identity) != (kept["outcome"], kept.get("other_identity", False)):
            return False
        if isinstance(evidence, Told) and kept["raw_digest"]:
            asked = f"{evidence.source}/{evidence.fact_type}/{text(kept['asked_at'])}"
            return self._keyed(asked, evidence.sent).hex() == kept["raw_digest"]
        return (evidence.as_of.isoformat() if evidence.as_of else None) == kept["as_of"]

    def _share(self, check: FactCheck, plan: Plan, answers: Mapping[str, LeafTruth], said: int) -> float:
        left = self._rounds_left(check, said)
        if isinstance(plan.root, Leaf):  # one fact, as in most questions: its sources share the time with no others
            return 1 / left
        rounds = {other.id: self._rounds_left(other, 0) for other in plan.checks.values()}
        return time_share(plan, answers, rounds | {check.id: left}, check.id)

    def _rounds_left(self, check: FactCheck, said: int) -> int:
        """Count how often the sources of a check may still be asked one after the other."""
        sources = len(self._by_fact.get(check.fact_type, ()))
        return max(1, sources - said) if check.policy.kind is SourcePolicyKind.FIRST else 1

    def _covered_by_nobody(self, check: FactCheck) -> Evidence:
        now = self._now()
        return Evidence(
            source=NO_SOURCE,
            fact_type=check.fact_type,
            outcome=NOT_COVERED,
            asked_at=now,
            answered_at=now,
            attempts=0,
        )


def _asked(
    plan: Plan, said: Mapping[str, tuple[Evidence, ...]], answers: Mapping[str, LeafTruth], people: People
) -> Asked:
    told = [(check_id, said[check_id]) for check_id in plan.checks if check_id in said]
    types = dict.fromkeys(check.fact_type for check in plan.checks.values()) if people else {}
    return Asked(
        judgement=evaluate(plan, answers),
        evidence=tuple([one for _, found in told for one in found]),
        heard=tuple([one for fact_type in types for one in people.get(fact_type, ())]),
        tells={check: told_by(plan.checks[check].claim, found) for check, found in told},
        said=said,
        answers=answers,
    )


def _as_declared(check: FactCheck, evidence: Evidence) -> Evidence:
    """Take back an absence that would prove something, of a source that does not declare where and when it is complete.

    A stanza that leaves it open is refused; a file that is delivered may, and so may a connector of its own. One that
    does not say of what its MISMATCH is, has said it where nothing was expected of the record: of whose it is.
    """
    if evidence.outcome.kind is Kind.MISMATCH and not check.claim.expected:
        return replace(evidence, outcome=OTHER_IDENTITY)
    if check.absence_conclusive and evidence.undeclared:
        return replace(evidence, outcome=NOT_COVERED, undeclared=False)
    return evidence


def _limited(context: QueryContext, share: float) -> QueryContext:
    if share >= 1:
        return context
    now = asyncio.get_running_loop().time()
    return replace(context, deadline=now + max(0.0, context.deadline - now) * share)


async def _cancel(running: Mapping[asyncio.Task[tuple[Evidence, ...]], FactCheck]) -> None:
    """Stop what is no longer needed, and wait until it has stopped: no task outlives its question."""
    for task in running:
        task.cancel()
    await asyncio.wait(running)
