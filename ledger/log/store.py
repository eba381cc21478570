"""Opening and creating the store of one log, and reading the few rows by which a log is known."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import ClauseElement, Connection, Engine, Table, bindparam, func, inspect, literal_column, select
from sqlalchemy.exc import DBAPIError, InvalidRequestError

from ledger.canonical import format_time
from ledger.errors import (
    EntryMissing,
    EntryUnpublished,
    LedgerDamaged,
    LedgerError,
    LedgerUnavailable,
    SchemaNewer,
    SchemaOlder,
    StoreError,
    StoreExists,
    StoreMissing,
)
from ledger.log import schema
from ledger.log.checkpoint import Checkpoint, sign_checkpoint
from ledger.log.databases import Database, database_at, run_prepared
from ledger.log.fitness import nothing_found, require_fit
from ledger.log.guards import require_guards, restore_guards
from ledger.log.note import Signer
from ledger.log.tiles import ExpandedTile, PackedTile
from ledger.merkle import EMPTY_ROOT

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The newest committed state of the log, and its newest published checkpoint."""

    size: int
    root: bytes
    published: int
    """The size of the published checkpoint `note`."""
    note: bytes


class Store:
    """An open store. Reads run on a small read-only pool; writing needs `start_writing` first."""

    def __init__(self, database: Database, readers: int = 4) -> None:
        self.database = database
        self._readers = database.readers(readers)
        self._writer: Engine | None = None
        self._connection: Connection | None = None
        self._idle: deque[Connection] = deque()
        self._kept: deque[Connection] = deque()
        self._interrupted = False

    def start_writing(self, *, restore: bool = False) -> None:
        """Become a writer of a store that is append-only still, or with `restore` make it so again.

        Raises:
            StoreUnfit: this process may not write here.
            LedgerLocked: the file has a writer already.
            LedgerDamaged: a trigger that refuses changes is missing, or pages are damaged.
            LedgerUnavailable: the database cannot be read, or did not restore it.
        """
        self.require_writable()
        self.database.lock()
        self._writer = self.database.writer()
        if restore:
            try:
                restore_guards(self._writer)
            except DBAPIError as failure:
                if self.database.is_damage(failure):
                    raise LedgerDamaged(
                        "the tables cannot be restored, for pages of the database are damaged: restore a copy"
                    ) from failure
                raise LedgerUnavailable(f"the tables could not be restored ({cause_of(failure)})") from failure
        with self.reading() as connection:
            require_guards(connection)

    def require_writable(self) -> None:
        """Require that this process may write here, without writing anything, and beside whoever writes.

        Raises:
            StoreUnfit: it may not.
            LedgerUnavailable, LedgerDamaged: as of `reading`.
        """
        with self.reading():  # who is the last to close an SQLite file writes its log into it
            self.database.require_writable()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Lend a read-only connection in one consistent transaction.

        Raises:
            LedgerUnavailable: the database cannot be read.
            LedgerDamaged: what is stored is not a whole ledger, as far as the database itself can tell.
        """
        try:
            connection = self._kept.pop()
        except IndexError:
            connection = self._connect()
        try:
            self.database.begin_reading(connection)
            yield connection
        except (DBAPIError, self.database.errors) as failure:
            _discard(connection)
            raise self._unreadable(failure) from failure
        except BaseException:
            self._end_reading(connection)
            raise
        self._end_reading(connection)

    def _end_reading(self, connection: Connection) -> None:
        """End the transaction; keep the connection where that is safe: fetching one costs more than a small read.

        What was read before the connection was lost is read: the next reader is lent another one.
        """
        try:
            kept = self.database.end_reading(connection)
        except (DBAPIError, self.database.errors):
            _discard(connection)
            return
        if kept:
            self._kept.append(connection)

    def quick(self, statement: ClauseElement, values: Mapping[str, object]) -> Any:
        """Run a question for one row outside any transaction, on a connection that is kept; returns the row or None.

        For rows that never change once they are written, on paths where fetching a connection from a pool would cost
        more than the question itself. The statement must be one object for the life of the process.

        Raises:
            LedgerUnavailable, LedgerDamaged: as of `reading`.
        """
        return self._quickly(lambda connection: self.database.run(connection, statement, values).fetchone())

    def quick_rows(self, statement: ClauseElement, values: Mapping[str, object]) -> list[Any]:
        """Run a question for a row for each of some keys, in the manner of `quick`."""
        return self._quickly(lambda connection: list(self.database.run(connection, statement, values).fetchall()))

    def quick_many(self, table: Table, key: str, values: Sequence[object]) -> list[Any]:
        """Select rows as `Database.select_many` does, in the manner of `quick`."""
        return self._quickly(lambda connection: self.database.select_many(connection, table, key, values))

    def _quickly(self, ask: Callable[[Connection], Answer]) -> Answer:
        kept = True
        try:
            connection = self._idle.pop()
        except IndexError:
            connection, kept = self._connect_quick(), False
        try:
            answer = ask(connection)
        except (DBAPIError, self.database.errors) as failure:
            _discard(connection)
            if kept:  # it may have died with a database that is back by now: another one tells
                return self._quickly(ask)
            raise self._unreadable(failure) from failure
        self._idle.append(connection)
        return answer

    def _connect_quick(self) -> Connection:
        connection = self._connect()
        try:
            self.database.make_quick(connection)
        except (DBAPIError, self.database.errors) as failure:
            _discard(connection)
            raise self._unreadable(failure) from failure
        return connection

    def _connect(self) -> Connection:
        self._require_patience()
        try:
            return self._readers.connect()
        except (DBAPIError, self.database.errors) as failure:
            raise self._unreadable(failure) from failure

    def _unreadable(self, failure: Exception) -> LedgerError:
        if self.database.is_damage(failure):
            return LedgerDamaged(f"what is stored is not a whole ledger ({cause_of(failure)})")
        return LedgerUnavailable(f"the store cannot be read ({cause_of(failure)})")

    @contextmanager
    def turn(self, what: str) -> Iterator[bool]:
        """Take the turn at something that one process at a time does, or tell that another has it; waits for nobody.

        The turn ends with the block, or with the connection to the database, whichever comes first.

        Raises:
            LedgerUnavailable, LedgerDamaged: the database cannot be asked.
        """
        connection = self._connect()
        try:
            mine = self.database.take_turn(connection, what)
        except (DBAPIError, self.database.errors) as failure:
            _discard(connection)
            raise self._unreadable(failure) from failure
        try:
            yield mine
        finally:
            self._end_turn(connection, what, mine=mine)

    def _end_turn(self, connection: Connection, what: str, *, mine: bool) -> None:
        try:
            if mine:
                self.database.end_turn(connection, what)
            connection.close()
        except (DBAPIError, self.database.errors):
            _discard(connection)  # the turn ended with it; nobody else is lent it

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Lend the writing connection in one transaction, committed at the end unless something is raised.

        The connection is kept between transactions: fetching it from a pool costs more than a small commit.
        """
        if self._writer is None:
            raise StoreError("this store was opened for reading only")
        connection = self._writable(self._writer)
        # Begun and ended through the driver, for SQLAlchemy's own transaction costs more than a small commit; what is
        # executed through SQLAlchemy meanwhile takes part.
        try:
            self.database.begin(connection)
            yield connection
            self.database.commit(connection)
        except self.database.errors:
            # The driver was used directly: SQLAlchemy has not seen whether the connection is still good.
            _discard(connection)
            raise
        except BaseException:
            self._undo(connection)
            raise
        finally:
            if not connection.closed and not connection.invalidated and connection.in_transaction():
                connection.rollback()  # SQLAlchemy's side of it only: the driver has none left

    def _undo(self, connection: Connection) -> None:
        """Roll back what failed, which is told and not this: a connection that is gone has rolled back by itself."""
        if connection.invalidated:  # SQLAlchemy lends its driver to nobody any more, and would raise another failure
            _discard(connection)
            return
        with suppress(self.database.errors):
            self.database.roll_back(connection)

    def _writable(self, writer: Engine) -> Connection:
        """Return the writing connection, another one if that was lost while nothing was written."""
        connection = self._connection
        if connection is not None and not connection.closed and not connection.invalidated:
            if self.database.is_alive(connection):
                return connection
            _discard(connection)
        self._require_patience()
        self._connection = writer.connect()
        return self._connection

    def _require_patience(self) -> None:
        if self._interrupted:
            raise LedgerUnavailable("the store is closing, and its database does not answer")

    def interrupt(self) -> None:
        """Let whoever waits for the database be refused now, and whoever comes later at once; from any thread."""
        self._interrupted = True
        self.database.interrupt()

    def close(self) -> None:
        """Close every connection and release the writer's lock."""
        for connections in (self._idle, self._kept):
            while connections:
                connections.pop().close()
        self._readers.dispose()
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._writer is not None:
            self._writer.dispose()
            self._writer = None
        self.database.unlock()


