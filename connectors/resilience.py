"""Ask a source so that there is always an answer, in time, whatever the source does.

`Resilient` wraps any connector. It never raises (but for cancellation), and it never makes an answer up: what it says
without asking is that the source does not cover the claim, is closed, down or overloaded, or what the source itself
answered so lately that its own promise of freshness still holds.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Hashable, Mapping, Sequence
from datetime import datetime

from msgspec.structs import replace

from connectors.breaker import OpenInterval, State
from connectors.bulkhead import Bulkhead, Full, Load, Seat
from connectors.cache import Cache
from connectors.call import Call
from connectors.connector import Claim, Connector, Health, Manifest, QueryContext, Value
from connectors.coverage import Covered, covered, limited
from connectors.outcome import NOT_COVERED, Cause, Evidence, Kind, unavailable
from connectors.policy import Policy
from connectors.telemetry import SILENCE, UNKNOWN_FACT, Telemetry

_Asked = tuple[int, Claim, Hashable]
"""A claim with its index in the question, and what makes it the same as another."""


class Resilient:
    """A connector that always answers: coverage, cache, windows, breaker, bulkhead, deadline, retries, single flight.

    Breakers are kept per fact type, lanes and the retry budget per source; nothing is shared between sources. `random`
    gives numbers from 0 to 1.
    """

    def __init__(
        self,
        connector: Connector,
        policy: Policy,
        *,
        now: Callable[[], datetime],
        random: Callable[[], float],
        telemetry: Telemetry = SILENCE,
    ) -> None:
        manifest = connector.manifest
        self._connector = connector
        self._policy = policy
        self._now = now
        self._telemetry = telemetry
        self._source = manifest.source
        self._is_batch = manifest.batch > 1
        self._call = Call(connector, policy, now=now, random=random, telemetry=telemetry)
        lanes = min(policy.concurrency, manifest.lanes) if manifest.lanes else policy.concurrency
        self._bulkhead = Bulkhead(
            self._call,
            lanes=lanes,
            queue=policy.queue,
            longest=policy.timeout.total_seconds(),
            batch=manifest.batch,
        )
        self._seats: dict[Hashable, Seat] = {}
        self._cache: Cache | None = None
        if policy.cache is not None and manifest.freshness is not None:
            self._cache = Cache(
                longest=policy.cache,
                freshness=manifest.freshness,
                entries=policy.cache_entries,
                salt=os.urandom(16),
            )

    @property
    def manifest(self) -> Manifest:
        """What the source declares."""
        return self._connector.manifest

    @property
    def open_intervals(self) -> list[OpenInterval]:
        """When the source was left alone because it was down, oldest first for each fact type; at most 256 each."""
        return self.outages()

    def outages(
        self, fact_type: str | None = None, *, since: datetime | None = None, until: datetime | None = None
    ) -> list[OpenInterval]:
        """Say when the source was held to be down: for one fact type or all, within a time or ever.

        Oldest first for each fact type, at most 256 of each; one not over yet has no end. `Telemetry.breaker_moved`
        tells each as it arises, for whoever keeps them longer.
        """
        return [
            interval
            for name, breaker in self._call.breakers.items()
            for interval in breaker.intervals
            if fact_type in (None, name) and interval.overlaps(since, until)
        ]

    def breaker_state(self, fact_type: str) -> State:
        """Say whether questions about a fact type reach the source now."""
        return self._call.breaker(fact_type).state

    @property
    def is_busy(self) -> bool:
        """Whether a call to the source is under way."""
        return self._bulkhead.is_busy

    async def check_many(self, claims: Sequence[Claim], context: QueryContext) -> list[Evidence]:
        """Answer each claim, in the same order; always."""
        asked_at, began = self._now(), asyncio.get_running_loop().time()
        answers: dict[int, Evidence] = {}
        to_ask: dict[str, list[_Asked]] = {}
        for index, claim in enumerate(claims):
            key = _identity(claim)
            known = self._known(claim, key, context, asked_at)
            if known is None:
                to_ask.setdefault(claim.fact_type, []).append((index, claim, key))
            else:
                answers[index] = known
        if len(to_ask) == 1:
            [group] = to_ask.values()
            answers.update(await self._ask(group, context, asked_at))
        elif to_ask:
            for found in await asyncio.gather(*(self._ask(group, context, asked_at) for group in to_ask.values())):
                answers.update(found)
        ordered = [answers[index] for index in range(len(claims))]
        self._tell(ordered, asyncio.get_running_loop().time() - began)
        return ordered

    def _tell(self, answers: Sequence[Evidence], seconds: float) -> None:
        known = self._connector.manifest.fact_types
        for one in answers:
            fact_type = one.fact_type if one.fact_type in known else UNKNOWN_FACT
            if one.cached:
                self._telemetry.cached(self._source, fact_type)
            self._telemetry.answered(
                self._source, fact_type, one.outcome.kind, one.outcome.cause, seconds=seconds, attempts=one.attempts
            )

    def _known(self, claim: Claim, key: Hashable, context: QueryContext, now: datetime) -> Evidence | None:
        """Say what can be said without a call."""
        manifest, outcome = self._connector.manifest, None
        coverage = None if manifest.moving_coverage else manifest.coverage.get(claim.fact_type)
        if claim.fact_type not in manifest.fact_types or covered(claim, coverage) is Covered.NOT:
            outcome = NOT_COVERED
        elif self._cache is not None and (held := self._cache.find(key, _purpose(context), now)) is not None:
            return held
        elif ends := [until for window in self._policy.windows if (until := window.until(now)) is not None]:
            outcome = unavailable(Cause.WINDOW, max(ends))
        return None if outcome is None else self._call.told(claim, outcome, now, attempts=0)

    async def _ask(self, group: Sequence[_Asked], context: QueryContext, asked_at: datetime) -> dict[int, Evidence]:
        """Join claims of one fact type to calls under way that ask the same; ask for the rest.

        A call that was joined ends by its own time: what it leaves without an answer is asked again while ours lasts.
        """
        ends_at = min(context.deadline, asyncio.get_running_loop().time() + self._policy.timeout.total_seconds())
        answers: dict[int, Evidence] = {}
        until = context.deadline
        while group:
            found = await self._ask_once(group, context, asked_at, until)
            answers.update((index, evidence) for index, (evidence, _) in found.items())
            group = [asked for asked in group if self._is_cut_short(*found[asked[0]], ends_at)]
            until = ends_at
        return answers

    def _is_cut_short(self, evidence: Evidence, call: Load | None, ends_at: float) -> bool:
        """Say whether time ran out for a call that was to end before its joiner, who may still ask."""
        if call is None or evidence.outcome.cause is not Cause.TIMEOUT or call.ends_at >= ends_at:
            return False
        is_asked_once = evidence.fact_type in self._connector.manifest.asked_once
        return not is_asked_once and asyncio.get_running_loop().time() < ends_at

    async def _ask_once(
        self, group: Sequence[_Asked], context: QueryContext, asked_at: datetime, until: float
    ) -> dict[int, tuple[Evidence, Load | None]]:
        """Answer by a loop time; beside each answer, the call that gave it, if one did."""
        if until <= asyncio.get_running_loop().time():
            late = unavailable(Cause.TIMEOUT)
            return {index: (self._call.told(claim, late, asked_at, attempts=0), None) for index, claim, _ in group}
        try:
            seats = self._seats_for(group, context)
        except Full:
            full = unavailable(Cause.OVERLOAD)
            return {index: (self._call.told(claim, full, asked_at, attempts=0), None) for index, claim, _ in group}
        for seat in seats:
            seat.waiting += 1
        try:
            for seat in seats:  # one after the other, all until the same time
                await seat.over.heard(until)
            return {
                index: (self._landed(seat, claim, key, context, asked_at), seat.load if seat.answer else None)
                for (index, claim, key), seat in zip(group, seats, strict=True)
            }
        finally:
            for seat in seats:
                seat.waiting -= 1
                if not seat.waiting:
                    self._forget(seat)  # before it is left, so that nobody joins it any more
                    self._bulkhead.leave(seat)

    def _seats_for(self, group: Sequence[_Asked], context: QueryContext) -> list[Seat]:
        # A source that is told who asks is asked for each: it keeps a log of that, and must be able to.
        who = None if self._is_batch else (*_purpose(context), context.case, context.operator)
        keys = [(key, who) for _, _, key in group]
        new = {key: claim for key, (_, claim, _) in zip(keys, group, strict=True) if not self._can_be_joined(key)}
        if new:
            for seat in self._bulkhead.board(list(new.items()), context):
                self._seats[seat.key] = seat
        return [self._seats[key] for key in keys]

    def _can_be_joined(self, key: Hashable) -> bool:
        seat = self._seats.get(key)
        return seat is not None and not seat.over.has_rung

    def _forget(self, seat: Seat) -> None:
        if self._seats.get(seat.key) is seat:
            del self._seats[seat.key]

    def _landed(self, seat: Seat, claim: Claim, key: Hashable, context: QueryContext, asked_at: datetime) -> Evidence:
        if seat.answer is None:
            attempts = 1 if seat.load.has_left else 0
            return self._call.told(claim, unavailable(Cause.TIMEOUT), asked_at, attempts=attempts)
        if self._cache is not None:
            self._cache.note(key, _purpose(context), seat.answer)
        return self._limited(claim, seat.answer)

    def _limited(self, claim: Claim, evidence: Evidence) -> Evidence:
        """Take back an absence that the source is in no position to say; a drop may just have changed its coverage."""
        if evidence.outcome.kind is not Kind.NO_RECORD:
            return evidence
        coverage = self._connector.manifest.coverage.get(claim.fact_type)
        if coverage is None:
            return replace(evidence, undeclared=True)
        extent = covered(claim, coverage)
        outcome = limited(evidence.outcome, extent)
        return evidence if outcome is evidence.outcome else replace(evidence, outcome=outcome)

    async def probe(self) -> Health:
        """Probe the source within the timeout; a failure of any kind is a bad health."""
        try:
            async with asyncio.timeout(self._policy.timeout.total_seconds()):
                return await self._connector.probe()
        except Exception as error:
            return Health(ok=False, detail=type(error).__name__, probed_at=self._now())

    async def aclose(self) -> None:
        """Give up calls under way and close the source."""
        await self._bulkhead.aclose()
        await self._connector.aclose()


def _identity(claim: Claim) -> Hashable:
    """Make two claims equal only if they say the same; 1 and true are different claims."""
    subject = claim.subject
    expected, given = _typed(claim.expected), _typed(claim.given)
    return (
        claim.fact_type, subject.id_type, subject.id_number, subject.name, expected, given,
        tuple([(name, claim.forms[name].value) for name in sorted(claim.forms)]), claim.place, claim.period,
    )  # fmt: skip


def _typed(values: Mapping[str, Value]) -> tuple[tuple[str, str, Value], ...]:
    return tuple(sorted([(name, type(value).__name__, value) for name, value in values.items()]))


def _purpose(context: QueryContext) -> tuple[str, ...]:
    """What an answer is given for: another unit, matter, item or reason has to ask for itself."""
    return (context.matter, context.item, context.unit, context.reason)
