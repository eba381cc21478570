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

from contextlib import closing
from typing import Any, Literal

from sqlalchemy import Engine, select
from sqlalchemy.exc import DBAPIError

from ledger.errors import RemnantsLeft
from ledger.log import schema
from ledger.log.databases import Database, database_at

Rewrite = Literal["none", "keys", "all"]
"""Which tables are written anew: none (appends never wait), that of keys, or those of documents and requests as well
(SQLite: the file)."""


def clear_remnants(url: str, *, rewrite: Rewrite = "keys") -> None:
    """Make the database forget deleted keys and documents, and the digests of the requests that they came from.

    Raises:
        LedgerLocked: the SQLite file has a writer.
        RemnantsLeft: the database did not do it, for instance because a reader still needs old pages.
    """
    database = database_at(url)
    database.lock()
    engine = database.writer()
    drivers: Any = engine.dialect.loaded_dbapi
    try:
        _forget_requests(engine)
        with closing(engine.raw_connection()) as connection:
            _clear(database, connection.driver_connection, rewrite)
    except (drivers.Error, DBAPIError) as failure:
        name = type(getattr(failure, "orig", None) or failure).__name__
        raise RemnantsLeft(
            f"the database could not be cleaned of what was deleted ({name}): clean it again"
        ) from failure
    finally:
        engine.dispose()
        database.unlock()


def _forget_requests(engine: Engine) -> None:
    used, key = schema.idempotency, schema.vault_key
    erased = used.c.first_idx.in_(select(key.c.idx).where(key.c.wrapped.is_(None)))
    with engine.begin() as connection:
        connection.execute(used.update().where(used.c.body_digest != b"", erased).values(body_digest=b""))


def _clear(database: Database, driver: Any, rewrite: Rewrite) -> None:
    if database.name == "sqlite":
        if rewrite == "all":
            driver.execute("VACUUM")
        busy, _, _ = driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            raise RemnantsLeft("a reader still needs old pages of the database: clean it again when it has ended")
        return
    driver.autocommit = True  # VACUUM cannot run in a transaction
    driver.execute('VACUUM "vault_key"' if rewrite == "none" else 'VACUUM (FULL) "vault_key"')
    for table in ("vault_document", "idempotency"):
        driver.execute(f'VACUUM (FULL) "{table}"' if rewrite == "all" else f'VACUUM "{table}"')
