"""Sealing and opening: what comes back is what went in, or nothing does."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import VaultError
from ledger.records.commitments import commit_groups, decode_document
from ledger.vault import Cipher, MasterKey, SealedDocument, Vault

ORIGIN = "example.gov.cn/ledger"
RECORD = bytes(range(16))
DOCUMENT = commit_groups({"person": {"name": "王小明"}}, {"place": {"town": "甲镇", "door": 7}}, os.urandom)[1]


class Masters:
    """Master keys in memory."""

    def __init__(self, **ciphers: Cipher) -> None:
        self.keys = {
            int(name[1:]): MasterKey(cipher=cipher, secret=hashlib.sha256(name.encode()).digest()[: cipher.key_bytes])
            for name, cipher in ciphers.items()
        }
        self.current = max(self.keys)

    def key(self, version: int) -> MasterKey:
        if version not in self.keys:
            raise VaultError("unknown")
        return self.keys[version]


AES = Masters(v1=Cipher.AES_256_GCM)
SM4 = Masters(v1=Cipher.SM4_GCM)
MASTERS = pytest.mark.parametrize("masters", [AES, SM4], ids=["aes", "sm4"])


def stream(seed: bytes) -> Callable[[int], bytes]:
    """Reproducible entropy, never the same twice."""
    calls = iter(range(1 << 20))
    return lambda count: hashlib.shake_256(seed + next(calls).to_bytes(4, "big")).digest(count)


@MASTERS
@given(record=st.binary(min_size=16, max_size=16), name=st.text(max_size=300), seed=st.binary(max_size=8))
def test_what_was_sealed_opens_for_its_record(masters: Masters, record: bytes, name: str, seed: bytes) -> None:
    commits, document, mistakes, _ = commit_groups({"person": name}, {"place": {"town": name}}, stream(seed))
    assert mistakes == []
    vault = Vault(masters, ORIGIN, stream(seed + b"vault"))
    sealed = vault.seal(record, document)
    opened = vault.open(record, sealed)
    assert opened == decode_document(document)
    assert opened["person"].value == name
    assert set(opened) == set(commits)


@MASTERS
@given(data=st.data())
def test_any_flipped_bit_is_refused(masters: Masters, data: st.DataObject) -> None:
    vault = Vault(masters, ORIGIN, stream(b"x"))
    version, wrapped, sealed = vault.seal(RECORD, DOCUMENT)
    of_key = data.draw(st.booleans())
    broken = bytearray(wrapped if of_key else sealed)
    bit = data.draw(st.integers(0, 8 * len(broken) - 1))
    broken[bit // 8] ^= 1 << (bit % 8)
    changed = (
        SealedDocument(version, bytes(broken), sealed) if of_key else SealedDocument(version, wrapped, bytes(broken))
    )
    with pytest.raises(VaultError):
        vault.open(RECORD, changed)


@MASTERS
@given(cut=st.integers(0, 200))
def test_a_shortened_document_or_key_is_refused(masters: Masters, cut: int) -> None:
    vault = Vault(masters, ORIGIN, stream(b"x"))
    version, wrapped, sealed = vault.seal(RECORD, DOCUMENT)
    with pytest.raises(VaultError):
        vault.open(RECORD, SealedDocument(version, wrapped, sealed[: min(cut, len(sealed) - 1)]))
    with pytest.raises(VaultError):
        vault.open(RECORD, SealedDocument(version, wrapped[: min(cut, len(wrapped) - 1)], sealed))


@MASTERS
@given(other=st.binary(min_size=16, max_size=16).filter(lambda record: record != RECORD))
def test_another_records_document_is_refused(masters: Masters, other: bytes) -> None:
    vault = Vault(masters, ORIGIN, stream(b"x"))
    with pytest.raises(VaultError):
        vault.open(other, vault.seal(RECORD, DOCUMENT))


@MASTERS
def test_another_logs_document_is_refused(masters: Masters) -> None:
    sealed = Vault(masters, ORIGIN, stream(b"x")).seal(RECORD, DOCUMENT)
    with pytest.raises(VaultError):
        Vault(masters, ORIGIN + "2", stream(b"x")).open(RECORD, sealed)


@MASTERS
def test_a_key_and_a_document_of_two_sealings_do_not_open(masters: Masters) -> None:
    vault = Vault(masters, ORIGIN, stream(b"x"))
    one, two = vault.seal(RECORD, DOCUMENT), vault.seal(RECORD, DOCUMENT)
    assert one.sealed != two.sealed
    assert one.wrapped != two.wrapped
    with pytest.raises(VaultError):
        vault.open(RECORD, SealedDocument(1, one.wrapped, two.sealed))


def test_a_document_under_an_unknown_master_key_is_refused() -> None:
    vault = Vault(AES, ORIGIN, stream(b"x"))
    with pytest.raises(VaultError):
        vault.open(RECORD, vault.seal(RECORD, DOCUMENT)._replace(master_version=2))


@given(content=st.binary(max_size=200))
def test_what_is_not_a_document_is_refused_even_if_it_decrypts(content: bytes) -> None:
    vault = Vault(AES, ORIGIN, stream(b"x"))
    with pytest.raises(VaultError):
        vault.open(RECORD, vault.seal(RECORD, b"\xff" + content))


def test_one_draw_of_entropy_seals_a_document() -> None:
    drawn: list[int] = []

    def entropy(count: int) -> bytes:
        drawn.append(count)
        return os.urandom(count)

    Vault(AES, ORIGIN, entropy).seal(RECORD, DOCUMENT)
    Vault(SM4, ORIGIN, entropy).seal(RECORD, DOCUMENT)
    assert drawn == [56, 40]


def test_a_rewrapped_key_opens_without_the_old_master_key_and_leaves_the_document_as_it_is() -> None:
    both = Masters(v1=Cipher.AES_256_GCM, v2=Cipher.SM4_GCM)
    sealed = Vault(Masters(v1=Cipher.AES_256_GCM), ORIGIN, stream(b"x")).seal(RECORD, DOCUMENT)
    version, wrapped = Vault(both, ORIGIN, stream(b"y")).rewrap(RECORD, sealed.master_version, sealed.wrapped)
    assert version == 2
    alone = Vault(Masters(v2=Cipher.SM4_GCM), ORIGIN, stream(b"z"))
    assert alone.open(RECORD, SealedDocument(version, wrapped, sealed.sealed)) == decode_document(DOCUMENT)
    with pytest.raises(VaultError):
        alone.open(RECORD, sealed)


def test_a_key_of_another_record_is_not_rewrapped() -> None:
    vault = Vault(AES, ORIGIN, stream(b"x"))
    sealed = vault.seal(RECORD, DOCUMENT)
    with pytest.raises(VaultError):
        vault.rewrap(bytes(16), sealed.master_version, sealed.wrapped)
