"""What was acknowledged survives kill -9 at any moment under full load, and no checkpoint contradicts an earlier one.

`KILL_ROUNDS` says how often each set of processes is killed (`make soak`: 200 times).
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ledger import (
    Ed25519Signer,
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
from ledger.log.checkpoint import open_checkpoint
from ledger.log.key_file import load_cosigner, write_cosigner_key
from ledger.log.reader import LogReader
from ledger.log.store import open_store
from ledger.log.tiles import TileCache
from ledger.merkle import tree_root
from ledger.witness.protocol import Request, format_request
from ledger.witness.state import WitnessState, create_state
from ledger.witness.witness import Witness
from tests.ledger.killing import ORIGIN, now

ROUNDS = int(os.environ.get("KILL_ROUNDS", "3"))
_SAMPLE = 50
Acknowledged = dict[int, tuple[str, int, str]]


class Load:
    """One process under load, and what it acknowledged."""

    def __init__(self, mode: str, home: Path, url: str) -> None:
        arguments = [sys.executable, "-m", "tests.ledger.killing", mode, str(home), url]
        self.process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
        self.lines: list[str] = []
        self.told = threading.Condition()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self.told:
                self.lines.append(line)
                self.told.notify()

    def wait_for(self, count: int) -> None:
        with self.told:
            assert self.told.wait_for(lambda: len(self.lines) >= count, timeout=60)

    def kill(self) -> list[str]:
        """Kill it; returns the complete lines it had told."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self._reader.join()
        assert self.process.stdout is not None
        self.process.stdout.close()
        return [line for line in self.lines if line.endswith("\n")]


@contextmanager
def processes(home: Path, url: str, count: int) -> Iterator[list[Load]]:
    """Start so many writers, with an owner before them where an SQLite file is shared."""
    loads: list[Load] = []
    try:
        mode = "alone" if count == 1 or not url.startswith("sqlite") else "shared"
        if mode == "shared":
            loads.append(Load("owner", home, url))
            loads[0].wait_for(1)
            assert loads[0].lines.pop() == "ready\n"
        loads += [Load(mode, home, url) for _ in range(count)]
        yield loads
    finally:
        for load in loads:
            if load.process.poll() is None:
                load.kill()


def rounds(home: Path, url: str, count: int) -> None:
    signer = write_signing_key(home / "log.key", ORIGIN)
    write_master_key(home / "master.keys", os.urandom)
    create_store(url, origin=ORIGIN, signer=signer, now=datetime.now(UTC))
    write_cosigner_key(home / "witness.key", "witness.example/kill", "ed25519")
    cosigner = load_cosigner(home / "witness.key", "witness.example/kill", now=now)
    create_state(home / "witness.sqlite3", [cosigner.key_id])
    with closing(WitnessState(home / "witness.sqlite3", [cosigner.key_id])) as state:
        witness = Witness(cosigners=[cosigner], logs=[signer.verifier], state=state, now=now)
        chance = random.Random(count)
        acknowledged: Acknowledged = {}
        for _ in range(ROUNDS):
            with processes(home, url, count) as loads:
                loads[-1].wait_for(1)
                time.sleep(chance.uniform(0, 0.3))  # the moment is what varies; nothing waits for it
                chance.shuffle(loads)
                lines = [line for load in loads for line in load.kill()]
            fresh: Acknowledged = {}
            for line in lines:
                index, record, size, root = line.split()
                assert int(index) not in acknowledged
                assert int(index) not in fresh
                fresh[int(index)] = (record, int(size), root)
            check(home, url, signer, witness, fresh)
            acknowledged |= fresh
        settled(home, url, signer, acknowledged)


def check(home: Path, url: str, signer: Ed25519Signer, witness: Witness, fresh: Acknowledged) -> None:
    """Start again cleanly; everything acknowledged is there, and the witness goes along with the newest checkpoint."""
    keys = FileMasterKeys(home / "master.keys")
    with Ledger.open(
        url, origin=ORIGIN, signer=signer, verifiers=[signer.verifier], master_keys=keys, now=now
    ) as ledger:
        note = ledger.checkpoint()
        checkpoint = open_checkpoint(note, [signer.verifier], ORIGIN)
        assert all(size <= checkpoint.size for _, size, _ in fresh.values())
        for index in random.Random(len(fresh)).sample(sorted(fresh), min(_SAMPLE, len(fresh))):
            assert verify_receipt(ledger.receipt(index), [signer.verifier], ORIGIN).index == index
        old = cosigned(witness, ledger)
        request = Request(old=old, proof=tuple(ledger.consistency(old, checkpoint.size)), note=note)
        assert witness.add_checkpoint(format_request(request))


def cosigned(witness: Witness, ledger: Ledger) -> int:
    newest = witness._state.newest(ORIGIN)
    return 0 if newest is None else newest.size


def settled(home: Path, url: str, signer: Ed25519Signer, acknowledged: Acknowledged) -> None:
    """At the end: each acknowledged record stands at its index, and each checkpoint told is one of this one history."""
    assert acknowledged
    store = open_store(url, readers=1)
    reader = LogReader(store, TileCache())
    roots = {(size, root) for _, size, root in acknowledged.values()}
    assert len({size for size, _ in roots}) == len(roots)
    for size, root in roots:
        assert tree_root(size, reader.node).hex() == root
    for index, (record, _, _) in acknowledged.items():
        assert decode_entry(reader.entry(index)).record.hex() == record
    store.close()
    keys = FileMasterKeys(home / "master.keys")
    assert not fsck(
        url, verifiers=[load_signer(home / "log.key", ORIGIN).verifier], origin=ORIGIN, master_keys=keys
    ).damages


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("count", [1, 3])
def test_acknowledged_appends_survive_kill_9_on_sqlite(tmp_path: Path, count: int) -> None:
    rounds(tmp_path, f"sqlite:///{tmp_path / 'ledger.sqlite3'}", count)


@pytest.mark.postgres
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("count", [1, 3])
def test_acknowledged_appends_survive_kill_9_on_postgresql(tmp_path: Path, postgres_url: str, count: int) -> None:
    rounds(tmp_path, postgres_url, count)
