"""Whose log it is."""

from __future__ import annotations

from dataclasses import dataclass

from ledger.log.note import Signer, Verifier


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A log's origin, the keys that sign its checkpoints, and those that verify them."""

    origin: str
    signers: tuple[Signer, ...]
    verifiers: tuple[Verifier, ...]
