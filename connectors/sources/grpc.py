"""Sources that host their own adapter: a department implements `connectors.v1.SourceService`, and is asked over gRPC.

The adapter says outcomes and never records; what it says is read strictly, and believed as far as the stanza goes. It
is told who asks and why with every question, so claims of several callers never share one.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2
from grpc import aio

from connectors.connector import Claim, Coverage, Declared, Health, Manifest, QueryContext
from connectors.declarations import Declarations
from connectors.errors import ConnectorError, NotAsked, SourceRefused, SourceUnavailable
from connectors.outcome import NOT_HELD, STALE, Cause, Evidence, Kind, unavailable
from connectors.record import IN_FUTURE, finds_by, garbled, is_ahead, is_stale
from connectors.stanza import Stanza
from connectors.transports.addresses import is_loopback, is_reachable
from connectors.transports.messages import (
    MOST_CLAIMS,
    Malformed,
    Told,
    is_code,
    read_coverage,
    read_evidence,
    write_question,
)
from connectors.transports.web import read_tls
from connectors.v1 import source_pb2 as pb

_SERVICE = "/connectors.v1.SourceService/"
_DETAILS = "grpc-status-details-bin"
_OF_DATA = (Kind.MATCH, Kind.MISMATCH, Kind.NO_RECORD, Kind.NOT_HELD, Kind.SUBJECT_INACTIVE)
"""What is said of what data hold: old ones may say otherwise by now. That several records fit stands, as elsewhere."""
_TOO_LARGE = "larger than max"
"""What the library says of an answer that it does not take in, under the code of a source that has too much to do."""
_UNTRUSTED = ("CERTIFICATE_VERIFY_FAILED", "Hostname Verification Check failed", "Peer name")
"""What it says of a server whose certificate does not do."""
_CAUSES: Mapping[grpc.StatusCode, tuple[Cause, str]] = {
    grpc.StatusCode.UNAVAILABLE: (Cause.OUTAGE, ""),
    grpc.StatusCode.UNAUTHENTICATED: (Cause.OUTAGE, "our certificate is refused"),
    grpc.StatusCode.INTERNAL: (Cause.OUTAGE, ""),
    grpc.StatusCode.UNKNOWN: (Cause.OUTAGE, ""),
    grpc.StatusCode.ABORTED: (Cause.OUTAGE, ""),
    grpc.StatusCode.CANCELLED: (Cause.OUTAGE, ""),
    grpc.StatusCode.DATA_LOSS: (Cause.OUTAGE, ""),
    grpc.StatusCode.DEADLINE_EXCEEDED: (Cause.TIMEOUT, ""),
    grpc.StatusCode.RESOURCE_EXHAUSTED: (Cause.OVERLOAD, ""),
    grpc.StatusCode.INVALID_ARGUMENT: (Cause.GARBLED, "the adapter takes the question for malformed"),
    grpc.StatusCode.UNIMPLEMENTED: (Cause.GARBLED, "connectors.v1.SourceService is not served there"),
}
"""What every status but OK and PERMISSION_DENIED says of the source; one not named is outside the contract."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GrpcFact:
    """One fact type: what the adapter compares, and what it finds a record by."""

    attributes: frozenset[str]
    given: frozenset[str]

    def holds(self, claim: Claim) -> bool:
        """Say whether the adapter looks at all that a claim says."""
        return claim.expected.keys() <= self.attributes and finds_by(self.given, claim.given)


