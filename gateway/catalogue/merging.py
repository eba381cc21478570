"""Lays each list over the ones above it, and checks that it is not looser."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from gateway.catalogue.inheritance import compare_below, refusals
from gateway.catalogue.list_file import ListFile, read_region
from gateway.catalogue.matter_reader import read_matter
from gateway.catalogue.matter_strictness import compare_matters
from gateway.catalogue.mistakes import Mistakes
from gateway.catalogue.model import Catalogue, FactType, Item, Matter, Region, RegionalList
from gateway.catalogue.nodes import Entries, Node, Scalar, overlay, plain
from gateway.catalogue.readers import read_fact_type, read_item
from gateway.catalogue.strictness import Shift, compare_fact_types, exchanged_labels
from ledger.canonical import Json, canonical

_T = TypeVar("_T", FactType, Item, Matter)


@dataclass(slots=True, kw_only=True)
class Merging:
    """Takes one file after the other, from the nation downwards; everything wrong goes to `mistakes`."""

    mistakes: Mistakes
    _fact_types: dict[str, FactType] = field(default_factory=dict)
    _items: dict[str, Item] = field(default_factory=dict)
    _matters: dict[str, Matter] = field(default_factory=dict)
    _region: Region = field(default_factory=Region)
    _nodes: dict[tuple[str, str], Node] = field(default_factory=dict)
    """The merged data by section and code."""
    _list_codes: dict[tuple[str, str], str] = field(default_factory=dict)
    """The list that brought a declaration in."""
    _readings: dict[tuple[str, str], list[FactType | Item | Matter]] = field(default_factory=dict)
    """What each list made of a declaration, from the nation downwards."""

    def take(self, file: ListFile) -> None:
        """Lay one file over what is there."""
        self._check_adopted(file)
        if file.region is not None:
            above = self._nodes.get(("region", ""))
            merged = file.region if above is None else overlay(above, file.region)
            self._region = read_region(merged, self.mistakes)
            self._nodes["region", ""] = merged
        items_above = dict(self._items)
        self._section(
            section="fact type",
            file=file,
            nodes=file.fact_types,
            known=self._fact_types,
            read=self._read_fact_type,
            compare=compare_fact_types,
        )
        self._section(
            section="item",
            file=file,
            nodes=file.items,
            known=self._items,
            read=self._read_item,
            compare=compare_below,
        )
        self._section(
            section="matter",
            file=file,
            nodes=file.matters,
            known=self._matters,
            read=self._read_matter,
            compare=lambda was, now: compare_matters(was, now, items_above, self._items),
        )

    def finish(self) -> None:
        """Read every declaration once more against all the others: a list below may have changed what it refers to."""
        for code in self._items:
            self._items[code] = self._read_item(self._nodes["item", code], code)
        for code in self._matters:
            self._matters[code] = self._read_matter(self._nodes["matter", code], code)
        numbers: dict[int, str] = {}
        for code, item in self._items.items():
            if item.number and numbers.setdefault(item.number, code) != code:
                place = self._nodes["item", code].place
                self.mistakes.add(place, f"item {code!r} {item.title}: 'number' {item.number} is taken by another item")

    def _check_adopted(self, file: ListFile) -> None:
        if file.adopts is None:
            return
        for code in sorted(self._items.keys() - set(file.adopts)):
            title = self._items[code].title
            self.mistakes.add(file.adopts_place, f"file: 'adopts' drops item {code!r} {title} of the list above")
        for code in sorted(set(file.adopts) - self._items.keys()):
            self.mistakes.add(file.adopts_place, f"file: 'adopts' names {code!r}, which the list above does not have")

    def _section(
        self,
        *,
        section: str,
        file: ListFile,
        nodes: Sequence[Node],
        known: dict[str, _T],
        read: Callable[[Node, str], _T],
        compare: Callable[[_T, _T], Iterable[Shift]],
    ) -> None:
        here: set[str] = set()
        for node in nodes:
            code = _code_of(node)
            if code in here:
                self.mistakes.add(node.place, f"{section} {code!r} is there twice")
                continue
            here.add(code)
            was = known.get(code)
            self._list_codes.setdefault((section, code), file.head.code)
            merged = overlay(self._nodes[section, code], node) if was is not None else node
            now = read(merged, code)
            above = self._readings.setdefault((section, code), [])
            shifts = list(compare(was, now)) if was is not None else []
            for earlier in above[:-1]:
                shifts += exchanged_labels(earlier, now)
            above.append(now)
            for text in dict.fromkeys(refusals(shifts)):
                self.mistakes.add(node.place, f"{section} {code!r} {now.title}: {text}")
            if code:
                known[code] = now
                self._nodes[section, code] = merged

    def _read_fact_type(self, node: Node, _code: str) -> FactType:
        return read_fact_type(node, self.mistakes)

    def _read_item(self, node: Node, code: str) -> Item:
        return read_item(node, self._list_codes["item", code], self._fact_types, self.mistakes)

    def _read_matter(self, node: Node, code: str) -> Matter:
        return read_matter(node, self._list_codes["matter", code], self._items, self.mistakes)

    def catalogue(self, lists: Sequence[RegionalList]) -> Catalogue:
        """Return the catalogue; only called when there are no mistakes."""
        ordered = dict(sorted(self._items.items(), key=lambda pair: (pair[1].number or 10_000, pair[0])))
        body = canonical(self._body(lists))
        return Catalogue(
            version=hashlib.sha256(body).hexdigest(),
            canonical=body,
            lists=tuple(lists),
            region=self._region,
            fact_types=self._fact_types,
            items=ordered,
            matters=self._matters,
        )

    def _body(self, lists: Sequence[RegionalList]) -> dict[str, Json]:
        heads: list[Json] = [[one.level.value, one.code, one.version, one.title, one.parent] for one in lists]
        return {
            "lists": heads,
            "declarations": {f"{section}/{code}": plain(node) for (section, code), node in self._nodes.items()},
        }


def _code_of(node: Node) -> str:
    code = node.entries.get("code") if isinstance(node, Entries) else None
    return code.raw.strip() if isinstance(code, Scalar) else ""
