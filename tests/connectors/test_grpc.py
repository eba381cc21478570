"""A department hosts an adapter, and is asked over gRPC: real servers, real TLS, the register in a real database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc import aio
from structlog.testing import capture_logs

from connectors.catalog import connect
from connectors.connector import Claim, Connector, Coverage, Form, Health, Manifest, QueryContext
from connectors.errors import StanzaError
from connectors.hosting import Host, HostTls
from connectors.outcome import (
    AMBIGUOUS,
    MATCH,
    MISMATCH,
    NO_RECORD,
    NOT_COVERED,
    NOT_HELD,
    OTHER_IDENTITY,
    STALE,
    Cause,
    Evidence,
    Kind,
    Outcome,
    unavailable,
)
from connectors.resilience import Resilient
from connectors.v1 import source_pb2 as pb
from tests.connectors.people import (
    LI,
    LI_DIVORCED,
    NOBODY,
    NOW,
    ZHANG,
    ZHANG_MARRIED,
    claim,
    now,
    question,
    sql_stanza,
)
from tests.connectors.test_http_tls import certify

FACT = "marriage-registration"


class Adapter:
    """An adapter as a department may write it: says what it is told to say, and keeps what it was asked."""

    def __init__(self, *said: Outcome, fact_types: frozenset[str] = frozenset({FACT}), **manifest: Any) -> None:
        self.manifest = Manifest(source="own", department="民政厅", fact_types=fact_types, **manifest)
        self._said = said
        self.asked: list[Claim] = []
        self.contexts: list[QueryContext] = []
        self.as_of = NOW - timedelta(hours=1)
        self.is_well = True

    async def check_many(self, claims: Sequence[Claim], context: QueryContext) -> list[Evidence]:
        start = len(self.asked)
        self.asked += claims
        self.contexts.append(context)
        return [
            Evidence(
                source="own",
                fact_type=one.fact_type,
                outcome=self._said[number % len(self._said)],
                asked_at=NOW,
                answered_at=NOW,
                as_of=self.as_of,
                raw_digest=number.to_bytes(32, "big"),
            )
            for number, one in enumerate(claims, start)
        ]

    async def probe(self) -> Health:
        return Health(ok=self.is_well, detail=f"asked about {ZHANG.name}", probed_at=NOW)

    async def aclose(self) -> None:
        return


def stanza(host: Host, fact: Mapping[str, object] | None = None, **more: object) -> dict[str, object]:
    top = {"kind": "grpc", "department": "民政厅", "address": f"127.0.0.1:{host.port}", "plaintext": True}
    return {**top, **more, "facts": {FACT: {"attributes": ["status"]} if fact is None else fact}}


@asynccontextmanager
async def hosted(connector: Connector, tls: HostTls | None = None) -> AsyncIterator[Host]:
    host = Host(connector, address="127.0.0.1:0", tls=tls, longest=20)
    await host.start()
    try:
        yield host
    finally:
        await host.stop(0)


@asynccontextmanager
async def source(written: Mapping[str, object]) -> AsyncIterator[Resilient]:
    made = connect("civil-affairs", written, now=now, random=lambda: 0.0)
    try:
        yield made
    finally:
        await made.aclose()


@asynccontextmanager
async def asking(connector: Connector, fact: Mapping[str, object] | None = None, **more: object) -> AsyncIterator[Any]:
    """Ask an adapter on this machine, through a source of kind `grpc`."""
    async with hosted(connector) as host, source(stanza(host, fact, **more)) as made:

        async def ask(*claims: Claim) -> list[Outcome]:
            return [one.outcome for one in await made.check_many(claims, question())]

        ask.source = made  # type: ignore[attr-defined]
        yield ask


@pytest.fixture
def register(marriages: Callable[..., Path]) -> Resilient:
    """A register in a database, as a department hosts it."""
    path = marriages(ZHANG_MARRIED, LI_DIVORCED)
    return connect("register", sql_stanza(f"sqlite:///{path}", coverage="complete"), now=now, random=lambda: 0.0)


async def test_what_a_register_says_comes_through_as_it_was_said(register: Resilient) -> None:
    stranger = claim(ZHANG.__class__(id_type="resident-id", id_number=ZHANG.id_number, name="李四"), status="married")
    asked = [claim(status="married"), claim(status="divorced"), claim(NOBODY, status="married"), stranger]
    fact = {"attributes": ["status"], "coverage": "complete"}

    async with asking(register, fact) as ask:
        assert await ask(*asked) == [MATCH, MISMATCH, NO_RECORD, OTHER_IDENTITY]
    await register.aclose()


async def test_an_absence_that_no_coverage_stands_behind_is_not_passed_on(marriages: Callable[..., Path]) -> None:
    path = marriages(ZHANG_MARRIED)
    register = connect("register", sql_stanza(f"sqlite:///{path}"), now=now, random=lambda: 0.0)

    async with asking(register, {"attributes": ["status"], "coverage": "complete"}) as ask:
        assert await ask(claim(NOBODY, status="married"), claim(status="married")) == [NOT_COVERED, MATCH]
    await register.aclose()


async def test_the_adapter_is_told_who_asks_and_why_and_all_that_is_claimed() -> None:
    adapter = Adapter(MATCH)
    asked = Claim(
        fact_type=FACT,
        subject=ZHANG,
        expected={
            "status": "married",
            "spouse_id_number": LI.id_number,
            "since": NOW.date(),
            "children": 2,
            "own": True,
        },
        given={"certificate": "示-1"},
        forms={"spouse_id_number": Form.ID_NUMBER},
        place="230103",
        period=(NOW.date(), NOW.date()),
    )
    fact = {"attributes": sorted(asked.expected), "given": ["certificate"]}

    async with asking(adapter, fact) as ask:
        assert await ask(asked) == [MATCH]

    assert adapter.asked == [asked]
    [context] = adapter.contexts
    told = (context.matter, context.case, context.item, context.operator, context.unit, context.reason)
    assert told == ("M-1", "case-1", "marital-status", "clerk-7", "审批局", "办理住房保障")


async def test_numbers_are_compared_as_numbers_at_the_other_end_too(register: Resilient) -> None:
    written = LI.id_number.lower()
    asked = Claim(
        fact_type=FACT,
        subject=ZHANG,
        expected={"spouse_id_number": written},
        forms={"spouse_id_number": Form.ID_NUMBER},
    )

    async with asking(register, {"attributes": ["spouse_id_number"]}) as ask:
        assert await ask(asked) == [MATCH]
    await register.aclose()


async def test_forms_of_what_is_not_claimed_are_left_out() -> None:
    adapter, forms = Adapter(MATCH), {"spouse_id_number": Form.ID_NUMBER, "status": Form.NAME}

    async with asking(adapter) as ask:
        assert await ask(Claim(fact_type=FACT, subject=ZHANG, expected={"status": "x"}, forms=forms)) == [MATCH]

    assert adapter.asked[0].forms == {"status": Form.NAME}


async def test_no_call_carries_more_claims_than_it_may_and_answers_keep_their_order() -> None:
    adapter = Adapter(MATCH, MISMATCH, NOT_HELD)

    async with asking(adapter) as ask:
        found = await ask(*(claim(status=f"s{number}") for number in range(250)))

    assert found == [(MATCH, MISMATCH, NOT_HELD)[number % 3] for number in range(250)]
    assert len(adapter.contexts) == 3
    assert [one.expected["status"] for one in adapter.asked] == [f"s{number}" for number in range(250)]


@pytest.mark.parametrize(
    ("said", "outcome"), [(MATCH, NOT_HELD), (MISMATCH, NOT_HELD), (OTHER_IDENTITY, OTHER_IDENTITY), (STALE, STALE)]
)
@pytest.mark.parametrize("extra", [{"expected": {"shoe_size": 43}}, {"given": {"certificate": "示-1"}}])
async def test_what_the_stanza_does_not_name_the_adapter_is_not_believed_to_look_at(
    said: Outcome, outcome: Outcome, extra: dict[str, Any]
) -> None:
    async with asking(Adapter(said)) as ask:
        assert await ask(Claim(fact_type=FACT, subject=ZHANG, **extra)) == [outcome]


@pytest.mark.parametrize(("hours", "outcome"), [(1, MATCH), (25, STALE), (None, STALE)])
async def test_a_promise_of_freshness_is_checked_by_the_date_of_the_data(hours: int | None, outcome: Outcome) -> None:
    adapter = Adapter(MATCH)
    adapter.as_of = None if hours is None else NOW - timedelta(hours=hours)  # type: ignore[assignment]

    async with asking(adapter, freshness="1d") as ask:
        assert await ask(claim(status="married")) == [outcome]


@pytest.mark.parametrize("kind", [Kind.MATCH, Kind.MISMATCH, Kind.NO_RECORD, Kind.NOT_HELD, Kind.SUBJECT_INACTIVE])
@pytest.mark.parametrize("hours", [25, None])
async def test_nothing_that_old_data_say_stands_against_a_promise_of_newer_ones(kind: Kind, hours: int | None) -> None:
    adapter = Adapter(Outcome(kind=kind))
    adapter.as_of = None if hours is None else NOW - timedelta(hours=hours)  # type: ignore[assignment]

    async with asking(adapter, {"attributes": ["status"], "coverage": "complete"}, freshness="1d") as ask:
        assert await ask(claim(status="married")) == [STALE]


async def test_a_claim_with_no_form_on_the_wire_is_not_put_and_says_nothing_of_the_adapter() -> None:
    adapter = Adapter(MATCH)

    async with asking(adapter, resilience={"breaker_failures": 1}) as ask:
        assert await ask(claim(status="\ud800")) == [unavailable(Cause.GARBLED)]
        assert await ask(claim(status=1 << 70)) == [unavailable(Cause.GARBLED)]
        assert await ask(claim(status="married")) == [MATCH]

    assert len(adapter.asked) == 1


async def test_an_adapter_may_wait_for_people_and_ask_for_more() -> None:
    until = NOW + timedelta(days=2)
    said = (
        Outcome(kind=Kind.PENDING, until=until),
        Outcome(kind=Kind.NEEDS_ATTRIBUTE, attribute="certificate"),
        AMBIGUOUS,
        unavailable(Cause.WINDOW, until),
        Outcome(kind=Kind.REFUSED, rule="NOT_AGREED"),
    )

    async with asking(Adapter(*said)) as ask:
        assert await ask(*(claim(status=f"s{number}") for number in range(5))) == list(said)


# Who may ask.


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, address in (("server", "127.0.0.1"), ("elsewhere", "127.0.0.2"), ("us", "127.0.0.1")):
        certify(tmp_path, name, address)
    certify(tmp_path, "stranger", "127.0.0.1")
    return tmp_path


def tls(folder: Path, name: str = "server", callers: frozenset[str] = frozenset({"127.0.0.1"})) -> HostTls:
    return HostTls(
        certificate=(folder / f"{name}.pem").read_bytes(),
        key=(folder / f"{name}.key").read_bytes(),
        callers_authority=(folder / "us.pem").read_bytes(),
        callers=callers,
    )


def secured(host: Host, folder: Path, trusted: str = "server", shown: str = "us") -> dict[str, object]:
    files = {"ca_file": folder / f"{trusted}.pem"}
    if shown:
        files |= {"client_cert_file": folder / f"{shown}.pem", "client_key_file": folder / f"{shown}.key"}
    return stanza(host, plaintext=False, **{key: str(path) for key, path in files.items()})


async def test_a_known_adapter_answers_a_known_caller_over_mutual_tls(folder: Path) -> None:
    async with hosted(Adapter(MATCH), tls(folder)) as host, source(secured(host, folder)) as made:
        [found] = await made.check_many([claim(status="married")], question())
        assert found.outcome == MATCH
        assert (await made.probe()).ok


@pytest.mark.parametrize(
    ("server", "trusted", "shown"),
    [
        ("server", "stranger", "us"),
        ("server", "server", ""),
        ("server", "server", "stranger"),
        ("elsewhere", "elsewhere", "us"),
    ],
)
async def test_a_stranger_on_either_side_gets_no_answer_and_no_question(
    folder: Path, server: str, trusted: str, shown: str
) -> None:
    adapter = Adapter(MATCH)

    async with hosted(adapter, tls(folder, server)) as host, source(secured(host, folder, trusted, shown)) as made:
        [found] = await made.check_many([claim(status="married")], question(3))

    assert found.outcome == unavailable(Cause.OUTAGE)
    assert adapter.asked == []


async def test_a_certificate_that_is_refused_is_told_in_the_log(folder: Path) -> None:
    async with hosted(Adapter(MATCH), tls(folder)) as host, source(secured(host, folder, "stranger")) as made:
        with capture_logs() as events:
            await made.check_many([claim(status="married")], question(3))

    assert [event["why"] for event in events if "why" in event] == [
        "the certificate is another host's, or not one that `ca_file` vouches for"
    ]


async def test_a_caller_whom_the_adapter_does_not_name_gets_no_answer_that_lets_anybodys_word_stand_in(
    folder: Path,
) -> None:
    adapter = Adapter(MATCH)

    others = tls(folder, callers=frozenset({"other.example"}))
    async with hosted(adapter, others) as host, source(secured(host, folder)) as made:
        [found] = await made.check_many([claim(status="married")], question())
        health = await made.probe()

    assert found.outcome == unavailable(Cause.OUTAGE)
    assert adapter.asked == []
    assert not health.ok


def test_without_tls_an_adapter_answers_this_machine_only() -> None:
    with pytest.raises(ValueError, match="this machine only"):
        Host(Adapter(MATCH), address="0.0.0.0:0", tls=None, longest=1)


# What is asked of a host.


async def refused(host: Host, request: pb.CheckManyRequest) -> tuple[grpc.StatusCode, dict[str, str], str]:
    async with aio.insecure_channel(f"127.0.0.1:{host.port}") as channel:
        call: Any = channel.unary_unary("/connectors.v1.SourceService/CheckMany")
        with pytest.raises(aio.AioRpcError) as caught:
            await call(request.SerializeToString(), timeout=10)
    status, bad = status_pb2.Status(), error_details_pb2.BadRequest()
    status.ParseFromString(dict(caught.value.trailing_metadata())["grpc-status-details-bin"])
    for detail in status.details:
        detail.Unpack(bad)
    text = f"{caught.value.details()} {status}"
    return caught.value.code(), {one.field: one.description for one in bad.field_violations}, text


async def test_every_mistake_of_a_question_is_named_at_once_and_no_value_repeated() -> None:
    request = pb.CheckManyRequest(
        context=pb.QueryContext(matter="M-1", case="", item="i", operator="o" * 5000, unit="u", reason="r"),
        claims=[
            pb.Claim(
                fact_type="",
                subject=pb.Subject(id_type="passport", id_number=ZHANG.id_number, name=""),
                expected={"a name": pb.Value(text=ZHANG.name), "empty": pb.Value()},
                given={"day": pb.Value(day=pb.Date(year=2026, month=2, day=30))},
                forms={"nowhere": pb.FORM_NAME},
                place="2301",
                period=pb.Period(since=pb.Date(year=2026, month=2, day=2), until=pb.Date(year=2026, month=1, day=1)),
            )
        ],
    )
    adapter = Adapter(MATCH)

    async with hosted(adapter) as host:
        code, mistakes, text = await refused(host, request)

    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert set(mistakes) == {
        "context.case", "context.operator", "claims[0].fact_type", "claims[0].subject.id_type",
        "claims[0].subject.name", "claims[0].expected[1]", "claims[0].expected[2]", "claims[0].given[1]",
        "claims[0].forms[1]", "claims[0].place", "claims[0].period",
    }  # fmt: skip
    assert ZHANG.id_number not in text
    assert ZHANG.name not in text
    assert adapter.asked == []


@pytest.mark.parametrize("count", [0, 101])
async def test_a_question_of_none_or_too_many_claims_is_refused(count: int) -> None:
    one = pb.Claim(fact_type=FACT, subject=pb.Subject(id_type="uscc", id_number="1", name="示例"))
    context = pb.QueryContext(matter="m", case="c", item="i", operator="o", unit="u", reason="r")

    async with hosted(Adapter(MATCH)) as host:
        code, mistakes, _ = await refused(host, pb.CheckManyRequest(context=context, claims=[one] * count))

    assert (code, mistakes) == (grpc.StatusCode.INVALID_ARGUMENT, {"claims": "must be 1 to 100"})


async def test_a_thousand_mistakes_are_told_as_far_as_they_can_be_carried() -> None:
    async with hosted(Adapter(MATCH)) as host:
        code, mistakes, text = await refused(host, pb.CheckManyRequest(claims=[pb.Claim()] * 100))

    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert len(mistakes) == 50
    assert "406 mistakes" in text


# What the stanza says of the adapter, and the adapter of itself.


@pytest.mark.parametrize(
    ("manifest", "well", "told"),
    [
        ({"coverage": {FACT: Coverage(places=("23",))}}, True, "the adapter is well, and declares 1 facts"),
        ({"coverage": {FACT: Coverage()}}, True, "the adapter is well"),
        ({}, False, f"the adapter does not declare the coverage of {FACT} that the stanza does"),
        ({"coverage": {FACT: Coverage(places=("2302",))}}, False, "does not declare the coverage"),
        ({"coverage": {FACT: Coverage(places=("23",), until=NOW.date())}}, False, "does not declare the coverage"),
        ({"fact_types": frozenset({"alive"})}, False, f"the adapter does not answer {FACT}"),
    ],
)
async def test_a_probe_compares_what_the_stanza_believes_with_what_the_adapter_declares(
    manifest: dict[str, Any], well: bool, told: str
) -> None:
    fact = {"attributes": ["status"], "coverage": {"places": ["2301"]}}

    async with asking(Adapter(MATCH, **manifest), fact) as ask:
        health = await ask.source.probe()

    assert health.ok is well
    assert told in health.detail


async def test_an_adapter_that_is_not_well_says_so_and_nothing_that_it_writes_is_repeated() -> None:
    adapter = Adapter(MATCH)
    adapter.is_well = False

    async with asking(adapter) as ask:
        health = await ask.source.probe()

    assert not health.ok
    assert health.detail == "the adapter says that it is not well"


@pytest.mark.parametrize(
    ("change", "mistake"),
    [
        ({"address": "https://example.gov.cn"}, "address: must be a host and a port"),
        ({"address": "999.1.1.1:8443"}, "address: must be a host and a port"),
        ({"address": "example.gov.cn:0"}, "address: must be a host and a port"),
        ({"address": "example.gov.cn:8443", "plaintext": True}, "plaintext: is for an adapter on this machine"),
        ({"plaintext": True, "ca_file": "ca.pem"}, "ca_file: goes without `plaintext`"),
        ({"plaintext": False, "ca_file": "/nowhere/ca.pem"}, "ca_file: cannot be used"),
        ({"department": ""}, "department: must be a non-empty text"),
        ({"most_bytes": 1}, "most_bytes: must be a whole number"),
        ({"url": "http://x"}, "url: is not known"),
        ({"facts": {FACT: {"attributes": "status"}}}, f"facts.{FACT}.attributes: must be a list"),
        ({"facts": {FACT: {"columns": {}}}}, f"facts.{FACT}.columns: is not known"),
        ({"facts": {FACT: {"coverage": {}}}}, f"facts.{FACT}.coverage: must be"),
    ],
)
def test_a_stanza_that_is_wrong_is_refused_with_every_mistake(change: dict[str, object], mistake: str) -> None:
    written = {
        "kind": "grpc", "department": "民政厅", "address": "127.0.0.1:8443", "plaintext": True,
        "answer_timeout": "soon", "facts": {FACT: {}},
    }  # fmt: skip
    with pytest.raises(StanzaError) as caught:
        connect("civil-affairs", {**written, **change}, now=now)
    assert any(one.startswith(mistake) for one in caught.value.mistakes)
    assert any(one.startswith("answer_timeout") for one in caught.value.mistakes)
