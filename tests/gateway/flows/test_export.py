"""What becomes of an export that cannot be made: nothing is sent, nothing is recorded."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.catalogue.book import Book
from gateway.catalogue.loader import load_catalogue, shipped_catalogue_files
from gateway.errors import Draining, ExportImpossible, NotEntitled, NotYetPublished
from gateway.exports.writers import ExportFormat
from gateway.flows.await_receipts import answer_by
from gateway.flows.once import Once
from gateway.flows.reading.export_commitments import Chunk, ExportCommitments, ExportOrder, Progress, Summary
from gateway.flows.reading.list_commitments import FAMILY, STATES
from gateway.flows.selecting import Select, Selection
from gateway.rules.admission import Operator
from gateway.rules.masking import MaskRules
from gateway.rules.roles import Caller, Role
from ledger import BlindIndex, Draft, Ledger, Level, Submission
from ledger.appends.publishing import Publisher
from tests.ledger.house import START, answered, build, submission
from tests.ledger.test_publishing import NEVER

UNIT = "11230000000000101E"
CALLER = Caller(id="x", unit=UNIT, roles=frozenset({Role.OFFICER}))
BOOK = Book(load_catalogue(shipped_catalogue_files()))
DOCUMENT = {
    "matter": {"code": "m", "title": "企业登记"}, "case": "办1",
    "applicant": {"name": "示例甲", "id_type": "resident-id", "id_number": "230199198001010072"},
    "authority": {"unit": UNIT, "name": "示例局"},
    "item": {"code": "i", "title": "残疾状况证明"},
    "notice": [{"part": "liability.civil", "text": "依法追究"}],
    "publication": {"scope": "NOT_PUBLIC", "consent": "NOT_SAID"},
    "facts": [{"label": "残疾等级", "value": "二级"}],
}  # fmt: skip


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    with build(f"sqlite:///{tmp_path}/ledger.db", tmp_path).open() as opened:
        yield opened


def commit(ledger: Ledger, item: str) -> None:
    facts = {"unit": UNIT, "item": item, "matter": "m"}
    draft = Draft(kind="CommitmentPrepared", record=os.urandom(16), groups={"document": DOCUMENT}, facts=facts)  # type: ignore[arg-type]
    ledger.append_blocking(Submission((draft,), START))


def exporter(ledger: Ledger, *, stopping: asyncio.Event | None = None, page: int = 2) -> ExportCommitments:
    index = BlindIndex(key=bytes(32), version=1)
    once = Once(ledger, index)
    select = Select(ledger=ledger, once=once, index=index, now=lambda: START, entropy=os.urandom, span=3)
    return ExportCommitments(
        ledger=ledger, select=select, once=once, book=BOOK, masking=MaskRules(), stopping=stopping or asyncio.Event(),
        now=lambda: START, entropy=os.urandom, page=page,
    )  # fmt: skip


def order(unit: str = UNIT) -> ExportOrder:
    selection = Selection(family=FAMILY, states=STATES, unit=unit)
    operator = Operator(person="officer-07", unit=UNIT)
    return ExportOrder(selection=selection, form=ExportFormat.JSONL, operator=operator, purpose="报表")


async def test_rows_come_page_by_page_and_later_ones_are_not_in_the_file(ledger: Ledger) -> None:
    for _ in range(5):
        commit(ledger, "business-premises")
    parts: list[Progress | Chunk | Summary] = []
    async for part in exporter(ledger)(order(), CALLER):
        if len(parts) == 2:
            commit(ledger, "business-premises")
        parts.append(part)
    progress = [(one.done, one.total) for one in parts if isinstance(one, Progress)]
    data = b"".join(one.data for one in parts if isinstance(one, Chunk))
    assert (progress[0], progress[-1], len(data.splitlines())) == ((0, 5), (5, 5), 5)
    assert isinstance(parts[-1], Summary)
    assert parts[-1].rows == 5
    last_progress = max(at for at, one in enumerate(parts) if isinstance(one, Progress))
    assert all(isinstance(one, Chunk) for one in parts[last_progress + 1 : -1])


async def test_while_nothing_is_published_no_export_is_sent_and_none_is_recorded(tmp_path: Path) -> None:
    with build(f"sqlite:///{tmp_path}/ledger.db", tmp_path).open(publishing=NEVER) as ledger:
        await ledger.append(submission(answered()), Level.SEQUENCED)
        sent: list[Progress | Chunk | Summary] = []

        async def export() -> None:
            async for part in exporter(ledger)(order(), CALLER):
                sent.append(part)

        for _ in range(2):
            answer_by(asyncio.get_running_loop().time() + 0.2)
            with pytest.raises(NotYetPublished):
                await asyncio.wait_for(export(), 20)
        assert all(isinstance(part, Progress) for part in sent)
        assert ledger.size() == 1
        answer_by(asyncio.get_running_loop().time() + 20)
        exporting = asyncio.create_task(export())
        publisher = ledger._progress
        assert isinstance(publisher, Publisher)
        while not exporting.done():
            await asyncio.to_thread(publisher.round)
        await exporting
        assert isinstance(sent[-1], Summary)
        assert ledger.size() == 2


async def test_a_sensitive_item_or_one_that_the_catalogue_lost_shows_no_fact(ledger: Ledger) -> None:
    for item in ("disability", "gone-from-the-catalogue", "business-premises"):
        assert (item in BOOK.catalogue.items) is (item != "gone-from-the-catalogue")
        commit(ledger, item)
    parts = [part async for part in exporter(ledger)(order(), CALLER)]
    lines = b"".join(one.data for one in parts if isinstance(one, Chunk)).decode().splitlines()
    assert ["二级" in line for line in lines] == [True, False, False]


async def test_no_room_for_the_file_is_told_and_nothing_is_recorded(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    commit(ledger, "business-premises")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    with pytest.raises(ExportImpossible):
        [part async for part in exporter(ledger)(order(), CALLER)]
    assert ledger.size() == 1


async def test_a_gateway_that_stops_ends_the_export_before_anything_was_sent(ledger: Ledger) -> None:
    for _ in range(4):
        commit(ledger, "business-premises")
    stopping, seen = asyncio.Event(), list[Progress | Chunk | Summary]()

    async def take() -> None:
        async for part in exporter(ledger, stopping=stopping)(order(), CALLER):
            seen.append(part)
            stopping.set()

    with pytest.raises(Draining):
        await take()
    assert all(isinstance(part, Progress) for part in seen)
    assert ledger.size() == 4


async def test_another_units_commitments_are_not_exported_and_that_is_not_recorded(ledger: Ledger) -> None:
    commit(ledger, "business-premises")
    with pytest.raises(NotEntitled):
        [part async for part in exporter(ledger)(order("112300000000002027"), CALLER)]
    assert ledger.size() == 1
