"""The files of the server's TLS are put in force again while it serves; who was revoked or withdrawn calls no more."""

from __future__ import annotations

import asyncio
import signal
import socket
import ssl
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from google.rpc import error_details_pb2, status_pb2
from grpc import aio
from structlog.testing import capture_logs

from gateway.bootstrap.serving import Gateway
from gateway.bootstrap.tls import TlsWatch, open_tls
from gateway.client import open_channel
from gateway.config import ServerSettings, load_settings
from gateway.errors import CallerRefused, CallerRevocationUnknown, CallerRevoked, ConfigurationError
from gateway.founding import House, caller_id
from gateway.pki import Authority, pem, write_pair
from gateway.rpc import certificates
from gateway.rpc.certificates import CallerCertificates, Tls
from gateway.signatures.lists import read_list
from gateway.v1 import catalogue_pb2, catalogue_pb2_grpc, verification_pb2, verification_pb2_grpc
from tests.gateway.startup.process import Place, make
from tests.gateway.test_workers import running

NOW, DAYS = datetime.now(UTC), timedelta(days=30)
TIMEOUT = 20
CRL = '\nclient_revocation_file = "pki/ca.crl"\nplaintext = false'


def crl(
    authority: Authority, *revoked: int, begins: datetime = NOW - timedelta(hours=1), until: datetime = NOW + DAYS
) -> bytes:
    """Write a list (PEM) of an authority."""
    builder = x509.CertificateRevocationListBuilder().issuer_name(authority.certificate.subject)
    builder = builder.last_update(begins).next_update(until)
    for serial in revoked:
        one = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(begins)
        builder = builder.add_revoked_certificate(one.build())
    return builder.sign(authority.key, hashes.SHA256()).public_bytes(Encoding.PEM)


@dataclass(slots=True, kw_only=True)
class Hall:
    """A running gateway, the authority that issued its certificates, and another one."""

    house: House
    authority: Authority
    other: Authority
    gateway: Gateway
    port: int = 0
    channels: list[aio.Channel] = field(default_factory=list)

    @property
    def pki(self) -> Path:
        return self.house.home / "pki"

    def pair(self, authority: Authority, name: str) -> tuple[Path, Path]:
        """Have an authority issue the clerks' system another certificate."""
        issued = authority.system(caller_id("clerk"), now=NOW, valid=DAYS)
        write_pair(*issued, self.pki / f"{name}.crt", self.pki / f"{name}.key")
        return self.pki / f"{name}.crt", self.pki / f"{name}.key"

    def connect(self, pair: tuple[Path, Path] | None = None) -> aio.Channel:
        """Open a connection of its own."""
        certificate, key = pair or self.house.pair("clerk")
        believed = self.pki / "server-authority.crt"
        if not believed.exists():
            believed.write_bytes(pem(self.authority.certificate))
        channel = open_channel(f"127.0.0.1:{self.port}", authority=believed, certificate=certificate, key=key)
        self.channels.append(channel)
        return channel

    def put(self, name: str, content: bytes) -> None:
        """Replace a file as a tool does that renews certificates."""
        new = self.pki / f".{name}.new"
        new.write_bytes(content)
        new.chmod(0o600)
        new.replace(self.pki / name)

    def renew_server(self) -> int:
        """Issue the server another certificate; gives its serial number."""
        certificate, key = self.authority.server(["localhost", "127.0.0.1"], now=NOW, valid=DAYS)
        write_pair(certificate, key, self.pki / "next.crt", self.pki / "next.key")
        (self.pki / "next.crt").replace(self.pki / "server.crt")
        (self.pki / "next.key").replace(self.pki / "server.key")
        return certificate.serial_number

    def shown(self) -> int:
        """Give the serial number of the certificate that a new connection is shown."""
        context = ssl.create_default_context(cafile=str(self.pki / "ca.crt"))
        context.load_cert_chain(*self.house.pair("clerk"))
        context.set_alpn_protocols(["h2"])
        plain = socket.create_connection(("127.0.0.1", self.port), TIMEOUT)
        with plain, context.wrap_socket(plain, server_hostname="127.0.0.1") as secure:
            shown = secure.getpeercert(binary_form=True)
        assert shown is not None
        return x509.load_der_x509_certificate(shown).serial_number


