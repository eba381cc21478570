"""What a witness remembers: for each log the newest checkpoint it cosigned, in an SQLite file of its own.

The file is the witness's promise. It is bound to the witness's keys, never made by opening, and never restored from a
backup: a witness that forgot must be given new keys. One transaction (`BEGIN IMMEDIATE`, synchronous=FULL) reads the
old checkpoint, checks the new one and replaces it, so that no two requests, threads or processes can both advance from
the same state; only what was committed may leave.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from ledger.errors import WitnessStateError
from ledger.log.checkpoint import read_checkpoint

_APPLICATION_ID = 0x43584C57
_VERSION = 2
_MOST_EVIDENCE = 1000
MOST_UNPROVEN = 1000
"""So many refusals that prove nothing are counted for a log; anybody can cause them."""
_UNPROVEN = """
CREATE TABLE unproven (origin TEXT PRIMARY KEY, count INTEGER NOT NULL) STRICT;
"""
_TABLES = f"""{_UNPROVEN}
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE log (
    origin TEXT PRIMARY KEY, size INTEGER NOT NULL, root BLOB NOT NULL, note BLOB NOT NULL, cosigned_at INTEGER NOT NULL
) STRICT;
CREATE TABLE evidence (
    origin TEXT NOT NULL, size INTEGER NOT NULL, root BLOB NOT NULL, note BLOB NOT NULL, known BLOB NOT NULL,
    reason TEXT NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (origin, size, root)
) STRICT;
CREATE TRIGGER log_no_retreat BEFORE UPDATE ON log
WHEN NEW.size < OLD.size OR (NEW.size = OLD.size AND NEW.root <> OLD.root)
BEGIN SELECT RAISE(ABORT, 'a witness does not go back'); END;
CREATE TRIGGER log_no_delete BEFORE DELETE ON log BEGIN SELECT RAISE(ABORT, 'a witness does not forget'); END;
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cosigned:
    """The newest checkpoint of a log that the witness cosigned: its note, cosignatures included, and when (POSIX s)."""

    origin: str
    size: int
    root: bytes
    note: bytes
    cosigned_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Two checkpoints of one size and different roots, both signed by one log: that proves itself.

    `note` is the one that the witness refused, with its `root`, `known` the one that it had cosigned.
    """

    origin: str
    size: int
    root: bytes
    note: bytes
    known: bytes
    reason: str
    at: int


class Turn:
    """One log's state within an open transaction."""

    def __init__(self, connection: sqlite3.Connection, origin: str) -> None:
        self._connection = connection
        self._origin = origin

    def read(self) -> Cosigned | None:
        """Read the newest checkpoint cosigned, if any."""
        return _read(self._connection, self._origin)

    def write(self, size: int, root: bytes, note: bytes, cosigned_at: int) -> None:
        """Replace it; durable when the transaction has ended without an error."""
        self._connection.execute(
            "INSERT INTO log VALUES (?, ?, ?, ?, ?) ON CONFLICT (origin) DO UPDATE SET "
            "size = excluded.size, root = excluded.root, note = excluded.note, cosigned_at = excluded.cosigned_at",
            (self._origin, size, root, note, cosigned_at),
        )


def create_state(path: Path, key_ids: Sequence[bytes]) -> None:
    """Make the file of a new witness with these keys.

    Raises:
        WitnessStateError: there is a file already, or it cannot be made.
    """
    try:
        path.open("xb").close()
        connection = sqlite3.connect(path, isolation_level=None)
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute(f"PRAGMA application_id={_APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version={_VERSION}")
            connection.executescript(f"BEGIN IMMEDIATE;{_TABLES}COMMIT;")
            connection.execute("INSERT INTO meta VALUES ('keys', ?)", (_named(key_ids),))
        finally:
            connection.close()
    except FileExistsError:
        raise WitnessStateError(f"{path} exists already; a witness's state is never made anew") from None
    except (OSError, sqlite3.Error) as failure:
        raise WitnessStateError(f"{path} cannot be made ({type(failure).__name__})") from failure


def _named(key_ids: Sequence[bytes]) -> str:
    return " ".join(sorted(key_id.hex() for key_id in key_ids))


