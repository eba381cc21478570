"""Kind `http`: a department's JSON or XML service (SOAP as well), asked by a templated request, read by declared signs.

Two modes. *query* (查询型): the service returns records, judged here. *match* (核验型): it returns a verdict code for
each attribute, which gives away less and is to be preferred. Anything that bears no declared sign is GARBLED.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import httpx
from jmespath.exceptions import JMESPathError

from connectors.compare import Unreadable, agrees, identity, is_empty, old_number, text
from connectors.connector import Claim, Health, Manifest, QueryContext
from connectors.declarations import Declarations
from connectors.errors import ConnectorError, NotAsked, SourceRefused, SourceUnavailable
from connectors.header import ENCODINGS, Unsendable, read_headers
from connectors.outcome import (
    MATCH,
    MISMATCH,
    NO_RECORD,
    NOT_HELD,
    OTHER_IDENTITY,
    STALE,
    Cause,
    Evidence,
    Kind,
    Outcome,
    unavailable,
)
from connectors.presence import presence
from connectors.record import (
    GARBLED,
    IN_FUTURE,
    Reader,
    Shape,
    finds_by,
    garbled,
    is_ahead,
    is_stale,
    judge,
    moment,
    read_shape,
    read_zone,
    together,
)
from connectors.request import Request, read_path
from connectors.request_body import read_body
from connectors.session import Sessions, read_session
from connectors.signing import Signature, read_signatures, signatures_for
from connectors.signs import Sign, path, read_answer_signs, require_texts
from connectors.stanza import Stanza
from connectors.template import PERSONAL, MissingAttribute, placeholders, request_values, values
from connectors.transports.web import Answer, WebClient, read_tls
from connectors.wrapped import FORMATS, read_wrapped, reader

_NUMBER = re.compile("[0-9A-Za-z-]+")
_OF_THE_SERVICE = (401, 403, 404, 408, 429)
"""The statuses from 400 to 499 that tell of the service, or of us; by the others it turns down what was asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Codes:
    """The verdict codes of a match service: where each attribute's code stands, and what the codes mean."""

    attributes: Mapping[str, Reader]
    subject: Mapping[str, Reader]
    meaning: Mapping[str, Outcome]


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpFact:
    """How one fact type is asked: the request, the signs of its answer, and how a record or its codes are read."""

    request: Request
    read: Callable[[bytes], object]
    """Reads an answer of the source's format, and what is wrapped in it."""
    success: tuple[Sign, ...]
    absent: tuple[Sign, ...]
    refused: tuple[Sign, ...]
    error: tuple[Sign, ...]
    statuses: frozenset[int]
    """Those that a sign names: such an answer is read, whatever it says of the service."""
    records: Reader
    total: Reader | None
    """Reads how many records there are, of which the answer may hold a page only."""
    empty_is_absent: bool
    echo: Reader | None
    answer_as_of: Reader | None
    """Reads the date of the data of a whole answer, with records or without."""
    shape: Shape
    codes: Codes | None
    needed: Mapping[str, Callable[[object], bool]]
    """By expression, of the columns that every record has, empty or not: whether a record does."""
    compared: frozenset[str]
    """The attributes that the service compares itself: those that are sent, and those with a code."""


