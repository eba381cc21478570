"""A process under full load, to be killed: `python -m tests.ledger.killing MODE HOME URL`.

MODE is `alone` (writes itself), `owner` (owns the file for others) or `shared` (appends through the owner). Each
acknowledged append is one line on standard output: index, record, size and root of the receipt's checkpoint.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path

from ledger import Draft, FileMasterKeys, Ledger, LedgerUnavailable, Submission, load_signer, new_record
from ledger.appends.identity import Identity
from ledger.log.checkpoint import read_checkpoint
from ledger.sharing.owner import open_owner

ORIGIN = "kill.example/log"
CALLERS = 64


def now() -> datetime:
    return datetime.now(UTC)


async def load(ledger: Ledger) -> None:
    async def caller() -> None:
        while True:
            at = now()
            draft = Draft(
                kind="VerificationAnswered", record=new_record(at, os.urandom), groups={"answer": {"verdict": "X"}}
            )
            try:
                done = await ledger.append(Submission((draft,), at))
            except LedgerUnavailable:  # the owner was killed first
                await asyncio.sleep(0.01)
                continue
            checkpoint = read_checkpoint(done.receipts[0].split(b"\n\n", 1)[1])
            told = f"{done.entries[0].index} {draft.record.hex()} {checkpoint.size} {checkpoint.root.hex()}\n"
            os.write(1, told.encode())

    await asyncio.gather(*(caller() for _ in range(CALLERS)))


def main() -> None:
    mode, home, url = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
    signer = load_signer(home / "log.key", ORIGIN)
    keys, socket = FileMasterKeys(home / "master.keys"), home / "owner.sock"
    if mode == "owner":
        identity = Identity(origin=ORIGIN, signers=(signer,), verifiers=(signer.verifier,))
        with open_owner(url, socket, identity=identity, now=now) as owner:
            signal.signal(signal.SIGTERM, lambda *_: owner.stop())
            os.write(1, b"ready\n")
            owner.serve()
    elif mode == "shared":
        with Ledger.join(url, socket, origin=ORIGIN, verifiers=[signer.verifier], master_keys=keys) as ledger:
            asyncio.run(load(ledger))
    else:
        with Ledger.open(
            url, origin=ORIGIN, signer=signer, verifiers=[signer.verifier], master_keys=keys, now=now
        ) as ledger:
            asyncio.run(load(ledger))


if __name__ == "__main__":
    main()
