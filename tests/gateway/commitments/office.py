"""An approval office behind its doors: flows on a real SQLite ledger, real sources and certificates, a set clock."""

from __future__ import annotations

import asyncio
import atexit
import csv
import hashlib
import io
import json
import shutil
import sqlite3
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import cast

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from connectors.catalog import connect_all
from connectors.connector import Connector, Subject
from connectors.outcome import Kind
from gateway.bootstrap.flows import Flows, build_flows
from gateway.bootstrap.ledger import open_ledger
from gateway.bootstrap.opening import open_index
from gateway.catalogue.loader import load_catalogue, shipped_catalogue_files
from gateway.catalogue.model import Catalogue
from gateway.config import load_settings
from gateway.demo import people as demo
from gateway.flows.assistance.assist import Sending
from gateway.flows.assistance.values import Finding
from gateway.flows.commitments.documents import body
from gateway.flows.commitments.prepare import Asked, Prepared
from gateway.flows.once import Recorded, Request
from gateway.founding import SYSTEMS, House, caller_id, found
from gateway.letters.document import Consent, Proxy
from gateway.pki import Authority, der
from gateway.rules.admission import Operator, RawQuestion, RawSubject
from gateway.rules.kept import table
from gateway.rules.roles import Caller
from gateway.signatures import CertificateEvidence
from ledger import Erased, Ledger, RecordRow, Replay
from ledger.canonical import Json
from tests.ledger.house import as_before, erasing

PEOPLE = demo.population(7, 40)
CAST = demo.cast(7)
MATTER, ITEM, PURPOSE = "230000-MSA-001", "business-premises", "办理行政许可"
START = datetime.now(UTC).replace(microsecond=0)
_NO_SOURCES = "# the sources\n"
SOON = 60.0
"""Seconds that a flow may take in a test."""

SOURCES = """
[sources.housing]
kind = "dropbox"
department = "自然资源厅"
folder = "{drops}"
[sources.housing.facts.home-ownership]
key = "id_number"
name = "name"
columns = {{ address = "address" }}
[sources.leases]
kind = "sql"
department = "住房城乡建设厅"
url = "sqlite:///{leases}"
[sources.leases.resilience]
breaker_failures = 1
retries = 0
breaker_rest = "1s"
[sources.leases.facts.lease-filing]
statement = "SELECT id_number, name, address FROM lease WHERE id_number IN :keys"
key = "id_number"
name = "name"
columns = {{ address = "address" }}
"""
LISTS = """
[sources.credit-platform]
kind = "sql"
department = "省营商环境局"
url = "sqlite:///{lists}"
[sources.credit-platform.resilience]
retries = 0
[sources.credit-platform.facts.serious-distrust-listing]
coverage = "complete"
statement = "SELECT id_number, name FROM distrust WHERE id_number IN :keys"
key = "id_number"
name = "name"
[sources.courts]
kind = "sql"
department = "省高级人民法院"
url = "sqlite:///{lists}"
[sources.courts.resilience]
retries = 0
[sources.courts.facts.declared-incapacity]
coverage = "complete"
statement = "SELECT id_number, name FROM incapacity WHERE id_number IN :keys"
key = "id_number"
name = "name"
"""
ASK_LISTS = {
    'credit_fact = "" ': 'credit_fact = "serious-distrust-listing" ',
    'capacity_fact = "" ': 'capacity_fact = "declared-incapacity" ',
}


@dataclass(slots=True)
class Clock:
    """A clock that a test sets."""

    now: datetime = START

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, **time: float) -> None:
        self.now += timedelta(**time)


Change = tuple[str, str, tuple[tuple[str, str], ...]]
"""A file of the shipped catalogue, where a declaration begins in it, and what is replaced in that."""


def of_item(item: str, *changes: tuple[str, str]) -> Change:
    """Change texts within one declaration of the shipped catalogue."""
    return ("nation.yaml", f"  - code: {item}\n", changes)


def of_matter(matter: str, *changes: tuple[str, str]) -> Change:
    return ("heilongjiang.yaml", f"  - code: {matter}\n", changes)


@cache
def catalogue_of(changes: tuple[Change, ...]) -> Catalogue:
    """Load the shipped lists with changes, each of which must meet its text exactly once in its declaration."""
    with TemporaryDirectory() as folder:
        files = []
        for file in shipped_catalogue_files():
            content = file.read_text("utf-8")
            for name, begin, replacements in changes:
                if name == file.name:
                    head, _, rest = content.partition(begin)
                    declaration, next_one, tail = rest.partition("\n  - code: ")
                    for before, after in replacements:
                        assert declaration.count(before) == 1, before
                        declaration = declaration.replace(before, after)
                    content = head + begin + declaration + next_one + tail
            copy = Path(folder) / file.name
            copy.write_text(content, "utf-8")
            files.append(copy)
        return load_catalogue(files)


