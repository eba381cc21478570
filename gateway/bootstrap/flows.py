"""The flows, put together: each is given its collaborators here."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from connectors.connector import Connector
from gateway.bootstrap.commitments import Parts, build_commitments
from gateway.bootstrap.ledger import key_history
from gateway.bootstrap.opening import now_utc, open_printer, open_templates, read_catalogue, work_calendar
from gateway.bootstrap.signatures import keep_timestamp_roots, open_signatures, status_sources, timestamp_roots
from gateway.catalogue.book import Book
from gateway.catalogue.model import Catalogue
from gateway.config import (
    Settings,
)
from gateway.evidence_pack.collecting import Circumstances
from gateway.flows.administration.reload import Reload
from gateway.flows.administration.staff_keys import StaffKeys
from gateway.flows.assistance.answer_again import AnswerAgain
from gateway.flows.assistance.assist import Assist
from gateway.flows.assistance.chase import Chase
from gateway.flows.assistance.list_requests import ReadAssistance
from gateway.flows.audit.expire import Expire
from gateway.flows.audit.find import Find
from gateway.flows.audit.report import Report
from gateway.flows.commitments.cleared import Cleared
from gateway.flows.commitments.decision_clock import DecisionClock
from gateway.flows.commitments.life import Commitments
from gateway.flows.commitments.listings import Listings
from gateway.flows.commitments.requery import Requery
from gateway.flows.commitments.stand import Stand
from gateway.flows.commitments.tell_standing import TellStanding
from gateway.flows.look_up import LookUp
from gateway.flows.once import Once
from gateway.flows.reading.export_commitments import ExportCommitments
from gateway.flows.reading.list_commitments import ListCommitments
from gateway.flows.reading.pack_evidence import PackEvidence
from gateway.flows.reading.write_letter import WriteLetter
from gateway.flows.record_look import RecordLook
from gateway.flows.selecting import Select
from gateway.flows.verification.ask import Ask
from gateway.flows.verification.batch import Batch
from gateway.flows.verification.guess import GuessBudget
from gateway.flows.verification.list_answers import ListAnswers
from gateway.flows.verification.patience import Patience
from gateway.flows.verification.people import People
from gateway.flows.verification.together import Together
from gateway.flows.verification.verify import Verify
from gateway.flows.verification.watch import Changes, Watch
from gateway.letters.plain import text_as_signed
from gateway.metrics import Metrics, uncounted
from gateway.rules.clocks import legal_day
from gateway.rules.roles import Role, unit_of
from gateway.signatures import Signatures
from ledger import (
    BlindIndex,
    Ledger,
)

_WATCH_SECONDS = 0.5
"""How often the ledger is looked at for changes while somebody watches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flows:
    """What the doors call."""

    verify: Verify
    assist: Assist
    read_assistance: ReadAssistance
    chase: Chase
    commitments: Commitments
    staff_keys: StaffKeys
    pack_evidence: PackEvidence
    signatures: Signatures
    """To be closed when the flows are done."""
    find: Find
    report: Report
    expire: Expire
    requery: Requery
    stand: Stand
    tell_standing: TellStanding
    look_up: LookUp
    ask: Ask
    book: Book
    batch: Batch
    list_answers: ListAnswers
    list_commitments: ListCommitments
    export_commitments: ExportCommitments
    watch: Watch
    stopping: asyncio.Event
    """Set when the gateway is about to stop: long streams end by themselves."""
    reload: Reload
    write_letter: WriteLetter


