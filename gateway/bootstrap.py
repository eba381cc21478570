"""Where the house is put together: constructors take their collaborators, and this calls them."""

from __future__ import annotations

import asyncio
import enum
import gc
import os
import signal
import sys
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import structlog

from connectors.catalog import SourcesMisconfigured, connect_all
from connectors.connector import Connector
from connectors.telemetry import SILENCE
from gateway.bootstrap_commitments import Parts, build_commitments, commitment_chores
from gateway.catalogue.book import Book
from gateway.catalogue.fitting import misfits, shortages
from gateway.catalogue.loader import load_catalogue, shipped_catalogue_files
from gateway.catalogue.mistakes import CatalogueError, Mistake
from gateway.catalogue.model import Catalogue
from gateway.chores import Chore, Chores
from gateway.config import (
    AnchorSettings,
    CalendarSettings,
    CallerLimitSettings,
    CommitmentSettings,
    LedgerSettings,
    LimitSettings,
    Settings,
)
from gateway.errors import CatalogueRefused, ConfigurationError, GatewayError
from gateway.evidence_pack.collecting import Circumstances
from gateway.flows.ask import Ask
from gateway.flows.batch import Batch
from gateway.flows.commitments.decision_clock import DecisionClock
from gateway.flows.commitments.life import Commitments
from gateway.flows.export_commitments import ExportCommitments
from gateway.flows.find import Find
from gateway.flows.guess import GuessBudget
from gateway.flows.list_answers import ListAnswers
from gateway.flows.list_commitments import ListCommitments
from gateway.flows.look_up import LookUp
from gateway.flows.once import Once
from gateway.flows.pack_evidence import PackEvidence
from gateway.flows.patience import Patience
from gateway.flows.reload import Reload, enactment
from gateway.flows.report import Report
from gateway.flows.requery import Requery
from gateway.flows.selecting import Select
from gateway.flows.staff_keys import StaffKeys
from gateway.flows.stand import Stand
from gateway.flows.together import Together
from gateway.flows.verify import Verify
from gateway.flows.watch import Changes, Watch
from gateway.flows.write_letter import WriteLetter
from gateway.letters.pdf import Printer
from gateway.letters.plain import text_to_sign
from gateway.letters.template_file import TemplatesRefused
from gateway.letters.templates import Templates, load_templates
from gateway.metrics import Metrics, uncounted
from gateway.rpc.audit import AuditServicer
from gateway.rpc.caller import Callers
from gateway.rpc.catalogue import CatalogueServicer
from gateway.rpc.commitment import CommitmentServicer, handwriting_bytes
from gateway.rpc.commitment_lists import CommitmentLists
from gateway.rpc.credit import CreditServicer
from gateway.rpc.door import Door
from gateway.rpc.gathering import Gathering
from gateway.rpc.limits import CallerLimits, Limits
from gateway.rpc.log import LedgerServicer
from gateway.rpc.paging import page_bytes
from gateway.rpc.server import GrpcServer, Service, Tls
from gateway.rpc.sizes import Sizes
from gateway.rpc.staff import StaffKeyServicer
from gateway.rpc.verification import VerificationFlows, VerificationServicer
from gateway.rules.clocks import WorkCalendar, legal_day, provisional_table, year_table
from gateway.signature_settings import open_signatures, status_sources
from gateway.signatures import Signatures
from gateway.v1 import (
    assistance_pb2,
    assistance_pb2_grpc,
    audit_pb2,
    audit_pb2_grpc,
    catalogue_pb2,
    catalogue_pb2_grpc,
    commitment_pb2,
    commitment_pb2_grpc,
    correction_pb2,
    correction_pb2_grpc,
    credit_pb2,
    credit_pb2_grpc,
    staff_pb2,
    staff_pb2_grpc,
    subject_pb2,
    subject_pb2_grpc,
    supervision_pb2,
    supervision_pb2_grpc,
    verification_pb2,
    verification_pb2_grpc,
)
from gateway.witnesses import ask_witnesses, open_witnesses
from ledger import (
    BlindIndex,
    FileMasterKeys,
    KeyHistory,
    Ledger,
    Submission,
    load_further_signer,
)
from ledger.anchors.authority import TimestampAuthority
from ledger.anchors.register import AnchorRegister
from ledger.anchors.token import Roots, load_roots
from ledger.appends.identity import Identity
from ledger.appends.publishing import Cosigners, NoCosigners, Publishing
from ledger.errors import LedgerError
from ledger.keyring.files import KeyFiles, open_keyring, require_same_log
from ledger.keyring.published import format_key_history
from ledger.log.elsewhere import ask_elsewhere
from ledger.log.remembered import Remembered
from ledger.sharing.owner import Owner, open_owner
from ledger.v1 import ledger_pb2, ledger_pb2_grpc
from ledger.vault.master_keys import Plain, Wrapping
from ledger.vault.pkcs11 import Pkcs11Wrapping
from ledger.witness.client import WitnessCosigners

