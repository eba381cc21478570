"""What a service says beyond the answer to what it was asked is never anybody's answer."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpcore
import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from connectors.catalog import connect
from connectors.connector import Claim
from connectors.outcome import Kind
from connectors.resilience import Resilient
from connectors.transports.wire import Trust, Wire
from tests.connectors.people import LI, ZHANG, claim, http_stanza, now, question
from tests.connectors.test_http_tls import certify

Write = Callable[[asyncio.StreamWriter, bytes, int], Awaitable[None]]
"""Writes an answer; told the number of the question on its connection, from 1."""
CODES = {"subject.id_number": "N", "subject.name": "X"}
WARNED = {"event": "source says more than it was asked", "source": "civil-affairs", "log_level": "warning"}


class Service:
    """A match service that says of Zhang that all agrees, and of everybody else that nothing does; it names nobody."""

    def __init__(self, write: Write, greeting: bytes = b"") -> None:
        self._write = write
        self._greeting = greeting
        self.questions: list[int] = []
        self.writers: list[asyncio.StreamWriter] = []
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        self.questions.append(0)
        connection = len(self.questions) - 1
        writer.write(self._greeting)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
                asked = json.loads(await reader.readexactly(length))
                self.questions[connection] += 1
                await self._write(writer, answer(asked["id"]), self.questions[connection])
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


def answer(number: str) -> bytes:
    code = "1" if number == ZHANG.id_number else "0"
    body = json.dumps({"code": "0", "data": {"N": code, "X": code}}).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body


@asynccontextmanager
async def serving(write: Write, greeting: bytes = b"", tls: ssl.SSLContext | None = None) -> AsyncIterator[Service]:
    service = Service(write, greeting)
    async with await asyncio.start_server(service.serve, "127.0.0.1", 0, ssl=tls) as listening:
        port = listening.sockets[0].getsockname()[1]
        service.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
        try:
            yield service
        finally:
            for writer in service.writers:
                writer.close()


@asynccontextmanager
async def asking(service: Service, **more: Any) -> AsyncIterator[Resilient]:
    match = {
        "mode": "match",
        "json": {"id": "{subject.id_number}", "name": "{subject.name}"},
        "records": "data",
        "codes": CODES,
        "match": ["1"],
        "mismatch": ["0"],
        **dict.fromkeys(("subject_echo", "name", "attributes", "values", "inactive", "absent", "refused", "error")),
    }
    source = connect("civil-affairs", http_stanza(service.url, answer_timeout="10s", **match, **more), now=now)
    try:
        yield source
    finally:
        await source.aclose()


async def said(source: Resilient, asked: Claim) -> Kind:
    [evidence] = await source.check_many([asked], replace(question(), case=f"case-{asked.subject.name}"))
    return evidence.outcome.kind


async def in_turn(source: Resilient, questions: int = 6) -> list[Kind]:
    return [await said(source, claim((ZHANG, LI)[number % 2])) for number in range(questions)]


RIGHT = [Kind.MATCH, Kind.MISMATCH] * 3


async def once(writer: asyncio.StreamWriter, written: bytes, _number: int) -> None:
    writer.write(written)


async def twice(writer: asyncio.StreamWriter, written: bytes, _number: int) -> None:
    writer.write(written * 2)


async def twice_the_second_time(writer: asyncio.StreamWriter, written: bytes, number: int) -> None:
    writer.write(written * (2 if number == 2 else 1))


async def once_and_a_half(writer: asyncio.StreamWriter, written: bytes, _number: int) -> None:
    writer.write(written + written[:30])


async def twice_in_parts(writer: asyncio.StreamWriter, written: bytes, _number: int) -> None:
    writer.write(written)
    writer.write(written)


async def with_an_end_of_line(writer: asyncio.StreamWriter, written: bytes, _number: int) -> None:
    writer.write(written + b"\r\n")


async def test_a_connection_is_kept_for_the_next_question() -> None:
    async with serving(once) as service, asking(service) as source:
        assert await in_turn(source) == RIGHT
        assert service.questions == [6]


@pytest.mark.parametrize("write", [twice, twice_the_second_time, once_and_a_half, twice_in_parts])
async def test_an_answer_too_many_is_nobodys_answer_and_every_question_gets_a_connection_of_its_own(
    write: Write,
) -> None:
    with capture_logs() as logged:
        async with serving(write) as service, asking(service) as source:
            assert await in_turn(source) == RIGHT
            assert service.questions[1:] == [1] * len(service.questions[1:])
    assert logged.count(WARNED) == 1


@pytest.mark.parametrize("write", [twice, twice_in_parts])
async def test_an_answer_too_many_under_tls_is_nobodys_answer(write: Write, tmp_path: Path) -> None:
    certify(tmp_path, "server", "127.0.0.1")
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(tmp_path / "server.pem", tmp_path / "server.key")
    ca_file = str(tmp_path / "server.pem")
    async with serving(write, tls=tls) as service, asking(service, ca_file=ca_file) as source:
        assert await in_turn(source) == RIGHT
    async with serving(once, tls=tls) as service, asking(service, ca_file=ca_file) as source:
        assert await in_turn(source) == RIGHT
        assert service.questions == [6]


async def test_what_of_two_answers_is_to_the_second_question_of_a_connection_nobody_knows_and_it_is_asked_again() -> (
    None
):
    async with serving(twice_the_second_time) as service, asking(service) as source:
        await said(source, claim(ZHANG))
        [evidence] = await source.check_many([claim(LI)], question())
        assert (evidence.outcome.kind, evidence.attempts) == (Kind.MISMATCH, 2)
        assert service.questions == [2, 1]


@pytest.mark.parametrize("turns", [0, 1, 5])
async def test_what_arrives_while_nobody_asks_is_nobodys_answer(turns: int) -> None:
    async with serving(once) as service, asking(service) as source:
        assert await said(source, claim(ZHANG)) is Kind.MATCH
        service.writers[0].write(answer(ZHANG.id_number))
        for _ in range(turns):
            await asyncio.sleep(0)
        assert await in_turn(source) == RIGHT
        assert service.questions[0] == 1


async def test_an_end_of_line_too_many_costs_the_connection_and_nothing_else() -> None:
    with capture_logs() as logged:
        async with serving(with_an_end_of_line) as service, asking(service) as source:
            assert await in_turn(source) == RIGHT
            assert service.questions == [1] * 6
    assert logged == []


async def test_a_service_that_speaks_before_it_is_asked_is_not_asked() -> None:
    async with serving(once, greeting=answer(ZHANG.id_number)) as service:
        trust = Trust("civil-affairs")
        address, port = service.url.removeprefix("http://").split(":")
        wire = await Wire.open(address, int(port), within=10, own=None, trust=trust)
        while not wire.get_extra_info("is_readable"):
            await asyncio.sleep(0)
        for _ in range(3):  # turns of the loop, which takes what is there
            await asyncio.sleep(0)
        with pytest.raises(httpcore.RemoteProtocolError):
            await wire.write(b"POST / HTTP/1.1\r\n")
        assert not trust.holds
        await wire.aclose()


async def test_a_service_that_takes_a_connection_away_between_questions_is_asked_on_another() -> None:
    async with serving(once) as service, asking(service) as source:
        for asked, expected in zip((ZHANG, LI, ZHANG), RIGHT, strict=False):
            assert await said(source, claim(asked)) is expected
            service.writers[-1].close()
        assert service.questions == [1, 1, 1]
