"""What one catalogue changes over another: new, gone, stricter, looser, otherwise changed; in words and as a value."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from gateway.catalogue.matter_strictness import compare_matters
from gateway.catalogue.model import Catalogue, FactType, Item, Matter
from gateway.catalogue.strictness import (
    NOTHING,
    Direction,
    Shift,
    compare_fact_types,
    compare_items,
    compare_regions,
    neutral,
)
from ledger.canonical import Json

_T = TypeVar("_T", FactType, Item, Matter)


class ChangeKind(enum.Enum):
    """What became of a declaration, or of one dimension of it."""

    NEW = "NEW"
    GONE = "GONE"
    STRICTER = "STRICTER"
    LOOSER = "LOOSER"
    UNPROVEN = "UNPROVEN"
    CHANGED = "CHANGED"


_KINDS = {
    Direction.STRICTER: ChangeKind.STRICTER,
    Direction.LOOSER: ChangeKind.LOOSER,
    Direction.UNPROVEN: ChangeKind.UNPROVEN,
    Direction.NEUTRAL: ChangeKind.CHANGED,
}
_WORDS = {
    ChangeKind.NEW: "is new",
    ChangeKind.GONE: "is gone",
    ChangeKind.STRICTER: "became stricter",
    ChangeKind.LOOSER: "became looser",
    ChangeKind.UNPROVEN: "changed, and neither direction can be shown",
    ChangeKind.CHANGED: "changed",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One change; `section` is list, region, fact type, item or matter; `dimension` is empty for NEW and GONE."""

    kind: ChangeKind
    section: str
    code: str
    title: str
    dimension: str = ""
    was: str = ""
    now: str = ""

    def __str__(self) -> str:
        name = " ".join(part for part in (self.section, repr(self.code) if self.code else "", self.title) if part)
        if not self.dimension:
            return f"{name} {_WORDS[self.kind]}"
        return f"{name}: {self.dimension!r} {_WORDS[self.kind]}: {self.was} → {self.now}"

    def body(self) -> dict[str, Json]:
        """Return the change as a value."""
        return {
            "kind": self.kind.value,
            "section": self.section,
            "code": self.code,
            "title": self.title,
            "dimension": self.dimension,
            "was": self.was,
            "now": self.now,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Everything that changes from one version to another; nothing where the versions are the same."""

    old_version: str
    new_version: str
    changes: tuple[Change, ...]

    def body(self) -> dict[str, Json]:
        """Return the difference as a value."""
        return {
            "old_version": self.old_version,
            "new_version": self.new_version,
            "changes": [change.body() for change in self.changes],
        }


def difference(old: Catalogue, new: Catalogue) -> Difference:
    """Compare two catalogues."""
    changes = [
        *_lists(old, new),
        *_region(old, new),
        *_declarations("fact type", old.fact_types, new.fact_types, compare_fact_types),
        *_declarations("item", old.items, new.items, compare_items),
        *_declarations(
            "matter", old.matters, new.matters, lambda was, now: compare_matters(was, now, old.items, new.items)
        ),
    ]
    return Difference(old_version=old.version, new_version=new.version, changes=tuple(changes))


def _lists(old: Catalogue, new: Catalogue) -> Iterator[Change]:
    was = {one.level: one for one in old.lists}
    now = {one.level: one for one in new.lists}
    for level in dict.fromkeys((*was, *now)):
        before, after = was.get(level), now.get(level)
        if before is None or after is None:
            there = before or after
            if there is not None:
                kind = ChangeKind.NEW if before is None else ChangeKind.GONE
                yield Change(kind=kind, section="list", code=there.code, title=there.title)
            continue
        for key in ("code", "version", "title"):
            for shift in neutral(key, getattr(before, key), getattr(after, key)):
                yield _change("list", after.code, after.title, shift)


def _region(old: Catalogue, new: Catalogue) -> Iterator[Change]:
    for shift in compare_regions(old.region, new.region):
        yield _change("region", "", new.region.name, shift)


def _declarations(
    section: str, old: Mapping[str, _T], new: Mapping[str, _T], compare: Callable[[_T, _T], Iterable[Shift]]
) -> Iterator[Change]:
    for code in dict.fromkeys((*old, *new)):
        if code not in new:
            yield Change(kind=ChangeKind.GONE, section=section, code=code, title=old[code].title)
        elif code not in old:
            yield Change(kind=ChangeKind.NEW, section=section, code=code, title=new[code].title)
        else:
            for shift in compare(old[code], new[code]):
                yield _change(section, code, new[code].title, shift)


def _change(section: str, code: str, title: str, shift: Shift) -> Change:
    return Change(
        kind=_KINDS[shift.direction],
        section=section,
        code=code,
        title=title,
        dimension=shift.dimension,
        was=shift.was or NOTHING,
        now=shift.now or NOTHING,
    )
