"""Read an answer that is XML into the form of JSON, by a rule that leaves nothing open: pure.

One language (JMESPath) then reads both. An element of text is that text, without blanks at its ends; an empty one is
`""`, and one with `xsi:nil` null. An element of elements is an object of them by their names, without namespaces; of a
name that comes more than once the value is a list. Attributes stand beside them as `"@name"`, the text then as
`"#text"`; attributes of a namespace (`xsi:type`, `xml:lang`) are about the notation and left out.
"""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from xml.parsers import expat

from connectors.compare import Unreadable

_DECLARATION = re.compile(
    rb"""<\?xml\s+version\s*=\s*["']1\.\d["'](?:\s+encoding\s*=\s*["']([A-Za-z][\w.-]*)["'])?""", re.ASCII
)
_UTF8 = ("utf-8", "utf8")
_GB = ("gbk", "gb2312", "gb18030", "gb_2312-80", "cp936", "x-gbk", "euc-cn")
"""Names under which systems write GBK; GB 18030 is read, of which all are parts."""
_LATIN = ("us-ascii", "ascii", "iso-8859-1", "latin1", "windows-1252")
"""Declared by systems that never thought of it; taken where only ASCII came."""
_BLANKS = " \t\r\n"
_NIL = "http://www.w3.org/2001/XMLSchema-instance nil"
_TRUE = ("true", "1")
DEEPEST = 64
"""Elements in elements; more is no record of anybody."""

Element = None | str | dict[str, "Element"] | list["Element"]


class _Open:
    """An element that has begun: what came of it so far."""

    __slots__ = ("attributes", "children", "is_nil", "name", "text")

    def __init__(self, name: str, attributes: dict[str, str]) -> None:
        self.name = name
        self.is_nil = attributes.get(_NIL, "").strip(_BLANKS) in _TRUE
        self.attributes: dict[str, Element] = {f"@{key}": held for key, held in attributes.items() if " " not in key}
        self.children: dict[str, list[Element]] = {}
        self.text: list[str] = []

    def value(self) -> Element:
        said = "".join(self.text).strip(_BLANKS)
        if self.is_nil:
            if said or self.children:
                raise Unreadable("an element that is said to be null, and holds something")
            return None
        if self.children:
            if said:
                raise Unreadable("an element that holds a text beside elements")
            return self.attributes | {name: held[0] if len(held) == 1 else held for name, held in self.children.items()}
        return self.attributes | {"#text": said} if self.attributes else said


class _Reading:
    """Builds the value of a document from the parser's events."""

    def __init__(self) -> None:
        self._open = [_Open("", {})]

    def parse(self, octets: bytes) -> Element:
        parser = expat.ParserCreate("utf-8", " ")  # whatever is declared: the text was decoded before
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = self._refuse_type
        parser.StartElementHandler = self._begin
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._say
        try:
            parser.Parse(octets, True)
        except expat.ExpatError as error:
            raise Unreadable(
                f"an answer that is not XML (line {error.lineno}: {expat.ErrorString(error.code)})"
            ) from None
        return self._open[0].value()

    def _refuse_type(self, *_: object) -> None:
        """Refuse a document type: what it declares could stand for anything, from anywhere, at any length."""
        raise Unreadable("an answer with a document type (DOCTYPE)")

    def _begin(self, name: str, attributes: dict[str, str]) -> None:
        if len(self._open) > DEEPEST:
            raise Unreadable(f"an answer of more than {DEEPEST} elements in each other")
        self._open.append(_Open(name.rpartition(" ")[2], attributes))

    def _end(self, _name: str) -> None:
        ended = self._open.pop()
        self._open[-1].children.setdefault(ended.name, []).append(ended.value())

    def _say(self, said: str) -> None:
        self._open[-1].text.append(said)


def read_xml(octets: bytes) -> Element:
    """Read an XML answer, in UTF-8 or, if it declares that, in GBK or GB 18030; gives an object of its one element.

    Raises:
        Unreadable: it is not well-formed, has a document type, is in another character set, or is built so that its
            form is not clear. The text names the condition, never a value.
    """
    if not octets:
        raise Unreadable("an empty answer")
    return _Reading().parse(_decoded(octets).encode())


def read_xml_text(text: str) -> Element:
    """Read an XML document that came as a text within another answer; whatever it declares, it is no octets any more.

    Raises:
        Unreadable: as of `read_xml`.
    """
    try:
        return _Reading().parse(text.strip(_BLANKS).encode())
    except UnicodeEncodeError:
        raise Unreadable("a text that is no Unicode") from None


def charset_of(octets: bytes) -> str:
    """Give the character set that a document declares, in small letters; UTF-8 where it declares none."""
    declared = _DECLARATION.match(octets)
    return (declared[1] or b"utf-8").decode("ascii").lower() if declared else "utf-8"


def codec_of(charset: str) -> str | None:
    """Give the codec for a character set that documents may have here, or None."""
    if charset in _UTF8:
        return "utf-8"
    return "gb18030" if charset in _GB else None


def _decoded(octets: bytes) -> str:
    charset = charset_of(octets.removeprefix(BOM_UTF8))
    codec = "ascii" if charset in _LATIN else codec_of(charset)
    if codec is None or (octets.startswith(BOM_UTF8) and codec != "utf-8"):
        raise Unreadable("an answer in another character set than UTF-8, GBK or GB 18030")
    try:
        return octets.removeprefix(BOM_UTF8).decode(codec)
    except UnicodeDecodeError:
        raise Unreadable(
            "an answer that is not in the character set that it declares (UTF-8, where it declares none)"
        ) from None
