"""Long revocation lists are read beside everything else, and a list that cannot be used is no good news."""

from __future__ import annotations

import base64
import contextlib
import threading
import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import structlog
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from hypothesis import given
from hypothesis import strategies as st

from gateway.signatures.certificates import parse_certificate
from gateway.signatures.lists import ListTooLong, UnusableStatus, issuer_of, read_list
from gateway.signatures.revocation import RevocationRule
from gateway.signatures.statuses import StatusSources
from ledger.der import elements
from tests.gateway.signatures.authorities import NOW, Issuer, Sm2Key, p256, root, sign
from tests.gateway.signatures.test_accepting import accepting, answering, by_person, looking, outcome
from tests.gateway.signatures.test_revocation import ROOT, SERIAL, known, told

HOUR = timedelta(hours=1)
FIRST = (1 << 158) + 1
NAME = parse_certificate(ROOT.certificate).subject
IF_AVAILABLE = RevocationRule.IF_AVAILABLE


def revoking(count: int, above: Issuer = ROOT, *, serial: int = SERIAL, at: datetime = NOW - HOUR) -> bytes:
    """Write a list of many certificates and one more; by hand, for the library takes a minute for a long one."""
    few = above.list_revoked({FIRST: NOW - HOUR, serial: NOW - HOUR}, at=at, until=at + 3 * HOUR)
    tbs, algorithm, _ = (whole for _, whole in elements(few))
    parts = [whole for _, whole in elements(tbs)]
    first, signers = (whole for _, whole in elements(parts[5]))
    number = FIRST.to_bytes(20, "big")
    many = (first.replace(number, (FIRST + one).to_bytes(20, "big")) for one in range(count))
    parts[5] = sequence(b"".join(many) + signers)
    signed = sequence(b"".join(parts))
    signature = b"\x00" + sign(above.key, signed)[1]
    return sequence(signed + algorithm + bytes([0x03, len(signature)]) + signature)