def build_flows(
    settings: Settings,
    *,
    ledger: Ledger,
    index: BlindIndex,
    catalogue: Catalogue,
    sources: Mapping[str, Connector],
    now: Callable[[], datetime] = now_utc,
    entropy: Callable[[int], bytes] = os.urandom,
    reloaded: Callable[[], None] = lambda: None,
    metrics: Metrics | None = None,
) -> Flows:
    """Put the flows together; `reloaded` is called when an operator's call has put a catalogue in force here."""
    book, once, look_up = Book(catalogue), Once(ledger, index), LookUp(ledger)
    templates = open_templates(settings)
    ask = Ask(sources, now=now, digest=index.digest)
    calendar = work_calendar(settings.calendar, today=legal_day(now()))
    stand = Stand(ledger=ledger, book=book, look_up=look_up, index=index, now=now)
    stopping = asyncio.Event()
    guesses = GuessBudget(
        ledger=ledger, index=index, budget=settings.verification.guess_budget,
        window=settings.verification.guess_window, now=now,
    )  # fmt: skip

    patience = Patience(ledger=ledger, look_up=look_up)
    people = People(ledger=ledger, book=book, look_up=look_up, index=index, now=now)

    def verifier(asking: Ask) -> Verify:
        return Verify(
            book=book, ask=asking, once=once, look_up=look_up, guesses=guesses, patience=patience, people=people,
            index=index,
            reserve=settings.server.ledger_reserve.total_seconds(), now=now, entropy=entropy,
            count=metrics.verified if metrics else uncounted,
        )  # fmt: skip

    verify = verifier(ask)
    joined = {
        name: Together(source, lanes=settings.limits.batch_source_calls, now=now) for name, source in sources.items()
    }
    batch = Batch(
        verify=verifier(Ask(joined, now=now, digest=index.digest)), in_flight=settings.limits.batch_in_flight,
        most_items=settings.limits.batch_items, longest=settings.server.deadline_cap.total_seconds(),
        stopping=stopping,
    )  # fmt: skip
    report = Report(
        ledger=ledger, book=book, once=once, look_up=look_up, division=settings.credit.division,
        authority_name=settings.credit.authority_name, authority_code=settings.credit.authority_code,
        shortest_effects=settings.findings.shortest_effects, now=now, entropy=entropy,
    )  # fmt: skip
    clock = DecisionClock(book=book, calendar=calendar, within=settings.commitments.decision_within)
    listings = Listings(
        book=book, ask=ask, credit_fact=settings.commitments.credit_fact,
        capacity_fact=settings.commitments.capacity_fact, reserve=settings.server.ledger_reserve.total_seconds(),
        now=now,
    )  # fmt: skip
    find = Find(
        book=book, once=once, look_up=look_up, report=report, listings=listings, clock=clock, calendar=calendar,
        defence_working_days=settings.findings.defence_working_days,
        remedy_days=settings.findings.remedy_days, now=now,
    )  # fmt: skip
    requery = Requery(
        ledger=ledger, book=book, verify=verify, once=once, look_up=look_up, people=people,
        cleared=Cleared(ledger=ledger, look_up=look_up, verify=verify),
        patience=settings.server.deadline_cap.total_seconds(), now=now, entropy=entropy,
    )  # fmt: skip
    staff_keys = StaffKeys(ledger=ledger, once=once, look_up=look_up, now=now, entropy=entropy)
    keep_timestamp_roots(settings.signatures)
    signatures = open_signatures(settings.signatures, staff_keys.find, metrics.unusable_list if metrics else uncounted)
    commitments = build_commitments(
        settings,
        Parts(
            ledger=ledger, book=book, once=once, look_up=look_up, listings=listings, stand=stand, people=people,
            requery=requery, clock=clock, calendar=calendar, templates=templates, sources=sources,
            signatures=signatures, stopping=stopping, now=now,
            entropy=entropy,
        ),
    )  # fmt: skip
    reload = Reload(
        book=book, once=once, look_up=look_up, read=lambda: read_catalogue(settings, templates, sources),
        reloaded=reloaded, now=now, entropy=entropy,
    )  # fmt: skip
    select = Select(ledger=ledger, once=once, index=index, now=now, entropy=entropy)
    write_letter = WriteLetter(
        ledger=ledger,
        look_up=look_up,
        printer=open_printer(settings.commitments),
        origin=settings.ledger.origin,
        where=settings.commitments.letter_where,
    )
    pack_evidence = PackEvidence(
        ledger=ledger, look_up=look_up, write_letter=write_letter, circumstances=pack_circumstances(settings),
        once=once, now=now, entropy=entropy,
    )  # fmt: skip
    assist = Assist(
        ledger=ledger, people=people, once=once, look_up=look_up, stand=stand, calendar=calendar, book=book,
        again=AnswerAgain(
            book=book, verify=verify, guesses=guesses, people=people, once=once, now=now,
            count=metrics.verified if metrics else uncounted,
        ),
        answering=_answering(settings), now=now, entropy=entropy,
    )  # fmt: skip
    return Flows(
        assist=assist,
        read_assistance=ReadAssistance(ledger=ledger, look_up=look_up, select=select),
        chase=Chase(
            ledger=ledger, assist=assist, stopping=stopping, patience=settings.server.deadline_cap.total_seconds()
        ),
        verify=verify, commitments=commitments, pack_evidence=pack_evidence, signatures=signatures, find=find,
        report=report, expire=Expire(ledger=ledger, once=once, report=report, stopping=stopping, now=now),
        requery=requery, stand=stand,
        tell_standing=TellStanding(
            book=book, stand=stand, record_look=RecordLook(once=once, index=index, now=now, entropy=entropy)
        ), look_up=look_up,
        ask=ask, book=book, reload=reload, batch=batch, stopping=stopping,
        list_answers=ListAnswers(ledger=ledger, select=select),
        list_commitments=ListCommitments(ledger=ledger, select=select),
        export_commitments=ExportCommitments(
            ledger=ledger, select=select, once=once, book=book, masking=settings.exports.masking, stopping=stopping,
            now=now, entropy=entropy,
        ),
        write_letter=write_letter,
        staff_keys=staff_keys,
        watch=Watch(
            ledger=ledger, look_up=look_up, changes=Changes(ledger, interval=_WATCH_SECONDS), stopping=stopping
        ),
    )  # fmt: skip


def _answering(settings: Settings) -> frozenset[str]:
    """Name the units that have a system whose people answer for them."""
    units = (
        unit_of(uri, settings.server.trust_domain)
        for uri, roles in settings.callers.items()
        if Role.SOURCE_OFFICER in roles
    )
    return frozenset(unit for unit in units if unit is not None)


def pack_circumstances(settings: Settings) -> Circumstances:
    """Say what evidence packs hold beside the commitment: the log's keys, the text, revocation lists, roots."""
    return Circumstances(
        keys=lambda: key_history(settings.ledger),
        text=text_as_signed,
        kept_list=status_sources(settings.signatures).kept_list,
        timestamp_roots=lambda: timestamp_roots(settings.signatures),
    )