def _discard(connection: Connection) -> None:
    """Close a connection for good; nobody else is lent it."""
    with suppress(InvalidRequestError):  # it was closed already
        connection.invalidate()
    connection.close()


def cause_of(failure: Exception) -> str:
    """Name what the driver raised, with or without SQLAlchemy around it."""
    return type(failure.orig if isinstance(failure, DBAPIError) else failure).__name__


def read_meta(connection: Connection) -> Mapping[str, str]:
    """Read the table of what the store is."""
    return {row.key: row.value for row in connection.execute(select(schema.meta))}


_HEAD = select(schema.head.c.size, schema.head.c.root, schema.head.c.published, schema.head.c.note).where(
    schema.head.c.id == literal_column("1")
)
_HEAD_LOCKED = _HEAD.with_for_update()


def read_head(connection: Connection) -> Head:
    """Read the head row; raises `LedgerDamaged` if there is none."""
    return _head(run_prepared(connection, _HEAD, {}).fetchone())


def lock_head(database: Database, connection: Connection) -> Head:
    """Read the head row of the writing transaction: nobody else can advance it until the transaction ends.

    Raises:
        LedgerDamaged: there is none.
    """
    with database.writing(connection) as writes:
        locked = writes.run(_HEAD_LOCKED, {})
    return _head(locked.fetchone())


