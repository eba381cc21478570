"""Computing the projection again from the log and the vault."""

from __future__ import annotations

from sqlalchemy.exc import DBAPIError

from ledger.errors import LedgerUnavailable
from ledger.log import schema
from ledger.log.store import Store, read_head
from ledger.records.chains import fold_chain, read_chains
from ledger.records.rows import write_row
from ledger.vault import Vault

_BATCH = 1000


def rebuild_projections(store: Store, vault: Vault) -> int:
    """Replace the table `record` by a fold of the whole log, in one transaction; returns how many records there are.

    The head row is locked meanwhile, so that nothing is appended that the fold would miss.

    Raises:
        LedgerDamaged: a record's chain is broken.
        VaultError: a document cannot be opened.
        LedgerUnavailable: the database refused.
    """
    count = 0
    try:
        with store.writing() as connection:
            size = read_head(connection, lock=True).size
            connection.execute(schema.record.delete())
            batch: list[list[object]] = []
            for chain in read_chains(connection, size):
                batch.append(write_row(fold_chain(chain, vault)))
                count += 1
                if len(batch) == _BATCH:
                    store.database.insert_many(connection, schema.record, batch)
                    batch = []
            store.database.insert_many(connection, schema.record, batch)
    except DBAPIError as failure:
        raise LedgerUnavailable(f"the projection could not be rebuilt ({type(failure.orig).__name__})") from failure
    return count
