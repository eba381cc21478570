"""Fixtures that several rooms use."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy.engine import URL

from tests import postgres
from tests.connectors import mariadb


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[URL]:
    """One PostgreSQL server for this process."""
    with postgres.server() as url:
        yield url


@pytest.fixture
def postgres_url(postgres_server: URL) -> Iterator[str]:
    """The SQLAlchemy URL of a fresh, empty PostgreSQL database."""
    with postgres.database(postgres_server) as url:
        yield url


@pytest.fixture(scope="session")
def mariadb_url() -> Iterator[str]:
    """The URL of a database on a real MariaDB; one server for this process."""
    if not mariadb.AVAILABLE:
        pytest.skip("neither TEST_MARIADB_URL nor a mariadbd")
    with mariadb.server() as url:
        yield url.render_as_string(hide_password=False)
