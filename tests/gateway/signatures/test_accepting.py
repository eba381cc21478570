"""Accepting in a running gateway: together on a thread, with revocations from folders and servers, and time stamps."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from asn1crypto import x509 as asn1
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import ocsp
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import ConfigurationError, SignatureRefused, TimestampOff, TimestampUnavailable
from gateway.rules.kept import rows, table, text
from gateway.signatures import RevocationSettings, Signatures, StampRules, Trust, stamped
from gateway.signatures.certificates import load_anchors, parse_certificate
from gateway.signatures.chain import Chains
from gateway.signatures.evidence import CertificateEvidence, Evidence, PlatformEvidence, StaffKey
from gateway.signatures.platform import encode
from gateway.signatures.remembered import Remembered
from gateway.signatures.revocation import RevocationRule
from gateway.signatures.statuses import StatusSources
from gateway.signatures.timestamps import require_in_time
from ledger.anchors.authority import TimestampAuthority
from ledger.anchors.token import load_roots, verify_anchor
from ledger.canonical import Json, format_time
from ledger.errors import AnchorError
from tests.gateway.signatures.authorities import NAME, NOW, NUMBER, OTHER_ALGORITHMS, Issuer, naming_within, p256, root
from tests.gateway.signatures.test_certificates import CLERK, DOCUMENT, SIGNATORY, evidence
from tests.gateway.signatures.test_platform import TRUST as PLATFORMS
from tests.gateway.signatures.test_platform import claims, token
from tests.gateway.signatures.test_witnessed import RECORD, staff_key, witnessed
from tests.ledger import peers
from tests.ledger.anchors.tsa import OPENSSL, Authority, found_authority, granting, serving

HOUR = timedelta(hours=1)
PEM = serialization.Encoding.PEM
ROOT = root()


async def find_staff_key(record: bytes) -> StaffKey | None:
    return staff_key() if record == RECORD else None


@asynccontextmanager
async def accepting(above: Issuer = ROOT, *, trust: Trust | None = None, **options: Any) -> AsyncIterator[Signatures]:
    own = Trust(chains=Chains([parse_certificate(above.certificate)]))
    signatures = Signatures(trust or own, staff_keys=find_staff_key, **options)
    try:
        yield signatures
    finally:
        signatures.close()


def looking(rule: str = "require", every: timedelta = timedelta(minutes=10), **sources: Any) -> RevocationSettings:
    return RevocationSettings(rule=RevocationRule(rule), every=every, sources=StatusSources(**sources))


async def outcome(signatures: Signatures, made: CertificateEvidence, at: datetime = NOW) -> str:
    try:
        await signatures.accept(DOCUMENT, made, signatory=SIGNATORY, clerk=CLERK, at=at)
    except SignatureRefused as refused:
        return refused.code
    return "accepted"


def by_person(serial: int = 4711, above: Issuer = ROOT) -> CertificateEvidence:
    key = p256()
    return evidence(key, above.issue(key, serial=serial))


@contextmanager
def answering(answer: Callable[[str, bytes], bytes | None]) -> Iterator[tuple[str, list[str]]]:
    """Serve what `answer` gives for a path and a body at a loopback address; lends the address and what was asked."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(f"{self.command} {self.path}")
            content = answer(self.path, self.rfile.read(int(self.headers.get("Content-Length", 0))))
            self.send_response(503 if content is None else 200)
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            self.wfile.write(content or b"")

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


async def test_many_at_once_are_each_judged_alone() -> None:
    good, bad = by_person(), by_person()
    spoiled = CertificateEvidence(algorithm=bad.algorithm, signature=good.signature, certificates=bad.certificates)
    async with accepting() as signatures:
        outcomes = await asyncio.gather(*(outcome(signatures, one) for one in [good, spoiled] * 20))
    assert outcomes == ["accepted", "SIGNATURE_INVALID"] * 20


async def test_what_is_kept_tells_when_and_of_which_document() -> None:
    async with accepting() as signatures:
        accepted = await signatures.accept(DOCUMENT, by_person(), signatory=SIGNATORY, clerk=CLERK, at=NOW)
        hand = witnessed(document=DOCUMENT)
        by_hand = await signatures.accept(DOCUMENT, hand, signatory=SIGNATORY, clerk=CLERK, at=NOW)

    kept = table(accepted.groups["signature"])
    assert kept["verified_at"] == "2026-11-24T08:00:00.000000Z"
    assert kept["document_digest"] == hashes_of(DOCUMENT)
    assert kept["timestamp"] is None
    assert set(by_hand.groups) == {"signature", "handwriting"}


def hashes_of(content: bytes) -> str:
    digest = hashes.Hash(hashes.SHA256())
    digest.update(content)
    return digest.finalize().hex()


