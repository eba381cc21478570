"""YAML as a tree that remembers file and line, so that every mistake can be pointed at."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from gateway.catalogue.mistakes import Mistakes, Place
from ledger.canonical import Json

_DECIMAL = re.compile(r"-?(0|[1-9][0-9]{0,14})")
_LARGEST_FILE = 4 * 1024 * 1024
_TAGS = {"tag:yaml.org,2002:int": "int", "tag:yaml.org,2002:bool": "bool", "tag:yaml.org,2002:null": "null"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scalar:
    """A scalar as written; `kind` is `int`, `bool`, `null` or `text` by YAML's own rules."""

    place: Place
    raw: str
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Items:
    """A sequence."""

    place: Place
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entries:
    """A mapping; `keys` says where each key stands."""

    place: Place
    entries: Mapping[str, Node]
    keys: Mapping[str, Place]


Node = Scalar | Items | Entries


def read_nodes(path: Path, mistakes: Mistakes) -> Entries | None:
    """Read one file; None when it cannot be read as a mapping (the mistakes say why)."""
    top = Place(file=path.name, line=0)
    try:
        if path.stat().st_size > _LARGEST_FILE:
            mistakes.add(top, f"the file is larger than {_LARGEST_FILE} bytes")
            return None
        composed = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
        node = _located(composed, path.name, mistakes, set()) if composed is not None else None
    except OSError as error:
        mistakes.add(top, f"cannot be read: {error.strerror}")
        return None
    except UnicodeDecodeError:
        mistakes.add(top, "is not UTF-8")
        return None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        mistakes.add(Place(file=path.name, line=line), f"is not YAML: {error.problem}")
        return None
    except yaml.YAMLError:
        mistakes.add(top, "is not YAML: a character that YAML does not allow")
        return None
    except RecursionError:
        mistakes.add(top, "is nested too deeply")
        return None
    if isinstance(node, Entries):
        return node
    mistakes.add(top, "must be a mapping")
    return None


def _located(node: yaml.Node, file: str, mistakes: Mistakes, seen: set[int]) -> Node:
    place = Place(file=file, line=node.start_mark.line + 1)
    if id(node) in seen:
        # An alias can contain itself or grow without bound, and a list that people approve should say all it says.
        mistakes.add(place, "YAML aliases are not allowed")
        return Scalar(place=place, raw="", kind="null")
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        return _entries(node, place, mistakes, seen)
    if isinstance(node, yaml.SequenceNode):
        return Items(place=place, items=tuple(_located(n, file, mistakes, seen) for n in node.value))
    if not _is_text(node.value):
        mistakes.add(place, "half a surrogate pair is no character")
        return Scalar(place=place, raw="", kind="null")
    return Scalar(place=place, raw=str(node.value), kind=_TAGS.get(node.tag, "text"))


def _is_text(value: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in value)


def _entries(node: yaml.MappingNode, place: Place, mistakes: Mistakes, seen: set[int]) -> Entries:
    entries: dict[str, Node] = {}
    keys: dict[str, Place] = {}
    for key_node, value_node in node.value:
        at = Place(file=place.file, line=key_node.start_mark.line + 1)
        if not isinstance(key_node, yaml.ScalarNode) or not str(key_node.value).isascii():
            mistakes.add(at, "a key must be a word in ASCII")
        elif key_node.value in entries:
            mistakes.add(at, f"key {key_node.value!r} is there twice")
        else:
            entries[key_node.value] = _located(value_node, place.file, mistakes, seen)
            keys[key_node.value] = at
    return Entries(place=place, entries=entries, keys=keys)


def overlay(below: Node, above: Node) -> Node:
    """Lay `above` (the child's) over `below` (the parent's): mappings key by key, everything else replaced.

    An `expression` is one thing and is replaced as a whole. A key that the child sets to null is taken away.
    """
    if not (isinstance(below, Entries) and isinstance(above, Entries)):
        return above
    entries = dict(below.entries)
    for key, node in above.entries.items():
        if isinstance(node, Scalar) and node.kind == "null":
            entries.pop(key, None)
            continue
        entries[key] = overlay(entries[key], node) if key in entries and key != "expression" else node
    return Entries(place=above.place, entries=entries, keys={**below.keys, **above.keys})


def plain(node: Node) -> Json:
    """Return the data without their places."""
    match node:
        case Entries():
            return {key: plain(value) for key, value in node.entries.items()}
        case Items():
            return [plain(item) for item in node.items]
        case Scalar(kind="int"):
            return whole_number(node.raw)
        case Scalar(kind="bool"):
            return truth_word(node.raw)
        case Scalar(kind="null"):
            return None
        case Scalar():
            return node.raw


def whole_number(raw: str) -> int | str:
    """Return a decimal whole number of at most 15 digits; other spellings stay text and are refused later."""
    return int(raw) if _DECIMAL.fullmatch(raw) else raw


def truth_word(raw: str) -> bool | str:
    """Return true or false; YAML 1.1's yes, no, on and off stay text and are refused later."""
    return {"true": True, "false": False}.get(raw.lower(), raw)
