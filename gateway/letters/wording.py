"""A wording with placeholders: `由{authority}办理“{matter}”`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from string import Formatter


class WordingMalformed(ValueError):
    """The text is no wording; the message says what is wrong, without the text."""


@dataclass(frozen=True, slots=True)
class Wording:
    """A text, in pieces: each a literal and the name of the placeholder that follows it, or None after the last."""

    pieces: tuple[tuple[str, str | None], ...]
    placeholders: frozenset[str] = field(init=False)
    """The names that are filled in."""

    def __post_init__(self) -> None:
        names = frozenset(name for _, name in self.pieces if name is not None)
        object.__setattr__(self, "placeholders", names)

    def filled(self, values: Mapping[str, str]) -> str:
        """Fill in the values; raises `KeyError` for a name without one."""
        return "".join([literal if name is None else literal + values[name] for literal, name in self.pieces])


def parse_wording(text: str) -> Wording:
    """Read a wording; braces that mean themselves are doubled.

    Raises:
        WordingMalformed: a brace stands alone, or a placeholder is not just a name.
    """
    pieces: list[tuple[str, str | None]] = []
    try:
        for literal, name, form, conversion in Formatter().parse(text):
            if name is not None and (form or conversion or not name or name != name.strip()):
                raise WordingMalformed("a placeholder is a name in braces and nothing else")
            pieces.append((literal, name))
    except WordingMalformed:
        raise
    except ValueError as error:
        raise WordingMalformed("a brace stands alone; write it twice") from error
    return Wording(tuple(pieces))
