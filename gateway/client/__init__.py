"""The client library of the gateway: typed questions, answers and refusals, with every receipt verified offline.

It needs nothing of the server but how names are compared (`connectors.names`). `GatewayClient` is for asyncio,
`BlockingGatewayClient` for threads; both send the same request_id again when they ask again, so that nothing is ever
asked or recorded twice.
"""

from __future__ import annotations

from gateway.client.asynchronous import GatewayClient
from gateway.client.batches import BatchOutcome
from gateway.client.blocking import BlockingGatewayClient
from gateway.client.channel import open_blocking_channel, open_channel
from gateway.client.commitments import (
    Acting,
    Commitment,
    CommitmentSelection,
    Exported,
    ExportIncomplete,
    LifeStep,
)
from gateway.client.credentials import CredentialsWrong, PeerRefused, require_handshake
from gateway.client.listing import Selection
from gateway.client.pages import ListIncomplete
from gateway.client.proofs import LogKeys, OpenedGroup, ProvenEntry, ReceiptRefused
from gateway.client.refusals import (
    AlreadyUsed,
    DeadlinePassed,
    FieldMistake,
    Forbidden,
    GatewayRefusal,
    InvalidQuestion,
    NotFound,
    NotNow,
    NotPossible,
    Unavailable,
    explain,
    refusal_of,
)
from gateway.client.retries import Retries
from gateway.client.values import (
    Answer,
    Case,
    FactOutcome,
    NextStep,
    Person,
    PlanExplained,
    PlannedFact,
    Question,
    Standing,
    Step,
    Verdict,
    Verification,
    new_request_id,
)

__all__ = [
    "Acting",
    "AlreadyUsed",
    "Answer",
    "BatchOutcome",
    "BlockingGatewayClient",
    "Case",
    "Commitment",
    "CommitmentSelection",
    "CredentialsWrong",
    "DeadlinePassed",
    "ExportIncomplete",
    "Exported",
    "FactOutcome",
    "FieldMistake",
    "Forbidden",
    "GatewayClient",
    "GatewayRefusal",
    "InvalidQuestion",
    "LifeStep",
    "ListIncomplete",
    "LogKeys",
    "NextStep",
    "NotFound",
    "NotNow",
    "NotPossible",
    "OpenedGroup",
    "PeerRefused",
    "Person",
    "PlanExplained",
    "PlannedFact",
    "ProvenEntry",
    "Question",
    "ReceiptRefused",
    "Retries",
    "Selection",
    "Standing",
    "Step",
    "Unavailable",
    "Verdict",
    "Verification",
    "explain",
    "new_request_id",
    "open_blocking_channel",
    "open_channel",
    "refusal_of",
    "require_handshake",
]
