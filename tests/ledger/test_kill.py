"""What was acknowledged survives kill -9, with a receipt that verifies."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ledger import (
    FileMasterKeys,
    Ledger,
    create_store,
    decode_entry,
    load_signer,
    verify_receipt,
    write_master_key,
    write_signing_key,
)
from ledger.commands import fsck

ORIGIN = "kill.example/log"
WRITER = """
import os, sys
from datetime import UTC, datetime
from pathlib import Path
from concurrent.futures import ThreadPoolExecutor
from ledger import Draft, FileMasterKeys, Ledger, Submission, load_signer
home, url = Path(sys.argv[1]), sys.argv[2]
signer = load_signer(home / "log.key", "kill.example/log")
ledger = Ledger.open(url, origin="kill.example/log", signer=signer, verifiers=[signer.verifier],
                     master_keys=FileMasterKeys(home / "master.keys"), now=lambda: datetime.now(UTC))
def one(_):
    draft = Draft(kind="VerificationAnswered", record=os.urandom(16), groups={"answer": {"verdict": "ESTABLISHED"}})
    done = ledger.append_blocking(Submission(drafts=(draft,), at=datetime.now(UTC)))
    os.write(1, b"%d %s\\n" % (done.entries[0].index, draft.record.hex().encode()))
with ThreadPoolExecutor(16) as pool:
    list(pool.map(one, range(100000)))
"""


def rounds(home: Path, url: str, count: int) -> None:
    signer = write_signing_key(home / "log.key", ORIGIN)
    write_master_key(home / "master.keys", random.Random(1).randbytes)
    create_store(url, origin=ORIGIN, signer=signer, now=datetime.now(UTC))
    acknowledged: dict[int, str] = {}
    for turn in range(count):
        process = subprocess.Popen([sys.executable, "-c", WRITER, str(home), url], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        enough = 20 + random.Random(turn).randrange(200)
        lines = [process.stdout.readline() for _ in range(enough)]
        process.send_signal(signal.SIGKILL)
        rest = process.stdout.read().splitlines(keepends=True)
        process.wait()
        process.stdout.close()
        for line in [*lines, *rest]:
            if line.endswith("\n"):
                index, record = line.split()
                assert int(index) not in acknowledged
                acknowledged[int(index)] = record
        check(home, url, acknowledged)


def check(home: Path, url: str, acknowledged: dict[int, str]) -> None:
    signer = load_signer(home / "log.key", ORIGIN)
    keys = FileMasterKeys(home / "master.keys")
    with Ledger.open(
        url,
        origin=ORIGIN,
        signer=signer,
        verifiers=[signer.verifier],
        master_keys=keys,
        now=lambda: datetime.now(UTC),
    ) as ledger:
        for index, record in acknowledged.items():
            assert decode_entry(ledger.entry(index)).record.hex() == record
            assert verify_receipt(ledger.receipt(index), [signer.verifier], ORIGIN).index == index
    assert not fsck(url, verifiers=[signer.verifier], origin=ORIGIN, master_keys=keys).damages


def test_acknowledged_appends_survive_kill_9_on_sqlite(tmp_path: Path) -> None:
    rounds(tmp_path, f"sqlite:///{tmp_path / 'ledger.sqlite3'}", 4)


@pytest.mark.postgres
def test_acknowledged_appends_survive_kill_9_on_postgresql(tmp_path: Path, postgres_url: str) -> None:
    rounds(tmp_path, postgres_url, 2)
