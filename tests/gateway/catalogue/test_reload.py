"""The catalogue reloads without a restart: whole or not at all, recorded first, and never under a running call."""

from __future__ import annotations

import asyncio
import contextvars
import hashlib
import json
import os
import signal
import subprocess
import threading
import uuid
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from connectors.connector import Claim, Health, Manifest, QueryContext
from connectors.outcome import MATCH, Evidence
from gateway.bootstrap.flows import build_flows
from gateway.bootstrap.ledger import open_ledger
from gateway.bootstrap.opening import open_catalogue, open_index
from gateway.bootstrap.services import services
from gateway.catalogue.book import Book
from gateway.catalogue.model import Catalogue
from gateway.client import open_blocking_channel
from gateway.config import load_settings
from gateway.errors import CatalogueRefused, NotYetPublished
from gateway.flows.administration.reload import Reload
from gateway.flows.await_receipts import answer_by
from gateway.flows.look_up import LookUp
from gateway.flows.once import Once
from gateway.rpc.certificates import Tls
from gateway.rpc.server import GrpcServer
from gateway.v1 import catalogue_pb2 as pb
from gateway.v1 import catalogue_pb2_grpc, verification_pb2
from ledger import FileMasterKeys, parse_vkey, verify_receipt
from ledger.canonical import canonical
from ledger.commands import show
from ledger.errors import LedgerError
from tests import started
from tests.gateway.catalogue.conftest import Office
from tests.gateway.catalogue.lists import NATION, load_texts
from tests.gateway.journeys.conftest import operator, question

TIMEOUT = 20
SOONER = ("due_working_days: 60", "due_working_days: 59")


def order(*, request_id: str = "", validate_only: bool = False, system: str = "operator") -> pb.ReloadCatalogueRequest:
    return pb.ReloadCatalogueRequest(
        request_id=request_id or str(uuid.uuid4()), operator=operator(system), validate_only=validate_only
    )


async def in_force(office: Office) -> str:
    answer = await office.catalogue("clerk").GetItem(pb.GetItemRequest(code="alive"), timeout=TIMEOUT)
    return answer.catalogue_version


async def test_a_reload_is_recorded_and_every_later_answer_names_it(office: Office) -> None:
    before = office.version
    office.rewrite(*SOONER)

    answer = await office.catalogue().ReloadCatalogue(order(), timeout=TIMEOUT)

    assert (answer.previous_version, answer.catalogue_version) == (before, office.version)
    assert {change.kind for change in answer.changes} == {"STRICTER"}
    verified = await office.verification().Verify(question(), timeout=TIMEOUT)
    assert verified.verification.catalogue_version == office.version
    verifier = parse_vkey(office.house.vkey.read_text())
    proven = verify_receipt(answer.receipt.proof, [verifier], verifier.name)
    assert proven.entry.kind == "CatalogueEnacted"
    assert proven.entry.policy == office.version


async def test_the_catalogue_of_an_answer_can_be_looked_up_in_the_ledger(office: Office) -> None:
    office.rewrite(*SOONER)
    answer = await office.catalogue().ReloadCatalogue(order(), timeout=TIMEOUT)

    settings = load_settings(office.house.config).ledger
    shown = show(
        settings.url,
        answer.receipt.index,
        origin=settings.origin,
        master_keys=FileMasterKeys(office.house.home / "keys" / "master.keys"),
    )

    assert isinstance(shown.document, dict)
    assert hashlib.sha256(canonical(shown.document["catalogue"])).hexdigest() == answer.catalogue_version
    assert shown.document["operator"] == {"person": "operator-01", "unit": operator("operator").unit}


async def test_one_mistake_anywhere_changes_nothing_and_is_told(office: Office) -> None:
    before = await in_force(office)
    office.rewrite("due_working_days: 60", "due_working_days: soon")
    office.rewrite("adopts: all", "adopts: none", "harbin.yaml")

    with pytest.raises(grpc.RpcError) as refused:
        await office.catalogue().ReloadCatalogue(order(), timeout=TIMEOUT)

    assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert reason(refused.value) == "CATALOGUE_REFUSED"
    told = violations(refused.value)
    assert any(one.startswith("harbin.yaml:7: ") for one in told)
    assert any("'due_working_days' must be a whole number" in one for one in told)
    assert await in_force(office) == before
    size = (await office.verification().Verify(question(), timeout=TIMEOUT)).receipt.size
    assert size == 2, "only the start and this answer are recorded"


def details(error: grpc.RpcError) -> status_pb2.Status:
    status = status_pb2.Status()
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            status.ParseFromString(value)
    return status


def reason(error: grpc.RpcError) -> str:
    info = error_details_pb2.ErrorInfo()
    assert any(detail.Unpack(info) for detail in details(error).details)
    return str(info.reason)


