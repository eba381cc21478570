"""A session with a service: short-lived values that calls are made or signed with, asked for by a request of its own.

National and provincial platforms give out a secret for some minutes against a signature by the long-term key; OAuth2
(RFC 6749, 4.4) gives out a token. One request serves all who wait, and the next is made before the values end.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

from connectors.compare import Unreadable, is_empty, text
from connectors.errors import SourceRefused, SourceUnavailable
from connectors.header import Unsendable, read_headers
from connectors.outcome import Cause
from connectors.record import Reader, moment
from connectors.request import Request, read_path
from connectors.request_body import read_body
from connectors.signing import KEY_ENCODINGS, read_key, read_signatures, signatures_for
from connectors.signs import Sign, path, read_answer_signs, require_texts
from connectors.stanza import Stanza
from connectors.template import placeholders, request_values
from connectors.transports.web import Answer, WebClient
from connectors.wrapped import FORMATS, read_wrapped, reader

_OURS = frozenset({"secret", "request", "signature", "inner"})
_LONGEST = timedelta(days=1)
"""A service that names no end, or one far away, is asked again after that."""
_PAUSE = timedelta(seconds=5)
"""After a failure to get the successor of a session that lasts."""
_KEYS = (16, 24, 32)
"""Bytes of keys of AES."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Values by which calls are made until a moment, and from when on new ones are asked for."""

    values: Mapping[str, str] = field(repr=False)
    ends: datetime
    renew: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Decryption:
    """How a value that comes encrypted is read: AES in ECB with PKCS#7, in base64, as those platforms have it."""

    key: bytes = field(repr=False)

    def read(self, value: str) -> str:
        """Decrypt a value; raises `Unreadable`."""
        try:
            sealed = base64.b64decode(value, validate=True)
            decryptor = Cipher(algorithms.AES(self.key), modes.ECB()).decryptor()  # noqa: S305  theirs, not ours
            padded = decryptor.update(sealed) + decryptor.finalize()
            unpadder = PKCS7(128).unpadder()
            return (unpadder.update(padded) + unpadder.finalize()).decode()
        except (ValueError, binascii.Error):
            raise Unreadable("a value of the session that cannot be decrypted") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRequest:
    """How a session is asked for, and how its answer is read."""

    request: Request
    read: Callable[[bytes], Any]
    success: tuple[Sign, ...]
    refused: tuple[Sign, ...]
    error: tuple[Sign, ...]
    ended: tuple[Sign, ...]
    """The signs by which answers to calls say that the session has ended."""
    values: Mapping[str, Reader]
    decrypted: Mapping[str, Decryption]
    ends: Reader | None
    lasts: Reader | None
    """Reads for how many seconds."""
    lifetime: timedelta | None
    renew_before: timedelta

    @property
    def statuses(self) -> frozenset[int]:
        """Those that a sign of the answers to calls names."""
        return frozenset(one.status for one in self.ended if one.status is not None)


