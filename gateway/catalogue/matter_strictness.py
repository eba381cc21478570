"""How one matter differs from another: what it may ask, for which purposes, and how each question ends.

What counts is what is in force: an override together with the item's own rule.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta

from gateway.catalogue.model import Item, Matter
from gateway.catalogue.strictness import (
    DISCLOSURES,
    MODES,
    Direction,
    Shift,
    collected,
    compare_ladders,
    measured,
    neutral,
    ranked,
)


def compare_matters(
    was: Matter, now: Matter, items_was: Mapping[str, Item], items_now: Mapping[str, Item]
) -> Iterator[Shift]:
    """Yield how a matter differs; each matter is read with the items of its own catalogue."""
    yield from neutral("title", was.title, now.title)
    yield from collected("items", was.items, now.items, more_is_stricter=False)
    yield from collected("purposes", was.purposes, now.purposes, more_is_stricter=False)
    departments = (
        [f"{one.uscc} {one.name}" for one in was.departments],
        [f"{one.uscc} {one.name}" for one in now.departments],
    )
    # Which offices handle a matter is for each level to say: a province cannot name every county's.
    for shift in collected("departments", *departments, more_is_stricter=False):
        yield from neutral("departments", shift.was, shift.now)
    yield from neutral("retry_after_seconds", _seconds(was.retry_after), _seconds(now.retry_after))
    for key in ("decision_working_days", "closing_date"):
        yield from neutral(key, getattr(was, key), getattr(now, key))
    # Either way the person is refused; which way is for the office to say.
    yield from neutral("credit_silent", was.credit_silent, now.credit_silent)
    for code in (code for code in was.items if code in now.items):
        if code in items_was and code in items_now:
            yield from _asked(was, now, items_was[code], items_now[code])


def _asked(was: Matter, now: Matter, before: Item, after: Item) -> Iterator[Shift]:
    at = f"items: {before.code}"
    yield from compare_ladders(f"{at}: ladder", was.ladder_of(before), now.ladder_of(after))
    yield from ranked(f"{at}: commitment_mode", MODES, was.mode_of(before), now.mode_of(after))
    yield from ranked(f"{at}: disclosure", DISCLOSURES, was.disclosure_of(before), now.disclosure_of(after))
    waits = _seconds(was.patience_of(before)), _seconds(now.patience_of(after))
    yield from measured(f"{at}: patience_seconds", *waits, more_is_stricter=False)
    for key in ("confirm_by_clerk", "excluded_from_commitment"):
        flags = getattr(was.items[before.code], key), getattr(now.items[before.code], key)
        if flags[0] is not flags[1]:
            direction = Direction.STRICTER if flags[1] else Direction.LOOSER
            yield Shift(
                dimension=f"{at}: {key}", direction=direction, was=str(flags[0]).lower(), now=str(flags[1]).lower()
            )


def _seconds(wait: timedelta) -> int:
    return int(wait.total_seconds())
