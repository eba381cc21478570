"""SM2 key pairs (GB/T 32918.5: the curve sm2p256v1) and their files: PKCS#8, PEM, as OpenSSL has them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ledger.errors import AlgorithmUnavailable, NoteError

PUBLIC_BYTES = 65
IDENTIFIER = b"1234567812345678"
"""The signer's distinguishing identifier where none is agreed upon (GB/T 35276)."""
_CURVE_OID = "1.2.156.10197.1.301"


def gmssl() -> Any:
    """Import the library of the extra `gm`; raises `AlgorithmUnavailable`."""
    try:
        import gmssl_pyx
    except ImportError:
        raise AlgorithmUnavailable("SM2 needs the extra `gm`: pip install 'chengxin[gm]'") from None
    return gmssl_pyx


def asn1crypto() -> tuple[Any, Any]:
    """Import what reads and writes key files (`keys`, `pem`) of the extra `gm`; raises `AlgorithmUnavailable`."""
    try:
        from asn1crypto import keys, pem
    except ImportError:
        raise AlgorithmUnavailable("SM2 key files need the extra `gm`: pip install 'chengxin[gm]'") from None
    keys.NamedCurve.register("sm2p256v1", _CURVE_OID, 32)
    return keys, pem


def _algorithm(keys: Any) -> dict[str, Any]:
    return {"algorithm": "ec", "parameters": keys.ECDomainParameters(("named", _CURVE_OID))}


def point_of(public_key_info: bytes) -> bytes | None:
    """Read the point (65 bytes) of a SubjectPublicKeyInfo (DER, RFC 5480); None if it is of no SM2 key.

    Raises:
        NoteError: it is no SubjectPublicKeyInfo.
        AlgorithmUnavailable: the extra `gm` is not installed.
    """
    keys, _ = asn1crypto()
    try:
        info = keys.PublicKeyInfo.load(public_key_info, strict=True)
        if info["algorithm"]["algorithm"].native != "ec" or info["algorithm"]["parameters"].name != "named":
            return None
        curve = info["algorithm"]["parameters"].chosen.dotted
        point = bytes(info["public_key"].native)
    except (ValueError, TypeError, KeyError, AttributeError):
        raise NoteError("not a public key (SubjectPublicKeyInfo, DER)") from None
    return point if curve == _CURVE_OID else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sm2PrivateKey:
    """An SM2 key pair: the number of 32 bytes, and the point of 64 bytes (x, y)."""

    scalar: bytes = field(repr=False)
    point: bytes

    @classmethod
    def generate(cls) -> Sm2PrivateKey:
        """Make a new key pair; raises `AlgorithmUnavailable`."""
        point, scalar = gmssl().sm2_key_generate()
        return cls(scalar=scalar, point=point)

    @classmethod
    def from_pem(cls, text: bytes) -> Sm2PrivateKey:
        """Read a key file, also one that `openssl genpkey -algorithm SM2` wrote.

        Raises:
            NoteError: it is not one, or holds no public key.
            AlgorithmUnavailable: the extra `gm` is not installed.
        """
        keys, pem = asn1crypto()
        try:
            _, _, der = pem.unarmor(text)
            info = keys.PrivateKeyInfo.load(der, strict=True)
            curve = info["private_key_algorithm"]["parameters"].chosen.dotted
            pair = info["private_key"].parsed
            scalar: bytes = pair["private_key"].native.to_bytes(32, "big")
            point = bytes(pair["public_key"].native)
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
            raise NoteError("not an unencrypted SM2 key with its public key (PKCS#8, PEM)") from None
        if curve != _CURVE_OID or len(point) != PUBLIC_BYTES or point[:1] != b"\x04":
            raise NoteError("not a key on the SM2 curve with an uncompressed public key")
        return cls(scalar=scalar, point=point[1:])

    def public_key_info(self) -> bytes:
        """Write the public half as SubjectPublicKeyInfo (DER, RFC 5480); `point_of` reads it."""
        keys, _ = asn1crypto()
        info = {"algorithm": _algorithm(keys), "public_key": b"\x04" + self.point}
        encoded: bytes = keys.PublicKeyInfo(info).dump()
        return encoded

    def sign(self, message: bytes) -> bytes:
        """Sign a message with SM3, as the signer of the default identifier; DER (GM/T 0009).

        Raises:
            NoteError: the key pair is not one.
        """
        library = gmssl()
        try:
            signature: bytes = library.sm2_sign(self.scalar, self.point, message, IDENTIFIER)
        except library.GmsslInnerError:
            raise NoteError("an SM2 key that cannot sign") from None
        return signature

    def require_pair(self) -> None:
        """Raise `NoteError` if the two halves do not belong together."""
        library, probe = gmssl(), b"chengxin: does this key pair belong together?"
        try:
            good = library.sm2_verify(self.point, probe, self.sign(probe), IDENTIFIER)
        except (library.GmsslInnerError, library.InvalidValueError):
            good = False
        if not good:
            raise NoteError("the public key does not belong to the private one")

    def pem(self) -> bytes:
        """Write the content of a key file."""
        keys, pem = asn1crypto()
        pair = {
            "version": "ecPrivkeyVer1",
            "private_key": int.from_bytes(self.scalar, "big"),
            "public_key": b"\x04" + self.point,
        }
        info = {"version": 0, "private_key_algorithm": _algorithm(keys), "private_key": keys.ECPrivateKey(pair)}
        text: bytes = pem.armor("PRIVATE KEY", keys.PrivateKeyInfo(info).dump())
        return text
