"""Remnants: what a database keeps of rows that were deleted or overwritten, and how it is made to forget them.

SQLite (`secure_delete` is on for the writer): deleted bytes are overwritten in the database, and the write-ahead log is
emptied here. PostgreSQL: `VACUUM` gives up old row versions, so that no dump has them, but their bytes lie in free
space of the table's files until it is reused, and a physical backup copies them. So the table of keys is written anew
(`VACUUM FULL`, about 130 bytes a document, locked meanwhile), after which what is left of a document is ciphertext
without a key; the table of documents only on request. Write-ahead log segments, archived ones included, and backups
made before are backups: they end by their own retention, which must be short.
"""

from __future__ import annotations

from contextlib import closing
from typing import Any, Literal

from sqlalchemy.exc import DBAPIError

from ledger.errors import RemnantsLeft
from ledger.log.databases import Database, database_at

Rewrite = Literal["none", "keys", "all"]
"""Which tables are written anew: none (appends never wait), that of keys, or both (SQLite: the file)."""


def clear_remnants(url: str, *, rewrite: Rewrite = "keys") -> None:
    """Make the database forget deleted keys and documents.

    Raises:
        LedgerLocked: the SQLite file has a writer.
        RemnantsLeft: the database did not do it, for instance because a reader still needs old pages.
    """
    database = database_at(url)
    database.lock()
    engine = database.writer()
    drivers: Any = engine.dialect.loaded_dbapi
    try:
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
    driver.execute('VACUUM (FULL) "vault_document"' if rewrite == "all" else 'VACUUM "vault_document"')