@asynccontextmanager
async def hall(folder: Path, *, lists: bool = False) -> AsyncIterator[Hall]:
    place = make(folder / "var")
    authority = Authority.load(*place.house.pair("ca"))
    if lists:
        place.configure("\nplaintext = false", CRL)
        (place.house.home / "pki" / "ca.crl").write_bytes(crl(authority))
    gateway = Gateway(load_settings(place.house.config))
    stop, port = asyncio.Event(), asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(gateway.serve(port.set_result, stop))
    await asyncio.wait({serving, port}, return_when=asyncio.FIRST_COMPLETED)
    if serving.done():
        await serving
    here = Hall(
        house=place.house, authority=authority, gateway=gateway, port=await port,
        other=Authority.create("another", now=NOW, valid=DAYS),
    )  # fmt: skip
    try:
        yield here
    finally:
        for channel in here.channels:
            await channel.close()
        stop.set()
        await serving


async def until(happens: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(TIMEOUT):
        while not await happens():
            await asyncio.sleep(0.02)


async def reason(channel: aio.Channel) -> str:
    """Call, and give the reason of the refusal; empty if the call was answered."""
    try:
        stub = catalogue_pb2_grpc.CatalogueServiceStub(channel)
        await stub.ListMatters(catalogue_pb2.ListMattersRequest(), timeout=TIMEOUT)
    except aio.AioRpcError as error:
        return _reason(error)
    return ""


def _reason(error: aio.AioRpcError) -> str:
    status = status_pb2.Status.FromString(dict(error.trailing_metadata()).get("grpc-status-details-bin", b""))
    info = error_details_pb2.ErrorInfo()
    for detail in status.details:
        if detail.Unpack(info):
            assert error.code() is grpc.StatusCode.PERMISSION_DENIED
            return str(info.reason)
    return error.code().name


async def test_a_new_certificate_is_shown_to_new_connections_and_open_ones_go_on(tmp_path: Path) -> None:
    async with hall(tmp_path) as here:
        open_one = here.connect()
        assert await reason(open_one) == ""
        serial = here.renew_server()
        here.gateway.reload()

        async def shown() -> bool:
            return await asyncio.to_thread(here.shown) == serial

        await until(shown)
        assert await reason(open_one) == ""
        assert await reason(here.connect()) == ""


async def test_files_that_changed_are_in_force_without_a_signal(tmp_path: Path) -> None:
    async with hall(tmp_path) as here:
        serial = here.renew_server()

        async def shown() -> bool:
            return await asyncio.to_thread(here.shown) == serial

        await until(shown)


async def test_callers_of_a_withdrawn_authority_are_refused_on_open_connections_too(tmp_path: Path) -> None:
    async with hall(tmp_path) as here:
        open_one, after = here.connect(), here.pair(here.other, "after")
        assert await reason(open_one) == ""
        assert await reason(here.connect(after)) == "UNAVAILABLE"

        here.put("ca.crt", pem(here.other.certificate) + pem(here.authority.certificate))
        here.gateway.reload()

        async def accepted() -> bool:
            return await reason(here.connect(after)) == ""

        await until(accepted)
        assert await reason(open_one) == "", "both authorities are in force"

        here.put("ca.crt", pem(here.other.certificate))
        here.gateway.reload()

        async def withdrawn() -> bool:
            return await reason(open_one) == "CALLER_AUTHORITY_WITHDRAWN"

        await until(withdrawn)
        assert await reason(here.connect()) == "UNAVAILABLE"
        assert await reason(here.connect(after)) == ""


async def test_a_revoked_caller_is_refused_on_open_connections_and_streams(tmp_path: Path) -> None:
    async with hall(tmp_path, lists=True) as here:
        revoked, other = here.pair(here.authority, "revoked"), here.connect()
        open_one = here.connect(revoked)
        assert await reason(open_one) == ""
        batch = verification_pb2_grpc.VerificationServiceStub(open_one).BatchVerify()
        await batch.write(_question())
        assert (await batch.read()).results
        serial = x509.load_pem_x509_certificate(revoked[0].read_bytes()).serial_number

        here.put("ca.crl", crl(here.authority, serial))
        here.gateway.reload()

        async def refused() -> bool:
            return await reason(open_one) == "CALLER_REVOKED"

        await until(refused)
        assert await reason(here.connect(revoked)) == "CALLER_REVOKED"
        assert await reason(other) == ""
        await batch.write(_question())
        with pytest.raises(aio.AioRpcError) as ended:
            await batch.read()
        assert _reason(ended.value) == "CALLER_REVOKED"


def _question() -> verification_pb2.BatchVerifyRequest:
    one = verification_pb2.VerifyRequest(request_id=str(uuid.uuid4()))
    return verification_pb2.BatchVerifyRequest(requests=[one])


def server_of(place: Place) -> ServerSettings:
    return load_settings(place.house.config).server


def test_files_that_cannot_be_used_change_nothing_and_are_named_once_and_tried_again(tmp_path: Path) -> None:
    place = make(tmp_path / "var")
    pki, settings = place.house.home / "pki", server_of(place)
    before = open_tls(settings)
    assert before is not None
    renewed: list[Tls] = []
    watch = TlsWatch(settings, before, [renewed.append])
    kept = {name: (pki / name).read_bytes() for name in ("server.crt", "ca.crt")}
    for name in kept:
        (pki / name).write_bytes(b"junk")
    with capture_logs() as logs:
        watch.look()
        watch.look()
    assert [one["error"].split(":")[0] for one in logs if "error" in one] == [
        "server.certificate_file", "server.client_authority_file",
    ]  # fmt: skip
    assert renewed == []

    other = Authority.create("another", now=NOW, valid=DAYS)
    (pki / "server.crt").write_bytes(kept["server.crt"])
    (pki / "ca.crt").write_bytes(pem(other.certificate))
    watch.look()
    assert [one.client_authority for one in renewed] == [pem(other.certificate)]
    watch.look()
    assert len(renewed) == 1


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (lambda _own, _other: b"junk", "list 1: not a usable revocation list"),
        (lambda own, other: crl(own) + crl(other), "list 2: is not signed by an authority of"),
        (lambda own, _other: crl(own, begins=NOW - DAYS, until=NOW - timedelta(hours=1)), "list 1: is over since"),
        (lambda own, _other: crl(own, begins=NOW + timedelta(hours=1)), "list 1: begins only at"),
        (None, "cannot be read (No such file or directory)"),
    ],
)
def test_a_revocation_list_that_cannot_be_used_is_refused(
    tmp_path: Path, written: Callable[[Authority, Authority], bytes] | None, said: str
) -> None:
    place = make(tmp_path / "var")
    place.configure("\nplaintext = false", CRL)
    own, other = Authority.load(*place.house.pair("ca")), Authority.create("another", now=NOW, valid=DAYS)
    if written is not None:
        (place.house.home / "pki" / "ca.crl").write_bytes(written(own, other))
    with pytest.raises(ConfigurationError) as caught:
        open_tls(server_of(place))
    (told,) = caught.value.mistakes
    assert told.startswith("server.client_revocation_file: ")
    assert said in told
    checked = place.command("check-config", "--config", place.house.config)
    assert checked.status == 1
    assert said in checked.said