class Sessions:
    """Keeps the session of one source. Belongs to one event loop."""

    def __init__(
        self,
        source: str,
        request: SessionRequest,
        *,
        client: WebClient,
        secrets: Mapping[str, str],
        header_encoding: str,
        zone: ZoneInfo,
        now: Callable[[], datetime],
        new_id: Callable[[], UUID],
    ) -> None:
        self._source = source
        self._request = request
        self._client = client
        self._secrets = secrets
        self._header_encoding = header_encoding
        self._zone = zone
        self._now = now
        self._new_id = new_id
        self._current: Session | None = None
        self._asking: asyncio.Task[Session] | None = None
        self._not_before = datetime.min.replace(tzinfo=UTC)

    @property
    def statuses(self) -> frozenset[int]:
        """Statuses of answers to calls that must be read to see that the session has ended."""
        return self._request.statuses

    async def current(self) -> Session:
        """Give the session that lasts; its successor is asked for meanwhile, once it is time to. Without one, wait.

        Raises:
            SourceUnavailable, SourceRefused: there is none, and none is to be had.
        """
        current, now = self._current, self._now()
        if current is None or now >= current.ends:
            return await asyncio.shield(self._begin())  # whoever gives up, the others go on waiting
        if now >= max(current.renew, self._not_before):
            self._not_before = now + _PAUSE  # where this one fails, the next questions do not all ask again
            self._begin()
        return current

    def _begin(self) -> asyncio.Task[Session]:
        """Ask for a session, unless somebody is asking."""
        if self._asking is None or self._asking.done():
            self._asking = asyncio.ensure_future(self._ask())
            self._asking.add_done_callback(_note)
        return self._asking

    def drop(self, session: Session) -> None:
        """Use a session no more, unless another has taken its place already."""
        if self._current is session:
            self._current = None

    def has_ended(self, answer: Answer, read: Callable[[bytes], object]) -> bool:
        """Tell whether the answer to a call says that the session has ended."""
        if any(not sign.needs_answer and sign.holds(answer.status, None) for sign in self._request.ended):
            return True
        signs = [sign for sign in self._request.ended if sign.needs_answer]
        try:
            found = read(answer.body) if signs else None
            return any(sign.holds(answer.status, found) for sign in signs)
        except Unreadable:  # whoever reads the answer says so
            return False

    async def aclose(self) -> None:
        """Ask no more."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.wait([self._asking])

    async def _ask(self) -> Session:
        asked, at = self._request, self._now()
        spaces: dict[str, Mapping[str, Any]] = {
            "request": request_values(at, self._new_id(), self._zone),
            "secret": self._secrets,
        }
        try:
            headers, body = asked.request.fill(spaces, header_encoding=self._header_encoding)
        except Unsendable as error:
            raise self._unavailable(Cause.GARBLED, f"a session cannot be asked for: {error}") from None
        signs = (*asked.success, *asked.refused, *asked.error)
        statuses = frozenset(one.status for one in signs if one.status is not None)
        answer = await self._client.send(asked.request.method, asked.request.where, headers, declared=statuses, **body)
        try:
            self._current = self._read(answer, at)
        except Unreadable as error:
            self._client.require_usual(answer.status)
            raise self._unavailable(Cause.GARBLED, f"a session, {answer}: {error}") from None
        return self._current

    def _read(self, answer: Answer, asked_at: datetime) -> Session:
        asked = self._request
        # A status that is a sign by itself is one whatever the body is: often a page for people.
        self._heed(answer, lambda sign: not sign.needs_answer and sign.holds(answer.status, None))
        read = asked.read(answer.body)
        self._heed(answer, lambda sign: sign.holds(answer.status, read))
        if not any(sign.holds(answer.status, read) for sign in asked.success):
            raise Unreadable("no declared sign")
        values = {name: _value(name, find(read)) for name, find in asked.values.items()}
        values |= {name: how.read(values[name]) for name, how in asked.decrypted.items()}
        ends = min(self._end(read, asked_at), asked_at + _LONGEST)
        if ends <= self._now():
            raise Unreadable("a session that had ended when it came: compare the clocks")
        # Never later than half of it: of a session that is shorter than `renew_before`, a part is left to renew it in.
        return Session(values=values, ends=ends, renew=max(ends - asked.renew_before, asked_at + (ends - asked_at) / 2))

    def _heed(self, answer: Answer, holds: Callable[[Sign], bool]) -> None:
        for sign in filter(holds, self._request.refused):
            raise SourceRefused(self._source, sign.rule)
        for sign in filter(holds, self._request.error):
            raise self._unavailable(sign.cause or Cause.OUTAGE, f"a declared error sign of a session, {answer}")

    def _end(self, read: object, asked_at: datetime) -> datetime:
        asked = self._request
        if asked.lifetime is not None:
            return asked_at + asked.lifetime
        if asked.lasts is not None:
            held = asked.lasts(read)
            said = "" if is_empty(held) else text(held)
            seconds = int(said) if said.isascii() and said.isdecimal() and len(said) < 10 else 0
            if not seconds:
                raise Unreadable("`lasts` finds no number of seconds")
            return asked_at + timedelta(seconds=seconds)
        held = None if asked.ends is None else asked.ends(read)
        if is_empty(held):
            raise Unreadable("`ends` finds nothing")
        return _moment(held, self._zone)

    def _unavailable(self, cause: Cause, detail: str) -> SourceUnavailable:
        return SourceUnavailable(self._source, cause, detail, why="no session is to be had")


def _note(asked: asyncio.Task[Session]) -> None:
    """Take note of a failure that nobody may be waiting for any more."""
    if not asked.cancelled():
        asked.exception()


def _value(name: str, held: object) -> str:
    if is_empty(held):
        raise Unreadable(f"`values.{name}` finds nothing")
    return text(held)


def _moment(held: object, zone: ZoneInfo) -> datetime:
    """Read an end: a time, or seconds or milliseconds since 1970, told apart by their digits."""
    digits = str(held) if isinstance(held, int) and not isinstance(held, bool) else held
    if isinstance(digits, str) and digits.isascii() and digits.isdecimal() and len(digits) in (10, 13):
        return datetime.fromtimestamp(int(digits) / (1000 if len(digits) == 13 else 1), UTC)
    return moment(held, zone)


def read_session(
    root: Stanza, secrets: Mapping[str, str], header_encoding: str, *, url: str, answers: str
) -> SessionRequest | None:
    """Read `session`, None where the stanza has none; `answers` is the format of those to calls, at `url`."""
    if "session" not in root:
        return None
    part = root.table("session")
    known: dict[str, Collection[str]] = {"secret": secrets}
    signatures = read_signatures(part, known)
    known["signature"] = signatures
    body = read_body(part, known)
    headers = read_headers(part, secrets, header_encoding, known)
    signatures = signatures_for(part, body.sent | placeholders(headers), signatures, body.inner)
    signed = [one for signature in signatures.values() for one in (signature.key, signature.over)]
    told = body.sent | placeholders(headers) | placeholders(signed)
    if foreign := sorted({space for space, _ in told} - _OURS):
        part.mistake("json", f"a session is the gateway's own, and tells nothing of {{{foreign[0]}.…}}")
    where = read_path(part)
    if not where.startswith(("/", "https://", "http://" if url.startswith("http://") else "https://")):
        part.mistake("path", "must begin with /, or be a whole address with https://")
    signs = read_answer_signs(part, "refused", "error", "ended")
    format_, wrapped = part.choice("format", FORMATS, FORMATS[0]), read_wrapped(part, "unwrap")
    for key in ("success", "refused", "error"):
        if format_ == "xml" and all(one.format == "xml" for one in wrapped):
            require_texts(part, key, signs[key])
    if answers == "xml":
        require_texts(part, "ended", signs["ended"])
    values = {name: path(part, f"values.{name}", spec) for name, spec in part.mapping("values", required=True).items()}
    ends = {key: path(part, key, part.text(key)) for key in ("ends", "lasts") if key in part}
    lifetime = part.optional_duration("lifetime")
    if len(ends) + (lifetime is not None) != 1:
        part.mistake("ends", "give one of `ends` (a time), `lasts` (seconds) and `lifetime` (agreed once)")
    return SessionRequest(
        request=Request(
            method=body.read_method(part),
            where=where,
            headers=body.with_media(headers),
            body=body,
            signatures=signatures,
        ),
        read=reader(format_, wrapped),
        success=signs["success"],
        refused=signs["refused"],
        error=signs["error"],
        ended=signs["ended"],
        values=values,
        decrypted=_read_decryption(part, values, secrets),
        ends=ends.get("ends"),
        lasts=ends.get("lasts"),
        lifetime=lifetime,
        renew_before=part.duration("renew_before", "60s"),
    )


def _read_decryption(part: Stanza, values: Collection[str], secrets: Mapping[str, str]) -> dict[str, Decryption]:
    found: dict[str, Decryption] = {}
    for name, table in (part.tables("decrypt") if "decrypt" in part else {}).items():
        if name not in values:
            table.mistake("key", f"decrypts nothing: `values` has no {name}")
        table.choice("cipher", ["aes-ecb"], "aes-ecb")
        secret, encoding = table.text("key"), table.choice("key_encoding", KEY_ENCODINGS, KEY_ENCODINGS[0])
        try:
            key = read_key(secrets.get(secret, ""), encoding)
        except ValueError:
            key = b""
        if secret not in secrets:
            table.mistake("key", "names none of the `secrets`")
        elif len(key) not in _KEYS:
            table.mistake("key", f"is no AES key: {encoding} of 16, 24 or 32 bytes")
        found[name] = Decryption(key=key)
    return found