_log = structlog.get_logger()
_INDEX_KEY_VERSION = 1
_YEARS_AHEAD = 5
_ANCHOR_RETRY = timedelta(minutes=1)
_INDEX_RETRY = timedelta(minutes=1)
_WATCH_SECONDS = 0.5
"""How often the ledger is looked at for changes while somebody watches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flows:
    """What the doors call."""

    verify: Verify
    commitments: Commitments
    staff_keys: StaffKeys
    pack_evidence: PackEvidence
    signatures: Signatures
    """To be closed when the flows are done."""
    find: Find
    report: Report
    requery: Requery
    stand: Stand
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


def now_utc() -> datetime:
    """Read the clock."""
    return datetime.now(UTC)


def open_catalogue(settings: Settings) -> Catalogue:
    """Load the configured catalogue files, or the shipped ones.

    Raises:
        ConfigurationError: names every mistake with file and line.
    """
    try:
        return read_catalogue(settings, open_templates(settings))
    except CatalogueError as error:
        raise ConfigurationError("catalogue", [str(mistake) for mistake in error.mistakes]) from error


def read_catalogue(
    settings: Settings, templates: Templates, sources: Mapping[str, Connector] | None = None
) -> Catalogue:
    """Read the configured catalogue files, or the shipped ones, for which there must be templates; with sources that
    are connected already, they must fit too.

    Raises:
        CatalogueError: names every mistake.
    """
    catalogue = load_catalogue(list(settings.catalogue_files) or shipped_catalogue_files())
    manifests = [source.manifest for source in (sources or {}).values()]
    unfit = [f"{one.source}: {mistake}" for one in manifests for mistake in misfits(catalogue, one)]
    unfit += shortages(catalogue, Counter(fact for one in manifests for fact in one.fact_types))
    mistakes = [*templates.check_against(catalogue), *(Mistake(file="(sources)", line=0, text=one) for one in unfit)]
    if mistakes:
        raise CatalogueError(mistakes)
    return catalogue


def open_templates(settings: Settings) -> Templates:
    """Load the shipped templates of commitments and the configured ones.

    Raises:
        ConfigurationError: names every mistake with file and line.
    """
    try:
        return load_templates(settings.commitments.template_files)
    except TemplatesRefused as error:
        raise ConfigurationError("templates", [str(mistake) for mistake in error.mistakes]) from error


def open_printer(settings: CommitmentSettings) -> Printer:
    """Make the printer of letters.

    Raises:
        ConfigurationError: the folder of fonts is not there.
    """
    fonts = settings.letter_fonts
    if fonts is not None and not fonts.is_dir():
        raise ConfigurationError("commitments.letter_fonts", [f"{fonts} is no folder"])
    return Printer(fonts=fonts)


def open_ledger(settings: LedgerSettings, *, now: Callable[[], datetime] = now_utc) -> Ledger:
    """Open the configured ledger as its writer, with every key of it that is here and in force.

    Raises:
        ledger.LedgerError: it is not the ledger of these keys, or not all of it is there any more.
    """
    identity = open_identity(settings, now=now)
    signer, *others = identity.signers
    with ExitStack() as opened:
        witnesses = open_witnesses(settings, key_history(settings))
        if witnesses is not None:
            opened.enter_context(witnesses)
        ledger = Ledger.open(
            settings.url,
            origin=settings.origin,
            signer=signer,
            verifiers=identity.verifiers,
            cosigners=others,
            master_keys=open_master_keys(settings),
            publishing=_publishing(settings, witnesses),
            now=now,
            capacity=settings.queue,
            seen=_remembered(settings, witnesses),
        )
        opened.pop_all()  # the ledger closes them
    return ledger


def join_ledger(settings: LedgerSettings) -> Ledger:
    """Share the configured SQLite ledger with the process that owns it, which alone signs.

    Raises:
        ledger.LedgerError: as `open_ledger`.
    """
    return Ledger.join(
        settings.url,
        settings.owner_socket,
        origin=settings.origin,
        verifiers=key_history(settings).verifiers,
        master_keys=open_master_keys(settings),
        publishing=_publishing(settings, None if settings.witness_policy_file is None else NoCosigners()),
        capacity=settings.queue,
        seen=_remembered(settings),
    )


@contextmanager
def owning_ledger(settings: LedgerSettings, *, now: Callable[[], datetime] = now_utc) -> Iterator[Owner]:
    """Become the process that owns the configured SQLite ledger, until the block ends.

    Raises:
        ledger.LedgerError: as `open_ledger`.
    """
    identity = open_identity(settings, now=now)
    with ExitStack() as opened:
        witnesses = open_witnesses(settings, key_history(settings))
        if witnesses is not None:
            opened.enter_context(witnesses)
        yield opened.enter_context(
            open_owner(
                settings.url,
                settings.owner_socket,
                identity=identity,
                publishing=_publishing(settings, witnesses),
                now=now,
                capacity=settings.queue,
                seen=_remembered(settings, witnesses),
            )
        )


def open_identity(settings: LedgerSettings, *, now: Callable[[], datetime] = now_utc) -> Identity:
    """Read the keys of the log, further lines included, and require that they are those of the database."""
    keyring = open_keyring(key_files(settings))
    require_same_log(settings.url, keyring.history)
    further = [load_further_signer(path, settings.origin, now=now) for path in settings.cosigner_key_files]
    return Identity(
        origin=settings.origin, signers=(*keyring.signers, *further), verifiers=tuple(keyring.history.verifiers)
    )


def _publishing(settings: LedgerSettings, cosigners: Cosigners | None) -> Publishing:
    return Publishing(
        signing=settings.signing,
        sign_after=settings.sign_after,
        interval=settings.publish_every.total_seconds(),
        cosigners=cosigners,
    )


def open_master_keys(settings: LedgerSettings) -> FileMasterKeys:
    """Read the master keys of the vault, through the HSM where one is configured.

    Raises:
        ledger.KeyFileError: the file cannot be used; every mistake is named.
        ledger.HsmUnavailable, ledger.ExtraMissing: the HSM cannot be used.
    """
    return FileMasterKeys(settings.master_keys_file, master_key_wrapping(settings))


def master_key_wrapping(settings: LedgerSettings, *, entropy: Callable[[int], bytes] = os.urandom) -> Wrapping:
    """Make what protects the master keys in their file: nothing, or an HSM."""
    hsm = settings.pkcs11
    if hsm is None:
        return Plain()
    return Pkcs11Wrapping(
        module=hsm.module, token=hsm.token, key_label=hsm.key_label, pin_file=hsm.pin_file, entropy=entropy
    )


def key_files(settings: LedgerSettings) -> KeyFiles:
    """Name the files of the log's keys."""
    return KeyFiles(
        origin=settings.origin,
        signing=settings.signing_key_file,
        next=settings.next_signing_key_file,
        history=settings.key_history_file,
    )


