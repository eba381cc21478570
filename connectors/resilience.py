"""Ask a source within bounds, and turn whatever happens into one of the twelve outcomes; the only place that does.

`Resilient` wraps any connector. It never raises (but for cancellation), never answers from memory, and never turns a
failure into anything but UNAVAILABLE or REFUSED.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import structlog

from connectors.breaker import Breaker, OpenInterval
from connectors.bulkhead import Bulkhead, Full
from connectors.connector import Claim, Connector, Health, Manifest, QueryContext
from connectors.coverage import Covered, covered, limited
from connectors.errors import SourceRefused, SourceUnavailable
from connectors.outcome import NOT_COVERED, Cause, Evidence, Kind, Outcome, unavailable
from connectors.policy import Policy
from connectors.retry_budget import RetryBudget

_log = structlog.get_logger(__name__)
_DOWN = (Cause.OUTAGE, Cause.TIMEOUT)


@dataclass(slots=True, kw_only=True, eq=False)
class _Flight:
    """A call under way, and how many still wait for it."""

    task: asyncio.Task[list[Evidence]]
    keys: tuple[Hashable, ...]
    waiting: int = 0


@dataclass(slots=True, kw_only=True)
class _Attempts:
    made: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where the answer to a claim will stand: in which call, at which index."""

    flight: _Flight
    index: int = field(default=0)


