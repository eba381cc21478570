"""The witnesses of the log's own policy: asked at the start what they hold, and named in the log for what they do."""

from __future__ import annotations

from collections.abc import Mapping

import structlog

from gateway.config import LedgerSettings
from ledger import KeyHistory
from ledger.witness.client import WitnessCosigners
from ledger.witness.outcomes import Ahead, CosignedBy, Forgetful, Outcome, Shows
from ledger.witness.policy_file import load_policy

_log = structlog.get_logger()


def open_witnesses(settings: LedgerSettings, history: KeyHistory) -> WitnessCosigners | None:
    """Make the client of the witnesses that the configured policy names; None if no policy is configured.

    Raises:
        ledger.PolicyError: the policy cannot be used; every mistake is named.
        ledger.AlgorithmUnavailable: a key is of an algorithm whose library is not installed.
    """
    if settings.witness_policy_file is None:
        return None
    policy = load_policy(settings.witness_policy_file)
    return WitnessCosigners(policy, timeout=settings.witness_timeout, open_ours=history.open, told=WitnessNews())


def ask_witnesses(witnesses: WitnessCosigners, origin: str) -> Mapping[str, bytes]:
    """Ask every witness for the newest checkpoint it holds of the log; returns the notes, by who showed them.

    A witness that shows none is named in a warning and does not hinder.
    """
    notes: dict[str, bytes] = {}
    for answer in witnesses.newest(origin):
        if isinstance(answer, Shows):
            notes[f"witness {answer.witness}"] = answer.note
        else:
            _log.warning("a witness shows no checkpoint to compare with", witness=answer.witness, reason=answer.reason)
    return notes


class WitnessNews:
    """Logs what a witness does instead of cosigning, once for each thing it does in a row."""

    def __init__(self) -> None:
        self._newest: dict[str, str] = {}

    def __call__(self, outcome: Outcome) -> None:
        """Take what a witness did."""
        reason = "" if isinstance(outcome, CosignedBy) else _reason(outcome)
        before = self._newest.get(outcome.witness, "")
        self._newest[outcome.witness] = reason
        if reason == before:
            return
        if reason:
            _log.warning("a witness does not cosign", witness=outcome.witness, outcome=_kind(outcome), reason=reason)
        else:
            _log.info("a witness cosigns again", witness=outcome.witness)


def _kind(outcome: Outcome) -> str:
    return type(outcome).__name__


def _reason(outcome: Outcome) -> str:
    if isinstance(outcome, CosignedBy):
        return ""
    if isinstance(outcome, Ahead):
        return "it says, and does not prove, that it cosigned a larger checkpoint than ours"
    if isinstance(outcome, Forgetful):
        return "it has forgotten what it cosigned; its word counts no more"
    return outcome.reason