def key_history(settings: LedgerSettings) -> KeyHistory:
    """Read the history of the log's keys; raises as `open_keyring` does."""
    return open_keyring(key_files(settings)).history


def _remembered(settings: LedgerSettings, witnesses: WitnessCosigners | None = None) -> Remembered:
    """Say what is known of the log outside its database; `witnesses` are asked what they hold."""
    elsewhere = ask_elsewhere(settings.ask_published)
    for address in elsewhere.unreachable:
        _log.warning("no checkpoint to compare with", address=address)
    shown = {} if witnesses is None else ask_witnesses(witnesses, settings.origin)
    seen = Remembered(settings.seen_checkpoint_file, {**elsewhere.notes, **shown})
    if seen.recall() is None:
        _log.warning("no checkpoint is remembered: a restored database would go unnoticed", file=seen.path.name)
    return seen


def open_roots(settings: AnchorSettings) -> Roots:
    """Read whose time stamps are believed; raises `KeyFileError`."""
    return load_roots(settings.tsa_root_file, settings.tsa_policy)


def open_authority(settings: AnchorSettings) -> TimestampAuthority:
    """Make the client of the configured time-stamping authority; raises `KeyFileError` or `AnchorError`."""
    return TimestampAuthority(settings.tsa_url, open_roots(settings), timeout=settings.timeout.total_seconds())


