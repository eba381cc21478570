"""Fixtures that several rooms use."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.engine import URL

from tests import composed, postgres, started
from tests.connectors import mariadb

_MEMORY, _ENOUGH = Path("/dev/shm"), 4 << 30


def pytest_configure() -> None:
    """Let tests write where nobody waits for a disk, if there is room: none shows what a disk keeps without power."""
    composed.remember()
    wanted = {"TMPDIR", "PYTEST_DEBUG_TEMPROOT"}.isdisjoint(os.environ)
    if wanted and os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free > _ENOUGH:
        os.environ["PYTEST_DEBUG_TEMPROOT"] = str(_MEMORY)


@pytest.fixture(scope="session", autouse=True)
def _programs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let the processes of this run agree which commands were tried with an interpreter of their own."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "tried"
    folder.mkdir(exist_ok=True)
    with started.sharing_what_was_tried(folder):
        yield


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[URL]:
    """One PostgreSQL server for this process."""
    with postgres.server() as url:
        yield url


@pytest.fixture(scope="session")
def postgres_databases(postgres_server: URL) -> Iterator[postgres.Databases]:
    """Empty databases of that server."""
    databases = postgres.Databases(postgres_server)
    yield databases
    databases.drop()


@pytest.fixture
def postgres_url(postgres_databases: postgres.Databases) -> Iterator[str]:
    """The SQLAlchemy URL of an empty PostgreSQL database."""
    with postgres_databases.lend() as url:
        yield url


@pytest.fixture(scope="session")
def mariadb_url() -> Iterator[str]:
    """The URL of a database on a real MariaDB; one server for this process."""
    if not mariadb.AVAILABLE:
        pytest.skip("neither TEST_MARIADB_URL nor a mariadbd")
    with mariadb.server() as url:
        yield url.render_as_string(hide_password=False)