class Resilient:
    """A connector that always answers: coverage, windows, breaker, bulkhead, deadline, retries, single flight.

    Breakers are kept per fact type, the bulkhead and the retry budget per source. `random` gives numbers from 0 to 1.
    """

    def __init__(
        self, connector: Connector, policy: Policy, *, now: Callable[[], datetime], random: Callable[[], float]
    ) -> None:
        self._connector = connector
        self._policy = policy
        self._now = now
        self._random = random
        self._source = connector.manifest.source
        self._breakers: dict[str, Breaker] = {}
        self._bulkhead = Bulkhead(concurrency=policy.concurrency, queue=policy.queue)
        self._budget = RetryBudget(share=policy.retry_share)
        self._flying: dict[Hashable, _Place] = {}

    @property
    def manifest(self) -> Manifest:
        """What the source declares."""
        return self._connector.manifest

    @property
    def open_intervals(self) -> list[OpenInterval]:
        """When the source was left alone because it was down, oldest first for each fact type; at most 256 each."""
        return [interval for breaker in self._breakers.values() for interval in breaker.intervals]

    async def check_many(self, claims: Sequence[Claim], context: QueryContext) -> list[Evidence]:
        """Answer each claim, in the same order; always."""
        asked_at = self._now()
        answers: dict[int, Evidence] = {}
        to_ask: dict[str, list[int]] = {}
        for index, claim in enumerate(claims):
            outcome = self._known(claim, asked_at)
            if outcome is None:
                to_ask.setdefault(claim.fact_type, []).append(index)
            else:
                answers[index] = self._told(claim, outcome, asked_at, attempts=0)
        groups = [[(index, claims[index]) for index in indexes] for indexes in to_ask.values()]
        for found in await asyncio.gather(*(self._ask(group, context) for group in groups)):
            answers.update(found)
        return [answers[index] for index in range(len(claims))]

    def _known(self, claim: Claim, now: datetime) -> Outcome | None:
        """Say what can be said without a call."""
        manifest = self._connector.manifest
        if claim.fact_type not in manifest.fact_types:
            return NOT_COVERED
        if covered(claim, manifest.coverage.get(claim.fact_type)) is Covered.NOT:
            return NOT_COVERED
        ends = [until for window in self._policy.windows if (until := window.until(now)) is not None]
        return unavailable(Cause.WINDOW, max(ends)) if ends else None

    async def _ask(self, group: Sequence[tuple[int, Claim]], context: QueryContext) -> dict[int, Evidence]:
        """Join claims of one fact type to calls under way that ask the same; ask the rest in one call."""
        asked_at = self._now()
        keys = [_identity(claim, context) for _, claim in group]
        new: dict[Hashable, Claim] = {
            key: claim for key, (_, claim) in zip(keys, group, strict=True) if key not in self._flying
        }
        if new:
            self._launch(new, context)
        places = [self._flying[key] for key in keys]
        flights = {place.flight for place in places}
        for flight in flights:
            flight.waiting += 1
        try:
            await asyncio.wait({flight.task for flight in flights}, timeout=self._left(context))
            return {
                index: self._limited(claim, self._landed(place, claim, asked_at))
                for (index, claim), place in zip(group, places, strict=True)
            }
        finally:
            for flight in flights:
                flight.waiting -= 1
                if not flight.waiting:
                    self._forget(flight)  # before it is cancelled, so that nobody joins it any more
                    flight.task.cancel()

    def _left(self, context: QueryContext) -> float:
        return max(0.0, context.deadline - asyncio.get_running_loop().time())

    def _launch(self, new: dict[Hashable, Claim], context: QueryContext) -> None:
        task = asyncio.create_task(self._fly(list(new.values()), context))
        flight = _Flight(task=task, keys=tuple(new))
        for index, key in enumerate(new):
            self._flying[key] = _Place(flight=flight, index=index)
        task.add_done_callback(lambda _: self._forget(flight))

    def _forget(self, flight: _Flight) -> None:
        for key in flight.keys:
            if (place := self._flying.get(key)) is not None and place.flight is flight:
                del self._flying[key]

    def _landed(self, place: _Place, claim: Claim, asked_at: datetime) -> Evidence:
        task = place.flight.task
        if not task.done() or task.cancelled():
            return self._told(claim, unavailable(Cause.TIMEOUT), asked_at, attempts=1)
        return task.result()[place.index]

    def _limited(self, claim: Claim, evidence: Evidence) -> Evidence:
        """Take back an absence that the source is in no position to say; a drop may just have changed its coverage."""
        extent = covered(claim, self._connector.manifest.coverage.get(claim.fact_type))
        outcome = limited(evidence.outcome, extent)
        return evidence if outcome is evidence.outcome else replace(evidence, outcome=outcome)

    async def _fly(self, claims: Sequence[Claim], context: QueryContext) -> list[Evidence]:
        """Ask once or several times, under breaker, bulkhead and timeout; never raise an ordinary exception."""
        asked_at, attempts = self._now(), _Attempts()
        breaker = self._breaker(claims[0].fact_type)
        outcome = unavailable(Cause.TIMEOUT)
        try:
            async with asyncio.timeout(self._policy.timeout.total_seconds()), self._bulkhead:
                back = breaker.closed_until(self._now())
                if back is not None:
                    outcome = unavailable(Cause.OUTAGE, back)
                else:
                    return await self._guarded(breaker, claims, context, attempts)
        except SourceRefused as error:
            outcome = Outcome(kind=Kind.REFUSED, rule=error.rule or "no reason given")
        except SourceUnavailable as error:
            outcome = unavailable(error.cause, error.until)
        except Full:
            outcome = unavailable(Cause.OVERLOAD)
        except TimeoutError:
            pass
        except Exception as error:
            # The type only: the text of an unforeseen error may hold what was asked or answered.
            _log.error("source failed unforeseen", source=self._source, error=type(error).__name__)
            outcome = unavailable(Cause.GARBLED)
        return [self._told(claim, outcome, asked_at, attempts=attempts.made) for claim in claims]

    def _breaker(self, fact_type: str) -> Breaker:
        if fact_type not in self._breakers:
            self._breakers[fact_type] = Breaker(
                fact_type, failures=self._policy.breaker_failures, rest=self._policy.breaker_rest
            )
        return self._breakers[fact_type]

    async def _guarded(
        self, breaker: Breaker, claims: Sequence[Claim], context: QueryContext, attempts: _Attempts
    ) -> list[Evidence]:
        """Ask, and tell the breaker what that says of the source."""
        clock = asyncio.get_running_loop().time
        silent_at = clock() + self._policy.timeout.total_seconds() / 2
        try:
            found = await self._repeated(claims, context, attempts)
        except SourceRefused:
            breaker.succeeded(self._now())  # it is up, and said no
            raise
        except asyncio.CancelledError:
            # Timeouts and deadlines cancel too. A long silence speaks against the source, a hasty caller does not.
            if clock() >= silent_at:
                breaker.failed(self._now())
            else:
                breaker.abandoned()
            raise
        except Exception as error:
            breaker.failed(self._now())
            cause = error.cause.value if isinstance(error, SourceUnavailable) else type(error).__name__
            _log.warning("source unavailable", source=self._source, fact_type=claims[0].fact_type, cause=cause)
            raise
        if any(one.outcome.cause in _DOWN for one in found):
            breaker.failed(self._now())
        else:
            breaker.succeeded(self._now())
        return found

    async def _repeated(self, claims: Sequence[Claim], context: QueryContext, attempts: _Attempts) -> list[Evidence]:
        self._budget.called()
        while True:
            attempts.made += 1
            try:
                found = await self._connector.check_many(claims, context)
            except SourceUnavailable as error:
                if not (error.cause is Cause.OUTAGE or error.connecting):
                    raise
                if attempts.made > self._policy.retries or not self._budget.take():
                    raise
            else:
                self._check(found, claims)
                return [replace(one, attempts=attempts.made) for one in found]
            longest = self._policy.backoff.total_seconds() * 2 ** (attempts.made - 1)
            await asyncio.sleep(longest * self._random())

    def _check(self, found: object, claims: Sequence[Claim]) -> None:
        is_fit = isinstance(found, list) and len(found) == len(claims)
        if not is_fit or not isinstance(found, list):
            raise SourceUnavailable(self._source, Cause.GARBLED, "not one answer for each claim")
        for one, claim in zip(found, claims, strict=True):
            if not isinstance(one, Evidence) or (one.source, one.fact_type) != (self._source, claim.fact_type):
                raise SourceUnavailable(self._source, Cause.GARBLED, "an answer to another question")

    def _told(self, claim: Claim, outcome: Outcome, asked_at: datetime, *, attempts: int) -> Evidence:
        return Evidence(
            source=self._source,
            fact_type=claim.fact_type,
            outcome=outcome,
            asked_at=asked_at,
            answered_at=self._now(),
            attempts=attempts,
        )

    async def probe(self) -> Health:
        """Probe the source within the timeout; a failure of any kind is a bad health."""
        try:
            async with asyncio.timeout(self._policy.timeout.total_seconds()):
                return await self._connector.probe()
        except Exception as error:
            return Health(ok=False, detail=type(error).__name__, probed_at=self._now())

    async def aclose(self) -> None:
        """Give up calls under way and close the source."""
        tasks = {place.flight.task for place in self._flying.values()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._connector.aclose()


def _identity(claim: Claim, context: QueryContext) -> Hashable:
    """Make two questions equal only if everything but the deadline is: sources log who asked, and why."""
    subject = claim.subject
    told = [
        tuple(sorted((name, type(value).__name__, value) for name, value in part.items()))
        for part in (claim.expected, claim.given)
    ]
    return (
        claim.fact_type,
        subject.id_type,
        subject.id_number,
        subject.name,
        *told,
        claim.place,
        claim.period,
        context.matter,
        context.case,
        context.item,
        context.operator,
        context.unit,
        context.reason,
    )