def open_chores(settings: LedgerSettings, ledger: Ledger, *, now: Callable[[], datetime]) -> list[Chore]:
    """List what is done by the clock: remembering the newest checkpoint, committing to the index, anchoring."""
    every = settings.seen_every
    chores = [Chore(name="remember", act=ledger.remember, every=every, first=every, retry=every, at_close=True)]
    period = settings.index_every
    if period is not None:

        def index() -> None:
            # Several processes share a ledger and each has this chore: one commitment a period is enough.
            ledger.commit_index(now(), not_within=period)

        retry = min(period, _INDEX_RETRY)
        chores.append(Chore(name="index", act=index, every=period, first=retry, retry=retry))
    anchors = settings.anchors
    if anchors is not None:
        authority = open_authority(anchors)

        def anchor() -> None:
            with AnchorRegister.open(settings.url) as register:
                register.anchor(authority)

        retry = min(anchors.every, _ANCHOR_RETRY)
        chores.append(Chore(name="anchor", act=anchor, every=anchors.every, first=timedelta(0), retry=retry))
    return chores


def open_index(settings: LedgerSettings) -> BlindIndex:
    """Read the key of the blind index.

    Raises:
        ConfigurationError: the file cannot be read or does not hold 32 bytes in hexadecimal.
    """
    path = settings.index_key_file
    try:
        return BlindIndex(key=bytes.fromhex(path.read_text("ascii").strip()), version=_INDEX_KEY_VERSION)
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            str(path), [f"is not a key of 32 bytes in hexadecimal ({type(error).__name__})"]
        ) from error


def open_sources(
    settings: Settings,
    catalogue: Catalogue,
    *,
    now: Callable[[], datetime] = now_utc,
    metrics: Metrics | None = None,
) -> Mapping[str, Connector]:
    """Connect every configured source, which must fit the catalogue; `metrics` counts what they are asked and answer.

    Raises:
        ConfigurationError: names every mistake of every stanza.
    """
    facts = [stanza.get("facts") for stanza in settings.sources.values()]
    mistakes = shortages(catalogue, Counter(fact for table in facts if isinstance(table, Mapping) for fact in table))
    try:
        sources = connect_all(
            settings.sources,
            now=now,
            telemetry=metrics or SILENCE,
            misfits=lambda manifest: misfits(catalogue, manifest),
        )
    except SourcesMisconfigured as error:
        raise ConfigurationError("sources", [*error.mistakes, *mistakes]) from error
    if mistakes:
        raise ConfigurationError("sources", mistakes)
    return sources