class HttpSource:
    """A JSON service as a source: one request a claim, all claims of a call at once."""

    def __init__(
        self,
        *,
        manifest: Manifest,
        facts: Mapping[str, HttpFact],
        client: WebClient,
        sessions: Sessions | None,
        secrets: Mapping[str, str],
        header_encoding: str,
        zone: ZoneInfo,
        probe: str,
        now: Callable[[], datetime],
        new_id: Callable[[], UUID],
    ) -> None:
        self._manifest = manifest
        self._facts = facts
        self._client = client
        self._sessions = sessions
        self._secrets = secrets
        self._header_encoding = header_encoding
        self._zone = zone
        self._probe = probe
        self._now = now
        self._new_id = new_id

    @property
    def manifest(self) -> Manifest:
        """What the stanza declares."""
        return self._manifest

    async def check_many(self, claims: Sequence[Claim], context: QueryContext) -> list[Evidence]:
        """Answer each claim by a request of its own; some failing do not spoil the others.

        Raises:
            SourceUnavailable: no claim got a usable answer.
            SourceRefused: the service refused, and no claim got an answer.
            NotAsked: the only claim cannot be put to the service.
        """
        found = await asyncio.gather(*(self._check(claim, context) for claim in claims), return_exceptions=True)
        if found and all(isinstance(one, BaseException) for one in found):
            for one in found:
                if isinstance(one, BaseException) and not (isinstance(one, NotAsked) and len(found) > 1):
                    raise one
        return [
            self._failed(claim, one) if isinstance(one, BaseException) else one
            for claim, one in zip(claims, found, strict=True)
        ]

    def _failed(self, claim: Claim, error: BaseException) -> Evidence:
        now = self._now()
        if isinstance(error, NotAsked):
            return self._evidence(claim, error.outcome, now, None, b"")
        if isinstance(error, SourceRefused):
            return self._evidence(claim, Outcome(kind=Kind.REFUSED, rule=error.rule), now, None, b"")
        if isinstance(error, SourceUnavailable):
            return self._evidence(claim, unavailable(error.cause, error.until, error.told), now, None, b"")
        raise error

    async def _check(self, claim: Claim, context: QueryContext) -> Evidence:
        fact, asked_at = self._facts[claim.fact_type], self._now()
        answer = await self._ask(fact, claim, context)
        outcome, as_of = self._read(fact, claim, answer)
        return self._evidence(claim, outcome, asked_at, as_of, hashlib.sha256(answer.body).digest())

    async def _ask(self, fact: HttpFact, claim: Claim, context: QueryContext) -> Answer:
        """Ask, within a session where the stanza has one; once more in a new one, where the service says that it ended.

        A service that says so has not looked at the question.
        """
        if self._sessions is None:
            return await self._send(fact, claim, context, {})
        for _ in range(2):
            session = await self._sessions.current()
            answer = await self._send(fact, claim, context, session.values)
            if not self._sessions.has_ended(answer, fact.read):
                return answer
            self._sessions.drop(session)
        raise SourceUnavailable(self._manifest.source, Cause.OUTAGE, "a new session is said to have ended")

    async def _send(self, fact: HttpFact, claim: Claim, context: QueryContext, session: Mapping[str, str]) -> Answer:
        # In texts with a structure of their own, other characters would be a part of it.
        if _NUMBER.fullmatch(claim.subject.id_number) is None:
            what = "an identity number with other characters than letters, digits and hyphens"
            raise NotAsked(self._manifest.source, garbled(what), what)
        request = request_values(self._now(), self._new_id(), self._zone)
        spaces = {**values(claim, context, self._secrets, request=request), "session": session}
        try:
            headers, body = fact.request.fill(spaces, header_encoding=self._header_encoding)
        except MissingAttribute as error:
            needed = Outcome(kind=Kind.NEEDS_ATTRIBUTE, attribute=error.attribute)
            raise NotAsked(self._manifest.source, needed, "an attribute is missing") from None
        except Unsendable as error:
            raise NotAsked(self._manifest.source, garbled(str(error)), str(error)) from None
        statuses = fact.statuses | (self._sessions.statuses if self._sessions is not None else frozenset())
        return await self._client.send(fact.request.method, fact.request.where, headers, declared=statuses, **body)

    def _evidence(
        self, claim: Claim, outcome: Outcome, asked_at: datetime, as_of: datetime | None, raw_digest: bytes
    ) -> Evidence:
        return Evidence(
            source=self._manifest.source,
            fact_type=claim.fact_type,
            outcome=outcome,
            asked_at=asked_at,
            answered_at=self._now(),
            as_of=as_of,
            raw_digest=raw_digest,
        )

    def _read(self, fact: HttpFact, claim: Claim, answer: Answer) -> tuple[Outcome, datetime | None]:
        # A status that is a sign by itself is one whatever the body is: often a page for people.
        if self._is_absent(fact, lambda sign: not sign.needs_answer and sign.holds(answer.status, None)):
            return self._absence(fact, None)
        try:
            read = fact.read(answer.body)
        except Unreadable as error:
            self._client.require_usual(answer.status)
            raise self._unread(answer, str(error)) from None
        try:
            if self._is_absent(fact, lambda sign: sign.holds(answer.status, read)):
                if beside := _beside_absence(fact, read):
                    return garbled(f"a sign of absence, and {beside}"), None
                return self._absence(fact, _as_of(fact, read))
            if not any(sign.holds(answer.status, read) for sign in fact.success):
                self._client.require_usual(answer.status)
                raise self._unread(answer, f"no declared sign{_missed(fact, read)}")
            return self._judge(fact, claim, read, _as_of(fact, read))
        except Unreadable as error:
            raise self._garbled(f"{answer}: {error}") from None

    def _is_absent(self, fact: HttpFact, holds: Callable[[Sign], bool]) -> bool:
        """Say whether a sign of absence holds, unless one of a refusal or an error does."""
        for sign in fact.refused:
            if holds(sign):
                raise SourceRefused(self._manifest.source, sign.rule)
        for sign in fact.error:
            if holds(sign):
                raise SourceUnavailable(self._manifest.source, sign.cause or Cause.OUTAGE, "a declared error sign")
        return any(map(holds, fact.absent))

    def _absence(self, fact: HttpFact, as_of: datetime | None) -> tuple[Outcome, datetime | None]:
        if as_of is not None and is_ahead(as_of, self._now()):
            return garbled(IN_FUTURE), None
        return STALE if is_stale(as_of, fact.shape.freshness, self._now()) else NO_RECORD, as_of

    def _judge(
        self, fact: HttpFact, claim: Claim, read: object, answer_as_of: datetime | None
    ) -> tuple[Outcome, datetime | None]:
        found = fact.records(read)
        records = [found] if isinstance(found, dict) else found
        if not isinstance(records, list) or not all(isinstance(one, dict) for one in records):
            return garbled(f"`records` finds {'nothing' if found is None else 'no record, nor a list of them'}"), None
        if fact.total is not None and not agrees(len(records), fact.total(read)):
            return garbled("`total` is not the number of records that came"), None
        if not records:
            undeclared = "`records` finds an empty list, and `empty_is_absent` is not declared"
            return self._absence(fact, answer_as_of) if fact.empty_is_absent else (garbled(undeclared), None)
        numbers = _numbers(claim, fact.shape)
        if fact.echo is not None and not all(_is_about(numbers, fact.echo(one)) for one in records):
            return garbled("`subject_echo` finds nothing in a record, or somebody who was not asked about"), None
        if lacking := [spec for spec, is_there in fact.needed.items() if not all(map(is_there, records))]:
            return garbled(f"a record has no key {', '.join(lacking)}"), None
        if fact.codes is None:
            return judge(claim, records, fact.shape, now=self._now(), as_of=answer_as_of)
        if len(records) > 1:
            return Outcome(kind=Kind.AMBIGUOUS), None
        return self._by_codes(fact, fact.codes, claim, records[0], answer_as_of)

    def _by_codes(
        self, fact: HttpFact, codes: Codes, claim: Claim, record: Mapping[str, object], as_of: datetime | None
    ) -> tuple[Outcome, datetime | None]:
        shape = fact.shape
        if shape.as_of is not None and not is_empty(held := shape.as_of(record)):
            as_of = moment(held, shape.zone)
        if as_of is not None and is_ahead(as_of, self._now()):
            return garbled(IN_FUTURE), None
        if is_stale(as_of, shape.freshness, self._now()):
            return STALE, as_of

        def said(name: str, reader: Reader) -> Outcome:
            code = _code(reader(record))
            return codes.meaning.get(code) or garbled(
                f"`codes.{name}` finds {'a code that no key gives a meaning' if code else 'nothing'}"
            )

        subject = together([said(name, read) for name, read in codes.subject.items()])
        attributes = together([said(name, read) for name, read in codes.attributes.items() if name in claim.expected])
        if GARBLED in (subject, attributes):
            return together((subject, attributes)), as_of
        if subject is not MATCH:
            return (OTHER_IDENTITY if subject is MISMATCH else subject), as_of
        if shape.state is not None and (state := shape.state.of(record)) is not MATCH:
            return state, as_of
        if not finds_by(shape.finds_by, claim.given):
            return NOT_HELD, as_of
        is_whole = all(name in codes.attributes for name in claim.expected)
        return (NOT_HELD if attributes is MATCH and not is_whole else attributes), as_of

    def _unread(self, answer: Answer, what: str) -> SourceUnavailable:
        is_of_question = 400 <= answer.status < 500 and answer.status not in _OF_THE_SERVICE
        return SourceUnavailable(self._manifest.source, Cause.GARBLED, f"{answer}: {what}", of_question=is_of_question)

    def _garbled(self, detail: str) -> SourceUnavailable:
        return SourceUnavailable(self._manifest.source, Cause.GARBLED, detail)

    async def probe(self) -> Health:
        """Get the `probe` path, if the stanza names one: any 2xx is well."""
        if not self._probe:
            return Health(ok=True, detail="no probe is declared; nothing was asked", probed_at=self._now())
        try:
            answer = await self._client.send("GET", self._probe, {})
        except ConnectorError as error:
            return Health(ok=False, detail=str(error), probed_at=self._now())
        return Health(ok=answer.status < 300, detail=f"HTTP {answer.status}", probed_at=self._now())

    async def aclose(self) -> None:
        """Close the connections."""
        if self._sessions is not None:
            await self._sessions.aclose()
        await self._client.aclose()


