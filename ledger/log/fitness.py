"""Whether a database is such that a ledger can be kept there, which is asked before anything else of it is believed."""

from __future__ import annotations

from sqlalchemy import Connection

from ledger.errors import StoreMissing, StoreUnfit
from ledger.log import schema

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


def require_fit(connection: Connection) -> None:
    """Require that every text can be stored, and that the tables found by our names are all in one schema.

    Raises:
        StoreUnfit: they cannot, or are not; the message says what to change.
    """
    if connection.dialect.name != "postgresql":
        return
    encoding = connection.exec_driver_sql("SHOW server_encoding").scalar_one()
    if encoding != "UTF8":
        raise StoreUnfit(
            f"the database is encoded in {encoding}, in which not every text can be stored: "
            "make one with ENCODING 'UTF8' TEMPLATE template0"
        )
    found = _schemas(connection, _FOUND)
    if len(found) > 1:
        raise StoreUnfit(
            f"tables of the ledger's names are found in several schemas ({', '.join(found)}): "
            "leave only the ledger's own in the role's search_path"
        )


def nothing_found(connection: Connection) -> StoreMissing | StoreUnfit:
    """Tell why no ledger is found in a database that was reached."""
    closed = _schemas(connection, _CLOSED) if connection.dialect.name == "postgresql" else []
    if closed:
        return StoreUnfit(
            f"the role may not look into the schema {closed[0]}: GRANT USAGE ON SCHEMA, and on its tables"
        )
    return StoreMissing("the database holds no ledger")


def _schemas(connection: Connection, question: str) -> list[str]:
    return list(connection.exec_driver_sql(question, {"names": list(schema.tables.tables)}).scalars())
