"""Text typed in another encoding than the terminal is said to have is refused by every option and argument alike."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from gateway.cli import cli

GBK = os.fsdecode("测未未".encode("gbk"))


def taking_text(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Give what to type to give each option, and each first argument, that is text what is none."""
    options = [one for one in command.params if isinstance(one, click.Option)]
    arguments = [one for one in command.params if isinstance(one, click.Argument)]
    for one in options:
        if one.type.name == "text" and not one.is_flag:
            yield *path, one.opts[0], GBK
    if arguments and arguments[0].type.name == "text":
        yield *path, *(GBK,) * len(arguments)
    for name, each in command.commands.items() if isinstance(command, click.Group) else ():
        yield from taking_text(each, (*path, name))


TYPED = list(taking_text(cli))


def test_there_are_many_such_options() -> None:
    assert len(TYPED) > 50


@pytest.mark.parametrize("typed", TYPED, ids=lambda typed: "-".join(typed[:-1]))
def test_text_in_another_encoding_is_refused_in_both_languages(typed: tuple[str, ...]) -> None:
    done = CliRunner().invoke(cli, list(typed))
    assert done.exit_code == 2
    assert "is not text in utf-8" in done.output
    assert "输入的文字编码有误" in done.output


def test_the_file_of_an_option_may_have_a_name_in_any_encoding(tmp_path: Path) -> None:
    typed = [sys.executable, "-m", "gateway", "check-config", "--config", os.fsencode(tmp_path / GBK)]
    done = subprocess.run(typed, capture_output=True, check=False, timeout=60)
    assert done.returncode == 1
    assert b"Traceback" not in done.stderr
    assert b"there is no such file" in done.stderr