def _numbers(claim: Claim, shape: Shape) -> set[str]:
    """The numbers under which a record is the subject's."""
    number = identity(claim.subject.id_number)
    return {number} if shape.number is None else {number, old_number(number)} - {""}


def _is_about(numbers: set[str], echoed: object) -> bool:
    try:
        return not is_empty(echoed) and identity(text(echoed)) in numbers
    except Unreadable as error:
        raise Unreadable(f"`subject_echo`: {error}") from None


def _missed(fact: HttpFact, read: object) -> str:
    """Say what an answer without a sign holds where one could be."""
    signs = (*fact.success, *fact.absent, *fact.refused, *fact.error)
    told = dict.fromkeys(sign.missed(read) for sign in signs if sign.needs_answer)
    return "".join(f"; {one}" for one in told)


def _beside_absence(fact: HttpFact, read: object) -> str:
    """Name what an answer that bears a sign of absence holds against it: a count of records, or records."""
    total = None if fact.total is None else fact.total(read)
    if not (is_empty(total) or agrees(0, total)):
        return "a `total` that is not 0"
    with suppress(Unreadable):  # what `records` cannot be sought in, holds none
        found = fact.records(read)
        if isinstance(found, list) and not all(map(is_empty, found)):
            return "records"
        if isinstance(found, dict) and _is_record(fact, found):
            return "a record"
    return ""