def test_a_list_may_be_der(tmp_path: Path) -> None:
    place = make(tmp_path / "var")
    place.configure("\nplaintext = false", CRL)
    written = x509.load_pem_x509_crl(crl(Authority.load(*place.house.pair("ca")), 7))
    (place.house.home / "pki" / "ca.crl").write_bytes(written.public_bytes(Encoding.DER))
    tls = open_tls(server_of(place))
    assert tls is not None
    assert [set(one.revoked) for one in tls.revocations or ()] == [{7}]


def test_lists_without_tls_are_a_mistake(tmp_path: Path) -> None:
    place = make(tmp_path / "var")
    place.configure("\nplaintext = false", CRL.replace("false", "true"))
    with pytest.raises(ConfigurationError) as caught:
        server_of(place)
    assert any("client_revocation_file: means nothing with plaintext" in one for one in caught.value.mistakes)


@dataclass(slots=True, kw_only=True)
class Judge:
    """What is in force by a few files, and a clock that a test sets."""

    now: datetime = NOW
    authority: Authority = field(default_factory=lambda: Authority.create("one", now=NOW, valid=DAYS))

    def certificates(self, *lists: bytes, authorities: bytes = b"") -> CallerCertificates:
        return CallerCertificates(self.tls(*lists, authorities=authorities), now=lambda: self.now)

    def tls(self, *lists: bytes, authorities: bytes = b"") -> Tls:
        believed = authorities or pem(self.authority.certificate)
        found = tuple(read_list(one) for one in lists) if lists else None
        return Tls(certificate=b"", key=b"", client_authority=believed, revocations=found)


def caller(authority: Authority) -> tuple[x509.Certificate, Mapping[str, list[bytes]]]:
    certificate, _ = authority.system(caller_id("clerk"), now=NOW, valid=DAYS)
    return certificate, {"x509_pem_cert": [pem(certificate)]}


