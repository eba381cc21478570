"""Which entry may follow which: one table a family of records, pure and total.

A state of None means that the record does not exist yet. What is not in a table is refused.
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


_LOOKING = ("DISCREPANCY", "EVIDENCE_REQUESTED")

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
                "CommitmentPrepared": _to("PREPARED", None),
                "CommitmentRecorded": _to("RECORDED", "PREPARED"),
                "CommitmentExpired": _to("EXPIRED", "PREPARED"),
                "CommitmentRefused": {None: "REFUSED", "PREPARED": "PREPARED"},
                "CommitmentWithdrawn": _to("WITHDRAWN", "RECORDED"),
                "DecisionRecorded": _to("IN_FORCE", "RECORDED"),
                "CommitmentLapsed": _to("LAPSED", "RECORDED"),
                "CommitmentRequeried": _to("IN_FORCE", "IN_FORCE"),
                "CommitmentConfirmed": _to("CONFIRMED", "IN_FORCE"),
                "CommitmentDisputed": _to("DISPUTED", "IN_FORCE"),
                "CommitmentCleared": _to("CONFIRMED", "DISPUTED"),
                "CommitmentBroken": _to("BROKEN", "DISPUTED"),
                "CommitmentInconclusive": _to("INCONCLUSIVE", "DISPUTED"),
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
                "DefenceHeard": _to("DEFENCE_HEARD", "NOTIFIED"),
                "DefenceLapsed": _to("DEFENCE_HEARD", "NOTIFIED"),
                "FindingDecided": _to("DECIDED", "DEFENCE_HEARD"),
                "FindingDismissed": _to("DISMISSED", "DEFENCE_HEARD"),
                "FindingFinalised": _to("FINAL", "DECIDED"),
                "FindingRevoked": _to("REVOKED", "DECIDED", "FINAL"),
                "FindingRepaired": _to("REPAIRED", "FINAL"),
            },
        ),
        _family(
            "report",
            {
                "ReportIssued": _to("ISSUED", None),
                "ReportAcknowledged": _to("ACKNOWLEDGED", "ISSUED"),
                "ReportRejected": _to("REJECTED", "ISSUED"),
                "ReportReissued": _to("ISSUED", "REJECTED"),
                "ReportRecalled": _to("RECALLED", "ISSUED", "ACKNOWLEDGED"),
                "ReportRepaired": _to("REPAIRED", "ISSUED", "ACKNOWLEDGED"),
            },
        ),
        _family(
            "operation",
            {
                "LogOpened": _to("DONE", None),
                "CatalogueEnacted": _to("DONE", None),
                "PolicyEnacted": _to("DONE", None),
                "KeyEnrolled": _to("DONE", None),
                "DocumentErased": _to("DONE", None),
            },
        ),
    )
}
"""Every family, by name."""

FAMILY_OF: Mapping[str, Family] = {kind: family for family in FAMILIES.values() for kind in family.transitions}
"""The family of each kind of entry; a kind belongs to one family only."""


def next_state(record: bytes, family: str | None, state: State, kind: str) -> str:
    """Return the state that an entry of `kind` leads to, for a record of `family` (None: it does not exist) in `state`.

    Raises:
        TransitionRefused: the table has no such step, or the kind is of another family.
    """
    home = FAMILY_OF.get(kind)
    if home is None or family not in (None, home.name):
        raise TransitionRefused(record, state, kind)
    target = home.transitions[kind].get(state)
    if target is None:
        raise TransitionRefused(record, state, kind)
    return target
