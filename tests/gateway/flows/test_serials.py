"""Codes of reports: the next serial is free, whatever became of the reports before, and however many come at once."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.flows.audit.report import Report, SerialsExhausted
from gateway.flows.audit.serials import LAST_SERIAL, code_claim, code_of, free_serial
from gateway.flows.once import Once
from ledger import BlindIndex, Ledger, RecordRow, decode_entry
from ledger.canonical import Json
from tests.ledger.house import START, House, answered, as_before, build, erasing, new_record, submission

PREFIX = "23010020260105"
FINDING = cast(RecordRow, SimpleNamespace(unit="u", matter="m", item="i", record=bytes(16), subject=None))


class Reports(Report):
    """Issues reports without content, as of one day."""

    def __init__(self, ledger: Ledger) -> None:
        nothing = cast(Any, None)
        super().__init__(
            ledger=ledger, book=nothing, once=Once(ledger, BlindIndex(key=bytes(32), version=1)), look_up=nothing,
            division="230100", authority_name="a", authority_code="b", shortest_effects={},
            now=lambda: START, entropy=os.urandom,
        )  # fmt: skip

    async def _content(self, _finding: RecordRow, _decided: datetime) -> tuple[dict[str, Json], date]:
        return {}, date(2026, 1, 5)

    async def issue(self) -> bytes:
        issued = await self.issue_with(cast(Any, None), [], finding=FINDING, decided=START, at=START)
        return decode_entry(issued.entries[0]).record


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    url = f"sqlite:///{tmp_path}/ledger.db" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    house: House = build(url, tmp_path)
    with house.open() as opened:
        yield opened


def codes(ledger: Ledger, records: list[bytes]) -> list[str | None]:
    rows = ledger.register().many(records)
    return [rows[record].code for record in records]


async def test_erased_reports_keep_their_codes_from_others_and_nobody_from_getting_one(ledger: Ledger) -> None:
    reports = Reports(ledger)
    before = [await reports.issue() for _ in range(20)]
    with as_before():
        await ledger.append(erasing(ledger, *before[:15]))
    assert codes(ledger, before)[:15] == [None] * 15

    after = [await reports.issue() for _ in range(3)]

    assert codes(ledger, before)[15:] == [code_of(PREFIX, serial) for serial in range(16, 21)]
    assert codes(ledger, after) == [code_of(PREFIX, serial) for serial in range(21, 24)]


async def test_of_reports_at_once_each_gets_a_code_of_its_own(ledger: Ledger) -> None:
    reports = Reports(ledger)
    issued = await asyncio.gather(*(reports.issue() for _ in range(20)))
    assert sorted(map(str, codes(ledger, issued))) == [code_of(PREFIX, serial) for serial in range(1, 21)]


async def test_only_when_the_last_serial_is_taken_are_they_used_up(ledger: Ledger) -> None:
    class AllButTheLast:
        """A ledger of which all codes but the last are claimed, beside what it has."""

        def __getattr__(self, name: str) -> Any:
            return getattr(ledger, name)

        async def holders(self, keys: list[bytes]) -> Mapping[bytes, RecordRow]:
            held = await ledger.holders(keys)
            last = code_claim(code_of(PREFIX, LAST_SERIAL))
            return {key: held.get(key, FINDING) for key in keys if key != last or key in held}

    reports = Reports(cast(Ledger, AllButTheLast()))
    issued = await reports.issue()
    assert codes(ledger, [issued]) == [code_of(PREFIX, LAST_SERIAL)]
    with pytest.raises(SerialsExhausted):
        await reports.issue()


@cache
def serials() -> Mapping[bytes, int]:
    return {code_claim(code_of(PREFIX, serial)): serial for serial in range(1, LAST_SERIAL + 1)}


@settings(deadline=None)
@given(st.integers(0, LAST_SERIAL), st.data())
async def test_the_first_free_serial_is_found_with_few_questions(taken: int, data: st.DataObject) -> None:
    asked: list[int] = []

    class Claims:
        """Claims of all codes up to one."""

        async def holders(self, keys: list[bytes]) -> Mapping[bytes, None]:
            asked.append(len(keys))
            return {key: None for key in keys if serials()[key] <= taken}

    after = data.draw(st.integers(0, taken))
    assert await free_serial(cast(Ledger, Claims()), PREFIX, after=after) == taken + 1
    assert len(asked) <= 5
    assert max(asked, default=0) <= 130


async def test_a_serial_that_was_given_out_of_order_is_not_given_again(ledger: Ledger) -> None:
    for serial in (1, 2, 4):
        record = new_record()
        claims = ((code_claim(code_of(PREFIX, serial)), record),)
        await ledger.append(submission(answered(record), claim_keys=claims))
    reports = Reports(ledger)
    issued = [await reports.issue() for _ in range(3)]
    assert len({*map(str, codes(ledger, issued)), *(code_of(PREFIX, serial) for serial in (1, 2, 4))}) == 6
