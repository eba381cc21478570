"""A department's service that misbehaves on demand: a real HTTP server on loopback, written on bare sockets.

Bare, because a web framework would not send half a body, a byte a second, or nothing.
"""

from __future__ import annotations

import asyncio
import enum
import functools
import gzip
import json
import ssl
from collections.abc import Callable, Mapping
from contextlib import suppress

from connectors.conformance.proxy import drip, reset


class Misbehaviour(enum.Enum):
    """The ways of going wrong that were met in real exchanges."""

    REFUSE = "connection reset as soon as it is made"
    SILENT = "connection accepted, nothing ever said"
    DRIP = "one byte a second"
    ERROR_TEXT_IN_200 = "HTTP 200 with an error sentence"
    LOGIN_PAGE = "HTTP 200 with an HTML login page"
    REDIRECT = "HTTP 302 to a login page"
    OTHER_SHAPE = "JSON of another shape"
    KEY_RENAMED = "the agreed JSON with another name for the last key of each record"
    UNKNOWN_CODE = "the agreed shape with a code nobody declared"
    NOT_JSON = "half a JSON text"
    GBK = "the agreed JSON in GBK"
    OTHER_PERSON = "another person's record"
    NO_SUBJECT = "a record that does not say whose it is"
    TWO_RECORDS = "two records of the person"
    EMPTY_PAGE = "HTTP 200 and no body"
    NOT_FOUND = "HTTP 404, not declared to mean anything"
    PERSONAL_DATA_IN_500 = "HTTP 500 whose body tells the person's data"
    DIES_MID_BODY = "connection closed in the middle of the body"
    ENDLESS = "a body without end"
    BOMB = "sixteen megabytes in a few bytes, compressed twice"
    TOO_MANY = "HTTP 429"
    BAD_REQUEST = "HTTP 400, not declared to mean anything"
    UNAUTHORISED = "HTTP 401, not declared to mean anything"
    FORBIDDEN = "HTTP 403 with an HTML login page, not declared to mean anything"
    FLAPPING = "every second connection reset"
    TWICE = "each answer written twice, on connections that are kept"


_LOGIN_PAGE = b"<!doctype html><title>login</title><form></form>"

Json = Mapping[str, object]
Good = Json | Callable[[bytes], Json]
"""A good answer, or what makes it of a request (head and body)."""


