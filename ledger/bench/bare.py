"""What the machine does without us: the same durable rows, the same signatures."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger.bench.rounds import SECONDS, rate


@contextmanager
def sqlite_rows(file: Path, batch: int) -> Iterator[Any]:
    """Lend what inserts rows of an entry's size durably for a while, in batches, beside a head row; rows a second."""
    with closing(sqlite3.connect(file, isolation_level=None)) as database:
        for pragma in ("journal_mode = WAL", "synchronous = FULL"):
            database.execute(f"PRAGMA {pragma}")
        database.execute("CREATE TABLE entry (idx INTEGER PRIMARY KEY, leaf BLOB, hash BLOB)")
        database.execute("CREATE TABLE head (id INTEGER PRIMARY KEY, size INTEGER, root BLOB)")
        database.execute("INSERT INTO head VALUES (1, 0, x'')")
        size = 0

        def one() -> int:
            nonlocal size
            database.execute("BEGIN IMMEDIATE")
            rows = [(size + n, bytes(300), bytes(32)) for n in range(batch)]
            database.executemany("INSERT INTO entry VALUES (?, ?, ?)", rows)
            size += batch
            database.execute("UPDATE head SET size = ?, root = ? WHERE id = 1", (size, bytes(32)))
            database.execute("COMMIT")
            return batch

        yield lambda: rate(one)


@contextmanager
def postgres_rows(url: str, batch: int) -> Iterator[Any]:
    """Lend the same for PostgreSQL, with COPY; `url` is a libpq connection string."""
    import psycopg

    with psycopg.connect(url) as database:
        database.execute("CREATE TABLE bare_entry (idx int8 PRIMARY KEY, leaf bytea, hash bytea)")
        database.execute("CREATE TABLE bare_head (id int4 PRIMARY KEY, size int8, root bytea)")
        database.execute("INSERT INTO bare_head VALUES (1, 0, '')")
        database.commit()
        size = 0

        def one() -> int:
            nonlocal size
            with database.cursor() as cursor:
                with cursor.copy("COPY bare_entry FROM STDIN (FORMAT BINARY)") as copy:
                    copy.set_types(["int8", "bytea", "bytea"])
                    for n in range(batch):
                        copy.write_row((size + n, bytes(300), bytes(32)))
                size += batch
                cursor.execute("UPDATE bare_head SET size = %s, root = %s WHERE id = 1", (size, bytes(32)))
            database.commit()
            return batch

        yield lambda: rate(one)


def verifications(threads: int = 2) -> float:
    """Verify Ed25519 signatures on some threads that do nothing else; signatures a second."""
    key = Ed25519PrivateKey.generate()
    message, public = bytes(300), key.public_key()
    signature = key.sign(message)
    ends = time.perf_counter() + SECONDS

    def work() -> int:
        done = 0
        while time.perf_counter() < ends:
            for _ in range(16):
                public.verify(signature, message)
            done += 16
        return done

    with ThreadPoolExecutor(threads) as pool:
        return sum(future.result() for future in [pool.submit(work) for _ in range(threads)]) / SECONDS
