"""Statements on their way to PostgreSQL, sent one after the other without waiting for any.

Goes through libpq (`psycopg.pq`) itself: the driver's own pipeline talks to the socket and makes several objects for
each statement, which costs more processor time than all rows of a small batch.
"""

from __future__ import annotations

import itertools
import select
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from math import isinf
from types import TracebackType
from typing import Self

from psycopg import Error, OperationalError
from psycopg.errors import error_from_result
from psycopg.pq import ConnStatus, ExecStatus, Format, TransactionStatus
from psycopg.pq.abc import PGresult
from sqlalchemy import ClauseElement, Table
from sqlalchemy.dialects import postgresql

from ledger.log.arrays import ELEMENT_TYPES, ElementType, pack_array, pack_value, unpack_value
from ledger.log.databases import compiled_text
from ledger.log.patience import PatientConnection

Row = tuple[int | bytes | str | None, ...]
_DIALECT = postgresql.dialect(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]
_WORTH_SENDING = 8192
"""Bytes of values for which the server is better at work than idle; a call into the kernel costs more than it gains for
less."""
_NUMBERS = itertools.count()
_FINE = (ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK)


class Sent:
    """A statement on its way; what became of it is known when the pipeline has ended."""

    rowcount = -1
    """How many rows it changed."""
    _first: Row | None = None

    def arrived(self, result: PGresult) -> None:
        """Take the result."""
        self.rowcount = result.command_tuples or 0
        if result.ntuples:
            cells = [(result.ftype(at), result.get_value(0, at)) for at in range(result.nfields)]
            self._first = tuple([None if value is None else unpack_value(oid, value) for oid, value in cells])

    def fetchone(self) -> Row | None:
        """Return the first row of the answer, if there is one."""
        return self._first


class Pipeline:
    """Sends statements inside a `with` block, and waits for all of them at its end.

    `prepared` names the statements that the connection has prepared, by their texts, and lives as long as it does.

    Raises:
        psycopg.Error: a statement failed, at the end of the block at the latest; the transaction is lost.
    """

    def __init__(self, driver: PatientConnection, prepared: dict[str, bytes]) -> None:
        self._driver = driver
        self._pgconn = driver.pgconn
        self._prepared = prepared
        self._begins = not driver.autocommit
        self._sent: list[Sent | None] = []
        """In order; None for a statement that only prepares another."""
        self._new: list[str] = []
        """What is prepared here for the first time."""
        self._unsent = 0

    def __enter__(self) -> Self:
        """Begin, and begin a transaction if none is open, as the driver does with a first statement."""
        if self._pgconn.status == ConnStatus.BAD:
            raise OperationalError("the connection is lost")
        self._pgconn.enter_pipeline_mode()
        if self._begins and self._pgconn.transaction_status == TransactionStatus.IDLE:
            self.send("BEGIN", ())
        return self

    def send(self, text: str, values: Sequence[bytes | None]) -> Sent:
        """Send a statement with its values in binary form; what is much leaves at once, so that the server begins."""
        name = self._prepared.get(text)
        if name is None:
            name = self._prepared[text] = b"ledger_%d" % next(_NUMBERS)
            self._pgconn.send_prepare(name, text.encode())
            self._new.append(text)
            self._sent.append(None)
        self._pgconn.send_query_prepared(name, values, [Format.BINARY] * len(values), Format.BINARY)
        sent = Sent()
        self._sent.append(sent)
        self._unsent += sum([len(value) for value in values if value is not None])
        if self._unsent >= _WORTH_SENDING:
            self._unsent = 0
            self._pgconn.flush()
        return sent

    def __exit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait for every statement."""
        if failure is None:
            self._end()
            return
        with suppress(Error):  # what failed first is told
            self._end()

    def _end(self) -> None:
        self._pgconn.pipeline_sync()
        failed: PGresult | None = None
        for sent in self._sent:
            while (result := self._next()) is not None:
                if result.status not in _FINE:
                    failed = failed or result
                elif sent is not None:
                    sent.arrived(result)
        self._next()  # the answer to the sync
        self._pgconn.exit_pipeline_mode()
        if failed is not None:
            for text in self._new:  # whether before or after what failed: they are prepared again, under other names
                self._prepared.pop(text, None)
            raise error_from_result(failed)

    def _next(self) -> PGresult | None:
        """Wait for the next result, without the interpreter lock; None ends those of a statement."""
        while self._pgconn.is_busy():
            ready = select.poll()
            ready.register(self._pgconn.socket, select.POLLIN | (select.POLLOUT if self._pgconn.flush() else 0))
            if not ready.poll(None if isinf(patience := self._driver.patience) else 1000 * patience):
                raise self._driver.given_up()
            self._pgconn.consume_input()
        return self._pgconn.get_result()


class PipelinedWrites:
    """Writes rows and runs statements in a pipeline; any number of rows is one statement, over an array a column."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline

    def insert(self, table: Table, rows: Sequence[Sequence[object]], conflict: str = "") -> None:
        """Send rows; they hold all columns in order, or the leading ones."""
        if not rows:
            return
        columns = list(zip(*rows, strict=True))
        packed = [pack_array(kind, column) for kind, column in zip(_types(table), columns, strict=False)]
        self._pipeline.send(_insert_text(table, len(columns), conflict), packed)

    def run(self, statement: ClauseElement, values: Mapping[str, object]) -> Sent:
        """Send a statement whose values are numbers (bigint), bytes and texts."""
        text, order = compiled_text(statement, _DIALECT)
        return self._pipeline.send(text, [pack_value(values[name]) for name in order])


@cache
def _types(table: Table) -> list[ElementType]:
    return [ELEMENT_TYPES[column.type.compile(dialect=_DIALECT).split()[0]] for column in table.columns]


@cache
def _insert_text(table: Table, columns: int, conflict: str) -> str:
    names = ", ".join([f'"{column.name}"' for column in list(table.columns)[:columns]])
    # In the select list: in FROM, each array would first be written to a temporary store.
    values = ", ".join([f"unnest(${at}::{kind.name}[])" for at, kind in enumerate(_types(table)[:columns], 1)])
    return f'INSERT INTO "{table.name}" ({names}) SELECT {values} {conflict}'