class Interrupted:
    """A ledger at which somebody else acts in between: when everything is judged and about to be appended."""

    def __init__(self, ledger: Ledger, meanwhile: Callable[[], Awaitable[object]], times: int) -> None:
        self._ledger = ledger
        self._meanwhile = meanwhile
        self._left = times

    def __getattr__(self, name: str) -> object:
        return getattr(self._ledger, name)

    async def append(self, *given: object, **named: object) -> object:
        if self._left:
            self._left -= 1
            await self._meanwhile()
        return await self._ledger.append(*given, **named)  # type: ignore[arg-type]


class Repeated:
    """A ledger at which a request that was found to be new is recorded by another process right after."""

    def __init__(self, ledger: Ledger, meanwhile: Callable[[], Awaitable[object]]) -> None:
        self._ledger = ledger
        self._meanwhile: Callable[[], Awaitable[object]] | None = meanwhile

    def __getattr__(self, name: str) -> object:
        return getattr(self._ledger, name)

    async def find(self, key: bytes) -> Replay | None:
        found = await self._ledger.find(key)
        meanwhile, self._meanwhile = self._meanwhile, None
        if meanwhile is not None:
            await meanwhile()
        return found


@dataclass(slots=True, kw_only=True)
class Office:
    """What a test works with."""

    house: House
    build: Callable[[Ledger], Flows]
    clock: Clock
    ledger: Ledger
    flows: Flows
    sources: Mapping[str, Connector]
    drops: Path
    leases: Path
    lists: Path
    dropped: int = 0
    signers: dict[str, tuple[ec.EllipticCurvePrivateKey, bytes]] = field(default_factory=dict)

    def interrupted(self, meanwhile: Callable[[], Awaitable[object]], times: int = 1) -> Office:
        """Give the same office as another clerk has it, who is overtaken by what somebody else does."""
        return replace(self, flows=self.build(cast(Ledger, Interrupted(self.ledger, meanwhile, times))))

    def repeated(self, meanwhile: Callable[[], Awaitable[object]]) -> Office:
        """Give the same office as another process has it, to which a request comes that comes to this one too."""
        return replace(self, flows=self.build(cast(Ledger, Repeated(self.ledger, meanwhile))))

    def request(
        self, method: str, *, system: str = "clerk", person: str = "", identity: str = "", **said: Json
    ) -> Request:
        unit, roles = SYSTEMS[system]
        operator = Operator(person=person or f"{system}-01", unit=unit)
        return Request(
            caller=Caller(id=caller_id(system), unit=unit, roles=frozenset(roles)),
            operator=operator,
            request_id=uuid.UUID(identity) if identity else uuid.uuid4(),
            body=body(method, operator={"person": operator.person, "unit": unit}, **said),
        )

    async def verify(
        self,
        who: demo.Person,
        case: str,
        *,
        item: str = ITEM,
        matter: str = MATTER,
        parameters: Mapping[str, str | RawSubject] | None = None,
        system: str = "clerk",
        purpose: str = PURPOSE,
    ) -> bytes:
        """Ask, and give the record of the answer."""
        unit, roles = SYSTEMS[system]
        raw = RawQuestion(
            request_id=str(uuid.uuid4()), matter=matter, case_id=case, purpose=purpose, person=f"{system}-01",
            unit=unit, item=item, subject=RawSubject(id_type="resident-id", id_number=who.id_number, name=who.name),
            parameters=dict(parameters if parameters is not None else {"address": who.address}),
        )  # fmt: skip
        caller = Caller(id=caller_id(system), unit=unit, roles=frozenset(roles))
        answered = await self.flows.verify(raw, caller, deadline())
        return answered.recorded.record

    async def prepare(
        self,
        verification: bytes,
        *,
        consent: Consent = Consent.NOT_SAID,
        proxy: Proxy | None = None,
        lifted: bytes | None = None,
        identity: str = "",
        system: str = "clerk",
        person: str = "",
    ) -> Prepared:
        request = self.request(
            "PrepareCommitment", verification=verification.hex(), identity=identity, system=system, person=person,
            lifted=lifted.hex() if lifted else "", consent=consent.value,
        )  # fmt: skip
        asked = Asked(verification=verification, consent=consent, proxy=proxy, lifted=lifted)
        return await self.flows.commitments.prepare(request, asked, deadline())

    def sign(self, document: bytes, who: demo.Person) -> CertificateEvidence:
        """Sign as a person does who has a certificate."""
        if who.id_number not in self.signers:
            key = ec.generate_private_key(ec.SECP256R1())
            authority = Authority.load(*self.house.signers())
            made = authority.person(who.name, who.id_number, key, now=START, valid=timedelta(days=300))
            self.signers[who.id_number] = (key, der(made))
        key, certificate = self.signers[who.id_number]
        return CertificateEvidence(
            algorithm="ECDSA_P256_SHA256",
            signature=key.sign(document, ec.ECDSA(hashes.SHA256())),
            certificates=(certificate,),
        )

    async def record(
        self,
        prepared: Prepared,
        who: demo.Person,
        *,
        document: bytes | None = None,
        digest: bytes | None = None,
        record: bytes | None = None,
        identity: str = "",
        system: str = "clerk",
    ) -> Recorded:
        """Sign (what was prepared, or another document) and record."""
        evidence = self.sign(prepared.document if document is None else document, who)
        target = prepared.record if record is None else record
        request = self.request(
            "RecordCommitment",
            record=target.hex(),
            signature=evidence.signature.hex(),
            identity=identity,
            system=system,
        )
        done = await self.flows.commitments.record(request, target, digest or prepared.digest, evidence)
        return done.recorded

    async def committed(self, who: demo.Person, case: str, *, consent: Consent = Consent.NOT_SAID) -> bytes:
        """Take a commitment from the question to its record."""
        prepared = await self.prepare(await self.verify(who, case), consent=consent)
        await self.record(prepared, who)
        return prepared.record

    async def decide(self, record: bytes, *, number: str = "示决字〔2026〕1号", person: str = "") -> Recorded:
        request = self.request("RecordDecision", record=record.hex(), number=number, person=person)
        return await self.flows.commitments.decide(request, record, number, deadline())

    async def withdraw(self, record: bytes, reason: str = "改交材料") -> Recorded:
        request = self.request("WithdrawCommitment", record=record.hex(), reason=reason)
        return await self.flows.commitments.withdraw.withdraw(request, record, reason)

    async def erase_as_before(self, *records: bytes) -> None:
        """Destroy them as ledgers did that did not look at what has still to end."""
        with as_before():
            await self.erase(*records)

    async def erase(self, *records: bytes) -> None:
        """Destroy the documents of records as they are now, and say so."""
        await self.ledger.append(erasing(self.ledger, *records)._replace(at=self.clock.now))

    def row(self, record: bytes) -> RecordRow:
        found = self.ledger.register().get(record)
        assert found is not None
        return found

    def state(self, record: bytes) -> str:
        return self.row(record).state

    def kinds(self, record: bytes) -> list[str]:
        return [line.kind for line in self.ledger.register().history(record)]

    def document(self, index: int) -> dict[str, Json]:
        kept = self.ledger.document(index)
        assert not isinstance(kept, Erased)
        return {name: group.value for name, group in kept.items()}

    def last(self, record: bytes) -> dict[str, Json]:
        """Open the document of a record's newest entry."""
        return self.document(self.row(record).last_idx)

    def drop(self, rows: Sequence[tuple[str, str, str]]) -> None:
        """Deliver home ownership, as the department does: a file, then its manifest."""
        self.dropped += 1
        buffer = io.StringIO()
        writer = csv.writer(buffer)
        writer.writerow(["id_number", "name", "address"])
        writer.writerows(rows)
        content, name = buffer.getvalue().encode(), f"drop-{self.dropped:04d}.csv"
        (self.drops / name).write_bytes(content)
        manifest = {
            "schema": 1, "fact_type": "home-ownership", "file": name, "sha256": hashlib.sha256(content).hexdigest(),
            "rows": len(rows), **({} if rows else {"empty": True}),
            "as_of": (START - timedelta(days=9) + timedelta(seconds=self.dropped)).isoformat(),
            "coverage": "complete", "charset": "utf-8", "key": "id_number", "columns": ["id_number", "name", "address"],
        }  # fmt: skip
        (self.drops / f"drop-{self.dropped:04d}.manifest.json").write_text(json.dumps(manifest), "utf-8")

    def contradict(self, who: demo.Person) -> None:
        """Let both departments hold another address."""
        self.drop([(who.id_number, who.name, "别处9号")])
        execute(self.leases, "INSERT INTO lease VALUES (?, ?, ?)", who.id_number, who.name, "别处9号")

    async def found(
        self,
        who: demo.Person,
        case: str,
        outcome: Kind | None,
        facts: Sequence[str] = ("home-ownership", "lease-filing"),
    ) -> list[bytes]:
        """Let two leases be unclear, and the department that is asked of facts find something, or not answer; gives
        what was asked."""
        for address in ("甲路1号", "乙路2号"):
            execute(self.leases, "INSERT INTO lease VALUES (?, ?, ?)", who.id_number, who.name, address)
        verification, unit = await self.verify(who, case), SYSTEMS["source-officer"][0]
        sent = []
        for fact in facts:
            sending = Sending(verification=verification, unit=unit, fact_type=fact, working_days=5, note="")
            request = self.request("SendAssistance", fact_type=fact)
            sent.append((await self.flows.assist.send(request, sending, deadline())).recorded.record)
        for record in sent if outcome is not None else ():
            await self.answer(record, outcome)
        return sent

    async def answer(self, record: bytes, outcome: Kind) -> None:
        """Let two people of the department that was asked find something."""
        second = Operator(person="source-officer-02", unit=SYSTEMS["source-officer"][0])
        for person in ("source-officer-01", second.person):
            request = self.request("ReceiveAssistance", system="source-officer", person=person, record=record.hex())
            await self.flows.assist.receive(request, record)
        request = self.request("AnswerAssistance", system="source-officer", record=record.hex())
        finding = Finding(outcome=outcome, basis="卷宗", second=second)
        await self.flows.assist.answer(request, record, finding, deadline())

    def list_(self, kind: str, who: demo.Person, *, name: str = "") -> None:
        """Put a person on one of the lists."""
        execute(self.lists, f"INSERT INTO {kind} VALUES (?, ?)", who.id_number, name or who.name)


