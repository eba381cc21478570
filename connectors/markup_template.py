"""Fill the placeholders of a request that is XML: a value is only ever a text or the value of an attribute.

The template is a document of its own, and stays byte for byte what the department gave: servers are particular about
prefixes. Where its placeholders stand is looked at once, when the stanza is read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from xml.parsers import expat
from xml.sax.saxutils import escape

from connectors.connector import Value
from connectors.header import Unsendable
from connectors.markup import charset_of, codec_of
from connectors.stanza import Stanza
from connectors.template import PLACEHOLDER, filled, within_structure

_QUOTES = {'"': "&quot;", "'": "&apos;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"}
"""Blanks as well: of an attribute, and at ends of lines, parsers make others of them."""
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What no XML 1.0 document may hold, escaped or not."""


class _Misplaced(ValueError):
    """The template cannot be filled safely; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkupTemplate:
    """A request body that is XML."""

    text: str
    charset: str

    def fill(self, spaces: Mapping[str, Mapping[str, Value]]) -> str:
        """Write the document with its placeholders filled.

        Raises:
            MissingAttribute: the claim lacks a value that the request needs.
            Unsendable: a value holds what no XML holds.
        """
        return filled(self.text, spaces, written)

    def encode(self, document: str) -> bytes:
        """Write a filled document in the character set that it declares; other characters by their numbers."""
        try:
            return document.encode(_codec(self.charset), "xmlcharrefreplace")
        except UnicodeEncodeError:  # half a character, which has no number
            raise Unsendable("a text that is no Unicode") from None

    @property
    def media(self) -> str:
        """The Content-Type of the document."""
        return f"text/xml; charset={self.charset}"


def written(value: Value) -> str:
    """Write a value so that a reader of XML finds just that, in a text and in an attribute.

    Raises:
        Unsendable: it holds what no XML holds.
    """
    said = (
        str(value).lower() if isinstance(value, bool) else value.isoformat() if isinstance(value, date) else str(value)
    )
    if _FORBIDDEN.search(said):
        raise Unsendable("a character that no XML holds")
    return escape(said, _QUOTES)


def _codec(charset: str) -> str:
    """Give the codec to write in: GBK where that is declared, for not all who declare it read GB 18030."""
    codec = codec_of(charset) or "utf-8"
    return "gbk" if codec == "gb18030" and charset != "gb18030" else codec


def read_markup(part: Stanza, key: str) -> MarkupTemplate:
    """Read a template; note a mistake where it is no document, or has a placeholder where no value can stand."""
    text = part.text(key).strip()
    charset = charset_of(text.encode("utf-8", "replace"))
    if codec_of(charset) is None:
        part.mistake(key, "declares another character set than UTF-8, GBK or GB 18030")
    try:
        _require_sound(text)
    except _Misplaced as error:
        part.mistake(key, str(error))
    return MarkupTemplate(text=text, charset=charset)


class _Places:
    """Follows a template through the parser and counts the placeholders that stand where values can."""

    def __init__(self) -> None:
        self.found = 0
        self._text: list[str] = []
        self._is_data = False
        self._data: list[str] = []

    def follow(self, text: str) -> None:
        parser = expat.ParserCreate("utf-8")
        parser.StartDoctypeDeclHandler = self._refuse_type
        parser.StartElementHandler = self._begin
        parser.EndElementHandler = lambda _name: self._end_of_text()
        parser.CharacterDataHandler = self._say
        parser.CommentHandler = self._refuse_placeholder
        parser.ProcessingInstructionHandler = self._refuse_placeholder
        parser.StartCdataSectionHandler = self._begin_data
        parser.EndCdataSectionHandler = self._end_data
        try:
            parser.Parse(text.encode(), True)
        except (expat.ExpatError, UnicodeEncodeError):
            raise _Misplaced("is no XML document") from None

    def _refuse_type(self, *_: object) -> None:
        raise _Misplaced("has a document type (DOCTYPE), which nobody needs who asks")

    def _refuse_placeholder(self, *said: str) -> None:
        if PLACEHOLDER.search(" ".join(said)):
            raise _Misplaced("has a placeholder elsewhere than in texts, attributes and CDATA")

    def _begin(self, _name: str, attributes: dict[str, str]) -> None:
        self._end_of_text()
        for held in attributes.values():
            self._count(held)

    def _say(self, said: str) -> None:
        (self._data if self._is_data else self._text).append(said)

    def _begin_data(self) -> None:
        self._is_data = True

    def _end_data(self) -> None:
        held, self._data, self._is_data = "".join(self._data), [], False
        if PLACEHOLDER.search(held):
            if not held.lstrip().startswith("<"):
                raise _Misplaced(
                    "has a placeholder in CDATA that is no XML document: put what stands there under `inner`"
                )
            self.found += _require_sound(held.strip())

    def _end_of_text(self) -> None:
        self._count("".join(self._text))
        self._text.clear()

    def _count(self, held: str) -> None:
        count = len(PLACEHOLDER.findall(held))
        if within_structure(held):
            raise _Misplaced(
                "has a placeholder in a document that is written as a text: put that under `inner`, or XML in CDATA"
            )
        self.found += count


def _require_sound(text: str) -> int:
    """Require a document whose placeholders all stand where values can; returns how many there are."""
    places = _Places()
    places.follow(text)
    count = len(PLACEHOLDER.findall(text))
    if places.found != count:
        raise _Misplaced("has a placeholder elsewhere than in texts, attributes and CDATA")
    return count
