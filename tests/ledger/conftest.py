"""A ledger on each kind of database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger import Ledger
from tests.ledger.house import House, build


@pytest.fixture
def sqlite_house(tmp_path: Path) -> House:
    return build(f"sqlite:///{tmp_path}/ledger.db", tmp_path)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def house(request: pytest.FixtureRequest, tmp_path: Path) -> House:
    if request.param == "sqlite":
        return build(f"sqlite:///{tmp_path}/ledger.db", tmp_path)
    return build(request.getfixturevalue("postgres_url"), tmp_path)


@pytest.fixture
def opened(house: House) -> Iterator[Ledger]:
    with house.open() as ledger:
        yield ledger


@pytest.fixture
def sqlite_ledger(sqlite_house: House) -> Iterator[Ledger]:
    with sqlite_house.open() as ledger:
        yield ledger
