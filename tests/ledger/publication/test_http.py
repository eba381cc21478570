"""The published log over HTTP: the gateway's own server on loopback, asked by real clients."""

from __future__ import annotations

import asyncio
import gzip
import http.client
import socket
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from gateway.bootstrap.ledger import open_ledger
from gateway.bootstrap.serving import Gateway
from gateway.config import load_settings
from gateway.console.log import accepts_gzip, log_application
from gateway.console.server import http_server
from gateway.errors import ConfigurationError
from gateway.founding import House as GatewayHouse
from gateway.founding import found
from ledger import Ledger, LedgerDamaged, LedgerUnavailable, PublicationUnavailable, ResourceMissing, parse_vkey
from ledger.commands import check_published
from ledger.publication.client import open_published
from ledger.publication.paths import implied
from ledger.publication.resources import Publication, Resource
from ledger.publication.sources import HttpSource
from tests.ledger.house import ORIGIN, House
from tests.ledger.publication.logs import grow

SOURCES = """
[sources.a]
kind = "dropbox"
department = "示例"
folder = "/n"
[sources.a.facts.home-ownership]
key = "a"
"""


@pytest.fixture
async def client(sqlite_ledger: Ledger) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a server that publishes 600 entries."""
    grow(sqlite_ledger, 600)
    application = log_application(sqlite_ledger.publication(), sqlite_ledger.read)
    async with (
        http_server(application, host="127.0.0.1", port=0, drain=5) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as made,
    ):
        yield made


async def test_every_implied_resource_is_served_with_its_headers(
    client: httpx.AsyncClient, sqlite_ledger: Ledger
) -> None:
    note = await client.get("/checkpoint")
    assert note.content == sqlite_ledger.checkpoint()
    assert note.headers["content-type"] == "text/plain; charset=utf-8"
    assert note.headers["cache-control"] == "no-cache"
    for path in implied(600):
        answer = await client.get(f"/{path}")
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/octet-stream"
        assert "immutable" in answer.headers["cache-control"]
        assert answer.content == sqlite_ledger.publication().get(str(path)).body


async def test_security_headers_are_on_every_answer(client: httpx.AsyncClient) -> None:
    answers = [
        await client.get("/checkpoint"),
        await client.get("/tile/0/000"),
        await client.get("/nothing"),
        await client.post("/checkpoint"),
    ]
    for answer in answers:
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "server" not in answer.headers
        assert "set-cookie" not in answer.headers


async def test_bundles_are_compressed_for_whoever_accepts_it_and_tiles_never(client: httpx.AsyncClient) -> None:
    answers: dict[tuple[str, str], httpx.Response] = {}
    for path in ("/tile/entries/000", "/tile/entries/002.p/88", "/tile/0/000", "/checkpoint"):
        for accepted in ("gzip", "identity"):
            answers[path, accepted] = await client.get(path, headers={"accept-encoding": accepted})
    packed, plain = answers["/tile/entries/000", "gzip"], answers["/tile/entries/000", "identity"]
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.headers["vary"] == plain.headers["vary"] == "accept-encoding"
    assert packed.headers["etag"] != plain.headers["etag"]
    assert int(packed.headers["content-length"]) < int(plain.headers["content-length"])
    assert packed.content == plain.content
    for (path, accepted), answer in answers.items():
        expected = accepted == "gzip" and "entries" in path
        assert ("content-encoding" in answer.headers) == expected


async def test_head_tells_the_headers_of_get_and_sends_nothing(client: httpx.AsyncClient) -> None:
    for path in ("/checkpoint", "/tile/0/000", "/tile/entries/001", "/nothing"):
        head, got = await client.head(path), await client.get(path)
        assert head.status_code == got.status_code
        assert head.content == b""
        for name in set(got.headers) - {"date"}:
            assert head.headers[name] == got.headers[name]


async def test_what_a_cache_has_is_not_sent_again(client: httpx.AsyncClient) -> None:
    etag = (await client.get("/tile/0/000")).headers["etag"]
    for known in (etag, f'"x", {etag}', f"W/{etag}", "*"):
        again = await client.get("/tile/0/000", headers={"if-none-match": known})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    assert (await client.get("/tile/0/000", headers={"if-none-match": '"other"'})).status_code == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_other_methods_are_refused(client: httpx.AsyncClient, method: str) -> None:
    answer = await client.request(method, "/checkpoint")
    assert answer.status_code == 405
    assert set(answer.headers["allow"].replace(" ", "").split(",")) == {"GET", "HEAD"}


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (b"/", 404),
        (b"/checkpoint/", 404),
        (b"//checkpoint", 404),
        (b"/tile/0/0", 400),
        (b"/tile/0/0000", 400),
        (b"/tile/00/000", 400),
        (b"/tile/0/x000/000", 400),
        (b"/tile/0/000.p/0", 400),
        (b"/tile/0/000.p/01", 400),
        (b"/tile/0/000.p/256", 400),
        (b"/tile/64/000", 400),
        (b"/tile/../checkpoint", 400),
        (b"/tile/0/%30%30%30", 400),
        (b"/tile/0/..%2f..%2fcheckpoint", 400),
        (b"/%63heckpoint", 400),
        (b"/tile/0/003", 404),
        (b"/tile/0/002", 404),
        (b"/tile/0/002.p/89", 404),
        (b"/tile/2/000.p/1", 404),
        (b"/tile/0/x999/x999/x999/999", 404),
    ],
)
async def test_malformed_and_missing_paths_are_told_apart(client: httpx.AsyncClient, path: bytes, status: int) -> None:
    """Asked through a bare connection, for a client would mend the path."""
    port = client.base_url.port

    def ask() -> tuple[int, str | None]:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.sendall(b"GET " + path + b" HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            answer = http.client.HTTPResponse(connection)
            answer.begin()
            return answer.status, answer.getheader("cache-control")

    assert await asyncio.to_thread(ask) == (status, "no-store")


@pytest.mark.parametrize(
    ("header", "accepted"),
    [
        ("", False), ("gzip", True), ("GZIP", True), ("deflate, gzip;q=0.5", True), ("gzip;q=0", False),
        ("gzip; q=0.000", False), ("*", True), ("*;q=0", False), ("gzip;q=0, *", False), ("identity", False),
        ("gzip;q=nonsense", False), ("gzip;", False), ("br;q=1.0, *;q=0.1", True), ("x-gzip", False),
    ],
)  # fmt: skip
def test_accept_encoding_is_read_as_the_rfc_says(header: str, accepted: bool) -> None:
    assert accepts_gzip(header) is accepted


async def test_an_outsider_checks_the_whole_log_over_http(
    client: httpx.AsyncClient, sqlite_house: House, sqlite_ledger: Ledger
) -> None:
    place, keys = str(client.base_url), [sqlite_house.signer.verifier]
    report = await asyncio.to_thread(check_published, place, verifiers=keys, origin=ORIGIN)
    assert report.sound
    assert report.seen.size == 600

    def receipt() -> bytes:
        with open_published(place, keys, ORIGIN) as log:
            return log.receipt(log.checkpoint(), 300)

    assert await asyncio.to_thread(receipt) == sqlite_ledger.receipt(300)


class Failing(Publication):
    """A publication whose store fails, or takes as long as it is told."""

    def __init__(self, answer: Callable[[], Resource]) -> None:
        self._answer = answer

    def get(self, path: str, coding: str = "identity") -> Resource:
        return self._answer()


def fail(failure: Exception) -> Callable[[], Resource]:
    def answer() -> Resource:
        raise failure

    return answer


@pytest.mark.parametrize(
    ("failure", "status"), [(LedgerUnavailable("x"), 503), (LedgerDamaged("tile 0 of level 0 is missing"), 500)]
)
async def test_a_failing_store_is_an_error_that_no_cache_keeps(
    sqlite_ledger: Ledger, failure: Exception, status: int
) -> None:
    application = log_application(Failing(fail(failure)), sqlite_ledger.read)
    async with http_server(application, host="127.0.0.1", port=0, drain=5) as port, httpx.AsyncClient() as client:
        answer = await client.get(f"http://127.0.0.1:{port}/checkpoint")
    assert (answer.status_code, answer.headers["cache-control"], answer.content) == (status, "no-store", b"")


async def test_a_slow_store_blocks_neither_the_event_loop_nor_the_ledgers_readers(sqlite_ledger: Ledger) -> None:
    release = threading.Event()

    def slow() -> Resource:
        assert release.wait(30)
        return Resource(body=b"late", media_type="text/plain", cache_control="no-cache", etag='"x"')

    application = log_application(Failing(slow), sqlite_ledger.read)
    async with (
        http_server(application, host="127.0.0.1", port=0, drain=5) as port,
        httpx.AsyncClient(limits=httpx.Limits(max_connections=200), timeout=30) as client,
    ):
        address = f"http://127.0.0.1:{port}/checkpoint"
        waiting = [asyncio.create_task(client.get(address)) for _ in range(140)]
        refused, pending = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        assert {task.result().status_code for task in refused} == {503}
        assert await sqlite_ledger.read(sqlite_ledger.size) == 0
        release.set()
        answers = [task.result() for task in (await asyncio.wait(pending))[0]]
    assert [answer.content for answer in answers if answer.status_code == 200] == [b"late"] * 128


async def until_closed(port: int, release: threading.Event) -> None:
    """Let the slow answer end once nobody new is let in."""
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:  # refused, or reset while the listener closes
            release.set()
            return
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def test_stopping_lets_running_answers_end(sqlite_ledger: Ledger) -> None:
    begun, release = threading.Event(), threading.Event()

    def slow() -> Resource:
        begun.set()
        assert release.wait(30)
        return Resource(body=b"whole", media_type="text/plain", cache_control="no-cache", etag='"x"')

    application = log_application(Failing(slow), sqlite_ledger.read)
    async with httpx.AsyncClient(timeout=30) as client:
        async with http_server(application, host="127.0.0.1", port=0, drain=20) as port:
            asked = asyncio.create_task(client.get(f"http://127.0.0.1:{port}/checkpoint"))
            assert await asyncio.to_thread(begun.wait, 30)
            closed = asyncio.create_task(until_closed(port, release))
        await closed
        assert (await asked).content == b"whole"
        with pytest.raises(httpx.ConnectError):
            await client.get(f"http://127.0.0.1:{port}/checkpoint")


async def test_an_address_in_use_is_told_by_name(sqlite_ledger: Ledger) -> None:
    application = log_application(sqlite_ledger.publication(), sqlite_ledger.read)
    async with http_server(application, host="127.0.0.1", port=0, drain=1) as port:
        with pytest.raises(ConfigurationError, match="cannot be bound"):
            async with http_server(application, host="127.0.0.1", port=port, drain=1):
                pass


def serve_raw(answer: bytes) -> tuple[str, threading.Thread]:
    """Answer each of a few connections with the same bytes."""
    listener = socket.create_server(("127.0.0.1", 0))

    def run() -> None:
        with listener:
            listener.settimeout(10)
            for _ in range(3):
                try:
                    connection, _ = listener.accept()
                except TimeoutError:
                    return
                with connection:
                    connection.recv(65536)
                    connection.sendall(answer)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return f"http://127.0.0.1:{listener.getsockname()[1]}", thread


def answer_with(status: bytes, *headers: bytes, body: bytes = b"") -> bytes:
    return b"\r\n".join([b"HTTP/1.1 " + status, *headers, b"connection: close", b"", body])


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        (answer_with(b"302 Found", b"location: /elsewhere"), PublicationUnavailable),
        (answer_with(b"500 Oops", b"content-length: 0"), PublicationUnavailable),
        (answer_with(b"404 Not Found", b"content-length: 0"), ResourceMissing),
        (answer_with(b"410 Gone", b"content-length: 0"), ResourceMissing),
        (answer_with(b"200 OK", b"content-length: 50", body=b"short"), PublicationUnavailable),
        (b"garbage", PublicationUnavailable),
        (b"", PublicationUnavailable),
        (answer_with(b"200 OK", b"content-encoding: gzip", body=b"not gzip"), PublicationUnavailable),
    ],
)
def test_a_server_that_answers_otherwise_is_told(answer: bytes, failure: type[Exception]) -> None:
    place, _ = serve_raw(answer)
    with HttpSource(place) as source, pytest.raises(failure):
        source.fetch("checkpoint", 1000)


def test_more_bytes_than_a_resource_can_have_are_not_taken_in() -> None:
    from ledger import PublicationDamaged

    bomb = gzip.compress(bytes(64 << 20), 9)
    place, _ = serve_raw(answer_with(b"200 OK", b"content-encoding: gzip", body=bomb))
    with HttpSource(place) as source, pytest.raises(PublicationDamaged, match="longer"):
        source.fetch("checkpoint", 1000)


def gateway_house(tmp_path: Path, listen: str) -> GatewayHouse:
    house = found(tmp_path / "var", now=datetime.now(UTC), sources=SOURCES, listen="127.0.0.1:0")
    text = house.config.read_text("utf-8")
    assert '[publication]\nlisten = ""' in text
    house.config.write_text(text.replace('[publication]\nlisten = ""', f"[publication]\nlisten = {listen}"), "utf-8")
    return house


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


async def test_a_running_gateway_publishes_its_log_and_stops_with_it(tmp_path: Path) -> None:
    port = free_port()
    house = gateway_house(tmp_path, f'"127.0.0.1:{port}"')
    settings, stop = load_settings(house.config), asyncio.Event()
    ready: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(Gateway(settings).serve(ready.set_result, stop))
    await asyncio.wait({serving, ready}, return_when=asyncio.FIRST_COMPLETED)
    assert not serving.done()
    key = parse_vkey(house.vkey.read_text("utf-8"))
    place = f"http://127.0.0.1:{port}/"
    report = await asyncio.to_thread(check_published, place, verifiers=[key], origin=settings.ledger.origin)
    stop.set()
    await serving
    assert report.sound
    assert report.seen.size == 1, "the catalogue that was enacted"
    with pytest.raises(PublicationUnavailable):
        await asyncio.to_thread(check_published, place, verifiers=[key], origin=settings.ledger.origin)


async def test_a_gateway_whose_publication_cannot_be_bound_serves_nothing(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        house = gateway_house(tmp_path, f'"127.0.0.1:{taken.getsockname()[1]}"')
        with pytest.raises(ConfigurationError, match="cannot be bound"):
            await Gateway(load_settings(house.config)).serve(lambda _port: pytest.fail("served"), asyncio.Event())
    with open_ledger(load_settings(house.config).ledger) as ledger:  # the lock was given back
        assert ledger.size() == 1


@pytest.mark.parametrize("listen", ['"8480"', '":8480"', '"localhost:"', '"localhost:99999"', '"localhost:-1"', "8480"])
def test_a_wrong_address_is_a_mistake_of_the_configuration(tmp_path: Path, listen: str) -> None:
    with pytest.raises(ConfigurationError, match=r"publication\.listen"):
        load_settings(gateway_house(tmp_path, listen).config)


def test_publishing_is_off_unless_asked_for(tmp_path: Path) -> None:
    house = gateway_house(tmp_path, '""')
    assert load_settings(house.config).publication is None
    text = house.config.read_text("utf-8")
    house.config.write_text(text.replace('[publication]\nlisten = ""', ""), "utf-8")
    assert load_settings(house.config).publication is None


def test_an_ipv6_address_is_read(tmp_path: Path) -> None:
    publication = load_settings(gateway_house(tmp_path, '"[::1]:8480"').config).publication
    assert publication is not None
    assert (publication.host, publication.port) == ("::1", 8480)