def violations(error: grpc.RpcError) -> list[str]:
    failure = error_details_pb2.PreconditionFailure()
    assert any(detail.Unpack(failure) for detail in details(error).details)
    return [violation.description for violation in failure.violations]


async def test_hundreds_of_mistakes_are_all_told_when_only_validating(office: Office) -> None:
    office.rewrite("certainty: S", "certainty: X")
    office.rewrite("demanded_by:", "demanded_bye:")

    answer = await office.catalogue().ReloadCatalogue(order(validate_only=True), timeout=TIMEOUT)
    with pytest.raises(grpc.RpcError) as refused:
        await office.catalogue().ReloadCatalogue(order(), timeout=TIMEOUT)

    assert len(answer.mistakes) >= 60
    assert all(one.file.endswith(".yaml") and one.line > 0 and one.text for one in answer.mistakes)
    assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert "more; validate_only tells all" in violations(refused.value)[-1]


async def test_validating_says_what_would_change_and_changes_nothing(office: Office) -> None:
    before = await in_force(office)
    office.rewrite(*SOONER)

    answer = await office.catalogue().ReloadCatalogue(order(validate_only=True), timeout=TIMEOUT)

    assert answer.catalogue_version == office.version != before
    assert answer.changes
    assert not answer.HasField("receipt")
    assert await in_force(office) == before


async def test_files_that_say_the_same_are_no_event(office: Office) -> None:
    answer = await office.catalogue().ReloadCatalogue(order(), timeout=TIMEOUT)

    assert answer.catalogue_version == answer.previous_version == office.version
    assert not answer.HasField("receipt")


async def test_a_repeated_request_gets_its_first_answer(office: Office) -> None:
    office.rewrite(*SOONER)
    asked = order()
    first = await office.catalogue().ReloadCatalogue(asked, timeout=TIMEOUT)
    office.rewrite(SOONER[1], "due_working_days: 58")

    again = await office.catalogue().ReloadCatalogue(asked, timeout=TIMEOUT)

    assert again.SerializeToString(deterministic=True) == first.SerializeToString(deterministic=True)
    assert await in_force(office) == first.catalogue_version != office.version


@pytest.mark.parametrize("system", ["clerk", "auditor", "credit"])
async def test_only_an_operator_may_reload(office: Office, system: str) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        await office.catalogue(system).ReloadCatalogue(order(system=system), timeout=TIMEOUT)

    assert reason(refused.value) == "NOT_ENTITLED"


async def test_every_mistake_of_the_request_is_named(office: Office) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        await office.catalogue().ReloadCatalogue(pb.ReloadCatalogueRequest(request_id="x"), timeout=TIMEOUT)

    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    for part in ("request_id", "operator.person", "operator.unit"):
        assert part in str(refused.value.details())


async def test_an_item_is_explained_with_its_form_and_its_sources(office: Office) -> None:
    answer = await office.catalogue("clerk").GetItem(
        pb.GetItemRequest(code="business-premises", matter="230000-MSA-001"), timeout=TIMEOUT
    )

    assert "已接入:housing" in answer.plan
    assert "办理事项:经营主体设立登记" in answer.plan
    (address,) = answer.item.parameter_details
    assert (address.name, address.label, address.type, address.required) == (
        "address",
        "住所（经营场所）地址",
        "string",
        True,
    )


@pytest.mark.parametrize("matter", ["230000-EDU-004", "nowhere"])
async def test_an_item_is_not_explained_for_a_matter_that_may_not_ask_it(office: Office, matter: str) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        await office.catalogue("clerk").GetItem(pb.GetItemRequest(code="kinship", matter=matter), timeout=TIMEOUT)

    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


class SlowHousing:
    """A source that answers when it is told to."""

    manifest = Manifest(source="housing", department="自然资源局", fact_types=frozenset({"home-ownership"}))

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.may_answer = asyncio.Event()

    async def check_many(self, claims: Sequence[Claim], context: QueryContext) -> list[Evidence]:
        self.asked.set()
        await self.may_answer.wait()
        at = datetime.now(UTC)
        return [
            Evidence(source="housing", fact_type=claim.fact_type, outcome=MATCH, asked_at=at, answered_at=at)
            for claim in claims
        ]

    async def probe(self) -> Health:
        return Health(ok=True, detail="", probed_at=datetime.now(UTC))

    async def aclose(self) -> None:
        self.may_answer.set()


