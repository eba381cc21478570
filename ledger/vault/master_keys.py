"""Master keys: what wraps the data keys. Kept in a file of their own, never in the database.

The file has mode 0600 and a line for each version, of which the highest is current:

    version:64 hex digits                  a key of AES-256-GCM
    version:cipher:hex digits              a key of the named cipher: `aes-256-gcm` (32 bytes), `sm4-gcm` (16 bytes)

Under a `Wrapping` that is not `Plain` the digits are the key as that wrapping made it (an HSM: `ledger.vault.pkcs11`).
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol

from ledger.errors import KeyFileError, LedgerError, VaultError
from ledger.secret_file import read_secret, write_secret
from ledger.vault.ciphers import Cipher

_LINE = re.compile(r"([1-9][0-9]{0,8}):(?:([a-z0-9-]+):)?([0-9a-f]*)", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class MasterKey:
    """One version's key and the cipher it is for."""

    cipher: Cipher
    secret: bytes = field(repr=False)


class MasterKeys(Protocol):
    """The keys that wrap data keys; kept outside the database (a file, an HSM, a key service)."""

    @property
    def current(self) -> int:
        """The version under which new data keys are wrapped."""
        ...

    def key(self, version: int) -> MasterKey:
        """Return one version's key; raises `VaultError` if it is unknown."""
        ...


class KeyLine(NamedTuple):
    """One line of a key file: a version, and its key as the file's wrapping made it."""

    version: int
    cipher: Cipher
    stored: bytes


class Wrapping(Protocol):
    """How the keys in a key file are protected beyond the file's mode."""

    @property
    def overhead(self) -> int:
        """How many bytes a stored key is longer than the key."""
        ...

    def wrap(self, version: int, cipher: Cipher, secret: bytes) -> bytes:
        """Return a key as it is to be stored."""
        ...

    def unwrap(self, lines: Sequence[KeyLine]) -> list[bytes | None]:
        """Return the keys of some lines, in order; None for one that was not wrapped here, or was changed."""
        ...


class Plain:
    """No wrapping: whoever can read the file has the keys."""

    overhead = 0

    def wrap(self, version: int, cipher: Cipher, secret: bytes) -> bytes:
        """Return the key itself."""
        return secret

    def unwrap(self, lines: Sequence[KeyLine]) -> list[bytes | None]:
        """Return the keys themselves."""
        return [line.stored for line in lines]


class FileMasterKeys:
    """Master keys from a key file, read when made.

    A version that is not known is looked for again if the file has changed since: another process may have rotated.

    Raises:
        KeyFileError: naming every mistake in the file.
    """

    def __init__(self, path: Path, wrapping: Wrapping | None = None) -> None:
        self._path = path
        self._wrapping = wrapping or Plain()
        self._read()

    def _read(self) -> None:
        self._seen = _stamp(self._path)
        lines = read_key_lines(self._path, self._wrapping)
        secrets = self._wrapping.unwrap(lines)
        wrong = [f"the key of version {one.version} cannot be unwrapped"
                 for one, secret in zip(lines, secrets, strict=True)
                 if secret is None or len(secret) != one.cipher.key_bytes]  # fmt: skip
        if wrong:
            raise KeyFileError(str(self._path), wrong)
        self._keys = {
            one.version: MasterKey(cipher=one.cipher, secret=secret)
            for one, secret in zip(lines, secrets, strict=True)
            if secret is not None
        }
        self.current = max(self._keys)

    def key(self, version: int) -> MasterKey:
        """Return one version's key."""
        found = self._keys.get(version)
        if found is not None:
            return found
        if _stamp(self._path) != self._seen:
            try:
                self._read()
            except LedgerError as failure:
                raise VaultError(f"master key version {version} is not known, and {failure}") from failure
        if version not in self._keys:
            raise VaultError(f"master key version {version} is not known here")
        return self._keys[version]

    def versions(self) -> dict[int, Cipher]:
        """Tell which versions there are, and the cipher of each."""
        return {version: key.cipher for version, key in sorted(self._keys.items())}


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        about = path.stat()
    except OSError:
        return None
    return about.st_ino, about.st_mtime_ns, about.st_size


def read_key_lines(path: Path, wrapping: Wrapping) -> list[KeyLine]:
    """Read a key file without unwrapping anything.

    Raises:
        KeyFileError: naming every mistake in the file.
    """
    return _parse(path, read_secret(path), wrapping)


def _parse(path: Path, content: bytes, wrapping: Wrapping) -> list[KeyLine]:
    lines: dict[int, KeyLine] = {}
    mistakes: list[str] = []
    for number, text in enumerate(content.decode("ascii", "replace").splitlines(), 1):
        line, wrong = _parse_line(text.strip(), wrapping.overhead)
        if line is None:
            mistakes.append(f"line {number} {wrong}")
        elif line.version in lines:
            mistakes.append(f"line {number} repeats version {line.version}")
        else:
            lines[line.version] = line
    if not lines and not mistakes:
        mistakes.append("holds no key")
    if mistakes:
        raise KeyFileError(str(path), mistakes)
    return list(lines.values())


