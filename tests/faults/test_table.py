"""The gateway's table of faults says what really happens, says it wholly, and says nothing that a fault may not be."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.conformance.faults import Fault, Stage
from connectors.conformance.table import FAULTS as SOURCE_FAULTS
from connectors.conformance.table import Row, parse, render
from gateway.founding import House
from tests.faults import own, source
from tests.faults.own import OwnFault
from tests.faults.seen import COLUMNS
from tests.faults.table import FAULTS, HEAD, PATH, may_play, row

WRITTEN = PATH.read_text(encoding="utf-8")
ROWS = parse(WRITTEN, COLUMNS)
ALL = "CHENGXIN_FAULTS" in os.environ
SAMPLE = {
    *(
        f"http: {name}"
        for name in (
            "is down", "refuses connections", "accepts, never answers", "answers one byte a second",
            "an error text in a 200", "an HTML login page", "JSON of another shape", "GBK text",
            "another person's record", "two records", "an empty page", "personal data in a 5xx body", "flaps",
            "each answer twice", "does not know us, undeclared", "a compressed bomb", "the deadline is past",
            "a hasty caller", "the caller goes away", "an announced window",
        )
    ),
    "sql, SQLite: is down",
    "sql, SQLite: slow",
    "sql, SQLite: an unreadable record in one batch with a good one",
    "sql, PostgreSQL: dies between the statement and the row",
    "sql, PostgreSQL: full",
    "sql, MariaDB: flaps",
    "dropbox: half a file",
    "dropbox: old data",
    "dropbox: the folder hangs",
}  # fmt: skip
"""The faults of sources that are played each time; all are played where CHENGXIN_FAULTS is set."""


def played(fault: Fault | OwnFault) -> bool:
    return ALL or isinstance(fault, OwnFault) or fault.id in SAMPLE


def marked(fault: Fault | OwnFault) -> object:
    marks = [getattr(pytest.mark, need) for need in sorted(fault.needs) if need != "mount"]
    return pytest.param(fault, id=fault.id, marks=marks)


@pytest.fixture(scope="session")
def house() -> Iterator[House]:
    with source.founded() as founded:
        yield founded


@pytest.mark.parametrize("fault", [marked(fault) for fault in FAULTS if played(fault)])
async def test_a_fault_becomes_what_the_table_says_and_tells_nobodys_data(
    fault: Fault | OwnFault, tmp_path: Path, house: House, request: pytest.FixtureRequest
) -> None:
    urls = {}
    if isinstance(fault, Fault) and "postgres" in fault.needs:
        server = request.getfixturevalue("postgres_server")
        urls["postgres_url"] = server.render_as_string(hide_password=False)
    if "mariadb" in fault.needs:
        urls["mariadb_url"] = request.getfixturevalue("mariadb_url")
    stage = Stage(folder=tmp_path, **urls)
    if not may_play(fault, stage, may_mount="mount" in fault.needs and own.may_mount()):
        pytest.skip("no file system can be mounted here")
    assert await row(fault, stage, house) == ROWS[fault.id]


def test_the_table_holds_every_fault_once_in_order_and_is_written_as_it_would_be_again() -> None:
    assert len({fault.id for fault in FAULTS}) == len(FAULTS)
    assert render([ROWS[fault.id] for fault in FAULTS], COLUMNS, head=HEAD) == WRITTEN


def test_no_cell_is_empty() -> None:
    for one in ROWS.values():
        assert set(one.cells) == set(COLUMNS)
        assert all(cell.strip() for cell in (one.name, one.provoked, *one.cells.values())), one.id
    one = next(iter(ROWS.values()))
    silent = Row(kind="k", name="n", provoked="p", cells={**one.cells, "message": ""})
    with pytest.raises(ValueError, match="empty"):
        render([silent], COLUMNS, head=HEAD)


def test_every_fault_of_a_source_has_its_row_under_the_connectors_own_name() -> None:
    assert {fault.id for fault in SOURCE_FAULTS} <= set(ROWS)
    assert {fault.id for fault in SOURCE_FAULTS} >= SAMPLE


@pytest.mark.parametrize("column", ["answer", "step", "metrics", "over"])
def test_no_fault_leads_to_a_commitment_a_contradiction_or_a_missing_record(column: str) -> None:
    told = " ".join(one.cells[column] for one in ROWS.values())
    for word in ("COMMITMENT", "CONTRADICTED", "NO_RECORD", "MISMATCH", "DISPUTE", "NOT_ESTABLISHABLE"):
        assert word not in told


def test_whatever_was_refused_for_now_says_when_to_come_again_and_records_nothing() -> None:
    refused = [one for one in ROWS.values() if "LEDGER_UNAVAILABLE" in one.cells["status"]]
    assert len(refused) == 6
    assert all("again in" in one.cells["status"] for one in refused)
    assert all(one.cells["entry"].startswith("none") for one in refused)


def test_every_fault_that_ends_is_got_over() -> None:
    over = {one.cells["over"].split(":")[0].split(",")[0] for one in ROWS.values()}
    assert over == {"ESTABLISHED", "(it does not end by itself)"}
