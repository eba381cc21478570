"""Private keys of notes in files: PKCS#8, PEM, unencrypted, mode 0600. The key itself tells its algorithm."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger.errors import KeyFileError, NoteError
from ledger.log.algorithms.cosignature import Ed25519Cosigner
from ledger.log.algorithms.ed25519 import Ed25519Signer
from ledger.log.algorithms.mldsa44 import MlDsa44Signer, generate_key, is_mldsa44
from ledger.log.algorithms.sm2 import Sm2Signer
from ledger.log.algorithms.sm2_key import Sm2PrivateKey
from ledger.log.note import Signer
from ledger.log.vkey import PublicKey
from ledger.secret_file import read_secret, write_secret

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

Algorithm = Literal["ed25519", "ml-dsa-44", "sm2"]
ALGORITHMS: tuple[Algorithm, ...] = ("ed25519", "ml-dsa-44", "sm2")


class KeyedSigner(Signer, Protocol):
    """A signer that can show its public key."""

    @property
    def verifier(self) -> PublicKey:
        """The public key that verifies what this signs."""
        ...


def now_utc() -> datetime:
    """Read the clock."""
    return datetime.now(UTC)


def write_key(path: Path, name: str, algorithm: Algorithm, *, now: Callable[[], datetime] = now_utc) -> KeyedSigner:
    """Make a new key and write it; the file must not exist. `now` dates the lines of algorithms that carry a time.

    Raises:
        KeyFileError: the file exists or cannot be written.
        AlgorithmUnavailable: a library is not installed.
    """
    if algorithm == "ed25519":
        return write_signing_key(path, name)
    if algorithm == "ml-dsa-44":
        key = generate_key()
        signer = MlDsa44Signer(name, key, now=now)
        write_secret(path, _pkcs8(key))
        return signer
    pair = Sm2PrivateKey.generate()
    made = Sm2Signer(name, pair)
    write_secret(path, pair.pem())
    return made


def write_signing_key(path: Path, name: str) -> Ed25519Signer:
    """Make a new Ed25519 key (type 0x01) and write it; the file must not exist; raises `KeyFileError`."""
    key = Ed25519PrivateKey.generate()
    signer = Ed25519Signer(name, key)
    write_secret(path, _pkcs8(key))
    return signer


def write_cosigner_key(
    path: Path, name: str, algorithm: Literal["ed25519", "ml-dsa-44"], *, now: Callable[[], datetime] = now_utc
) -> KeyedSigner:
    """Make a new key of a witness and write it; the file must not exist.

    Raises:
        KeyFileError: the file exists or cannot be written.
        AlgorithmUnavailable: a library is not installed.
    """
    write_key(path, name, algorithm, now=now)
    return load_cosigner(path, name, now=now)


def _pkcs8(key: Ed25519PrivateKey | MLDSA44PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def load_signer(path: Path, name: str) -> Ed25519Signer:
    """Read the Ed25519 key that signs a log's checkpoints (type 0x01).

    Raises:
        KeyFileError: the file is unreadable, open to others, or not an Ed25519 key.
    """
    key = _read(path)
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyFileError(str(path), ["not an Ed25519 key"])
    return Ed25519Signer(name, key)


def load_further_signer(path: Path, name: str, *, now: Callable[[], datetime]) -> KeyedSigner:
    """Read a key of any algorithm that signs further lines of a log's checkpoints; `now` dates ML-DSA-44 lines.

    Raises:
        KeyFileError: the file is unreadable, open to others, or not such a key.
        AlgorithmUnavailable: a library is not installed.
    """
    key = _read(path)
    if isinstance(key, Sm2PrivateKey):
        try:
            return Sm2Signer(name, key)
        except NoteError as failure:
            raise KeyFileError(str(path), [str(failure)]) from None
    if isinstance(key, Ed25519PrivateKey):
        return Ed25519Signer(name, key)
    if is_mldsa44(key):
        return MlDsa44Signer(name, key, now=now)
    raise KeyFileError(str(path), [f"not a key of {', '.join(ALGORITHMS)}"])


def load_cosigner(path: Path, name: str, *, now: Callable[[], datetime]) -> KeyedSigner:
    """Read a witness's key: Ed25519 for `cosignature/v1` (0x04), or ML-DSA-44 for `subtree/v1` (0x06).

    Raises:
        KeyFileError: the file is unreadable, open to others, or not such a key.
        AlgorithmUnavailable: a library is not installed.
    """
    key = _read(path)
    if isinstance(key, Ed25519PrivateKey):
        return Ed25519Cosigner(name, key, now=now)
    if is_mldsa44(key):
        return MlDsa44Signer(name, key, now=now)
    raise KeyFileError(str(path), ["a witness signs with Ed25519 or ML-DSA-44"])


def _read(path: Path) -> object:
    """Read a private key of any kind; the library of SM2 is asked for what `cryptography` does not know."""
    content = read_secret(path)
    try:
        return serialization.load_pem_private_key(content, password=None)
    except (ValueError, TypeError):
        raise KeyFileError(str(path), ["not an unencrypted PEM private key"]) from None
    except UnsupportedAlgorithm:
        try:
            return Sm2PrivateKey.from_pem(content)
        except NoteError as failure:
            raise KeyFileError(str(path), [str(failure)]) from None
