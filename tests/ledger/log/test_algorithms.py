"""Each algorithm signs, writes its key, reads it again, and refuses everything else."""

from __future__ import annotations

import base64
import hashlib
import struct
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import KeyFileError, NoteError, WrongKey, load_further_signer, load_signer, parse_vkey, parse_vkeys
from ledger.log.algorithms.cosignature import Ed25519Cosigner
from ledger.log.algorithms.ed25519 import Ed25519Signer
from ledger.log.algorithms.mldsa44 import MlDsa44Signer, cosigned_message
from ledger.log.algorithms.sm2 import Sm2Signer
from ledger.log.algorithms.sm2_key import Sm2PrivateKey
from ledger.log.algorithms.timestamp import cosigned_at
from ledger.log.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from ledger.log.key_file import ALGORITHMS, KeyedSigner, load_cosigner, write_cosigner_key, write_key
from ledger.log.note import add_lines, open_note, parse_line, sign_note, split_note
from ledger.secret_file import write_secret

NAME = "example.gov.cn/ledger"
AT = datetime(2026, 11, 24, 8, 0, 0, tzinfo=UTC)
SECONDS = int(AT.timestamp())
CHECKPOINT = Checkpoint(origin=NAME, size=1234, root=hashlib.sha256(b"root").digest())


def now() -> datetime:
    return AT


