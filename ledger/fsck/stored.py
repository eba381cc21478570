"""What the database says of itself: pages that are damaged, and indexes that do not find what their tables hold.

The other passes follow entries and records, and need not come by the page or the index where a lookup goes astray.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Table

from ledger.errors import LedgerDamaged
from ledger.fsck.findings import Findings
from ledger.fsck.probes import probe_indexes
from ledger.fsck.snapshot import Snapshot, snapshot
from ledger.log import schema
from ledger.log.databases import SqliteDatabase
from ledger.log.store import Store

Advance = Callable[[float], None]
"""Told now and then which share of the work is done."""
_STEPS = 1_000_000
"""Steps of SQLite between two looks at how far it is."""
_STEPS_AN_ENTRY = 60
"""About how many steps it takes for an entry, by which its progress is reckoned."""
_OF_AN_INDEX = re.compile(r"(?:row \d+ missing from|wrong # of entries in|non-unique entry in) index (\S+)")
_HEADER = 100


def examine_stored(store: Store, findings: Findings, advance: Advance = lambda _share: None, *, size: int = 0) -> None:
    """Note the tables and indexes whose pages are damaged, and the indexes that do not find what their tables hold.

    `size` is about how many entries there are. Memory is bounded, whatever the size.

    Raises:
        LedgerUnavailable: the database cannot be asked, for another reason than damage.
    """
    database = store.database
    if not isinstance(database, SqliteDatabase):
        probe_indexes(store, findings, advance)
        return
    try:
        with snapshot(store) as view:
            for what in _damages(_Asked(view, database), advance, size):
                findings.add(None, what)
    except LedgerDamaged:
        findings.add(
            None, _cut_short(database.path) or "nothing of the database file can be read: its schema is damaged"
        )


class _Asked:
    """SQLite's own check (`PRAGMA integrity_check`)."""

    def __init__(self, view: Snapshot, database: SqliteDatabase) -> None:
        self._database = database
        self.view = view
        self.driver: Any = view.connection.connection.driver_connection

    def wrong(self, table: str = "") -> list[str]:
        """Return what is wrong, line by line: with the whole file, or with a table and its indexes."""
        values = [table] if table else []
        mark = "(?)" if table else ""
        question = f"SELECT integrity_check FROM pragma_integrity_check{mark}"  # noqa: S608  only marks
        try:
            rows = self.driver.execute(question, values).fetchall()
        except self._database.errors as failure:
            if not self._database.is_damage(failure):
                raise
            # The driver is a row ahead, and for the failure gives up the row in which the pages stand.
            rows = self.view.attempt(f"{question} LIMIT 1", *values) or [("it cannot be read to its end",)]
        lines = (line for (row,) in rows for line in row.splitlines())
        return [line for line in lines if line != "ok" and not line.startswith("***")]

    @contextmanager
    def watched(self, advance: Advance, size: int) -> Iterator[None]:
        """Tell how far it is meanwhile, as far as that can be reckoned."""
        steps, most = 0, max(_STEPS, size * _STEPS_AN_ENTRY)

        def look() -> int:
            nonlocal steps
            steps += _STEPS
            advance(min(1.0, steps / most))
            return 0

        self.driver.set_progress_handler(look, _STEPS)
        try:
            yield
        finally:
            self.driver.set_progress_handler(None, 0)


def _damages(asked: _Asked, advance: Advance, size: int) -> Iterator[str]:
    with asked.watched(advance, size):
        whole = asked.wrong()
    if not whole:
        return
    tables = schema.tables.sorted_tables
    found = dict.fromkeys(what for table in tables for what in _damages_of(asked, table))
    # What is in none of the tables: the list of free pages, and pages that are lost.
    yield from found or (f"the database file is damaged: {line}" for line in whole)


def _damages_of(asked: _Asked, table: Table) -> Iterator[str]:
    lines = asked.wrong(table.name)
    where = _where(asked.view, table) if lines else ""
    for line in lines:
        index = _OF_AN_INDEX.search(line)
        if index is not None:
            yield f"the index {index[1]} of table {table.name} does not find what the table holds"
        else:
            yield f"{where} is damaged: {line}"


def _where(view: Snapshot, table: Table) -> str:
    """Tell which of the trees of a table cannot be walked, if that is only one."""
    trees = {f"the table {table.name}": f"{table.name} NOT INDEXED"}
    for index in table.indexes:
        rule = index.dialect_options["sqlite"]["where"]
        tree = f"{table.name} INDEXED BY {index.name}" + ("" if rule is None else f" WHERE {rule}")
        trees[f"the index {index.name} of table {table.name}"] = tree
    broken = [name for name, tree in trees.items() if view.attempt(f"SELECT count(*) FROM {tree}") is None]  # noqa: S608  only our names
    return broken[0] if len(broken) == 1 else f"the table {table.name} or an index of it"


def _cut_short(file: Path) -> str | None:
    """Tell if a database file ends before its end; one that has a log beside it may go on there."""
    with file.open("rb") as content:
        header, size = content.read(_HEADER), content.seek(0, 2)
    log = file.with_name(f"{file.name}-wal")
    width = int.from_bytes(header[16:18], "big")
    width, pages = 1 << 16 if width == 1 else width, int.from_bytes(header[28:32], "big")
    if len(header) < _HEADER or size >= width * pages or (log.exists() and log.stat().st_size):
        return None
    return f"the database file is cut short: it ends in page {size // width + 1} of {pages}"