def refusal(certs: CallerCertificates, auth: Mapping[str, list[bytes]]) -> type[CallerRefused] | None:
    try:
        certs.require(auth)
    except CallerRefused as refused:
        return type(refused)
    return None


def test_a_list_that_is_over_tells_of_revocations_and_nothing_else() -> None:
    judge = Judge()
    gone, auth_of_gone = caller(judge.authority)
    _, auth = caller(judge.authority)
    certs = judge.certificates(crl(judge.authority, gone.serial_number, until=NOW + timedelta(hours=1)))
    assert (refusal(certs, auth), refusal(certs, auth_of_gone)) == (None, CallerRevoked)

    judge.now += timedelta(hours=2)
    assert (refusal(certs, auth), refusal(certs, auth_of_gone)) == (CallerRevocationUnknown, CallerRevoked)
    certs.renew(judge.tls(crl(judge.authority, gone.serial_number)))
    assert (refusal(certs, auth), refusal(certs, auth_of_gone)) == (None, CallerRevoked)


def test_a_certificate_of_which_no_list_tells_is_refused() -> None:
    judge, other = Judge(), Authority.create("other", now=NOW, valid=DAYS)
    both = pem(judge.authority.certificate) + pem(other.certificate)
    _, auth = caller(other)
    assert refusal(judge.certificates(crl(judge.authority), authorities=both), auth) is CallerRevocationUnknown
    assert refusal(judge.certificates(crl(judge.authority), crl(other), authorities=both), auth) is None
    assert refusal(judge.certificates(crl(judge.authority)), {}) is CallerRevocationUnknown


def below(above: Authority, name: str) -> Authority:
    """Make an authority that another one issued."""
    made = Authority.create(name, now=NOW, valid=DAYS)
    builder = x509.CertificateBuilder(
        issuer_name=above.certificate.subject, subject_name=made.certificate.subject,
        public_key=made.certificate.public_key(), serial_number=x509.random_serial_number(),
        not_valid_before=NOW - timedelta(hours=1), not_valid_after=NOW + DAYS,
    )  # fmt: skip
    for one in made.certificate.extensions:
        builder = builder.add_extension(one.value, one.critical)
    return Authority(certificate=builder.sign(above.key, hashes.SHA256()), key=made.key)


@pytest.mark.parametrize(("depth", "refused"), [(0, None), (1, CallerRevoked), (2, CallerRevoked), (3, CallerRevoked)])
def test_callers_below_a_revoked_authority_are_refused_however_far(
    depth: int, refused: type[CallerRefused] | None
) -> None:
    line = [Authority.create("root", now=NOW, valid=DAYS)]
    for name in ("one", "two", "three"):
        line.append(below(line[-1], name))
    root, revoked, *_ = line
    lists = [crl(root, revoked.certificate.serial_number), *map(crl, line[1:])]
    certs = Judge().certificates(*lists, authorities=b"".join(pem(one.certificate) for one in line))

    assert refusal(certs, caller(line[depth])[1]) is refused


def test_a_certificate_is_parsed_once_as_long_as_the_files_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    judge = Judge()
    certs, (_, auth) = judge.certificates(crl(judge.authority)), caller(judge.authority)
    parsed: list[bytes] = []
    load = x509.load_pem_x509_certificate

    def counted(content: bytes, *more: Any) -> x509.Certificate:
        parsed.append(content)
        return load(content, *more)

    monkeypatch.setattr(certificates.x509, "load_pem_x509_certificate", counted)
    for _ in range(5):
        certs.require({**auth})
    assert len(parsed) == 1
    certs.renew(judge.tls(crl(judge.authority)))
    certs.require(auth)
    assert len(parsed) == 2


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certificates, "_MOST_JUDGED", 2)
    judge = Judge()
    certs = judge.certificates(crl(judge.authority))
    for _ in range(5):
        certs.require(caller(judge.authority)[1])
    assert len(certs._trust.judged) <= 2


def test_every_part_puts_new_files_in_force_on_sighup(tmp_path: Path) -> None:
    with running(tmp_path, "sqlite:///ledger.sqlite3") as place:
        authority = Authority.load(*place.house.pair("ca"))
        here = Hall(
            house=place.house, authority=authority, other=authority, port=place.port,
            gateway=Gateway(load_settings(place.house.config)),
        )  # fmt: skip
        serial = here.renew_server()
        place.parent.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + TIMEOUT
        while {here.shown() for _ in range(20)} != {serial}:
            assert time.monotonic() < deadline
