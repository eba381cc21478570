"""Refusals: the proof that one was recorded goes with it to whoever is refused."""

from __future__ import annotations

from gateway.errors import GatewayError, Recording
from gateway.flows.look_up import LookUp
from gateway.flows.once import Recorded

REFUSAL = "refusal"
"""The group of a refusal's document that says by which rule."""


async def attach_proof(refusal: GatewayError, recorded: Recorded, look_up: LookUp) -> None:
    """Attach to a refusal the proof of its entry, and what opens it."""
    if recorded.replayed:
        opening = (await look_up.groups(recorded.record, recorded.first))[REFUSAL].opening
    else:
        opening = recorded.openings[0][REFUSAL]
    refusal.recording = Recording(
        proof=recorded.receipts[0], index=recorded.first, size=recorded.size, record=recorded.record, group=REFUSAL,
        opening=opening,
    )  # fmt: skip
