"""Salted commitments: what an entry says of its document, and the document itself as bytes. Pure.

A document has groups. A group is committed to as a whole, or field by field, so that one field can be disclosed and
proved while the others stay unknown. `salt` is 32 random bytes, `||` joins, and each commitment is 64 hex digits:

    whole     SHA-256("chengxin/ledger/v1/commit" || 0x00 || group || 0x00 || salt || canonical(value))
    by field  SHA-256("chengxin/ledger/v1/fields" || 0x00 || group || 0x00 || salt || canonical({field: digest, ...}))
    digest    SHA-256("chengxin/ledger/v1/field" || 0x00 || group || 0x00 || field || 0x00 || salt || canonical(value))

Each field has a salt of its own. The three domains keep the forms apart: no value can be passed off as another form.
The group `public` alone has a salt that is known (`PUBLIC_SALT`): it is for what everybody may know.
Field names are seen by whoever is shown one field of the group; they must never tell anything about a person.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from typing import NamedTuple

from ledger.canonical import Json, canonical, parse_canonical, parse_own
from ledger.errors import CanonicalError

_COMMIT_DOMAIN = b"chengxin/ledger/v1/commit\x00"
_FIELDS_DOMAIN = b"chengxin/ledger/v1/fields\x00"
_FIELD_DOMAIN = b"chengxin/ledger/v1/field\x00"
_GROUP = re.compile(r"[a-z][a-z0-9_-]{0,31}", re.ASCII)
_FIELD = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}", re.ASCII)
_SALT = re.compile(r"[0-9a-f]{64}", re.ASCII)
MOST_GROUPS = 256
_MOST_FIELDS = 256
_AROUND_VALUE, _AROUND_FIELD = 2, 4  # levels of the document around a group's value, and around a field's
LONGEST_DOCUMENT = 16 << 20
"""Bytes."""
PUBLIC_GROUP = "public"
"""The group for what everybody may know, such as keys of the log; only kinds of `PUBLIC_KINDS` may have it."""
PUBLIC_SALT = bytes(32)
"""Salt of the public group: whoever holds the value can check the commitment. Never a salt for anything personal."""


class Opening(NamedTuple):
    """What opens the commitment to a whole group: its salt, and the canonical bytes of its value."""

    salt: bytes
    encoded: bytes

    def __repr__(self) -> str:
        """Tell nothing; the value is personal data."""
        return "Opening()"


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultGroup:
    """One group of a document: the value its entry commits to, and the salts that open the commitment."""

    salt: bytes
    value: Json = field(repr=False)
    """For a group given by fields: an object of them."""
    field_salts: Mapping[str, bytes] | None = field(default=None, repr=False)
    """The salt of each field; None if the group is committed to as a whole."""

    @property
    def opening(self) -> Opening:
        """What opens a group that is committed to as a whole: the same bytes as when it was made."""
        return Opening(self.salt, canonical(self.value))


@lru_cache(1024)
def is_group(name: str) -> bool:
    """Tell whether a name can be a group's: a lower-case letter, then up to 31 of `a-z0-9_-`."""
    return _GROUP.fullmatch(name) is not None


@lru_cache(1024)
def is_field(name: str) -> bool:
    """Tell whether a name can be a field's: a letter, then up to 63 of `A-Za-z0-9_-`."""
    return _FIELD.fullmatch(name) is not None


def commit_value(group: str, salt: bytes, encoded: bytes) -> str:
    """Commit to the canonical bytes of the value of a whole group: 64 hex digits."""
    return sha256(_COMMIT_DOMAIN + group.encode("ascii") + b"\x00" + salt + encoded).hexdigest()


def digest_field(group: str, name: str, salt: bytes, encoded: bytes) -> str:
    """Digest the canonical bytes of one field's value: 64 hex digits."""
    place = b"%s\x00%s\x00" % (group.encode("ascii"), name.encode("ascii"))
    return sha256(_FIELD_DOMAIN + place + salt + encoded).hexdigest()


def commit_fields(group: str, salt: bytes, digests: Mapping[str, str]) -> str:
    """Commit to a group by the digests of all of its fields: 64 hex digits."""
    return sha256(_FIELDS_DOMAIN + group.encode("ascii") + b"\x00" + salt + canonical(digests)).hexdigest()


def commit_group(name: str, group: VaultGroup) -> str:
    """Commit again to a group of an opened document; what comes out is compared with the entry."""
    if group.field_salts is None:
        return commit_value(name, group.salt, canonical(group.value))
    values = group.value if isinstance(group.value, Mapping) else {}
    digests = {one: digest_field(name, one, salt, canonical(values[one])) for one, salt in group.field_salts.items()}
    return commit_fields(name, group.salt, digests)


