"""One file of the chain: its head read, its declarations still as nodes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.catalogue.fields import Fields
from gateway.catalogue.mistakes import Mistakes, Place
from gateway.catalogue.model import Region, RegionalList
from gateway.catalogue.nodes import Entries, Items, Node, Scalar
from gateway.catalogue.words import Level

_DIVISION = re.compile(r"\d{6}")
_LEVELS = tuple(Level)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListFile:
    """One file: its head, and its declarations not yet read. `adopts` is None for `all`."""

    head: RegionalList
    place: Place
    adopts: tuple[str, ...] | None
    adopts_place: Place
    region: Node | None
    fact_types: tuple[Node, ...]
    items: tuple[Node, ...]
    matters: tuple[Node, ...]


def read_list_file(node: Entries, mistakes: Mistakes) -> ListFile:
    """Read the head of a file."""
    fields = Fields(node, "file", mistakes)
    level = fields.word("level", Level)
    head = RegionalList(
        level=level,
        code=fields.text("code"),
        version=fields.text("version"),
        title=fields.text("title"),
        parent=fields.text("parent", required=level is not Level.NATION),
    )
    fields.what = f"file {head.title}".rstrip()
    for key in ("code", "parent"):
        if getattr(head, key) and not _DIVISION.fullmatch(getattr(head, key)):
            fields.mistake(f"{key!r} is a six-digit division", fields.place_of(key))
    if level is Level.NATION and head.parent:
        fields.mistake("a national list has no 'parent'", fields.place_of("parent"))
    file = ListFile(
        head=head,
        place=node.place,
        adopts_place=fields.place_of("adopts"),
        adopts=_adopts(fields, required=level is not Level.NATION),
        region=fields.node("region"),
        fact_types=fields.list("fact_types"),
        items=fields.list("items"),
        matters=fields.list("matters"),
    )
    fields.done()
    return file


def _adopts(fields: Fields, *, required: bool) -> tuple[str, ...] | None:
    node = fields.node("adopts", required=required)
    if node is None or (isinstance(node, Scalar) and node.raw == "all"):
        return None
    if isinstance(node, Items) and all(isinstance(one, Scalar) for one in node.items):
        return tuple(one.raw for one in node.items if isinstance(one, Scalar))
    fields.mistake("'adopts' is 'all' or a list of item codes", node.place)
    return None


def read_region(node: Node, mistakes: Mistakes) -> Region:
    """Read what a region sets for itself."""
    fields = Fields(node, "region", mistakes)
    region = Region(
        name=fields.text("name"),
        credit_platform=fields.text("credit_platform", required=False),
        credit_site=fields.text("credit_site", required=False),
        publication_basis=fields.text("publication_basis", required=False),
    )
    fields.done()
    return region


def in_chain(files: Sequence[ListFile], mistakes: Mistakes) -> list[ListFile]:
    """Order the files from the nation downwards; each names the one above it as its parent."""
    ordered = sorted(files, key=lambda file: _LEVELS.index(file.head.level))
    above: ListFile | None = None
    for file in ordered:
        if above is None:
            if file.head.level is not Level.NATION:
                mistakes.add(file.place, "file: the chain must begin with a national list")
        elif file.head.level is above.head.level:
            mistakes.add(file.place, f"file: a second list of level {file.head.level.value}; the lists form one chain")
        elif file.head.parent != above.head.code:
            mistakes.add(file.place, f"file: 'parent' must be {above.head.code}, the list above")
        above = file
    return ordered
