"""SM2 with SM3: the example of the standard, one spelling of a signature, and OpenSSL in both directions."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import KeyFileError, NoteError, load_further_signer, write_key
from ledger.log.algorithms.sm2 import Sm2Verifier, decode_der, encode_der
from ledger.log.algorithms.sm2_key import Sm2PrivateKey
from ledger.log.checkpoint import Checkpoint, sign_checkpoint
from ledger.log.note import parse_line, split_note

pytest.importorskip("gmssl_pyx", reason="the extra `gm` is not installed")

NAME = "example.gov.cn/ledger"
CHECKPOINT = Checkpoint(origin=NAME, size=1234, root=hashlib.sha256(b"root").digest())
SM3 = ("-rawin", "-digest", "sm3", "-pkeyopt", "distid:1234567812345678")
GBT_PUBLIC = bytes.fromhex(
    "0409F9DF311E5421A150DD7D161E4BC5C672179FAD1833FC076BB08FF356F35020"
    "CCEA490CE26775A52DC6EA718CC1AA600AED05FBF35E084A6632F6072DA9AD13"
)
"""GB/T 32918.5, annex A: the key pair and signature of the example on the curve sm2p256v1."""
GBT_SIGNATURE = bytes.fromhex(
    "F5A03B0648D2C4630EEAC513E1BB81A15944DA3827D5B74143AC7EACEEE720B3"
    "B1B6AA29DF212FD8763182BC0D421CA1BB9038FD1F7F42D4840B69C485BBC1AA"
)
GBT_MESSAGE = b"message digest"


def now() -> datetime:
    return datetime(2026, 11, 24, 8, 0, 0, tzinfo=UTC)


def test_the_example_of_the_sm2_standard_verifies() -> None:
    verifier = Sm2Verifier(NAME, GBT_PUBLIC)
    verifier.verify(GBT_MESSAGE, GBT_SIGNATURE)
    with pytest.raises(NoteError):
        verifier.verify(GBT_MESSAGE + b".", GBT_SIGNATURE)


def test_an_sm2_signature_has_one_spelling() -> None:
    order = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFF7203DF6B21C6052B53BBF40939D54123
    r, s = int.from_bytes(GBT_SIGNATURE[:32], "big"), int.from_bytes(GBT_SIGNATURE[32:], "big")
    verifier = Sm2Verifier(NAME, GBT_PUBLIC)
    for other in ((0, s), (r, 0), (order, s), (r, order), (r, order - s), (2**256 - 1, s)):
        with pytest.raises(NoteError):
            verifier.verify(GBT_MESSAGE, b"".join(number.to_bytes(32, "big") for number in other))
    for encoded in (encode_der(GBT_SIGNATURE), GBT_SIGNATURE[:-1], GBT_SIGNATURE + b"\0", b""):
        with pytest.raises(NoteError):
            verifier.verify(GBT_MESSAGE, encoded)


@given(st.integers(1, 2**255), st.integers(1, 2**255), st.integers(0, 71))
def test_der_is_read_as_it_is_written_and_in_no_other_way(r: int, s: int, at: int) -> None:
    signature = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    der = encode_der(signature)
    assert decode_der(der) == signature
    for junk in (der[:at], der + b"\0", b"\x31" + der[1:], der[:4] + b"\0" + der[4:]):
        if junk != der:
            with pytest.raises(NoteError):
                decode_der(junk)


@pytest.mark.parametrize(
    "public", [b"", GBT_PUBLIC[1:], b"\x04" + bytes(64), b"\x02" + GBT_PUBLIC[1:33], GBT_PUBLIC[:-1] + b"\0"]
)
def test_what_is_no_point_of_the_curve_is_no_sm2_key(public: bytes) -> None:
    with pytest.raises(NoteError):
        Sm2Verifier(NAME, public)


def test_an_sm2_key_whose_halves_do_not_belong_together_is_refused(tmp_path: Path) -> None:
    one, other = Sm2PrivateKey.generate(), Sm2PrivateKey.generate()
    path = tmp_path / "mixed.key"
    path.write_bytes(Sm2PrivateKey(scalar=one.scalar, point=other.point).pem())
    path.chmod(0o600)
    with pytest.raises(KeyFileError):
        load_further_signer(path, NAME, now=now)


def test_a_private_key_is_not_shown() -> None:
    key = Sm2PrivateKey.generate()
    assert key.scalar.hex() not in repr(key)
    assert repr(key.scalar) not in repr(key)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="the openssl command is not installed")
class TestOpenSsl:
    """An implementation that is not ours, in both directions."""

    def run(self, *arguments: str | Path) -> None:
        subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)

    def test_it_verifies_our_sm2_line(self, tmp_path: Path) -> None:
        write_key(tmp_path / "key.pem", NAME, "sm2")
        signer = load_further_signer(tmp_path / "key.pem", NAME, now=now)
        text, (line,) = split_note(sign_checkpoint(CHECKPOINT, [signer]))
        (tmp_path / "text").write_text(text)
        (tmp_path / "signature").write_bytes(encode_der(parse_line(line).signature))
        self.run("pkey", "-in", tmp_path / "key.pem", "-pubout", "-out", tmp_path / "public.pem")
        files = ("-inkey", tmp_path / "public.pem", "-in", tmp_path / "text", "-sigfile", tmp_path / "signature")
        verify = ("pkeyutl", "-verify", "-pubin", *SM3, *files)
        self.run(*verify)
        (tmp_path / "text").write_text(text + "x")
        with pytest.raises(subprocess.CalledProcessError):
            self.run(*verify)

    def test_we_read_its_sm2_key_and_verify_its_signature(self, tmp_path: Path) -> None:
        self.run("genpkey", "-algorithm", "SM2", "-out", tmp_path / "key.pem")
        (tmp_path / "key.pem").chmod(0o600)
        signer = load_further_signer(tmp_path / "key.pem", NAME, now=now)
        (tmp_path / "text").write_text(CHECKPOINT.text())
        files = ("-inkey", tmp_path / "key.pem", "-in", tmp_path / "text", "-out", tmp_path / "signature")
        self.run("pkeyutl", "-sign", *SM3, *files)
        signature = decode_der((tmp_path / "signature").read_bytes())
        signer.verifier.verify(CHECKPOINT.text().encode(), signature)