class WitnessState:
    """The open file. Safe for several threads, and beside other processes that have it open."""

    def __init__(self, path: Path, key_ids: Sequence[bytes]) -> None:
        """Open an existing file.

        Raises:
            WitnessStateError: there is none, it is not such a file, or it belongs to other keys.
        """
        self._guard = threading.Lock()
        try:
            address = f"file:{path.resolve().as_uri().removeprefix('file://')}?mode=rw"
            self._connection = sqlite3.connect(
                address, uri=True, isolation_level=None, timeout=10, check_same_thread=False
            )
        except sqlite3.Error:
            raise WitnessStateError(
                f"{path} is missing: a witness that forgot must not sign; found a new one, with new keys"
            ) from None
        try:
            self._require(path, key_ids)
        except BaseException:
            self._connection.close()
            raise

    def _require(self, path: Path, key_ids: Sequence[bytes]) -> None:
        try:
            found = self._connection.execute("PRAGMA application_id").fetchone()[0]
            version = self._connection.execute("PRAGMA user_version").fetchone()[0]
            if found != _APPLICATION_ID or version not in (1, _VERSION):
                raise WitnessStateError(f"{path} is not the state of a witness of this version")
            self._connection.execute("PRAGMA synchronous=FULL")
            if version == 1:
                _upgrade(self._connection)
            row = self._connection.execute("SELECT value FROM meta WHERE key = 'keys'").fetchone()
        except sqlite3.Error as failure:
            raise WitnessStateError(f"{path} cannot be read ({type(failure).__name__})") from failure
        if row is None or row[0] != _named(key_ids):
            raise WitnessStateError(f"{path} belongs to a witness with other keys")

    @contextmanager
    def turn(self, origin: str) -> Iterator[Turn]:
        """Lend one log's state in one transaction: committed at the end, given up if anything is raised.

        Raises:
            WitnessStateError: the transaction could not be made durable; nothing of it may leave.
        """
        with self._guard:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                try:
                    yield Turn(self._connection, origin)
                    self._connection.execute("COMMIT")
                except BaseException:
                    with suppress(sqlite3.Error):
                        self._connection.execute("ROLLBACK")
                    raise
            except sqlite3.Error as failure:
                raise WitnessStateError(f"the state cannot be written ({type(failure).__name__})") from failure

    def newest(self, origin: str) -> Cosigned | None:
        """Read the newest checkpoint of a log that was cosigned, if any; raises `WitnessStateError`."""
        with self._guard, _reading():
            return _read(self._connection, origin)

    def all(self) -> list[Cosigned]:
        """Read the newest checkpoint of every log; raises `WitnessStateError`."""
        with self._guard, _reading():
            rows = self._connection.execute(_SELECT + " ORDER BY origin").fetchall()
        return [_cosigned(row) for row in rows]

    def keep(self, evidence: Evidence) -> None:
        """Keep what proves that a log signed two histories: the same checkpoint once, and the first thousand of a log.

        Nobody but the log can make more of it, and the first alone proves everything.

        Raises:
            WitnessStateError: it cannot be written.
        """
        with self._guard, _reading():
            self._connection.execute(
                "INSERT INTO evidence SELECT ?, ?, ?, ?, ?, ?, ? "
                "WHERE (SELECT count(*) FROM evidence WHERE origin = ?) < ? ON CONFLICT DO NOTHING",
                (
                    evidence.origin,
                    evidence.size,
                    evidence.root,
                    evidence.note,
                    evidence.known,
                    evidence.reason,
                    evidence.at,
                    evidence.origin,
                    _MOST_EVIDENCE,
                ),
            )

    def evidence(self) -> list[Evidence]:
        """Read everything kept, oldest first; raises `WitnessStateError`."""
        with self._guard, _reading():
            rows = self._connection.execute(
                "SELECT origin, size, root, note, known, reason, at FROM evidence ORDER BY at, origin, size, root"
            ).fetchall()
        names = ("origin", "size", "root", "note", "known", "reason", "at")
        return [Evidence(**dict(zip(names, row, strict=True))) for row in rows]

    def count_unproven(self, origin: str) -> None:
        """Count a refused checkpoint that proves nothing against its log; raises `WitnessStateError`."""
        with self._guard, _reading():
            self._connection.execute(
                "INSERT INTO unproven VALUES (?, 1) ON CONFLICT (origin) DO UPDATE SET count = count + 1 "
                "WHERE count < ?",
                (origin, MOST_UNPROVEN),
            )

    def unproven(self) -> dict[str, int]:
        """Read how many refused checkpoints prove nothing, by log, `MOST_UNPROVEN` at the most.

        Raises:
            WitnessStateError: it cannot be read.
        """
        with self._guard, _reading():
            return dict(self._connection.execute("SELECT origin, count FROM unproven").fetchall())

    def trust_clock(self) -> None:
        """Forget the times of earlier cosignatures, after a clock that ran ahead was set right."""
        with self._guard, _reading():
            self._connection.execute("UPDATE log SET cosigned_at = 0")

    def close(self) -> None:
        """Close the file."""
        with self._guard:
            self._connection.close()


def _upgrade(connection: sqlite3.Connection) -> None:
    """Bring a file of version 1 up to date: what it kept as evidence and does not prove itself is only counted."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        if connection.execute("PRAGMA user_version").fetchone()[0] == 1:  # nobody else was faster
            _count_what_proves_nothing(connection)
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise


def _count_what_proves_nothing(connection: sqlite3.Connection) -> None:
    connection.execute(_UNPROVEN)
    kept = connection.execute("SELECT rowid, origin, size, root, known FROM evidence").fetchall()
    for row, origin, size, root, known in kept:
        cosigned = read_checkpoint(known)
        if cosigned.size != size or cosigned.root == root:
            connection.execute("DELETE FROM evidence WHERE rowid = ?", (row,))
            connection.execute(
                "INSERT INTO unproven VALUES (?, 1) ON CONFLICT (origin) DO UPDATE SET count = count + 1", (origin,)
            )
    connection.execute(f"PRAGMA user_version={_VERSION}")


_SELECT = "SELECT origin, size, root, note, cosigned_at FROM log"


def _read(connection: sqlite3.Connection, origin: str) -> Cosigned | None:
    row = connection.execute(_SELECT + " WHERE origin = ?", (origin,)).fetchone()
    return None if row is None else _cosigned(row)


def _cosigned(row: tuple[str, int, bytes, bytes, int]) -> Cosigned:
    origin, size, root, note, at = row
    return Cosigned(origin=origin, size=size, root=root, note=note, cosigned_at=at)


@contextmanager
def _reading() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as failure:
        raise WitnessStateError(f"the state cannot be read or written ({type(failure).__name__})") from failure
