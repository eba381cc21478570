"""Call one source within bounds, and turn whatever happens into outcomes: the only place that does.

A failure becomes UNAVAILABLE or REFUSED and nothing else; there is no answer here that the source did not give.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from dataclasses import replace as replaced
from datetime import datetime, timedelta

import structlog
from msgspec.structs import replace

from connectors.breaker import Breaker, State
from connectors.connector import Claim, Connector, QueryContext
from connectors.errors import NotAsked, SourceRefused, SourceUnavailable
from connectors.hedge import hedged
from connectors.latency import Latencies
from connectors.outcome import Cause, Evidence, Kind, Outcome, unavailable
from connectors.policy import Policy
from connectors.retry_budget import RetryBudget
from connectors.telemetry import Telemetry

_log = structlog.get_logger(__name__)
_DOWN = (Cause.OUTAGE, Cause.TIMEOUT)
_GARBLED = unavailable(Cause.GARBLED)


@dataclass(slots=True)
class _Shown:
    """What the parts of one call show of the source: whether it answered any, and how many single claims in a row,
    since it last did, came back unreadable that its breaker is not told of yet."""

    answered: bool = False
    unread: int = 0


@dataclass(slots=True, kw_only=True)
class _Part:
    """Claims of a call that are asked together, by index, and how often they were asked so far.

    All parts of a call share a trial of the breaker, and what they have `shown` of the source."""

    indexes: Sequence[int]
    attempts: int = 0
    is_half: bool = False
    is_trial: bool = False
    shown: _Shown = field(default_factory=_Shown)


class Call:
    """Asks a source about claims of one fact type, under its breakers, timeout, retries and hedging.

    Breakers are kept per fact type, the retry budget per source. `random` gives numbers from 0 to 1.
    """

    def __init__(
        self,
        connector: Connector,
        policy: Policy,
        *,
        now: Callable[[], datetime],
        random: Callable[[], float],
        telemetry: Telemetry,
    ) -> None:
        self._connector = connector
        self._policy = policy
        self._now = now
        self._random = random
        self._telemetry = telemetry
        self._source = connector.manifest.source
        self._budget = RetryBudget(share=policy.retry_share)
        self._latencies: dict[str, Latencies] = {}
        self.breakers: dict[str, Breaker] = {}

    async def __call__(self, claims: Sequence[Claim], context: QueryContext, ends_at: float) -> list[Evidence]:
        """Answer each claim, in the same order, by a loop time; raise nothing but cancellation."""
        asked_at = self._now()
        answers: dict[int, Evidence] = {}
        part = _Part(indexes=range(len(claims)))
        todo = [part] if asyncio.get_running_loop().time() < ends_at else []  # a queue may have used up all time
        try:
            async with asyncio.timeout_at(ends_at):
                while todo:
                    part = todo.pop()
                    asked = [claims[index] for index in part.indexes]
                    found = await self._settled(asked, context, part)
                    if found == _GARBLED and self._can_be_parted(part):
                        todo += _halves(part)
                        continue
                    if isinstance(found, Outcome):
                        found = [self.told(claim, found, asked_at, attempts=part.attempts) for claim in asked]
                    answers.update(zip(part.indexes, found, strict=True))
        except TimeoutError:
            pass
        if not part.shown.answered:
            self._tell_unread(part, claims[0].fact_type)
        late = unavailable(Cause.TIMEOUT)
        return [
            answers[index] if index in answers else self.told(claim, late, asked_at, attempts=part.attempts)
            for index, claim in enumerate(claims)
        ]

    def told(self, claim: Claim, outcome: Outcome, asked_at: datetime, *, attempts: int) -> Evidence:
        """Say something of a claim that the source did not say."""
        return Evidence(
            source=self._source,
            fact_type=claim.fact_type,
            outcome=outcome,
            asked_at=asked_at,
            answered_at=self._now(),
            attempts=attempts,
        )

    def _can_be_parted(self, part: _Part) -> bool:
        """Say whether a batch that came back unreadable is asked in halves, so that one record spoils no other."""
        return self._connector.manifest.batch > 1 and len(part.indexes) > 1

    def _tell_unread(self, part: _Part, fact_type: str) -> None:
        for _ in range(part.shown.unread):
            self.breaker(fact_type).failed(self._now(), Cause.GARBLED)
        part.shown.unread = 0

    async def _settled(self, claims: Sequence[Claim], context: QueryContext, part: _Part) -> list[Evidence] | Outcome:
        """Ask, if the breaker lets us; one outcome for all claims when it came to nothing."""
        breaker = self.breaker(claims[0].fact_type)
        if not (part.is_trial and breaker.state is State.HALF_OPEN):
            back = breaker.closed_until(self._now())
            if back is not None:
                return unavailable(Cause.OUTAGE, back)
            part.is_trial = breaker.state is State.HALF_OPEN
        try:
            return await self._guarded(breaker, claims, context, part)
        except NotAsked as error:
            return error.outcome
        except SourceRefused as error:
            return Outcome(kind=Kind.REFUSED, rule=error.rule or "no reason given")
        except SourceUnavailable as error:
            until = None if error.cause is Cause.GARBLED else error.until
            return unavailable(error.cause, until, error.told)
        except TimeoutError:
            return unavailable(Cause.TIMEOUT)
        except Exception as error:
            # The type only: the text of an unforeseen error may hold what was asked or answered.
            _log.error("source failed unforeseen", source=self._source, error=type(error).__name__)
            return unavailable(Cause.GARBLED, why=type(error).__name__)

    def breaker(self, fact_type: str) -> Breaker:
        """Give the breaker of a fact type."""
        if fact_type not in self.breakers:
            self.breakers[fact_type] = Breaker(
                self._source,
                fact_type,
                failures=self._policy.breaker_failures,
                rest=self._policy.breaker_rest,
                moved=lambda state, interval: self._telemetry.breaker_moved(self._source, fact_type, state, interval),
            )
        return self.breakers[fact_type]

    async def _guarded(
        self, breaker: Breaker, claims: Sequence[Claim], context: QueryContext, part: _Part
    ) -> list[Evidence]:
        """Ask, and tell the breaker what that says of the source."""
        clock = asyncio.get_running_loop().time
        silent_at = clock() + self._silence
        try:
            found = await self._repeated(claims, context, part)
        except NotAsked:
            # Whoever asks could open the breaker for all, or close it, with a question that never left.
            breaker.abandoned()
            self._warn("question not put", claims)
            raise
        except SourceRefused as error:
            breaker.succeeded(self._now())  # it is up, and said no
            self._warn("source refuses", claims, rule=error.rule)
            raise
        except asyncio.CancelledError:
            # Timeouts and deadlines cancel too. A long silence speaks against the source, a hasty caller does not.
            if clock() >= silent_at:
                breaker.failed(self._now(), Cause.TIMEOUT)
                self._warn("source unavailable", claims, cause=Cause.TIMEOUT.value)
            else:
                breaker.abandoned()
            raise
        except Exception as error:
            cause = _cause(error)
            if isinstance(error, SourceUnavailable) and error.of_question:
                breaker.abandoned()  # else a few questions of one caller would open it for all
            else:
                self._failed(breaker, cause, part, claims[0].fact_type)
            why = error.why if isinstance(error, SourceUnavailable) else ""
            self._warn("source unavailable", claims, cause=cause.value, **({"why": why} if why else {}))
            raise
        part.shown.answered, part.shown.unread = True, 0
        self._note(breaker, claims, found)
        return found

    def _failed(self, breaker: Breaker, cause: Cause, part: _Part, fact_type: str) -> None:
        """Tell the breaker of a failure, but of unreadable answers only what single claims show.

        Halves tell whether one record spoilt a batch: then others are answered, and the source is well. A source of
        which nothing can be read opens its breaker on the way, and that ends it.
        """
        if cause is Cause.GARBLED and self._can_be_parted(part):
            return
        if cause is not Cause.GARBLED or not part.is_half:
            breaker.failed(self._now(), cause)
            return
        part.shown.unread += 1
        if part.shown.unread >= self._policy.breaker_failures:
            self._tell_unread(part, fact_type)

    def _note(self, breaker: Breaker, claims: Sequence[Claim], found: Sequence[Evidence]) -> None:
        """Tell the breaker and the log what answers to single claims say of the source."""
        causes = [one.outcome.cause for one in found if one.outcome.cause is not None]
        down = next((cause for cause in causes if cause in _DOWN), None)
        if down is not None:
            breaker.failed(self._now(), down)
        else:
            breaker.succeeded(self._now())
        for cause in dict.fromkeys(causes):
            self._warn("answer unusable", claims, cause=cause.value, answers=causes.count(cause))

    def _warn(self, event: str, claims: Sequence[Claim], **told: object) -> None:
        _log.warning(event, source=self._source, fact_type=claims[0].fact_type, **told)

    @property
    def _silence(self) -> float:
        return min(self._policy.breaker_silence, self._policy.timeout / 2).total_seconds()

    async def _repeated(self, claims: Sequence[Claim], context: QueryContext, part: _Part) -> list[Evidence]:
        """Ask, and ask again after faults of transport, within the budget."""
        self._budget.called()
        is_asked_once = claims[0].fact_type in self._connector.manifest.asked_once
        tries = 0
        while True:
            tries += 1
            try:
                found = await self._hedged(claims, context, part)
            except SourceUnavailable as error:
                if not error.connecting and (error.cause is not Cause.OUTAGE or is_asked_once):
                    raise
                if tries > self._policy.retries or not self._budget.take():
                    raise
            else:
                made = part.attempts
                return [one if one.attempts in (0, made) else replace(one, attempts=made) for one in found]
            longest = self._policy.backoff.total_seconds() * 2 ** (tries - 1)
            await asyncio.sleep(longest * self._random())

    async def _hedged(self, claims: Sequence[Claim], context: QueryContext, part: _Part) -> list[Evidence]:
        fact_type = claims[0].fact_type
        after = self._hedge_after(fact_type)
        if after is None:
            return await self._once(claims, context, part)

        def second() -> bool:
            if not self._budget.take():
                return False
            self._telemetry.hedged(self._source, fact_type)
            return True

        return await hedged(
            lambda: self._once(claims, context, part),
            after=after,
            may_ask_again=second,
            is_good=lambda found: all(one.outcome.kind is not Kind.UNAVAILABLE for one in found),
        )

    def _hedge_after(self, fact_type: str) -> float | None:
        hedge = self._policy.hedge
        if hedge is None or fact_type in self._connector.manifest.asked_once:
            return None
        if isinstance(hedge, timedelta):
            return hedge.total_seconds()
        latencies = self._latencies.get(fact_type)
        return None if latencies is None else latencies.percentile(hedge)

    async def _once(self, claims: Sequence[Claim], context: QueryContext, part: _Part) -> list[Evidence]:
        part.attempts += 1
        fact_type, clock = claims[0].fact_type, asyncio.get_running_loop().time
        began, result = clock(), "cancelled"
        self._telemetry.began(self._source, fact_type)
        try:
            found = await self._connector.check_many(claims, context)
            self._check(found, claims)
            result = "answered"
            self._latencies.setdefault(fact_type, Latencies()).add(clock() - began)
            return found
        except NotAsked:
            part.attempts -= 1
            result = "unasked"
            raise
        except SourceRefused:
            result = "refused"
            raise
        except Exception as error:
            result = _cause(error).value
            raise
        finally:
            self._telemetry.attempted(self._source, fact_type, result, seconds=clock() - began, claims=len(claims))

    def _check(self, found: object, claims: Sequence[Claim]) -> None:
        is_fit = isinstance(found, list) and len(found) == len(claims)
        if not is_fit or not isinstance(found, list):
            raise SourceUnavailable(self._source, Cause.GARBLED, "not one answer for each claim")
        for one, claim in zip(found, claims, strict=True):
            if not isinstance(one, Evidence) or (one.source, one.fact_type) != (self._source, claim.fact_type):
                raise SourceUnavailable(self._source, Cause.GARBLED, "an answer to another question")


def _cause(error: Exception) -> Cause:
    if isinstance(error, SourceUnavailable):
        return error.cause
    return Cause.TIMEOUT if isinstance(error, TimeoutError) else Cause.GARBLED


def _halves(part: _Part) -> list[_Part]:
    middle = len(part.indexes) // 2
    return [replaced(part, indexes=half, is_half=True) for half in (part.indexes[:middle], part.indexes[middle:])]
