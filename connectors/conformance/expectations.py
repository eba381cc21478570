"""What each fault must become; and what no fault may ever become."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from connectors.conformance.faults import Fault
from connectors.outcome import AMBIGUOUS, Cause, Evidence, Kind, Outcome, unavailable

FORBIDDEN = frozenset({Kind.MATCH, Kind.MISMATCH, Kind.NO_RECORD})
"""The kinds that conclude something: a failure that becomes one of these is a fabricated answer."""

_OUTAGE, _TIMEOUT, _GARBLED = (unavailable(cause) for cause in (Cause.OUTAGE, Cause.TIMEOUT, Cause.GARBLED))

EXPECTED: Mapping[Fault, Outcome] = {
    Fault.REFUSE: _OUTAGE,
    Fault.SILENT: _TIMEOUT,
    Fault.DRIP: _TIMEOUT,
    Fault.ERROR_TEXT_IN_200: _GARBLED,
    Fault.LOGIN_PAGE: _GARBLED,
    Fault.REDIRECT: _GARBLED,
    Fault.OTHER_SHAPE: _GARBLED,
    Fault.UNKNOWN_CODE: _GARBLED,
    Fault.NOT_JSON: _GARBLED,
    Fault.GBK: _GARBLED,
    Fault.OTHER_PERSON: _GARBLED,
    Fault.NO_SUBJECT: _GARBLED,
    Fault.TWO_RECORDS: AMBIGUOUS,
    Fault.EMPTY_PAGE: _GARBLED,
    Fault.NOT_FOUND: _GARBLED,
    Fault.PERSONAL_DATA_IN_500: _OUTAGE,
    Fault.DIES_MID_BODY: _OUTAGE,
    Fault.ENDLESS: _GARBLED,
    Fault.TOO_MANY: unavailable(Cause.OVERLOAD),
    Fault.UNAUTHORISED: Outcome(kind=Kind.REFUSED, rule="HTTP 401"),
}
"""What a service over HTTP must make of each fault. Flapping is a fault of time: see `require_no_conclusion`."""


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
