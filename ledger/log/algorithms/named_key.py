"""A public key under a key name: its id and its verifier key line (https://c2sp.org/signed-note#verifier-keys)."""

from __future__ import annotations

import base64
import hashlib

from ledger.log.note import require_key_name


class NamedKey:
    """What every public key of a note has, whatever its algorithm.

    `prefix` is the signature type: one byte, or 0xff and a longer identifier; `public` is the encoded public key.
    """

    def __init__(self, name: str, *, prefix: bytes, public: bytes) -> None:
        require_key_name(name)
        self.name = name
        self.public = public
        self._material = prefix + public
        self.key_id = hashlib.sha256(name.encode() + b"\n" + self._material).digest()[:4]

    @property
    def vkey(self) -> str:
        """The verifier key as one line: `name+<8 hex of key id>+<base64 of type || public key>`."""
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(self._material).decode()}"
