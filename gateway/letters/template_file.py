"""Reads template files: every mistake of every file at once, each with file and line and the template's name."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gateway.catalogue.fields import Fields
from gateway.catalogue.mistakes import Mistake, Mistakes
from gateway.catalogue.nodes import Entries, Node, Scalar, overlay, read_nodes
from gateway.letters.parts import FACT, LIABILITY, NEEDED, PLACEHOLDERS, worded_names
from gateway.letters.template import Template
from gateway.letters.wording import Wording, WordingMalformed, parse_wording

_NAME = re.compile(r"(?P<id>[a-z][a-z0-9-]*)@(?P<version>[1-9][0-9]{0,5})")
_SECTIONS = ("title", "notice", "statement")
_HIGHEST_VERSION = 999_999


class TemplatesRefused(ValueError):
    """Template files are wrong; `mistakes` lists every mistake, sorted by file and line."""

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        count = "one mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
        super().__init__(f"{count} in the templates:\n" + "\n".join(f"  {m}" for m in mistakes))
        self.mistakes = tuple(mistakes)


@dataclass(slots=True)
class TemplateReader:
    """Reads files one after another; a template may extend one of an earlier file or of its own."""

    mistakes: Mistakes = field(default_factory=Mistakes)
    _nodes: dict[str, Node] = field(default_factory=dict)
    """The sections of each template, with what it extends already below them, by name."""

    def read(self, path: Path, *, shipped: bool) -> list[Template]:
        """Read one file; what is wrong with it goes to `mistakes`."""
        top = read_nodes(path, self.mistakes)
        if top is None:
            return []
        fields = Fields(top, "file", self.mistakes)
        entries = fields.list("templates", required=True)
        fields.done()
        read = (self._template(node, shipped) for node in entries)
        return [template for template in read if template is not None]

    def _template(self, node: Node, shipped: bool) -> Template | None:
        fields = Fields(node, "template", self.mistakes)
        code = fields.code("id")
        if not fields.has("version"):
            fields.mistake("'version' is missing")
        version = fields.integer("version", 1, low=1, high=_HIGHEST_VERSION)
        name = f"{code}@{version}"
        fields.what = f"template {name!r}"
        if name in self._nodes:
            fields.mistake("is there twice; a new wording needs a new version")
            return None
        items, matters = fields.texts("items"), fields.texts("matters")
        if matters and not items:
            fields.mistake("'matters' goes with 'items': a wording for an item in a matter", fields.place_of("matters"))
        merged = self._extended(fields, name, node)
        texts = self._texts(Fields(merged, fields.what, self.mistakes))
        title = texts.pop("title", "")
        wording = {where: self._wording(fields, where, text) for where, text in texts.items()}
        return Template(
            id=code,
            version=version,
            title=title,
            items=items,
            matters=matters,
            texts=texts,
            wording=wording,
            place=fields.place,
            shipped=shipped,
        )

    def _extended(self, fields: Fields, name: str, node: Node) -> Node:
        """Lay the sections of a template over those of the one it extends, and keep them for others to extend."""
        sections = {key: found for key in _SECTIONS if (found := fields.node(key)) is not None}
        above = fields.text("extends", required=False)
        fields.done()
        own: Node = Entries(place=node.place, entries=sections, keys={})
        if above:
            below = self._nodes.get(above)
            if below is None:
                known = ", ".join(sorted(self._nodes)) or "none yet"
                what = "is no template read before" if _NAME.fullmatch(above) else "is not of the form NAME@VERSION"
                fields.mistake(f"'extends' {above!r} {what}; there are {known}")
            else:
                own = overlay(below, own)
        self._nodes[name] = own
        return own

    def _texts(self, fields: Fields) -> dict[str, str]:
        texts = {"title": fields.text("title")}
        for section in ("notice", "statement"):
            node = fields.node(section)
            texts.update(self._flat(fields, section, node) if node is not None else ())
        known = worded_names()
        for name in texts.keys() - known.keys() - {"title"}:
            fields.mistake(f"has a part {name!r}, which no notice and no statement has")
        return texts

    def _flat(self, fields: Fields, name: str, node: Node) -> Iterator[tuple[str, str]]:
        match node:
            case Entries():
                for key, inner in node.entries.items():
                    yield from self._flat(fields, f"{name}.{key}", inner)
            case Scalar() if node.kind != "null" and node.raw.strip():
                yield name, node.raw.strip()
            case Scalar():
                return  # an empty part is one that is lacking
            case _:
                fields.mistake(f"{name} must be a text", node.place)

    def _wording(self, fields: Fields, where: str, text: str) -> Wording:
        try:
            wording = parse_wording(text)
        except WordingMalformed as error:
            fields.mistake(f"{where}: {error}")
            return Wording(())
        needed = NEEDED.get(where)
        if needed is not None and needed not in wording.placeholders:
            fields.mistake(f"{where} must have {{{needed}}}, {PLACEHOLDERS[needed]}")
        for name in sorted(wording.placeholders):
            if name.startswith(FACT) and where.startswith(f"notice.{LIABILITY}"):
                fields.mistake(f"{where} has {{{name}}}: it is reported to the credit platform, which learns no facts")
            elif name not in PLACEHOLDERS and not (name.startswith(FACT) and name != FACT):
                known = ", ".join(PLACEHOLDERS)
                fields.mistake(f"{where} has an unknown placeholder {{{name}}}; known are {known}, {FACT}NAME")
        return wording


def template_files() -> list[Path]:
    """Return the shipped files, the general one first: the others extend it."""
    folder = Path(__file__).parent / "data" / "templates"
    return [folder / "general.yaml", *sorted(path for path in folder.glob("*.yaml") if path.name != "general.yaml")]