def deadline() -> float:
    return asyncio.get_running_loop().time() + SOON


def execute(file: Path, statement: str, *values: str) -> None:
    database = sqlite3.connect(file)
    with database:
        database.execute(statement, values)
    database.close()


def agent(who: demo.Person) -> Proxy:
    subject = Subject(id_type="resident-id", id_number=who.id_number, name=who.name)
    return Proxy(agent=subject, authorisation_digest=hashlib.sha256("授权委托书".encode()).digest())


@cache
def _template() -> Path:
    """Found one house, of which each test gets a copy: keys and certificates take longer than a test."""
    home = Path(mkdtemp())
    atexit.register(shutil.rmtree, home)
    return _founded(home / "var").home


def _founded(home: Path, url: str = "sqlite:///ledger.sqlite3") -> House:
    return found(home, now=START, sources=_NO_SOURCES, remedy_days=0, url=url)


@asynccontextmanager
async def office(
    folder: Path,
    *changes: Change,
    tune: Mapping[str, str] | None = None,
    lists: bool = False,
    url: str | None = None,
) -> AsyncIterator[Office]:
    """Found an office; `changes` are made to the catalogue, `tune` replaces texts of the configuration.

    Its ledger is an SQLite file, or a new one in the database at `url`.
    """
    drops, leases, listed = folder / "drops", folder / "leases.sqlite3", folder / "lists.sqlite3"
    drops.mkdir()
    execute(leases, "CREATE TABLE lease (id_number TEXT, name TEXT, address TEXT)")
    for table_name in ("distrust", "incapacity"):
        execute(listed, f"CREATE TABLE {table_name} (id_number TEXT, name TEXT)")
    sources = SOURCES.format(drops=drops, leases=leases) + (LISTS.format(lists=listed) if lists else "")
    if url is None:
        house = House(home=Path(shutil.copytree(_template(), folder / "var")))
    else:
        house = _founded(folder / "var", url)
    written = house.config.read_text("utf-8").replace(_NO_SOURCES, sources)
    for before, after in {**(ASK_LISTS if lists else {}), **(tune or {})}.items():
        assert written.count(before) == 1, before
        written = written.replace(before, after)
    house.config.write_text(written, "utf-8")
    settings, clock = load_settings(house.config), Clock()
    connectors = connect_all(settings.sources, now=clock)
    with open_ledger(settings.ledger, now=clock) as ledger:
        try:

            def build(upon: Ledger) -> Flows:
                return build_flows(
                    settings, ledger=upon, index=open_index(settings.ledger), catalogue=catalogue_of(changes),
                    sources=connectors, now=clock,
                )  # fmt: skip

            here = Office(
                house=house, clock=clock, ledger=ledger, build=build, flows=build(ledger), sources=connectors,
                drops=drops, leases=leases, lists=listed,
            )  # fmt: skip
            here.drop([])
            yield here
        finally:
            for connector in connectors.values():
                await connector.aclose()


def said(record: Mapping[str, Json], group: str) -> Mapping[str, Json]:
    return table(record[group])
