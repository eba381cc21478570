"""Time stamps of checkpoints, from a real authority made with the openssl command."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st

from ledger import Ledger, Level, Publishing
from ledger.anchors.authority import TimestampAuthority
from ledger.anchors.register import AnchorRegister, verify_stored
from ledger.anchors.token import load_roots, verify_anchor
from ledger.errors import AnchorError, AnchorUnavailable, ExtraMissing, KeyFileError
from tests.ledger.anchors.tsa import (
    OPENSSL,
    POLICY,
    Answer,
    Authority,
    found_authority,
    granting,
    openssl,
    serving,
    sign_again,
)
from tests.ledger.house import House, submission
from tests.ledger.peers import BODY, HEAD, answering
from tests.ledger.test_publishing import OneWitness

pytestmark = pytest.mark.skipif(OPENSSL is None, reason="no openssl command: no authority can be made")
NOTE = b"example.gov.cn/ledger\n7\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return found_authority(tmp_path / "authority")


@pytest.fixture
def address(authority: Authority) -> Iterator[str]:
    with serving(granting(authority)) as url:
        yield url


def client(url: str, authority: Authority, *, policy: str = "", timeout: float = 20) -> TimestampAuthority:
    return TimestampAuthority(url, load_roots(authority.root, policy), timeout=timeout)


def refused(answer: Answer, authority: Authority, *, timeout: float = 20, policy: str = "") -> str:
    with serving(answer) as url, pytest.raises((AnchorError, AnchorUnavailable)) as caught:
        client(url, authority, timeout=timeout, policy=policy).stamp(NOTE)
    return f"{type(caught.value).__name__}: {caught.value}"


def test_a_granted_stamp_verifies_offline_and_tells_the_time(address: str, authority: Authority) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    stamp = client(address, authority, policy=POLICY).stamp(NOTE)
    assert before <= stamp.at <= datetime.now(UTC)
    assert verify_anchor(stamp.token, NOTE, load_roots(authority.root)) == stamp.at


def test_a_stamp_of_other_bytes_is_refused(address: str, authority: Authority) -> None:
    stamp = client(address, authority).stamp(NOTE)
    with pytest.raises(AnchorError, match="other bytes"):
        verify_anchor(stamp.token, NOTE + b"x", load_roots(authority.root))


def test_an_answer_to_another_question_is_refused(authority: Authority) -> None:
    with serving(granting(authority)) as url:
        old = client(url, authority).stamp(NOTE).token
    assert "Nonce" in refused(lambda _: (200, "application/timestamp-reply", old), authority)


def test_an_unknown_root_is_refused(authority: Authority, tmp_path: Path) -> None:
    stranger = found_authority(tmp_path / "stranger")
    assert "AnchorError" in refused(granting(stranger), authority)


def test_a_certificate_that_had_expired_when_it_signed_is_refused(tmp_path: Path) -> None:
    late = found_authority(tmp_path / "late", starts=timedelta(days=-9), ends=timedelta(days=-2))
    assert "certificate" in refused(granting(late), late)


def test_a_certificate_for_another_purpose_is_refused(authority: Authority, tmp_path: Path) -> None:
    stamping, server = ExtendedKeyUsageOID.TIME_STAMPING, ExtendedKeyUsageOID.SERVER_AUTH
    web = found_authority(tmp_path / "web", purposes=(server,))
    both = found_authority(tmp_path / "both", purposes=(stamping, server))
    proper = found_authority(tmp_path / "proper")

    def sign_with(other: Authority) -> Answer:
        return lambda query: (200, "application/timestamp-reply", sign_again(authority.reply(query), other))

    for wrong in (web, both):
        assert "purpose" in refused(sign_with(wrong), wrong)
    with serving(sign_with(proper)) as url:  # what was refused is the purpose, not the way it was signed
        client(url, proper).stamp(NOTE)


def test_another_policy_than_the_configured_is_refused(authority: Authority) -> None:
    assert "Policy" in refused(granting(authority), authority, policy="1.2.3.4")


@pytest.mark.parametrize(
    ("status", "kind", "body"),
    [
        (200, "text/html", b"<html>please log in</html>"),
        (503, "application/timestamp-reply", b""),
        (302, "text/html", b""),
        (200, "application/timestamp-reply", b"<html>please log in</html>"),
        (200, "application/timestamp-reply", b""),
        (200, "application/timestamp-reply", bytes.fromhex("30053003020102")),
        (200, "application/timestamp-reply", bytes(1 << 21)),
    ],
    ids=["html", "503", "redirect", "html-in-disguise", "empty", "rejected", "endless"],
)
def test_what_is_no_granted_stamp_is_refused(status: int, kind: str, body: bytes, authority: Authority) -> None:
    assert refused(lambda _: (status, kind, body), authority)


def test_an_authority_that_does_not_answer_is_given_up(authority: Authority) -> None:
    release = threading.Event()

    def hang(_: bytes) -> tuple[int, str, bytes]:
        release.wait(30)
        return 500, "text/plain", b""

    with serving(hang) as url:
        with pytest.raises(AnchorUnavailable, match="no answer in time"):
            client(url, authority, timeout=0.2).stamp(NOTE)
        release.set()


@pytest.mark.parametrize("first", [HEAD, BODY], ids=["head", "body"])
def test_an_authority_that_drips_is_given_up(first: bytes, authority: Authority) -> None:
    with answering(first, dripping=True) as url, pytest.raises(AnchorUnavailable, match="no answer in time"):
        client(url, authority, timeout=0.3).stamp(NOTE)


def test_an_authority_that_is_not_there_is_unavailable(authority: Authority) -> None:
    with serving(granting(authority)) as url:
        pass
    with pytest.raises(AnchorUnavailable, match="ConnectError"):
        client(url, authority).stamp(NOTE)


def test_without_the_library_the_extra_is_named(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    roots = load_roots(authority.root)
    monkeypatch.setitem(sys.modules, "rfc3161_client", None)
    for act in (lambda: TimestampAuthority("http://127.0.0.1:9/", roots), lambda: verify_anchor(b"", NOTE, roots)):
        with pytest.raises(ExtraMissing, match=r"chengxin\[anchors\]"):
            act()


def test_roots_are_read_with_every_mistake_at_once(tmp_path: Path) -> None:
    (tmp_path / "none.pem").write_text("nothing")
    with pytest.raises(KeyFileError) as caught:
        load_roots(tmp_path / "none.pem", "one.two")
    assert len(caught.value.mistakes) == 2


def test_every_flipped_byte_of_a_stamp_changes_nothing_or_is_refused(address: str, authority: Authority) -> None:
    """Some bytes of a response are covered by no signature (the order of certificates, a status text): then the
    stamp must still tell the same time.
    """
    stamp = client(address, authority).stamp(NOTE)
    roots = load_roots(authority.root)
    held = 0
    for at in range(0, len(stamp.token), 3):
        forged = bytearray(stamp.token)
        forged[at] ^= 1 << (at % 8)
        try:
            assert verify_anchor(bytes(forged), NOTE, roots) == stamp.at
            held += 1
        except AnchorError:
            continue
    assert held < len(stamp.token) // 12


@given(st.binary(max_size=400))
def test_random_bytes_are_no_stamp(data: bytes) -> None:
    from ledger.anchors.token import Roots

    with pytest.raises(AnchorError):
        verify_anchor(data, NOTE, Roots(certificates=()))


async def test_anchors_are_stored_beside_a_running_writer_and_verify(
    house: House, opened: Ledger, address: str, authority: Authority
) -> None:
    tsa = client(address, authority)
    with AnchorRegister.open(house.url) as register:
        await opened.append(submission())
        first = register.anchor(tsa)
        assert first is not None
        assert (first.size, register.anchor(tsa)) == (1, None)
        await opened.append(submission())
        await opened.append(submission())
        second = register.anchor(tsa)
        assert second is not None
        stored = list(register.anchors())
        assert [a.size for a in stored] == [1, 3]
        assert register.count() == 2
        assert [verify_stored(a, load_roots(authority.root)) for a in stored] == [first.at, second.at]
        assert stored[1].note == opened.checkpoint(3)


async def test_a_failed_stamp_stores_nothing_and_hinders_nobody(
    house: House, opened: Ledger, authority: Authority
) -> None:
    with serving(lambda _: (500, "text/plain", b"")) as url, AnchorRegister.open(house.url) as register:
        with pytest.raises(AnchorUnavailable):
            register.anchor(client(url, authority))
        assert register.count() == 0
        assert (await opened.append(submission())).size == 1


def test_a_stored_anchor_with_another_time_note_or_kind_does_not_verify(
    sqlite_house: House, address: str, authority: Authority
) -> None:
    with AnchorRegister.open(sqlite_house.url) as register:
        anchor = register.anchor(client(address, authority))
    assert anchor is not None
    roots = load_roots(authority.root)
    for wrong in (
        replace(anchor, at=anchor.at + timedelta(seconds=1)),
        replace(anchor, note=anchor.note[:-1]),
        replace(anchor, kind="rumour"),
    ):
        with pytest.raises(AnchorError):
            verify_stored(wrong, roots)
    verify_stored(anchor, roots)


def test_stored_anchors_cannot_be_changed(sqlite_house: House, address: str, authority: Authority) -> None:
    with AnchorRegister.open(sqlite_house.url) as register:
        register.anchor(client(address, authority))
    path = sqlite_house.url.removeprefix("sqlite:///")
    for statement in ("DELETE FROM anchor", "UPDATE anchor SET at = 'x'"):
        with closing(sqlite3.connect(path)) as database, pytest.raises(sqlite3.IntegrityError, match="append-only"):
            database.execute(statement)


def test_openssl_verifies_an_anchor_by_itself(
    sqlite_house: House, address: str, authority: Authority, tmp_path: Path
) -> None:
    with AnchorRegister.open(sqlite_house.url) as register:
        anchor = register.anchor(client(address, authority))
    assert anchor is not None
    (tmp_path / "0.note").write_bytes(anchor.note)
    (tmp_path / "0.tsr").write_bytes(anchor.token)
    recipe = ("ts", "-verify", "-data", tmp_path / "0.note", "-in", tmp_path / "0.tsr", "-CAfile", authority.root)
    openssl(*recipe)
    (tmp_path / "0.note").write_bytes(anchor.note + b"\n")
    with pytest.raises(subprocess.CalledProcessError):
        openssl(*recipe)


def test_a_witnessed_checkpoint_is_stamped_as_the_log_alone_signed_it(
    sqlite_house: House, address: str, authority: Authority
) -> None:
    witness = OneWitness(sqlite_house)
    with sqlite_house.open(publishing=Publishing(interval=0.02, cosigners=witness)) as ledger:
        ledger.append_blocking(submission(), Level.WITNESSED)
        with AnchorRegister.open(sqlite_house.url) as register:
            anchor = register.anchor(client(address, authority))
            assert anchor is not None
            assert ledger.checkpoint().startswith(anchor.note)
            assert ledger.checkpoint() != anchor.note
            (stored,) = register.anchors()
    assert verify_stored(stored, load_roots(authority.root)) == anchor.at
