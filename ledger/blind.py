"""Blind indexes: finding a person's records without storing who the person is."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class BlindIndex:
    """A keyed, versioned pseudonym: HMAC-SHA256 over id type and number (identity numbers are guessable without a key).

    `key` has at least 32 bytes. The key is as secret as the numbers themselves and never enters the database.
    """

    key: bytes = field(repr=False)
    version: int
    _keyed: hmac.HMAC = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if len(self.key) < 32:
            raise ValueError("a blind index key has at least 32 bytes")
        if not 0 < self.version < 256:
            raise ValueError("a blind index version is 1 to 255")
        object.__setattr__(self, "_keyed", hmac.new(self.key, digestmod="sha256"))

    def of(self, id_type: str, id_number: str) -> bytes:
        """Return the 33-byte index of one identity: the version byte, then the HMAC."""
        message = b"chengxin/ledger/v1/subject\x00" + id_type.encode() + b"\x00" + id_number.encode()
        # A copy, not `hmac.digest`: that lets go of the interpreter for a microsecond of work, and wins it back late.
        keyed = self._keyed.copy()
        keyed.update(message)
        return bytes([self.version]) + keyed.digest()
