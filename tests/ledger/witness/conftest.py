"""Witnesses as processes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ledger.witness.house import Log, Served, init, new_log, serving


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return new_log(tmp_path).grow(5)


@pytest.fixture
def served(tmp_path: Path, log: Log) -> Iterator[Served]:
    """One witness, founded and started with its commands, that knows the log of the test."""
    keys = init(tmp_path / "served", log.signer.verifier)
    with serving(tmp_path / "served", keys) as witness:
        yield witness
