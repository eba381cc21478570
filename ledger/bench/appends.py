"""Appending beside bare durable rows."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ledger import Json, Ledger
from ledger.bench import bare
from ledger.bench.callers import Load, callers, prepared
from ledger.bench.house import found, run, submission
from ledger.bench.rounds import Measured, compare, rate, work_off
from ledger.checks import Checks

_ENTRIES = 16_384
_WORKERS = "SQLite, two workers and the owner"

DOCUMENT: Json = {
    "answer": {"verdict": "ESTABLISHED", "item": "marital-status", "outcomes": ["MATCH"], "text": "x" * 120}
}


@contextmanager
def folder() -> Iterator[Path]:
    """Lend a folder that is removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="ledger-bench-") as name:
        yield Path(name)


def _rate(ledger: Ledger, callers: int, entries: int, document: Json = None) -> float:
    acts = prepared(ledger, None, _ENTRIES // entries, entries, document)
    return run(lambda: work_off(acts, callers))


def _alone(ledger: Ledger) -> float:
    def one() -> int:
        done = ledger.append_blocking(submission(once=True))
        assert len(done.receipts) == 1
        return 1

    return rate(one)


def sqlite() -> Iterator[Measured]:
    """Measure an SQLite ledger in this process, and shared through an owner."""
    with folder() as home, bare.sqlite_rows(home / "bare.sqlite3", 256) as rows:
        with found(home / "here").open() as ledger:
            beside = "sqlite3, 256 rows a commit"
            yield compare(
                "SQLite, 256 callers, 1 entry a call", lambda: _rate(ledger, 256, 1), beside, rows, target="≥ 0.2"
            )
            yield compare(
                "SQLite, 16 callers, 64 entries a call", lambda: _rate(ledger, 16, 64), beside, rows, target="≥ 0.35"
            )
            yield compare(
                "the same with a sealed document, 1 a call",
                lambda: _rate(ledger, 256, 1, DOCUMENT),
                beside,
                rows,
                target="",
            )
        with found(home / "shared").shared() as ledger:
            yield compare(
                "SQLite through an owner process, 256 callers",
                lambda: _rate(ledger, 256, 1),
                beside,
                rows,
                target="≥ 0.2",
            )
        house = found(home / "workers")
        with house.owned() as socket, callers(house, socket) as workers:
            yield compare(
                f"{_WORKERS}, 16 callers, 64 entries a call",
                lambda: workers.rate(Load(appends=_ENTRIES // 64, callers=16, entries=64)),
                beside,
                rows,
                target="≥ 0.35",
            )
    with folder() as home, bare.sqlite_rows(home / "bare.sqlite3", 1) as rows, found(home / "here").open() as ledger:
        yield compare("SQLite, a lone caller", lambda: _alone(ledger), "sqlite3, 1 row a commit", rows, target="≥ 0.4")


def signed() -> Iterator[Measured]:
    """Measure appends whose Ed25519 signature is verified first, in this process and in workers beside an owner."""
    beside, load = "two threads that only verify", Load(appends=_ENTRIES // 2, callers=256, signed=True)
    with folder() as home:
        with found(home / "here").open() as ledger:
            checks = Checks()

            def here() -> float:
                acts = prepared(ledger, checks, load.appends)
                return run(lambda: work_off(acts, load.callers))

            yield compare(
                "SQLite, 256 callers, an Ed25519 signature each", here, beside, bare.verifications, target="≥ 0.6"
            )
            checks.close()
        house = found(home / "workers")
        with house.owned() as socket, callers(house, socket) as workers:
            yield compare(
                f"{_WORKERS}, the same", lambda: workers.rate(load), beside, bare.verifications, target="≥ 0.6"
            )


def postgres(url: str) -> Iterator[Measured]:
    """Measure a PostgreSQL ledger in the database at `url` (SQLAlchemy)."""
    plain = url.replace("+psycopg", "")
    beside = "psycopg COPY, 256 rows a commit"
    with folder() as home, bare.postgres_rows(plain, 256) as rows:
        house = found(home / "pg", url)
        with house.open() as ledger:
            yield compare(
                "PostgreSQL, 256 callers, 1 entry a call", lambda: _rate(ledger, 256, 1), beside, rows, target="≥ 0.3"
            )
            yield compare(
                "PostgreSQL, 16 callers, 64 entries a call", lambda: _rate(ledger, 16, 64), beside, rows, target=""
            )
        with callers(house, None) as workers:
            yield compare(
                "PostgreSQL, two processes, 256 callers, 1 entry a call",
                lambda: workers.rate(Load(appends=_ENTRIES, callers=256)),
                beside,
                rows,
                target="",
            )
