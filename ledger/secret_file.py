"""Files that hold secrets: written once, durable, and closed to everybody but their owner."""

from __future__ import annotations

import os
from pathlib import Path

from ledger.errors import KeyFileError


def write_secret(path: Path, content: bytes) -> None:
    """Write a new file that only its owner can read, and make it durable; never overwrites.

    Raises:
        KeyFileError: there is a file already, or it cannot be written.
    """
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise KeyFileError(str(path), ["exists already; a key is never overwritten"]) from None
    except OSError as failure:
        raise KeyFileError(str(path), [f"cannot be written ({failure.strerror})"]) from None
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def read_secret(path: Path) -> bytes:
    """Read a file that must be closed to everybody but its owner.

    Raises:
        KeyFileError: it cannot be read, or others can read it.
    """
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read()
    except OSError as failure:
        raise KeyFileError(str(path), [f"cannot be read ({failure.strerror})"]) from None
    if mode & 0o077:
        raise KeyFileError(str(path), [f"mode {mode & 0o777:04o} lets others in; 0600 is required"])
    return content
