"""Whether a database is such that a ledger can be kept there, which is asked before anything else of it is believed."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, NullPool, create_engine

from ledger.errors import StoreMissing, StoreUnfit
from ledger.log import schema

_TRIES = 3
_FOUND = (
    "SELECT DISTINCT n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
    "WHERE c.relname = ANY(%(names)s) AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND pg_table_is_visible(c.oid) "
    "ORDER BY 1"
)
_CLOSED = (
    "SELECT n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
    "WHERE c.relname = ANY(%(names)s) AND c.relkind IN ('r', 'p') AND NOT has_schema_privilege(n.oid, 'USAGE') "
    "GROUP BY n.nspname HAVING count(*) = cardinality(%(names)s) ORDER BY 1"
)
_UNWRITTEN = (
    "SELECT c.relname FROM pg_class c WHERE c.relname = ANY(%(names)s) AND c.relkind IN ('r', 'p') "
    "AND pg_table_is_visible(c.oid) AND NOT has_table_privilege(c.oid, 'INSERT') ORDER BY 1"
)


def require_fit(connection: Connection) -> None:
    """Require that a session is ours alone, that every text can be stored, and that the tables found by our names are
    all in one schema.

    Raises:
        StoreUnfit: they cannot, or are not; the message says what to change.
    """
    if connection.dialect.name != "postgresql":
        return
    _require_own_session(connection)
    encoding = connection.exec_driver_sql("SHOW server_encoding").scalar_one()
    if encoding != "UTF8":
        raise StoreUnfit(
            f"the database is encoded in {encoding}, in which not every text can be stored: "
            "make one with ENCODING 'UTF8' TEMPLATE template0"
        )
    found = _names(connection, _FOUND)
    if len(found) > 1:
        raise StoreUnfit(
            f"tables of the ledger's names are found in several schemas ({', '.join(found)}): "
            "leave only the ledger's own in the role's search_path"
        )


def _require_own_session(connection: Connection) -> None:
    """Require that what a session is set to, its locks and its prepared statements stay with our connection.

    A pooler hides which session of the server a connection has: only then it is tried whether that changes. Of two
    connections, the second begins a transaction when the first has ended its own: a pooler of transactions gives it the
    session of the first, or the first another.
    """
    driver: Any = connection.connection.driver_connection
    if driver.info.backend_pid == _session(connection):
        return
    from ledger.log.patience import socket_options

    url = connection.engine.url
    alone = create_engine(url, poolclass=NullPool, hide_parameters=True, connect_args={**socket_options(url)})
    with alone.connect() as one, alone.connect() as other:
        for _ in range(_TRIES):
            before = _session(one)
            one.commit()
            if _session(other) == before or _session(one) != before:
                raise StoreUnfit(
                    "a pooler of transactions stands before the server, and sessions change between transactions: what "
                    "the ledger sets, locks and prepares is lost. Connect to the server itself, or pool sessions "
                    "(PgBouncer: pool_mode = session)"
                )
            one.commit()
            other.commit()


def _session(connection: Connection) -> int:
    return int(connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one())


def require_written(connection: Connection) -> None:
    """Require that a PostgreSQL server and its role let this connection write every table of the ledger.

    Raises:
        StoreUnfit: they do not; the message says what to change.
    """
    if connection.exec_driver_sql("SELECT pg_is_in_recovery()").scalar_one():
        raise StoreUnfit("the server is a standby, which can only be read: name the primary, or promote it")
    if connection.exec_driver_sql("SHOW transaction_read_only").scalar_one() == "on":
        raise StoreUnfit("transactions are read-only here: change default_transaction_read_only of database or role")
    closed = _names(connection, _UNWRITTEN)
    if closed:
        raise StoreUnfit(f"the role may not write the tables {', '.join(closed)}: GRANT SELECT, INSERT, UPDATE, DELETE")


def nothing_found(connection: Connection) -> StoreMissing | StoreUnfit:
    """Tell why no ledger is found in a database that was reached."""
    closed = _names(connection, _CLOSED) if connection.dialect.name == "postgresql" else []
    if closed:
        return StoreUnfit(
            f"the role may not look into the schema {closed[0]}: GRANT USAGE ON SCHEMA, and on its tables"
        )
    return StoreMissing("the database holds no ledger")


def _names(connection: Connection, question: str) -> list[str]:
    return list(connection.exec_driver_sql(question, {"names": list(schema.tables.tables)}).scalars())