def _head(row: Any) -> Head:
    if row is None:
        raise LedgerDamaged("the store has no head row")
    size, root, published, note = row
    return Head(size=size, root=bytes(root), published=published, note=bytes(note))


def read_tile(connection: Connection, level: int, n: int) -> bytes:
    """Read a tile's hashes; raises `LedgerDamaged` if there is no such tile."""
    question = select(schema.tile.c.data).where(schema.tile.c.level == level, schema.tile.c.n == n)
    data = connection.execute(question).scalar_one_or_none()
    if data is None:
        raise LedgerDamaged(f"tile {n} of level {level} is missing")
    return bytes(data)


_TILE = (
    select(schema.tile.c.data, schema.tile_inner.c.data.label("inner"))
    .select_from(
        schema.tile.outerjoin(
            schema.tile_inner,
            (schema.tile_inner.c.level == schema.tile.c.level) & (schema.tile_inner.c.n == schema.tile.c.n),
        )
    )
    .where(schema.tile.c.level == bindparam("level"), schema.tile.c.n == bindparam("n"))
)


def read_node_tile(store: Store, level: int, n: int) -> ExpandedTile | PackedTile:
    """Read a tile with its inner nodes; raises `LedgerDamaged` if there is no such tile."""
    row = store.quick(_TILE, {"level": level, "n": n})
    if row is None:
        raise LedgerDamaged(f"tile {n} of level {level} is missing")
    data, inner = row
    return ExpandedTile(bytes(data)) if inner is None else PackedTile(bytes(data), bytes(inner))


_PUBLISHED = select(schema.head.c.published).where(schema.head.c.id == literal_column("1")).scalar_subquery()
_COSIGNED = (
    select(schema.checkpoint.c.size, schema.checkpoint.c.note, schema.cosignature.c.line)
    .select_from(schema.checkpoint.outerjoin(schema.cosignature, schema.cosignature.c.size == schema.checkpoint.c.size))
    .order_by(schema.cosignature.c.line)
)
_COSIGNED_AT = _COSIGNED.where(schema.checkpoint.c.size == bindparam("size"), schema.checkpoint.c.size <= _PUBLISHED)
_COSIGNED_NEWEST = _COSIGNED.where(schema.checkpoint.c.size == _PUBLISHED)
_NEWEST_WITNESSED = (
    select(func.max(schema.cosignature.c.size))
    .where(schema.cosignature.c.size >= bindparam("end"), schema.cosignature.c.size <= _PUBLISHED)
    .scalar_subquery()
)
_SETTLED = (
    schema.checkpoint.c.size >= bindparam("end"),
    schema.checkpoint.c.size <= bindparam("settled"),
    schema.checkpoint.c.size <= _PUBLISHED,
)
_NEWEST_SETTLED = select(func.max(schema.checkpoint.c.size)).where(*_SETTLED).scalar_subquery()
_NEWEST_WITNESSED_SETTLED = (
    select(func.max(schema.checkpoint.c.size))
    .where(*_SETTLED, schema.checkpoint.c.size.in_(select(schema.cosignature.c.size)))
    .scalar_subquery()
)
_COSIGNED_SETTLED = _COSIGNED.where(
    schema.checkpoint.c.size == func.coalesce(_NEWEST_WITNESSED_SETTLED, _NEWEST_SETTLED)
)
_COSIGNED_OVER = _COSIGNED.where(schema.checkpoint.c.size == func.coalesce(_NEWEST_WITNESSED, _PUBLISHED))


