"""Civil affairs of the demonstration: the marriage register and the death register as an SQLite file.

Nothing runs: the gateway's `sql` connector reads the file, as it would a front-end table (前置机库表).
"""

from __future__ import annotations

import argparse
import sqlite3
import sys
from collections.abc import Sequence
from contextlib import closing
from datetime import date
from pathlib import Path

from gateway.demo.people import Person, population

LOADED_AT = "2026-01-01T00:00:00+08:00"
"""When the rows were last changed; fixed, so that the same seed gives the same content."""
STATUS = {"married": "20", "widowed": "30", "divorced": "40"}
"""Codes of GB/T 2261.2, as such registers hold them. Who never married has no row."""
_SCHEMA = """
CREATE TABLE marriage (id_number TEXT PRIMARY KEY, name TEXT NOT NULL, status TEXT NOT NULL,
    spouse_id_number TEXT NOT NULL, spouse_name TEXT NOT NULL, registered_on TEXT NOT NULL, updated_at TEXT NOT NULL);
CREATE TABLE death (id_number TEXT PRIMARY KEY, name TEXT NOT NULL, died_on TEXT NOT NULL, updated_at TEXT NOT NULL);
"""
_DIED_ON = "2025-03-01"


def build(file: Path, people: Sequence[Person]) -> None:
    """Write the registers of some people to a new file, which takes the old one's place at once and whole."""
    draft = file.with_name(f"{file.name}.new")
    draft.unlink(missing_ok=True)
    with closing(sqlite3.connect(draft)) as database:
        database.executescript(_SCHEMA)
        database.executemany("INSERT INTO marriage VALUES (?, ?, ?, ?, ?, ?, ?)", map(_marriage, _wed(people)))
        gone = [(p.id_number, p.name, _DIED_ON, LOADED_AT) for p in people if not p.alive]
        database.executemany("INSERT INTO death VALUES (?, ?, ?, ?)", gone)
        database.commit()
    draft.replace(file)


def _wed(people: Sequence[Person]) -> list[Person]:
    return [person for person in people if person.marital != "unmarried"]


def _marriage(person: Person) -> tuple[str, ...]:
    # One date for both: 22 years is the lawful age, and couples of the population are grown up by 2025.
    registered = date(max(person.born.year, int(person.spouse_id_number[6:10])) + 22, 12, 31).isoformat()
    status = STATUS[person.marital]
    return (
        person.id_number,
        person.name,
        status,
        person.spouse_id_number,
        person.spouse_name,
        registered,
        LOADED_AT,
    )


def main(argv: Sequence[str]) -> int:
    """Build the file; the exit code is 0."""
    parser = argparse.ArgumentParser(prog="civil_affairs", description="Build the registers of civil affairs.")
    parser.add_argument("file", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--size", type=int, default=200)
    options = parser.parse_args(argv)
    build(options.file, population(options.seed, options.size))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
