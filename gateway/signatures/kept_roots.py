"""The root certificates of time-stamping authorities, kept by their SHA-256: authorities change, old stamps stay."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from ledger.durable_file import replace_file

_SUFFIX = ".tsa-roots.pem"


def keep_roots(folder: Path, content: bytes) -> None:
    """Keep root certificates (PEM); raises `OSError`."""
    path = folder / f"{hashlib.sha256(content).hexdigest()}{_SUFFIX}"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        replace_file(path, content)


def kept_roots(folder: Path) -> Iterator[bytes]:
    """Give all root certificates that were kept, file by file (PEM); nothing if there are none."""
    if folder.is_dir():
        yield from (path.read_bytes() for path in sorted(folder.iterdir()) if path.name.endswith(_SUFFIX))
