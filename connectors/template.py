"""Fill a request's placeholders with the values of a claim; structure is never built by joining texts.

A placeholder is `{space.name}`. A text that is one placeholder takes the value with its type (a number stays a number
in JSON); within a longer text it is written out. Spaces: `subject`, `expected`, `given`, `claim`, `context`, `request`
(`id` a new UUID, times), `secret` and, where a stanza has them, `session`, `signature` and `inner`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from datetime import date, datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from connectors.connector import Claim, QueryContext, Value
from connectors.stanza import Stanza

PLACEHOLDER = re.compile(r"\{([a-z]+)\.([A-Za-z0-9_\-]+)\}")
_FIXED = {
    "subject": {"id_type", "id_number", "name"},
    "claim": {"fact_type", "place"},
    "context": {"matter", "case", "item", "operator", "unit", "reason"},
    "request": {"id", "id_hex", "time_ms", "time_s", "time", "time_digits"},
}
_STRUCTURE = re.compile("""[&=<'"{\\[,;|]""")
"""What tells that a text has a structure of its own: a value within it could be taken for a part of that."""
_PLAIN = frozenset({"claim", "request", "secret", "session", "signature"})
"""The spaces whose values are none of anybody's words."""
_NUMBERS = frozenset({("subject", "id_number"), ("subject", "id_type")})
PERSONAL = frozenset({"subject", "expected", "given"})
"""The spaces whose values are personal data."""

Tree = None | str | int | float | bool | list["Tree"] | dict[str, "Tree"]


class MissingAttribute(LookupError):
    """The request needs a value that the claim does not carry: `attribute`."""

    def __init__(self, attribute: str) -> None:
        super().__init__("the request needs an attribute that the claim does not carry")
        self.attribute = attribute


def placeholders(tree: object) -> set[tuple[str, str]]:
    """Name the placeholders in a tree, as (space, name)."""
    if isinstance(tree, str):
        return {(space, name) for space, name in PLACEHOLDER.findall(tree)}
    parts = tree.values() if isinstance(tree, Mapping) else tree if isinstance(tree, list) else ()
    return {found for part in parts for found in placeholders(part)}


def check(stanza: Stanza, key: str, tree: object, known: Mapping[str, Collection[str]]) -> None:
    """Note every placeholder of a tree that nothing will ever fill; `known` are the names of the spaces that the stanza
    fills itself."""
    named: dict[str, Collection[str]] = {**_FIXED, **known}
    for space, name in sorted(placeholders(tree)):
        if name not in named.get(space, {name} if space in ("expected", "given") else ()):
            stanza.mistake(key, f"nothing fills {{{space}.{name}}}")


def request_values(now: datetime, request_id: UUID, zone: ZoneInfo) -> dict[str, Value]:
    """Give what is new with each request: its id, and its moment in the forms that services ask for."""
    there = now.astimezone(zone)
    return {
        "id": str(request_id),
        "id_hex": request_id.hex,
        "time_ms": int(now.timestamp() * 1000),
        "time_s": int(now.timestamp()),
        "time": f"{there:%Y-%m-%d %H:%M:%S}",
        "time_digits": f"{there:%Y%m%d%H%M%S}",
    }


def within_structure(text: str) -> set[tuple[str, str]]:
    """Name the placeholders of a text whose values are somebody's words and could be taken for a part of its structure:
    in `id=…&name={subject.name}`, who is called `x&id=…` would be another person."""
    rest = PLACEHOLDER.sub("", text)
    if PLACEHOLDER.fullmatch(text) or _STRUCTURE.search(rest) is None:
        return set()
    return {one for one in placeholders(text) if one[0] not in _PLAIN and one not in _NUMBERS}


def check_texts(stanza: Stanza, key: str, tree: object) -> None:
    """Note every text of a tree that has a structure of its own, and somebody's words in it."""
    if isinstance(tree, str):
        for space, name in sorted(within_structure(tree)):
            stanza.mistake(
                key, f"{{{space}.{name}}} stands in a text with a structure of its own: put that text under `inner`"
            )
    parts = tree.values() if isinstance(tree, Mapping) else tree if isinstance(tree, list) else ()
    for part in parts:
        check_texts(stanza, key, part)


def values(
    claim: Claim, context: QueryContext, secrets: Mapping[str, str], *, request: Mapping[str, Value]
) -> dict[str, Mapping[str, Value]]:
    """Gather what placeholders may stand for, by space."""
    return {
        "subject": {
            "id_type": claim.subject.id_type,
            "id_number": claim.subject.id_number,
            "name": claim.subject.name,
        },
        "expected": claim.expected,
        "given": claim.given,
        "claim": {"fact_type": claim.fact_type, "place": claim.place},
        "context": {name: getattr(context, name) for name in _FIXED["context"]},
        "request": request,
        "secret": secrets,
    }


def fill(tree: object, spaces: Mapping[str, Mapping[str, Value]]) -> Tree:
    """Copy a tree with its placeholders filled.

    Raises:
        MissingAttribute: the claim lacks a value that the request needs.
    """
    if isinstance(tree, Mapping):
        return {str(key): fill(part, spaces) for key, part in tree.items()}
    if isinstance(tree, list):
        return [fill(part, spaces) for part in tree]
    if isinstance(tree, str):
        whole = PLACEHOLDER.fullmatch(tree)
        if whole is not None:
            return _plain(_look_up(whole, spaces))
        return filled(tree, spaces, lambda value: str(_plain(value)))
    if tree is None or isinstance(tree, int | float):
        return tree
    return _plain(tree) if isinstance(tree, date) else str(tree)


def filled(text: str, spaces: Mapping[str, Mapping[str, Value]], write: Callable[[Value], str]) -> str:
    """Copy a text with its placeholders filled by values as `write` writes them; raises `MissingAttribute`."""
    return PLACEHOLDER.sub(lambda found: write(_look_up(found, spaces)), text)


def _look_up(found: re.Match[str], spaces: Mapping[str, Mapping[str, Value]]) -> Value:
    space, name = found.groups()
    if name not in spaces.get(space, {}):
        raise MissingAttribute(name)
    return spaces[space][name]


def _plain(value: Value) -> str | int | bool:
    return value.isoformat() if isinstance(value, date) else value