async def test_a_running_call_finishes_with_the_version_it_began_with(unserved_office: Office) -> None:
    office, source = unserved_office, SlowHousing()
    settings = load_settings(office.house.config)
    before = office.version
    with open_ledger(settings.ledger) as ledger:
        flows = build_flows(
            settings,
            ledger=ledger,
            index=open_index(settings.ledger),
            catalogue=open_catalogue(settings),
            sources={"housing": source},
        )
        tls = Tls(
            certificate=settings.server.certificate_file.read_bytes(),
            key=settings.server.key_file.read_bytes(),
            client_authority=settings.server.client_authority_file.read_bytes(),
        )
        served = services(settings, flows, ledger, now=lambda: datetime.now(UTC))
        server = GrpcServer(served, address="127.0.0.1:0", tls=tls, max_message_bytes=1 << 20, reflect=False)
        await server.start()
        office.port = server.port

        running = asyncio.ensure_future(office.verification().Verify(question("办-1"), timeout=TIMEOUT))
        await source.asked.wait()
        office.rewrite("ladder: [COMMITMENT]", "ladder: [ASSISTANCE, COMMITMENT]", "heilongjiang.yaml")
        reloaded = await office.catalogue().ReloadCatalogue(order(), timeout=TIMEOUT)
        source.may_answer.set()
        first = await running
        second = await office.verification().Verify(question("办-2"), timeout=TIMEOUT)

        assert reloaded.catalogue_version != before
        assert first.verification.catalogue_version == before
        assert first.verification.verdict == verification_pb2.VERDICT_ESTABLISHED
        assert second.verification.catalogue_version == reloaded.catalogue_version
        assert first.verification.policy_version != second.verification.policy_version
        for channel in office.channels:
            await channel.close()
        await server.stop(1)


def reload_of(office: Office, ledger: object, book: Book, read: Callable[[], Catalogue]) -> Reload:
    from ledger import BlindIndex, Ledger

    assert isinstance(ledger, Ledger)
    return Reload(
        book=book,
        once=Once(ledger, BlindIndex(key=bytes(32), version=1)),
        look_up=LookUp(ledger),
        read=read,
        now=lambda: datetime.now(UTC),
        entropy=os.urandom,
    )


async def test_what_cannot_be_recorded_does_not_come_into_force(unserved_office: Office) -> None:
    settings = load_settings(unserved_office.house.config)
    book = Book(open_catalogue(settings))
    unserved_office.rewrite(*SOONER)
    with open_ledger(settings.ledger) as ledger:
        reload = reload_of(unserved_office, ledger, book, lambda: open_catalogue(settings))
    before = book.in_force

    with pytest.raises(LedgerError):
        await reload(None)

    assert book.in_force is before


async def test_who_goes_away_does_not_leave_it_recorded_and_not_in_force(unserved_office: Office) -> None:
    settings = load_settings(unserved_office.house.config)
    book = Book(open_catalogue(settings))
    unserved_office.rewrite(*SOONER)
    reading, may_end = threading.Event(), threading.Event()

    def read() -> Catalogue:
        reading.set()
        assert may_end.wait(TIMEOUT)
        return open_catalogue(settings)

    with open_ledger(settings.ledger) as ledger:
        reload = reload_of(unserved_office, ledger, book, read)
        asked = asyncio.create_task(reload(None))
        await asyncio.to_thread(reading.wait, TIMEOUT)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        may_end.set()
        again = await reload(None)  # waits its turn behind the one under way

        assert again.recorded is None, "the first went on and put the files in force"
        assert book.in_force.version == unserved_office.version


async def test_what_is_recorded_comes_into_force_also_if_it_is_not_published_in_time(unserved_office: Office) -> None:
    config = unserved_office.house.config
    text = config.read_text("utf-8").replace('signing = "inline"', 'signing = "interval"', 1)
    config.write_text(text.replace('publish_every = "1s"', 'publish_every = "1h"', 1), "utf-8")
    settings = load_settings(config)
    book = Book(open_catalogue(settings))
    unserved_office.rewrite(*SOONER)
    with open_ledger(settings.ledger) as ledger:
        reload = reload_of(unserved_office, ledger, book, lambda: open_catalogue(settings))
        answer_by(asyncio.get_running_loop().time() + 0.4)
        with pytest.raises(NotYetPublished):
            await reload(None)
        assert ledger.size() == 1
        assert book.in_force.version == unserved_office.version


async def test_reloads_at_once_are_one_after_the_other(unserved_office: Office) -> None:
    settings = load_settings(unserved_office.house.config)
    book = Book(open_catalogue(settings))
    unserved_office.rewrite(*SOONER)
    with open_ledger(settings.ledger) as ledger:
        reload = reload_of(unserved_office, ledger, book, lambda: open_catalogue(settings))

        results = await asyncio.gather(*(reload(None) for _ in range(5)))

        assert [one.recorded is not None for one in results] == [True, False, False, False, False]


