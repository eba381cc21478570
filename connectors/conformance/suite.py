"""What every kind of source must do, as checks that anybody can run on a connector of their own.

A `Specimen` is a source over a register whose content is known, with the ways in which it can be spoilt. `prove` asks
it what it must know, spoils it in each way, and refuses any conclusion that the spoilt source could not have told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from msgspec.structs import replace

from connectors.conformance.expectations import FORBIDDEN, NonConforming, require_discretion
from connectors.conformance.scene import PERSONAL, asking
from connectors.connector import Claim
from connectors.outcome import Evidence, Kind
from connectors.resilience import Resilient

Act = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Specimen:
    """A source to be proved: three claims whose truth is known, and how the source is spoilt and mended.

    `spoilt` are ways by name; after each, `mend` makes the source well again. `rest` lets the breaker's rest pass. The
    ways in `records_only` harm what is said of people who have a record; that somebody has none may still be told.
    """

    source: Resilient
    agreeing: Claim
    contradicting: Claim
    absent: Claim
    spoilt: Mapping[str, Act]
    mend: Act
    rest: Callable[[], None]
    records_only: frozenset[str] = frozenset()
    personal: Sequence[str] = field(default=PERSONAL)

    @property
    def claims(self) -> list[Claim]:
        """The three."""
        return [self.agreeing, self.contradicting, self.absent]


async def prove(specimen: Specimen) -> list[str]:
    """Check everything; return the names of what was checked.

    Raises:
        NonConforming: says which check failed, and tells nobody's data.
    """
    checked = []
    for check in (_knows, _keeps_order, _knows_its_limits, _is_honest_about_itself, _survives_cancellation):
        await check(specimen)
        checked.append(check.__name__.strip("_"))
    for name, spoil in specimen.spoilt.items():
        await _makes_nothing_up(specimen, name, spoil)
        checked.append(f"makes nothing up: {name}")
    return checked


def _require(condition: bool, what: str) -> None:
    if not condition:
        raise NonConforming(what)


_KNOWN = (Kind.MATCH, Kind.MISMATCH, Kind.NO_RECORD)


async def _knows(specimen: Specimen) -> None:
    """The three claims get the three answers, with their provenance."""
    found = await specimen.source.check_many(specimen.claims, asking())
    _require([one.outcome.kind for one in found] == list(_KNOWN), f"the three claims got {_kinds(found)}")
    manifest = specimen.source.manifest
    for one, claim in zip(found, specimen.claims, strict=True):
        _require((one.source, one.fact_type) == (manifest.source, claim.fact_type), "an answer under another name")
        _require(one.asked_at <= one.answered_at, "answered before it was asked")
        _require(len(one.raw_digest) == 32, "a conclusion without the digest of what was answered")
        _require(not one.cached and one.attempts >= 1, "a first answer that says it was not asked for")


async def _keeps_order(specimen: Specimen) -> None:
    """One answer for each claim, in the order asked; none for none; the same for the same."""
    _require(await specimen.source.check_many([], asking()) == [], "an answer to no question")
    asked = [specimen.absent, specimen.agreeing, specimen.contradicting, specimen.agreeing]
    found = await specimen.source.check_many(asked, asking())
    expected = [Kind.NO_RECORD, Kind.MATCH, Kind.MISMATCH, Kind.MATCH]
    _require([one.outcome.kind for one in found] == expected, f"in another order: {_kinds(found)}")
    many = await asyncio.gather(*(specimen.source.check_many([claim], asking()) for claim in asked * 5))
    _require([one[0].outcome.kind for one in many] == expected * 5, "questions at once got each other's answers")


async def _knows_its_limits(specimen: Specimen) -> None:
    """What it does not hold it says it does not cover."""
    other = replace(specimen.agreeing, fact_type="a-fact-that-nobody-holds")
    [found] = await specimen.source.check_many([other], asking())
    _require(found.outcome.kind is Kind.NOT_COVERED, f"a fact it does not hold got {_kinds([found])}")
    further = replace(specimen.agreeing, expected={**specimen.agreeing.expected, "shoe_size": 43})
    [found] = await specimen.source.check_many([further], asking())
    is_open = found.outcome.kind in (Kind.NOT_HELD, Kind.NEEDS_ATTRIBUTE)
    _require(is_open, f"an attribute that it does not hold got {_kinds([found])}")


async def _is_honest_about_itself(specimen: Specimen) -> None:
    """A well source says it is well, and does not name anybody doing so."""
    health = await specimen.source.probe()
    _require(health.ok, f"a well source says it is ill: {health.detail}")
    require_discretion([health.detail], specimen.personal)


async def _survives_cancellation(specimen: Specimen) -> None:
    """A question given up at any moment leaves the source as it was."""
    for turns in range(6):
        asked = asyncio.create_task(specimen.source.check_many(specimen.claims, asking()))
        for _ in range(turns):
            await asyncio.sleep(0)
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)
        [found] = await specimen.source.check_many([specimen.agreeing], asking())
        _require(found.outcome.kind is Kind.MATCH, f"after a question given up: {_kinds([found])}")


async def _makes_nothing_up(specimen: Specimen, name: str, spoil: Act) -> None:
    """A spoilt source concludes nothing, of claims that are true, false and about nobody alike, warm or cold."""
    await spoil()
    texts: list[str] = []
    for _ in range(3):
        found = await specimen.source.check_many(specimen.claims, asking())
        harmed = found[:2] if name in specimen.records_only else found
        concluded = [one for one in harmed if one.outcome.kind in FORBIDDEN]
        _require(not concluded, f"spoilt ({name}), it concluded {_kinds(concluded)}")
        texts += map(repr, found)
    texts.append((await specimen.source.probe()).detail)
    require_discretion(texts, specimen.personal)
    await specimen.mend()
    specimen.rest()
    found = await specimen.source.check_many(specimen.claims, asking())
    _require([one.outcome.kind for one in found] == list(_KNOWN), f"mended ({name}), it says {_kinds(found)}")


def _kinds(found: Sequence[Evidence]) -> str:
    return ", ".join(one.outcome.kind.value for one in found) or "nothing"
