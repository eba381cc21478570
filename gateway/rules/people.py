"""What people said of a claim, as evidence: departments that were asked (协查), and the approval department itself.

An open request is PENDING until it is due. One that is overdue is UNAVAILABLE: that nobody answered is no data missing,
so it never opens a commitment; an answer that comes late is taken. What was returned as misdirected says nothing.

Source: the opinion of 2020 (departments are asked to assist, then the approval department checks or commissions a
check, and a commitment comes only where nothing can verify it).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from msgspec import Struct

from connectors.outcome import Cause, Evidence, Kind, Outcome, unavailable
from gateway.catalogue.words import Rung

OUTCOMES = (Kind.MATCH, Kind.MISMATCH, Kind.NO_RECORD, Kind.AMBIGUOUS)
"""What people can find."""
OPEN = ("SENT", "RECEIVED", "CLAIMED")
"""States of a request that is in time."""
REMIND_AT = (0.5, 0.8)
"""The parts of the time after which the unit asked is reminded."""
REFUSED_BY_PEOPLE = "the unit asked refused to answer"


class Inquiry(Struct, frozen=True, kw_only=True):
    """A request to people, or a check, as it stands; `outcome` is one of `OUTCOMES` once there is one, else None.

    `who` names who was asked or checked, and takes the place of the source in the evidence.
    """

    record: bytes
    rung: Rung
    fact_type: str
    who: str
    state: str
    began_at: datetime
    changed_at: datetime
    due_at: datetime | None = None
    outcome: Kind | None = None


class Heard(Struct, frozen=True, kw_only=True):
    """What people said, by type of fact, and the rungs of the ladder that were tried so."""

    evidence: Mapping[str, tuple[Evidence, ...]] = {}
    attempted: frozenset[Rung] = frozenset()


NOTHING_HEARD = Heard()


def heard(inquiries: Iterable[Inquiry], *, now: datetime) -> Heard:
    """Give what people said: of each one asked about a type of fact, the newest word."""
    newest: dict[tuple[str, str], Inquiry] = {}
    attempted: set[Rung] = set()
    for one in sorted(inquiries, key=lambda inquiry: inquiry.began_at):
        if one.state == "RETURNED":
            continue
        newest[(one.fact_type, one.who)] = one
        if not is_open(one, now=now):
            attempted.add(one.rung)
    evidence: dict[str, tuple[Evidence, ...]] = {}
    for (fact_type, _), one in newest.items():
        evidence[fact_type] = (*evidence.get(fact_type, ()), _evidence(one, now))
    return Heard(evidence=evidence, attempted=frozenset(attempted))


def is_open(one: Inquiry, *, now: datetime) -> bool:
    """Tell whether a request is unanswered and not overdue yet, whether or not that it is was noted."""
    return one.state in OPEN and (one.due_at is None or now <= one.due_at)


def _evidence(one: Inquiry, now: datetime) -> Evidence:
    return Evidence(
        source=one.who,
        fact_type=one.fact_type,
        outcome=_outcome(one, now),
        asked_at=one.began_at,
        answered_at=one.changed_at,
    )


def _outcome(one: Inquiry, now: datetime) -> Outcome:
    if one.outcome is not None:
        return Outcome(kind=one.outcome)
    if one.state == "REFUSED":
        return Outcome(kind=Kind.REFUSED, rule=REFUSED_BY_PEOPLE)
    if is_open(one, now=now) and one.due_at is not None:
        return Outcome(kind=Kind.PENDING, until=one.due_at)
    return unavailable(Cause.TIMEOUT)


def reminders_due(began_at: datetime, due_at: datetime, *, now: datetime) -> int:
    """Say how many reminders should have gone out by now."""
    whole = due_at - began_at
    if whole <= timedelta(0):
        return len(REMIND_AT)
    passed = (now - began_at) / whole
    return sum(passed >= part for part in REMIND_AT)