class FaultServer:
    """Serves one good answer, or a misbehaviour in its place.

    With `tls` it speaks HTTPS. `good` is the agreed answer about `person` (identity number and name, both in it);
    `asked` counts connections.
    Use as an asynchronous context manager; `url` is where it listens.
    """

    def __init__(self, good: Good, *, person: tuple[str, str], tls: ssl.SSLContext | None = None) -> None:
        self._good = good
        self._person = person
        self._tls = tls
        self._fault: Misbehaviour | None = None
        self._server: asyncio.Server | None = None
        self._handlers: set[asyncio.Task[None]] = set()
        self.asked = 0
        self.requests: list[bytes] = []
        self.url = ""

    def misbehave(self, misbehaviour: Misbehaviour | None) -> None:
        """Commit this misbehaviour from now on; None for good behaviour."""
        self._fault = misbehaviour

    def answer(self, good: Good) -> None:
        """Give another good answer from now on."""
        self._good = good

    async def __aenter__(self) -> FaultServer:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        host, port = self._server.sockets[0].getsockname()[:2]
        self.url = f"{'https' if self._tls else 'http'}://{host}:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for handler in self._handlers:
            handler.cancel()
        await asyncio.gather(*self._handlers, return_exceptions=True)
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._handlers.add(task)
        task.add_done_callback(self._handlers.discard)
        self.asked += 1
        try:
            # One that was cancelled must end quietly: asyncio reports a cancelled connection handler as an error.
            with suppress(ConnectionError, ssl.SSLError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await self._converse(reader, writer)
        finally:
            writer.close()
            with suppress(ConnectionError, ssl.SSLError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        misbehaviour = self._fault
        if misbehaviour is Misbehaviour.REFUSE or (misbehaviour is Misbehaviour.FLAPPING and self.asked % 2):
            reset(writer)
            return
        request = await _request(reader)
        self.requests.append(request)
        good = self._good(request) if callable(self._good) else self._good
        if misbehaviour is Misbehaviour.SILENT:
            await reader.read()  # until the other side gives up
        elif misbehaviour is Misbehaviour.DRIP:
            await drip(writer, _http(200, _json(good)))
        elif misbehaviour is Misbehaviour.ENDLESS:
            await _flood(writer)
        elif misbehaviour is Misbehaviour.TWICE:
            await self._twice(request, reader, writer)
        else:
            writer.write(self._spoilt(misbehaviour, good))
            await writer.drain()

    async def _twice(self, request: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            good = self._good(request) if callable(self._good) else self._good
            writer.write(_http(200, _json(good), kept=True) * 2)
            await writer.drain()
            request = await _request(reader)
            self.requests.append(request)

    def _spoilt(self, misbehaviour: Misbehaviour | None, answer: Json) -> bytes:
        number, name = self._person
        good = _json(answer).decode()
        texts: dict[Misbehaviour | None, bytes] = {
            None: _http(200, good.encode()),
            Misbehaviour.FLAPPING: _http(200, good.encode()),
            Misbehaviour.ERROR_TEXT_IN_200: _http(200, "没有数据或者时间格式错误".encode()),
            Misbehaviour.LOGIN_PAGE: _http(200, _LOGIN_PAGE, kind="text/html"),
            Misbehaviour.REDIRECT: _http(302, b"", "Location: /login\r\n"),
            Misbehaviour.OTHER_SHAPE: _http(200, _json({"ret": 0, "payload": [[number]], "data": number})),
            Misbehaviour.KEY_RENAMED: _http(200, _json(_renamed(answer))),
            Misbehaviour.UNKNOWN_CODE: _http(200, _json({**answer, "code": "E-999"})),
            Misbehaviour.NOT_JSON: _http(200, good[: len(good) // 2].encode()),
            Misbehaviour.GBK: _http(200, good.encode("gbk"), kind="application/json;charset=GBK"),
            Misbehaviour.OTHER_PERSON: _http(200, good.replace(number, "110101199003071233").encode()),
            Misbehaviour.NO_SUBJECT: _http(200, good.replace(f'"{number}"', "null").encode()),
            Misbehaviour.TWO_RECORDS: _http(200, _json(_doubled(answer))),
            Misbehaviour.EMPTY_PAGE: _http(200, b""),
            Misbehaviour.NOT_FOUND: _http(404, b"not found", kind="text/plain"),
            Misbehaviour.PERSONAL_DATA_IN_500: _http(500, f"NullPointerException: {name} {number}".encode()),
            Misbehaviour.DIES_MID_BODY: _http(200, good.encode())[:-5],
            Misbehaviour.BOMB: _http(200, _bomb(), "Content-Encoding: gzip, gzip\r\n"),
            Misbehaviour.TOO_MANY: _http(429, b""),
            Misbehaviour.BAD_REQUEST: _http(400, f'{{"message": "{number}"}}'.encode()),
            Misbehaviour.UNAUTHORISED: _http(401, b""),
            Misbehaviour.FORBIDDEN: _http(403, _LOGIN_PAGE, kind="text/html"),
        }
        return texts[misbehaviour]


@functools.cache
def _bomb() -> bytes:
    return gzip.compress(gzip.compress(bytes(2**24)))


def _json(tree: object) -> bytes:
    return json.dumps(tree, ensure_ascii=False).encode()


def _doubled(tree: object) -> object:
    """Write every list of records twice over."""
    if isinstance(tree, Mapping):
        return {key: _doubled(part) for key, part in tree.items()}
    return [*tree, *tree] if isinstance(tree, list) else tree


def _renamed(tree: object) -> object:
    """Write another name for the last key of every record in a list."""
    if isinstance(tree, Mapping):
        return {key: _renamed(part) for key, part in tree.items()}
    return [_with_another_name(one) for one in tree] if isinstance(tree, list) else tree


def _with_another_name(record: object) -> object:
    if not isinstance(record, Mapping) or not record:
        return record
    *others, (key, part) = record.items()
    return {**dict(others), f"new_{key}": part}


def _http(status: int, body: bytes, headers: str = "", *, kind: str = "application/json", kept: bool = False) -> bytes:
    head = f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n{headers}"
    end = "\r\n" if kept else "Connection: close\r\n\r\n"
    return f"{head}{end}".encode() + body


async def _request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    return head + await reader.readexactly(length)


async def _flood(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 X\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n[")
    while True:
        writer.write(b'"x",' * 4096)
        await writer.drain()