def _is_record(fact: HttpFact, found: Mapping[str, object]) -> bool:
    """Say whether an object is a record, and not one of the answer's own: it names somebody, or its codes do."""
    if fact.codes is None:
        return fact.echo is not None and not is_empty(fact.echo(found))
    return all(fact.codes.meaning.get(_code(read(found))) is MATCH for read in fact.codes.subject.values())


def _as_of(fact: HttpFact, read: object) -> datetime | None:
    held = None if fact.answer_as_of is None else fact.answer_as_of(read)
    return None if is_empty(held) else moment(held, fact.shape.zone)


def _code(held: object) -> str:
    return "" if is_empty(held) else text(held).strip()


def connect(
    name: str,
    stanza: Mapping[str, object],
    *,
    now: Callable[[], datetime],
    new_id: Callable[[], UUID] = uuid4,
) -> HttpSource:
    """Make an `http` source of its stanza (`connectors/README.md` shows one); it connects on first use.

    Raises:
        StanzaError: the stanza is wrong; every mistake is listed.
    """
    root = Stanza(name, stanza)
    department, url = root.text("department"), _read_url(root)
    answers = root.choice("format", FORMATS, FORMATS[0])
    encoding = root.choice("header_encoding", ENCODINGS, ENCODINGS[0])
    secrets = _read_secrets(root)
    session = read_session(root, secrets, encoding, url=url, answers=answers)
    known: dict[str, Collection[str]] = {"secret": secrets, "session": session.values if session is not None else ()}
    signatures = read_signatures(root, known)
    known["signature"] = signatures
    headers = read_headers(root, secrets, encoding, known)
    tls, timeout = read_tls(root), root.duration("answer_timeout", "5s")
    most_bytes = root.number("most_bytes", 256 * 1024, least=64, most=64 * 1024 * 1024)
    connections, probe = root.number("connections", 16, least=1, most=1000), root.text("probe", "")
    freshness, zone = root.optional_duration("freshness"), read_zone(root)
    common = _Common(
        answers=answers, headers=headers, header_encoding=encoding, secrets=secrets, known=known,
        signatures=signatures, zone=zone, freshness=freshness,
    )  # fmt: skip
    facts: dict[str, HttpFact] = {}
    declarations = Declarations()
    for fact_type, part in root.tables("facts").items():
        declarations.read(fact_type, part)
        facts[fact_type] = _read_fact(part, common)
    root.finish()
    manifest = Manifest(
        source=name,
        department=department,
        fact_types=frozenset(facts),
        coverage=declarations.coverage,
        declared={fact_type: fact.shape.declared(*fact.compared) for fact_type, fact in facts.items()},
        freshness=freshness,
        sensitive=declarations.sensitive,
        asked_once=declarations.asked_once,
    )
    client = WebClient(name, url=url, tls=tls, timeout=timeout, most_bytes=most_bytes, connections=connections)
    sessions = None
    if session is not None:
        sessions = Sessions(
            name, session, client=client, secrets=secrets, header_encoding=encoding, zone=zone, now=now, new_id=new_id
        )
    return HttpSource(
        manifest=manifest, facts=facts, client=client, sessions=sessions, secrets=secrets,
        header_encoding=encoding, zone=zone, probe=probe, now=now, new_id=new_id,
    )  # fmt: skip


