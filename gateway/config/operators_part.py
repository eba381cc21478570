"""The parts `[[operators]]` of the configuration, read."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from connectors.stanza import Stanza
from gateway.config.model import OperatorIssuerSettings
from gateway.config.signatures_part import read_platform
from gateway.rules.roles import unit_of


def read_operators(
    parts: list[Stanza], callers: Iterable[str], trust_domain: str, home: Path
) -> tuple[OperatorIssuerSettings, ...]:
    """Read which identity provider says who acts for the systems of a unit; mistakes are noted in the parts."""
    units = {unit_of(uri, trust_domain) for uri in callers}
    found: list[OperatorIssuerSettings] = []
    for part in parts:
        unit = part.text("unit")
        if unit and unit not in units:
            part.mistake("unit", "is the unit of no configured caller")
        if unit in [one.unit for one in found]:
            part.mistake("unit", "is given twice")
        required = part.flag("required", True)
        found.append(OperatorIssuerSettings(unit=unit, required=required, issuer=read_platform(part, home)))
    return tuple(found)