class GrpcSource:
    """A department's adapter as a source. The channel opens on first use, on the loop that first asks."""

    def __init__(
        self,
        *,
        manifest: Manifest,
        facts: Mapping[str, GrpcFact],
        address: str,
        credentials: grpc.ChannelCredentials | None,
        timeout: timedelta,
        most_bytes: int,
        now: Callable[[], datetime],
    ) -> None:
        self._manifest = manifest
        self._facts = facts
        self._address = address
        self._credentials = credentials
        self._timeout = timeout.total_seconds()
        self._most_bytes = most_bytes
        self._now = now
        self._channel: aio.Channel | None = None
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def manifest(self) -> Manifest:
        """What the stanza declares."""
        return self._manifest

    async def check_many(self, claims: Sequence[Claim], context: QueryContext) -> list[Evidence]:
        """Ask the adapter about each claim, in calls of no more than the contract lets one carry.

        Raises:
            SourceUnavailable: no usable answer came.
            SourceRefused: the adapter will not answer us.
            NotAsked: a claim has no form on the wire.
        """
        found: list[Evidence] = []
        for first in range(0, len(claims), MOST_CLAIMS):
            found += await self._ask(claims[first : first + MOST_CLAIMS], context)
        return found

    async def _ask(self, claims: Sequence[Claim], context: QueryContext) -> list[Evidence]:
        asked_at = self._now()
        try:
            question = write_question(claims, context)
        except ValueError as error:
            why = type(error).__name__  # its text holds what could not be written
            raise NotAsked(self._manifest.source, unavailable(Cause.GARBLED, why=why), why) from None
        left = context.deadline - asyncio.get_running_loop().time()
        answer = await self._call("CheckMany", question, pb.CheckManyResponse, min(self._timeout, left))
        if len(answer.evidence) != len(claims):
            raise self._garbled("not one answer for each claim")
        answered_at = self._now()
        return [
            self._evidence(claim, one, asked_at, answered_at)
            for claim, one in zip(claims, answer.evidence, strict=True)
        ]

    def _evidence(self, claim: Claim, message: pb.Evidence, asked_at: datetime, answered_at: datetime) -> Evidence:
        try:
            told = self._judged(claim, read_evidence(message, claim), answered_at)
        except Malformed as error:
            told = Told(garbled(str(error)), None, b"")
        return Evidence(
            source=self._manifest.source,
            fact_type=claim.fact_type,
            outcome=told.outcome,
            asked_at=asked_at,
            answered_at=answered_at,
            as_of=told.as_of,
            raw_digest=told.raw_digest,
        )

    def _judged(self, claim: Claim, told: Told, now: datetime) -> Told:
        """Take back what the adapter is in no position to say: of a record that it may not have looked at, on data
        that are older than promised, or of the future."""
        if told.as_of is not None and is_ahead(told.as_of, now):
            raise Malformed(IN_FUTURE)
        kind = told.outcome.kind
        if kind not in _OF_DATA:
            return told
        if is_stale(told.as_of, self._manifest.freshness, now):
            return told._replace(outcome=STALE)
        is_of_record = kind is Kind.MATCH or (kind is Kind.MISMATCH and not told.outcome.other_identity)
        if is_of_record and not self._facts[claim.fact_type].holds(claim):
            return told._replace(outcome=NOT_HELD)
        return told

    async def _call(self, method: str, request: Message, answer: type[Any], seconds: float) -> Any:
        """Call the adapter; the answer is read here, so that one which is none is told from a call that failed.

        Raises:
            SourceUnavailable, SourceRefused: as `check_many`.
        """
        if seconds <= 0:
            raise SourceUnavailable(self._manifest.source, Cause.TIMEOUT, "no time is left")
        channel = self._opened()
        call: Any = channel.unary_unary(_SERVICE + method)
        try:
            octets: bytes = await call(request.SerializeToString(), timeout=seconds, wait_for_ready=False)
        except aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.UNAVAILABLE:
                self._leave(channel)
            raise self._failure(error) from None
        try:
            return answer.FromString(octets)
        except DecodeError:
            raise self._garbled("an answer that is no message of the contract") from None

    def _opened(self) -> aio.Channel:
        if self._channel is None:
            options = [
                ("grpc.max_receive_message_length", self._most_bytes),
                ("grpc.enable_http_proxy", 0),  # a proxy from the environment would see what is asked about whom
                ("grpc.enable_retries", 0),  # how often is asked is for `connectors.call` to say
                ("grpc.use_local_subchannel_pool", 1),
            ]
            if self._credentials is None:
                self._channel = aio.insecure_channel(self._address, options=options)
            else:
                self._channel = aio.secure_channel(self._address, self._credentials, options=options)
        return self._channel

    def _leave(self, channel: aio.Channel) -> None:
        """Connect anew for the next question: a channel that lost its server does not look for it for a while, and says
        meanwhile that it is away. Calls that are under way on it may end."""
        if self._channel is channel:
            self._channel = None
            closing = asyncio.ensure_future(channel.close(self._timeout))
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)

    def _failure(self, error: aio.AioRpcError) -> ConnectorError:
        """Say what a status other than OK says of the source; its text is read here and never shown."""
        code, source = error.code(), self._manifest.source
        status = _status(error)
        if code is grpc.StatusCode.PERMISSION_DENIED:
            # Firewalls say this too, and a refusal lets the applicant's word stand in: only a declared sign is one.
            reason = _reason(status)
            return SourceRefused(source, reason) if reason else self._garbled("a refusal that gives no reason")
        if code is grpc.StatusCode.RESOURCE_EXHAUSTED and _TOO_LARGE in (error.details() or ""):
            return self._garbled(f"an answer of more than {self._most_bytes} bytes")
        cause, why = _CAUSES.get(code, (Cause.GARBLED, ""))
        if code is grpc.StatusCode.UNAVAILABLE and any(sign in (error.details() or "") for sign in _UNTRUSTED):
            why = "the certificate is another host's, or not one that `ca_file` vouches for"
        until = None
        if cause in (Cause.OUTAGE, Cause.OVERLOAD) and (wait := _wait(status)) is not None:
            until = self._now() + wait
        is_of_question = code is grpc.StatusCode.INVALID_ARGUMENT
        return SourceUnavailable(source, cause, f"gRPC {code.name}", until=until, why=why, of_question=is_of_question)

    def _garbled(self, detail: str) -> SourceUnavailable:
        return SourceUnavailable(self._manifest.source, Cause.GARBLED, detail)

    async def probe(self) -> Health:
        """Ask the adapter whether it is well, and whether it declares what the stanza says of it."""
        try:
            well = await self._call("Probe", pb.ProbeRequest(), pb.ProbeResponse, self._timeout)
            declared = await self._call("GetManifest", pb.GetManifestRequest(), pb.GetManifestResponse, self._timeout)
        except ConnectorError as error:
            return Health(ok=False, detail=str(error), probed_at=self._now())
        wrong = [] if well.ok else ["the adapter says that it is not well"]
        wrong += self._misfits(declared.manifest)
        detail = "; ".join(wrong) or f"the adapter is well, and declares {len(declared.manifest.fact_types)} facts"
        return Health(ok=not wrong, detail=detail, probed_at=self._now())

    def _misfits(self, declared: pb.Manifest) -> list[str]:
        """List what the stanza believes of the adapter and the adapter does not say."""
        lacking = sorted(self._facts.keys() - set(declared.fact_types))
        wrong = [f"the adapter does not answer {fact_type}" for fact_type in lacking]
        for fact_type, coverage in sorted(self._manifest.coverage.items()):
            try:
                is_so = fact_type in declared.coverage and _lies_within(
                    coverage, read_coverage(declared.coverage[fact_type])
                )
            except Malformed:
                is_so = False
            if not is_so and fact_type not in lacking:
                wrong.append(f"the adapter does not declare the coverage of {fact_type} that the stanza does")
        return wrong

    async def aclose(self) -> None:
        """Close the channel, and those that were left."""
        if self._channel is not None:
            await self._channel.close()
        for closing in self._closing:
            closing.cancel()
        await asyncio.gather(*self._closing, return_exceptions=True)