async def test_files_that_are_wrong_are_refused_with_every_mistake(unserved_office: Office, tmp_path: Path) -> None:
    settings = load_settings(unserved_office.house.config)
    book = Book(open_catalogue(settings))
    broken = NATION.replace("LOW: 5", "LOW: 500").replace("number: 1", "number: x")
    with open_ledger(settings.ledger) as ledger:
        reload = reload_of(unserved_office, ledger, book, lambda: load_texts(tmp_path, broken))

        with pytest.raises(CatalogueRefused) as refused:
            await reload(None)

    assert len(refused.value.mistakes) == 2
    assert "2 处错误" in refused.value.chinese


def test_a_call_reads_one_version_and_the_next_call_the_new_one(tmp_path: Path) -> None:
    old, new = load_texts(tmp_path, NATION), load_texts(tmp_path, NATION.replace("LOW: 5", "LOW: 6"))
    book, other = Book(old), Book(old)

    def call() -> list[Catalogue]:
        book.begin()
        seen = [book.catalogue]
        book.put_in_force(new)
        other.put_in_force(new)
        return [*seen, book.catalogue, book.in_force, other.catalogue]

    assert contextvars.copy_context().run(call) == [old, old, new, new]
    assert book.catalogue is new


def served(office: Office) -> subprocess.Popen[str]:
    return started.start("serve", "--config", office.house.config, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def logged(process: subprocess.Popen[str], *events: str) -> list[dict[str, object]]:
    """Read the log until each of the events was there, in any order; give every line until then."""
    assert process.stderr is not None
    lines, awaited = [], list(events)
    for line in process.stderr:
        lines.append(json.loads(line))
        if lines[-1]["event"] in awaited:
            awaited.remove(lines[-1]["event"])
        if not awaited:
            return lines
    raise AssertionError(f"{awaited} was not logged")


@pytest.mark.parametrize("by", ["rpc", "signal"])
def test_a_reload_reaches_every_process_of_a_gateway(unserved_office: Office, by: str) -> None:
    office = unserved_office
    config = office.house.config
    config.write_text(config.read_text("utf-8").replace("workers = 1 ", "workers = 2 "), "utf-8")
    process = served(office)
    try:
        assert process.stdout is not None
        office.port = int(process.stdout.readline().split()[1])
        before = office.version
        assert versions(office) == {before}
        office.rewrite(*SOONER)
        if by == "signal":
            process.send_signal(signal.SIGHUP)
        else:
            with channel_of(office, "operator") as channel:
                stub = catalogue_pb2_grpc.CatalogueServiceStub(channel)
                assert stub.ReloadCatalogue(order(), timeout=TIMEOUT).catalogue_version == office.version
        # The process that took the call has the version already when the signal comes round to it.
        logged(process, "catalogue reloaded", "catalogue reloaded" if by == "signal" else "catalogue unchanged")

        assert versions(office) == {office.version} != {before}
    finally:
        process.terminate()
        process.communicate(timeout=30)


def channel_of(office: Office, system: str) -> AbstractContextManager[grpc.Channel]:
    certificate, key = office.house.pair(system)
    return open_blocking_channel(
        f"127.0.0.1:{office.port}", authority=office.house.authority, certificate=certificate, key=key
    )


def versions(office: Office) -> set[str]:
    """The versions that many new connections meet; the processes share them out."""
    met = set()
    for _ in range(12):
        with channel_of(office, "clerk") as channel:
            stub = catalogue_pb2_grpc.CatalogueServiceStub(channel)
            met.add(stub.GetItem(pb.GetItemRequest(code="alive"), timeout=TIMEOUT).catalogue_version)
    return met


def test_sighup_reloads_a_served_gateway_and_a_bad_file_changes_nothing(unserved_office: Office) -> None:
    office = unserved_office
    process = served(office)
    try:
        assert process.stdout is not None
        office.port = int(process.stdout.readline().split()[1])

        def version() -> str:
            with channel_of(office, "clerk") as channel:
                stub = catalogue_pb2_grpc.CatalogueServiceStub(channel)
                return stub.GetItem(pb.GetItemRequest(code="alive"), timeout=TIMEOUT).catalogue_version

        before = version()
        office.rewrite(*SOONER)
        process.send_signal(signal.SIGHUP)
        assert logged(process, "catalogue reloaded")[-1]["version"] == office.version
        assert version() == office.version != before
        good = office.version

        office.rewrite(SOONER[1], "due_working_days: soon")
        process.send_signal(signal.SIGHUP)
        lines = logged(process, "catalogue not reloaded")
        mistakes = [line for line in lines if line["event"] == "catalogue mistake"]
        assert lines[-1]["count"] == len(mistakes) > 1
        assert all("'due_working_days' must be a whole number" in str(line["error"]) for line in mistakes)
        assert version() == good
    finally:
        process.terminate()
        process.communicate(timeout=30)
    assert process.returncode == 0
