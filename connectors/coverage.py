"""Say whether a source covers the place and period of a claim, before and after it is asked; pure."""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping, Sequence

from connectors.connector import Claim, Coverage
from connectors.outcome import NOT_COVERED, Kind, Outcome
from connectors.stanza import Stanza

COMPLETE = "complete"
"""Declares that a source holds every record of everywhere and always."""
_PLACE = re.compile("[0-9]{2,12}")
_LEVELS = ((9, 12), (6, 9), (4, 6), (2, 4), (0, 2))
"""Where the digits of a village, town, county, city and province begin and end."""


class Covered(enum.Enum):
    """How far a source covers a claim."""

    WHOLLY = "WHOLLY"
    PARTLY = "PARTLY"
    """It may find a record; finding none proves nothing, since the fact may lie elsewhere or at another time."""
    NOT = "NOT"


def covered(claim: Claim, coverage: Coverage | None) -> Covered:
    """Compare a claim's place and period with a coverage; none declared leaves nothing out, and proves no absence.

    A claim that does not say where, asked of a source that covers some places only, is covered partly; so is one
    that does not say when, asked of a source with a beginning or an end.
    """
    if coverage is None:
        return Covered.WHOLLY
    place, time = _place(claim.place, coverage.places), _time(claim, coverage)
    if Covered.NOT in (place, time):
        return Covered.NOT
    return Covered.PARTLY if Covered.PARTLY in (place, time) else Covered.WHOLLY


def _place(place: str, places: tuple[str, ...]) -> Covered:
    if not places or any(place.startswith(prefix) for prefix in places):
        return Covered.WHOLLY
    known = division(place)  # 230000 is the whole province: 2301 lies within it
    return Covered.PARTLY if any(prefix.startswith(known) for prefix in places) else Covered.NOT


def division(code: str) -> str:
    """Take off a division code the levels that are all zeros: 230100 is the whole of 2301. Empty if all are."""
    for start, end in _LEVELS:
        if len(code) == end and not code[start:].strip("0"):
            code = code[:start]
    return code


def read_places(written: Sequence[str]) -> tuple[str, ...]:
    """Read division codes, or beginnings of them, as prefixes.

    Raises:
        ValueError: some are none. An empty list is one of nowhere, and no source is meant so.
    """
    if not written or not all(_PLACE.fullmatch(place) and division(place) for place in written):
        raise ValueError("must be division codes or their first digits, two at least; left out, it is everywhere")
    return tuple(map(division, written))


def _time(claim: Claim, coverage: Coverage) -> Covered:
    since, until = coverage.since, coverage.until
    if since is None and until is None:
        return Covered.WHOLLY
    if claim.period is None:
        return Covered.PARTLY
    first, last = claim.period
    if (since is not None and last < since) or (until is not None and first > until):
        return Covered.NOT
    within = (since is None or first >= since) and (until is None or last <= until)
    return Covered.WHOLLY if within else Covered.PARTLY


def limited(outcome: Outcome, extent: Covered) -> Outcome:
    """Take back a NO_RECORD that the source is in no position to say."""
    absent = outcome.kind is Kind.NO_RECORD
    return NOT_COVERED if absent and extent is not Covered.WHOLLY else outcome


def read_coverage(fact: Stanza) -> Coverage | None:
    """Read the `coverage` of a fact: `complete`, or a table of `places` (division codes or their beginnings) and days.

    None where it declares none. A table that says nothing is a mistake, so that nobody declares by it what is not.
    """
    written = fact.anything("coverage")
    if written is None or written == COMPLETE:
        return None if written is None else Coverage()
    if not isinstance(written, Mapping) or not written:
        fact.mistake("coverage", f'must be "{COMPLETE}", or a table of `places`, `since` and `until` with one at least')
        return None
    stanza = fact.table("coverage")
    places = stanza.texts("places")
    try:
        places = read_places(places) if "places" in stanza else ()
    except ValueError as error:
        stanza.mistake("places", str(error))
    since, until = stanza.day("since"), stanza.day("until")
    if since and until and until < since:
        stanza.mistake("until", "lies before `since`")
    return Coverage(places=places, since=since, until=until)