def read_published_note(connection: Connection, size: int | None = None) -> bytes:
    """Read the newest published checkpoint, or that of exactly this size, with the cosignatures it has by now.

    A checkpoint that was signed and may not leave yet is not there.

    Raises:
        EntryMissing: none of this size was signed, or it is not published.
        LedgerDamaged: the published checkpoint is not kept.
    """
    if size is None:
        rows = run_prepared(connection, _COSIGNED_NEWEST, {}).fetchall()
    else:
        rows = run_prepared(connection, _COSIGNED_AT, {"size": size}).fetchall()
        if not rows:
            raise EntryMissing(f"no checkpoint of size {size} is published")
    return _cosigned(rows)[1]


def read_witnessed_size(connection: Connection) -> int:
    """Read the newest size whose checkpoint the witnesses cosigned as the policy asks; 0 if there is none."""
    return connection.execute(select(func.max(schema.cosignature.c.size))).scalar() or 0


def read_receipt_note(
    connection: Connection, end: int, size: int | None = None, *, settled: int | None = None
) -> bytes:
    """Read the published checkpoint against which receipts of the first `end` entries are made, with cosignatures.

    That is the one of `size`; by default the newest one that witnesses cosigned, if one covers these entries, else the
    newest. Where that is larger than `settled`, and one that is not covers them too, it is the newest of those.

    Raises:
        EntryMissing: no such checkpoint is published, or the entries came after it.
        EntryUnpublished: the entries came after the newest one.
        LedgerDamaged: the published checkpoint is not kept.
    """
    if size is None:
        found, note = _cosigned(run_prepared(connection, _COSIGNED_OVER, {"end": end}).fetchall())
        if found < end:
            raise EntryUnpublished(end, found)
        if settled is not None and found > settled:
            rows = run_prepared(connection, _COSIGNED_SETTLED, {"end": end, "settled": settled}).fetchall()
            return _cosigned(rows)[1] if rows else note
        return note
    if size < end:
        raise EntryMissing(f"entry {end - 1} came after the checkpoint of size {size}")
    return read_published_note(connection, size)


def _cosigned(rows: Sequence[Any]) -> tuple[int, bytes]:
    """Put a checkpoint and its lines together; returns its size as well."""
    if not rows:
        raise LedgerDamaged("the published checkpoint is not kept")
    size, note, _ = rows[0]
    return size, bytes(note) + "".join([f"{line}\n" for _, _, line in rows if line is not None]).encode()


def read_bare_note(connection: Connection, size: int) -> bytes:
    """Read the published checkpoint of exactly this size as the log alone signed it, which never changes.

    Raises:
        EntryMissing: none of this size was signed, or it is not published.
    """
    rows = run_prepared(connection, _COSIGNED_AT, {"size": size}).fetchall()
    if not rows:
        raise EntryMissing(f"no checkpoint of size {size} is published")
    return bytes(rows[0][1])


def read_covering_note(connection: Connection, size: int, *, witnessed: bool = False) -> bytes:
    """Read the first published checkpoint that covered the first `size` entries.

    That is the smallest one signed at that size or above, and no larger than the published head; so it is the same
    note whenever it is asked for. With `witnessed`, it is the first that the witness policy was satisfied with, its
    cosignatures included.

    Raises:
        EntryUnpublished: there is none yet.
    """
    table, lines, head = schema.checkpoint, schema.cosignature, schema.head
    question = select(table.c.size, table.c.note).where(table.c.size >= size).order_by(table.c.size).limit(1)
    if witnessed:
        question = question.where(table.c.size.in_(select(lines.c.size)))
    else:
        question = question.where(table.c.size <= select(head.c.published).where(head.c.id == 1).scalar_subquery())
    row = connection.execute(question).first()
    if row is None:
        raise EntryUnpublished(size, read_witnessed_size(connection) if witnessed else read_head(connection).published)
    if not witnessed:
        return bytes(row.note)
    return bytes(row.note) + _read_cosignatures(connection, row.size)


def _read_cosignatures(connection: Connection, size: int) -> bytes:
    lines = schema.cosignature.c
    added = connection.execute(select(lines.line).where(lines.size == size).order_by(lines.line)).scalars()
    return "".join(f"{line}\n" for line in added).encode()


