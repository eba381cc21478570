"""A time-stamping authority for tests: `openssl ts` behind a small HTTP server, with certificates of its own."""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

OPENSSL = shutil.which("openssl")
POLICY = "1.3.6.1.4.1.99999.1"
_CONFIG = f"""
[tsa]
default_tsa = one
[one]
serial = {{folder}}/serial
crypto_device = builtin
signer_cert = {{folder}}/tsa.crt
certs = {{folder}}/root.crt
signer_key = {{folder}}/tsa.key
signer_digest = sha256
default_policy = {POLICY}
digests = sha256
accuracy = secs:1
ordering = no
tsa_name = no
ess_cert_id_chain = no
ess_cert_id_alg = sha256
"""


def openssl(*arguments: str | Path) -> bytes:
    assert OPENSSL is not None
    return subprocess.run([OPENSSL, *map(str, arguments)], check=True, capture_output=True).stdout


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """A folder with `root.crt`, `tsa.crt`, `tsa.key` and the configuration of `openssl ts`."""

    folder: Path

    @property
    def root(self) -> Path:
        return self.folder / "root.crt"

    def reply(self, query: bytes) -> bytes:
        asked, answered = self.folder / "query.tsq", self.folder / "answer.tsr"
        asked.write_bytes(query)
        openssl("ts", "-reply", "-config", self.folder / "tsa.cnf", "-queryfile", asked, "-out", answered)
        return answered.read_bytes()


def found_authority(
    folder: Path,
    *,
    purposes: Sequence[x509.ObjectIdentifier] = (ExtendedKeyUsageOID.TIME_STAMPING,),
    starts: timedelta = timedelta(days=-1),
    ends: timedelta = timedelta(days=1),
) -> Authority:
    folder.mkdir()
    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"root of {folder.name}")])
    now = datetime.now(UTC)

    def certificate(name: x509.Name, public: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        made = x509.CertificateBuilder().subject_name(name).issuer_name(root_name).public_key(public)
        return made.serial_number(x509.random_serial_number())

    root = (
        certificate(root_name, root_key.public_key())
        .not_valid_before(now - timedelta(days=3650))
        .not_valid_after(now + timedelta(days=3650))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.KeyUsage(*[False] * 5, True, True, False, False), critical=True)
        .sign(root_key, hashes.SHA256())
    )
    leaf = (
        certificate(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "time stamps")]), key.public_key())
        .not_valid_before(now + starts)
        .not_valid_after(now + ends)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(True, *[False] * 8), critical=True)
        .add_extension(x509.ExtendedKeyUsage(purposes), critical=True)
        .sign(root_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / "root.crt").write_bytes(root.public_bytes(pem))
    (folder / "tsa.crt").write_bytes(leaf.public_bytes(pem))
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "tsa.key").write_bytes(secret)
    (folder / "serial").write_text("01\n")
    (folder / "tsa.cnf").write_text(_CONFIG.format(folder=folder))
    return Authority(folder=folder)


Answer = Callable[[bytes], tuple[int, str, bytes]]
"""A query to status, content type and body."""


def granting(authority: Authority) -> Answer:
    return lambda query: (200, "application/timestamp-reply", authority.reply(query))


@contextmanager
def serving(answer: Answer) -> Iterator[str]:
    """Serve answers at a loopback address; lends its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            query = self.rfile.read(int(self.headers["Content-Length"]))
            assert self.headers["Content-Type"] == "application/timestamp-query"
            status, kind, body = answer(query)
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/tsa"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def wrap(token: bytes) -> bytes:
    """Make a granted `TimeStampResp` of a bare token (RFC 3161, 2.4.2)."""
    body = bytes.fromhex("3003020100") + token
    return b"\x30\x82" + len(body).to_bytes(2, "big") + body


def sign_again(response: bytes, by: Authority) -> bytes:
    """Sign the stamp in a response again, with a key that `openssl ts` itself would refuse to use."""
    work = by.folder
    (work / "old.tsr").write_bytes(response)
    openssl("ts", "-reply", "-in", work / "old.tsr", "-token_out", "-out", work / "old.der")
    openssl("cms", "-verify", "-noverify", "-inform", "DER", "-in", work / "old.der", "-out", work / "info.der")
    openssl(
        "cms", "-sign", "-binary", "-nodetach", "-econtent_type", "1.2.840.113549.1.9.16.1.4", "-cades",
        "-in", work / "info.der", "-signer", work / "tsa.crt", "-inkey", work / "tsa.key", "-outform", "DER",
        "-out", work / "new.der",
    )  # fmt: skip
    return wrap((work / "new.der").read_bytes())
