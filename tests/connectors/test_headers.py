"""What a caller says reaches a header in a form that it carries, or the question is not put and harms nobody else."""

from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime
from pathlib import Path
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.breaker import State
from connectors.catalog import connect
from connectors.conformance.scene import Clock
from connectors.conformance.server import FaultServer, Misbehaviour
from connectors.errors import NotAsked, StanzaError
from connectors.header import ENCODINGS, Unsendable, headers_of
from connectors.outcome import Cause, Kind
from connectors.policy import read_policy
from connectors.resilience import Resilient
from connectors.sources import http
from connectors.stanza import Stanza
from connectors.telemetry import Counts
from tests.connectors.people import GOOD, ZHANG, claim, http_stanza, now, question

FACT = "marriage-registration"
BY_CASE = {"headers": {"X-Case": "no {context.case}"}}
UNSENDABLE = ["办\r\nX-Admin: yes", "a\nb", "a\x00b", "a\x7f", "a\x85b", "办\ud800"]


@pytest.fixture
async def server() -> AsyncIterator[FaultServer]:
    """A department's service that knows Zhang."""
    async with FaultServer(GOOD, person=(ZHANG.id_number, ZHANG.name)) as started:
        yield started


def source_of(server: FaultServer, counts: Counts | None = None, /, **more: object) -> Resilient:
    policy = {"timeout": "20s", "retries": 0, "breaker_failures": 1, "breaker_rest": "30s"}
    stanza = {**http_stanza(server.url, resilience=policy, answer_timeout="10s", **BY_CASE), **more}
    return connect("civil-affairs", stanza, now=now, **({} if counts is None else {"telemetry": counts}))


def bare(stanza: Mapping[str, object], clock: Callable[[], datetime] = now) -> http.HttpSource:
    """Connect a service without what makes it resilient."""
    return http.connect("s", {k: v for k, v in stanza.items() if k not in ("kind", "resilience")}, now=clock)


async def ask(source: Resilient, case: str) -> str:
    [found] = await source.check_many([claim(status="married")], question(case=case))
    cause = found.outcome.cause
    return found.outcome.kind.value if cause is None else f"{found.outcome.kind.value}({cause.value})"


@pytest.mark.parametrize(
    ("encoding", "case", "sent"),
    [
        ("percent", "办-2026/7", b"no %E5%8A%9E-2026/7"),
        ("percent", "100% (a+b)", b"no 100%25%20(a+b)"),
        ("percent", " a", b"no %20a"),
        ("utf-8", "办-2026/7", "no 办-2026/7".encode()),
        ("utf-8", "100% (a+b)", b"no 100% (a+b)"),
    ],
)
async def test_a_case_number_reaches_the_header_in_the_agreed_encoding(
    server: FaultServer, encoding: str, case: str, sent: bytes
) -> None:
    source = source_of(server, header_encoding=encoding)
    assert await ask(source, case) == "MATCH"
    assert b"\r\nX-Case: " + sent + b"\r\n" in server.requests[0]
    await source.aclose()


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("case", UNSENDABLE)
async def test_what_no_header_carries_is_not_sent_and_moves_no_breaker(
    server: FaultServer, encoding: str, case: str
) -> None:
    counts = Counts()
    source = source_of(server, counts, header_encoding=encoding)
    for _ in range(3):
        assert await ask(source, case) == "UNAVAILABLE(GARBLED)"
    assert (server.asked, source.outages(), counts.counts["attempted", "civil-affairs", FACT, "unasked"]) == (0, [], 3)
    assert await ask(source, "办-1") == "MATCH"
    await source.aclose()


