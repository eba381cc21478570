"""A full disk: callers hear of it, the log stays whole, and goes on when there is room again."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event

from ledger import Appended, LedgerUnavailable
from ledger.commands import fsck
from tests.ledger.house import ORIGIN, House, answered, submission


def require_sound(house: House) -> None:
    report = fsck(house.url, verifiers=[house.signer.verifier], origin=ORIGIN, master_keys=house.master_keys)
    assert report.damages == ()


async def test_a_full_database_refuses_and_recovers(sqlite_house: House) -> None:
    """SQLite itself says `database or disk is full` at a limit of pages on the writing connection."""
    connections: list[Any] = []

    def note(connection: Any, _: object) -> None:
        connections.append(connection)

    event.listen(Engine, "connect", note)
    try:
        with sqlite_house.open() as ledger:
            before = [await ledger.append(submission()) for _ in range(3)]
            limited = list(connections)
            for connection in limited:
                pages = connection.execute("PRAGMA page_count").fetchone()[0]
                connection.execute(f"PRAGMA max_page_count={pages + 2}")

            large = "x" * 20_000
            done = await asyncio.gather(
                *(ledger.append(submission(answered(body=large), key=b"key-%05d" % n)) for n in range(20)),
                return_exceptions=True,
            )

            failed = [d for d in done if isinstance(d, BaseException)]
            assert failed
            assert all(type(f) is LedgerUnavailable for f in failed), failed
            assert ledger.size() == 3 + len(done) - len(failed)
            require_sound(sqlite_house)

            for connection in limited:
                with suppress(sqlite3.ProgrammingError):  # given up after the failure: the limit went with it
                    connection.execute("PRAGMA max_page_count=4294967294")
            again = [await ledger.append(submission(answered(body=large), key=b"key-%05d" % n)) for n in range(20)]
            assert sorted(a.entries[0].index for a in again) == list(range(3, 23))
            for answer, first in zip(again, done, strict=True):
                if isinstance(first, Appended):
                    assert (answer.receipts, answer.replayed) == (first.receipts, True)
            assert all(ledger.receipt(0, b.size) for b in before)
        require_sound(sqlite_house)
    finally:
        event.remove(Engine, "connect", note)


WRITER = """
import os, resource, sys
from datetime import UTC, datetime
from pathlib import Path
from ledger import Draft, FileMasterKeys, Ledger, LedgerUnavailable, Submission, load_signer
home, url = Path(sys.argv[1]), sys.argv[2]
signer = load_signer(home / "log.pem", sys.argv[3])
ledger = Ledger.open(url, origin=signer.name, signer=signer, verifiers=[signer.verifier],
                     master_keys=FileMasterKeys(home / "master.keys"), now=lambda: datetime.now(UTC))
def one():
    draft = Draft(kind="VerificationAnswered", record=os.urandom(16), groups={"body": "x" * 20000})
    return ledger.append_blocking(Submission(drafts=(draft,), at=datetime.now(UTC)))
acknowledged = [one().entries[0].index]
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (Path(url.removeprefix("sqlite:///") + "-wal").stat().st_size + 200000, hard))
refused = 0
while refused < 5:
    try:
        acknowledged.append(one().entries[0].index)
    except LedgerUnavailable:
        refused += 1
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
acknowledged += [one().entries[0].index for _ in range(5)]
assert acknowledged == list(range(len(acknowledged))), acknowledged
ledger.close()
print(len(acknowledged))
"""


def test_a_write_that_fails_half_way_leaves_nothing_behind(sqlite_house: House, tmp_path: Path) -> None:
    """The operating system refuses to let the write-ahead log grow in the middle of a transaction."""
    done = subprocess.run(
        [sys.executable, "-c", WRITER, str(tmp_path), sqlite_house.url, ORIGIN],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 6
    require_sound(sqlite_house)
    with sqlite_house.open() as ledger:
        assert ledger.size() == int(done.stdout)
