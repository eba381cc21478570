"""Reads the chain of lists (nation, province, city) into one catalogue, or reports every mistake at once."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from gateway.catalogue.fields import Fields
from gateway.catalogue.inheritance import looser_fact_type, looser_item, looser_matter
from gateway.catalogue.mistakes import Mistakes, Place
from gateway.catalogue.model import Catalogue, FactType, Item, Matter, Region, RegionalList
from gateway.catalogue.nodes import Entries, Items, Node, Scalar, overlay, plain, read_nodes
from gateway.catalogue.readers import read_fact_type, read_item, read_matter
from gateway.catalogue.words import Level

_DIVISION = re.compile(r"\d{6}")
_LEVELS = tuple(Level)
_DATA = Path(__file__).parent / "data"

_T = TypeVar("_T", FactType, Item, Matter)


def shipped_catalogue_files() -> list[Path]:
    """Return the files that are shipped: the national list, Heilongjiang's, and an example city's."""
    return [_DATA / name for name in ("nation.yaml", "heilongjiang.yaml", "harbin.yaml")]


def load_catalogue(paths: Sequence[Path]) -> Catalogue:
    """Read the files (one chain, in any order) and return the catalogue in force.

    Raises:
        CatalogueError: anything is wrong with any file; every mistake is listed with file and line.
    """
    mistakes = Mistakes()
    nodes = [node for path in paths if (node := read_nodes(path, mistakes)) is not None]
    files = _chain([_File.read(node, mistakes) for node in nodes], mistakes)
    merging = _Merging(mistakes=mistakes)
    for file in files:
        merging.take(file)
    if not paths:
        mistakes.add(Place(file="(none)", line=0), "no catalogue file is configured")
    mistakes.raise_any()
    return merging.catalogue([file.head for file in files])


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    """One file: its head, and its declarations not yet read."""

    head: RegionalList
    place: Place
    adopts: tuple[str, ...] | None
    adopts_place: Place
    region: Region
    region_data: Node | None
    fact_types: tuple[Node, ...]
    items: tuple[Node, ...]
    matters: tuple[Node, ...]

    @classmethod
    def read(cls, node: Entries, mistakes: Mistakes) -> _File:
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
        for key in ("code", "parent"):
            if getattr(head, key) and not _DIVISION.fullmatch(getattr(head, key)):
                fields.mistake(f"{key!r} is a six-digit division", fields.place_of(key))
        region_data = node.entries.get("region")
        file = cls(
            head=head,
            place=node.place,
            adopts=_adopts(fields, required=level is not Level.NATION),
            adopts_place=fields.place_of("adopts"),
            region=_region(fields),
            region_data=region_data,
            fact_types=fields.list("fact_types"),
            items=fields.list("items"),
            matters=fields.list("matters"),
        )
        fields.done()
        return file


def _adopts(fields: Fields, *, required: bool) -> tuple[str, ...] | None:
    """Return the adopted codes, or None for `all`."""
    node = fields.node("adopts", required=required)
    if node is None or (isinstance(node, Scalar) and node.raw == "all"):
        return None
    if isinstance(node, Items) and all(isinstance(one, Scalar) for one in node.items):
        return tuple(one.raw for one in node.items if isinstance(one, Scalar))
    fields.mistake("'adopts' is 'all' or a list of item codes", node.place)
    return None


def _region(fields: Fields) -> Region:
    inner = fields.inner("region", "region")
    if inner is None:
        return Region()
    region = Region(
        name=inner.text("name"),
        credit_platform=inner.text("credit_platform", required=False),
        credit_site=inner.text("credit_site", required=False),
        publication_basis=inner.text("publication_basis", required=False),
    )
    inner.done()
    return region


def _chain(files: Sequence[_File], mistakes: Mistakes) -> list[_File]:
    """Order the files from the nation downwards; each names the one above it as its parent."""
    ordered = sorted(files, key=lambda file: _LEVELS.index(file.head.level))
    above: _File | None = None
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


@dataclass(slots=True, kw_only=True)
class _Merging:
    """Lays each list over the ones above it."""

    mistakes: Mistakes
    fact_types: dict[str, FactType] = field(default_factory=dict)
    items: dict[str, Item] = field(default_factory=dict)
    matters: dict[str, Matter] = field(default_factory=dict)
    region: Region = field(default_factory=Region)
    nodes: dict[tuple[str, str], Node] = field(default_factory=dict)
    """The merged data by section and code; the version is their digest."""

    def take(self, file: _File) -> None:
        """Lay one file over what is there."""
        mistakes = self.mistakes
        self._check_adopted(file)
        if file.region_data is not None:
            self.region = file.region
            self.nodes["region", ""] = file.region_data
        self._section(
            "fact type", file.fact_types, self.fact_types, lambda n, _: read_fact_type(n, mistakes), looser_fact_type
        )
        self._section(
            "item",
            file.items,
            self.items,
            lambda n, was: read_item(n, was.list_code if was else file.head.code, self.fact_types, mistakes),
            looser_item,
        )
        self._section(
            "matter",
            file.matters,
            self.matters,
            lambda n, was: read_matter(n, was.list_code if was else file.head.code, self.items, mistakes),
            looser_matter,
        )

    def _check_adopted(self, file: _File) -> None:
        if file.adopts is None:
            return
        for code in sorted(self.items.keys() - set(file.adopts)):
            self.mistakes.add(file.adopts_place, f"file: 'adopts' drops item {code!r} of the list above")
        for code in sorted(set(file.adopts) - self.items.keys()):
            self.mistakes.add(file.adopts_place, f"file: 'adopts' names {code!r}, which the list above does not have")

    def _section(
        self,
        section: str,
        nodes: Sequence[Node],
        known: dict[str, _T],
        read: Callable[[Node, _T | None], _T],
        looser: Callable[[_T, _T], Iterator[str]],
    ) -> None:
        here: set[str] = set()
        for node in nodes:
            code = _code_of(node)
            if code in here:
                self.mistakes.add(node.place, f"{section} {code!r} is there twice")
                continue
            here.add(code)
            was = known.get(code)
            merged = overlay(self.nodes[section, code], node) if was is not None else node
            now = read(merged, was)
            for text in looser(was, now) if was is not None else ():
                self.mistakes.add(node.place, f"{section} {code!r} is looser than in the list above: {text}")
            if code:
                known[code] = now
                self.nodes[section, code] = merged

    def catalogue(self, lists: Sequence[RegionalList]) -> Catalogue:
        """Return the catalogue; only called when there are no mistakes."""
        ordered = dict(sorted(self.items.items(), key=lambda pair: (pair[1].number or 10_000, pair[0])))
        return Catalogue(
            version=self._digest(lists),
            lists=tuple(lists),
            region=self.region,
            fact_types=self.fact_types,
            items=ordered,
            matters=self.matters,
        )

    def _digest(self, lists: Sequence[RegionalList]) -> str:
        body = {
            "lists": [[one.level.value, one.code, one.version, one.title, one.parent] for one in lists],
            "declarations": {f"{section}/{code}": plain(node) for (section, code), node in self.nodes.items()},
        }
        canonical = json.dumps(body, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()


def _code_of(node: Node) -> str:
    code = node.entries.get("code") if isinstance(node, Entries) else None
    return code.raw.strip() if isinstance(code, Scalar) else ""
