"""The files of the server's TLS, read and judged before anything is bound: gRPC has one word for all that can fail."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from gateway.config import ServerSettings
from gateway.errors import ConfigurationError
from gateway.rpc.server import Tls
from ledger.errors import KeyFileError
from ledger.secret_file import read_secret

_CURVES = ("secp256r1", "secp384r1", "secp521r1")
"""The curves of TLS that gRPC's library has."""


def open_tls(settings: ServerSettings) -> Tls | None:
    """Read what the server shows and which authority its callers must come from; None without TLS.

    Raises:
        ConfigurationError: names every file that cannot be used, and a key that is not that of the certificate.
    """
    if settings.plaintext:
        return None
    mistakes: list[str] = []

    def read(
        key: str, path: Path, judge: Callable[[bytes], object], content_of: Callable[[Path], bytes] = Path.read_bytes
    ) -> bytes:
        try:
            judge(content := content_of(path))
        except OSError as error:
            mistakes.append(f"{key}: {path} cannot be read ({error.strerror})")
        except KeyFileError as error:
            mistakes.extend(f"{key}: {path} {mistake}" for mistake in error.mistakes)
        except ValueError as error:
            mistakes.append(f"{key}: {path} {error}")
        else:
            return content
        return b""

    certificate = read("certificate_file", settings.certificate_file, _certificate)
    key = read("key_file", settings.key_file, _private_key, read_secret)
    authority = read("client_authority_file", settings.client_authority_file, _certificate)
    if certificate and key and _certificate(certificate).public_key() != _private_key(key).public_key():
        mistakes.append(
            f"key_file: {settings.key_file} is not the key of the certificate in {settings.certificate_file}"
        )
    if mistakes:
        raise ConfigurationError("server", mistakes)
    return Tls(certificate=certificate, key=key, client_authority=authority)


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
