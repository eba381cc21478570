"""Templates: the wording of notice and statement for an item, an item in one matter, or what has none of its own."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.catalogue.mistakes import Place
from gateway.catalogue.words import Publication
from gateway.letters.parts import NOTICE, STATEMENT, Part, worded_name
from gateway.letters.wording import Wording
from ledger.canonical import Json, canonical

GENERAL = "general"
"""The template for whatever has none of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Worded:
    """The wording of each part of notice and statement for one scope of publication, and all placeholders of them."""

    notice: tuple[tuple[Part, Wording], ...]
    statement: tuple[tuple[Part, Wording], ...]
    placeholders: frozenset[str]

    @classmethod
    def of(cls, wording: Mapping[str, Wording], scope: Publication) -> Worded:
        """Choose the wordings for a scope; a part that is not worded is left out."""
        notice = tuple(
            (part, wording[name]) for part in NOTICE if (name := f"notice.{worded_name(part, scope)}") in wording
        )
        statement = tuple((part, wording[name]) for part in STATEMENT if (name := f"statement.{part.name}") in wording)
        used = frozenset[str]().union(*(one.placeholders for _, one in (*notice, *statement)))
        return cls(notice=notice, statement=statement, placeholders=used)


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """One version of a template.

    `texts` and `wording` have every name of `parts.worded_names`; of a version that a newer one replaced, those that a
    notice had to have when it was in force.

    `items` and `matters` say for what it is chosen by itself; empty for one that is only chosen by its name. A shipped
    one may be for items that a house does not have. `digest` is the SHA-256 (hex) of the canonical JSON (RFC 8785) of
    `value()`.
    """

    id: str
    version: int
    title: str
    items: tuple[str, ...]
    matters: tuple[str, ...]
    texts: Mapping[str, str] = field(repr=False)
    wording: Mapping[str, Wording] = field(repr=False, compare=False)
    place: Place = field(repr=False, compare=False)
    shipped: bool = field(compare=False)
    digest: str = field(init=False)
    worded: Mapping[Publication, Worded] = field(init=False, repr=False, compare=False)
    """What is filled in, for each scope of publication."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "digest", hashlib.sha256(canonical(self.value())).hexdigest())
        worded = {scope: Worded.of(self.wording, scope) for scope in Publication}
        object.__setattr__(self, "worded", worded)

    @property
    def name(self) -> str:
        """How a person names this version: `kinship@1`."""
        return f"{self.id}@{self.version}"

    def value(self) -> dict[str, Json]:
        """Give everything the template says as a canonical value."""
        return {
            "id": self.id,
            "version": self.version,
            "title": self.title,
            "items": list(self.items),
            "matters": list(self.matters),
            "texts": dict(self.texts),
        }
