"""What witness tests need: small logs that can fork, witnesses in folders, and witnesses as processes."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from ledger.errors import EntryMissing
from ledger.log.algorithms.ed25519 import Ed25519Signer
from ledger.log.checkpoint import Checkpoint, sign_checkpoint
from ledger.log.key_file import KeyedSigner, load_cosigner, write_cosigner_key, write_signing_key
from ledger.log.vkey import PublicKey, parse_vkey
from ledger.merkle import hash_children, hash_leaf, prove_consistency, tree_root
from ledger.witness.protocol import Request, format_request
from ledger.witness.state import WitnessState, create_state
from ledger.witness.witness import Witness
from tests import started

ORIGIN = "log.example/a"
NAME = "witness.example/w1"
START = datetime(2026, 11, 24, 8, 0, 0, tzinfo=UTC)


@dataclass(slots=True, kw_only=True)
class Log:
    """A log in memory, whose entries are numbers, and from a fork on also the fork's name."""

    signer: Ed25519Signer
    entries: list[str] = field(default_factory=list)

    @property
    def size(self) -> int:
        return len(self.entries)

    def grow(self, count: int, history: str = "") -> Log:
        self.entries += [f"{history}{len(self.entries) + n}" for n in range(count)]
        return self

    def copy(self) -> Log:
        return Log(signer=self.signer, entries=list(self.entries))

    def node(self, level: int, index: int) -> bytes:
        if level == 0:
            return hash_leaf(self.entries[index].encode())
        return hash_children(self.node(level - 1, 2 * index), self.node(level - 1, 2 * index + 1))

    def checkpoint(self, size: int | None = None) -> Checkpoint:
        count = self.size if size is None else size
        return Checkpoint(origin=self.signer.name, size=count, root=tree_root(count, self.node))

    def note(self, size: int | None = None) -> bytes:
        return sign_checkpoint(self.checkpoint(size), [self.signer])

    def prove(self, old: int, new: int) -> list[bytes]:
        if new > self.size:
            raise EntryMissing(f"the log has {self.size} entries, not {new}")
        return prove_consistency(old, new, self.node)

    def request(self, old: int, size: int | None = None) -> bytes:
        new = self.size if size is None else size
        proof = tuple(self.prove(old, new)) if old <= new else ()
        return format_request(Request(old=old, proof=proof, note=self.note(new)))


def new_log(directory: Path, origin: str = ORIGIN) -> Log:
    signer = write_signing_key(directory / f"{hashlib.sha256(origin.encode()).hexdigest()[:8]}.key", origin)
    return Log(signer=signer)


class Clock:
    """A clock that the test turns."""

    def __init__(self) -> None:
        self.at = START

    def __call__(self) -> datetime:
        return self.at


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """Where a witness lives: its keys and its memory."""

    directory: Path
    algorithms: tuple[str, ...] = ("ed25519", "ml-dsa-44")

    def found(self) -> Folder:
        keys = [write_cosigner_key(self.directory / f"{a}.key", NAME, a) for a in self.algorithms]  # type: ignore[arg-type]
        create_state(self.directory / "state.sqlite3", [key.key_id for key in keys])
        return self

    def cosigners(self, clock: Clock) -> list[KeyedSigner]:
        return [load_cosigner(self.directory / f"{a}.key", NAME, now=clock) for a in self.algorithms]

    @contextmanager
    def open(self, *logs: PublicKey, clock: Clock | None = None) -> Iterator[tuple[Witness, WitnessState]]:
        time = clock or Clock()
        cosigners = self.cosigners(time)
        state = WitnessState(self.directory / "state.sqlite3", [one.key_id for one in cosigners])
        try:
            yield Witness(cosigners=cosigners, logs=logs, state=state, now=time), state
        finally:
            state.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A running witness: where it answers, its keys, its process."""

    url: str
    keys: tuple[PublicKey, ...]
    process: subprocess.Popen[str]
    config: Path

    @property
    def ed25519(self) -> PublicKey:
        return self.keys[0]

    @property
    def mldsa(self) -> PublicKey:
        return self.keys[1]


def chengxin(*arguments: object) -> str:
    done = started.run(*arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def fails(*arguments: object) -> str:
    done = started.run(*arguments)
    assert done.returncode != 0
    return done.stderr


def init(directory: Path, *logs: PublicKey, name: str = NAME) -> tuple[PublicKey, ...]:
    vkeys = json.loads(chengxin("witness", "init", directory, "--name", name, "--json"))["vkeys"]
    config = directory / "witness.toml"
    config.write_text(config.read_text().replace("127.0.0.1:8490", "127.0.0.1:0"))
    for log in logs:
        chengxin("witness", "add-log", log.vkey, "--config", config)
    return tuple(parse_vkey(vkey) for vkey in vkeys)


def read_port(process: subprocess.Popen[str]) -> int:
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("ready "), f"the process did not come up: {line!r}"
    return int(line.split()[1])


@contextmanager
def running(process: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@contextmanager
def serving(directory: Path, keys: tuple[PublicKey, ...]) -> Iterator[Served]:
    config = directory / "witness.toml"
    process = started.start(
        "witness", "serve", "--config", config, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )  # fmt: skip
    with running(process):
        url = f"http://127.0.0.1:{read_port(process)}"
        yield Served(url=url, keys=keys, process=process, config=config)


def stop(process: subprocess.Popen[str]) -> int:
    process.send_signal(signal.SIGTERM)
    return process.wait(30)