def commit_groups(
    groups: Mapping[str, Json], fields: Mapping[str, Mapping[str, Json]], entropy: Callable[[int], bytes]
) -> tuple[dict[str, str], bytes, list[str], dict[str, Opening]]:
    """Commit to the groups of a document under fresh salts, and encode the document.

    `groups` are committed to as a whole, `fields` field by field.

    Returns:
        The commitments in the order of their names, the document's canonical bytes, the mistakes found, which name
        groups and fields and never values, and what opens the groups that are committed to as a whole. With mistakes,
        the rest is not usable.
    """
    names = sorted([*groups, *fields]) if fields else sorted(groups)
    mistakes = _wrong_names(groups, fields)
    if mistakes:
        return {}, b"", mistakes, {}
    commits: dict[str, str] = {}
    parts: list[bytes] = []
    openings: dict[str, Opening] = {}
    salts = entropy(32 * (len(groups) + sum([1 + len(values) for values in fields.values()])))
    at = 0
    for name in names:
        salt, at = PUBLIC_SALT if name == PUBLIC_GROUP else salts[at : at + 32], at + 32
        try:
            if name in fields:
                values = fields[name]
                commits[name], part = _encode_fields(name, salt, values, salts[at : at + 32 * len(values)])
                at += 32 * len(values)
            else:
                encoded = canonical(groups[name], _AROUND_VALUE)
                commits[name] = commit_value(name, salt, encoded)
                openings[name] = Opening(salt, encoded)
                part = b'"%s":{"salt":"%s","value":%s}' % (name.encode(), salt.hex().encode(), encoded)
            parts.append(part)
        except CanonicalError as failure:
            mistakes.append(f"group {name!r}: {failure}")
    # Names sort by their bytes, so joining the parts gives the canonical form without encoding twice.
    document = b"{" + b",".join(parts) + b"}"
    if len(document) > LONGEST_DOCUMENT:
        mistakes.append("the document is larger than 16 MiB")
    return commits, document, mistakes, openings


def _wrong_names(groups: Mapping[str, Json], fields: Mapping[str, Mapping[str, Json]]) -> list[str]:
    mistakes = []
    if len(groups) + len(fields) > MOST_GROUPS:
        mistakes.append(f"more than {MOST_GROUPS} groups")
    if not all(map(is_group, groups)) or not all(map(is_group, fields)):
        mistakes.append("a group's name is malformed")
    if fields:
        mistakes += [f"group {name!r} is given twice, whole and by fields" for name in fields if name in groups]
        mistakes += [wrong for name, values in fields.items() for wrong in _wrong_fields(name, values)]
    return mistakes


def _wrong_fields(group: str, values: object) -> list[str]:
    if not isinstance(values, Mapping) or not 0 < len(values) <= _MOST_FIELDS:
        return [f"group {group!r} is not 1 to {_MOST_FIELDS} fields"]
    if not all(isinstance(name, str) and is_field(name) for name in values):
        return [f"group {group!r}: a field's name is malformed"]
    return []


def _encode_fields(group: str, salt: bytes, values: Mapping[str, Json], salts: bytes) -> tuple[str, bytes]:
    digests: dict[str, str] = {}
    parts: list[bytes] = []
    for number, name in enumerate(sorted(values)):
        own = salts[32 * number : 32 * number + 32]
        try:
            encoded = canonical(values[name], _AROUND_FIELD)
        except CanonicalError as failure:
            raise CanonicalError(f"field {name!r}: {failure}") from None
        digests[name] = digest_field(group, name, own, encoded)
        parts.append(b'"%s":{"salt":"%s","value":%s}' % (name.encode(), own.hex().encode(), encoded))
    opened = b'"%s":{"fields":{%s},"salt":"%s"}' % (group.encode(), b",".join(parts), salt.hex().encode())
    return commit_fields(group, salt, digests), opened


def decode_document(document: bytes, *, own: bool = False) -> dict[str, VaultGroup]:
    """Decode the bytes of a document strictly; of `own` ones, which nobody else can have written, not the spelling.

    Raises:
        CanonicalError: they are not what `commit_groups` writes. The message never shows a value.
    """
    value = parse_own(document) if own else parse_canonical(document)
    if not isinstance(value, dict):
        raise CanonicalError("not a document")
    return {name: _decode_group(name, group) for name, group in value.items()}


def _decode_group(name: str, group: Json) -> VaultGroup:
    if not is_group(name) or not isinstance(group, dict):
        raise CanonicalError("not a document")
    if group.keys() == {"salt", "value"}:
        return VaultGroup(salt=decode_salt(group["salt"]), value=group["value"])
    fields = group.get("fields")
    if group.keys() != {"fields", "salt"} or not isinstance(fields, dict) or not fields:
        raise CanonicalError("a group is neither whole nor by fields")
    values: dict[str, Json] = {}
    salts: dict[str, bytes] = {}
    for field_name, one in fields.items():
        if not is_field(field_name) or not isinstance(one, dict) or one.keys() != {"salt", "value"}:
            raise CanonicalError("a field is not a salt and a value")
        values[field_name], salts[field_name] = one["value"], decode_salt(one["salt"])
    return VaultGroup(salt=decode_salt(group["salt"]), value=values, field_salts=salts)


def decode_salt(text: Json) -> bytes:
    """Read a salt: 64 lower-case hex digits; raises `CanonicalError`."""
    if not isinstance(text, str) or _SALT.fullmatch(text) is None:
        raise CanonicalError("a salt is not 64 hex digits")
    return bytes.fromhex(text)
