"""Asking others for the newest checkpoint they hold of a log: a published copy over HTTP, or a folder of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import wait
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ledger.detached import detached
from ledger.errors import NoteError
from ledger.exchange import ExchangeFailed, exchange, is_web
from ledger.log.checkpoint import read_checkpoint

_LONGEST = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Elsewhere:
    """Checkpoint notes by the address they came from, unverified, and the addresses that gave none."""

    notes: Mapping[str, bytes]
    unreachable: tuple[str, ...]


def ask_elsewhere(addresses: Sequence[str], *, timeout: float = 5.0) -> Elsewhere:
    """Read a checkpoint at each address (`https://…/checkpoint` of a published log, or a path), all at once.

    An address that cannot be read within `timeout` seconds in all, however it drips, is none at all, or gives something
    that is no checkpoint, counts as unreachable.
    """
    asked = {address: detached(partial(_read, address, timeout), "elsewhere") for address in addresses}
    wait(asked.values(), timeout=timeout)
    notes: dict[str, bytes] = {}
    unreachable: list[str] = []
    for address, answer in asked.items():
        note = answer.result() if answer.done() and answer.exception() is None else None
        try:
            read_checkpoint(note or b"")
        except NoteError:
            unreachable.append(address)
        else:
            notes[address] = note or b""
    return Elsewhere(notes=notes, unreachable=tuple(unreachable))


def _read(address: str, timeout: float) -> bytes | None:
    if is_web(address):
        return _fetch(address, timeout)
    try:
        with Path(address).open("rb") as file:
            return file.read(_LONGEST)
    except OSError:
        return None


def _fetch(address: str, timeout: float) -> bytes | None:
    try:
        reply = exchange(address, seconds=timeout, longest=_LONGEST)
    except ExchangeFailed:
        return None
    return reply.body if reply.status == 200 else None
