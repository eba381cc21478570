"""Which entry may follow which: one table a family of records, pure and total.

A state of None means that the record does not exist yet. What is not in a table is refused. The projection keeps
families and states as the numbers given here: a number once used never changes its meaning.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ledger.errors import TransitionRefused

State = str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One kind of record: its name, and for each kind of entry the state it leads to from each state."""

    name: str
    transitions: Mapping[str, Mapping[State, str]]


def _family(name: str, table: Mapping[str, Mapping[State, str]]) -> Family:
    return Family(name=name, transitions=table)


def _to(state: str, *sources: State) -> dict[State, str]:
    return dict.fromkeys(sources, state)


_UNDECIDED = ("RECORDED", "BINDING")
_CONTRADICTED = ("DISPUTED", "QUESTIONED")
_LOOKING = ("DISCREPANCY", "EVIDENCE_REQUESTED")
_IN_TIME = ("SENT", "RECEIVED", "CLAIMED")
_SEEN = ("RECEIVED", "CLAIMED", "OVERDUE")

FAMILIES: Mapping[str, Family] = {
    family.name: family
    for family in (
        _family(
            "verification",
            {"VerificationAnswered": _to("ANSWERED", None), "VerificationRefused": _to("REFUSED", None)},
        ),
        _family(
            "commitment",
            {
                # Of a refusal that was lifted, what expired unsigned is followed by another document.
                "CommitmentPrepared": _to("PREPARED", None, "REFUSAL_LIFTED", "EXPIRED"),
                "CommitmentRecorded": _to("RECORDED", "PREPARED"),
                "CommitmentExpired": _to("EXPIRED", "PREPARED"),
                "CommitmentRefused": {None: "REFUSED", "PREPARED": "PREPARED"},
                "RefusalContested": _to("CONTESTED", "REFUSED"),
                "RefusalUpheld": _to("REFUSAL_UPHELD", "CONTESTED"),
                "RefusalLifted": _to("REFUSAL_LIFTED", "CONTESTED"),
                "MilestonePassed": _to("BINDING", "RECORDED"),
                "CommitmentWithdrawn": _to("WITHDRAWN", "RECORDED"),
                "DecisionRecorded": _to("IN_FORCE", *_UNDECIDED),
                "CommitmentLapsed": _to("LAPSED", *_UNDECIDED),
                "CommitmentRequeried": {state: state for state in (*_UNDECIDED, "IN_FORCE")},
                "CommitmentQuestioned": _to("QUESTIONED", *_UNDECIDED),
                "CommitmentConfirmed": _to("CONFIRMED", "IN_FORCE"),
                "CommitmentDisputed": _to("DISPUTED", "IN_FORCE"),
                # Data contradicted it before the decision: cleared, it waits for the decision again.
                "CommitmentCleared": {"DISPUTED": "CONFIRMED", "QUESTIONED": "RECORDED"},
                # What was found false stands again once that finding is revoked: upon the first the decision came
                # before, upon the second it never did.
                "CommitmentReinstated": _to("CONFIRMED", "BROKEN"),
                "CommitmentReopened": _to("RECORDED", "BROKEN"),
                "CommitmentBroken": _to("BROKEN", *_CONTRADICTED),
                "CommitmentInconclusive": _to("INCONCLUSIVE", *_CONTRADICTED),
                "CommitmentRepaired": _to("REPAIRED", "BROKEN"),
            },
        ),
        _family(
            "finding",
            {
                "DiscrepancyFound": _to("DISCREPANCY", None),
                "EvidenceRequested": _to("EVIDENCE_REQUESTED", "DISCREPANCY"),
                "FindingCleared": _to("CLEARED", *_LOOKING),
                "MinorErrorRectified": _to("MINOR_ERROR", *_LOOKING),
                "FalseProposed": _to("FALSE_PROPOSED", *_LOOKING),
                "FindingInconclusive": _to("INCONCLUSIVE", *_LOOKING),
                "FindingNotified": _to("NOTIFIED", "FALSE_PROPOSED"),
                # Whoever spoke may say more until it is decided.
                "DefenceHeard": _to("DEFENCE_HEARD", "NOTIFIED", "DEFENCE_HEARD"),
                "DefenceLapsed": _to("DEFENCE_HEARD", "NOTIFIED"),
                "FindingDecided": _to("DECIDED", "DEFENCE_HEARD"),
                "FindingDismissed": _to("DISMISSED", "DEFENCE_HEARD"),
                "FindingFinalised": _to("FINAL", "DECIDED"),
                "FindingRevoked": _to("REVOKED", "DECIDED", "FINAL"),
                "FindingRepaired": _to("REPAIRED", "FINAL"),
                "FindingExpired": _to("EFFECT_ENDED", "FINAL"),
            },
        ),
        _family(
            "report",
            {
                "ReportIssued": _to("ISSUED", None),
                "ReportAcknowledged": _to("ACKNOWLEDGED", "ISSUED"),
                "ReportRejected": _to("REJECTED", "ISSUED"),
                "ReportReissued": _to("ISSUED", "REJECTED"),
                # Who refused a report was never told of it, and has nothing to take back or end.
                "ReportRecalled": {"ISSUED": "RECALLED", "ACKNOWLEDGED": "RECALLED", "REJECTED": "CLOSED"},
                "ReportRepaired": {"ISSUED": "REPAIRED", "ACKNOWLEDGED": "REPAIRED", "REJECTED": "CLOSED"},
                "ReportExpired": {"ISSUED": "EFFECT_ENDED", "ACKNOWLEDGED": "EFFECT_ENDED", "REJECTED": "CLOSED"},
            },
        ),
        _family(
            "operation",
            {
                "LogOpened": _to("DONE", None),
                "CatalogueEnacted": _to("DONE", None),
                "PolicyEnacted": _to("DONE", None),
                "KeyEnrolled": _to("DONE", None),
                # By order an erasure is proposed by one and carried out by another; at the end of retention by rule.
                "ErasureProposed": _to("ERASURE_PROPOSED", None),
                "ErasureRejected": _to("ERASURE_REJECTED", "ERASURE_PROPOSED"),
                "DocumentErased": _to("DONE", None, "ERASURE_PROPOSED"),
                "LegalHoldPlaced": _to("HELD", None),
                "LegalHoldReleased": _to("RELEASED", "HELD"),
                "IndexCommitted": _to("DONE", None),
                "SubjectLookedUp": _to("DONE", None),
                "CommitmentsExported": _to("DONE", None),
            },
        ),
        _family(
            "logkey",
            {
                "LogKeyAdded": _to("KEY_IN_FORCE", None),
                # The key a log was opened with has no entry that added it.
                "LogKeyRetired": _to("KEY_RETIRED", None, "KEY_IN_FORCE"),
            },
        ),
        _family(
            "staffkey",
            {
                "StaffKeyProposed": _to("KEY_PROPOSED", None),
                "StaffKeyEnrolled": _to("KEY_ENROLLED", "KEY_PROPOSED"),
                "StaffKeyRejected": _to("KEY_REJECTED", "KEY_PROPOSED"),
                "StaffKeyRevoked": _to("KEY_REVOKED", "KEY_ENROLLED"),
            },
        ),
        _family(
            "assistance",
            {
                "AssistanceSent": _to("SENT", None),
                # What comes after the due date changes nothing about its having passed: a late answer is still taken.
                # Each look is recorded: of a colleague, of the second person, of who claimed it.
                "AssistanceReceived": {
                    "SENT": "RECEIVED",
                    "RECEIVED": "RECEIVED",
                    "CLAIMED": "CLAIMED",
                    "OVERDUE": "OVERDUE",
                },
                "AssistanceClaimed": {"RECEIVED": "CLAIMED", "CLAIMED": "CLAIMED", "OVERDUE": "OVERDUE"},
                "AssistanceReminded": {state: state for state in _IN_TIME},
                "AssistanceOverdue": _to("OVERDUE", *_IN_TIME),
                "AssistanceAnswered": _to("ANSWERED", *_SEEN),
                "AssistanceRefused": _to("REFUSED", *_SEEN),
                "AssistanceReturned": _to("RETURNED", *_SEEN),
            },
        ),
        _family("check", {"CheckRecorded": _to("DONE", None)}),
    )
}
"""Every family, by name."""

