"""Ed25519 keys of small order: computed here from the curve (RFC 8032, 5.1), refused wherever a key comes from."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import SignatureRefused
from gateway.signatures.algorithms import read_public_key
from gateway.signatures.certificates import parse_certificate
from tests.gateway.signatures.authorities import Issuer, public_key_info, root
from tests.gateway.signatures.test_certificates import evidence, refused, trusting

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
OF_MINUS_ONE = pow(2, (P - 1) // 4, P)
"""A square root."""
Point = tuple[int, int]
ANYBODYS = b"\x01" + bytes(63)
"""R is the neutral point and S is nought: nobody's key is needed for it."""


def add(one: Point, other: Point) -> Point:
    (x1, y1), (x2, y2) = one, other
    product = D * x1 * x2 * y1 * y2
    return (
        (x1 * y2 + x2 * y1) * pow(1 + product, -1, P) % P,
        (y1 * y2 + x1 * x2) * pow(1 - product, -1, P) % P,
    )


def times(number: int, one: Point) -> Point:
    found = (0, 1)
    while number:
        if number & 1:
            found = add(found, one)
        one, number = add(one, one), number >> 1
    return found


def point_at(y: int) -> Point | None:
    """Find the point with this y, if there is one."""
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    x = x if x * x % P == square else x * OF_MINUS_ONE % P
    return (x, y) if x * x % P == square else None


def small_points() -> set[Point]:
    """Find the eight points of small order: multiples of what is left of a point that is taken L times."""
    for y in range(2, 100):
        point = point_at(y)
        rest = times(L, point) if point is not None else (0, 1)
        if times(4, rest) != (0, 1):
            return {times(number, rest) for number in range(8)}
    raise AssertionError("none")


def encodings() -> Iterator[bytes]:
    """Give every encoding of 32 bytes that is read as one of these points: with either sign, and y not reduced."""
    for y in {y for _, y in small_points()}:
        for written in (y, y + P):
            for sign in (0, 1):
                if written < 1 << 255:
                    yield (written | sign << 255).to_bytes(32, "little")


ENCODINGS = sorted(encodings())


class _Public:
    """A key pair of which only the public half exists."""

    def __init__(self, raw: bytes) -> None:
        self._public = Ed25519PublicKey.from_public_bytes(raw)

    def public_key(self) -> Ed25519PublicKey:
        return self._public


def test_there_are_eight_points_and_fourteen_encodings() -> None:
    assert len(small_points()) == 8
    assert len(ENCODINGS) == 14


def test_under_the_neutral_point_a_signature_that_nobody_made_verifies_over_everything() -> None:
    key = Ed25519PublicKey.from_public_bytes(b"\x01" + bytes(31))
    for message in (b"", b"one", b"two"):
        key.verify(ANYBODYS, message)


@pytest.mark.parametrize("raw", ENCODINGS, ids=bytes.hex)
def test_a_key_of_small_order_is_refused_in_certificates_and_alone(raw: bytes) -> None:
    key, own = _Public(raw), Ed25519PrivateKey.generate()

    with pytest.raises(SignatureRefused) as caught:
        read_public_key(public_key_info(key))

    assert caught.value.code == "KEY_TOO_WEAK"
    assert refused(evidence(own, root().issue(key))) == "KEY_TOO_WEAK"
    above = root()
    between = above.authority(key).certificate
    leaf = Issuer(certificate=between, key=own).issue(own)
    assert refused(evidence(own, leaf, between), trusting(above)) == "KEY_TOO_WEAK"
    with pytest.raises(SignatureRefused):
        parse_certificate(between)


@given(st.binary(min_size=32, max_size=32))
def test_every_other_key_is_read(seed: bytes) -> None:
    key = Ed25519PrivateKey.from_private_bytes(seed)
    assert read_public_key(public_key_info(key)) == key.public_key()
