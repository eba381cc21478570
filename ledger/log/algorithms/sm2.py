"""SM2 signatures with SM3 over the text of a note (GB/T 32918.2, GB/T 32905): type 0xff with its own identifier.

The signature type is 0xff followed by the identifier `gbt32918.2/sm2-sm3/v1` and a zero byte
(https://c2sp.org/signed-note reserves 0xff for that). The public key is the point as SEC1 writes it uncompressed:
0x04, x, y, 65 bytes. The signature is r and s, 32 bytes each, big-endian: one signature has one spelling, which DER
does not promise. The signer's distinguishing identifier is the default of GB/T 35276, `1234567812345678`.

Needs the extra `gm` (gmssl-pyx, and asn1crypto for key files). The C library behind it writes its own traces to
standard error when a signature is bad; they hold source lines of the library and nothing of ours.
"""

from __future__ import annotations

from ledger.errors import NoteError
from ledger.log.algorithms.named_key import NamedKey
from ledger.log.algorithms.sm2_key import IDENTIFIER, PUBLIC_BYTES, Sm2PrivateKey, gmssl

TYPE = b"\xffgbt32918.2/sm2-sm3/v1\x00"
_ORDER = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFF7203DF6B21C6052B53BBF40939D54123


def encode_der(signature: bytes) -> bytes:
    """Write r || s (64 bytes) as the DER SEQUENCE of GM/T 0009, each number in its shortest form.

    Raises:
        NoteError: it is not 64 bytes, or r or s is not from 1 to n-1.
    """
    if len(signature) != 64:
        raise NoteError("an SM2 signature has 64 bytes")
    numbers = [int.from_bytes(half, "big") for half in (signature[:32], signature[32:])]
    if not all(1 <= number < _ORDER for number in numbers):
        raise NoteError("an SM2 signature is out of range")
    body = b"".join(_integer(number) for number in numbers)
    return bytes([0x30, len(body)]) + body


def _integer(number: int) -> bytes:
    value = number.to_bytes(number.bit_length() // 8 + 1, "big")
    return bytes([0x02, len(value)]) + value


def decode_der(encoded: bytes) -> bytes:
    """Read r || s (64 bytes) from a DER signature that `encode_der` would have written, and no other.

    Raises:
        NoteError: it is written in any other way.
    """
    numbers: list[bytes] = []
    at = 2
    while at + 2 <= len(encoded) and len(numbers) < 2:
        end = at + 2 + encoded[at + 1]
        numbers.append(encoded[at + 2 : end].rjust(32, b"\0")[-32:])
        at = end
    signature = b"".join(numbers)
    if encode_der(signature) != encoded:
        raise NoteError("an SM2 signature is not in its DER form")
    return signature


class Sm2PublicKey:
    """An SM2 public key: a point of the curve, as SEC1 writes it uncompressed (65 bytes).

    Raises:
        NoteError: it is no such point.
        AlgorithmUnavailable: the extra `gm` is not installed.
    """

    def __init__(self, public: bytes) -> None:
        library = gmssl()
        if len(public) != PUBLIC_BYTES or public[:1] != b"\x04":
            raise NoteError("an SM2 public key is an uncompressed point of 65 bytes")
        try:
            self._point: bytes = library.normalize_sm2_public_key(public)
        except library.InvalidValueError:
            raise NoteError("an SM2 public key is not a point of the curve") from None

    def verify(self, message: bytes, signature: bytes, identifier: bytes = IDENTIFIER) -> None:
        """Verify r and s, 32 bytes each, over a message by the signer of this identifier; raises `NoteError`."""
        library = gmssl()
        try:
            good = library.sm2_verify(self._point, message, encode_der(signature), identifier)
        except library.GmsslInnerError:
            good = False
        if not good:
            raise NoteError("bad SM2 signature")


class Sm2Verifier(NamedKey):
    """An SM2 public key, a point of 65 bytes, under a key name."""

    def __init__(self, name: str, public: bytes) -> None:
        super().__init__(name, prefix=TYPE, public=public)
        self._key = Sm2PublicKey(public)

    def verify(self, message: bytes, signature: bytes) -> None:
        """Verify 64 bytes, r and s; raises `NoteError` if they are bad."""
        try:
            self._key.verify(message, signature)
        except NoteError as bad:
            raise NoteError(f"key {self.name!r}: {bad}") from None


class Sm2Signer:
    """An SM2 private key under a key name.

    Raises:
        NoteError: the public key does not belong to the private one.
    """

    def __init__(self, name: str, key: Sm2PrivateKey) -> None:
        self.verifier = Sm2Verifier(name, b"\x04" + key.point)
        self.name = name
        self.key_id = self.verifier.key_id
        self._key = key
        key.require_pair()

    def sign(self, message: bytes) -> bytes:
        """Sign the text of a note: 64 bytes, r and s."""
        try:
            return decode_der(self._key.sign(message))
        except NoteError as failure:
            raise NoteError(f"key {self.name!r}: {failure}") from None
