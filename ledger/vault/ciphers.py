"""The authenticated ciphers of the vault: AES-256-GCM, and SM4-GCM where national algorithms are required.

Both take a nonce of 12 bytes and append a tag of 16 (NIST SP 800-38D; GB/T 32907-2016 and RFC 8998 for SM4).
"""

from __future__ import annotations

import enum
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher as BlockCipher
from cryptography.hazmat.primitives.ciphers import algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_TAG = 16


class Aead(Protocol):
    """A cipher under one key; safe for several threads."""

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes, /) -> bytes:
        """Return ciphertext and tag."""
        ...

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes, /) -> bytes:
        """Return the plaintext; raises `cryptography.exceptions.InvalidTag` or ValueError."""
        ...


class Sm4Gcm:
    """SM4 in Galois/Counter Mode under a key of 16 bytes, called as `AESGCM` is."""

    def __init__(self, key: bytes) -> None:
        self._cipher = algorithms.SM4(key)

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes, /) -> bytes:
        """Return ciphertext and tag."""
        encryptor = BlockCipher(self._cipher, modes.GCM(nonce)).encryptor()
        encryptor.authenticate_additional_data(associated_data)
        return encryptor.update(data) + encryptor.finalize() + encryptor.tag

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes, /) -> bytes:
        """Return the plaintext; raises InvalidTag if anything was changed."""
        if len(data) < _TAG:
            raise InvalidTag
        decryptor = BlockCipher(self._cipher, modes.GCM(nonce, data[-_TAG:])).decryptor()
        decryptor.authenticate_additional_data(associated_data)
        return decryptor.update(data[:-_TAG]) + decryptor.finalize()


class Cipher(enum.Enum):
    """A cipher by its name in key files."""

    AES_256_GCM = "aes-256-gcm"
    SM4_GCM = "sm4-gcm"

    @property
    def key_bytes(self) -> int:
        """How long its keys are."""
        return 32 if self is Cipher.AES_256_GCM else 16

    def under(self, key: bytes) -> Aead:
        """Make the cipher under a key; raises ValueError if the key has not its length."""
        if len(key) != self.key_bytes:
            raise ValueError(f"a key of {self.value} has {self.key_bytes} bytes")
        return AESGCM(key) if self is Cipher.AES_256_GCM else Sm4Gcm(key)


def cipher_of(key: bytes) -> Cipher:
    """Tell which cipher a data key is for, by its length: a data key outlives the master key it was first wrapped by.

    Raises:
        ValueError: no cipher has keys of this length.
    """
    for cipher in Cipher:
        if len(key) == cipher.key_bytes:
            return cipher
    raise ValueError("no cipher has keys of this length")
