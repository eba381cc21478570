"""Transitions whose end has come: what a committee may state only for a time is to be looked at again by a day."""

from __future__ import annotations

from datetime import date

from gateway.catalogue.model import Catalogue, Item


def overdue_reviews(catalogue: Catalogue, *, today: date) -> list[tuple[Item, date]]:
    """List the transitional items whose `review_by` has passed, with that day, in the order of the catalogue."""
    return [
        (item, item.transition.review_by)
        for item in catalogue.items.values()
        if item.transition is not None and item.transition.review_by < today
    ]


def review_notice(item: Item, due: date) -> str:
    """Say that an item is to be reviewed since a day."""
    return (
        f"item {item.code!r} of list {item.list_code!r} is TRANSITIONAL and was to be reviewed by {due.isoformat()}: "
        "set its next state, or a later `review_by` after an assessment"
    )