FAMILY_OF: Mapping[str, Family] = {kind: family for family in FAMILIES.values() for kind in family.transitions}
"""The family of each kind of entry; a kind belongs to one family only."""

PUBLIC_KINDS = frozenset({"IndexCommitted", "LogKeyAdded", "LogKeyRetired"})
"""Kinds whose group `public` (`ledger.records.commitments.PUBLIC_GROUP`) is committed to without a secret salt."""

FAMILY_NUMBERS: Mapping[str, int] = {
    "verification": 1,
    "commitment": 2,
    "finding": 3,
    "report": 4,
    "operation": 5,
    "logkey": 6,
    "staffkey": 7,
    "assistance": 8,
    "check": 9,
}  # fmt: skip

STATE_NUMBERS: Mapping[str, int] = {
    "DONE": 0, "ANSWERED": 1, "REFUSED": 2,
    "PREPARED": 10, "RECORDED": 11, "EXPIRED": 12, "WITHDRAWN": 13, "IN_FORCE": 14, "LAPSED": 15, "CONFIRMED": 16,
    "DISPUTED": 17, "BROKEN": 18, "INCONCLUSIVE": 19, "REPAIRED": 20,
    "BINDING": 21, "CONTESTED": 22, "REFUSAL_UPHELD": 23, "REFUSAL_LIFTED": 24, "QUESTIONED": 25,
    "DISCREPANCY": 30, "EVIDENCE_REQUESTED": 31, "CLEARED": 32, "MINOR_ERROR": 33, "FALSE_PROPOSED": 34,
    "NOTIFIED": 35, "DEFENCE_HEARD": 36, "DECIDED": 37, "DISMISSED": 38, "FINAL": 39, "REVOKED": 40,
    "EFFECT_ENDED": 41,
    "ISSUED": 50, "ACKNOWLEDGED": 51, "REJECTED": 52, "RECALLED": 53, "CLOSED": 54,
    "KEY_IN_FORCE": 60, "KEY_RETIRED": 61,
    "KEY_PROPOSED": 62, "KEY_ENROLLED": 63, "KEY_REJECTED": 64, "KEY_REVOKED": 65,
    "ERASURE_PROPOSED": 70, "ERASURE_REJECTED": 71, "HELD": 72, "RELEASED": 73,
    "SENT": 80, "RECEIVED": 81, "CLAIMED": 82, "OVERDUE": 83, "RETURNED": 84,
}  # fmt: skip

