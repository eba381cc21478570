"""Key files of clerks: what is written opens with its password alone, here and in OpenSSL, and signs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.commands.staff_key_file import ALGORITHMS, HeldKey, StaffKeyFileError
from gateway.commands.staff_keys import _ALGORITHMS
from gateway.signatures.algorithms import read_public_key, verify_bytes
from ledger import AlgorithmUnavailable

PASSWORD = "a long password 密码".encode()


def openssl(*arguments: str, given: bytes = b"") -> bytes:
    return subprocess.run(["openssl", *arguments], input=given, check=True, capture_output=True).stdout


def test_the_command_offers_what_files_can_hold() -> None:
    assert _ALGORITHMS == ALGORITHMS


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_what_is_written_opens_with_its_password_alone_and_signs(algorithm: str) -> None:
    key = HeldKey.make(algorithm)
    content = key.encrypted(PASSWORD, os.urandom)
    opened = HeldKey.open(content, PASSWORD)

    assert opened.algorithm == algorithm
    assert opened.public == key.public
    verify_bytes(algorithm, read_public_key(key.public), opened.sign(b"seen"), b"seen")
    with pytest.raises(StaffKeyFileError):
        HeldKey.open(content, PASSWORD + b"!")
    assert content != key.encrypted(PASSWORD, os.urandom), "each file has a salt of its own"


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_openssl_opens_it_and_finds_the_same_public_key(algorithm: str, tmp_path: Path) -> None:
    key = HeldKey.make(algorithm)
    (tmp_path / "key.pem").write_bytes(key.encrypted(b"password", os.urandom))
    options = ("-in", str(tmp_path / "key.pem"), "-passin", "pass:password", "-pubout")
    assert openssl("pkey", *options, "-outform", "DER") == key.public
    assert openssl("pkey", *options) == key.public_pem


@pytest.mark.parametrize("options", [["-v2", "aes-256-cbc"], ["-v2", "aes128", "-v2prf", "hmacWithSHA1"]])
def test_an_sm2_key_that_openssl_encrypted_opens(options: list[str]) -> None:
    plain = openssl("genpkey", "-algorithm", "SM2")
    content = openssl("pkcs8", "-topk8", *options, "-passout", "pass:password", given=plain)
    key = HeldKey.open(content, b"password")

    assert key.algorithm == "SM2_SM3"
    assert openssl("pkey", "-pubout", "-outform", "DER", given=plain) == key.public
    verify_bytes("SM2_SM3", read_public_key(key.public), key.sign(b"x"), b"x")
    with pytest.raises(StaffKeyFileError):
        HeldKey.open(content, b"another")


def test_other_keys_and_what_is_no_key_are_refused() -> None:
    other = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(PASSWORD)
    )
    unencrypted = openssl("genpkey", "-algorithm", "SM2")
    by_scrypt = openssl("pkcs8", "-topk8", "-scrypt", "-passout", "pass:password", given=unencrypted)
    for content, password in ((other, PASSWORD), (unencrypted, PASSWORD), (b"", b"x"), (b"junk", b"x")):
        with pytest.raises(StaffKeyFileError):
            HeldKey.open(content, password)
    with pytest.raises(StaffKeyFileError):
        HeldKey.open(by_scrypt, b"password")


@pytest.mark.parametrize("missing", ["asn1crypto", "gmssl_pyx"])
def test_without_the_extra_an_sm2_key_is_refused_by_its_name(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(AlgorithmUnavailable, match=r"chengxin\[gm\]"):
        HeldKey.open(SM2_FILE, b"password")


SM2_FILE = HeldKey.make("SM2_SM3").encrypted(b"password", os.urandom)


@settings(max_examples=40, deadline=None)
@given(st.integers(28, len(SM2_FILE) - 27), st.sampled_from(b"ABCxyz019+/=\n"))
def test_a_damaged_sm2_file_never_opens_as_another_key(at: int, byte: int) -> None:
    try:
        opened = HeldKey.open(SM2_FILE[:at] + bytes([byte]) + SM2_FILE[at + 1 :], b"password")
    except StaffKeyFileError:
        return
    assert opened.public == HeldKey.open(SM2_FILE, b"password").public
