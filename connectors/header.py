"""Write the headers of a request: what a claim or a caller says reaches no header but in a form that it can carry."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from urllib.parse import quote

from connectors.connector import Value
from connectors.stanza import Stanza
from connectors.template import check, fill, placeholders

ENCODINGS = ("percent", "utf-8")
"""How a value that is not ASCII is written: percent-encoded UTF-8, or its bytes as they are."""
_OURS = frozenset({"secret", "request", "session", "signature"})
"""The spaces whose values are ours, and written as they are."""
_PRINTABLE = "".join(map(chr, range(0x21, 0x7F)))
_UNENCODED = _PRINTABLE.replace("%", "")
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")


class Unsendable(ValueError):
    """A value cannot stand in a header; the text names the condition, never the value."""


def headers_of(
    templates: Mapping[str, str], spaces: Mapping[str, Mapping[str, Value]], *, encoding: str
) -> dict[str, bytes]:
    """Fill the headers of a request.

    Raises:
        Unsendable: a value holds what no header carries: control characters, or what is no Unicode.
        MissingAttribute: the claim lacks a value that the request needs.
    """
    filled = fill(templates, _written(templates, spaces, encoding))
    assert isinstance(filled, dict)
    return {name: _bytes(str(value)) for name, value in filled.items()}


def _written(
    templates: Mapping[str, str], spaces: Mapping[str, Mapping[str, Value]], encoding: str
) -> Mapping[str, Mapping[str, Value]]:
    """Give the values that the templates name, those that are not ours in the form in which they are sent."""
    used: dict[str, dict[str, Value]] = {}
    for space, name in placeholders(templates):
        if name in spaces[space]:
            value = spaces[space][name]
            is_plain = space in _OURS or encoding != "percent" or not isinstance(value, str)
            used.setdefault(space, {})[name] = value if is_plain else _percent(str(value))
    return used


def _percent(value: str) -> str:
    if _CONTROL.search(value):
        raise Unsendable("a control character in a header")
    try:
        return quote(value, safe=_UNENCODED)
    except UnicodeEncodeError:
        raise Unsendable("a header that is no Unicode") from None


def _bytes(value: str) -> bytes:
    if _CONTROL.search(value) or value != value.strip(" "):
        raise Unsendable("a control character, or a blank at an end, in a header")
    try:
        return value.encode()
    except UnicodeEncodeError:
        raise Unsendable("a header that is no Unicode") from None


def read_headers(
    part: Stanza, secrets: Mapping[str, str], encoding: str, known: Mapping[str, Collection[str]]
) -> dict[str, str]:
    """Read `headers`, templates by name; every one can be sent, whatever its placeholders stand for."""
    templates = part.mapping("headers")
    check(part, "headers", templates, known)
    for name, template in templates.items():
        if not _NAME.fullmatch(name):
            part.mistake(f"headers.{name}", "is no name of a header")
        used = [secrets.get(key, "") for space, key in placeholders(template) if space == "secret"]
        for said, what in ((template, "the text"), *((secret, "a secret") for secret in used)):
            if not (said.isascii() or encoding == "utf-8") or _CONTROL.search(said):
                part.mistake(f"headers.{name}", f"{what} has characters that no header carries")
    return templates
