"""Which questions of a case assert the same: by what was kept of them."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.rules.fallback import StepKind
from gateway.rules.kept import table
from gateway.rules.same_case import in_one_spelling
from ledger.canonical import Json


def claim_of(question: Mapping[str, Json]) -> dict[str, Json]:
    """Give what a kept question asserts: item, person and parameters, texts in one spelling.

    Another spelling is no other claim: it would be a way around what was found of the first. Hence what a source would
    take for another text, such as a blank within an address, makes none either.
    """
    return {
        "item": question["item"],
        "subject": _compared(question["subject"]),
        "parameters": {name: _compared(value) for name, value in table(question["parameters"]).items()},
    }


def _compared(value: Json) -> Json:
    if isinstance(value, str):
        return in_one_spelling(value)
    return {name: _compared(one) for name, one in value.items()} if isinstance(value, Mapping) else value


def is_same_claim(first: Mapping[str, Json], other: Mapping[str, Json]) -> bool:
    """Tell whether two questions assert the same of the same person: item, person and every parameter are alike."""
    return claim_of(first) == claim_of(other)


def asks_again(first: Mapping[str, Json], step: str, later: Mapping[str, Json]) -> bool:
    """Tell whether a later question asks a first one again, whose answer called for `step`.

    That is the same claim; or, where the applicant was to be asked for one thing more, the same claim with that added.
    Another claim about the person says nothing about the first.
    """
    one, other = claim_of(first), claim_of(later)
    if one == other:
        return True
    if step != StepKind.ASK_APPLICANT.value or any(one[part] != other[part] for part in ("item", "subject")):
        return False
    told, added = table(one["parameters"]), table(other["parameters"])
    return all(name in added and added[name] == value for name, value in told.items())