FAMILY_NAMES: Mapping[int, str] = {number: name for name, number in FAMILY_NUMBERS.items()}
STATE_NAMES: Mapping[int, str] = {number: name for name, number in STATE_NUMBERS.items()}

STEPS: Mapping[str, Mapping[int | None, int]] = {
    kind: {None if state is None else STATE_NUMBERS[state]: STATE_NUMBERS[target] for state, target in steps.items()}
    for family in FAMILIES.values()
    for kind, steps in family.transitions.items()
}
"""The same tables in numbers: kind of entry, state before, state after."""

OPENS: Mapping[str, tuple[int, int]] = {
    kind: (FAMILY_NUMBERS[FAMILY_OF[kind].name], steps[None]) for kind, steps in STEPS.items() if None in steps
}
"""Kinds that may be a record's first entry: the family and the state they open it in."""


def next_state(record: bytes, family: int, state: int, kind: str) -> int:
    """Return the number of the state that an entry of `kind` leads to, for a record of `family` in `state`.

    Raises:
        TransitionRefused: the table has no such step, or the kind is of another family.
    """
    target = STEPS[kind].get(state) if kind in STEPS and FAMILY_NUMBERS[FAMILY_OF[kind].name] == family else None
    if target is None:
        raise TransitionRefused(record, STATE_NAMES[state], kind)
    return target


def opening(record: bytes, kind: str) -> tuple[int, int]:
    """Return the family and state that an entry of `kind` opens a new record in.

    Raises:
        TransitionRefused: no record begins with this kind.
    """
    opened = OPENS.get(kind)
    if opened is None:
        raise TransitionRefused(record, None, kind)
    return opened


def state_after(record: bytes, state: State, kind: str) -> str:
    """Return the name of the state that an entry of `kind` leads to, for a record whose family is that of the kind.

    Raises:
        TransitionRefused: the table has no such step.
    """
    home = FAMILY_OF.get(kind)
    target = None if home is None else home.transitions[kind].get(state)
    if target is None:
        raise TransitionRefused(record, state, kind)
    return target
