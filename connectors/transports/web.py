"""Ask over HTTP and take no more than was agreed: verified TLS, no redirects, bounded size, bounded time."""

from __future__ import annotations

import asyncio
import logging
import ssl
import zlib
from collections.abc import Collection, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpcore
import httpx

from connectors.errors import NotAsked, SourceUnavailable
from connectors.outcome import Cause, unavailable
from connectors.stanza import Stanza
from connectors.transports.resolution import OwnTransport

# Both write whole URLs and headers, which carry id numbers and keys, into the log at INFO and DEBUG.
for _name in ("httpx", "httpcore"):
    logging.getLogger(_name).setLevel(logging.WARNING)


_OF_ANOTHER_HOST = (62, 64)
"""OpenSSL's codes for a certificate that is not of the host name, or of the address."""


_MEDIA = ("application/json", "application/xml", "text/html", "text/plain", "text/xml")
"""What may be told of a head: it is the service that writes it, and could write anything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An HTTP answer within the bounds: status and whole body, and its media type if that is a usual one."""

    status: int
    body: bytes
    media: str = ""

    def __str__(self) -> str:
        return f"HTTP {self.status}, {self.media or 'no usual media type'}"


class WebClient:
    """An HTTP client for one department. The connection pool opens on first use."""

    def __init__(
        self, source: str, *, url: str, tls: ssl.SSLContext, timeout: timedelta, most_bytes: int, connections: int
    ) -> None:
        self._source = source
        self._timeout = timeout.total_seconds()
        self._most_bytes = most_bytes
        self._client = httpx.AsyncClient(
            base_url=url,
            transport=OwnTransport(source, tls=tls, connections=connections),
            trust_env=False,  # a proxy from the environment would see what is asked about whom
            follow_redirects=False,
            timeout=httpx.Timeout(self._timeout, connect=min(self._timeout, 3.0)),
            headers={"Accept-Encoding": "identity"},
        )

    async def send(
        self,
        method: str,
        where: str,
        headers: Mapping[str, bytes],
        *,
        declared: Collection[int] = (),
        **body: Any,
    ) -> Answer:
        """Send a request (`params`, `json` or `data`, as httpx takes them) and read the whole answer.

        Raises:
            NotAsked: it cannot be written as a request (a text that is no Unicode, an address too long).
            SourceUnavailable: no whole answer within the bounds of time and size, or a 5xx, 429 or redirect that is
                not among the statuses `declared`.
        """
        try:
            written = [(name.encode(), value) for name, value in headers.items()]
            request = self._client.build_request(method, where, headers=written, **body)
        except (UnicodeError, httpx.InvalidURL) as error:
            raise NotAsked(
                self._source, unavailable(Cause.GARBLED, why=type(error).__name__), type(error).__name__
            ) from None
        try:
            async with asyncio.timeout(self._timeout):  # httpx bounds each read; a byte a second passes that
                async with aclosing(await self._client.send(request, stream=True)) as response:
                    if response.status_code not in declared:
                        self.require_usual(response.status_code)
                    return Answer(status=response.status_code, body=await self._read(response), media=_media(response))
        except (httpcore.ConnectTimeout, httpcore.ConnectError) as error:
            cause = Cause.TIMEOUT if isinstance(error, httpcore.ConnectTimeout) else Cause.OUTAGE
            raise self._fault(cause, "no connection", connecting=True, why=_why(error)) from None
        except httpcore.PoolTimeout:
            raise self._fault(Cause.OVERLOAD, "no connection became free in time", connecting=True) from None
        except (TimeoutError, httpcore.TimeoutException):
            raise self._fault(Cause.TIMEOUT, "no whole answer in time") from None
        except (httpcore.NetworkError, httpcore.ProtocolError, httpx.HTTPError, ssl.SSLError, OSError) as error:
            raise self._fault(Cause.OUTAGE, type(error).__name__) from None

    async def _read(self, response: httpx.Response) -> bytes:
        coding = response.headers.get("content-encoding", "identity").strip().lower()
        if coding not in ("identity", "gzip"):
            raise self._fault(Cause.GARBLED, "an answer encoded otherwise than asked for")
        read = bytearray()
        # As it comes: httpx would unpack every layer that the head names before anybody could look at the size.
        async for part in response.aiter_raw():
            read += part
            if len(read) > self._most_bytes:
                raise self._fault(Cause.GARBLED, f"an answer of more than {self._most_bytes} bytes")
        return self._unpacked(bytes(read)) if coding == "gzip" and read else bytes(read)

    def _unpacked(self, read: bytes) -> bytes:
        """Unpack one layer of gzip, within the bound: some gateways compress whatever they are asked for."""
        unpacking = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        try:
            unpacked = unpacking.decompress(read, self._most_bytes + 1)
        except zlib.error:
            raise self._fault(Cause.GARBLED, "an answer that is no gzip") from None
        if len(unpacked) > self._most_bytes:
            raise self._fault(Cause.GARBLED, f"an answer of more than {self._most_bytes} bytes")
        if not unpacking.eof or unpacking.unused_data:
            raise self._fault(Cause.GARBLED, "an answer that is not one whole gzip member")
        return unpacked

    def require_usual(self, status: int) -> None:
        """Require a status by which a service answers: 2xx or 4xx, but for 429.

        Raises:
            SourceUnavailable: what it is that the status says.
        """
        if status == 429:
            raise self._fault(Cause.OVERLOAD, "HTTP 429")
        if status >= 500:
            raise self._fault(Cause.OUTAGE, f"HTTP {status}")
        if not 200 <= status < 300 and not 400 <= status < 500:
            raise self._fault(Cause.GARBLED, f"HTTP {status}")

    def _fault(self, cause: Cause, detail: str, *, connecting: bool = False, why: str = "") -> SourceUnavailable:
        return SourceUnavailable(self._source, cause, detail, connecting=connecting, why=why)

    async def aclose(self) -> None:
        """Close the pool."""
        await self._client.aclose()


def _media(response: httpx.Response) -> str:
    told = str(response.headers.get("content-type", "")).partition(";")[0].strip().lower()
    return told if told in _MEDIA else ""


def _why(error: BaseException) -> str:
    """Say why there is no connection, where it is not for a moment only."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            is_of_another = cause.verify_code in _OF_ANOTHER_HOST
            return "the certificate is " + ("another host's" if is_of_another else "not one that `ca_file` vouches for")
        cause = cause.__cause__ or cause.__context__
    return ""


def read_tls(stanza: Stanza) -> ssl.SSLContext:
    """Read `ca_file` (else the system's), and `client_cert_file` with `client_key_file`; TLS 1.2 at least."""
    context = ssl.create_default_context()
    ca, cert, key = (stanza.text(name, "") for name in ("ca_file", "client_cert_file", "client_key_file"))
    try:
        if ca:
            context = ssl.create_default_context(cafile=ca)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
    except (OSError, ssl.SSLError) as error:
        stanza.mistake("ca_file", f"cannot be used ({type(error).__name__})")
    try:
        if cert:
            context.load_cert_chain(cert, key or None)
        elif key:
            stanza.mistake("client_cert_file", "is missing beside `client_key_file`")
    except (OSError, ssl.SSLError) as error:
        stanza.mistake("client_cert_file", f"cannot be used ({type(error).__name__})")
    return context