_MADE_MEANWHILE = ("23505", "42P07", "42710", "42723")
"""What PostgreSQL says when somebody else has made a table, or a type, trigger or function with it, since we looked."""


def create_store(url: str, *, origin: str, signer: Signer, now: datetime, cosigners: Sequence[Signer] = ()) -> None:
    """Create the tables of a new log and sign its empty checkpoint, all in one transaction.

    Raises:
        StoreExists: there is a ledger, or other tables, at this address.
        StoreMissing: the server has no such database.
        StoreUnfit: no ledger can be kept in this database.
        LedgerUnavailable: the database cannot be reached or written.
    """
    database = database_at(url)
    if database.name == "sqlite" and database.exists():
        raise StoreExists("there is a file at this address")
    note = sign_checkpoint(Checkpoint(origin=origin, size=0, root=EMPTY_ROOT), [signer, *cosigners])
    at = format_time(now)
    about = {
        "schema_version": str(schema.SCHEMA_VERSION),
        "origin": origin,
        "log_key": signer.key_id.hex(),
        "opened_at": at,
    }
    database.lock()
    engine = database.writer()
    try:
        with engine.begin() as connection:
            _create(connection, database.name, about, note)
    except DBAPIError as failure:
        if getattr(failure.orig, "sqlstate", None) in _MADE_MEANWHILE:
            raise StoreExists("a ledger was made at this address at the same time") from failure
        if database.is_missing(failure):
            raise StoreMissing("the server has no database of this name") from failure
        raise LedgerUnavailable(f"the store cannot be created ({cause_of(failure)})") from failure
    finally:
        engine.dispose()
        database.unlock()


def _create(connection: Connection, dialect: str, about: Mapping[str, str], note: bytes) -> None:
    require_fit(connection)
    if set(inspect(connection).get_table_names()) & set(schema.tables.tables):
        raise StoreExists("there is a ledger at this address")
    if dialect == "sqlite":
        connection.exec_driver_sql(f"PRAGMA application_id={schema.APPLICATION_ID}")
    schema.tables.create_all(connection, checkfirst=False)
    for statement in schema.triggers(dialect):
        connection.exec_driver_sql(statement)
    connection.execute(schema.meta.insert(), [{"key": key, "value": value} for key, value in about.items()])
    at = about["opened_at"]
    connection.execute(schema.checkpoint.insert().values(size=0, root=EMPTY_ROOT, note=note, signed_at=at))
    connection.execute(schema.head.insert().values(id=1, size=0, root=EMPTY_ROOT, published=0, note=note))


def open_store(url: str, *, readers: int = 4, unhurried: bool = False) -> Store:
    """Open an existing store for reading; `Store.start_writing` makes it writable. Nothing is ever created here.

    With `unhurried`, for work on whole tables, the database is waited for as long as its host is there.

    Raises:
        StoreMissing: there is no ledger at this address.
        StoreUnfit: the database or the role is not such that this ledger can be kept there.
        SchemaNewer: a newer program wrote it.
        SchemaOlder: it must be upgraded first.
        LedgerUnavailable: the database cannot be reached.
        LedgerDamaged: what is stored is not a whole database.
    """
    database = database_at(url, unhurried=unhurried)
    if not database.exists():
        raise StoreMissing("there is no ledger at this address")
    store = Store(database, readers)
    try:
        with store.reading() as connection:
            _require_schema(connection)
    except LedgerUnavailable as failure:
        store.close()
        if failure.__cause__ is not None and database.is_missing(failure.__cause__):
            raise StoreMissing("the server has no database of this name") from failure
        raise
    except BaseException:
        store.close()
        raise
    return store


def _require_schema(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        try:
            found = connection.exec_driver_sql("PRAGMA application_id").scalar()
        except DBAPIError as failure:
            raise StoreMissing(f"the file is not a ledger ({cause_of(failure)})") from None
        if found != schema.APPLICATION_ID:
            raise StoreMissing("the file is not a ledger")
    require_fit(connection)
    if "meta" not in inspect(connection).get_table_names():
        raise nothing_found(connection)
    version = read_meta(connection).get("schema_version", "")
    if not version.isdigit():
        raise LedgerDamaged("the store does not tell its schema version")
    if int(version) > schema.SCHEMA_VERSION:
        raise SchemaNewer(f"the store has schema {version}, this program knows {schema.SCHEMA_VERSION}")
    if int(version) < schema.SCHEMA_VERSION:
        raise SchemaOlder(f"the store has schema {version}, this program needs {schema.SCHEMA_VERSION}")
