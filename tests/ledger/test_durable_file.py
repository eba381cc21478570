"""Small files and secrets are there whole or not at all: on a full disk, after a kill, where something is already."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ledger import load_signer, write_master_key, write_signing_key
from ledger.durable_file import create_file, replace_file, writing
from ledger.errors import KeyFileError
from ledger.secret_file import read_secret, write_secret
from ledger.vault.officers import write_officer_key
from tests.disk import room_for

ORIGIN = "example.gov.cn/ledger"

WRITERS: list[Callable[[Path], object]] = [
    lambda path: write_secret(path, b"x" * 64),
    lambda path: write_signing_key(path, ORIGIN),
    lambda path: write_master_key(path, lambda count: b"k" * count),
    lambda path: write_officer_key(path, None),
]


@pytest.mark.parametrize("write", WRITERS)
def test_a_secret_that_finds_no_room_leaves_nothing_and_names_its_file(
    tmp_path: Path, write: Callable[[Path], object]
) -> None:
    with room_for(10), pytest.raises(KeyFileError, match=r"log\.key: cannot be written .*nothing was left there"):
        write(tmp_path / "log.key")
    assert list(tmp_path.iterdir()) == []
    write(tmp_path / "log.key")
    assert read_secret(tmp_path / "log.key")


@pytest.mark.parametrize("write", WRITERS)
def test_a_secret_is_never_written_over(tmp_path: Path, write: Callable[[Path], object]) -> None:
    (tmp_path / "log.key").write_bytes(b"another")
    with pytest.raises(KeyFileError, match="never overwritten"):
        write(tmp_path / "log.key")
    (tmp_path / "log.key").unlink()
    (tmp_path / "log.key").symlink_to(tmp_path / "nowhere")
    with pytest.raises(KeyFileError, match="never overwritten"):
        write(tmp_path / "log.key")
    assert [path.name for path in tmp_path.iterdir()] == ["log.key"]


@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP])
def test_keys_are_made_where_the_file_system_has_no_hard_links_and_not_over_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Patched, for sticks and shares without links cannot be mounted by a test."""

    def link(*_: object, **__: object) -> None:
        raise OSError(number, "no links here")

    monkeypatch.setattr(os, "link", link)
    write_secret(tmp_path / "log.key", b"first")
    with pytest.raises(KeyFileError, match="never overwritten"):
        write_secret(tmp_path / "log.key", b"second")
    assert read_secret(tmp_path / "log.key") == b"first"
    assert [path.name for path in tmp_path.iterdir()] == ["log.key"]
    assert (tmp_path / "log.key").stat().st_mode & 0o777 == 0o600


def test_a_process_killed_while_it_writes_a_key_leaves_no_key(tmp_path: Path) -> None:
    killed = (
        "import os, sys\nfrom pathlib import Path\nfrom ledger.durable_file import writing\n"
        "with writing(Path(sys.argv[1]), 0o600, over=False) as file:\n"
        "    file.write(b'half a key')\n    file.flush()\n    os.kill(os.getpid(), 9)\n"
    )
    path = tmp_path / "log.next.key"
    done = subprocess.run([sys.executable, "-c", killed, path], check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert not path.exists()
    assert [left.stat().st_mode & 0o777 for left in tmp_path.iterdir()] == [0o600]
    made = write_signing_key(path, ORIGIN)
    assert load_signer(path, ORIGIN).key_id == made.key_id


def test_what_came_into_being_meanwhile_is_not_written_over(tmp_path: Path) -> None:
    path = tmp_path / "file"
    lent = writing(path, 0o644, over=False)
    lent.__enter__().write(b"ours")
    path.write_bytes(b"theirs")
    with pytest.raises(FileExistsError):
        lent.__exit__(None, None, None)
    assert path.read_bytes() == b"theirs"
    assert [one.name for one in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("write", [replace_file, create_file])
def test_a_file_that_finds_no_room_changes_nothing(tmp_path: Path, write: Callable[[Path, bytes], None]) -> None:
    path = tmp_path / "file"
    if write is replace_file:
        path.write_bytes(b"old")
    before = {one.name: one.read_bytes() for one in tmp_path.iterdir()}
    with room_for(10), pytest.raises(OSError, match="too large"):
        write(path, b"x" * 100)
    assert {one.name: one.read_bytes() for one in tmp_path.iterdir()} == before


def test_an_empty_key_file_is_told_as_that_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "log.next.key"
    path.touch(mode=0o600)
    with pytest.raises(KeyFileError, match=r"log\.next\.key: is empty, and holds no key: remove it"):
        load_signer(path, ORIGIN)
