"""What one witness did with one checkpoint."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class CosignedBy:
    """It cosigned: its lines, each verified, without their newlines."""

    witness: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ahead:
    """It cosigned a larger checkpoint of this log already.

    Harmless where another publisher of the same log was faster; where this checkpoint is the newest there is, the log
    was rolled back, for instance to a backup, and must not be continued.
    """

    witness: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreachable:
    """It gave no answer, or not in time; asking again later may help."""

    witness: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedBy:
    """It refused for a reason that says nothing of the log's history, or its answer was not in order."""

    witness: str
    status: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unproven:
    """We could not make the proof it needs."""

    witness: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Contradicts:
    """It holds another history of this log than ours: another root for a size, or one that ours does not extend."""

    witness: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgetful:
    """Its size is smaller than one it cosigned for us before: it lost its memory, and its word counts no more."""

    witness: str
    cosigned: int
    size: int


Outcome = CosignedBy | Ahead | Forgetful | Unreachable | RefusedBy | Unproven | Contradicts