def _status(error: aio.AioRpcError) -> status_pb2.Status:
    """Read the details of a status; none where they are no message."""
    status = status_pb2.Status()
    for name, octets in error.trailing_metadata() or ():
        if name == _DETAILS:
            try:
                status.ParseFromString(octets)
            except (DecodeError, TypeError):
                return status_pb2.Status()
    return status


def _reason(status: status_pb2.Status) -> str:
    """Give the reason of a refusal, where it is one in form: what else stands there may be anything."""
    info = error_details_pb2.ErrorInfo()
    for detail in status.details:
        if detail.Is(info.DESCRIPTOR) and detail.Unpack(info) and is_code(info.reason):
            return str(info.reason)
    return ""


def _wait(status: status_pb2.Status) -> timedelta | None:
    info = error_details_pb2.RetryInfo()
    for detail in status.details:
        if detail.Is(info.DESCRIPTOR) and detail.Unpack(info) and 0 <= info.retry_delay.seconds < 7 * 86_400:
            return timedelta(seconds=info.retry_delay.seconds, microseconds=info.retry_delay.nanos // 1000)
    return None


def _lies_within(inner: Coverage, outer: Coverage) -> bool:
    places = not outer.places or (bool(inner.places) and all(place.startswith(outer.places) for place in inner.places))
    since = outer.since is None or (inner.since is not None and inner.since >= outer.since)
    until = outer.until is None or (inner.until is not None and inner.until <= outer.until)
    return places and since and until


def connect(name: str, stanza: Mapping[str, object], *, now: Callable[[], datetime]) -> GrpcSource:
    """Make a `grpc` source of its stanza (`connectors/README.md` shows one); it connects on first use.

    Raises:
        StanzaError: the stanza is wrong; every mistake is listed.
    """
    root = Stanza(name, stanza)
    department, address = root.text("department"), root.text("address")
    if address and not is_reachable(address):
        root.mistake("address", "must be a host and a port, e.g. source.example.gov.cn:8443")
    credentials = _read_credentials(root, address)
    timeout = root.duration("answer_timeout", "5s")
    most_bytes = root.number("most_bytes", 256 * 1024, least=1024, most=64 * 1024 * 1024)
    freshness = root.optional_duration("freshness")
    facts: dict[str, GrpcFact] = {}
    declarations = Declarations()
    for fact_type, part in root.tables("facts").items():
        declarations.read(fact_type, part)
        attributes, given = frozenset(part.texts("attributes")), frozenset(part.texts("given"))
        facts[fact_type] = GrpcFact(attributes=attributes, given=given)
    root.finish()
    manifest = Manifest(
        source=name,
        department=department,
        fact_types=frozenset(facts),
        coverage=declarations.coverage,
        declared={name: Declared(attributes=fact.attributes, given=fact.given) for name, fact in facts.items()},
        freshness=freshness,
        sensitive=declarations.sensitive,
        asked_once=declarations.asked_once,
    )
    return GrpcSource(
        manifest=manifest, facts=facts, address=address, credentials=credentials, timeout=timeout,
        most_bytes=most_bytes, now=now,
    )  # fmt: skip


def _read_credentials(root: Stanza, address: str) -> grpc.ChannelCredentials | None:
    """Read whom to trust and what to show; None for `plaintext`, which goes no further than this machine."""
    if root.flag("plaintext", False):
        if not is_loopback(address):
            root.mistake("plaintext", "is for an adapter on this machine (127.0.0.1, [::1], localhost) only")
        for key in ("ca_file", "client_cert_file", "client_key_file"):
            if key in root:
                root.text(key)
                root.mistake(key, "goes without `plaintext`")
        return None
    before = len(root.mistakes)
    tls = read_tls(root)  # judges the files; of what TLS cannot use, gRPC says nothing before it connects
    if len(root.mistakes) > before:
        return None
    ca, certificate, key = (root.text(name, "") for name in ("ca_file", "client_cert_file", "client_key_file"))
    trusted = Path(ca).read_bytes() if ca else _authorities(tls)
    own = Path(certificate).read_bytes() if certificate else None
    private = Path(key or certificate).read_bytes() if certificate else None
    return grpc.ssl_channel_credentials(trusted, private, own)


def _authorities(tls: ssl.SSLContext) -> bytes:
    return "".join(map(ssl.DER_cert_to_PEM_cert, tls.get_ca_certs(binary_form=True))).encode()
