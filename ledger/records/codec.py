"""Entries as bytes: canonical JSON (`ledger.canonical`) with exactly the fields of `Entry`, schema version 1."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

import orjson

from ledger.canonical import Json, canonical, format_time, parse_canonical, parse_time
from ledger.errors import CanonicalError, EntryError
from ledger.records.commitments import MOST_GROUPS, commit_value, is_group
from ledger.records.lifecycle import FAMILY_OF

__all__ = [
    "LONGEST_ENTRY",
    "Entry",
    "Json",
    "canonical",
    "commit_value",
    "decode_entry",
    "encode_entry",
    "entry_commits",
    "entry_parts",
    "is_group",
    "is_policy",
    "later_entry",
    "parse_canonical",
    "record_of",
]

_VERSION = 1
_FIELDS = ("at", "commits", "kind", "policy", "prev", "record", "seq", "v")
_HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)
_RECORD = re.compile(r"[0-9a-f]{32}", re.ASCII)
_RECORD_NAME = b'"record":"'
LONGEST_ENTRY = 65_535
"""Bytes; the entry bundles of tlog-tiles have 16-bit lengths."""

assert MOST_GROUPS * 110 < LONGEST_ENTRY


@lru_cache(1024)
def is_policy(policy: str) -> bool:
    """Tell whether a text can name a policy: empty, or the 64 hex digits of its digest."""
    return policy == "" or _HASH.fullmatch(policy) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry of the ledger. It holds no personal data: what it is about is committed to, and lies in the vault."""

    kind: str
    record: bytes
    """The record's random 128-bit id."""
    seq: int
    """Position among the record's entries, from 0."""
    prev: bytes | None
    """Leaf hash of the record's previous entry; None for the first."""
    at: datetime
    policy: str
    """Digest (64 hex) of the policy in force, or empty."""
    commits: Mapping[str, str]
    """Salted commitment (64 hex) to each group of the vaulted document."""


def entry_parts(kind: str, record: bytes, at: str, policy: str, commits: Mapping[str, str]) -> tuple[bytes, bytes]:
    """Encode what is known of an entry before its place: the bytes before the value of `prev`, and from there to `seq`.

    `before + prev + between + seq + ',"v":1}'` is the canonical form: no part can hold a character that JSON escapes,
    and `commits` must be in the order of its names.
    """
    listed = ",".join([f'"{group}":"{commit}"' for group, commit in commits.items()]) if commits else ""
    before = f'{{"at":"{at}","commits":{{{listed}}},"kind":"{kind}","policy":"{policy}","prev":'
    return before.encode(), f',"record":"{record.hex()}","seq":'.encode()


def later_entry(before: bytes, prev: bytes, between: bytes, seq: int) -> bytes:
    """Put the parts of an entry that follows another of its record together."""
    return b'%s"%s"%s%d,"v":1}' % (before, prev.hex().encode(), between, seq)


def record_of(leaf: bytes) -> str:
    """Read the record id (32 hex digits) out of an entry that this program encoded, without decoding the rest."""
    # The last such name is the entry's own: only "seq" and "v" come after it.
    at = leaf.rindex(_RECORD_NAME) + len(_RECORD_NAME)
    return leaf[at : at + 32].decode("ascii")


def entry_commits(leaf: bytes) -> tuple[bytes, dict[str, str]]:
    """Read the record and the commitments out of an entry that this program encoded, without judging the rest.

    Raises:
        EntryError: it has none.
    """
    try:
        value = orjson.loads(leaf)
        commits = value["commits"]
        if not isinstance(commits, dict):
            raise TypeError
        return bytes.fromhex(value["record"]), commits
    except (ValueError, KeyError, TypeError):
        raise EntryError(["no record and commitments"]) from None


def encode_entry(entry: Entry) -> bytes:
    """Encode an entry: the reference for what `entry_parts` puts together."""
    return orjson.dumps(
        {
            "at": format_time(entry.at),
            "commits": dict(entry.commits),
            "kind": entry.kind,
            "policy": entry.policy,
            "prev": None if entry.prev is None else entry.prev.hex(),
            "record": entry.record.hex(),
            "seq": entry.seq,
            "v": _VERSION,
        },
        option=orjson.OPT_SORT_KEYS,
    )


def decode_entry(data: bytes) -> Entry:
    """Decode an entry strictly: one spelling, known version and kind, no missing or unknown field.

    Raises:
        EntryError: naming every mistake.
    """
    if len(data) > LONGEST_ENTRY:
        raise EntryError(["too long"])
    try:
        value = parse_canonical(data)
    except CanonicalError as failure:
        raise EntryError([str(failure)]) from None
    if not isinstance(value, dict):
        raise EntryError(["not an object"])
    mistakes = [f"field {name!r} is missing" for name in _FIELDS if name not in value]
    mistakes += ["a field is unknown" for name in value if name not in _FIELDS]
    mistakes += _wrong_fields(value)
    if mistakes:
        raise EntryError(mistakes)
    prev, seq = value["prev"], value["seq"]
    assert isinstance(seq, int)
    return Entry(
        kind=str(value["kind"]),
        record=bytes.fromhex(str(value["record"])),
        seq=seq,
        prev=None if prev is None else bytes.fromhex(str(prev)),
        at=parse_time(str(value["at"])),
        policy=str(value["policy"]),
        commits={group: str(commit) for group, commit in _mapping(value["commits"]).items()},
    )


def _mapping(value: Json) -> Mapping[str, Json]:
    return value if isinstance(value, Mapping) else {}


def _wrong_fields(value: Mapping[str, Json]) -> list[str]:
    seq, prev, commits = value.get("seq"), value.get("prev"), value.get("commits")
    right = {
        "v": type(value.get("v")) is int and value.get("v") == _VERSION,
        "kind": isinstance(value.get("kind"), str) and value.get("kind") in FAMILY_OF,
        "record": _matches(_RECORD, value.get("record")),
        "at": _is_time(value.get("at")),
        "policy": value.get("policy") == "" or _matches(_HASH, value.get("policy")),
        "seq": type(seq) is int and seq >= 0,
        "prev": prev is None or _matches(_HASH, prev),
        "commits": isinstance(commits, Mapping)
        and all(is_group(group) and _matches(_HASH, commit) for group, commit in commits.items()),
    }
    mistakes = [f"field {name!r} is wrong" for name, fine in right.items() if name in value and not fine]
    if right["seq"] and right["prev"] and (seq == 0) != (prev is None):
        mistakes.append("the first entry of a record, and no other, has no previous one")
    return mistakes


def _matches(pattern: re.Pattern[str], value: Json) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def _is_time(value: Json) -> bool:
    if not isinstance(value, str):
        return False
    try:
        parse_time(value)
    except ValueError:
        return False
    return True
