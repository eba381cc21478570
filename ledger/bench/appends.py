"""Appending beside bare durable rows."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger import Json, Ledger
from ledger.bench import bare
from ledger.bench.house import found, run, submission
from ledger.bench.rounds import Measured, closed_loop, compare, rate, work_off
from ledger.checks import Checks

_ENTRIES = 16_384

DOCUMENT: Json = {
    "answer": {"verdict": "ESTABLISHED", "item": "marital-status", "outcomes": ["MATCH"], "text": "x" * 120}
}


@contextmanager
def folder() -> Iterator[Path]:
    """Lend a folder that is removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="ledger-bench-") as name:
        yield Path(name)


def _rate(ledger: Ledger, callers: int, entries: int, document: Json = None) -> float:
    """Append what was made before the clock starts, as the bare rows were."""

    def prepared() -> Callable[[], Coroutine[Any, Any, int]]:
        made = submission(entries, document, once=True)

        async def act() -> int:
            done = await ledger.append(made)
            assert len(done.receipts) == entries
            return entries

        return act

    acts = [prepared() for _ in range(_ENTRIES // entries)]
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
                "SQLite through an owner process, 256 callers", lambda: _rate(ledger, 256, 1), beside, rows, target=""
            )
    with folder() as home, bare.sqlite_rows(home / "bare.sqlite3", 1) as rows, found(home / "here").open() as ledger:
        yield compare("SQLite, a lone caller", lambda: _alone(ledger), "sqlite3, 1 row a commit", rows, target="≥ 0.4")


def signed() -> Iterator[Measured]:
    """Measure appends whose Ed25519 signature is verified first."""
    key = Ed25519PrivateKey.generate()
    public, message = key.public_key(), os.urandom(300)
    signature = key.sign(message)
    with folder() as home, found(home / "here").open() as ledger:
        checks = Checks()

        async def act() -> int:
            await checks.run(lambda: public.verify(signature, message))
            await ledger.append(submission(once=True))
            return 1

        yield compare(
            "SQLite, 256 callers, an Ed25519 signature each",
            lambda: run(lambda: closed_loop(act, 256)),
            "two threads that only verify",
            bare.verifications,
            target="≥ 0.6",
        )
        checks.close()


def postgres(url: str) -> Iterator[Measured]:
    """Measure a PostgreSQL ledger in the database at `url` (SQLAlchemy)."""
    plain = url.replace("+psycopg", "")
    with folder() as home, bare.postgres_rows(plain, 256) as rows, found(home / "pg", url).open() as ledger:
        beside = "psycopg COPY, 256 rows a commit"
        yield compare(
            "PostgreSQL, 256 callers, 1 entry a call", lambda: _rate(ledger, 256, 1), beside, rows, target="≥ 0.3"
        )
        yield compare(
            "PostgreSQL, 16 callers, 64 entries a call", lambda: _rate(ledger, 16, 64), beside, rows, target=""
        )
