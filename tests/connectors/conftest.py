"""Fixtures of this room."""

import logging
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog

from connectors.conformance.expectations import require_discretion
from tests.connectors.people import PERSONAL


@pytest.fixture
def marriages(tmp_path: Path) -> Callable[..., Path]:
    """Make a SQLite file with the given marriage rows: (id_number, name, status, spouse_id, since, state, updated)."""

    def make(*rows: tuple[object, ...]) -> Path:
        path = tmp_path / "marriages.db"
        connection = sqlite3.connect(path)
        connection.execute(
            "CREATE TABLE marriage (id_number, name, status, spouse_id, since, state, updated_at, at DATE)"
        )
        connection.executemany("INSERT INTO marriage VALUES (?,?,?,?,?,?,?,NULL)", rows)
        connection.commit()
        connection.close()
        return path

    return make


@pytest.fixture
def discreet(caplog: pytest.LogCaptureFixture) -> Iterator[list[str]]:
    """Fail the test if a log record of any library, at any level, or a text put into the list tells personal data."""
    caplog.set_level(logging.DEBUG)
    told: list[str] = []
    with structlog.testing.capture_logs() as structured:
        yield told
    told += [record.getMessage() for record in caplog.records]
    told += [str(record.exc_info) for record in caplog.records]
    told += [str(event) for event in structured]
    require_discretion(told, PERSONAL)
