"""Standing queries: each commitment leaves one, and it is asked again until the commitment ends.

That is with its audit, or with the decision where the item is audited before it or not at all.

By schedule, when a source recovered, and when newer data came; also before the decision, so that the officer hears of
a contradiction in time. One process at a time asks, of all gateways that share a ledger, a bounded number of
commitments a round; each asking is a recorded verification, and when a commitment was asked about last is read from
the ledger.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

import structlog

from gateway.catalogue.book import Book
from gateway.catalogue.expression import facts_of
from gateway.flows.commitments.documents import WATCHED
from gateway.flows.commitments.requery import Requery
from gateway.flows.commitments.source_news import SourceNews
from gateway.rules.admission import Operator
from gateway.rules.retention import is_settled
from gateway.rules.standing_query import Askings, Rhythm, is_due
from ledger import Ledger, RecordRow

TURN = "standing queries"
"""What the gateways that share a ledger take turns at."""
PERSON = "standing-query"
"""Stands for the staff number of who asks: nobody sits at a keyboard."""
_PAGE = 256
_MOST_PAGES = 64
"""Pages of commitments looked at in one round, due or not: a round ends, however many there are."""
_log = structlog.get_logger()


class StandingQueries:
    """Asks again: at most `most` commitments a round, `parallel` of them at once, each within `patience` seconds."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        book: Book,
        requery: Requery,
        news: SourceNews,
        rhythm: Rhythm,
        most: int,
        parallel: int,
        patience: float,
        stopping: asyncio.Event,
        now: Callable[[], datetime],
    ) -> None:
        self._ledger = ledger
        self._book = book
        self._requery = requery
        self._news = news
        self._rhythm = rhythm
        self._most = most
        self._parallel = parallel
        self._patience = patience
        self._stopping = stopping
        self._now = now
        self._after = -1

    async def __call__(self) -> Mapping[str, int]:
        """Do one round: ask about those that are due, and count what came of it; nothing while another gateway asks."""
        news = await self._news.look()
        async with self._ledger.turn(TURN) as mine:
            return await self._round(news) if mine else {}

    async def _round(self, news: Mapping[str, datetime]) -> Mapping[str, int]:
        due = await self._due(news)
        results: Counter[str] = Counter()
        for begin in range(0, len(due), self._parallel):
            if self._stopping.is_set():
                break
            results.update(await asyncio.gather(*(self._ask(row) for row in due[begin : begin + self._parallel])))
        if results:
            _log.info("standing queries", done=results.total(), **{key.lower(): n for key, n in results.items()})
        return results

    async def _ask(self, row: RecordRow) -> str:
        operator = Operator(person=PERSON, unit=row.unit or "")
        deadline = asyncio.get_running_loop().time() + self._patience
        return (await self._requery.one(row, operator, deadline)).result

    async def _due(self, news: Mapping[str, datetime]) -> list[RecordRow]:
        """Go on through the log where the last round ended, until enough are due or all were looked at."""
        due: list[RecordRow] = []
        for _ in range(_MOST_PAGES):
            page = await self._page()
            askings = await self._askings(page)
            for row in page:
                if self._is_due(row, askings.get(row.record, Askings()), news):
                    due.append(row)
                self._after = row.first_idx
                if len(due) == self._most:
                    return due
            if len(page) < _PAGE:
                self._after = -1
                return due
        return due

    def _is_due(self, row: RecordRow, askings: Askings, news: Mapping[str, datetime]) -> bool:
        if row.unit is None:
            return False  # its documents are erased: nobody can be asked any more
        if is_settled(row):
            return False  # asked about for ever, it would be kept for ever
        item = self._book.catalogue.items.get(row.item or "")
        facts = {fact.fact for fact in facts_of(item.expression)} if item and item.expression else set()
        newest = max((at for fact, at in news.items() if fact in facts), default=None)
        return is_due(row.changed_at, askings, now=self._now(), rhythm=self._rhythm, news=newest)

    async def _page(self) -> list[RecordRow]:
        register, after = self._ledger.register(), self._after
        return await self._ledger.read(lambda: register.in_state("commitment", WATCHED, after_idx=after, limit=_PAGE))

    async def _askings(self, page: Sequence[RecordRow]) -> dict[bytes, Askings]:
        register, records = self._ledger.register(), [row.record for row in page]
        found = await self._ledger.read(lambda: register.count_children(records, "verification"))
        return {record: Askings(count=count, last=newest) for record, (count, newest) in found.items()}
