"""Every column of every table is altered in turn, rows are lost and added: the check finds it, or it is listed here why
nobody could."""

from __future__ import annotations

import base64
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from sqlalchemy import Column, Integer, LargeBinary, Table

from ledger import (
    Draft,
    Ed25519Signer,
    FileMasterKeys,
    LedgerDamaged,
    SchemaNewer,
    SchemaOlder,
    write_signing_key,
)
from ledger.anchors.authority import TimestampAuthority
from ledger.anchors.register import AnchorRegister
from ledger.anchors.token import load_roots
from ledger.canonical import format_time
from ledger.commands import fsck
from ledger.fsck import FsckReport
from ledger.log import schema
from ledger.log.checkpoint import read_checkpoint
from tests.ledger.anchors.tsa import OPENSSL, found_authority, granting, serving
from tests.ledger.house import ORIGIN, START, House, answered, build, erasing, new_record, submission

pytestmark = pytest.mark.skipif(OPENSSL is None, reason="no openssl command: no time stamp can be made")

UNCHECKED: dict[tuple[str, str], str] = {
    ("checkpoint", "signed_at"): "a checkpoint does not say when it was signed; the first one's time stands in `meta`",
    ("checkpoint", "row lost"): "no list says which sizes were signed; the first, the newest and those attested remain",
    ("cosignature", "row lost"): "only the witness knows what it signed",
    ("anchor", "row lost"): "only the authority knows what it stamped",
    ("anchor", "token"): "who signed a stamp is told by the authority's certificates: `chengxin ledger anchors`",
    ("idempotency", "key"): "a request key is the caller's; the log does not hold it",
    ("idempotency", "body_digest"): "a request's digest is the caller's; the log does not hold it",
    ("idempotency", "first_idx"): "entries do not say by which request they came, only when",
    ("idempotency", "count"): "entries do not say by which request they came, only when",
    ("idempotency", "row lost"): "keys are dropped when they are old",
    ("uniqueness", "key"): "what a claim is about is the caller's; but the claims of indexes follow from the log",
    ("uniqueness", "record"): "what a claim is about is the caller's; but the claims of indexes follow from the log",
    ("uniqueness", "row lost"): "claims are given up; but those of indexes are for ever",
    ("uniqueness", "row added"): "any record may claim anything",
    ("vault_key", "destroyed_at"): "entries say what was erased, not at which moment the key was destroyed",
    ("vault_key", "master_version"): "of a key that is destroyed nobody can tell what it was wrapped by",
}  # fmt: skip
"""What is not found by any check, by table and column, and why."""


class Alteration(NamedTuple):
    """One change: what it is to (a column, or rows), how it is told, and how it is done."""

    what: str
    told: str
    statement: str
    values: tuple[Any, ...]


