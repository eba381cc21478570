"""What one witness did with one checkpoint."""

from __future__ import annotations

from dataclasses import dataclass, field

from ledger.log.checkpoint import Checkpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class CosignedBy:
    """It cosigned: its lines, each verified, without their newlines."""

    witness: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ahead:
    """It cosigned a larger checkpoint of this log already.

    Harmless where another publisher of the same log was faster, and no more than its word. If it shows a checkpoint
    that our log does not continue, it is `Contradicts` instead.
    """

    witness: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreachable:
    """It gave no answer, or not in time; asking again later may help. `slow` if it let its time run out."""

    witness: str
    reason: str
    slow: bool = field(default=False, compare=False)


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
    """It says that it holds another history of this log than ours, or one that ours does not reach.

    With `proof` that is so, whoever the witness is: a checkpoint that a key of the log signed for its size, and that
    our log does not continue: the log forked, or was rolled back, and must not be continued. Without, it is its word.
    """

    witness: str
    reason: str
    proof: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgetful:
    """Its size is smaller than one it cosigned for us before: it lost its memory, and its word counts no more."""

    witness: str
    cosigned: int
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Shows:
    """It showed the newest checkpoint it holds of the log: `note`, which a key of the log signed for its size."""

    witness: str
    note: bytes = field(repr=False)
    checkpoint: Checkpoint


Outcome = CosignedBy | Ahead | Forgetful | Unreachable | RefusedBy | Unproven | Contradicts
