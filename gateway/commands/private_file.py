"""Files that commands write for their user: whole or not at all; personal data and keys are closed to others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import click

from ledger.durable_file import create_file, replace_file, writing

PRIVATE, PUBLIC = 0o600, 0o644


def write_private(path: Path, content: bytes) -> None:
    """Write a file that its owner alone reads, in the place of what was there; that stays where this fails.

    Raises:
        click.ClickException: it cannot be written.
    """
    place = path.resolve()  # a link stays one
    try:
        if place.exists() and not place.is_file():  # a terminal, a pipe or /dev/null: nothing that can be replaced
            with place.open("wb") as device:
                device.write(content)
        else:
            replace_file(place, content, PRIVATE)
    except OSError as error:
        raise unwritable(path, error) from error


@contextmanager
def creating_private(path: Path) -> Iterator[BinaryIO]:
    """Lend a file for its owner alone, which gets its name, that was not there, when the block ends well.

    Raises:
        click.ClickException: it is there already, or cannot be made.
    """
    try:
        with writing(path, PRIVATE, over=False) as file:
            yield file
    except OSError as error:
        raise unwritable(path, error) from error


def create_all(files: Sequence[tuple[Path, bytes, int]]) -> None:
    """Make files that were not there, each with its content and mode: all of them or none.

    Raises:
        click.ClickException: one is there already, or cannot be made.
    """
    made: list[Path] = []
    for path, content, mode in files:
        try:
            create_file(path, content, mode)
            made.append(path)
        except BaseException as failure:
            for one in made:
                one.unlink(missing_ok=True)
            if isinstance(failure, OSError):
                raise unwritable(path, failure) from failure
            raise


def unwritable(path: Path, error: OSError) -> click.ClickException:
    """Say why a file cannot be written."""
    if isinstance(error, FileExistsError):
        return click.ClickException(f"{path} exists; nothing is overwritten")
    return click.ClickException(f"{path} cannot be written: {error.strerror}")
