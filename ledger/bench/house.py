"""Ledgers to measure, in a folder that is thrown away."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from ledger import (
    Draft,
    Ed25519Signer,
    FileMasterKeys,
    Idempotency,
    Json,
    Ledger,
    Submission,
    create_store,
    load_signer,
    new_record,
    write_master_key,
    write_signing_key,
)

ORIGIN = "bench.example/log"
POLICY = "5a" * 32
Result = TypeVar("Result")


def now() -> datetime:
    """Read the clock."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """One ledger's address and keys."""

    home: Path
    url: str
    signer: Ed25519Signer

    def open(self) -> Ledger:
        """Open it for appending in this process."""
        return Ledger.open(
            self.url,
            origin=ORIGIN,
            signer=self.signer,
            verifiers=[self.signer.verifier],
            master_keys=FileMasterKeys(self.home / "master.keys"),
            now=now,
        )

    def join(self, socket: Path) -> Ledger:
        """Open it through the owner process that listens at `socket`."""
        keys = FileMasterKeys(self.home / "master.keys")
        return Ledger.join(self.url, socket, origin=ORIGIN, verifiers=[self.signer.verifier], master_keys=keys)

    @contextmanager
    def owned(self) -> Iterator[Path]:
        """Run an owner of it, another process; gives the socket it listens at."""
        socket = self.home / "owner.sock"
        arguments = [sys.executable, "-m", "ledger.bench.owner", str(self.home), self.url, str(socket)]
        process = subprocess.Popen(arguments, stdout=subprocess.PIPE)  # noqa: S603  our own module
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield socket
        finally:
            process.terminate()
            process.wait()
            process.stdout.close()

    @contextmanager
    def shared(self) -> Iterator[Ledger]:
        """Open it through an owner of its own."""
        with self.owned() as socket, self.join(socket) as ledger:
            yield ledger


def found(home: Path, url: str | None = None) -> House:
    """Make an empty ledger in a new folder (SQLite) or an empty database."""
    home.mkdir(parents=True)
    signer = write_signing_key(home / "log.key", ORIGIN)
    write_master_key(home / "master.keys", os.urandom)
    url = url or f"sqlite:///{home}/ledger.sqlite3"
    create_store(url, origin=ORIGIN, signer=signer, now=now())
    return House(home=home, url=url, signer=signer)


def again(home: Path, url: str | None = None) -> House:
    """Take a ledger that was made before."""
    url = url or f"sqlite:///{home}/ledger.sqlite3"
    return House(home=home, url=url, signer=load_signer(home / "log.key", ORIGIN))


def submission(entries: int = 1, document: Json = None, *, once: bool = False) -> Submission:
    """Make a submission of entries that each open a record, as the gateway does."""
    at = now()
    groups = {} if document is None else {"answer": document}
    drafts = tuple(
        [
            Draft(kind="VerificationAnswered", record=new_record(at, os.urandom), groups=groups, policy=POLICY)
            for _ in range(entries)
        ]
    )
    key = None
    if once:
        key = Idempotency(int(time.time() * 1000).to_bytes(6, "big") + os.urandom(10), bytes(32))
    return Submission(drafts, at, key)


def serve_like() -> None:
    """Set the interpreter as a serving process does: what lives for long is not searched for garbage again and again,
    and threads that wait for the interpreter are let in soon.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 50)
    sys.setswitchinterval(0.0005)


def run(main: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
    """Run a coroutine on uvloop where there is one."""
    factory: Callable[[], asyncio.AbstractEventLoop] | None = None
    try:
        import uvloop

        factory = uvloop.new_event_loop
    except ImportError:
        factory = None
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(main())
