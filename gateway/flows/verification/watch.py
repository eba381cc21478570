"""Watch: how a verification stands, and each change until nothing further is awaited.

A change is a further entry of the verification's own record that carries an answer (people have answered), or a later
verification of the same claim about the same person in the same case (it was asked again). Both are found in the
ledger, so a watch may be resumed on any process, and sees what any process recorded.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from gateway.errors import DocumentErased, Draining
from gateway.flows.look_up import ANSWER, LookUp, opened_answer
from gateway.flows.once import REQUEST
from gateway.rules.fallback import StepKind
from gateway.rules.kept import table, text
from gateway.rules.reasons import is_temporary
from gateway.rules.same_claim import asks_again
from ledger import Erased, Ledger, LedgerError, Opening, RecordRow
from ledger.canonical import Json

_AWAITED = frozenset({"WAIT", "RETRY_AFTER", "ASK_APPLICANT", "ASSISTANCE", "OWN_OR_COMMISSIONED_CHECK"})
"""Next steps after which another answer comes: somebody asks again, or people answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a verification stands by one entry: the kept question and answer, what opens it, and whether it is final."""

    record: bytes
    index: int
    question: Mapping[str, Json]
    answer: Mapping[str, Json]
    openings: Mapping[str, Opening]
    final: bool


class Changes:
    """Tells those who wait that the ledger has grown, by one look at its size every `interval` seconds for all of them.

    Nobody looks while nobody waits.
    """

    def __init__(self, ledger: Ledger, *, interval: float) -> None:
        self._ledger = ledger
        self._interval = interval
        self._waiting: set[asyncio.Future[None]] = set()
        self._looking: asyncio.Task[None] | None = None

    async def beyond(self, size: int) -> None:
        """Wait until the ledger has more than `size` entries."""
        while await self._ledger.read(self._ledger.size) <= size:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.add(future)
            if self._looking is None:
                self._looking = asyncio.create_task(self._look(size))
            try:
                await future
            finally:
                self._waiting.discard(future)

    async def _look(self, size: int) -> None:
        try:
            while self._waiting:
                await asyncio.sleep(self._interval)
                with suppress(LedgerError):  # away for a while: those who wait go on waiting
                    if await self._ledger.read(self._ledger.size) > size:
                        return
        finally:
            self._looking = None
            for future in self._waiting:
                if not future.done():
                    future.set_result(None)


class Watch:
    """Follows verifications; when `stopping` is set, watches end with `Draining` and can be resumed elsewhere."""

    def __init__(self, *, ledger: Ledger, look_up: LookUp, changes: Changes, stopping: asyncio.Event) -> None:
        self._ledger = ledger
        self._look_up = look_up
        self._changes = changes
        self._stopping = stopping

    async def __call__(self, row: RecordRow, after: int) -> AsyncIterator[Standing]:
        """Yield how a verification stands by each entry after an index (-1: only by the newest, then each later one).

        Raises:
            Draining: the gateway stops.
            DocumentErased: what the answer was is erased, before the watch or during it.
        """
        while True:
            size = await self._ledger.read(self._ledger.size)
            found = await self._ledger.read(partial(self._standings, row, after))
            for standing in found[-1:] if after < 0 else found:
                yield standing
                after = standing.index
                if standing.final:
                    return
            await self._wait(size)

    async def _wait(self, size: int) -> None:
        grown = asyncio.ensure_future(self._changes.beyond(size))
        stopping = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait((grown, stopping), return_when=asyncio.FIRST_COMPLETED)
            if self._stopping.is_set():
                raise Draining
            await grown
        finally:
            grown.cancel()
            stopping.cancel()

    def _standings(self, row: RecordRow, after: int) -> list[Standing]:
        found = list(self._of_record(row, after))
        first = self._standing(row, row.first_idx)
        if first is None and not found:
            raise DocumentErased
        if first is not None and row.case_key is not None:
            step = text(table(first.answer["next_step"])["kind"])
            for later in self._ledger.register().by_case(row.case_key, row.item):
                if _is_later(later, row):
                    told = self._of_record(later, after)
                    found += [one for one in told if asks_again(first.question, step, one.question)]
        return sorted(found, key=lambda standing: standing.index)

    def _of_record(self, row: RecordRow, after: int) -> Iterator[Standing]:
        indices = [row.first_idx]
        if row.seq:
            indices = [line.idx for line in self._ledger.register().history(row.record)]
        for index in indices:
            if index > after and (standing := self._standing(row, index)):
                yield standing

    def _standing(self, row: RecordRow, index: int) -> Standing | None:
        document = self._ledger.document(index)
        if isinstance(document, Erased) or ANSWER not in document or REQUEST not in document:
            return None
        answer = table(document[ANSWER].value)
        step = text(table(answer["next_step"])["kind"])
        question = table(document[REQUEST].value)
        return Standing(
            record=row.record,
            index=index,
            question=question,
            answer=answer,
            openings=opened_answer(document[ANSWER]),
            final=_is_final(step, answer),
        )


def _is_final(step: str, answer: Mapping[str, Json]) -> bool:
    if step in _AWAITED:
        return False
    # Where nothing further can be done but somebody is overdue, a late answer may still come.
    reasons = answer["reasons"]
    waits = isinstance(reasons, list) and any(isinstance(one, str) and is_temporary(one) for one in reasons)
    return not (step == StepKind.NOT_ESTABLISHABLE.value and waits)


def _is_later(one: RecordRow, first: RecordRow) -> bool:
    return (
        one.family == "verification"
        and one.state == "ANSWERED"
        and one.subject == first.subject
        and one.first_idx > first.first_idx
    )
