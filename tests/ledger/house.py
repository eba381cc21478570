"""What most ledger tests need: a real ledger in a real database, and submissions for it."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import patch

from ledger import (
    Draft,
    Ed25519Signer,
    FileMasterKeys,
    Idempotency,
    Ledger,
    Publishing,
    Submission,
    create_store,
    write_master_key,
    write_signing_key,
)
from ledger.appends.identity import Identity
from ledger.canonical import Json
from ledger.sharing.owner import open_owner

ORIGIN = "example.gov.cn/ledger"
START = datetime(2026, 11, 23, 8, 0, 0, 123456, tzinfo=UTC)


class Clock:
    """A clock that moves a second each time it is read."""

    def __init__(self) -> None:
        self._reads = 0

    def __call__(self) -> datetime:
        self._reads += 1
        return START + timedelta(seconds=self._reads)


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """One ledger's address and keys."""

    url: str
    signer: Ed25519Signer
    master_keys: FileMasterKeys
    directory: Path

    def open(self, capacity: int = 4096, publishing: Publishing | None = None) -> Ledger:
        return Ledger.open(
            self.url,
            origin=ORIGIN,
            signer=self.signer,
            verifiers=[self.signer.verifier],
            master_keys=self.master_keys,
            now=Clock(),
            capacity=capacity,
            publishing=publishing,
        )

    @contextmanager
    def shared(self, publishing: Publishing | None = None) -> Iterator[Ledger]:
        """Open it through an owner on another thread."""
        socket = self.directory / "owner.sock"
        identity = Identity(origin=ORIGIN, signers=(self.signer,), verifiers=(self.signer.verifier,))
        with open_owner(self.url, socket, identity=identity, now=Clock(), publishing=publishing) as owner:
            thread = threading.Thread(target=owner.serve)
            thread.start()
            try:
                with self.join(socket, publishing) as ledger:
                    yield ledger
            finally:
                owner.stop()
                thread.join()

    def join(self, socket: Path, publishing: Publishing | None = None) -> Ledger:
        """Open it through whoever listens at `socket`."""
        return Ledger.join(
            self.url, socket, origin=ORIGIN, verifiers=[self.signer.verifier], master_keys=self.master_keys,
            publishing=publishing,
        )  # fmt: skip


def build(url: str, directory: Path) -> House:
    signer = write_signing_key(directory / "log.pem", ORIGIN)
    write_master_key(directory / "master.keys", os.urandom)
    create_store(url, origin=ORIGIN, signer=signer, now=START)
    return House(url=url, signer=signer, master_keys=FileMasterKeys(directory / "master.keys"), directory=directory)


def new_record() -> bytes:
    return os.urandom(16)


def answered(record: bytes | None = None, **groups: Json) -> Draft:
    return Draft(kind="VerificationAnswered", record=record or new_record(), groups=groups)


def as_now(ledger: Ledger, *records: bytes) -> tuple[tuple[bytes, int], ...]:
    """What is given to erase some records as they are now."""
    rows = ledger.register().many(records)
    return tuple((record, rows[record].last_idx) for record in records)


def erasing(ledger: Ledger, *records: bytes) -> Submission:
    """What destroys the documents of some records as they are now, and says so."""
    listed: list[Json] = [record.hex() for record in records]
    draft = Draft(kind="DocumentErased", record=new_record(), groups={"erased": listed})
    return submission(draft, erase=as_now(ledger, *records))


@contextmanager
def as_before() -> Iterator[None]:
    """Erase as ledgers did that did not look at what has still to end."""
    with patch("ledger.appends.planning.unfinished", return_value=[]):
        yield


def submission(*drafts: Draft, key: bytes | None = None, body: bytes = b"body", **more: object) -> Submission:
    once = None if key is None else Idempotency(key=key, body_digest=hashlib.sha256(body).digest())
    return Submission(drafts=drafts or (answered(),), at=START, idempotency=once, **more)  # type: ignore[arg-type]
