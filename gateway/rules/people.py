"""What people said of a claim, as evidence: departments that were asked (协查), and the approval department itself.

An open request is PENDING until it is due. One that is overdue is UNAVAILABLE: that nobody answered is no data missing,
so it never opens a commitment; an answer that comes late is taken. What was returned as misdirected says nothing.

What people found counts in the case for which they looked. But what they found untrue opens no commitment to the same
claim in any case: another number of a case is no way around it.

Source: the opinion of 2020 (departments are asked to assist, then the approval department checks or commissions a
check, and a commitment comes only where nothing can verify it).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from msgspec import Struct

from connectors.connector import Subject
from connectors.outcome import Cause, Evidence, Kind, Outcome, unavailable
from gateway.catalogue.words import Rung
from gateway.rules.clocks import WorkCalendar, working_time
from gateway.rules.fallback import StepKind

OUTCOMES = (Kind.MATCH, Kind.MISMATCH, Kind.NO_RECORD, Kind.AMBIGUOUS)
"""What people can find."""
_DECISIVE = (Kind.MATCH, Kind.MISMATCH)
_CONTESTED = {
    StepKind.DISPUTE.value: frozenset({Kind.MISMATCH}),
    StepKind.NOT_ESTABLISHABLE.value: frozenset({Kind.MISMATCH, Kind.AMBIGUOUS}),
}
"""The steps after which nothing is left to do but to look again, and what people found that leads there."""
OPEN = ("SENT", "RECEIVED", "CLAIMED")
"""States of a request that is in time."""
REMIND_AT = (0.5, 0.8)
"""The parts of the working time after which the unit asked is reminded."""
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
    unit: str = ""
    """The unit asked, or that checked."""
    first: int = -1
    """The index of its first entry; -1 of one that is about to be recorded."""
    index: int = -1
    """Of its newest entry; -1 of one that is about to be recorded."""

    @property
    def place(self) -> tuple[bool, int, bytes]:
        """Where it stands among others in the order of the log; what is about to be recorded comes last."""
        return (self.first < 0, self.first, self.record)

    @property
    def told(self) -> tuple[bool, int, bytes]:
        """Where its newest entry stands in the order of the log; what is about to be recorded comes last."""
        return (self.index < 0, self.index, self.record)


class Stands(Struct, frozen=True, kw_only=True):
    """How a fact stands in what the applicant says: whose it is, and whether it is said not to be so (None: both)."""

    subject: Subject
    negated: bool | None


class Heard(Struct, frozen=True, kw_only=True):
    """What people said, by type of fact; the rungs of the ladder that were tried on each; since when somebody who is
    overdue has been waited for, where somebody is; and whether the claim stands untrue for people, in whatever case.
    """

    evidence: Mapping[str, tuple[Evidence, ...]] = {}
    tried: Mapping[str, frozenset[Rung]] = {}
    overdue_since: datetime | None = None
    untrue: bool = False

    def attempted(self, fact_types: Iterable[str]) -> frozenset[Rung]:
        """Give the rungs that were tried on each of some types of fact: what was tried on one is not on another."""
        tried = [self.tried.get(fact_type, frozenset()) for fact_type in fact_types]
        return frozenset.intersection(*tried) if tried else frozenset()


NOTHING_HEARD = Heard()


def heard(inquiries: Iterable[Inquiry], *, now: datetime, elsewhere: Iterable[Inquiry] = ()) -> Heard:
    """Give what people said in a case: of each who was asked about a type of fact the newest word that decides, every
    one that is waited for, and the newest where none decides. `elsewhere` is what they said of the same claim in other
    cases.

    Which is newest says the log, whose order no clock that is set back changes. What somebody found true or false is
    taken back by finding the contrary later, not by finding nothing. An office counts once, whether it checked itself
    or had it checked.
    """
    words: dict[tuple[str, str], list[Inquiry]] = {}
    tried: dict[str, frozenset[Rung]] = {}
    overdue: list[datetime] = []
    inquiries = tuple(inquiries)
    for one in sorted(inquiries, key=lambda inquiry: inquiry.place):
        if one.state == "RETURNED":
            continue
        words.setdefault((one.fact_type, _voice(one)), []).append(one)
        if not is_open(one, now=now):
            tried[one.fact_type] = tried.get(one.fact_type, frozenset()) | {one.rung}
            if one.state in (*OPEN, "OVERDUE"):
                overdue.append(one.began_at)
    evidence: dict[str, tuple[Evidence, ...]] = {}
    for (fact_type, _), said in words.items():
        evidence[fact_type] = (*evidence.get(fact_type, ()), *(_evidence(one, now) for one in _standing(said)))
    return Heard(
        evidence=evidence,
        tried=tried,
        overdue_since=min(overdue, default=None),
        untrue=stands_untrue((*inquiries, *elsewhere)),
    )


def stands_untrue(inquiries: Iterable[Inquiry]) -> bool:
    """Tell whether people found a claim untrue, by what they said of it in every case: somebody did of a type of fact,
    and has not borne it out since. Who finds nothing later takes nothing back, and nobody takes back for another.
    """
    return any(one.outcome is Kind.MISMATCH for one in decisive(inquiries))


def decisive(inquiries: Iterable[Inquiry]) -> list[Inquiry]:
    """Pick of each who was asked about a type of fact the newest word that decides."""
    said = [one for one in inquiries if one.outcome in _DECISIVE]
    return list({(one.fact_type, _voice(one)): one for one in sorted(said, key=lambda one: one.told)}.values())


def may_say_again(
    said: Iterable[Inquiry],
    step: str,
    *,
    conflict: bool,
    tells_facts: bool,
    elsewhere: Iterable[Inquiry] = (),
    barred: bool = False,
) -> bool:
    """Tell whether somebody who answered about a type of fact may be asked about it again, or check again, because what
    they found by mistake is what leads to `step`; `said` is what they said in the case, `elsewhere` what they said of
    the same elsewhere.

    It is where the applicant disputes what they found, or nothing can establish the claim any more for what they found,
    in whatever case they found it untrue; and where people or registers disagree (`conflict`) and they are one side.
    Where the facts are not told, that it may not be would tell what they found: it may be wherever the step is of that
    kind, of any type of fact where what anybody found elsewhere stands (`barred`).
    """
    said = tuple(said)
    words = _standing([one for one in sorted(said, key=lambda one: one.place) if one.outcome is not None])
    if not tells_facts:
        return (bool(words) or barred) and step in _CONTESTED
    wanted = _CONTESTED.get(step, frozenset()) | (frozenset(_DECISIVE) if conflict else frozenset())
    if any(one.outcome in wanted for one in words):
        return True
    return step in _CONTESTED and stands_untrue((*said, *elsewhere))


def _voice(one: Inquiry) -> str:
    """Name who speaks: a unit that was asked, or the office that checked itself or had it checked."""
    return one.who if one.rung is Rung.ASSISTANCE else f"{one.rung.value}/{one.unit}"


def _standing(said: Sequence[Inquiry]) -> list[Inquiry]:
    """Give the words of one who was asked that stand: the newest that decides, each that is still waited for, and the
    newest where none decides."""
    decided = decisive(said)
    awaited = [one for one in said if one.outcome is None and one.state in (*OPEN, "OVERDUE")]
    newest = [] if decided or not said or said[-1] in awaited else [said[-1]]
    return [*decided, *awaited, *newest]


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


def meaning(fact_title: str, stands: Sequence[Stands]) -> str:
    """Say what people are asked, and what each answer means: of one type of fact, as `Plan` and `verdict` weigh it.

    It is never the whole item, which other facts may bear out; and what is borne out or contradicted is what the
    applicant says, which may be that there is no such fact.
    """
    signs = {one.negated for one in stands}
    if signs == {False}:
        sense = "申请人称确有此项事实:查明与所述一致的,答“属实”;查明与所述不一致的,答“不符”。"
    elif signs == {True}:
        sense = "申请人称并无此项事实:查明确实没有的,答“属实”;查明有此项事实的,答“不符”。"
    else:
        sense = "查明与申请人所述一致的,答“属实”;查明与所述不一致的,答“不符”。"
    people = dict.fromkeys(f"{one.subject.name}（{one.subject.id_number}）" for one in stands)
    return (
        f"请只就“{fact_title}”这一类事实,核实申请人所述是否属实;其他事实另行核实,不在此次答复之内。"
        + (f"应查的是{'、'.join(people)}的“{fact_title}”。" if people else "")
        + f"{sense}没有查到、不足以断定的,答“查无”;查到多个可能对象或者无法分辨的,答“无法确定”。"
    )


def reminders_due(began_at: datetime, due_at: datetime, *, now: datetime, calendar: WorkCalendar) -> int:
    """Say how many reminders should have gone out by now; only working days are time to answer in.

    Raises:
        CalendarUnknown: a year in between has no calendar.
    """
    whole = working_time(began_at, due_at, calendar)
    if whole <= timedelta(0):
        return len(REMIND_AT)
    passed = working_time(began_at, now, calendar) / whole
    return sum(passed >= part for part in REMIND_AT)