def _read_url(root: Stanza) -> str:
    url = root.text("url")
    if url and not url.startswith(("https://", "http://")):
        root.mistake("url", "must begin with https:// or http://")
        return url
    try:
        read = httpx.URL(url)
    except httpx.InvalidURL:
        root.mistake("url", "is no address")
        return url
    if url and (not read.host or (read.port or 0) > 65535):
        root.mistake("url", "is no address")
    if read.userinfo:
        root.mistake("url", "holds a name or password: send it as a header, from `secrets`")
    return url


def _read_secrets(root: Stanza) -> dict[str, str]:
    part = root.table("secrets")
    for key in part.keys():  # noqa: SIM118 (a stanza is no mapping)
        if not key.endswith("_file"):
            part.mistake(key, "must name a file and end in _file")
    return {key.removesuffix("_file"): part.secret(key) for key in part.keys()}  # noqa: SIM118


@dataclass(frozen=True, slots=True, kw_only=True)
class _Common:
    """What holds of every fact type of a source."""

    answers: str
    headers: Mapping[str, str]
    header_encoding: str
    secrets: Mapping[str, str]
    known: Mapping[str, Collection[str]]
    """The names in the spaces that the stanza fills itself."""
    signatures: Mapping[str, Signature]
    zone: ZoneInfo
    freshness: timedelta | None


def _read_fact(part: Stanza, common: _Common) -> HttpFact:
    zone, freshness = common.zone, common.freshness
    body = read_body(part, common.known)
    own = read_headers(part, common.secrets, common.header_encoding, common.known)
    headers = {**common.headers, **own}
    wrapped = read_wrapped(part, "unwrap")
    where, mode = read_path(part, ""), part.choice("mode", ["query", "match"], "query")
    sent = body.sent
    if not any(space in PERSONAL for space, _ in sent):
        part.mistake("xml" if body.markup is not None else "json", "the request names nobody")
    echo = path(part, "subject_echo", part.text("subject_echo")) if "subject_echo" in part else None
    given = frozenset(name for space, name in sent | placeholders(headers) if space == "given")
    columns: dict[str, Reader] = {}

    def column(stanza: Stanza, key: str, spec: str) -> Reader:
        read = path(stanza, key, spec)
        return columns.setdefault(spec, read)

    shape = read_shape(
        part, field_reader=column, attributes="attributes", zone=zone, freshness=freshness, number=echo, sent=given
    )
    if mode == "match" and shape.narrow:
        part.mistake("narrow", "belongs to the mode query: verdict codes are of the record that the request names")
    answer_as_of = path(part, "answer_as_of", part.text("answer_as_of")) if "answer_as_of" in part else None
    if freshness is not None and shape.as_of is None and answer_as_of is None:
        part.mistake("as_of", "a promised freshness needs the date of the data (`answer_as_of` or `as_of`)")
    if mode == "query" and echo is None:
        part.mistake("subject_echo", "is missing: a record that names nobody proves nothing of anybody")
    signs = _read_signs(part, is_text=common.answers == "xml" and all(one.format == "xml" for one in wrapped))
    has_elements = common.answers == "xml" or any(one.format == "xml" for one in wrapped)
    codes = _read_codes(part, sent) if mode == "match" else None
    compared = {name for space, name in sent if space == "expected"} | (codes.attributes.keys() if codes else set())
    return HttpFact(
        request=Request(
            method=body.read_method(part),
            where=where,
            headers=body.with_media(headers),
            body=body,
            signatures=signatures_for(part, sent | placeholders(headers), common.signatures, body.inner),
        ),
        read=reader(common.answers, wrapped),
        success=signs["success"],
        absent=signs["absent"],
        refused=signs["refused"],
        error=signs["error"],
        statuses=frozenset(one.status for kind in signs.values() for one in kind if one.status is not None),
        records=_read_records(part, has_elements=has_elements),
        total=path(part, "total", part.text("total")) if "total" in part else None,
        empty_is_absent=part.flag("empty_is_absent", False),
        echo=echo,
        answer_as_of=answer_as_of,
        shape=shape,
        codes=codes,
        needed=_read_needed(part, columns if codes is None else _beside_codes(shape, columns)),
        compared=frozenset(compared),
    )


