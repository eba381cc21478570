"""Files that commands write for their user alone: what holds personal data, and keys."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import click

PRIVATE, PUBLIC = 0o600, 0o644


def write_private(path: Path, content: bytes) -> None:
    """Write a file that its owner alone reads, also where it was there and others could.

    Raises:
        click.ClickException: it cannot be written.
    """
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT, PRIVATE), "wb") as file:
            if stat.S_ISREG(os.fstat(file.fileno()).st_mode):  # a terminal or /dev/null keeps its mode
                os.fchmod(file.fileno(), PRIVATE)
                file.truncate()
            file.write(content)
    except OSError as error:
        raise unwritable(path, error) from error


def create_private(path: Path) -> BinaryIO:
    """Make a file that was not there, for its owner alone.

    Raises:
        click.ClickException: it is there already, or cannot be made.
    """
    try:
        return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE), "wb")
    except OSError as error:
        raise unwritable(path, error) from error


def create_all(files: Sequence[tuple[Path, bytes, int]]) -> None:
    """Make files that were not there, each with its content and mode: all of them or none.

    Raises:
        click.ClickException: one is there already, or cannot be made.
    """
    made: list[Path] = []
    try:
        for path, content, mode in files:
            opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
            made.append(path)
            with os.fdopen(opened, "wb") as file:
                file.write(content)
    except OSError as error:
        for path in made:
            path.unlink(missing_ok=True)
        raise unwritable(Path(error.filename or path), error) from error


def unwritable(path: Path, error: OSError) -> click.ClickException:
    """Say why a file cannot be written."""
    if isinstance(error, FileExistsError):
        return click.ClickException(f"{path} exists; nothing is overwritten")
    return click.ClickException(f"{path} cannot be written: {error.strerror}")
