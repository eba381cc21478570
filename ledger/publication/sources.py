"""Where a published log is read from: a directory, or an HTTP URL prefix. Nothing that is read is trusted."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from ledger.errors import PublicationDamaged, PublicationUnavailable, ResourceMissing
from ledger.exchange import client_failures, name_of

_PATIENCE = 30.0
_WHOLE = 120.0
"""Seconds for one resource in all: a read timeout alone never ends where a byte comes now and then."""
_TRIES = 3
_GONE = (404, 410)


class Source(Protocol):
    """Reads resources by path."""

    def fetch(self, path: str, longest: int) -> bytes:
        """Return the resource at a path, of at most `longest` bytes.

        Raises:
            ResourceMissing: it is not there.
            PublicationUnavailable: it cannot be read now.
            PublicationDamaged: it is longer.
        """
        ...


class DirectorySource:
    """A directory as `export` writes it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def fetch(self, path: str, longest: int) -> bytes:
        """Read one file."""
        try:
            with (self._directory / path).open("rb") as file:
                data = file.read(longest + 1)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            raise ResourceMissing(f"{path} is missing") from None
        except OSError as failure:
            raise PublicationUnavailable(f"{path} cannot be read ({failure.strerror})") from failure
        return _bounded(path, data, longest)


class HttpSource:
    """A URL prefix. Redirects are not followed: tlog-tiles has none, and another place would be another log.

    It asks on an event loop of its own, which alone can end a fetch at any point, so that it blocks like any source.
    """

    def __init__(self, prefix: str, *, whole: float = _WHOLE) -> None:
        import httpx

        self._whole = whole
        self._prefix = prefix.rstrip("/") + "/"
        self._client = httpx.AsyncClient(timeout=_PATIENCE, headers={"Accept-Encoding": "gzip, identity"})
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="ledger-fetch", daemon=True)
        self._thread.start()

    def fetch(self, path: str, longest: int) -> bytes:
        """GET one resource; a broken connection is tried again at once, an answer is not."""
        asked = asyncio.run_coroutine_threadsafe(self._fetch(path, longest), self._loop)
        try:
            return asked.result()
        finally:
            asked.cancel()  # where the wait was interrupted

    async def _fetch(self, path: str, longest: int) -> bytes:
        failure: Exception | None = None
        try:
            async with asyncio.timeout(self._whole):
                for _ in range(_TRIES):
                    try:
                        return await self._get(path, longest)
                    except client_failures() as broken:
                        failure = broken
        except TimeoutError:
            raise PublicationUnavailable(f"{path} comes too slowly") from None
        raise PublicationUnavailable(f"{path} cannot be fetched ({name_of(failure)})") from failure

    async def _get(self, path: str, longest: int) -> bytes:
        async with self._client.stream("GET", self._prefix + path, follow_redirects=False) as response:
            if response.status_code in _GONE:
                raise ResourceMissing(f"{path} is missing")
            if response.status_code != 200:
                raise PublicationUnavailable(f"{path} answers with status {response.status_code}")
            data = bytearray()
            async for part in response.aiter_bytes():
                data += part
                if len(data) > longest:
                    break
        return _bounded(path, bytes(data), longest)

    def close(self) -> None:
        """Close the connections."""
        asyncio.run_coroutine_threadsafe(self._client.aclose(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _bounded(path: str, data: bytes, longest: int) -> bytes:
    if len(data) > longest:
        raise PublicationDamaged(f"{path} is longer than {longest} bytes")
    return data