async def test_a_folder_of_lists_is_read_again_and_every_list_read_is_kept(tmp_path: Path) -> None:
    folder, kept = tmp_path / "lists", tmp_path / "kept"
    folder.mkdir()
    made = by_person()
    async with accepting(revocation=looking(folder=folder, kept=kept)) as signatures:
        assert await outcome(signatures, made) == "REVOCATION_UNKNOWN"
        first = ROOT.list_revoked({})
        (folder / "root.crl").write_bytes(first)
        (folder / "junk.crl").write_bytes(b"junk")
        (folder / "junk.ocsp").write_bytes(b"junk")
        assert await outcome(signatures, made) == "REVOCATION_UNKNOWN"  # not read again yet
        later = NOW + timedelta(minutes=11)
        await settled(signatures, made, "accepted", later)
        (folder / "root.crl").write_bytes(ROOT.list_revoked({4711: NOW}))
        await settled(signatures, made, "CERTIFICATE_REVOKED", later + timedelta(minutes=11))
    assert StatusSources(kept=kept).kept_list(hashes_of(first)) == first
    assert len(list(kept.iterdir())) == 2
    assert StatusSources(kept=kept).kept_list("0" * 64) is None


async def settled(signatures: Signatures, made: CertificateEvidence, wanted: str, at: datetime) -> None:
    """Ask until the lists, which are read beside the calls, have been read."""
    for _ in range(200):
        if await outcome(signatures, made, at) == wanted:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"never {wanted}")


async def test_lists_are_fetched_from_configured_addresses_and_an_absent_one_is_no_good_news() -> None:
    lists = {"/root.crl": ROOT.list_revoked({})}
    with answering(lambda path, _: lists.get(path)) as (address, asked):
        async with accepting(revocation=looking(list_urls=(f"{address}/root.crl", f"{address}/no.crl"))) as signatures:
            assert await outcome(signatures, by_person()) == "accepted"
        assert asked == ["GET /root.crl", "GET /no.crl"]
        for useless in (f"{address}/no.crl", "http://127.0.0.1:1/root.crl", "nonsense"):
            async with accepting(revocation=looking(list_urls=(useless,))) as signatures:
                assert await outcome(signatures, by_person()) == "REVOCATION_UNKNOWN"
            async with accepting(revocation=looking("if-available", list_urls=(useless,))) as signatures:
                assert await outcome(signatures, by_person()) == "accepted"


@pytest.mark.parametrize("first", [peers.HEAD, peers.BODY], ids=["head", "body"])
def test_addresses_of_revocations_that_drip_are_given_up_in_time(first: bytes) -> None:
    with peers.answering(first, dripping=True) as url:
        sources = StatusSources(list_urls=(url,), ocsp_url=url, timeout=0.3)
        one, issuer = parse_certificate(by_person().certificates[0]), parse_certificate(ROOT.certificate)
        began = time.monotonic()
        assert (sources.read().lists, sources.ask([(one, issuer)])) == ({}, [])
        assert time.monotonic() - began < 10


def responding(revoked: dict[int, datetime]) -> Callable[[str, bytes], bytes]:
    """Answer OCSP questions as the responder of ROOT does."""

    def answer(_path: str, body: bytes) -> bytes:
        asked = ocsp.load_der_ocsp_request(body)
        since = revoked.get(asked.serial_number)
        status = ocsp.OCSPCertStatus.GOOD if since is None else ocsp.OCSPCertStatus.REVOKED
        builder = ocsp.OCSPResponseBuilder().add_response_by_hash(
            issuer_name_hash=asked.issuer_name_hash, issuer_key_hash=asked.issuer_key_hash,
            serial_number=asked.serial_number, algorithm=asked.hash_algorithm, cert_status=status,
            this_update=NOW, next_update=NOW + HOUR, revocation_time=since, revocation_reason=None,
        )  # fmt: skip
        signed = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, ROOT.parsed).sign(ROOT.key, hashes.SHA256())
        return signed.public_bytes(serialization.Encoding.DER)

    return answer


async def test_a_configured_responder_is_asked_once_for_a_person_and_its_answer_is_kept() -> None:
    with answering(responding({666: NOW - HOUR})) as (address, asked):
        async with accepting(revocation=looking(ocsp_url=address)) as signatures:
            made = by_person()
            accepted = await signatures.accept(DOCUMENT, made, signatory=SIGNATORY, clerk=CLERK, at=NOW)
            assert await outcome(signatures, made) == "accepted"
            assert asked == ["POST /"]
            assert await outcome(signatures, by_person(serial=666)) == "CERTIFICATE_REVOKED"
    (proof,) = map(table, rows(table(accepted.groups["signature"])["revocation"]))
    assert proof["kind"] == "ocsp"
    assert ocsp.load_der_ocsp_response(base64.b64decode(text(proof["content"]))).serial_number == 4711


