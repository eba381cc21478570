"""Remnants: what a database keeps of rows that were deleted or overwritten, and how it is made to forget them.

SQLite (`secure_delete` is on for the writer): deleted bytes are overwritten in the database, and the write-ahead log is
emptied here. PostgreSQL: `VACUUM` gives up old row versions, so that no dump has them, but their bytes lie in free
space of the table's files until it is reused, and a physical backup copies them. So the table of keys is written anew
(`VACUUM FULL`, about 130 bytes a document, locked meanwhile), after which what is left of a document is ciphertext
without a key; the table of documents only on request. Write-ahead log segments, archived ones included, and backups
made before are backups: they end by their own retention, which must be short.

What tells a repeat of a request from another request is a digest of its body, and is given up with the document that
kept the body. Nothing leads from an entry to its request but the whole table, which is why this is done here, once for
all that was erased, and not by the append that erases.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any, Literal

from sqlalchemy import Engine, select
from sqlalchemy.exc import DBAPIError

from ledger.errors import RemnantsLeft
from ledger.log import schema
from ledger.log.databases import Database, database_at
from ledger.log.store import cause_of

Rewrite = Literal["none", "keys", "all"]
"""Which tables are written anew: none (appends never wait), that of keys, or those of documents and requests as well
(SQLite: the file)."""


def clear_remnants(url: str, *, rewrite: Rewrite = "keys") -> None:
    """Make the database forget deleted keys and documents, and the digests of the requests that they came from.

    Raises:
        LedgerLocked: the SQLite file has a writer.
        RemnantsLeft: the database did not do it, for instance because a reader still needs old pages.
    """
    database = database_at(url, unhurried=True)
    database.lock()
    engine = database.writer()
    drivers: Any = engine.dialect.loaded_dbapi
    try:
        _rewrite(database, engine, rewrite)
        # After the keys: that digests are left tells a check that clearing did not come to its end.
        _forget_requests(engine)
        _give_up(database, engine, "idempotency", full=rewrite == "all")
    except (drivers.Error, DBAPIError) as failure:
        raise RemnantsLeft(
            f"the database could not be cleaned of what was deleted ({cause_of(failure)}): clean it again"
        ) from failure
    finally:
        engine.dispose()
        database.unlock()


def _forget_requests(engine: Engine) -> None:
    used, key = schema.idempotency, schema.vault_key
    erased = used.c.first_idx.in_(select(key.c.idx).where(key.c.wrapped.is_(None)))
    with engine.begin() as connection:
        connection.execute(used.update().where(used.c.body_digest != b"", erased).values(body_digest=b""))


def _rewrite(database: Database, engine: Engine, rewrite: Rewrite) -> None:
    if rewrite == "all" and database.name == "sqlite":
        with _raw(engine) as driver:
            driver.execute("VACUUM")
    _give_up(database, engine, "vault_key", full=rewrite != "none")
    _give_up(database, engine, "vault_document", full=rewrite == "all")


def _give_up(database: Database, engine: Engine, table: str, *, full: bool) -> None:
    """Give up the old rows of a table; of an SQLite file, those of all tables."""
    with _raw(engine) as driver:
        if database.name != "sqlite":
            driver.autocommit = True  # VACUUM cannot run in a transaction
            driver.execute(f'VACUUM (FULL) "{table}"' if full else f'VACUUM "{table}"')
            driver.autocommit = False
            return
        busy, _, _ = driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if busy:
        raise RemnantsLeft("a reader still needs old pages of the database: clean it again when it has ended")


@contextmanager
def _raw(engine: Engine) -> Iterator[Any]:
    """Lend the driver's own connection; one that failed is given up."""
    with closing(engine.raw_connection()) as connection:
        try:
            yield connection.driver_connection
        except BaseException:
            connection.invalidate()  # the pool would roll back on it, which may be lost, or at work still
            raise
