"""Reads matters of a catalogue file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta

from gateway.catalogue.fields import Fields
from gateway.catalogue.mistakes import Mistakes
from gateway.catalogue.model import Department, Item, Matter, MatterItem
from gateway.catalogue.nodes import Node
from gateway.catalogue.words import (
    LADDER_ORDER,
    CommitmentAllowance,
    CommitmentMode,
    Disclosure,
    ItemState,
    Rung,
    SilentCredit,
)
from gateway.rules.identifiers import IdentifierRefused, parse_uscc

_MATTER_CODE = re.compile(r"\d{6}-[A-Z]{2,5}-\d{3}")
_DAY = 86_400


def read_matter(node: Node, list_code: str, items: Mapping[str, Item], mistakes: Mistakes) -> Matter:
    """Read one matter; its items must be in the catalogue and its overrides may not go beyond the items' rules."""
    fields = Fields(node, "matter", mistakes)
    code = fields.text("code")
    title = fields.text("title")
    fields.what = f"matter {code!r} {title}".rstrip()
    if code and not _MATTER_CODE.fullmatch(code):
        fields.mistake("'code' is a division, a department and a number, like 230000-CIV-001", fields.place_of("code"))
    asked = [_matter_item(inner, items, fields) for inner in fields.list("items", required=True)]
    if len({one.item for one in asked}) != len(asked):
        fields.mistake("an item is there twice", fields.place_of("items"))
    decided = fields.integer("decision_working_days", 0, low=1, high=750)
    matter = Matter(
        code=code,
        title=title,
        list_code=list_code,
        departments=tuple(_department(inner, fields) for inner in fields.list("departments", required=True)),
        items={one.item: one for one in asked},
        purposes=fields.texts("purposes", required=True),
        patience=timedelta(seconds=fields.integer("patience_seconds", _DAY, low=0, high=90 * _DAY)),
        retry_after=timedelta(seconds=fields.integer("retry_after_seconds", 600, low=1, high=_DAY)),
        credit_silent=fields.word("credit_silent", SilentCredit, SilentCredit.REFUSE_TEMPORARILY),
        decision_working_days=decided or None,
        closing_date=fields.day("closing_date") if fields.has("closing_date") else None,
    )
    fields.done()
    return matter


def _department(node: Node, fields: Fields) -> Department:
    inner = Fields(node, f"{fields.what}: department", fields.mistakes)
    uscc = inner.text("uscc")
    try:
        uscc = parse_uscc(uscc).number if uscc else ""
    except IdentifierRefused as refused:
        inner.mistake(f"'uscc' is no unified social credit code ({refused.rule.name})", inner.place_of("uscc"))
    department = Department(uscc=uscc, name=inner.text("name"))
    inner.done()
    return department


def _matter_item(node: Node, items: Mapping[str, Item], fields: Fields) -> MatterItem:
    inner = Fields(node, f"{fields.what}: item", fields.mistakes)
    code = inner.text("item")
    item = items.get(code)
    if code and item is None:
        inner.mistake(f"no item {code!r} is declared", inner.place_of("item"))
    if item and item.expression is None and item.state is not ItemState.BANNED:
        inner.mistake(f"item {code!r} is issued by a committee and not verified here; no matter can ask it")
    excluded = inner.boolean("excluded_from_commitment", default=False)
    patience = inner.integer("patience_seconds", -1, low=0, high=90 * _DAY)
    one = MatterItem(
        item=code,
        ladder=_matter_ladder(inner, item, excluded),
        commitment_mode=inner.word("commitment_mode", CommitmentMode) if inner.has("commitment_mode") else None,
        disclosure=inner.word("disclosure", Disclosure) if inner.has("disclosure") else None,
        patience=None if patience < 0 else timedelta(seconds=patience),
        confirm_by_clerk=inner.boolean("confirm_by_clerk", default=False),
        excluded_from_commitment=excluded,
    )
    if item and item.disclosure is Disclosure.AGGREGATE and one.disclosure is Disclosure.PER_FACT:
        inner.mistake(f"item {code!r} discloses only the verdict; a matter may not disclose more")
    inner.done()
    return one


def _matter_ladder(inner: Fields, item: Item | None, excluded: bool) -> tuple[Rung, ...] | None:
    place = inner.place_of("ladder")
    ladder = inner.words("ladder", Rung)
    if ladder is None:
        return None
    if list(ladder) != [rung for rung in LADDER_ORDER if rung in ladder]:
        inner.mistake("'ladder' keeps the order of the rungs, each once", place)
    if item is None or Rung.COMMITMENT not in ladder:
        return ladder
    # Of a BANNED item every question is refused; a list below may ban what a matter above still names.
    if item.commitment.allowed is CommitmentAllowance.NEVER and item.state is not ItemState.BANNED:
        inner.mistake(f"by the lists in force a commitment can never stand in for item {item.code!r}", place)
    if excluded:
        inner.mistake("'ladder' names COMMITMENT, 'excluded_from_commitment' forbids it", place)
    return ladder
