"""SM2 with SM3 against the standard's example, against an implementation of our own from the standard, and openssl."""

from __future__ import annotations

import secrets
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import SignatureRefused
from gateway.signatures.algorithms import read_public_key, verify_bytes
from ledger.errors import NoteError
from ledger.log.algorithms.sm2 import Sm2PublicKey
from tests.gateway.signatures import sm2_reference as sm2
from tests.gateway.signatures.authorities import Sm2Key, root

PRIVATE = 0x3945208F7B2144B13F36E38AC6D39F95889393692860B51A42FB81EF4DF7C5B8
K = 0x59276E27D506861A16680F3AD9C02DCCEF3CC1FA3CDBE4CE6D54B80DEAC1BC21
R = 0xF5A03B0648D2C4630EEAC513E1BB81A15944DA3827D5B74143AC7EACEEE720B3
S = 0xB1B6AA29DF212FD8763182BC0D421CA1BB9038FD1F7F42D4840B69C485BBC1AA
MESSAGE = b"message digest"
"""GB/T 32918.5-2017, annex A.2: key, random number and signature of the example."""


def accepted(key: Sm2Key, signature: bytes, message: bytes) -> bool:
    try:
        verify_bytes("SM2_SM3", read_public_key(key.public_key_info()), signature, message)
    except SignatureRefused as refused:
        return refused.code != "SIGNATURE_INVALID"
    return True


def test_the_reference_reproduces_the_examples_of_the_standards() -> None:
    assert sm2.sm3(b"abc").hex() == "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"
    assert sm2.sm3(b"abcd" * 16).hex() == "debe9ff92275b8a138604889c18e5a4d6fdb70e5387e5765293dcba39c0c5732"
    assert sm2.sign(PRIVATE, MESSAGE, K) == (R, S)
    assert sm2.verify(sm2.public_of(PRIVATE), MESSAGE, R, S)


def test_the_example_of_the_standard_is_accepted() -> None:
    assert accepted(Sm2Key(PRIVATE), sm2.der(R, S), MESSAGE)
    assert not accepted(Sm2Key(PRIVATE), sm2.der(R, S), MESSAGE + b".")


@settings(max_examples=5, deadline=None)
@given(st.binary(max_size=200), st.integers(1, sm2.N - 2), st.integers(1, sm2.N - 1))
def test_both_implementations_agree(message: bytes, private: int, k: int) -> None:
    key = Sm2Key(private)
    r, s = sm2.sign(private, message, k)
    for one in ((r, s), (s, r), (r, sm2.N - s), (r ^ 1, s)):
        if all(1 <= number < sm2.N for number in one):
            assert accepted(key, sm2.der(*one), message) == sm2.verify(sm2.public_of(private), message, *one)


def test_a_signature_under_another_user_id_is_refused() -> None:
    key = Sm2Key()
    k = 1 + secrets.randbelow(sm2.N - 1)
    for identifier in (b"", b"1234567812345679", b"ALICE123@YAHOO.COM"):
        r, s = sm2.sign(key.private, MESSAGE, k, identifier)
        assert sm2.verify(sm2.public_of(key.private), MESSAGE, r, s, identifier)
        assert not accepted(key, sm2.der(r, s), MESSAGE)


@pytest.mark.parametrize(
    "bad", [b"", b"\x30\x00", sm2.der(R, S) + b"\0", sm2.der(R, S)[:-1], R.to_bytes(32, "big") * 2]
)
def test_a_signature_that_is_not_the_der_of_gmt_0009_is_refused(bad: bytes) -> None:
    assert not accepted(Sm2Key(PRIVATE), bad, MESSAGE)


@pytest.mark.parametrize(
    "point", [b"\x04" + bytes(64), b"\x04" + b"\xff" * 64, Sm2Key(PRIVATE).point[:-1] + b"\0", b""]
)
def test_what_is_no_point_of_the_curve_is_no_key(point: bytes) -> None:
    with pytest.raises(NoteError):
        Sm2PublicKey(point)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="the openssl command is not installed")
class TestOpenSsl:
    """A third implementation."""

    def test_it_verifies_a_chain_and_a_signature_that_we_accept(self, tmp_path: Path) -> None:
        above, key = root(Sm2Key()), Sm2Key()
        leaf = above.issue(key)
        pem = tmp_path / "root.pem", tmp_path / "leaf.pem"
        for path, der in zip(pem, (above.certificate, leaf), strict=True):
            (tmp_path / "der").write_bytes(der)
            self.run("x509", "-inform", "DER", "-in", tmp_path / "der", "-out", path)
        epoch = "1795939200"
        identifier = "distid:1234567812345678"
        self.run("verify", "-attime", epoch, "-vfyopt", identifier, "-CAfile", pem[0], pem[1])
        (tmp_path / "key.pem").write_bytes(self.run("x509", "-in", pem[1], "-noout", "-pubkey"))
        (tmp_path / "message").write_bytes(MESSAGE)
        (tmp_path / "signature").write_bytes(key.sign(MESSAGE))
        self.run(
            "pkeyutl", "-verify", "-rawin", "-digest", "sm3", "-pkeyopt", identifier, "-pubin",
            "-inkey", tmp_path / "key.pem", "-in", tmp_path / "message", "-sigfile", tmp_path / "signature",
        )  # fmt: skip

    def run(self, *arguments: str | Path) -> bytes:
        return subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True).stdout
