"""The files of a published directory: each appears whole and durable at its place, or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from ledger.errors import ExportRefused, PathMalformed
from ledger.log.tiles import WIDTH
from ledger.publication.paths import available, parse_path


class Directory:
    """A directory that is being written by this process alone; made by `Directory.locked`."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._changed: set[Path] = set()

    @classmethod
    @contextmanager
    def locked(cls, root: Path) -> Iterator[Self]:
        """Create the directory if need be, and keep every other export out of it.

        Raises:
            ExportRefused: another export is writing it.
        """
        import fcntl

        root.mkdir(parents=True, exist_ok=True)
        handle = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ExportRefused("another export is writing the directory") from None
            yield cls(root)
        finally:
            os.close(handle)

    def names(self) -> set[str]:
        """Name what lies at the top, but for what an interrupted export may have left."""
        return {name for name in os.listdir(self._root) if not name.endswith(".tmp")}  # noqa: PTH208

    def length(self, path: str) -> int | None:
        """Return how long a file is, or None if there is none."""
        try:
            return (self._root / path).stat().st_size
        except FileNotFoundError:
            return None

    def read(self, path: str) -> bytes | None:
        """Return what a file holds, or None if there is none."""
        try:
            return (self._root / path).read_bytes()
        except FileNotFoundError:
            return None

    def write(self, path: str, data: bytes) -> None:
        """Write a file beside its place, make its content durable and rename it."""
        place = self._root / path
        self._make_parents(place.parent)
        beside = place.with_name(f".{place.name}.tmp")
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(place)
        self._changed.add(place.parent)

    def make_durable(self) -> None:
        """Make every name durable that was written so far."""
        for folder in self._changed:
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
        self._changed.clear()

    def remove_superseded(self, size: int) -> int:
        """Remove the partial tiles and bundles whose full one is there, in a log of `size`; count them."""
        removed = 0
        for folder, names, _ in os.walk(self._root / "tile"):
            for name in [name for name in names if name.endswith(".p")]:
                names.remove(name)
                removed += self._remove_partials(Path(folder) / name, size)
        return removed

    def _remove_partials(self, folder: Path, size: int) -> int:
        full = folder.with_suffix("")
        try:
            path = parse_path(full.relative_to(self._root).as_posix())
        except PathMalformed:
            return 0
        if available(path.level, path.n, size) < WIDTH or not full.is_file():
            return 0
        ours = [file for file in folder.iterdir() if file.name.isdigit() or file.name.endswith(".tmp")]
        for file in ours:
            file.unlink()
        with suppress(OSError):  # something that is not ours lies there
            folder.rmdir()
        return sum(file.name.isdigit() for file in ours)

    def _make_parents(self, folder: Path) -> None:
        if folder.is_dir():
            return
        self._make_parents(folder.parent)
        folder.mkdir(exist_ok=True)
        self._changed.add(folder.parent)
