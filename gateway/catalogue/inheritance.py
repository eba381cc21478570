"""A list below may exceed the list above and be stricter; it may never fall below it or be looser.

Source: the founding document, section 6(4): a city's list may exceed the province's, not fall short of it. What
cannot be shown to be at least as strict is refused too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from gateway.catalogue.model import Item
from gateway.catalogue.strictness import Direction, Shift, compare_items


def compare_below(was: Item, now: Item) -> Iterator[Shift]:
    """Yield how an item of the list above differs below, where it also keeps its title: people know it by that."""
    for shift in compare_items(was, now):
        yield replace(shift, direction=Direction.UNPROVEN) if shift.dimension == "title" else shift


def refusals(shifts: Iterable[Shift]) -> Iterator[str]:
    """Yield, in words, each shift from the list above to the list below that a list below may not make."""
    for shift in shifts:
        if shift.direction is Direction.LOOSER:
            yield f"{shift.dimension!r} is looser than in the list above: {shift.was} → {shift.now}"
        elif shift.direction is Direction.UNPROVEN:
            yield (
                f"{shift.dimension!r} cannot be shown to be as strict as in the list above: {shift.was} → {shift.now}"
                + (" (it may only become 'all' of the expression above and something more)"
                   if shift.dimension == "expression" else "")
            )  # fmt: skip
