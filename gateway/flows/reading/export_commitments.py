"""Export commitments: one file of what a list would show, masked; recorded before a byte of it leaves.

The file is made on disk first, in bounded memory, then its digest is recorded together with who exported which
selection and why, and only then it is sent: nobody can take the file and leave no trace by breaking off.
"""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import IO

from gateway.catalogue.book import Book
from gateway.errors import Draining, ExportImpossible
from gateway.exports.columns import COLUMNS, row_of
from gateway.exports.writers import ExportFormat, TableWriter, open_writer
from gateway.flows.await_receipts import require_publication
from gateway.flows.commitments.read import read_commitments
from gateway.flows.once import Once, Recorded
from gateway.flows.selecting import Select, Selection, require_may_select
from gateway.letters.fulfilment import telling
from gateway.rules.admission import Operator
from gateway.rules.masking import MaskRules
from gateway.rules.roles import Caller
from ledger import Draft, Ledger, new_record
from ledger.canonical import Json

_PAGE = 500
_CHUNK = 64 * 1024
_TITLE = "告知承诺"


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far the work is: commitments looked at, of how many."""

    done: int
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """The next bytes of the file."""

    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The end: rows, SHA-256 of the file, and the proof that the export was recorded."""

    rows: int
    digest: bytes
    recorded: Recorded


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportOrder:
    """What is exported, in which form, by whom and why."""

    selection: Selection
    form: ExportFormat
    operator: Operator
    purpose: str


class ExportCommitments:
    """Makes files of commitments."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        select: Select,
        once: Once,
        book: Book,
        masking: MaskRules,
        stopping: asyncio.Event,
        now: Callable[[], datetime],
        entropy: Callable[[int], bytes],
        page: int = _PAGE,
    ) -> None:
        self._ledger = ledger
        self._select = select
        self._once = once
        self._book = book
        self._masking = masking
        self._stopping = stopping
        self._now = now
        self._entropy = entropy
        self._page = page

    async def __call__(self, order: ExportOrder, caller: Caller) -> AsyncIterator[Progress | Chunk | Summary]:
        """Yield progress while the file is made, then its bytes, then what proves it.

        Raises:
            NotEntitled: another unit's commitments are not for this caller.
            ExportFormatMissing: what writes this form is not installed.
            ExportImpossible: there is no room for the file.
            Draining: the gateway stops; nothing was sent.
            NotYetPublished: nothing is published in time; nothing was sent.
        """
        require_may_select(order.selection, caller)
        await self._select.record_look(order.selection, order.operator, order.purpose)
        try:
            with (
                tempfile.TemporaryFile() as file,
                open_writer(order.form, file, COLUMNS, title=_TITLE) as writer,
            ):
                rows = 0
                async for progress in self._fill(writer, order.selection):
                    rows = progress.done
                    yield progress
                digest = await self._ledger.read(lambda: _complete(writer, file))
                # While nothing is published no byte will leave, and no export is to be recorded.
                await require_publication(self._ledger, await self._ledger.read(self._ledger.size))
                recorded = await self._record(order, digest, rows)
                while data := await self._ledger.read(lambda: file.read(_CHUNK)):
                    yield Chunk(data=data)
        except OSError as failure:
            raise ExportImpossible from failure
        yield Summary(rows=rows, digest=digest, recorded=recorded)

    async def _fill(self, writer: TableWriter, selection: Selection) -> AsyncIterator[Progress]:
        before, total = await self._ledger.read(lambda: self._extent(selection))
        done = 0
        yield Progress(done=done, total=total)
        while before:
            if self._stopping.is_set():
                raise Draining
            rows, before = await self._ledger.read(lambda at=before: self._write_page(writer, selection, at))  # type: ignore[misc]
            done += rows
            yield Progress(done=done, total=max(total, done))

    def _extent(self, selection: Selection) -> tuple[int, int]:
        """Fix the end of the log now: what is recorded later is not in the file."""
        size = self._ledger.size()
        return size, self._select.count(selection, size)

    def _write_page(self, writer: TableWriter, selection: Selection, before: int) -> tuple[int, int]:
        rows, following = self._select.page(selection, before, self._page)
        for read in read_commitments(self._ledger, rows):
            item = self._book.catalogue.items.get(read.life.row.item or "")
            writer.write(row_of(read, self._masking, telling(read.telling, item)))
        return len(rows), following

    async def _record(self, order: ExportOrder, digest: bytes, rows: int) -> Recorded:
        at = self._now()
        rules = self._masking
        masking: dict[str, Json] = {
            name: [rule.head, rule.tail]
            for name, rule in (("name", rules.name), ("id_number", rules.id_number), ("phone", rules.phone))
        }
        draft = Draft(
            kind="CommitmentsExported",
            record=new_record(at, self._entropy),
            groups={
                "selection": order.selection.body(),
                "file": {"format": order.form.value, "rows": rows, "sha256": digest.hex(), "masking": masking},
                "purpose": order.purpose,
                "operator": {"person": order.operator.person, "unit": order.operator.unit},
            },
            facts={**self._select.subject_fact(order.selection), "unit": order.operator.unit},
        )
        return await self._once.record(None, [draft], at=at)


def _complete(writer: TableWriter, file: IO[bytes]) -> bytes:
    """Complete the file, and go back to its beginning; returns its SHA-256."""
    writer.finish()
    file.seek(0)
    digest = hashlib.sha256()
    while data := file.read(_CHUNK):
        digest.update(data)
    file.seek(0)
    return digest.digest()
