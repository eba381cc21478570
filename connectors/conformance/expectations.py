"""What each fault must become; and what no fault may ever become."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from connectors.conformance.server import Misbehaviour
from connectors.outcome import AMBIGUOUS, Cause, Evidence, Kind, Outcome, unavailable

FORBIDDEN = frozenset({Kind.MATCH, Kind.MISMATCH, Kind.NO_RECORD})
"""The kinds that conclude something: a failure that becomes one of these is a fabricated answer."""

_OUTAGE, _TIMEOUT, _GARBLED = (unavailable(cause) for cause in (Cause.OUTAGE, Cause.TIMEOUT, Cause.GARBLED))

EXPECTED: Mapping[Misbehaviour, Outcome] = {
    Misbehaviour.REFUSE: _OUTAGE,
    Misbehaviour.SILENT: _TIMEOUT,
    Misbehaviour.DRIP: _TIMEOUT,
    Misbehaviour.ERROR_TEXT_IN_200: _GARBLED,
    Misbehaviour.LOGIN_PAGE: _GARBLED,
    Misbehaviour.REDIRECT: _GARBLED,
    Misbehaviour.OTHER_SHAPE: _GARBLED,
    Misbehaviour.KEY_RENAMED: _GARBLED,
    Misbehaviour.UNKNOWN_CODE: _GARBLED,
    Misbehaviour.NOT_JSON: _GARBLED,
    Misbehaviour.GBK: _GARBLED,
    Misbehaviour.OTHER_PERSON: _GARBLED,
    Misbehaviour.NO_SUBJECT: _GARBLED,
    Misbehaviour.TWO_RECORDS: AMBIGUOUS,
    Misbehaviour.EMPTY_PAGE: _GARBLED,
    Misbehaviour.NOT_FOUND: _GARBLED,
    Misbehaviour.PERSONAL_DATA_IN_500: _OUTAGE,
    Misbehaviour.DIES_MID_BODY: _OUTAGE,
    Misbehaviour.ENDLESS: _GARBLED,
    Misbehaviour.BOMB: _GARBLED,
    Misbehaviour.TOO_MANY: unavailable(Cause.OVERLOAD),
    Misbehaviour.BAD_REQUEST: _GARBLED,
    Misbehaviour.UNAUTHORISED: _GARBLED,
    Misbehaviour.FORBIDDEN: _GARBLED,
}
"""What a source over HTTP must make of each misbehaviour. Two are not among them, for the right answer can be had: that
to each question is the one that must be given of a service that flaps, or that writes each answer twice."""


class NonConforming(AssertionError):
    """A connector concluded something from a failure, or told personal data."""


def require_no_conclusion(evidence: Iterable[Evidence]) -> None:
    """Refuse evidence that concludes anything.

    Raises:
        NonConforming: one of the outcomes is MATCH, MISMATCH or NO_RECORD.
    """
    for one in evidence:
        if one.outcome.kind in FORBIDDEN:
            raise NonConforming(f"a failure of {one.source!r} became {one.outcome.kind.value}")


def require_discretion(texts: Iterable[str], personal: Iterable[str]) -> None:
    """Refuse texts (log records, exceptions, details of health) that tell personal data.

    Raises:
        NonConforming: one of them does; the message does not repeat it.
    """
    needles = [needle for needle in personal if needle]
    for text in texts:
        if any(needle in text for needle in needles):
            raise NonConforming("personal data in a text that operators read")
