"""The files of one side of TLS, read and judged before gRPC has them: it has one word for all that can fail."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from ledger.errors import KeyFileError

_CURVES = ("secp256r1", "secp384r1", "secp521r1")
"""The curves of TLS that gRPC's library has."""


class TlsFilesWrong(Exception):
    """Files that TLS cannot use, or a key that is not that of the certificate; `mistakes` names every one."""

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__("; ".join(mistakes))
        self.mistakes = mistakes


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """What one side shows, and which authority the other's certificate must come from (PEM)."""

    certificate: bytes
    key: bytes = field(repr=False)
    authority: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """A file, and what it is called where it is named."""

    name: str
    path: Path


def read_tls_files(
    *, certificate: Named, key: Named, authority: Named, read_key: Callable[[Path], bytes] = Path.read_bytes
) -> TlsFiles:
    """Read the files of one side; raises `TlsFilesWrong`, which names every mistake."""
    mistakes: list[str] = []

    def read(file: Named, judge: Callable[[bytes], object], content_of: Callable[[Path], bytes]) -> bytes:
        try:
            judge(content := content_of(file.path))
        except OSError as error:
            mistakes.append(f"{file.name}: {file.path} cannot be read ({error.strerror})")
        except KeyFileError as error:
            mistakes.extend(f"{file.name}: {file.path} {mistake}" for mistake in error.mistakes)
        except ValueError as error:
            mistakes.append(f"{file.name}: {file.path} {error}")
        else:
            return content
        return b""

    shown = read(certificate, _certificate, Path.read_bytes)
    secret = read(key, _private_key, read_key)
    believed = read(authority, _certificate, Path.read_bytes)
    if shown and secret and _certificate(shown).public_key() != _private_key(secret).public_key():
        mistakes.append(f"{key.name}: {key.path} is not the key of the certificate in {certificate.path}")
    if mistakes:
        raise TlsFilesWrong(mistakes)
    return TlsFiles(certificate=shown, key=secret, authority=believed)


def _certificate(content: bytes) -> x509.Certificate:
    """Read the first certificate of a file; the others, if any, are those above it."""
    try:
        first, *_ = x509.load_pem_x509_certificates(content)
        _require_usable(first.public_key())
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("holds no certificate (PEM) that TLS can use") from None
    return first


def _private_key(content: bytes) -> PrivateKeyTypes:
    try:
        key = serialization.load_pem_private_key(content, None)
        _require_usable(key.public_key())
    except TypeError:
        raise ValueError(
            "is protected by a password: the key must be in the file as it is, readable by its owner alone"
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("holds no private key (PEM) that TLS can use") from None
    return key


def _require_usable(key: object) -> None:
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _CURVES:
        return
    if not isinstance(key, rsa.RSAPublicKey | ed25519.Ed25519PublicKey):
        raise ValueError("not an algorithm of TLS here")