def _read_signs(part: Stanza, *, is_text: bool) -> dict[str, tuple[Sign, ...]]:
    signs = read_answer_signs(part, "absent", "refused", "error")
    for key, kind in signs.items():
        if is_text:
            require_texts(part, key, kind)
    return signs


def _read_records(part: Stanza, *, has_elements: bool) -> Reader:
    records = path(part, "records", part.text("records", "@"))
    if "record" not in part:
        return records
    if not has_elements:
        part.mistake("record", "belongs to XML: in JSON, `records` finds the list itself")
    return _held_in(records, part.text("record"))


def _beside_codes(shape: Shape, columns: Mapping[str, Reader]) -> dict[str, Reader]:
    """The columns of a match service that are read; a verdict code that is absent is none, and so GARBLED."""
    read = (shape.as_of, shape.state.read if shape.state else None)
    return {spec: reader for spec, reader in columns.items() if reader in read}


def _read_needed(part: Stanza, columns: Mapping[str, Reader]) -> dict[str, Callable[[object], bool]]:
    omitted = part.texts("omitted_when_empty")
    for spec in omitted:
        if spec not in columns:
            part.mistake("omitted_when_empty", f"{spec!r} is no column that is read: write it as it stands there")
    needed: dict[str, Callable[[object], bool]] = {}
    for spec in sorted(columns.keys() - set(omitted)):
        with suppress(JMESPathError):  # the column itself is the mistake
            needed[spec] = presence(spec)
    return needed


def _held_in(container: Reader, name: str) -> Reader:
    """Make what finds the elements of a name in an element that holds them and nothing else, however many they are.

    In XML one record is no list, and none is nothing at all: only the element around them tells of none.
    """

    def read(answer: object) -> object:
        found = container(answer)
        if not isinstance(found, dict):
            return [] if isinstance(found, str) and not found else None
        elements = {key: held for key, held in found.items() if not key.startswith("@")}
        if elements.keys() - {name, "#text"} or elements.get("#text"):
            return None
        held = elements.get(name, [])
        return held if isinstance(held, list) else [held]

    return read


def _read_codes(part: Stanza, sent: frozenset[tuple[str, str]]) -> Codes:
    written = part.mapping("codes", required=True)
    subject = {name: spec for name, spec in written.items() if name.startswith("subject.")}
    attributes = {name: spec for name, spec in written.items() if name not in subject}
    if not subject:
        part.mistake("codes", 'has no code for the subject, e.g. "subject.id_number"')
    for name in attributes:
        if ("expected", name) not in sent:
            part.mistake(f"codes.{name}", f"the request never sends {{expected.{name}}}")
    for name in subject:
        if ("subject", name.removeprefix("subject.")) not in sent:
            part.mistake(f"codes.{name}", f"the request never sends {{{name}}}")
    meaning: dict[str, Outcome] = {}
    for key, outcome in (("match", MATCH), ("mismatch", MISMATCH), ("not_held", NOT_HELD)):
        for code in part.texts(key, None if outcome is not NOT_HELD else ()):
            if code in meaning:
                part.mistake(key, "gives a code a second meaning")
            meaning[code] = outcome
    return Codes(
        attributes={name: path(part, f"codes.{name}", spec) for name, spec in attributes.items()},
        subject={name: path(part, f"codes.{name}", spec) for name, spec in subject.items()},
        meaning=meaning,
    )
