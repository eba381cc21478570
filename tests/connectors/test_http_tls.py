import ipaddress
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from structlog.testing import capture_logs

from connectors.catalog import connect
from connectors.conformance.server import FaultServer
from connectors.outcome import Cause, Kind, Outcome
from tests.connectors.people import GOOD, ZHANG, claim, http_stanza, now, question


def certify(folder: Path, name: str, address: str) -> None:
    """Write a self-signed certificate for an address, and its key."""
    key, subject = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    today = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - timedelta(days=1))
        .not_valid_after(today + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / f"{name}.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    (folder / f"{name}.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Certificates of a server, of a server for another address, of us and of a stranger."""
    for name, address in (
        ("server", "127.0.0.1"),
        ("elsewhere", "127.0.0.2"),
        ("us", "127.0.0.1"),
        ("stranger", "127.0.0.1"),
    ):
        certify(tmp_path, name, address)
    return tmp_path


def serving(folder: Path, name: str) -> FaultServer:
    """Serve over TLS under a certificate, to callers who show ours."""
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(folder / "us.pem"))
    tls.load_cert_chain(folder / f"{name}.pem", folder / f"{name}.key")
    tls.verify_mode = ssl.CERT_REQUIRED
    return FaultServer(GOOD, person=(ZHANG.id_number, ZHANG.name), tls=tls)


@pytest.fixture
async def server(folder: Path) -> AsyncIterator[FaultServer]:
    """The department's service under its own certificate."""
    async with serving(folder, "server") as started:
        yield started


async def asked(url: str, **files: Path) -> Outcome:
    source = connect("civil-affairs", http_stanza(url, **{key: str(path) for key, path in files.items()}), now=now)
    [evidence] = await source.check_many([claim(status="married")], question())
    await source.aclose()
    return evidence.outcome


async def test_a_known_server_answers_a_known_caller(server: FaultServer, folder: Path) -> None:
    ours = {"client_cert_file": folder / "us.pem", "client_key_file": folder / "us.key"}
    outcome = await asked(server.url, ca_file=folder / "server.pem", **ours)
    assert outcome.kind is Kind.MATCH


@pytest.mark.parametrize(
    "files",
    [
        {"client_cert_file": "us.pem", "client_key_file": "us.key"},
        {"ca_file": "stranger.pem", "client_cert_file": "us.pem", "client_key_file": "us.key"},
        {"ca_file": "server.pem"},
        {"ca_file": "server.pem", "client_cert_file": "stranger.pem", "client_key_file": "stranger.key"},
    ],
)
async def test_a_stranger_on_either_side_gets_no_answer_and_no_question(
    server: FaultServer, folder: Path, files: dict[str, str]
) -> None:
    outcome = await asked(server.url, **{key: folder / name for key, name in files.items()})
    assert outcome.cause is Cause.OUTAGE
    assert server.requests == []


async def test_a_certificate_for_another_address_is_not_believed(folder: Path) -> None:
    async with serving(folder, "elsewhere") as server:
        ours = {"client_cert_file": folder / "us.pem", "client_key_file": folder / "us.key"}
        assert (await asked(server.url, ca_file=folder / "elsewhere.pem", **ours)).cause is Cause.OUTAGE
        assert server.requests == []


@pytest.mark.parametrize(
    ("name", "authority", "why"),
    [
        ("server", "stranger.pem", "the certificate is not one that `ca_file` vouches for"),
        ("elsewhere", "elsewhere.pem", "the certificate is another host's"),
    ],
)
async def test_a_certificate_that_is_refused_is_told_in_the_log(
    folder: Path, name: str, authority: str, why: str
) -> None:
    ours = {"client_cert_file": folder / "us.pem", "client_key_file": folder / "us.key"}
    async with serving(folder, name) as server:
        with capture_logs() as events:
            await asked(server.url, ca_file=folder / authority, **ours)
    assert [event["why"] for event in events] == [why]