def _parse_line(text: str, overhead: int) -> tuple[KeyLine | None, str]:
    match = _LINE.fullmatch(text)
    if match is None:
        return None, "is not version:hex digits or version:cipher:hex digits"
    names = [cipher.value for cipher in Cipher]
    name = match[2] or Cipher.AES_256_GCM.value
    if name not in names:
        return None, f"names a cipher that is none of {', '.join(names)}"
    cipher = Cipher(name)
    digits = 2 * (cipher.key_bytes + overhead)
    if len(match[3]) != digits:
        return None, f"is not version:{digits} hex digits" if not match[2] else f"has not {digits} hex digits"
    return KeyLine(int(match[1]), cipher, bytes.fromhex(match[3])), ""


def write_master_key(
    path: Path,
    entropy: Callable[[int], bytes],
    version: int = 1,
    *,
    cipher: Cipher = Cipher.AES_256_GCM,
    wrapping: Wrapping | None = None,
) -> None:
    """Write a new key file with one fresh key; never overwrites one.

    Raises:
        KeyFileError: there is a file already, or it cannot be written.
    """
    write_secret(path, _fresh_line(version, cipher, entropy, wrapping or Plain()))


def _fresh_line(version: int, cipher: Cipher, entropy: Callable[[int], bytes], wrapping: Wrapping) -> bytes:
    stored = wrapping.wrap(version, cipher, entropy(cipher.key_bytes))
    name = "" if cipher is Cipher.AES_256_GCM else f"{cipher.value}:"
    return f"{version}:{name}{stored.hex()}\n".encode()


def rotate_master_key(
    path: Path,
    entropy: Callable[[int], bytes],
    *,
    cipher: Cipher = Cipher.AES_256_GCM,
    wrapping: Wrapping | None = None,
) -> int:
    """Add a fresh key as the new current version, and return the version. Earlier keys stay: documents need them.

    Raises:
        KeyFileError: the file has mistakes, a key in it is of another wrapping, or another rotation is under way.
    """
    wrapping = wrapping or Plain()
    FileMasterKeys(path, wrapping)
    with _replacing(path) as (content, write):
        version = max(line.version for line in _parse(path, content, wrapping)) + 1
        write(content.rstrip() + b"\n" + _fresh_line(version, cipher, entropy, wrapping))
    return version


def retire_master_key(path: Path, version: int, *, wrapping: Wrapping | None = None) -> Path:
    """Move an old key out of the file into `<file>.retired-<version>`, and return where it lies.

    It is moved and not destroyed: a process that was started before the rotation may still have wrapped by it.

    Raises:
        KeyFileError: the file has no such version, or it is the current one; or another rotation is under way.
    """
    wrapping = wrapping or Plain()
    retired = path.with_name(f"{path.name}.retired-{version}")
    with _replacing(path) as (content, write):
        found = {line.version for line in _parse(path, content, wrapping)}
        if version not in found:
            raise KeyFileError(str(path), [f"has no version {version}"])
        if version == max(found):
            raise KeyFileError(str(path), [f"version {version} is the current one: rotate first"])
        own = f"{version}:".encode()
        lines = content.splitlines(keepends=True)
        moved = b"".join(line for line in lines if line.strip().startswith(own))
        # A move that was interrupted between the two files leaves the key in both, never in none.
        if not retired.exists():
            write_secret(retired, moved)
        elif read_secret(retired) != moved:
            raise KeyFileError(str(retired), ["holds another key; move it away first"])
        write(b"".join(line for line in lines if not line.strip().startswith(own)))
    return retired


@contextmanager
def _replacing(path: Path) -> Iterator[tuple[bytes, Callable[[bytes], None]]]:
    """Lend a file's content and a function that replaces it whole and durably; one process at a time."""
    new = path.with_name(path.name + ".new")
    try:
        handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        told = f"is being changed by another process; if one was interrupted, remove {new.name} beside it"
        raise KeyFileError(str(path), [told]) from None
    except OSError as failure:
        raise KeyFileError(str(path), [f"cannot be changed ({failure.strerror})"]) from None

    def write(content: bytes) -> None:
        owner = path.stat()
        if (owner.st_uid, owner.st_gid) != (os.geteuid(), os.getegid()):
            os.fchown(handle, owner.st_uid, owner.st_gid)  # a file rotated by root stays readable to its owner
        with os.fdopen(os.dup(handle), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(handle)
        new.replace(path)
        _sync_directory(path.parent)

    try:
        yield read_secret(path), write
    except OSError as failure:
        raise KeyFileError(str(path), [f"cannot be changed ({failure.strerror})"]) from None
    finally:
        os.close(handle)
        new.unlink(missing_ok=True)


def _sync_directory(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
