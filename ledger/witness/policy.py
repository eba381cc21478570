"""Trust policies (https://c2sp.org/tlog-policy): which logs, which witnesses, and how many of them must cosign."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ledger.errors import KeyHistoryError, NoteError, QuorumMissing, WrongKey
from ledger.keyring.history import KeyHistory, require_ranges
from ledger.log.algorithms.timestamp import cosigned_at
from ledger.log.checkpoint import Checkpoint, open_checkpoint
from ledger.log.note import open_note, parse_line
from ledger.log.vkey import PublicKey

NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyLog:
    """A log that may be believed: its key, whose name is the log's origin, and where it answers."""

    key: PublicKey
    url: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyWitness:
    """A witness: its name in the policy, its key, and its submission prefix."""

    name: str
    key: PublicKey
    url: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyGroup:
    """A group has witnessed when `threshold` of its members have; members are witnesses and earlier groups."""

    name: str
    threshold: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A parsed policy. Groups stand in the order of the file, so each only names what stands before it."""

    logs: tuple[PolicyLog, ...]
    witnesses: tuple[PolicyWitness, ...]
    groups: tuple[PolicyGroup, ...]
    quorum: str

    def satisfied(self, lines: Iterable[str]) -> bool:
        """Tell whether these cosignatures are enough; every line must have been verified before.

        Lines of keys that the policy does not know count for nothing.
        """
        keys = {(one.key.name, one.key.key_id): one.name for one in self.witnesses}
        found = (keys.get((line.name, line.key_id)) for line in map(parse_line, lines))
        return self._holds({name for name in found if name is not None})

    def reachable(self, witnesses: Iterable[str]) -> bool:
        """Tell whether the quorum would hold if all these witnesses, named as the policy does, cosigned."""
        return self._holds(set(witnesses))

    def _holds(self, witnessed: set[str]) -> bool:
        reached = set(witnessed)
        for group in self.groups:
            if sum(member in reached for member in group.members) >= group.threshold:
                reached.add(group.name)
        return self.quorum == NONE or self.quorum in reached


def verify_witnessed(note: bytes, policy: Policy, origin: str, history: KeyHistory | None = None) -> Checkpoint:
    """Verify a checkpoint as the policy asks: signed by the log `origin`, and cosigned by a quorum of witnesses.

    `history` tells, for a log whose key has changed, which key may sign which sizes; the policy lists its first key.

    Raises:
        KeyHistoryError: the policy lists several keys of the log, one of which may be retired, and there is no history;
            or the history begins with a key that the policy does not list.
        KeyNotInForce: only keys of the log signed it that were not in force at its size.
        WrongKey: none of the log's keys that the policy lists signed it.
        WrongOrigin: it is of another log.
        NoteError: it is malformed, or a line of a key that the policy lists is bad.
        QuorumMissing: too few witnesses cosigned it.
    """
    keys = log_keys(policy, origin)
    if history is None:
        require_ranges(keys)
        checkpoint = open_checkpoint(note, keys, origin)
    elif history.keys[0].vkey in {key.vkey for key in keys}:
        checkpoint = history.open(note)
    else:
        raise KeyHistoryError(f"the history of {origin} begins with a key that the policy does not list")
    lines = open_cosignatures(note, [witness.key for witness in policy.witnesses])
    if not policy.satisfied(lines):
        raise QuorumMissing(f"{len(lines)} cosignatures of known witnesses do not satisfy quorum {policy.quorum!r}")
    return checkpoint


def log_keys(policy: Policy, origin: str) -> list[PublicKey]:
    """List the keys of a log that a policy names."""
    return [log.key for log in policy.logs if log.key.name == origin]


def open_cosignatures(note: bytes, keys: Iterable[PublicKey]) -> tuple[str, ...]:
    """Verify every cosignature of these witnesses that a checkpoint carries, and return their lines.

    Raises:
        NoteError: a line of a known key is bad or undated, or the note is malformed.
    """
    try:
        lines = open_note(note, list(keys)).lines
    except WrongKey:
        return ()
    if any(cosigned_at(line) == 0 for line in lines):
        raise NoteError("a witness did not date its cosignature")
    return lines
