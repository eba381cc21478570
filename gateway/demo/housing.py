"""Housing of the demonstration: the register of home ownership as dropped files (文件交换).

The first drop lacks two people of the story. With `--late` come their records: one contradicts what was committed to,
the other confirms it.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from gateway.demo.people import Person, cast_among, population

FACT_TYPE = "home-ownership"
LEASE = "lease-filing"
COLUMNS = ("id_number", "name", "address", "use")
_USE = "住宅"
_ELSEWHERE = "黑龙江省示例市测试区另一路1号101室"


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """One row of the register: who owns which address."""

    id_number: str = field(repr=False)
    name: str = field(repr=False)
    address: str = field(repr=False)


def holding(people: Sequence[Person], *, late: bool) -> list[Home]:
    """Return the register of a population, with or without the late records; the story's minor owns nothing."""
    story = cast_among(people)
    absent = {story.minor.id_number} | (set() if late else {story.missing.id_number, story.honest.id_number})
    elsewhere = {story.contradicted.id_number, story.missing.id_number}
    return [
        Home(id_number=p.id_number, name=p.name, address=_ELSEWHERE if p.id_number in elsewhere else p.address)
        for p in people
        if p.id_number not in absent
    ]


def leases(people: Sequence[Person], *, late: bool) -> list[Home]:
    """Return the leases on file: late, one of the story's people rents another address than was committed to."""
    tenant = cast_among(people).missing
    return [Home(id_number=tenant.id_number, name=tenant.name, address=_ELSEWHERE)] if late else []


def deliver(folder: Path, people: Sequence[Person], as_of: datetime, *, number: int, late: bool) -> None:
    """Drop both holdings of the office: ownership and leases."""
    write_drop(folder, holding(people, late=late), as_of, number=number)
    write_drop(folder, leases(people, late=late), as_of, number=number, fact_type=LEASE)


def write_drop(
    folder: Path, people_records: Sequence[Home], as_of: datetime, *, number: int, fact_type: str = FACT_TYPE
) -> Path:
    """Write one whole holding as CSV and manifest, each put in place whole and the manifest last; return the manifest.

    Raises:
        ValueError: `as_of` has no time zone.
    """
    if as_of.tzinfo is None:
        raise ValueError("as_of needs a time zone")
    folder.mkdir(parents=True, exist_ok=True)
    table = io.StringIO(newline="")
    writer = csv.writer(table)
    writer.writerow(COLUMNS)
    writer.writerows((home.id_number, home.name, home.address, _USE) for home in people_records)
    data = table.getvalue().encode("utf-8")
    stem = f"{fact_type}-{number:04d}"
    manifest = {
        "schema": 1,
        "fact_type": fact_type,
        "file": f"{stem}.csv",
        "sha256": hashlib.sha256(data).hexdigest(),
        "rows": len(people_records),
        "as_of": as_of.isoformat(),
        "charset": "utf-8",
        "key": "id_number",
        "columns": list(COLUMNS),
        **({} if people_records else {"empty": True}),
    }
    _put(folder / f"{stem}.csv", data)
    _put(folder / f"{stem}.manifest.json", json.dumps(manifest).encode())
    return folder / f"{stem}.manifest.json"


def _put(file: Path, data: bytes) -> None:
    draft = file.with_name(f".{file.name}.new")
    draft.write_bytes(data)
    draft.replace(file)


def main(argv: Sequence[str]) -> int:
    """Write a drop as of now; the exit code is 0."""
    parser = argparse.ArgumentParser(prog="housing", description="Drop the register of home ownership into a folder.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--size", type=int, default=200)
    parser.add_argument("--number", type=int, required=True, help="the drop's number, in its file's name")
    parser.add_argument("--late", action="store_true", help="with the records that came late")
    options = parser.parse_args(argv)
    people = population(options.seed, options.size)
    deliver(options.folder, people, datetime.now(UTC), number=options.number, late=options.late)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
