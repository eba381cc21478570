"""The tables of a ledger, the same for SQLite and PostgreSQL, and the triggers that make them append-only."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
)

SCHEMA_VERSION = 1
APPLICATION_ID = 0x43584C47
"""SQLite `application_id` of a ledger file ("CXLG")."""

_Int = BigInteger().with_variant(Integer(), "sqlite")
# Byte order: range queries over codes must not depend on the database's locale.
_Code = Text().with_variant(Text(collation="C"), "postgresql")

tables = MetaData()
_STRICT: dict[str, Any] = {"sqlite_strict": True}
_ROWLESS: dict[str, Any] = {"sqlite_strict": True, "sqlite_with_rowid": False}

meta = Table("meta", tables, Column("key", Text, primary_key=True), Column("value", Text, nullable=False), **_STRICT)
"""`schema_version`, `origin`, `log_key` (key id in hex), `opened_at`."""

entry = Table(
    "entry",
    tables,
    Column("idx", _Int, primary_key=True, autoincrement=False),
    Column("record", LargeBinary, nullable=False),
    Column("kind", Text, nullable=False),
    Column("leaf_hash", LargeBinary, nullable=False),
    Column("leaf", LargeBinary, nullable=False),
    Index("entry_record", "record", "idx"),
    **_STRICT,
)

tile = Table(
    "tile",
    tables,
    Column("level", _Int, primary_key=True, autoincrement=False),
    Column("n", _Int, primary_key=True, autoincrement=False),
    Column("width", _Int, nullable=False),
    Column("data", LargeBinary, nullable=False),
    **_STRICT,
)
"""Tile `n` of `level` (tlog-tiles): `width` hashes of 32 bytes; at 256 it is full and never changes again."""

checkpoint = Table(
    "checkpoint",
    tables,
    Column("size", _Int, primary_key=True, autoincrement=False),
    Column("root", LargeBinary, nullable=False),
    Column("note", LargeBinary, nullable=False),
    Column("signed_at", Text, nullable=False),
    **_STRICT,
)
"""Every signed checkpoint; the primary key makes two roots for one size impossible."""

head = Table(
    "head",
    tables,
    Column("id", _Int, primary_key=True, autoincrement=False),
    Column("size", _Int, nullable=False),
    Column("root", LargeBinary, nullable=False),
    Column("note", LargeBinary, nullable=False),
    **_STRICT,
)
"""One row (id 1): the sequencer. Writers lock it and advance it by compare-and-swap."""

idempotency = Table(
    "idempotency",
    tables,
    Column("key", LargeBinary, primary_key=True),
    Column("body_digest", LargeBinary, nullable=False),
    Column("first_idx", _Int, nullable=False),
    Column("count", _Int, nullable=False),
    Column("size", _Int, nullable=False),
    Column("at", Text, nullable=False),
    **_ROWLESS,
)

record = Table(
    "record",
    tables,
    Column("record", LargeBinary, primary_key=True),
    Column("family", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("seq", _Int, nullable=False),
    Column("first_idx", _Int, nullable=False),
    Column("last_idx", _Int, nullable=False),
    Column("last_leaf_hash", LargeBinary, nullable=False),
    Column("opened_at", Text, nullable=False),
    Column("changed_at", Text, nullable=False),
    Column("subject", LargeBinary),
    Column("case_key", LargeBinary),
    Column("parent", LargeBinary),
    Column("unit", Text),
    Column("matter", Text),
    Column("item", Text),
    Column("code", _Code),
    Column("grade", Text),
    Column("due_at", Text),
    Index("record_due", "family", "state", "due_at"),
    Index("record_subject", "subject", "family"),
    Index("record_case", "case_key", "item"),
    Index("record_first", "family", "first_idx"),
    Index("record_parent", "parent"),
    Index("record_code", "code"),
    **_ROWLESS,
)
"""The projection: `ledger.records.projections.RecordRow`, column for column. Times are fixed-width UTC texts."""

uniqueness = Table(
    "uniqueness",
    tables,
    Column("key", LargeBinary, primary_key=True),
    Column("record", LargeBinary, nullable=False),
    **_ROWLESS,
)

vault_key = Table(
    "vault_key",
    tables,
    Column("record", LargeBinary, primary_key=True),
    Column("master_version", _Int, nullable=False),
    Column("wrapped", LargeBinary),
    Column("destroyed_at", Text),
    **_ROWLESS,
)
"""One data key a record, wrapped by a master key; null once destroyed."""

vault_document = Table(
    "vault_document",
    tables,
    Column("idx", _Int, primary_key=True, autoincrement=False),
    Column("record", LargeBinary, nullable=False),
    Column("nonce", LargeBinary, nullable=False),
    Column("ciphertext", LargeBinary, nullable=False),
    Index("vault_document_record", "record"),
    **_STRICT,
)

_FROZEN = ("entry", "checkpoint")


def _sqlite_triggers() -> list[str]:
    refuse = "BEGIN SELECT RAISE(ABORT, 'append-only'); END"
    made = [
        f"CREATE TRIGGER {table}_no_{act} BEFORE {act} ON {table} {refuse}"
        for table in _FROZEN
        for act in ("UPDATE", "DELETE")
    ]
    made.append(f"CREATE TRIGGER tile_no_DELETE BEFORE DELETE ON tile {refuse}")
    made.append(
        "CREATE TRIGGER tile_no_UPDATE BEFORE UPDATE ON tile "
        f"WHEN OLD.width = 256 OR NEW.width < OLD.width OR substr(NEW.data, 1, length(OLD.data)) <> OLD.data {refuse}"
    )
    made.append(f"CREATE TRIGGER head_no_retreat BEFORE UPDATE ON head WHEN NEW.size < OLD.size {refuse}")
    made.append(f"CREATE TRIGGER head_no_DELETE BEFORE DELETE ON head {refuse}")
    return made


def _postgres_triggers() -> list[str]:
    made = [
        "CREATE FUNCTION ledger_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'append-only' USING ERRCODE = 'restrict_violation'; END $$"
    ]
    for table in (*_FROZEN, "tile", "head"):
        acts = "UPDATE OR DELETE" if table in _FROZEN else "DELETE"
        made.append(
            f"CREATE TRIGGER {table}_frozen BEFORE {acts} ON {table} FOR EACH ROW EXECUTE FUNCTION ledger_append_only()"
        )
        made.append(
            f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION ledger_append_only()"
        )
    made.append(
        "CREATE TRIGGER tile_full BEFORE UPDATE ON tile FOR EACH ROW WHEN (OLD.width = 256 OR NEW.width < OLD.width "
        "OR substr(NEW.data, 1, length(OLD.data)) <> OLD.data) EXECUTE FUNCTION ledger_append_only()"
    )
    made.append(
        "CREATE TRIGGER head_no_retreat BEFORE UPDATE ON head FOR EACH ROW WHEN (NEW.size < OLD.size) "
        "EXECUTE FUNCTION ledger_append_only()"
    )
    return made


def triggers(dialect: str) -> list[str]:
    """Return the statements that make the tables append-only, for `sqlite` or `postgresql`."""
    return _sqlite_triggers() if dialect == "sqlite" else _postgres_triggers()
