"""Writing a small file so that after any crash there is the old content, the new, or none, and never a part of one.

Only a new file on a file system without hard links may be empty after a crash.
"""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS)
_OWN = 0o600
"""The mode in which a temporary file is made; some file systems have one mode, and refuse to be given any."""


def replace_file(path: Path, content: bytes, mode: int = 0o644) -> None:
    """Write a file, in the place of `path` if that is there; raises as `writing` does."""
    with writing(path, mode, over=True) as file:
        file.write(content)


def create_file(path: Path, content: bytes, mode: int = 0o644) -> None:
    """Write a file that was not there; raises as `writing` does."""
    with writing(path, mode, over=False) as file:
        file.write(content)


@contextmanager
def writing(path: Path, mode: int, *, over: bool) -> Iterator[BinaryIO]:
    """Lend a file beside `path`; when the block ends well, make it durable, give it its name, make that durable.

    A process that is killed meanwhile leaves at most a file `.NAME.*` beside, closed to others, which nobody reads.

    Raises:
        FileExistsError: `path` is there, also since the block began, and what is there is not to be written over.
        OSError: it could not be written. In either case `path` is as it was, and nothing is left beside.
    """
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            if mode != _OWN:
                os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        if over:
            temporary.replace(path)
        else:
            _name(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    _sync_folder(path.parent)


def _name(temporary: Path, path: Path) -> None:
    """Give a file a name that nothing has."""
    try:
        os.link(temporary, path)
    except OSError as failure:
        if failure.errno not in _NO_LINKS:
            raise
        # File systems of sticks and shares have no hard links: the name is taken first. Who is killed between these two
        # steps leaves an empty file, which whoever reads keys names.
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWN))
        try:
            temporary.replace(path)
        except BaseException:
            path.unlink()
            raise


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