ED25519 = Ed25519Signer(NAME, Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
COSIGNER = Ed25519Cosigner("witness.example/w1", Ed25519PrivateKey.from_private_bytes(bytes(32)), now=now)
MLDSA = MlDsa44Signer(NAME, MLDSA44PrivateKey.from_seed_bytes(bytes(range(32))), now=now)
SIGNERS: dict[str, KeyedSigner] = {"ed25519": ED25519, "cosignature": COSIGNER, "ml-dsa-44": MLDSA}
KINDS = {"ed25519": b"\x01", "cosignature": b"\x04", "ml-dsa-44": b"\x06", "sm2": b"\xffgbt32918.2/sm2-sm3/v1\0"}
if find_spec("gmssl_pyx") is not None:
    SIGNERS["sm2"] = Sm2Signer(NAME, Sm2PrivateKey.generate())
each = pytest.mark.parametrize("signer", SIGNERS.values(), ids=SIGNERS.keys())


@each
def test_a_key_signs_and_its_line_verifies_with_that_key_alone(signer: KeyedSigner) -> None:
    note = sign_checkpoint(CHECKPOINT, list(SIGNERS.values()))
    assert open_checkpoint(note, [parse_vkey(signer.verifier.vkey)], NAME) == CHECKPOINT
    assert len(open_note(note, [signer.verifier]).lines) == 1


def test_the_ed25519_line_is_the_same_whether_others_sign_too() -> None:
    alone, together = sign_checkpoint(CHECKPOINT, [ED25519]), sign_checkpoint(CHECKPOINT, list(SIGNERS.values()))
    assert together.startswith(alone)


@each
def test_a_verifier_key_is_read_as_it_was_written(signer: KeyedSigner) -> None:
    again = parse_vkey(signer.verifier.vkey + "\n")
    assert (again.name, again.key_id, again.public, again.vkey) == (
        signer.name,
        signer.key_id,
        signer.verifier.public,
        signer.verifier.vkey,
    )


@pytest.mark.parametrize("algorithm", SIGNERS)
def test_key_ids_are_derived_as_the_specifications_say(algorithm: str) -> None:
    signer = SIGNERS[algorithm]
    material = KINDS[algorithm] + signer.verifier.public
    assert signer.key_id == hashlib.sha256(signer.name.encode() + b"\n" + material).digest()[:4]
    assert len(signer.verifier.public) == {"ml-dsa-44": 1312, "sm2": 65}.get(algorithm, 32)


@each
def test_every_bit_of_text_and_signature_counts(signer: KeyedSigner) -> None:
    note = sign_checkpoint(CHECKPOINT, [signer])
    slow = signer in (MLDSA, SIGNERS.get("sm2"))  # of these every 23rd bit, which meets all eight of a byte
    for position in range(0, 8 * len(note), 23 if slow else 1):
        at, bit = divmod(position, 8)
        flipped = note[:at] + bytes([note[at] ^ 1 << bit]) + note[at + 1 :]
        with pytest.raises(NoteError):
            open_note(flipped, [signer.verifier])


@given(st.binary(max_size=400))
@settings(max_examples=150, deadline=None)
def test_random_bytes_are_refused_and_never_crash(junk: bytes) -> None:
    text, lines = split_note(sign_checkpoint(CHECKPOINT, list(SIGNERS.values())))
    for signer in SIGNERS.values():
        with pytest.raises(NoteError):
            signer.verifier.verify(text.encode(), junk)
        with pytest.raises(NoteError):
            signer.verifier.verify(junk, signer.sign(text.encode()))
    with pytest.raises(NoteError):
        open_note(junk, [s.verifier for s in SIGNERS.values()])
    with pytest.raises(NoteError):
        parse_line(lines[0][:2] + junk.decode("utf-8", "replace"))


@given(st.text(max_size=120))
@settings(max_examples=200, deadline=None)
def test_random_text_is_no_verifier_key(junk: str) -> None:
    with pytest.raises(NoteError):
        parse_vkey(junk)
    with pytest.raises(NoteError):
        parse_vkey(f"{NAME}+00000000+{base64.b64encode(junk.encode()).decode()}")


@each
def test_a_verifier_key_changed_anywhere_is_refused(signer: KeyedSigner) -> None:
    vkey = signer.verifier.vkey
    for at in range(0, len(vkey), 7):
        changed = vkey[:at] + ("A" if vkey[at] != "A" else "B") + vkey[at + 1 :]
        with pytest.raises(NoteError):
            parse_vkey(changed)


def test_a_list_of_verifier_keys_names_every_bad_line() -> None:
    good = f"# the log\n\n{ED25519.verifier.vkey}\n{MLDSA.verifier.vkey}\n"
    assert [key.key_id for key in parse_vkeys(good)] == [ED25519.key_id, MLDSA.key_id]
    with pytest.raises(NoteError, match=r"line 1: .*line 6: "):
        parse_vkeys("junk\n" + good + "a+b+c\n")


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\u3000b", "a\n", "x" * 256])
def test_a_key_name_that_a_line_cannot_carry_is_refused(name: str) -> None:
    with pytest.raises(NoteError, match="key name"):
        Ed25519Signer(name, Ed25519PrivateKey.generate())


def test_cosignatures_carry_the_time_and_it_is_signed() -> None:
    for signer in (COSIGNER, MLDSA):
        note = sign_checkpoint(CHECKPOINT, [signer])
        text, (line,) = split_note(note)
        assert cosigned_at(line) == SECONDS
        signature = parse_line(line).signature
        for other in (0, SECONDS + 1, 1 << 63, (1 << 64) - 1):
            with pytest.raises(NoteError):
                signer.verifier.verify(text.encode(), struct.pack(">Q", other) + signature[8:])


def test_the_message_of_cosignature_v1_is_that_of_the_specification() -> None:
    text, (line,) = split_note(sign_checkpoint(CHECKPOINT, [COSIGNER]))
    message = f"cosignature/v1\ntime {SECONDS}\n{text}".encode()
    key = Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key()
    key.verify(parse_line(line).signature[8:], message)


def test_the_message_of_subtree_v1_is_that_of_the_specification() -> None:
    (line,) = split_note(sign_checkpoint(CHECKPOINT, [MLDSA]))[1]
    name = NAME.encode()
    message = b"".join(
        (b"subtree/v1\n\0", bytes([len(name)]), name, struct.pack(">Q", SECONDS), bytes([len(name)]), name)
    ) + struct.pack(">QQ", 0, 1234) + CHECKPOINT.root  # fmt: skip
    assert cosigned_message(NAME, SECONDS, CHECKPOINT) == message
    MLDSA44PrivateKey.from_seed_bytes(bytes(range(32))).public_key().verify(parse_line(line).signature[8:], message)


@pytest.mark.parametrize("signer", [COSIGNER, MLDSA], ids=["cosignature", "ml-dsa-44"])
@pytest.mark.parametrize("text", ["hello\n", "o\n1\n", "o\n01\n" + "A" * 43 + "=\n", "\n1\n" + "A" * 43 + "=\n"])
def test_what_is_no_checkpoint_is_not_cosigned(signer: KeyedSigner, text: str) -> None:
    with pytest.raises(NoteError):
        sign_note(text, [signer])


def test_an_origin_too_long_for_the_format_is_not_cosigned() -> None:
    with pytest.raises(NoteError, match="255"):
        sign_checkpoint(Checkpoint(origin="o" * 256, size=0, root=bytes(32)), [MLDSA])


def test_one_bad_line_of_a_known_key_spoils_the_note_and_of_an_unknown_key_does_not() -> None:
    note = sign_checkpoint(CHECKPOINT, [ED25519, MLDSA])
    text, (first, second) = split_note(note)
    bad = second[:-8] + ("AAAAAAA=" if not second.endswith("AAAAAAA=") else "BBBBBBA=")
    spoilt = f"{text}\n{first}\n{bad}\n".encode()
    assert open_note(spoilt, [ED25519.verifier]).signed_by == (NAME,)
    with pytest.raises(NoteError):
        open_note(spoilt, [ED25519.verifier, MLDSA.verifier])
    with pytest.raises(WrongKey):
        open_note(note, [COSIGNER.verifier])


def test_lines_are_added_once_and_only_well_formed() -> None:
    note = sign_checkpoint(CHECKPOINT, [ED25519])
    _, lines = split_note(sign_checkpoint(CHECKPOINT, [ED25519, COSIGNER]))
    whole = add_lines(note, [*lines, lines[1]])
    assert split_note(whole)[1] == lines
    assert add_lines(whole, lines) == whole
    newer = Ed25519Cosigner(COSIGNER.name, COSIGNER._key, now=lambda: AT.replace(minute=1))
    _, (again,) = split_note(sign_checkpoint(CHECKPOINT, [newer]))
    assert split_note(add_lines(whole, [again]))[1] == [lines[0], again]
    with pytest.raises(NoteError):
        add_lines(note, ["— name"])
    with pytest.raises(NoteError):
        add_lines(note, [lines[1] + "\n" + lines[0]])


@pytest.mark.parametrize("algorithm", [a for a in ALGORITHMS if a in SIGNERS])
def test_a_key_file_is_closed_to_others_and_read_again(tmp_path: Path, algorithm: str) -> None:
    path = tmp_path / "a.key"
    made = write_key(path, NAME, algorithm, now=now)  # type: ignore[arg-type]
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_bytes().startswith(b"-----BEGIN PRIVATE KEY-----\n")
    again = load_further_signer(path, NAME, now=now)
    assert again.verifier.vkey == made.verifier.vkey
    made.verifier.verify(CHECKPOINT.text().encode(), again.sign(CHECKPOINT.text().encode()))
    with pytest.raises(KeyFileError, match="exists already"):
        write_key(path, NAME, algorithm, now=now)  # type: ignore[arg-type]
    path.chmod(0o640)
    with pytest.raises(KeyFileError, match="0600"):
        load_further_signer(path, NAME, now=now)


def test_a_key_file_of_another_algorithm_is_refused(tmp_path: Path) -> None:
    write_key(tmp_path / "ml-dsa-44", NAME, "ml-dsa-44", now=now)
    with pytest.raises(KeyFileError, match="not an Ed25519 key"):
        load_signer(tmp_path / "ml-dsa-44", NAME)
    elliptic = ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    write_secret(tmp_path / "p256", elliptic)
    with pytest.raises(KeyFileError, match="not a key of ed25519, ml-dsa-44, sm2"):
        load_further_signer(tmp_path / "p256", NAME, now=now)
    with pytest.raises(KeyFileError, match="a witness signs with"):
        load_cosigner(tmp_path / "p256", NAME, now=now)
    (tmp_path / "junk").write_bytes(b"junk")
    (tmp_path / "junk").chmod(0o600)
    with pytest.raises(KeyFileError, match="PEM"):
        load_further_signer(tmp_path / "junk", NAME, now=now)
    with pytest.raises(KeyFileError, match="cannot be read"):
        load_further_signer(tmp_path / "none", NAME, now=now)


def test_a_witness_key_signs_cosignatures_only(tmp_path: Path) -> None:
    made = write_cosigner_key(tmp_path / "w.key", "w.example/1", "ed25519", now=now)
    assert base64.b64decode(made.verifier.vkey.split("+", 2)[2])[:1] == b"\x04"
