"""Ciphers against published vectors."""

from __future__ import annotations

import pytest
from cryptography.exceptions import InvalidTag

from ledger.vault import Cipher
from ledger.vault.ciphers import cipher_of

# RFC 8998, appendix A.1.
SM4_KEY = bytes.fromhex("0123456789ABCDEFFEDCBA9876543210")
SM4_NONCE = bytes.fromhex("00001234567800000000ABCD")
SM4_CONTEXT = bytes.fromhex("FEEDFACEDEADBEEFFEEDFACEDEADBEEFABADDAD2")
SM4_PLAIN = bytes.fromhex(
    "AAAAAAAAAAAAAAAABBBBBBBBBBBBBBBBCCCCCCCCCCCCCCCCDDDDDDDDDDDDDDDD"
    "EEEEEEEEEEEEEEEEFFFFFFFFFFFFFFFFEEEEEEEEEEEEEEEEAAAAAAAAAAAAAAAA"
)
SM4_SEALED = bytes.fromhex(
    "17F399F08C67D5EE19D0DC9969C4BB7D5FD46FD3756489069157B282BB200735"
    "D82710CA5C22F0CCFA7CBF93D496AC15A56834CBCF98C397B4024A2691233B8D"
    "83DE3541E4C2B58177E065A9BF7B62EC"
)
# The Galois/Counter Mode of Operation (McGrew, Viega), test case 16.
AES_KEY = bytes.fromhex("feffe9928665731c6d6a8f9467308308" * 2)
AES_NONCE = bytes.fromhex("cafebabefacedbaddecaf888")
AES_CONTEXT = bytes.fromhex("feedfacedeadbeeffeedfacedeadbeefabaddad2")
AES_PLAIN = bytes.fromhex(
    "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
    "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
)
AES_SEALED = bytes.fromhex(
    "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
    "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
    "76fc6ece0f4e1768cddf8853bb2d551b"
)


@pytest.mark.parametrize(
    ("cipher", "key", "nonce", "context", "plain", "sealed"),
    [
        (Cipher.SM4_GCM, SM4_KEY, SM4_NONCE, SM4_CONTEXT, SM4_PLAIN, SM4_SEALED),
        (Cipher.AES_256_GCM, AES_KEY, AES_NONCE, AES_CONTEXT, AES_PLAIN, AES_SEALED),
    ],
)
def test_ciphers_agree_with_published_vectors(
    cipher: Cipher, key: bytes, nonce: bytes, context: bytes, plain: bytes, sealed: bytes
) -> None:
    aead = cipher.under(key)
    assert aead.encrypt(nonce, plain, context) == sealed
    assert aead.decrypt(nonce, sealed, context) == plain
    assert cipher_of(key) is cipher


@pytest.mark.parametrize("cut", [0, 5, 15])
def test_a_ciphertext_shorter_than_its_tag_is_refused(cut: int) -> None:
    with pytest.raises(InvalidTag):
        Cipher.SM4_GCM.under(SM4_KEY).decrypt(SM4_NONCE, SM4_SEALED[:cut], SM4_CONTEXT)


def test_a_key_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Cipher.AES_256_GCM.under(SM4_KEY)
    with pytest.raises(ValueError, match="no cipher"):
        cipher_of(bytes(24))
