"""A disk without room, or one that can only be read, as the kernel tells a process of it."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def room_for(octets: int) -> Iterator[None]:
    """Let this process, and those it starts, put no more octets into any one file: what is beyond fails half way."""
    free = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (octets, free[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, free)


@contextmanager
def read_only(file: Path, media: Path) -> Iterator[Path]:
    """Lend a copy of a file in a directory into which nobody can write."""
    media.mkdir()
    if os.geteuid() != 0:
        copy = Path(shutil.copy(file, media))
        media.chmod(0o555)
        yield copy
        media.chmod(0o755)
        return
    # To root only a read-only file system is read-only.
    if subprocess.run(["mount", "-t", "tmpfs", "tmpfs", media], capture_output=True, check=False).returncode != 0:
        pytest.skip("root cannot mount a file system here")
    try:
        copy = Path(shutil.copy(file, media))
        subprocess.run(["mount", "-o", "remount,ro", media], check=True)
        yield copy
    finally:
        subprocess.run(["umount", media], check=True)
