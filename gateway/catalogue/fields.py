"""Reads one mapping of a catalogue file field by field; whatever was not read is an unknown key."""

from __future__ import annotations

import enum
import re
from collections.abc import Collection, Mapping
from datetime import date
from typing import TypeVar

from gateway.catalogue.mistakes import Mistakes, Place
from gateway.catalogue.model import ValueType
from gateway.catalogue.nodes import Entries, Items, Node, Scalar, truth_word, whole_number
from gateway.catalogue.words import ValueKind

_CODE = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_ENUM = re.compile(r"enum\[([^\]]+)\]")
_WORD = re.compile(r"[A-Z][A-Z0-9_]*")

_E = TypeVar("_E", bound=enum.Enum)


class Fields:
    """The fields of one mapping. Each reader notes its mistakes and returns a harmless stand-in.

    A stand-in never reaches a caller: `load_catalogue` raises when there is any mistake.
    """

    def __init__(self, node: Node, what: str, mistakes: Mistakes) -> None:
        self.place = node.place
        self.what = what
        self.mistakes = mistakes
        self._unread: dict[str, Node] = {}
        self._keys: Mapping[str, Place] = {}
        if isinstance(node, Entries):
            self._unread = dict(node.entries)
            self._keys = node.keys
        else:
            self.mistake("must be a mapping")

    def mistake(self, text: str, place: Place | None = None) -> None:
        """Note a mistake at the mapping, or at `place`."""
        self.mistakes.add(place or self.place, f"{self.what}: {text}")

    def place_of(self, key: str) -> Place:
        """Return where a key stands; the mapping itself when it is not there."""
        return self._keys.get(key, self.place)

    def has(self, key: str) -> bool:
        """Say whether the key is there and not read yet."""
        return key in self._unread

    def node(self, key: str, *, required: bool = False) -> Node | None:
        """Take the node of a key."""
        node = self._unread.pop(key, None)
        if node is None or (isinstance(node, Scalar) and node.kind == "null"):
            if required:
                self.mistake(f"{key!r} is missing")
            return None
        return node

    def text(self, key: str, *, required: bool = True) -> str:
        """Take a text; empty when absent."""
        node = self.node(key, required=required)
        if node is None:
            return ""
        if isinstance(node, Scalar) and node.raw.strip():
            return node.raw.strip()
        self.mistake(f"{key!r} must be a text", node.place)
        return ""

    def code(self, key: str) -> str:
        """Take a kebab-case ASCII code."""
        text = self.text(key)
        if text and not _CODE.fullmatch(text):
            self.mistake(f"{key!r} must be small letters, digits and hyphens, not {text!r}", self.place_of(key))
        return text

    def integer(self, key: str, default: int, *, low: int, high: int) -> int:
        """Take a whole number within bounds."""
        node = self.node(key)
        if node is None:
            return default
        value = whole_number(node.raw) if isinstance(node, Scalar) and node.kind == "int" else None
        if isinstance(value, int) and low <= value <= high:
            return value
        self.mistake(f"{key!r} must be a whole number from {low} to {high}", node.place)
        return default

    def day(self, key: str) -> date:
        """Take a day, YYYY-MM-DD."""
        node = self.node(key, required=True)
        if node is None:
            return date.min
        try:
            return date.fromisoformat(node.raw if isinstance(node, Scalar) else "")
        except ValueError:
            self.mistake(f"{key!r} must be a day, YYYY-MM-DD", node.place)
            return date.min

    def boolean(self, key: str, default: bool) -> bool:
        """Take true or false."""
        node = self.node(key)
        if node is None:
            return default
        value = truth_word(node.raw) if isinstance(node, Scalar) and node.kind == "bool" else None
        if isinstance(value, bool):
            return value
        self.mistake(f"{key!r} must be true or false", node.place)
        return default

    def word(self, key: str, kind: type[_E], default: _E | None = None) -> _E:
        """Take one word of a closed vocabulary; without a default the key must be there."""
        stand_in = next(iter(kind)) if default is None else default
        node = self.node(key, required=default is None)
        return stand_in if node is None else self._word(key, node, kind, stand_in)

    def words(self, key: str, kind: type[_E]) -> tuple[_E, ...] | None:
        """Take a list of words; None when absent."""
        node = self.node(key)
        if node is None:
            return None
        if not isinstance(node, Items):
            self.mistake(f"{key!r} must be a list", node.place)
            return ()
        stand_in = next(iter(kind))
        return tuple(self._word(key, item, kind, stand_in) for item in node.items)

    def _word(self, key: str, node: Node, kind: type[_E], stand_in: _E) -> _E:
        raw = node.raw if isinstance(node, Scalar) else "a structure"
        for member in kind:
            if member.value == raw:
                return member
        known = ", ".join(str(member.value) for member in kind)
        self.mistake(f"{key!r} must be one of {known}, not {raw!r}", node.place)
        return stand_in

    def texts(self, key: str, *, required: bool = False) -> tuple[str, ...]:
        """Take a list of texts; empty when absent."""
        node = self.node(key, required=required)
        if node is None:
            return ()
        if isinstance(node, Items) and all(isinstance(item, Scalar) and item.raw.strip() for item in node.items):
            if required and not node.items:
                self.mistake(f"{key!r} may not be empty", node.place)
            return tuple(item.raw.strip() for item in node.items if isinstance(item, Scalar))
        self.mistake(f"{key!r} must be a list of texts", node.place)
        return ()

    def list(self, key: str, *, required: bool = False) -> tuple[Node, ...]:
        """Take a list of anything; empty when absent."""
        node = self.node(key, required=required)
        if node is None:
            return ()
        if isinstance(node, Items):
            if required and not node.items:
                self.mistake(f"{key!r} may not be empty", node.place)
            return node.items
        self.mistake(f"{key!r} must be a list", node.place)
        return ()

    def mapping(self, key: str) -> Mapping[str, Node]:
        """Take a mapping of anything; empty when absent."""
        node = self.node(key)
        if node is None:
            return {}
        if isinstance(node, Entries):
            return node.entries
        self.mistake(f"{key!r} must be a mapping", node.place)
        return {}

    def inner(self, key: str, what: str) -> Fields | None:
        """Take a mapping as fields of its own; None when absent."""
        node = self.node(key)
        return None if node is None else Fields(node, f"{self.what}: {what}", self.mistakes)

    def names(self, key: str, *, without: Collection[ValueKind] = ()) -> dict[str, ValueType]:
        """Take a mapping from attribute or input names to types."""
        return {name: self.type_of(name, node, without=without) for name, node in self.mapping(key).items()}

    def type_of(self, name: str, node: Node, *, without: Collection[ValueKind] = ()) -> ValueType:
        """Read a type, `enum[A,B]` or the word of a `ValueKind`, `without` those that are none here."""
        if not _NAME.fullmatch(name):
            self.mistake(f"{name!r} is not a name (small letters, digits, underscores)", node.place)
        raw = node.raw.strip() if isinstance(node, Scalar) else ""
        enumeration = _ENUM.fullmatch(raw)
        if enumeration:
            return self._enumeration(name, enumeration[1], node.place)
        for kind in ValueKind:
            if kind.value == raw and kind is not ValueKind.ENUM and kind not in without:
                return ValueType(kind=kind)
        self.mistake(f"{name!r} has an unknown type", node.place)
        return ValueType(kind=ValueKind.STRING)

    def _enumeration(self, name: str, inside: str, place: Place) -> ValueType:
        words = tuple(word.strip() for word in inside.split(","))
        if len(set(words)) != len(words) or not all(_WORD.fullmatch(word) for word in words):
            self.mistake(f"{name!r}: the words of an enumeration are distinct and in capitals", place)
        return ValueType(kind=ValueKind.ENUM, words=words)

    def done(self) -> None:
        """Note every key that nobody read."""
        for key in self._unread:
            self.mistake(f"unknown key {key!r}", self.place_of(key))
        self._unread = {}
