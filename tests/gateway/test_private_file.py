"""Files that commands write: whole or not at all, what was there stays where that fails, and closed to others."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import click
import pytest

from gateway.commands.private_file import PRIVATE, PUBLIC, create_all, creating_private, write_private
from tests.disk import room_for


def left_in(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_good_file_stays_where_the_disk_has_no_room_for_another(tmp_path: Path) -> None:
    pack = tmp_path / "pack.zip"
    pack.write_bytes(b"the only pack")
    with room_for(10), pytest.raises(click.ClickException, match=r"pack\.zip cannot be written"):
        write_private(pack, b"x" * 100)
    assert left_in(tmp_path) == {"pack.zip": b"the only pack"}


def test_a_file_that_was_open_to_others_is_closed_by_what_replaces_it(tmp_path: Path) -> None:
    pack, link = tmp_path / "pack.zip", tmp_path / "newest"
    pack.write_bytes(b"old")
    pack.chmod(0o644)
    link.symlink_to(pack)
    write_private(link, b"new")
    assert link.is_symlink()
    assert (pack.read_bytes(), pack.stat().st_mode & 0o777) == (b"new", PRIVATE)


def test_what_is_no_file_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    pipe, heard = tmp_path / "pipe", list[bytes]()
    os.mkfifo(pipe)
    listening = threading.Thread(target=lambda: heard.append(pipe.read_bytes()))
    listening.start()
    write_private(pipe, b"letter")
    listening.join(timeout=30)
    assert heard == [b"letter"]
    assert pipe.is_fifo()
    write_private(Path(os.devnull), b"letter")
    assert Path(os.devnull).is_char_device()


def test_a_file_in_a_folder_that_is_not_there_is_refused_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(click.ClickException, match=r"nowhere/x cannot be written"):
        write_private(tmp_path / "nowhere" / "x", b"")


def test_of_several_files_none_is_made_where_one_cannot_be(tmp_path: Path) -> None:
    key, shown = tmp_path / "key", tmp_path / "key.pub"
    with room_for(10), pytest.raises(click.ClickException, match=r"key\.pub cannot be written"):
        create_all([(key, b"short", PRIVATE), (shown, b"x" * 100, PUBLIC)])
    assert left_in(tmp_path) == {}
    shown.write_bytes(b"another")
    with pytest.raises(click.ClickException, match=r"key\.pub exists; nothing is overwritten"):
        create_all([(key, b"short", PRIVATE), (shown, b"x", PUBLIC)])
    assert left_in(tmp_path) == {"key.pub": b"another"}


def test_a_file_that_is_given_up_half_way_leaves_nothing(tmp_path: Path) -> None:
    for _ in range(2):
        lent = creating_private(tmp_path / "list.csv")
        lent.__enter__().write(b"half a list")
        assert not lent.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
        assert left_in(tmp_path) == {}