def work_calendar(settings: CalendarSettings, *, today: date) -> WorkCalendar:
    """Build the calendar: configured years as configured, years not announced yet provisionally."""
    years = range(today.year, today.year + _YEARS_AHEAD)
    tables = {year: table for year in years if (table := provisional_table(year))}
    off: defaultdict[int, list[date]] = defaultdict(list)
    worked: defaultdict[int, list[date]] = defaultdict(list)
    for day in settings.holidays:
        off[day.year].append(day)
    for day in settings.working_days:
        worked[day.year].append(day)
    for year in off.keys() | worked.keys():
        tables[year] = year_table(off[year], worked[year])
    return WorkCalendar(overrides=tables)


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
    ask = Ask(sources, now=now)
    calendar = work_calendar(settings.calendar, today=legal_day(now()))
    stand = Stand(ledger=ledger, book=book, index=index, now=now)
    stopping = asyncio.Event()
    guesses = GuessBudget(
        ledger=ledger, index=index, budget=settings.verification.guess_budget,
        window=settings.verification.guess_window, now=now,
    )  # fmt: skip

    patience = Patience(ledger=ledger, look_up=look_up)

    def verifier(asking: Ask) -> Verify:
        return Verify(
            book=book, ask=asking, once=once, look_up=look_up, guesses=guesses, patience=patience, index=index,
            reserve=settings.server.ledger_reserve.total_seconds(), now=now, entropy=entropy,
            count=metrics.verified if metrics else uncounted,
        )  # fmt: skip

    verify = verifier(ask)
    joined = {
        name: Together(source, lanes=settings.limits.batch_source_calls, now=now) for name, source in sources.items()
    }
    batch = Batch(
        verify=verifier(Ask(joined, now=now)), in_flight=settings.limits.batch_in_flight,
        most_items=settings.limits.batch_items, longest=settings.server.deadline_cap.total_seconds(),
        stopping=stopping,
    )  # fmt: skip
    report = Report(
        ledger=ledger, book=book, once=once, look_up=look_up, division=settings.credit.division,
        authority_name=settings.credit.authority_name, authority_code=settings.credit.authority_code,
        now=now, entropy=entropy,
    )  # fmt: skip
    clock = DecisionClock(book=book, calendar=calendar, within=settings.commitments.decision_within)
    find = Find(
        once=once, look_up=look_up, report=report, clock=clock, calendar=calendar,
        defence_working_days=settings.findings.defence_working_days,
        remedy_days=settings.findings.remedy_days, now=now,
    )  # fmt: skip
    requery = Requery(
        ledger=ledger, book=book, verify=verify, once=once, look_up=look_up,
        patience=settings.server.deadline_cap.total_seconds(), now=now, entropy=entropy,
    )  # fmt: skip
    staff_keys = StaffKeys(ledger=ledger, once=once, look_up=look_up, now=now, entropy=entropy)
    signatures = open_signatures(settings.signatures, staff_keys.find)
    commitments = build_commitments(
        settings,
        Parts(
            ledger=ledger, book=book, once=once, look_up=look_up, ask=ask, stand=stand, requery=requery, clock=clock,
            calendar=calendar, templates=templates, sources=sources, signatures=signatures, stopping=stopping, now=now,
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
        ledger=ledger, look_up=look_up, write_letter=write_letter, circumstances=pack_circumstances(settings)
    )
    return Flows(
        verify=verify, commitments=commitments, pack_evidence=pack_evidence, signatures=signatures, find=find,
        report=report, requery=requery, stand=stand, look_up=look_up,
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


def pack_circumstances(settings: Settings) -> Circumstances:
    """Say what evidence packs hold beside the commitment: the log's keys, the text, revocation lists, roots."""
    stamps = settings.signatures.timestamps
    return Circumstances(
        keys=lambda: key_history(settings.ledger),
        text=text_to_sign,
        kept_list=status_sources(settings.signatures).kept_list,
        timestamp_roots=None if stamps is None else stamps.tsa_root_file,
    )


def _limits(settings: LimitSettings) -> Limits:
    def of(one: CallerLimitSettings) -> CallerLimits:
        return CallerLimits(calls=one.calls, rate=one.rate)

    by_caller = {caller: of(one) for caller, one in settings.by_caller.items()}
    return Limits(of(settings.default), by_caller, clock=time.monotonic)


def services(
    settings: Settings,
    flows: Flows,
    ledger: Ledger,
    *,
    now: Callable[[], datetime],
    metrics: Metrics | None = None,
) -> list[Service]:
    """List every service of the contract; what is not served yet answers UNIMPLEMENTED."""
    server = settings.server
    door = Door(
        Callers(settings.callers, trust_domain=server.trust_domain, plaintext=server.plaintext),
        _limits(settings.limits),
        Gathering(longest=server.gather.total_seconds()),
        cap=server.deadline_cap.total_seconds(),
        cap_missing=server.cap_missing_deadline,
        page_bytes=page_bytes(server.max_message_bytes),
        begin=flows.book.begin,
        count=metrics.called if metrics else uncounted,
    )
    look_up, book = flows.look_up, flows.book
    catalogue = CatalogueServicer(door=door, book=book, reload=flows.reload, sources_for=flows.ask.sources_for)
    verification = VerificationServicer(
        door=door, book=book, now=now, count_refusal=metrics.refused_in_batch if metrics else uncounted,
        flows=VerificationFlows(
            verify=flows.verify, batch=flows.batch, list_answers=flows.list_answers, watch=flows.watch,
            look_up=look_up, ask=flows.ask,
        ),
    )  # fmt: skip
    lists = CommitmentLists(
        door=door, list_commitments=flows.list_commitments, export=flows.export_commitments, now=now
    )
    commitment = CommitmentServicer(
        door=door,
        commitments=flows.commitments,
        look_up=look_up,
        pack_evidence=flows.pack_evidence,
        write_letter=flows.write_letter,
        lists=lists,
        now=now,
    )
    staff = StaffKeyServicer(
        door=door, staff_keys=flows.staff_keys, look_up=look_up, proposers=settings.staff_keys.proposers,
        deciders=settings.staff_keys.deciders,
    )  # fmt: skip
    audit = AuditServicer(door=door, requery=flows.requery, find=flows.find, look_up=look_up, ledger=ledger)
    credit = CreditServicer(door=door, report=flows.report, stand=flows.stand, book=book, now=now)
    served = (
        (verification_pb2, "VerificationService", verification, verification_pb2_grpc),
        (commitment_pb2, "CommitmentService", commitment, commitment_pb2_grpc),
        (staff_pb2, "StaffKeyService", staff, staff_pb2_grpc),
        (audit_pb2, "AuditService", audit, audit_pb2_grpc),
        (credit_pb2, "CreditService", credit, credit_pb2_grpc),
        (catalogue_pb2, "CatalogueService", catalogue, catalogue_pb2_grpc),
        (ledger_pb2, "LedgerService", LedgerServicer(door=door, ledger=ledger), ledger_pb2_grpc),
        (assistance_pb2, "AssistanceService", Unserved(), assistance_pb2_grpc),
        (supervision_pb2, "SupervisionService", Unserved(), supervision_pb2_grpc),
        (subject_pb2, "SubjectService", Unserved(), subject_pb2_grpc),
        (correction_pb2, "CorrectionService", Unserved(), correction_pb2_grpc),
    )
    beside = {"CommitmentService/RecordCommitment": handwriting_bytes}
    sizes = Sizes(most=server.max_message_bytes, beside=beside, refuse=door.refuse)
    return [
        Service(
            descriptor=messages.DESCRIPTOR.services_by_name[name],
            servicer=servicer,
            add=sizes.bound(getattr(stubs, f"add_{name}Servicer_to_server")),
        )
        for messages, name, servicer, stubs in served
    ]


class Unserved:
    """A servicer without a method: every RPC of its service answers UNIMPLEMENTED."""


class Part(enum.Enum):
    """What one process of a gateway does."""

    ALONE = "alone"
    """Everything."""
    OWNER = "owner"
    """Writes the SQLite ledger for the others; answers no calls."""
    FIRST = "first"
    """Answers calls, and does what is done once: publishing over HTTP, and what is done by the clock."""
    FURTHER = "further"
    """Answers calls."""


class Gateway:
    """A running gateway: opens everything, serves, and closes everything in order."""

    def __init__(
        self, settings: Settings, *, part: Part = Part.ALONE, now: Callable[[], datetime] = now_utc
    ) -> None:  # fmt: skip
        self._settings = settings
        self._part = part
        self._now = now
        self._parent = os.getppid()
        self._reload: Reload | None = None
        self._reloading: set[asyncio.Task[None]] = set()

    def reload(self) -> None:
        """Reload the catalogue in the background (the answer to SIGHUP); what comes of it is logged."""
        if self._reload is None:
            _log.error("catalogue not reloaded", reason="NOT_SERVING")
            return
        task = asyncio.get_running_loop().create_task(_reload_and_log(self._reload))
        self._reloading.add(task)
        task.add_done_callback(self._reloading.discard)

    async def serve(self, ready: Callable[[int], None], stop: asyncio.Event) -> None:
        """Serve until `stop` is set; `ready` is told the port.

        Raises:
            ConfigurationError: settings, catalogue or sources are wrong; every mistake is named.
            ledger.LedgerError: the ledger is not as it must be; nothing is served.
        """
        settings = self._settings
        catalogue = open_catalogue(settings)
        index = open_index(settings.ledger)
        tls = _tls(settings)
        metrics = None if settings.metrics is None else Metrics()
        sources = open_sources(settings, catalogue, now=self._now, metrics=metrics)
        try:
            with self._open_ledger() as ledger:
                # Whatever a process puts in force is recorded first, by each process for itself: a part that is started
                # again may find other files than the parts that went on.
                at = self._now()
                await ledger.append(Submission(drafts=(enactment(catalogue, None, at=at, entropy=os.urandom),), at=at))
                flows = build_flows(
                    settings, ledger=ledger, index=index, catalogue=catalogue, sources=sources, now=self._now,
                    reloaded=self._tell_the_other_parts, metrics=metrics,
                )  # fmt: skip
                self._reload = flows.reload
                served = services(settings, flows, ledger, now=self._now, metrics=metrics)
                with closing(flows.signatures):
                    async with self._done_once(ledger, flows, stop, metrics):
                        await self._serve(served, tls, ready, stop, flows.stopping)
                self._reload = None
                await asyncio.gather(*self._reloading)
        finally:
            self._reload = None
            for connector in sources.values():
                await connector.aclose()

    @asynccontextmanager
    async def _done_once(
        self, ledger: Ledger, flows: Flows, stop: asyncio.Event, metrics: Metrics | None
    ) -> AsyncIterator[None]:  # fmt: skip
        """Beside serving, do what one process of a gateway does for all."""
        if self._part is Part.FURTHER:
            yield
            return
        chores = open_chores(self._settings.ledger, ledger, now=self._now)
        chores += commitment_chores(self._settings.commitments, flows.commitments)
        async with publishing(self._settings, ledger), metering(self._settings, metrics), Chores(chores, stop):
            yield

    def _tell_the_other_parts(self) -> None:
        """A call reaches one part; the parent passes SIGHUP on to all, and who has the version already keeps it."""
        if self._part is not Part.ALONE and os.getppid() == self._parent:  # not the one that adopts orphans
            os.kill(self._parent, signal.SIGHUP)

    def _open_ledger(self) -> Ledger:
        settings = self._settings.ledger
        if self._part is not Part.ALONE and settings.url.startswith("sqlite"):
            return join_ledger(settings)
        return open_ledger(settings, now=self._now)

    async def _serve(
        self,
        served: list[Service],
        tls: Tls | None,
        ready: Callable[[int], None],
        stop: asyncio.Event,
        stopping: asyncio.Event,
    ) -> None:
        server = GrpcServer(
            served,
            address=self._settings.server.listen,
            tls=tls,
            max_message_bytes=self._settings.server.max_message_bytes,
            max_beside_bytes=self._settings.server.max_image_bytes,
            reflect=self._settings.server.reflection,
            shared=self._part is not Part.ALONE,
        )
        await server.start()
        _log.info("serving", address=self._settings.server.listen, pid=os.getpid())
        ready(server.port)
        await stop.wait()
        _log.info("draining")
        stopping.set()
        await server.stop(self._settings.server.drain.total_seconds())
        _log.info("stopped")


def run(settings: Settings, ready: Callable[[int], None], part: Part = Part.ALONE) -> None:
    """Serve until SIGTERM or SIGINT, on uvloop where there is one; SIGHUP reloads the catalogue."""
    prepare_interpreter()
    if part is Part.OWNER:
        _own(settings.ledger, ready)
        return

    async def main() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for sign in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(sign, stop.set)
        gateway = Gateway(settings, part=part)
        loop.add_signal_handler(signal.SIGHUP, gateway.reload)
        await gateway.serve(ready, stop)

    factory = None
    with suppress(ImportError):
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main())


def _own(settings: LedgerSettings, ready: Callable[[int], None]) -> None:
    with owning_ledger(settings) as owner:
        for sign in (signal.SIGTERM, signal.SIGINT):
            signal.signal(sign, lambda *_: owner.stop())
        _log.info("owning", pid=os.getpid())
        ready(0)
        owner.serve()


def prepare_interpreter() -> None:
    """Set the interpreter for serving: what lives for the life of the process is not searched for garbage again and
    again, no search stops the callers for long, and threads that wait for the interpreter are let in soon.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(2_000, 20, 50)
    sys.setswitchinterval(0.0005)


@asynccontextmanager
async def publishing(settings: Settings, ledger: Ledger) -> AsyncIterator[int | None]:
    """Publish the log over HTTP where the settings say so, until the block ends; give the port.

    Raises:
        ConfigurationError: the address cannot be bound.
    """
    where = settings.publication
    if where is None:
        yield None
        return
    from gateway.console.log import log_application
    from gateway.console.server import http_server

    # Read once: while a gateway runs, its keys are what they were when it was started.
    history = format_key_history(key_history(settings.ledger))
    application = log_application(ledger.publication(), ledger.read, key_history=history)
    drain = settings.server.drain.total_seconds()
    async with http_server(application, host=where.host, port=where.port, drain=drain) as port:
        _log.info("publishing", address=f"{where.host}:{port}")
        yield port


@asynccontextmanager
async def metering(settings: Settings, metrics: Metrics | None) -> AsyncIterator[int | None]:
    """Serve what is counted over HTTP where the settings say so, until the block ends; give the port.

    Raises:
        ConfigurationError: the address cannot be bound.
    """
    where = settings.metrics
    if where is None or metrics is None:
        yield None
        return
    from gateway.console.metrics import metrics_application
    from gateway.console.server import http_server

    drain = settings.server.drain.total_seconds()
    async with http_server(metrics_application(metrics.render), host=where.host, port=where.port, drain=drain) as port:
        _log.info("metering", address=f"{where.host}:{port}")
        yield port


def _tls(settings: Settings) -> Tls | None:
    server = settings.server
    if server.plaintext:
        return None
    files = (server.certificate_file, server.key_file, server.client_authority_file)
    mistakes = [f"{path} cannot be read" for path in files if not os.access(path, os.R_OK)]
    if mistakes:
        raise ConfigurationError("server", mistakes)
    certificate, key, authority = (path.read_bytes() for path in files)
    return Tls(certificate=certificate, key=key, client_authority=authority)


async def _reload_and_log(reload: Reload) -> None:
    try:
        reloaded = await reload(None)
    except CatalogueRefused as refused:
        for mistake in refused.mistakes:
            _log.error("catalogue mistake", error=mistake)
        _log.error("catalogue not reloaded", reason=refused.reason, count=len(refused.mistakes))
    except (GatewayError, LedgerError) as error:
        _log.error("catalogue not reloaded", reason=type(error).__name__)
    else:
        changed = reloaded.recorded is not None
        _log.info(
            "catalogue reloaded" if changed else "catalogue unchanged",
            version=reloaded.version,
            count=len(reloaded.changes),
        )
