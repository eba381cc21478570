"""Whoever is asked outside holds nobody longer than agreed, and gives no more than agreed."""

from __future__ import annotations

import gzip
import threading
import time

import pytest

from ledger.exchange import ExchangeFailed, exchange, is_web
from tests.ledger.peers import BODY, HEAD, answering


def refusal(url: str, *, seconds: float = 5, longest: int = 100, content: bytes | None = None) -> str:
    with pytest.raises(ExchangeFailed) as refused:
        exchange(url, seconds=seconds, longest=longest, content=content)
    return str(refused.value)


@pytest.mark.parametrize("first", [b"", HEAD, BODY], ids=["nothing", "head", "body"])
@pytest.mark.parametrize("content", [None, b"question"], ids=["get", "post"])
def test_whoever_drips_is_given_up_in_time_and_leaves_no_thread(first: bytes, content: bytes | None) -> None:
    with answering(first, dripping=True) as url:
        began = time.monotonic()
        assert refusal(url, seconds=0.3, longest=1 << 20, content=content) == "no answer in time"
        assert time.monotonic() - began < 5
        for _ in range(200):
            if not any(thread.name == "exchange" for thread in threading.enumerate()):
                return
            time.sleep(0.02)
    raise AssertionError("the thread that asked goes on")


def test_an_answer_longer_than_agreed_is_refused() -> None:
    with answering(b"HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n" + bytes(101)) as url:
        assert refusal(url) == "the answer is longer than 100 bytes"


def test_a_compressed_answer_is_refused_unread() -> None:
    packed = gzip.compress(bytes(100))
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)
    with answering(head + packed) as url:
        assert refusal(url, longest=1 << 20) == "the answer is compressed, which was not asked for"


@pytest.mark.parametrize("answer", [b"", b"no HTTP\r\n\r\n", BODY + b"short"], ids=["closed", "not-http", "cut-short"])
def test_no_answer_is_named_without_an_address(answer: bytes) -> None:
    with answering(answer) as url:
        assert refusal(url) == "RemoteProtocolError"


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://127.0.0.1:1/", "ConnectError"),
        ("http://[::1", "InvalidURL"),
        ("http://a\x01b/", "InvalidURL"),
        ("ftp://127.0.0.1/", "UnsupportedProtocol"),
        ("http://xn--/", "IDNAError"),
        ("http://127.0.0.1:99999/", "OverflowError"),
    ],
)
def test_an_address_that_cannot_be_asked_fails_as_such(url: str, told: str) -> None:
    assert refusal(url) == told


@pytest.mark.parametrize(
    "url", ["http://xn--/", "http://h:99999/", "http://a\x01b/", "http://[::1", "http://", "ftp://h/"]
)
def test_a_url_that_cannot_be_asked_is_taken_for_no_path(url: str) -> None:
    with pytest.raises(ValueError, match="can be asked"):
        is_web(url)


def test_the_scheme_is_read_without_case_and_a_path_is_no_url() -> None:
    assert is_web("HTTP://h/")
    assert is_web("httpS://h:65535/x")
    assert not any(is_web(path) for path in ("", "folder", "/a/b", "a:b", "http:/h", "a/b://c"))


def test_a_redirect_is_an_answer_and_not_followed() -> None:
    with answering(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n") as url:
        assert exchange(url, seconds=5, longest=100).status == 302


def test_a_whole_answer_comes_with_its_status_and_media_type() -> None:
    with answering(b"HTTP/1.1 200 OK\r\nContent-Type: Text/Plain; charset=x\r\nContent-Length: 2\r\n\r\nok") as url:
        reply = exchange(url, seconds=5, longest=2)
    assert (reply.status, reply.kind, reply.body) == (200, "text/plain", b"ok")