async def test_a_responder_that_fails_or_answers_something_else_leaves_the_status_unknown() -> None:
    other = responding({})(
        "", ocsp.OCSPRequestBuilder().add_certificate(ROOT.parsed, ROOT.parsed, hashes.SHA1()).build().public_bytes(
            serialization.Encoding.DER
        ),
    )  # fmt: skip
    for answer in (None, b"", b"junk", other, bytes(100_000)):
        with answering(lambda _path, _body, given=answer: given) as (address, _):  # type: ignore[misc]
            async with accepting(revocation=looking(ocsp_url=address)) as signatures:
                assert await outcome(signatures, by_person()) == "REVOCATION_UNKNOWN"


def by_person_now(off: timedelta = timedelta(0)) -> tuple[CertificateEvidence, datetime]:
    """Give evidence that holds when a clock that is so far off says now, and that time."""
    key, now = p256(), datetime.now(UTC) + off
    return evidence(key, ROOT.issue(key, starts=now - HOUR, ends=now + HOUR)), now


@given(st.integers(-3600, 3600), st.integers(0, 3600))
def test_the_tolerance_bounds_how_far_a_stamp_lies_from_our_clock_either_way(off: int, tolerance: int) -> None:
    stamp_at, allowed = NOW + timedelta(seconds=off), timedelta(seconds=tolerance)
    if abs(off) <= tolerance:
        require_in_time(stamp_at, NOW, allowed)
    else:
        with pytest.raises(TimestampOff):
            require_in_time(stamp_at, NOW, allowed)


def test_what_is_stamped_is_what_cat_makes_of_the_two_files(tmp_path: Path) -> None:
    (tmp_path / "document.json").write_bytes(DOCUMENT)
    (tmp_path / "signature.bin").write_bytes(b"\x30\x00")
    done = subprocess.run(["cat", "document.json", "signature.bin"], cwd=tmp_path, capture_output=True, check=True)
    assert stamped(DOCUMENT, b"\x30\x00") == done.stdout


@pytest.mark.skipif(OPENSSL is None, reason="the openssl command is not installed")
class TestTimeStamps:
    """A real authority: `openssl ts` behind HTTP."""

    @pytest.fixture(scope="class")
    @staticmethod
    def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
        return found_authority(tmp_path_factory.mktemp("stamps") / "tsa")

    @staticmethod
    async def stamped_at(signatures: Signatures, made: Evidence, at: datetime) -> dict[str, Json] | None:
        """Give what was kept of the time stamp, when our clock says `at`."""
        accepted = await signatures.accept(DOCUMENT, made, signatory=SIGNATORY, clerk=CLERK, at=at)
        stamp = table(accepted.groups["signature"])["timestamp"]
        return None if stamp is None else dict(table(stamp))

    async def test_document_and_signature_are_stamped_and_the_stamp_verified_and_kept(
        self, authority: Authority
    ) -> None:
        roots = load_roots(authority.root)
        made, now = by_person_now()
        with serving(granting(authority)) as url:
            async with accepting(timestamps=TimestampAuthority(url, roots)) as signatures:
                stamp = await self.stamped_at(signatures, made, now)
        assert stamp is not None
        response = base64.b64decode(text(stamp["token"]))
        at = verify_anchor(response, DOCUMENT + made.signature, roots)
        assert stamp["at"] == format_time(at)
        assert abs(at - now) < timedelta(minutes=5)
        for other in (made.signature, DOCUMENT, made.signature + DOCUMENT, DOCUMENT + b" " + made.signature):
            with pytest.raises(AnchorError):
                verify_anchor(response, other, roots)

    async def test_of_a_platform_the_document_and_the_assertion_are_stamped(self, authority: Authority) -> None:
        roots, now = load_roots(authority.root), datetime.now(UTC)
        life = {"iat": int(now.timestamp()) - 30, "exp": int(now.timestamp()) + 300}
        made = PlatformEvidence(jws=token(claims(**life, nonce=encode(hashlib.sha256(DOCUMENT).digest()))))
        with serving(granting(authority)) as url:
            async with accepting(trust=PLATFORMS, timestamps=TimestampAuthority(url, roots)) as signatures:
                stamp = await self.stamped_at(signatures, made, now)
        assert stamp is not None
        verify_anchor(base64.b64decode(text(stamp["token"])), DOCUMENT + made.jws.encode(), roots)

    async def test_a_required_stamp_that_cannot_be_had_refuses_for_now(
        self, authority: Authority, tmp_path: Path
    ) -> None:
        other = found_authority(tmp_path / "other")
        made, now = by_person_now()
        with serving(granting(other)) as url:
            for address in (url, "http://127.0.0.1:1/tsa"):
                stamps = TimestampAuthority(address, load_roots(authority.root), timeout=2)
                async with accepting(timestamps=stamps) as signatures:
                    with pytest.raises(TimestampUnavailable):
                        await self.stamped_at(signatures, made, now)
                async with accepting(timestamps=stamps, stamp_rules=StampRules(required=False)) as signatures:
                    assert await self.stamped_at(signatures, made, now) is None

    @pytest.mark.parametrize("required", [True, False])
    @pytest.mark.parametrize("off", [timedelta(days=-200), -HOUR, HOUR, timedelta(days=200)])
    async def test_a_stamp_of_another_time_than_our_clocks_refuses_required_or_not(
        self, authority: Authority, off: timedelta, required: bool
    ) -> None:
        made, now = by_person_now(off)
        with serving(granting(authority)) as url:
            stamps = TimestampAuthority(url, load_roots(authority.root))
            async with accepting(timestamps=stamps, stamp_rules=StampRules(required=required)) as signatures:
                with pytest.raises(TimestampOff) as caught:
                    await self.stamped_at(signatures, made, now)
            assert (caught.value.reason, NUMBER in str(caught.value)) == ("TIMESTAMP_OFF", False)
            wider = StampRules(required=required, tolerance=abs(off) + HOUR)
            async with accepting(timestamps=stamps, stamp_rules=wider) as signatures:
                assert await self.stamped_at(signatures, made, now) is not None

    async def test_a_refused_signature_is_not_stamped(self, tmp_path: Path) -> None:
        def never(_query: bytes) -> tuple[int, str, bytes]:
            raise AssertionError("asked")

        roots = load_roots(found_authority(tmp_path / "tsa").root)
        with serving(never) as url:
            async with accepting(timestamps=TimestampAuthority(url, roots)) as signatures:
                spoiled = CertificateEvidence(
                    algorithm="ECDSA_P256_SHA256", signature=b"\x30\x00", certificates=by_person().certificates
                )
                assert await outcome(signatures, spoiled) == "SIGNATURE_INVALID"


