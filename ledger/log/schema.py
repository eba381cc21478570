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
    SmallInteger,
    Table,
    Text,
)

SCHEMA_VERSION = 2
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
    Column("record", LargeBinary),
    Column("leaf", LargeBinary, nullable=False),
    **_STRICT,
)
"""The entries. `record` is set for entries after a record's first only: the first is found by `record.first_idx`, so
that records of one entry, the most, need no second index. The leaf hash stands in the tile, the kind in the leaf."""
Index(
    "entry_record", entry.c.record, entry.c.idx,
    sqlite_where=entry.c.record.is_not(None), postgresql_where=entry.c.record.is_not(None),
)  # fmt: skip

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

tile_inner = Table(
    "tile_inner",
    tables,
    Column("level", _Int, primary_key=True, autoincrement=False),
    Column("n", _Int, primary_key=True, autoincrement=False),
    Column("data", LargeBinary, nullable=False),
    **_STRICT,
)
"""The inner nodes of each full tile (rows 1 to 7, 128 down to 2 hashes): a proof reads them instead of hashing 256
leaves together, so that it costs the same in a log of any size, cached or not. They follow from the tile."""

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

cosignature = Table(
    "cosignature",
    tables,
    Column("size", _Int, primary_key=True, autoincrement=False),
    Column("line", Text, primary_key=True),
    **_STRICT,
)
"""Signature lines of witnesses under the checkpoint of `size`, in the form of signed-note."""

head = Table(
    "head",
    tables,
    Column("id", _Int, primary_key=True, autoincrement=False),
    Column("size", _Int, nullable=False),
    Column("root", LargeBinary, nullable=False),
    Column("published", _Int, nullable=False),
    Column("note", LargeBinary, nullable=False),
    **_STRICT,
)
"""One row (id 1): the sequencer. Writers lock it and advance `size` and `root` by compare-and-swap; `note` is the
newest published checkpoint, of size `published`."""

idempotency = Table(
    "idempotency",
    tables,
    Column("key", LargeBinary, primary_key=True),
    Column("body_digest", LargeBinary, nullable=False),
    Column("first_idx", _Int, nullable=False),
    Column("count", _Int, nullable=False),
    **_ROWLESS,
)
"""What request keys were used for. A key begins with its time (48 bits of milliseconds, as UUIDv7): the index grows at
its right edge, and keys older than the retry window are dropped as a range. `body_digest` is emptied when the document
of entry `first_idx` is erased."""

record = Table(
    "record",
    tables,
    Column("record", LargeBinary, primary_key=True),
    Column("family", SmallInteger().with_variant(Integer(), "sqlite"), nullable=False),
    Column("state", SmallInteger().with_variant(Integer(), "sqlite"), nullable=False),
    Column("seq", Integer, nullable=False),
    Column("first_idx", _Int, nullable=False),
    Column("last_idx", _Int, nullable=False),
    Column("opened_at", _Int, nullable=False),
    Column("changed_at", _Int, nullable=False),
    Column("subject", LargeBinary),
    Column("case_key", LargeBinary),
    Column("parent", LargeBinary),
    Column("unit", Text),
    Column("matter", Text),
    Column("item", Text),
    Column("code", _Code),
    Column("grade", Text),
    Column("due_at", _Int),
    **_ROWLESS,
)
"""The projection: `ledger.records.projections.RecordRow`. Families and states are the numbers of
`ledger.records.lifecycle`, times microseconds since 1970 UTC."""
Index("record_first", record.c.family, record.c.state, record.c.first_idx)
for _name, _columns in (
    ("due_at", (record.c.family, record.c.state, record.c.due_at)),
    ("subject", (record.c.subject, record.c.family)),
    ("case_key", (record.c.case_key, record.c.item)),
    ("parent", (record.c.parent,)),
    ("code", (record.c.code,)),
):
    # Partial: records without the fact pay nothing for its index.
    _given = record.c[_name].is_not(None)
    Index(f"record_{_name}", *_columns, sqlite_where=_given, postgresql_where=_given)

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
    Column("idx", _Int, primary_key=True, autoincrement=False),
    Column("master_version", _Int, nullable=False),
    Column("wrapped", LargeBinary),
    Column("destroyed_at", Text),
    **_STRICT,
)
"""One data key a document, wrapped by a master key; null once destroyed. Kept apart from the documents, so that its
backups can be kept for a shorter time."""

vault_document = Table(
    "vault_document",
    tables,
    Column("idx", _Int, primary_key=True, autoincrement=False),
    Column("sealed", LargeBinary, nullable=False),
    **_STRICT,
)
"""The document behind the entry of the same index: nonce (12 bytes), ciphertext and tag."""

anchor = Table(
    "anchor",
    tables,
    Column("size", _Int, primary_key=True, autoincrement=False),
    Column("kind", Text, primary_key=True),
    Column("at", Text, primary_key=True),
    Column("token", LargeBinary, nullable=False),
    **_STRICT,
)
"""Statements by outsiders that the checkpoint of `size` existed `at` a time; `token` is the proof as it came (of kind
`rfc3161`: the DER `TimeStampResp` over the note)."""

index_page = Table(
    "index_page",
    tables,
    Column("path", LargeBinary, primary_key=True),
    Column("data", LargeBinary, nullable=False),
    **_STRICT,
)
"""The index of records as far as it has come, in the pages of `ledger.completeness.pages`; computed from the log."""

index_state = Table(
    "index_state",
    tables,
    Column("id", _Int, primary_key=True, autoincrement=False),
    Column("size", _Int, nullable=False),
    Column("root", LargeBinary, nullable=False),
    **_STRICT,
)
"""One row (id 1): the pages are the index of the first `size` entries."""

index_root = Table(
    "index_root",
    tables,
    Column("size", _Int, primary_key=True, autoincrement=False),
    Column("root", LargeBinary, nullable=False),
    **_STRICT,
)
"""The roots that `IndexCommitted` entries commit to, by the size they are the index of."""

_FROZEN = ("entry", "tile_inner", "checkpoint", "cosignature", "anchor", "index_root")


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
