"""Files that hold secrets: written once, durable, and closed to everybody but their owner."""

from __future__ import annotations

import os
from pathlib import Path

from ledger.durable_file import create_file
from ledger.errors import KeyFileError


def write_secret(path: Path, content: bytes) -> None:
    """Write a new file that only its owner can read, whole or not at all, and make it durable; never overwrites.

    Raises:
        KeyFileError: there is a file already, or it cannot be written.
    """
    try:
        create_file(path, content, 0o600)
    except FileExistsError:
        raise KeyFileError(str(path), ["exists already; a key is never overwritten"]) from None
    except OSError as failure:
        raise KeyFileError(
            str(path), [f"cannot be written ({failure.strerror}); nothing was left there: mend that, and run it again"]
        ) from None


def read_secret(path: Path) -> bytes:
    """Read a file that must be closed to everybody but its owner.

    Raises:
        KeyFileError: it cannot be read, others can read it, or it is empty.
    """
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read()
    except OSError as failure:
        raise KeyFileError(str(path), [f"cannot be read ({failure.strerror})"]) from None
    if mode & 0o077:
        raise KeyFileError(str(path), [f"mode {mode & 0o777:04o} lets others in; 0600 is required"])
    if not content:
        raise KeyFileError(
            str(path), ["is empty, and holds no key: remove it, and put back or make what belongs there"]
        )
    return content