def test_files_of_anchors_that_cannot_be_used_are_all_named(tmp_path: Path) -> None:
    key = p256()
    person = parse_certificate(ROOT.issue(key)).pem
    contents = {"person.pem": person, "junk.pem": b"junk", "root.pem": parse_certificate(ROOT.certificate).pem}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    assert load_anchors([tmp_path / "root.pem"]) == (parse_certificate(ROOT.certificate),)
    with pytest.raises(ConfigurationError) as caught:
        load_anchors([tmp_path / name for name in (*contents, "none.pem")])
    assert len(caught.value.mistakes) == 3
    assert NAME not in str(caught.value)


def test_every_anchor_that_restricts_what_it_issues_is_named(tmp_path: Path) -> None:
    """Name constraints are not followed, so an anchor that has some would be believed further than it says."""
    people = x509.NameConstraints(permitted_subtrees=[x509.DirectoryName(ROOT.parsed.subject)], excluded_subtrees=None)
    unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4.5"), b"\x05\x00")
    other = OTHER_ALGORITHMS["another hash"]
    anchors = [
        root(name="critical", extensions=[(people, True)]),
        ROOT,
        root(name="not critical", extensions=[(people, False), (unknown, True)]),
        root(name="harmless", extensions=[(unknown, False)]),
        Issuer(certificate=naming_within(ROOT, asn1.Certificate.load(ROOT.certificate), other), key=ROOT.key),
    ]
    (tmp_path / "roots.pem").write_bytes(b"".join(one.parsed.public_bytes(PEM) for one in anchors))
    (tmp_path / "more.pem").write_bytes(anchors[0].parsed.public_bytes(PEM))

    with pytest.raises(ConfigurationError) as caught:
        load_anchors([tmp_path / "roots.pem", tmp_path / "more.pem"])

    told = caught.value.mistakes
    assert len(told) == 4
    for one, parts in zip(
        told,
        [
            ("roots.pem: certificate 1", "CN=critical", "2.5.29.30"),
            ("roots.pem: certificate 3", "CN=not critical", "2.5.29.30, 1.2.3.4.5"),
            ("roots.pem: certificate 5", "CERTIFICATE_MALFORMED"),
            ("more.pem: certificate 1", "CN=critical"),
        ],
        strict=True,
    ):
        assert all(part in one for part in parts), one


def test_what_is_remembered_is_bounded() -> None:
    remembered: Remembered[int, str] = Remembered(3)
    for number in range(5):
        remembered.put(number, str(number))
        remembered.get(2)
    assert [remembered.get(number) for number in range(5)] == [None, None, "2", "3", "4"]
