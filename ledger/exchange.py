"""One HTTP exchange with somebody outside, bounded as a whole: in seconds and in bytes, head and body."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import wait
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from ledger.detached import detached
from ledger.errors import LedgerError

if TYPE_CHECKING:
    import httpx


class ExchangeFailed(LedgerError):
    """There was no answer, or none within the bounds; the message names the kind of failure and no address."""


class AnswerTooLong(ExchangeFailed):
    """The answer is longer than was asked for; `head` is how it begins."""

    def __init__(self, longest: int, head: bytes) -> None:
        super().__init__(f"the answer is longer than {longest} bytes")
        self.head = head


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A whole answer, whatever its status."""

    status: int
    kind: str
    """The media type, in lower case without parameters; empty if none was given."""
    body: bytes = field(repr=False)


def is_web(place: str) -> bool:
    """Tell an `http://` or `https://` URL, in whatever case, from a path.

    Raises:
        ValueError: it is a URL that cannot be asked: of another scheme, without a host, or with a name or a port that
            cannot be one.
    """
    import httpx

    scheme, separator, _ = place.partition("://")
    if not separator or "/" in scheme:
        return False
    try:
        url = httpx.URL(place)
        usable = url.scheme in ("http", "https") and bool(url.host) and (url.port or 0) < 1 << 16
    except (httpx.InvalidURL, ValueError):
        usable = False
    if not usable:
        raise ValueError("is not an http or https URL that can be asked")
    return True


def client_failures() -> tuple[type[Exception], ...]:
    """Name what the HTTP client raises where there is no answer.

    It hands on what is below it: of a name that no host can have, of a port beyond the last, and groups of these.
    """
    import httpx

    return (httpx.HTTPError, httpx.InvalidURL, ValueError, OverflowError, ExceptionGroup)


def name_of(failure: BaseException | None) -> str:
    """Name a failure by its type, the first one of a group."""
    while isinstance(failure, BaseExceptionGroup):
        failure = failure.exceptions[0]
    return type(failure).__name__


def exchange(
    url: str,
    *,
    seconds: float,
    longest: int,
    content: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> Reply:
    """GET an address, or POST `content` to it; blocks for at most `seconds`, DNS and TLS included.

    A read timeout of a client alone never ends where a byte comes now and then, and a compressed body may unpack to
    any length: so the time is that of the whole, and the body is asked for as it is. Redirects are not followed.

    Raises:
        ExchangeFailed: it did not come to an answer, or the answer is longer than `longest` bytes (`AnswerTooLong`), or
            compressed.
    """
    asked = detached(lambda: asyncio.run(_within(seconds, url, longest, content, headers or {})), "exchange")
    wait((asked,), timeout=seconds)
    if not asked.done():  # a resolver cannot be interrupted: its thread is left to end by itself
        raise ExchangeFailed("no answer in time")
    return asked.result()


async def _within(seconds: float, url: str, longest: int, content: bytes | None, headers: Mapping[str, str]) -> Reply:
    import httpx

    client = httpx.AsyncClient(timeout=None, follow_redirects=False)  # noqa: S113  bounded as a whole, here below
    try:
        async with asyncio.timeout(seconds), client:
            ask = partial(client.stream, "GET" if content is None else "POST", url, content=content)
            async with ask(headers={"Accept-Encoding": "identity", **headers}) as response:
                return await _read(response, longest)
    except TimeoutError:
        raise ExchangeFailed("no answer in time") from None
    except client_failures() as failure:
        raise ExchangeFailed(name_of(failure)) from failure


async def _read(response: httpx.Response, longest: int) -> Reply:
    if response.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
        raise ExchangeFailed("the answer is compressed, which was not asked for")
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > longest:
            raise AnswerTooLong(longest, bytes(body[:longest]))
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    return Reply(status=response.status_code, kind=kind, body=bytes(body))
