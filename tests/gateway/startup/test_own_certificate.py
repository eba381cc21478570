"""What the server shows: a file that TLS cannot use is named, every one at once, and never taken for the address."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec

from gateway.bootstrap.tls import open_tls
from gateway.config import load_settings
from gateway.errors import ConfigurationError
from gateway.pki import Authority, key_pem, pem
from tests.gateway.startup.process import Place, make

NOW = datetime.now(UTC)
FILES = ("server.crt", "server.key", "ca.crt")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return make(tmp_path / "var")


def refused(place: Place) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        open_tls(load_settings(place.house.config).server)
    return list(caught.value.mistakes)


def protected(key: ec.EllipticCurvePrivateKey) -> bytes:
    with_password = serialization.BestAvailableEncryption(b"password")
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, with_password)


def unusable() -> bytes:
    key = dsa.generate_private_key(1024)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


@pytest.mark.parametrize(
    "content", [b"", b"junk", b"\xff\xfe", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_files_that_hold_nothing_of_the_kind_are_all_named(place: Place, content: bytes) -> None:
    for name in FILES:
        (place.house.home / "pki" / name).write_bytes(content)
    told = refused(place)
    assert [one.partition(":")[0] for one in told] == [
        "server.certificate_file",
        "server.key_file",
        "server.client_authority_file",
    ]
    assert all(name in one for name, one in zip(FILES, told, strict=True))


def test_files_that_are_not_there_are_all_named(place: Place) -> None:
    for name in FILES:
        (place.house.home / "pki" / name).unlink()
    assert ["cannot be read (No such file or directory)" in one for one in refused(place)] == [True] * 3


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda: key_pem(ec.generate_private_key(ec.SECP256R1())), "is not the key of the certificate in"),
        (lambda: protected(ec.generate_private_key(ec.SECP256R1())), "is protected by a password"),
        (lambda: key_pem(ec.generate_private_key(ec.BrainpoolP256R1())), "holds no private key (PEM) that TLS can use"),
        (unusable, "holds no private key (PEM) that TLS can use"),
    ],
)
def test_a_key_that_cannot_serve_this_certificate_is_refused(
    place: Place, made: Callable[[], bytes], said: str
) -> None:  # fmt: skip
    (place.house.home / "pki" / "server.key").write_bytes(made())
    (told,) = refused(place)
    assert told.startswith("server.key_file: ")
    assert said in told


def test_a_chain_and_text_around_it_are_taken(place: Place) -> None:
    authority = Authority.create("another", now=NOW, valid=timedelta(days=1))
    certificate = place.house.home / "pki" / "server.crt"
    certificate.write_bytes(b"a certificate:\n" + certificate.read_bytes() + pem(authority.certificate))
    assert open_tls(load_settings(place.house.config).server) is not None


def test_a_gateway_with_another_certificates_key_names_it_and_not_the_address(place: Place) -> None:
    (place.house.home / "pki" / "server.key").write_bytes(key_pem(ec.generate_private_key(ec.SECP256R1())))
    ended = place.refusal()
    assert ended.status == 1
    assert "server.key is not the key of the certificate in" in ended.said
    assert "listen" not in ended.said
    assert "Traceback" not in ended.said
