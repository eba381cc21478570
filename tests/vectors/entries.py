"""Entries: of each family some that are right, and many that are not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ledger.canonical import Json, canonical
from ledger.merkle import hash_leaf
from ledger.records.codec import Entry, commit_value, encode_entry
from ledger.records.commitments import PUBLIC_GROUP, PUBLIC_SALT
from ledger.records.lifecycle import FAMILIES, PUBLIC_KINDS, Family
from tests.vectors.keys import VKEY, at, fixed

DOCUMENTS: dict[str, Json] = {
    "answer": {"checked": 2, "verdict": "ESTABLISHED"},
    "letter": "本人承诺以上所填内容真实。",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """One entry and the document groups behind it."""

    family: str
    entry: Entry
    groups: dict[str, tuple[bytes, Json]]
    """Salt and value."""

    @property
    def leaf(self) -> bytes:
        return encode_entry(self.entry)


def _chain(family: Family) -> list[str]:
    """Two kinds that may follow one another in a new record, or one where nothing follows."""
    first = next(kind for kind, steps in family.transitions.items() if None in steps)
    state = family.transitions[first][None]
    second = [kind for kind, steps in family.transitions.items() if state in steps]
    return [first, *second[:1]]


def _groups(kind: str, number: int) -> dict[str, tuple[bytes, Json]]:
    if kind in PUBLIC_KINDS:
        return {PUBLIC_GROUP: (PUBLIC_SALT, {"vkey": VKEY})}
    return {group: (fixed(f"salt {number} {group}"), value) for group, value in DOCUMENTS.items()}


def written() -> list[Written]:
    made: list[Written] = []
    for name, family in FAMILIES.items():
        prev: bytes | None = None
        for seq, kind in enumerate(_chain(family)):
            number = len(made)
            groups = _groups(kind, number)
            entry = Entry(
                kind=kind,
                record=fixed(f"record {name}", 16),
                seq=seq,
                prev=prev,
                at=at(number),
                policy="" if number % 2 else fixed("policy").hex(),
                commits={group: commit_value(group, salt, canonical(value)) for group, (salt, value) in groups.items()},
            )
            made.append(Written(family=name, entry=entry, groups=groups))
            prev = hash_leaf(made[-1].leaf)
    return made


def more(count: int) -> list[bytes]:
    """Further entries, no two alike: a tree with repetitions would hide that a proof was moved."""
    return [
        encode_entry(
            Entry(
                kind="VerificationAnswered",
                record=fixed(f"record of entry {number}", 16),
                seq=0,
                prev=None,
                at=at(number),
                policy="",
                commits={"answer": fixed(f"commit of entry {number}").hex()},
            )
        )
        for number in range(count)
    ]


def mistaken() -> Iterator[tuple[str, bytes]]:
    """What is wrong, and an entry that has just this wrong."""
    right = written()[0].leaf
    yield "nothing at all", b""
    yield "a space before it", b" " + right
    yield "a newline after it", right + b"\n"
    yield "a byte order mark", b"\xef\xbb\xbf" + right
    yield "not UTF-8", right.replace(b"answer", b"answ\xff\xff", 1)
    for wrong in (b"null", b"[]", b'"text"', b"1", b"{}", b"true"):
        yield f"the value {wrong.decode()}", wrong
    for was, now, why in _REPLACEMENTS:
        assert right.count(was.encode()) >= 1, was
        yield why, right.replace(was.encode(), now.encode(), 1)
    yield "nested deeper than any entry", right.replace(b'"seq":0', b'"seq":' + b"[" * 70 + b"]" * 70)
    without_group = right.replace(b'"answer":', b'"' + b"a" * 33 + b'":')
    yield "a group name of 33 characters", without_group


_AT = '"at":"2026-03-01T08:30:00.123456Z"'
_REPLACEMENTS = (
    ('"seq":0', '"seq":0,"seq":0', "a field twice with one value"),
    ('"v":1', '"v":1,"v":1', "the version twice"),
    ('"seq":0', '"seq":1,"seq":0', "a field twice with two values"),
    (",", ", ", "a space after a comma"),
    (":", ": ", "a space after a colon"),
    ('{"at"', '{ "at"', "a space after a brace"),
    ('"seq":0', '"seq":0.0', "a float"),
    ('"seq":0', '"seq":0e0', "an exponent"),
    ('"seq":0', '"seq":-0', "a negative zero"),
    ('"seq":0', '"seq":00', "a leading zero"),
    ('"seq":0', '"seq":-1', "a negative position"),
    ('"seq":0', '"seq":9007199254740992', "a position of 2^53"),
    ('"seq":0', '"seq":9007199254740993', "a position that no double holds"),
    ('"seq":0', '"seq":18446744073709551616', "a position of 2^64"),
    ('"seq":0', '"seq":1e999', "an infinite position"),
    ('"seq":0', '"seq":NaN', "not a number"),
    ('"seq":0', '"seq":null', "no position"),
    ('"seq":0', '"seq":false', "a truth value for zero"),
    ('"seq":0', '"seq":"0"', "a text for a number"),
    ('"seq":0', '"seq":1', "a second entry without a previous one"),
    ('"prev":null', f'"prev":"{"0" * 64}"', "a first entry with a previous one"),
    ('"prev":null', '"prev":""', "an empty previous hash"),
    ('"prev":null,', "", "a missing field"),
    ('"v":1', '"v":2', "a version that does not exist"),
    ('"v":1', '"v":true', "a truth value for one"),
    ('"v":1', '"v":"1"', "a text for the version"),
    ('"v":1', '"v":1,"w":1', "an unknown field"),
    ('"v":1', '"__proto__":1,"v":1', "a field named like a trap of JavaScript"),
    ('"kind":"VerificationAnswered"', '"kind":"VerificationAnswere"', "a kind that does not exist"),
    ('"kind":"VerificationAnswered"', '"kind":"verificationAnswered"', "a kind in another case"),
    ('"kind":"VerificationAnswered"', '"kind":"toString"', "a kind named like a trap of JavaScript"),
    ('"kind":"VerificationAnswered"', '"kind":null', "no kind"),
    ('"kind":"VerificationAnswered"', '"kind":["VerificationAnswered"]', "a list for a text"),
    ('"kind":"V', '"kind":"\\u0056', "an escaped letter"),
    ('"kind":"V', '"kind":"\\ud800', "half a surrogate pair"),
    ('"kind":"V', '"kind":"\x01', "a control character in a text"),
    ('"record":"', '"record":"0', "a record id of 33 digits"),
    ('"record":"', '"record":"G', "a record id that is not hexadecimal and too long"),
    (_AT, '"at":"2026-03-01T08:30:00Z"', "a time without microseconds"),
    (_AT, '"at":"2026-03-01T08:30:00.123Z"', "a time with milliseconds"),
    (_AT, '"at":"2026-03-01T08:30:00.123456+00:00"', "a time with an offset"),
    (_AT, '"at":"2026-03-01T08:30:00.123456z"', "a time with a small z"),
    (_AT, '"at":"2026-03-01 08:30:00.123456Z"', "a time with a space"),
    (_AT, '"at":"2026-02-30T08:30:00.123456Z"', "a day that does not exist"),
    (_AT, '"at":"2026-13-01T08:30:00.123456Z"', "a month that does not exist"),
    (_AT, '"at":"2026-03-01T24:00:00.000000Z"', "hour 24"),
    (_AT, '"at":"2026-03-01T23:59:60.000000Z"', "a leap second"),
    (_AT, '"at":"0000-03-01T08:30:00.123456Z"', "the year 0"),
    (_AT, '"at":"2025-02-29T08:30:00.123456Z"', "29 February of a common year"),
    (_AT, '"at":1772353800', "a number for a time"),
    ('"policy":"', '"policy":"A', "a policy of 65 digits"),
    ('"policy":"', '"policy":null,"x":"', "no policy and an unknown field"),
    ('"commits":{', '"commits":{"":"' + "0" * 64 + '",', "a group without a name"),
    ('"answer":"', '"Answer":"', "a group in capitals"),
    ('"answer":"', '"1nswer":"', "a group that begins with a digit"),
    ('"answer":"', '"ans er":"', "a group with a space"),
    ('"answer":"', '"ansẘer":"', "a group that is not ASCII"),
    ('"answer":"', '"answer":"0', "a commitment of 65 digits"),
    ('"answer":"', '"answer":null,"b":"', "a group without a commitment"),
)
