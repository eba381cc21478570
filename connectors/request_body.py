"""What a request carries: a JSON tree, a form, parameters or an XML document, and documents within these as texts.

A document that is sent within another is filled by itself, written as a text and only then put in its place, so that
each is escaped for its own reader, once.
"""

from __future__ import annotations

import base64
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import orjson

from connectors.connector import Value
from connectors.header import Unsendable
from connectors.markup_template import MarkupTemplate, read_markup
from connectors.stanza import Stanza
from connectors.template import Tree, check, check_texts, fill, placeholders
from connectors.wrapped import CODINGS

_TREES = ("params", "json", "form")
_INNER = ("xml", "json", "form")
_Spaces = Mapping[str, Mapping[str, Value]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    """A document that is sent as a text: its template, and how it is written."""

    template: MarkupTemplate | object
    coding: str
    is_form: bool = False

    def write(self, spaces: _Spaces) -> str:
        """Write the document; raises as `Body.write_inner`."""
        if isinstance(self.template, MarkupTemplate):
            said = self.template.fill(spaces)
            octets = self.template.encode(said) if self.coding == "base64" else b""
        else:
            tree = fill(self.template, spaces)
            octets = _form(tree) if self.is_form else _json(tree)
            said = octets.decode()
        return base64.b64encode(octets).decode() if self.coding == "base64" else said


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """What a request carries, with placeholders; `sent` are those whose values leave, within other documents too."""

    trees: Mapping[str, object]
    markup: MarkupTemplate | None
    inner: Mapping[str, Inner]
    sent: frozenset[tuple[str, str]]

    @property
    def media(self) -> str:
        """The Content-Type that the body needs said; empty where it is said by itself."""
        return self.markup.media if self.markup is not None else ""

    def read_method(self, part: Stanza) -> str:
        """Read by which method it is sent."""
        method = part.choice("method", ["POST", "GET"], "POST")
        if method == "GET" and self.markup is not None:
            part.mistake("xml", "is a body, which a GET does not have")
        return method

    def with_media(self, headers: Mapping[str, str]) -> Mapping[str, str]:
        """Add the Content-Type to headers that do not say it."""
        is_said = not self.media or any(name.lower() == "content-type" for name in headers)
        return headers if is_said else {**headers, "Content-Type": self.media}

    def write_inner(self, spaces: _Spaces) -> dict[str, str]:
        """Write the documents within, which the space `inner` has for `fill`.

        Raises:
            MissingAttribute: the claim lacks a value that the request needs.
            Unsendable: a value cannot stand in such a document.
        """
        return {name: inner.write(spaces) for name, inner in self.inner.items()}

    def fill(self, spaces: _Spaces) -> dict[str, Any]:
        """Fill it; gives what `WebClient.send` takes. Raises as `write_inner`."""
        body: dict[str, Any] = {key: fill(tree, spaces) for key, tree in self.trees.items()}
        if "form" in body:
            body["data"] = body.pop("form")
        if self.markup is not None:
            body["content"] = self.markup.encode(self.markup.fill(spaces))
        return body


def _json(tree: Tree) -> bytes:
    try:
        return orjson.dumps(tree)
    except (orjson.JSONEncodeError, UnicodeEncodeError):
        raise Unsendable("a value that no JSON holds") from None


def _form(tree: Tree) -> bytes:
    try:
        return urlencode(tree if isinstance(tree, dict) else {}).encode()
    except UnicodeEncodeError:
        raise Unsendable("a value that no form holds") from None


def read_body(part: Stanza, known: Mapping[str, Collection[str]]) -> Body:
    """Read what a request carries: at most one body, and parameters; every placeholder can be filled."""
    within = {space: names for space, names in known.items() if space != "signature"}  # these may sign it
    inner = {name: _read_inner(table, within) for name, table in _tables(part, "inner").items()}
    known = {**known, "inner": inner}
    trees = {key: part.anything(key) for key in _TREES if key in part}
    for key, tree in trees.items():
        check(part, key, tree, known)
        check_texts(part, key, tree)
    markup = read_markup(part, "xml") if "xml" in part else None
    if markup is not None:
        check(part, "xml", markup.text, known)
    bodies = [key for key in ("json", "form", "xml") if key in part]
    if len(bodies) > 1:
        part.mistake(bodies[-1], f"is a second body beside `{bodies[0]}`: a request has one")
    sent = placeholders(trees) | placeholders("" if markup is None else markup.text)
    used = {name for space, name in sent if space == "inner"}
    for name in sorted(inner.keys() - used):
        part.mistake(f"inner.{name}", f"is sent nowhere: no {{inner.{name}}} stands in the body")
    for one in (inner[name] for name in used & inner.keys()):
        sent |= placeholders(one.template.text if isinstance(one.template, MarkupTemplate) else one.template)
    return Body(trees=trees, markup=markup, inner=inner, sent=frozenset(sent))


def _tables(part: Stanza, key: str) -> dict[str, Stanza]:
    return part.tables(key) if key in part else {}


def _read_inner(part: Stanza, known: Mapping[str, Collection[str]]) -> Inner:
    coding = part.choice("coding", CODINGS, CODINGS[0])
    given = [key for key in _INNER if key in part]
    if len(given) != 1:
        part.mistake("xml", f"give one of {', '.join(f'`{key}`' for key in _INNER)}")
    key = given[0] if given else "json"
    template: MarkupTemplate | object = read_markup(part, "xml") if key == "xml" else part.anything(key)
    if key == "form" and not isinstance(template, Mapping):
        part.mistake("form", "must be a table")
    tree = template.text if isinstance(template, MarkupTemplate) else template
    check(part, key, tree, known)
    if key != "xml":
        check_texts(part, key, tree)
    return Inner(template=template, coding=coding, is_form=key == "form")
