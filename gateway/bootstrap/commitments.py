"""Where the flows of commitments are put together, for `gateway.bootstrap`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from datetime import datetime

from connectors.connector import Connector
from connectors.stanza import meant
from gateway.bootstrap.chores import Chore
from gateway.bootstrap.opening import facts_of
from gateway.catalogue.book import Book
from gateway.catalogue.model import Catalogue
from gateway.catalogue.words import Absence
from gateway.config import CommitmentSettings, Settings
from gateway.errors import ConfigurationError
from gateway.flows.commitments.contest import Contest
from gateway.flows.commitments.decide import Decide
from gateway.flows.commitments.decision_clock import DecisionClock
from gateway.flows.commitments.life import Commitments
from gateway.flows.commitments.listings import Listings
from gateway.flows.commitments.newest import Newest
from gateway.flows.commitments.prepare import Prepare
from gateway.flows.commitments.record import RecordSigned
from gateway.flows.commitments.refusals import Refusals
from gateway.flows.commitments.requery import Requery
from gateway.flows.commitments.signing import Signing
from gateway.flows.commitments.source_news import SourceNews
from gateway.flows.commitments.stand import Stand
from gateway.flows.commitments.standing import StandingQueries
from gateway.flows.commitments.sweep import Sweep
from gateway.flows.commitments.withdraw import Withdraw
from gateway.flows.look_up import LookUp
from gateway.flows.once import Once
from gateway.flows.verification.people import People
from gateway.letters.templates import Templates
from gateway.rules.clocks import WorkCalendar
from gateway.rules.standing_query import Rhythm
from gateway.signatures import Signatures
from ledger import Ledger


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the flows of commitments share with all others."""

    ledger: Ledger
    book: Book
    once: Once
    look_up: LookUp
    listings: Listings
    stand: Stand
    people: People
    requery: Requery
    clock: DecisionClock
    calendar: WorkCalendar
    templates: Templates
    sources: Mapping[str, Connector]
    signatures: Signatures
    stopping: asyncio.Event
    now: Callable[[], datetime]
    entropy: Callable[[int], bytes]


def build_commitments(settings: Settings, parts: Parts) -> Commitments:
    """Put the flows of commitments together.

    Raises:
        ConfigurationError: a list that bars from commitments is not one that can be asked; every mistake is named.
    """
    own = settings.commitments
    require_lists(own, parts.book.catalogue, facts_of(parts.sources.values()))
    once, look_up, now = parts.once, parts.look_up, parts.now
    refusals = Refusals(once=once, look_up=look_up, now=now, entropy=parts.entropy)
    contest = Contest(once=once, look_up=look_up, refusals=refusals, now=now)
    newest = Newest(stand=parts.stand, look_up=look_up, people=parts.people)
    return Commitments(
        prepare=Prepare(
            book=parts.book, once=once, look_up=look_up, stand=parts.stand, newest=newest, listings=parts.listings,
            refusals=refusals, contest=contest, templates=parts.templates, contacts=own.contacts,
            verification_valid=own.verification_valid, document_valid=own.document_valid, now=now,
            entropy=parts.entropy,
        ),
        record=RecordSigned(
            book=parts.book, once=once, look_up=look_up, stand=parts.stand, newest=newest,
            signing=Signing(parts.signatures), refusals=refusals, clock=parts.clock, now=now,
        ),
        withdraw=Withdraw(book=parts.book, once=once, look_up=look_up, refusals=refusals, now=now),
        decide=Decide(
            book=parts.book, once=once, look_up=look_up, newest=newest, requery=parts.requery, refusals=refusals,
            calendar=parts.calendar, now=now,
        ),
        contest=contest,
        sweep=Sweep(ledger=parts.ledger, once=once, stopping=parts.stopping, now=now),
        standing=_standing(settings, parts),
    )  # fmt: skip


def _standing(settings: Settings, parts: Parts) -> StandingQueries:
    own = settings.commitments.standing
    return StandingQueries(
        ledger=parts.ledger,
        book=parts.book,
        requery=parts.requery,
        news=SourceNews(parts.sources, now=parts.now),
        rhythm=Rhythm(intervals=own.intervals, pause=own.pause),
        most=own.most,
        parallel=own.parallel,
        patience=settings.server.deadline_cap.total_seconds(),
        stopping=parts.stopping,
        now=parts.now,
    )


def require_lists(settings: CommitmentSettings, catalogue: Catalogue, facts: Container[str]) -> None:
    """Require that each configured list can be asked, `facts` being what the sources have, and that its silence about
    a person proves something.

    Raises:
        ConfigurationError: names every mistake.
    """
    mistakes = []
    for key, fact in (
        ("commitments.credit_fact", settings.credit_fact),
        ("commitments.capacity_fact", settings.capacity_fact),
    ):
        if not fact:
            continue
        declared = catalogue.fact_types.get(fact)
        if declared is None:
            mistakes.append(f"{key}: the catalogue declares no fact type {fact!r}{meant(fact, catalogue.fact_types)}")
            continue
        if declared.absence is not Absence.CONCLUSIVE:
            mistakes.append(f"{key}: {fact!r} must be of absence conclusive, or nobody is ever eligible")
        if fact not in facts:
            mistakes.append(f"{key}: no source has the fact type {fact!r}")
    if mistakes:
        raise ConfigurationError("commitments", mistakes)


def commitment_chores(settings: CommitmentSettings, commitments: Commitments) -> list[Chore]:
    """List what is done by the clock: ending what ran out of time, and asking again."""

    async def sweep() -> None:
        await commitments.sweep()

    async def ask_again() -> None:
        await commitments.standing()

    swept, asked = settings.sweep_every, settings.standing.every
    return [
        Chore(name="sweep", act=sweep, every=swept, first=swept, retry=swept),
        Chore(name="standing-queries", act=ask_again, every=asked, first=asked, retry=asked),
    ]
