"""Every act upon a commitment, in one place for the doors that call them."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.flows.commitments.contest import Contest
from gateway.flows.commitments.decide import Decide
from gateway.flows.commitments.prepare import Prepare
from gateway.flows.commitments.record import RecordSigned
from gateway.flows.commitments.standing import StandingQueries
from gateway.flows.commitments.sweep import Sweep
from gateway.flows.commitments.withdraw import Withdraw


@dataclass(frozen=True, slots=True, kw_only=True)
class Commitments:
    """The life of a commitment."""

    prepare: Prepare
    record: RecordSigned
    withdraw: Withdraw
    decide: Decide
    contest: Contest
    sweep: Sweep
    standing: StandingQueries
