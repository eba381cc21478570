"""Do what a request asks once, however often it comes; and never answer what is not recorded.

The same request_id with the same body gives the first outcome again, byte for byte; with another body
`RequestIdReused` names the fields that differ. A body names people by numbers that can be guessed, so what is stored to
compare bodies is a keyed digest, which goes when the body's document is erased: a repeat is then answered with that.
Refusals of the ledger become refusals of the gateway here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import ClassVar, TypeVar
from uuid import UUID

from msgspec import Struct

from connectors.veiled import Veiled
from gateway.errors import DocumentErased, GatewayError, RequestIdReused, TransitionNotAllowed
from gateway.flows.await_receipts import once_published
from gateway.rules.admission import Operator
from gateway.rules.request_key import differing_fields, request_key
from gateway.rules.roles import Caller
from ledger import (
    Appended,
    BlindIndex,
    Draft,
    EntryUnpublished,
    Erased,
    Idempotency,
    IdempotencyConflict,
    Ledger,
    Level,
    Opening,
    RecordErased,
    Replay,
    Submission,
    TransitionRefused,
    decode_entry,
)
from ledger.canonical import Json, canonical

Answer = TypeVar("Answer")
Sequenced = Callable[[], None]
"""Is called when something is recorded whose publication must still be waited for."""
REQUEST = "request"
"""The group of the first entry that keeps the request's body, to tell a repeat from another request."""


class Request(Veiled, frozen=True, kw_only=True):
    """A writing request: who sent it and acts, its id, and its whole body (with the method) as a canonical value."""

    caller: Caller
    operator: Operator
    request_id: UUID
    body: dict[str, Json]

    refusal: str = ""
    """Empty, or the rule that refuses the request: a refusal is recorded once for each rule, and the request stays
    open, for the rule may fall away."""

    shown: ClassVar = ("caller", "operator", "request_id", "refusal")

    @property
    def key(self) -> bytes:
        """Tell this request from every other."""
        scope = f"{self.caller.id}\x00{self.refusal}" if self.refusal else self.caller.id
        return request_key(scope, self.request_id)

    @property
    def person(self) -> dict[str, Json]:
        """Who acts, as it is kept."""
        return {"person": self.operator.person, "unit": self.operator.unit}


class Recorded(Struct, frozen=True, kw_only=True):
    """Entries that one request made: the first index, the bytes of each, and its receipt (a tlog-proof text)."""

    first: int
    entries: tuple[bytes, ...]
    receipts: tuple[bytes, ...]
    size: int
    replayed: bool
    openings: tuple[Mapping[str, Opening], ...] = ()
    """What opens the groups of each entry that was just made; of a replayed one the vault has it."""

    @property
    def record(self) -> bytes:
        """The record of the first entry."""
        return decode_entry(self.entries[0]).record


class Once:
    """Records requests, each once."""

    def __init__(self, ledger: Ledger, index: BlindIndex) -> None:
        self._ledger = ledger
        self._index = index

    async def replay(self, request: Request, *, sequenced: Sequenced | None = None) -> Recorded | None:
        """Return what the request came to before, or None when it is new; `sequenced` is as in `record`.

        Raises:
            RequestIdReused: the request_id came with another body.
            DocumentErased: its document was erased, and whether the body is the same cannot be told any more.
            NotYetPublished: it is recorded, and nothing proves it in the time that the call has.
        """
        seen = await self._ledger.find(request.key)
        if seen is None:
            return None
        replayed = await self._ledger.look(lambda: self._replay(request, seen))
        if replayed.receipts:
            return replayed
        return await self._once_published(_end(replayed), lambda: self._look_again(request), sequenced)

    async def _once_published(
        self, size: int, read: Callable[[], Awaitable[Answer]], sequenced: Sequenced | None
    ) -> Answer:
        if sequenced is None:
            return await once_published(self._ledger, size, read)
        sequenced()
        return await once_published(self._ledger, size, read, ends_by_itself=True)

    async def _look_again(self, request: Request) -> Recorded | None:
        """Look at a request whose receipts were waited for: a fail-over meanwhile may have lost it, or them."""
        seen = await self._ledger.find(request.key)
        if seen is None:
            return None
        replayed = await self._ledger.look(lambda: self._replay(request, seen))
        if not replayed.receipts:
            raise EntryUnpublished(_end(replayed), 0)
        return replayed

    async def done_or(self, request: Request, refusal: GatewayError) -> Recorded:
        """Return what a request, which was new, came to since; where it came to nothing, raise what refuses it.

        Of one request that is sent twice at one moment, the second may find what the first made of things: it is
        answered as the first was, and not refused for it.
        """
        if replayed := await self.replay(request):
            return replayed
        raise refusal

    def _replay(self, request: Request, seen: Replay) -> Recorded:
        if not seen.body_digest:
            raise DocumentErased
        if seen.body_digest != self._digest(request):
            raise self._reused(request, seen.first_idx)
        return _recorded(self._ledger.replay(seen))

    def _digest(self, request: Request) -> bytes:
        return self._index.digest(canonical(request.body))

    async def record(
        self,
        request: Request | None,
        drafts: Sequence[Draft],
        *,
        at: datetime,
        claims: Sequence[tuple[bytes, bytes]] = (),
        releases: Sequence[bytes] = (),
        sequenced: Sequenced | None = None,
    ) -> Recorded:
        """Append the drafts as one atomic submission, and wait for their receipts as long as the call has time.

        With `sequenced`, whoever calls ends the waiting: it is called once they are recorded, if their publication must
        still be waited for.

        Raises:
            NotYetPublished: they are recorded, and nothing proves it in the time that the call has.
            RequestIdReused: the request_id came with another body.
            AlreadyClaimed: something that may exist once only exists already.
            TransitionNotAllowed: the record's life does not allow this now.
            DocumentErased: a record's documents are erased, and nothing follows them.
        """
        try:
            appended = await self._ledger.append(
                Submission(
                    drafts=tuple(drafts),
                    at=at,
                    idempotency=Idempotency(key=request.key, body_digest=self._digest(request)) if request else None,
                    claim_keys=tuple(claims),
                    release_keys=tuple(releases),
                ),
                Level.SEQUENCED,
            )
        except IdempotencyConflict as error:
            if request is None:
                raise
            first, asked = error.first_idx, request
            raise await self._ledger.look(lambda: self._reused(asked, first)) from error
        except RecordErased as error:
            raise DocumentErased from error
        except TransitionRefused as error:
            raise TransitionNotAllowed(error.kind, error.state or "ABSENT") from error
        if not appended.receipts:
            ledger, unproved = self._ledger, appended
            appended = await self._once_published(
                appended.entries[-1].index + 1, lambda: ledger.read(lambda: ledger.prove(unproved)), sequenced
            )
        return _recorded(appended)

    def _reused(self, request: Request, first: int) -> RequestIdReused:
        document = self._ledger.document(first)
        if isinstance(document, Erased):
            return RequestIdReused(())
        kept = document.get(REQUEST)
        return RequestIdReused(differing_fields(kept.value if kept else None, request.body))


def _end(recorded: Recorded) -> int:
    return recorded.first + len(recorded.entries)


def _recorded(appended: Appended) -> Recorded:
    return Recorded(
        first=appended.entries[0].index,
        entries=tuple(entry.entry for entry in appended.entries),
        receipts=appended.receipts,
        size=appended.size,
        replayed=appended.replayed,
        openings=appended.openings,
    )
