"""Asking others for the newest checkpoint they hold of a log: a published copy over HTTP, or a folder of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ledger.errors import NoteError
from ledger.log.checkpoint import read_checkpoint

_LONGEST = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Elsewhere:
    """Checkpoint notes by the address they came from, unverified, and the addresses that gave none."""

    notes: Mapping[str, bytes]
    unreachable: tuple[str, ...]


def ask_elsewhere(addresses: Sequence[str], *, timeout: float = 5.0) -> Elsewhere:
    """Read a checkpoint at each address (`https://…/checkpoint` of a published log, or a path), one after the other.

    An address that cannot be read, or gives something that is no checkpoint at all, counts as unreachable.
    """
    notes: dict[str, bytes] = {}
    unreachable: list[str] = []
    for address in addresses:
        note = _read(address, timeout)
        try:
            read_checkpoint(note or b"")
        except NoteError:
            unreachable.append(address)
        else:
            notes[address] = note or b""
    return Elsewhere(notes=notes, unreachable=tuple(unreachable))


def _read(address: str, timeout: float) -> bytes | None:
    if address.startswith(("http://", "https://")):
        return _fetch(address, timeout)
    try:
        with Path(address).open("rb") as file:
            return file.read(_LONGEST)
    except OSError:
        return None


def _fetch(address: str, timeout: float) -> bytes | None:
    import httpx

    answer = bytearray()
    try:
        with httpx.Client(timeout=timeout) as client, client.stream("GET", address) as response:
            if response.status_code != 200:
                return None
            for chunk in response.iter_bytes():
                answer += chunk
                if len(answer) > _LONGEST:
                    return None
    except (httpx.HTTPError, httpx.InvalidURL):
        return None
    return bytes(answer)