def sequence(content: bytes) -> bytes:
    length = len(content).to_bytes((len(content).bit_length() + 7) // 8, "big")
    return (b"\x30" + (length if len(content) < 128 else bytes([0x80 | len(length)]) + length)) + content


def as_pem(der: bytes) -> bytes:
    return x509.load_der_x509_crl(der).public_bytes(serialization.Encoding.PEM)


def of_library(der: bytes) -> dict[int, datetime]:
    """Read the entries as the library does."""
    since = {}
    for one in x509.load_der_x509_crl(der):
        lost = [
            each.value.invalidity_date_utc for each in one.extensions if isinstance(each.value, x509.InvalidityDate)
        ]
        since[one.serial_number] = min([one.revocation_date_utc, *lost])
    return since


@given(
    st.dictionaries(st.integers(1, (1 << 159) - 1), st.integers(0, 60 * 365 * 86_400), max_size=5),
    st.none() | st.integers(0, 60 * 365 * 86_400),
)
def test_entries_are_those_that_the_library_reads(revoked: Mapping[int, int], lost: int | None) -> None:
    start = NOW.replace(year=1990)
    since = {serial: start + timedelta(seconds=seconds) for serial, seconds in revoked.items()}
    invalid = None if lost is None else start + timedelta(seconds=lost)
    der = ROOT.list_revoked(since, invalid_since=invalid)
    assert read_list(der).revoked == of_library(der)
    assert read_list(as_pem(der)).content == der


@given(st.data())
def test_a_list_with_a_changed_byte_is_of_nobody(data: st.DataObject) -> None:
    der = LIST
    at = data.draw(st.integers(0, len(der) - 1))
    changed = der[:at] + bytes([der[at] ^ data.draw(st.integers(1, 255))]) + der[at + 1 :]
    with contextlib.suppress(UnusableStatus):
        assert not read_list(changed).is_of(parse_certificate(ROOT.certificate))


LIST = ROOT.list_revoked({1: NOW - HOUR, FIRST: NOW - HOUR}, invalid_since=NOW - 2 * HOUR)


@pytest.mark.parametrize("cut", [1, 2, 40, 100, 200])
def test_a_list_that_is_cut_or_has_something_behind_it_is_no_list(cut: int) -> None:
    for content in (LIST[:cut], LIST + b"\x00", LIST + LIST, as_pem(LIST)[: -cut - 1], as_pem(LIST) + b"-"):
        with pytest.raises(UnusableStatus):
            read_list(content)


def test_a_critical_extension_of_an_entry_that_is_not_understood_makes_a_list_unusable() -> None:
    entry = x509.RevokedCertificateBuilder().serial_number(5).revocation_date(NOW)
    entry = entry.add_extension(x509.CertificateIssuer([x509.DirectoryName(ROOT.parsed.subject)]), critical=True)
    made = x509.CertificateRevocationListBuilder().issuer_name(ROOT.parsed.subject).last_update(NOW).next_update(NOW)
    signed = made.add_revoked_certificate(entry.build()).sign(ROOT.key, hashes.SHA256())
    with pytest.raises(UnusableStatus, match="critical"):
        read_list(signed.public_bytes(serialization.Encoding.DER))


@pytest.mark.parametrize("above", [ROOT, root(Sm2Key())], ids=["P-256", "SM2"])
def test_a_signer_whom_a_list_of_more_than_two_megabytes_names_is_refused(above: Issuer) -> None:
    long = revoking(60_000, above)
    assert len(long) > 2 << 20
    leaf = parse_certificate(above.issue(p256(), serial=SERIAL))
    one = read_list(long)
    assert one.revoked[leaf.parsed.serial_number] == NOW - HOUR
    assert one.is_of(parse_certificate(above.certificate))
    assert read_list(as_pem(long)).digest == one.digest
    if above is ROOT:
        assert told(known(long, rule=IF_AVAILABLE)) == "CERTIFICATE_REVOKED"


def test_other_threads_run_while_a_long_list_is_read() -> None:
    content, turns, done = revoking(60_000), 0, threading.Event()
    reading = threading.Thread(target=lambda: (read_list(content), done.set()))
    reading.start()
    while not done.is_set():
        turns += 1
        time.sleep(0)
    reading.join()
    assert turns > 3  # one call of the library into such a list lets nobody else run


def test_a_list_that_has_not_changed_is_not_read_again() -> None:
    first = read_list(LIST)
    assert read_list(as_pem(LIST), earlier=first) is first
    assert read_list(revoking(0), earlier=first) is not first


def test_the_limit_is_of_the_list_however_it_is_written() -> None:
    for content in (LIST, as_pem(LIST), as_pem(LIST).replace(b"\n", b"\r\n")):
        assert read_list(content, longest=len(LIST)).content == LIST
        with pytest.raises(ListTooLong, match=f"{len(LIST)} bytes; a revocation list may have {len(LIST) - 1}"):
            read_list(content, longest=len(LIST) - 1)


def test_the_issuer_of_a_list_is_read_from_its_beginning_or_not_at_all() -> None:
    pem = as_pem(LIST)
    assert issuer_of(LIST) == issuer_of(LIST[:200]) == issuer_of(pem) == issuer_of(pem[:300]) == NAME
    for junk in (b"", b"junk", b"\x30", LIST[:20], pem[:40], b"-----BEGIN X509 CRL-----\n!!!!", base64.b64encode(LIST)):
        assert issuer_of(junk) is None


@given(st.binary(max_size=80))
def test_whatever_a_list_begins_with_its_issuer_is_read_or_not(junk: bytes) -> None:
    issuer_of(junk)
    issuer_of(LIST[: len(junk)] + junk)


USELESS = {
    "too long": revoking(200),
    "too long, PEM": as_pem(revoking(200)),
    "damaged": revoking(0)[:-1] + b"\x01\x02",
    "cut": revoking(0)[:-10],
}


@pytest.mark.parametrize("where", ["folder", "address"])
@pytest.mark.parametrize("why", USELESS)
async def test_certificates_of_an_issuer_whose_list_cannot_be_used_are_refused_where_it_is_available(
    tmp_path: Path, why: str, where: str
) -> None:
    counted: list[str] = []
    with answering(lambda _path, _body: USELESS[why]) as (address, _), structlog.testing.capture_logs() as logged:
        if where == "folder":
            (tmp_path / "root.crl").write_bytes(USELESS[why])
        urls = (address,) if where == "address" else ()
        sources = looking("if-available", folder=tmp_path, list_urls=urls, longest_list=2000, count=counted.append)
        async with accepting(ROOT, revocation=sources) as signatures:
            assert await outcome(signatures, by_person(above=ROOT)) == "REVOCATION_UNKNOWN"
    assert counted == ["too-long" if "too long" in why else "unreadable"]
    assert [one["cause"] for one in logged if one["event"] == "no usable revocation list"] == counted
    assert all(one["log_level"] == "error" for one in logged if "cause" in one)


async def test_a_list_that_cannot_be_used_concerns_nobody_elses_certificates_and_none_that_another_list_clears(
    tmp_path: Path,
) -> None:
    stranger = root(name="stranger")
    (tmp_path / "a.crl").write_bytes(revoking(200))
    async with accepting(
        stranger, revocation=looking("if-available", folder=tmp_path, longest_list=2000)
    ) as signatures:
        assert await outcome(signatures, by_person(above=stranger)) == "accepted"
    (tmp_path / "b.crl").write_bytes(ROOT.list_revoked({}))
    async with accepting(ROOT, revocation=looking("if-available", folder=tmp_path, longest_list=2000)) as signatures:
        assert await outcome(signatures, by_person(above=ROOT)) == "accepted"
        assert await outcome(signatures, by_person(serial=4712, above=ROOT)) == "accepted"


async def test_what_is_no_list_of_anybody_is_told_and_refuses_nobody(tmp_path: Path) -> None:
    counted: list[str] = []
    (tmp_path / "junk.crl").write_bytes(b"junk")
    (tmp_path / "folder.crl").mkdir()
    sources = looking("if-available", folder=tmp_path, list_urls=("http://127.0.0.1:1",), count=counted.append)
    async with accepting(ROOT, revocation=sources) as signatures:
        assert await outcome(signatures, by_person(above=ROOT)) == "accepted"
    assert counted == ["unreadable", "unreadable", "not-fetched"]


def test_a_list_of_another_key_of_the_same_name_is_not_the_issuers() -> None:
    other = root()
    named = x509.AuthorityKeyIdentifier.from_issuer_public_key(other.parsed.public_key())  # type: ignore[arg-type]
    own = x509.AuthorityKeyIdentifier.from_issuer_public_key(ROOT.parsed.public_key())  # type: ignore[arg-type]
    identified = x509.SubjectKeyIdentifier(own.key_identifier or b"")
    issuer = parse_certificate(root(ROOT.key, extensions=[(identified, False)]).certificate)
    for given_, names in (([], True), ([(own, False)], True), ([(named, False)], False)):
        assert read_list(ROOT.list_revoked({}, extensions=given_)).names(issuer) is names


async def test_a_list_that_cannot_be_kept_clears_nobody(tmp_path: Path) -> None:
    (tmp_path / "root.crl").write_bytes(ROOT.list_revoked({}))
    (tmp_path / "kept").write_bytes(b"no folder")
    for rule in ("require", "if-available"):
        sources = looking(rule, folder=tmp_path, kept=tmp_path / "kept")
        async with accepting(ROOT, revocation=sources) as signatures:
            assert await outcome(signatures, by_person(above=ROOT)) == "REVOCATION_UNKNOWN"


def test_a_list_of_an_address_that_fails_later_is_believed_as_long_as_it_is_fresh() -> None:
    lists: dict[str, bytes | None] = {"/": LIST}
    with answering(lambda path, _: lists["/"]) as (address, _):
        sources = StatusSources(list_urls=(address,), longest_list=len(LIST))
        first = sources.read()
        for bad, unusable in ((None, set()), (revoking(9), {NAME}), (b"junk", set())):
            lists["/"] = bad
            again = sources.read(first.lists)
            assert (again.lists, again.unusable) == (first.lists, unusable)
        assert StatusSources().read(first.lists).lists == {}