@pytest.mark.parametrize("spoilt", ["case", "attribute"])
async def test_a_question_that_never_left_neither_closes_nor_reopens_a_breaker(
    server: FaultServer, spoilt: str
) -> None:
    clock = Clock()
    headers = {**BY_CASE["headers"], "X-Old": "{expected.status}"}
    stanza = http_stanza(server.url, answer_timeout="10s", headers=headers)
    inner = bare(stanza, clock)
    policy = read_policy(Stanza("s", {"retries": 0, "breaker_failures": 1, "breaker_rest": "30s"}))
    source = Resilient(inner, policy, now=clock, random=lambda: 0.0)
    server.misbehave(Misbehaviour.ERROR_TEXT_IN_200)
    await ask(source, "办-1")
    assert source.breaker_state(FACT) is State.OPEN
    clock.move(policy.breaker_rest)
    asked, case = (claim(), "办-1") if spoilt == "attribute" else (claim(status="married"), "a\nb")
    [found] = await source.check_many([asked], question(case=case))
    assert found.outcome.kind is (Kind.NEEDS_ATTRIBUTE if spoilt == "attribute" else Kind.UNAVAILABLE)
    assert (found.attempts, source.breaker_state(FACT), len(source.outages())) == (0, State.OPEN, 1)
    server.misbehave(None)
    assert await ask(source, "办-1") == "MATCH"
    assert source.breaker_state(FACT) is State.CLOSED
    await source.aclose()


async def test_a_text_that_is_no_unicode_is_not_put_to_the_service(server: FaultServer, discreet: list[str]) -> None:
    inner = http.connect(
        "s", {k: v for k, v in http_stanza(server.url).items() if k not in ("kind", "resilience")}, now=now
    )
    with pytest.raises(NotAsked) as refused:
        await inner.check_many([claim(type(ZHANG)(id_type="resident-id", id_number="1\ud800", name="甲"))], question())
    assert (refused.value.outcome.cause, server.asked) == (Cause.GARBLED, 0)
    discreet.append(str(refused.value))
    await inner.aclose()


async def test_a_claim_that_cannot_be_put_does_not_spoil_the_others(server: FaultServer) -> None:
    stanza = {**http_stanza(server.url), "headers": {"X-Status": "{expected.status}"}}
    inner = bare(stanza)
    found = await inner.check_many([claim(), claim(status="married"), claim(status="a\nb")], question())
    assert [one.outcome.kind.value for one in found] == ["NEEDS_ATTRIBUTE", "MATCH", "UNAVAILABLE"]
    found = await inner.check_many([claim(), claim(status="a\nb")], question())
    assert [one.outcome.kind.value for one in found] == ["NEEDS_ATTRIBUTE", "UNAVAILABLE"]
    await inner.aclose()


@given(st.text(), st.sampled_from(ENCODINGS))
def test_a_header_carries_all_of_a_text_or_the_text_is_refused(said: str, encoding: str) -> None:
    try:
        sent = headers_of({"X": "<{context.case}>"}, {"context": {"case": said}}, encoding=encoding)["X"]
    except Unsendable:
        return
    assert not any(octet < 0x20 or octet == 0x7F for octet in sent)
    read = unquote(sent.decode()) if encoding == "percent" else sent.decode()
    assert read == f"<{said}>"


@pytest.mark.parametrize(
    ("headers", "secret", "said"),
    [
        ({"X Case": "a"}, "k", "no name"),
        ({"": "a"}, "k", "no name"),
        ({"X-Unit": "审批局"}, "k", "the text"),
        ({"X-Unit": "a\nb"}, "k", "the text"),
        ({"X-Key": "{secret.app}"}, "钥匙", "a secret"),
        ({"X-Key": "{secret.app}"}, "a\nb", "a secret"),
    ],
)
@pytest.mark.parametrize("place", ["source", "fact"])
def test_headers_that_could_never_be_sent_are_refused_at_the_start(
    tmp_path: Path, headers: dict[str, str], secret: str, said: str, place: str
) -> None:
    (tmp_path / "app").write_text(secret)
    stanza = {**http_stanza("https://example.invalid"), "secrets": {"app_file": str(tmp_path / "app")}}
    table = stanza if place == "source" else stanza["facts"][FACT]  # type: ignore[index]
    table["headers"] = headers  # type: ignore[index]
    with pytest.raises(StanzaError) as refused:
        connect("s", stanza, now=now)
    assert [said in mistake and "headers." in mistake for mistake in refused.value.mistakes] == [True]


def test_bytes_beyond_ascii_are_allowed_where_the_stanza_says_utf_8() -> None:
    stanza = http_stanza("https://example.invalid", headers={"X-Unit": "审批局"})
    assert connect("s", {**stanza, "header_encoding": "utf-8"}, now=now).manifest.department
