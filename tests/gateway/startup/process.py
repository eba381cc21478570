"""A house, and `chengxin serve` in it as a process of its own."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from gateway.founding import House, found
from tests import started

SOURCES = (
    '[sources.civil]\nkind = "dropbox"\ndepartment = "示例"\nfolder = "/nowhere"\n'
    '[sources.civil.facts.cremation-record]\nkey = "a"\n'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a process ended."""

    status: int
    said: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A house on disk and its ledger's file."""

    house: House

    @property
    def database(self) -> Path:
        return self.house.home / "ledger.sqlite3"

    @property
    def seen(self) -> Path:
        return self.house.home / "keys" / "checkpoint.seen"

    def configure(self, old: str, new: str) -> None:
        text = self.house.config.read_text("utf-8")
        assert old in text
        self.house.config.write_text(text.replace(old, new, 1), "utf-8")

    def start(self) -> subprocess.Popen[str]:
        return started.start(
            "serve", "--config", self.house.config,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ | {"PYTHONWARNINGS": "error"},
        )  # fmt: skip

    def command(self, *arguments: str | Path) -> Ended:
        """Run a command of the program in this house, to its end."""
        done = started.run(*arguments)
        return Ended(status=done.returncode, said=done.stdout + done.stderr)

    @contextmanager
    def running(self) -> Iterator[subprocess.Popen[str]]:
        """Serve, and end with SIGTERM; the process must end well."""
        process = self.start()
        assert process.stdout is not None
        ready = process.stdout.readline()
        if not ready.startswith("ready "):
            raise AssertionError(process.communicate()[1])
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            _, said = process.communicate(timeout=60)
        assert process.returncode == 0, said

    def refusal(self) -> Ended:
        """Start, expect it not to serve, and require that it left the database as it was."""
        before = contents(self.database)
        process = self.start()
        out, said = process.communicate(timeout=60)
        assert "ready" not in out
        assert contents(self.database) == before
        return Ended(status=process.returncode, said=said)

    def edit(self, *statements: str) -> None:
        """Change the database behind the ledger's back, as only a fault or an intruder does."""
        with closing(sqlite3.connect(self.database)) as database, database:
            triggers = database.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
            for name, _ in triggers:
                database.execute(f"DROP TRIGGER {name}")
            for statement in statements:
                assert database.execute(statement).rowcount > 0
            for _, made in triggers:
                database.execute(made)

    def edit_schema(self, statement: str) -> None:
        """Change what tables there are."""
        with closing(sqlite3.connect(self.database)) as database:
            database.execute(statement)

    def overwrite(self, content: bytes) -> None:
        """Put something else in the place of the database."""
        for left in self.house.home.glob("ledger.sqlite3*"):
            left.unlink()
        self.database.write_bytes(content)

    def size(self) -> int:
        with closing(sqlite3.connect(self.database)) as database:
            return int(database.execute("SELECT size FROM head").fetchone()[0])

    def backup(self, to: Path) -> Path:
        with closing(sqlite3.connect(self.database)) as database, closing(sqlite3.connect(to)) as copy:
            database.backup(copy)
        return to

    def restore(self, backup: Path) -> None:
        for left in self.house.home.glob("ledger.sqlite3*"):
            left.unlink()
        with closing(sqlite3.connect(backup)) as database, closing(sqlite3.connect(self.database)) as copy:
            database.backup(copy)


def contents(database: Path) -> list[str]:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as opened:
        return list(opened.iterdump())


def make(folder: Path) -> Place:
    return Place(house=found(folder, now=datetime.now(UTC), sources=SOURCES, listen="127.0.0.1:0"))
