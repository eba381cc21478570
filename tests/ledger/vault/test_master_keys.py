"""Master key files: made, rotated, retired; every mistake named, none of them costing a key."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from ledger import FileMasterKeys, KeyFileError, VaultError, write_master_key
from ledger.vault import Cipher, Vault
from ledger.vault.master_keys import retire_master_key, rotate_master_key

ORIGIN = "example.gov.cn/ledger"
RECORD = bytes(16)
DOCUMENT = b'{"g":{"salt":"%s","value":1}}' % (b"0" * 64)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_master_key(tmp_path / "master.keys", os.urandom)
    return tmp_path / "master.keys"


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o600)
    return path


def test_a_new_file_has_one_key_and_is_closed_to_others(path: Path) -> None:
    keys = FileMasterKeys(path)
    assert keys.current == 1
    assert (keys.key(1).cipher, len(keys.key(1).secret)) == (Cipher.AES_256_GCM, 32)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert keys.key(1).secret.hex() not in repr(keys.key(1))


def test_a_key_file_is_never_overwritten(path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(KeyFileError):
        write_master_key(path, os.urandom)
    assert path.read_bytes() == before


def test_the_file_of_before_ciphers_were_named_still_reads(tmp_path: Path) -> None:
    keys = FileMasterKeys(write(tmp_path / "k", f"1:{'ab' * 32}\n3:sm4-gcm:{'cd' * 16}\n2:aes-256-gcm:{'ef' * 32}\n"))
    assert keys.current == 3
    assert keys.versions() == {1: Cipher.AES_256_GCM, 2: Cipher.AES_256_GCM, 3: Cipher.SM4_GCM}
    assert keys.key(3).secret == b"\xcd" * 16


def test_every_mistake_in_a_file_is_told_at_once_and_no_digit(tmp_path: Path) -> None:
    key = "ab" * 32
    text = f"1:{key}\n1:{key}\n2:{key.upper()}\n3:sm4-gcm:{key}\n4:rot13:{key}\n05:{key}\n6:ab\n"
    with pytest.raises(KeyFileError) as caught:
        FileMasterKeys(write(tmp_path / "k", text))
    assert caught.value.mistakes == [
        "line 2 repeats version 1",
        "line 3 is not version:hex digits or version:cipher:hex digits",
        "line 4 has not 32 hex digits",
        "line 5 names a cipher that is none of aes-256-gcm, sm4-gcm",
        "line 6 is not version:hex digits or version:cipher:hex digits",
        "line 7 is not version:64 hex digits",
    ]
    assert "abab" not in str(caught.value)


def test_a_file_that_others_can_read_or_that_holds_nothing_is_refused(tmp_path: Path, path: Path) -> None:
    path.chmod(0o640)
    with pytest.raises(KeyFileError, match="0600"):
        FileMasterKeys(path)
    with pytest.raises(KeyFileError, match="holds no key"):
        FileMasterKeys(write(tmp_path / "empty", ""))
    with pytest.raises(KeyFileError, match="cannot be read"):
        FileMasterKeys(tmp_path / "none")


def test_rotation_adds_a_version_and_keeps_what_was_there(path: Path) -> None:
    before = FileMasterKeys(path)
    assert rotate_master_key(path, os.urandom, cipher=Cipher.SM4_GCM) == 2
    assert rotate_master_key(path, os.urandom) == 3
    after = FileMasterKeys(path)
    assert after.current == 3
    assert after.key(1) == before.key(1)
    assert after.versions()[2] is Cipher.SM4_GCM
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [p.name for p in path.parent.iterdir()] == ["master.keys"]


def test_a_process_from_before_a_rotation_finds_the_new_version(path: Path) -> None:
    old = FileMasterKeys(path)
    version = rotate_master_key(path, os.urandom)
    sealed = Vault(FileMasterKeys(path), ORIGIN, os.urandom).seal(RECORD, DOCUMENT)
    assert sealed.master_version == version
    assert Vault(old, ORIGIN, os.urandom).open(RECORD, sealed)["g"].value == 1


def test_an_unknown_version_is_refused_also_when_the_file_has_become_unreadable(path: Path) -> None:
    keys = FileMasterKeys(path)
    with pytest.raises(VaultError, match="version 9 is not known"):
        keys.key(9)
    write(path, "nonsense\n")
    with pytest.raises(VaultError, match="line 1"):
        keys.key(9)
    assert keys.key(1)


def test_two_rotations_at_once_are_refused_so_that_neither_key_is_lost(path: Path) -> None:
    other = path.with_name("master.keys.new")
    other.touch()
    before = path.read_bytes()
    for change in (lambda: rotate_master_key(path, os.urandom), lambda: retire_master_key(path, 1)):
        with pytest.raises(KeyFileError, match="another process"):
            change()
    assert path.read_bytes() == before
    assert other.exists()


def test_a_file_with_mistakes_is_not_rotated(path: Path) -> None:
    with path.open("a") as file:
        file.write("2:ab\n")
    before = path.read_bytes()
    with pytest.raises(KeyFileError, match="line 2"):
        rotate_master_key(path, os.urandom)
    assert path.read_bytes() == before
    assert not path.with_name("master.keys.new").exists()


def test_an_old_version_is_moved_out_and_not_destroyed(path: Path) -> None:
    first = path.read_bytes()
    rotate_master_key(path, os.urandom)
    retired = retire_master_key(path, 1)
    assert retired.read_bytes() == first
    assert stat.S_IMODE(retired.stat().st_mode) == 0o600
    assert FileMasterKeys(path).versions() == {2: Cipher.AES_256_GCM}


def test_the_current_and_an_unknown_version_are_not_retired(path: Path) -> None:
    with pytest.raises(KeyFileError, match="current"):
        retire_master_key(path, 1)
    with pytest.raises(KeyFileError, match="no version 7"):
        retire_master_key(path, 7)
    assert FileMasterKeys(path).current == 1


def test_another_key_that_was_retired_before_is_not_overwritten(path: Path) -> None:
    rotate_master_key(path, os.urandom)
    write(path.with_name("master.keys.retired-1"), f"1:{'ab' * 32}\n")
    with pytest.raises(KeyFileError, match="another key"):
        retire_master_key(path, 1)
    assert set(FileMasterKeys(path).versions()) == {1, 2}
