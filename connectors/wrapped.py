"""Open what a service puts into its answer as a text: an XML or JSON document within an element or a value.

What is opened takes the text's place, so that every path of a stanza begins at the whole answer, whatever came.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from connectors.compare import Unreadable, is_empty
from connectors.markup import read_xml, read_xml_text
from connectors.signs import read_json
from connectors.stanza import Stanza

CODINGS = ("text", "base64")
FORMATS = ("json", "xml")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrapped:
    """Where a document stands in an answer as a text, name by name, and how it is written there."""

    at: tuple[str, ...]
    format: str
    coding: str

    def open(self, answer: object) -> object:
        """Put the document in the place of its text; an answer that has nothing there stays as it is.

        Raises:
            Unreadable: what stands there is no text, or not such a document.
        """
        *way, last = self.at
        place = answer
        for name in way:
            place = place.get(name) if isinstance(place, dict) else None
        if not isinstance(place, dict) or is_empty(held := place.get(last)):
            return answer
        try:
            place[last] = self._read(held)
        except Unreadable as error:
            raise Unreadable(f"`unwrap` {'.'.join(self.at)}: {error}") from None
        return answer

    def _read(self, held: object) -> object:
        if not isinstance(held, str):
            raise Unreadable("finds no text")
        if self.coding == "text":
            return read_xml_text(held) if self.format == "xml" else read_json(held.encode())
        try:
            octets = base64.b64decode("".join(held.split()), validate=True)
        except (binascii.Error, ValueError):
            raise Unreadable("finds a text that is not base64") from None
        return read_xml(octets) if self.format == "xml" else read_json(octets)


def read_wrapped(part: Stanza, key: str) -> tuple[Wrapped, ...]:
    """Read where documents stand within answers, the outer ones first."""
    return tuple(_read_one(one) for one in part.listed(key))


def _read_one(part: Stanza) -> Wrapped:
    at = tuple(part.text("at").split("."))
    if not all(at):
        part.mistake("at", "must be names, with dots between them")
    return Wrapped(
        at=at, format=part.choice("format", FORMATS, FORMATS[0]), coding=part.choice("coding", CODINGS, CODINGS[0])
    )


def reader(format_: str, wrapped: Sequence[Wrapped]) -> Callable[[bytes], Any]:
    """Make what reads an answer of a format, and opens what is wrapped in it."""
    read_outer: Callable[[bytes], Any] = read_xml if format_ == "xml" else read_json

    def read(octets: bytes) -> Any:
        answer = read_outer(octets)
        for one in wrapped:
            answer = one.open(answer)
        return answer

    return read
