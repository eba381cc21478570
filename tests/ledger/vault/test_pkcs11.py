"""Master keys under a PKCS#11 token, proved with SoftHSM."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ledger import ExtraMissing, FileMasterKeys, HsmUnavailable, KeyFileError, write_master_key
from ledger.vault import Cipher, Vault
from ledger.vault.master_keys import rotate_master_key
from ledger.vault.pkcs11 import Pkcs11Wrapping

MODULES = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib64/softhsm/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
)
MODULE = next((Path(path) for path in MODULES if Path(path).exists()), None)
needs_softhsm = pytest.mark.skipif(
    MODULE is None or shutil.which("softhsm2-util") is None, reason="SoftHSM 2 is not installed (package softhsm2)"
)
PIN = "4711-secret"
Make = Callable[..., Pkcs11Wrapping]


@pytest.fixture
def token(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """A token of its own with a wrapping key; lends a maker of wrappings on it."""
    pkcs11 = pytest.importorskip("pkcs11")
    home = tmp_path_factory.mktemp("hsm")
    (home / "tokens").mkdir()
    (home / "softhsm2.conf").write_text(f"directories.tokendir = {home}/tokens\nobjectstore.backend = file\n")
    (home / "pin").write_text(PIN + "\n")
    (home / "pin").chmod(0o600)
    monkeypatch.setenv("SOFTHSM2_CONF", str(home / "softhsm2.conf"))
    command = ["softhsm2-util", "--init-token", "--free", "--label", "chengxin", "--so-pin", "12345678", "--pin", PIN]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    # The module reads its configuration once for each process: a library loaded by an earlier test is unloaded.
    pkcs11.unload(str(MODULE))

    def make(**changes: object) -> Pkcs11Wrapping:
        settings: dict[str, object] = {
            "module": MODULE,
            "token": "chengxin",
            "key_label": "vault",
            "pin_file": home / "pin",
            "entropy": os.urandom,
        }
        return Pkcs11Wrapping(**{**settings, **changes})  # type: ignore[arg-type]

    yield make
    pkcs11.unload(str(MODULE))


@needs_softhsm
def test_a_token_keeps_master_keys_that_open_what_they_sealed(tmp_path: Path, token: Make) -> None:
    path, wrapping = tmp_path / "master.keys", token()
    wrapping.generate_key()
    write_master_key(path, os.urandom, wrapping=wrapping)
    vault = Vault(FileMasterKeys(path, wrapping), "log", os.urandom)
    document = b'{"g":{"salt":"%s","value":1}}' % (b"0" * 64)
    first = vault.seal(bytes(16), document)
    assert rotate_master_key(path, os.urandom, cipher=Cipher.SM4_GCM, wrapping=wrapping) == 2
    keys = FileMasterKeys(path, token())
    assert keys.versions() == {1: Cipher.AES_256_GCM, 2: Cipher.SM4_GCM}
    again = Vault(keys, "log", os.urandom)
    assert again.open(bytes(16), first)["g"].value == 1
    assert vault.open(bytes(16), again.seal(bytes(16), document))["g"].value == 1
    text = path.read_text()
    assert not any(keys.key(version).secret.hex() in text for version in (1, 2))


@needs_softhsm
def test_the_wrapping_key_never_leaves_the_token_and_is_not_made_twice(token: Make) -> None:
    import pkcs11

    token().generate_key()
    with pytest.raises(HsmUnavailable, match="already"):
        token().generate_key()
    with pkcs11.lib(str(MODULE)).get_token(token_label="chengxin").open(user_pin=PIN) as session:
        key = session.get_key(label="vault")
        assert key[pkcs11.Attribute.EXTRACTABLE] is False
        assert key[pkcs11.Attribute.SENSITIVE] is True
        with pytest.raises(pkcs11.AttributeSensitive):
            key[pkcs11.Attribute.VALUE]


@needs_softhsm
def test_a_changed_relabelled_or_foreign_line_is_told_by_version(tmp_path: Path, token: Make) -> None:
    path, wrapping = tmp_path / "master.keys", token()
    wrapping.generate_key()
    write_master_key(path, os.urandom, wrapping=wrapping)
    good = path.read_text().strip()
    flipped = good[:-1] + ("0" if good[-1] != "0" else "1")
    path.write_text("\n".join([good, "2" + flipped[1:], "3" + good[1:]]) + "\n")
    with pytest.raises(KeyFileError) as caught:
        FileMasterKeys(path, wrapping)
    assert caught.value.mistakes == [
        "the key of version 2 cannot be unwrapped",
        "the key of version 3 cannot be unwrapped",
    ]
    other = token(key_label="other")
    other.generate_key()
    path.write_text(good + "\n")
    with pytest.raises(KeyFileError, match="version 1"):
        FileMasterKeys(path, other)
    assert FileMasterKeys(path, wrapping).current == 1


@needs_softhsm
def test_a_wrapped_file_is_not_read_as_a_plain_one_nor_rotated_as_one(tmp_path: Path, token: Make) -> None:
    path, wrapping = tmp_path / "master.keys", token()
    wrapping.generate_key()
    write_master_key(path, os.urandom, wrapping=wrapping)
    before = path.read_bytes()
    with pytest.raises(KeyFileError, match="64 hex digits"):
        FileMasterKeys(path)
    with pytest.raises(KeyFileError, match="64 hex digits"):
        rotate_master_key(path, os.urandom)
    plain = tmp_path / "plain.keys"
    write_master_key(plain, os.urandom)
    with pytest.raises(KeyFileError, match="120 hex digits"):
        FileMasterKeys(plain, wrapping)
    assert path.read_bytes() == before


@needs_softhsm
def test_what_is_missing_on_the_token_is_told_and_nothing_is_written(tmp_path: Path, token: Make) -> None:
    wrong_pin = tmp_path / "pin"
    wrong_pin.write_text("0000")
    wrong_pin.chmod(0o600)
    token(key_label="vault").generate_key()
    cases = [
        (token(key_label="none"), HsmUnavailable, "0 AES keys 'none'"),
        (token(token="none"), HsmUnavailable, "NoSuchToken"),
        (token(module=tmp_path / "none.so"), HsmUnavailable, "none.so"),
        (token(pin_file=wrong_pin), HsmUnavailable, "PinIncorrect"),
        (token(pin_file=tmp_path / "nopin"), KeyFileError, "cannot be read"),
    ]
    for wrapping, error, told in cases:
        with pytest.raises(error, match=told) as caught:
            write_master_key(tmp_path / "master.keys", os.urandom, wrapping=wrapping)
        assert PIN not in str(caught.value)
        assert "0000" not in str(caught.value)
    assert not (tmp_path / "master.keys").exists()


def test_without_the_extra_the_error_names_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pkcs11", None)
    pin = tmp_path / "pin"
    wrapping = Pkcs11Wrapping(module=pin, token="t", key_label="k", pin_file=pin, entropy=os.urandom)
    with pytest.raises(ExtraMissing, match="chengxin\\[hsm\\]"):
        wrapping.wrap(1, Cipher.AES_256_GCM, bytes(32))