class Ground(NamedTuple):
    """A ledger with something in every table."""

    house: House
    witness: Ed25519Signer
    file: Path


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    directory = tmp_path_factory.mktemp("matrix")
    house = build(f"sqlite:///{directory}/ledger.db", directory)
    witness = write_signing_key(directory / "witness.pem", "witness.example")
    with house.open() as ledger:
        for number in range(6):
            chain, at = new_record(), START + timedelta(minutes=number)
            facts = {
                "subject": "ab" * 16, "case_key": "cd" * 16, "parent": "ef" * 16, "unit": "u", "matter": "m",
                "item": "i", "code": f"c{number}", "grade": "A", "due_at": format_time(START),
            }  # fmt: skip
            first = Draft(kind="CommitmentPrepared", record=chain, groups={"body": number}, facts=facts)
            later = Draft(kind="CommitmentRecorded", record=chain, groups={"body": -number})
            key = number.to_bytes(6, "big") + b"k" * 10
            ledger.append_blocking(
                submission(first, later, key=key, claim_keys=((b"claim %d" % number, chain),))._replace(at=at)
            )
        ledger.append_blocking(submission(*(answered(n=n) for n in range(256 - ledger.size()))))
        ledger.commit_index(START)
        gone = new_record()
        ledger.append_blocking(submission(answered(gone, body="x")))
        ledger.append_blocking(erasing(ledger, gone))
        checkpoint = read_checkpoint(ledger.checkpoint())
    signature = base64.b64encode(witness.key_id + witness.sign(checkpoint.text().encode())).decode()
    file = directory / "ledger.db"
    with closing(sqlite3.connect(file)) as database, database:
        row = (checkpoint.size, f"\u2014 witness.example {signature}")
        database.execute("INSERT INTO cosignature (size, line) VALUES (?, ?)", row)
    authority = found_authority(directory / "authority")
    with serving(granting(authority)) as url, AnchorRegister.open(house.url) as anchors:
        assert anchors.anchor(TimestampAuthority(url, load_roots(authority.root))) is not None
    with house.open() as ledger:
        ledger.append_blocking(submission(answered(n=0)))
    with closing(sqlite3.connect(file)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return Ground(house, witness, file)


def check(ground: Ground, file: Path, **more: Any) -> FsckReport:
    keys = FileMasterKeys(ground.house.directory / "master.keys")
    given = {"origin": ORIGIN, "master_keys": keys, "workers": 1, "inline": True, **more}
    return fsck(
        f"sqlite:///{file}",
        verifiers=[ground.house.signer.verifier],
        witnesses=[ground.witness.verifier],
        **given,
    )


def chosen(database: sqlite3.Connection, table: Table) -> list[dict[str, Any]]:
    """The first, the last and one row between; of keys also one that is destroyed, for it differs."""
    names = [column.name for column in table.columns]
    order = ", ".join(column.name for column in table.primary_key)
    rows = database.execute(f"SELECT {', '.join(names)} FROM {table.name} ORDER BY {order}").fetchall()
    picked = {0, len(rows) // 2, len(rows) - 1}
    if table is schema.vault_key:
        picked |= {number for number, row in enumerate(rows) if row[names.index("destroyed_at")] is not None}
    return [dict(zip(names, rows[number], strict=True)) for number in sorted(picked)]


def other_values(column: Column[Any], value: Any) -> Iterator[Any]:
    """Values that a column could hold as well: a little different, extreme, of another form, and none."""
    if column.nullable and value is not None:
        yield None
    if isinstance(column.type, Integer):
        yield from {(value or 0) + 1, (value or 0) - 1, -1, 0, 20, 1 << 62} - {value}
    elif isinstance(column.type, LargeBinary):
        data = b"\x01" * 16 if value is None else value
        yield from {b"\x00", data + b"\x00", flipped(data, 0), flipped(data, -1), flipped(data, len(data) // 2)} - {
            value
        }
    else:
        yield from {"x", f"{value or ''}x", "", "2026-01-31T08:00:00.000000Z", f"{value or ''}\n{value or ''}"} - {
            value
        }


def flipped(data: bytes, at: int) -> bytes:
    if not data:
        return data
    at %= len(data)
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def alterations(database: sqlite3.Connection, table: Table) -> Iterator[Alteration]:
    keys = [column.name for column in table.primary_key]
    here = " AND ".join(f"{name} = ?" for name in keys)
    rows = chosen(database, table)
    for row in rows:
        at = tuple(row[name] for name in keys)
        for column in table.columns:
            others = {other[column.name] for other in rows} - {row[column.name], None}
            for value in {*other_values(column, row[column.name]), *others}:
                told = f"{table.name} {at!r:.40}: {column.name} = {value!r:.60}"
                yield Alteration(
                    column.name, told, f"UPDATE {table.name} SET {column.name} = ? WHERE {here}", (value, *at)
                )
        yield Alteration("row lost", f"{table.name} {at!r:.40} lost", f"DELETE FROM {table.name} WHERE {here}", at)
        for name in keys:
            for value in other_values(table.c[name], row[name]):
                added = {**row, name: value}
                marks = ", ".join("?" * len(added))
                yield Alteration(
                    "row added",
                    f"{table.name} {name} = {value!r:.60} added",
                    f"INSERT INTO {table.name} ({', '.join(added)}) VALUES ({marks})",
                    tuple(added.values()),
                )
    yield Alteration("row lost", f"{table.name} emptied", f"DELETE FROM {table.name}", ())


def untouched(ground: Ground, file: Path) -> None:
    shutil.copy(ground.file, file)
    for end in ("-wal", "-shm"):
        Path(f"{file}{end}").unlink(missing_ok=True)


def is_done(file: Path, one: Alteration) -> bool:
    """Do it, past the triggers; tells whether the database can hold it and it is a change."""
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("PRAGMA synchronous = OFF")
        database.execute("BEGIN")  # else each trigger is dropped and made in a transaction of its own
        triggers = database.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for name, _ in triggers:
            database.execute(f"DROP TRIGGER {name}")
        try:
            changed = database.execute(one.statement, one.values).rowcount > 0
        except sqlite3.IntegrityError:
            changed = False
        for _, made in triggers:
            database.execute(made)
        return changed


def test_the_ground_is_sound_and_has_something_in_every_table(ground: Ground) -> None:
    assert check(ground, ground.file).damages == ()
    assert check(ground, ground.file, master_keys=None).damages == ()
    assert check(ground, ground.file, leaves_from_tiles=True).damages == ()
    with closing(sqlite3.connect(ground.file)) as database:
        for table in schema.tables.sorted_tables:
            assert database.execute(f"SELECT count(*) FROM {table.name}").fetchone() > (0,), table.name


@pytest.mark.parametrize("table", schema.tables.sorted_tables, ids=lambda table: table.name)
def test_what_is_altered_is_found_or_listed_as_what_cannot_be(ground: Ground, table: Table, tmp_path: Path) -> None:
    file = tmp_path / "ledger.db"
    with closing(sqlite3.connect(ground.file)) as database:
        made = list(alterations(database, table))
    unfound: dict[str, list[str]] = {}
    done = 0
    for one in made:
        untouched(ground, file)
        if not is_done(file, one):
            continue
        done += 1
        try:
            sound = check(ground, file).sound
        except (SchemaNewer, SchemaOlder, LedgerDamaged):
            sound = False  # it is not even opened
        except Exception as failure:
            pytest.fail(f"{one.told}: the check itself failed with {failure!r}")
        if sound:
            unfound.setdefault(one.what, []).append(one.told)
    assert done > len(table.columns)
    listed = {what for name, what in UNCHECKED if name == table.name}
    assert {what: told for what, told in unfound.items() if what not in listed} == {}
    assert listed == unfound.keys()  # nothing stays listed that is found
