"""Which questions of a case assert the same: by what was kept of them."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.rules.fallback import StepKind
from gateway.rules.kept import table
from ledger.canonical import Json


def is_same_claim(first: Mapping[str, Json], other: Mapping[str, Json]) -> bool:
    """Tell whether two questions assert the same of the same person: item, person and every parameter are alike."""
    return all(first[part] == other[part] for part in ("item", "subject", "parameters"))


def asks_again(first: Mapping[str, Json], step: str, later: Mapping[str, Json]) -> bool:
    """Tell whether a later question asks a first one again, whose answer called for `step`.

    That is the same claim; or, where the applicant was to be asked for one thing more, the same claim with that added.
    Another claim about the person says nothing about the first.
    """
    if is_same_claim(first, later):
        return True
    if step != StepKind.ASK_APPLICANT.value or any(first[part] != later[part] for part in ("item", "subject")):
        return False
    told, added = table(first["parameters"]), table(later["parameters"])
    return all(name in added and added[name] == value for name, value in told.items())
