"""Blind indexes: finding a person's records, and recognising a request, without storing who the person is."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class BlindIndex:
    """A keyed, versioned pseudonym: HMAC-SHA256 over id type and number (identity numbers are guessable without a key).

    What names a person and is stored as a digest is guessable in the same way, so it has a keyed digest as well.
    `key` has at least 32 bytes. The key is as secret as the numbers themselves and never enters the database.
    """

    key: bytes = field(repr=False)
    version: int
    _keyed: hmac.HMAC = field(init=False, repr=False, compare=False)
    _digesting: hmac.HMAC = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if len(self.key) < 32:
            raise ValueError("a blind index key has at least 32 bytes")
        if not 0 < self.version < 256:
            raise ValueError("a blind index version is 1 to 255")
        object.__setattr__(self, "_keyed", hmac.new(self.key, digestmod="sha256"))
        derived = self._hmac(self._keyed, b"chengxin/ledger/v1/digest-key")
        object.__setattr__(self, "_digesting", hmac.new(derived, digestmod="sha256"))

    def of(self, id_type: str, id_number: str) -> bytes:
        """Return the 33-byte index of one identity: the version byte, then the HMAC."""
        message = b"chengxin/ledger/v1/subject\x00" + id_type.encode() + b"\x00" + id_number.encode()
        return bytes([self.version]) + self._hmac(self._keyed, message)

    def digest(self, content: bytes) -> bytes:
        """Return a 32-byte digest of what may name a person, under a key derived from this one for digests alone."""
        return self._hmac(self._digesting, content)

    @staticmethod
    def _hmac(keyed: hmac.HMAC, message: bytes) -> bytes:
        # A copy, not `hmac.digest`: that lets go of the interpreter for a microsecond of work, and wins it back late.
        copied = keyed.copy()
        copied.update(message)
        return copied.digest()
