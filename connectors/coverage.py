"""Say whether a source covers the place and period of a claim, before and after it is asked; pure."""

from __future__ import annotations

import enum

from connectors.connector import Claim, Coverage
from connectors.outcome import NOT_COVERED, Kind, Outcome
from connectors.stanza import Stanza


class Covered(enum.Enum):
    """How far a source covers a claim."""

    WHOLLY = "WHOLLY"
    PARTLY = "PARTLY"
    """It may find a record; finding none proves nothing, since the fact may lie elsewhere or at another time."""
    NOT = "NOT"


def covered(claim: Claim, coverage: Coverage | None) -> Covered:
    """Compare a claim's place and period with a coverage; none declared means everywhere and always.

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
    known = place.rstrip("0")  # 230000 is the whole province: 2301 lies within it
    return Covered.PARTLY if any(prefix.startswith(known) for prefix in places) else Covered.NOT


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


def read_coverage(stanza: Stanza) -> Coverage:
    """Read `places` (digits of division codes), `since` and `until`."""
    places = stanza.texts("places")
    for place in places:
        if not (place.isascii() and place.isdigit() and 2 <= len(place) <= 12):
            stanza.mistake("places", "must be prefixes of division codes, of two digits or more")
    since, until = stanza.day("since"), stanza.day("until")
    if since and until and until < since:
        stanza.mistake("until", "lies before `since`")
    return Coverage(places=places, since=since, until=until)
