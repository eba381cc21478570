from pathlib import Path

import pytest

from connectors.conformance.faults import Fault, Stage
from connectors.conformance.table import FAULTS, PATH, Row, parse, render, row

WRITTEN = PATH.read_text(encoding="utf-8")
ROWS = parse(WRITTEN)


def marked(fault: Fault) -> object:
    return pytest.param(fault, id=fault.id, marks=[getattr(pytest.mark, need) for need in sorted(fault.needs)])


@pytest.mark.parametrize("fault", [marked(fault) for fault in FAULTS])
async def test_a_fault_becomes_what_the_table_says_and_tells_nobodys_data(
    fault: Fault, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    urls = {}
    if "postgres" in fault.needs:
        server = request.getfixturevalue("postgres_server")
        urls["postgres_url"] = server.render_as_string(hide_password=False)
    if "mariadb" in fault.needs:
        urls["mariadb_url"] = request.getfixturevalue("mariadb_url")
    assert await row(fault, Stage(folder=tmp_path, **urls)) == ROWS[fault.id]


def test_the_table_holds_every_fault_once_in_order_and_is_written_as_it_would_be_again() -> None:
    assert len({fault.id for fault in FAULTS}) == len(FAULTS)
    assert render([ROWS[fault.id] for fault in FAULTS]) == WRITTEN


UNHARMED = {
    "http: flaps",
    "http: each answer twice",
    "sql, PostgreSQL: flaps",
    "sql, MariaDB: flaps",
    "dropbox: the newest drop is bad",
    "http: a thousand questions at once",
    "sql, SQLite: a thousand questions at once",
    *(f"sql, {one}: an unreadable record in one batch with a good one" for one in ("SQLite", "PostgreSQL", "MariaDB")),
}
"""The faults under which the source still gives its own answer to somebody."""


def test_no_fault_makes_an_answer_up() -> None:
    assert {one.id for one in ROWS.values() if "MATCH" in one.cells["outcome"]} == UNHARMED
    told = [one.cells["outcome"] + one.cells["over"] for one in ROWS.values()]
    assert not any("NO_RECORD" in text or "MISMATCH" in text for text in told)


def test_every_fault_that_ends_is_got_over() -> None:
    over = {one.cells["over"] for one in ROWS.values()}
    assert over == {"MATCH", "MATCH beside MATCH", "(it does not end by itself)"}


def test_a_row_with_an_empty_cell_is_refused() -> None:
    one = next(iter(ROWS.values()))
    with pytest.raises(ValueError, match="empty"):
        render([Row(kind=one.kind, name=one.name, provoked=one.provoked, cells={**one.cells, "log": " "})])
    with pytest.raises(ValueError, match="empty"):
        render([one], {"outcome": "outcome", "gateway": "the gateway answers"})
