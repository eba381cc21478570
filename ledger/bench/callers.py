"""Callers in processes of their own, as a server's workers are: `python -m ledger.bench.callers HOME URL SOCKET`.

A process prepares what it is told to append, says so, and begins when it is told to: the bare rows it is compared with
are made before the clock starts as well.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger import Json, Ledger
from ledger.bench.house import House, again, run, serve_like, submission
from ledger.bench.rounds import work_off
from ledger.checks import Checks

_Act = Callable[[], Coroutine[Any, Any, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What all processes together do in one measurement."""

    appends: int
    callers: int
    entries: int = 1
    """Entries an append."""
    signed: bool = False
    """Whether an Ed25519 signature is verified before each append."""


class Callers:
    """Processes that append to one ledger."""

    def __init__(self, processes: list[subprocess.Popen[str]]) -> None:
        self._processes = processes

    def rate(self, load: Load) -> float:
        """Share a load among the processes; entries a second until the last of them is done."""
        count = len(self._processes)
        appends, many = load.appends // count, load.callers // count
        self._tell(f"{appends} {many} {load.entries} {int(load.signed)}")
        self._hear("prepared")
        started = time.perf_counter()
        self._tell("go")
        self._hear("done")
        return count * appends * load.entries / (time.perf_counter() - started)

    def _tell(self, line: str) -> None:
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.write(f"{line}\n")
            process.stdin.flush()

    def _hear(self, expected: str) -> None:
        for process in self._processes:
            assert process.stdout is not None
            heard = process.stdout.readline().strip()
            if heard != expected:
                raise RuntimeError(f"a process of callers said {heard!r}, not {expected!r}")


@contextmanager
def callers(house: House, socket: Path | None, count: int = 2) -> Iterator[Callers]:
    """Start processes that append through an owner's `socket`, or each for itself to a database server."""
    arguments = [sys.executable, "-m", __name__, str(house.home), house.url, str(socket or "")]
    with ExitStack() as stack:
        started = []
        for _ in range(count):
            process = subprocess.Popen(  # noqa: S603  our own module
                arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            stack.enter_context(process)  # closes its input, which ends it, and waits
            started.append(process)
        yield Callers(started)


def prepared(
    ledger: Ledger,
    checks: Checks | None,
    appends: int,
    entries: int = 1,
    document: Json = None,
) -> list[_Act]:
    """Make appends that are ready to go; with `checks`, an Ed25519 signature is verified before each."""
    key = Ed25519PrivateKey.generate()
    public, message = key.public_key(), os.urandom(300)
    signature = key.sign(message)

    def one() -> _Act:
        made = submission(entries, document, once=True)

        async def act() -> int:
            if checks is not None:
                await checks.run(lambda: public.verify(signature, message))
            done = await ledger.append(made)
            assert len(done.receipts) == entries
            return entries

        return act

    return [one() for _ in range(appends)]


def _serve(ledger: Ledger) -> None:
    checks = Checks(threads=1, at_hand=1, most=64)  # the other cores have processes of their own
    while line := sys.stdin.readline():
        appends, many, entries, signed = map(int, line.split())
        acts = prepared(ledger, checks if signed else None, appends, entries)
        _say("prepared")
        sys.stdin.readline()
        run(lambda acts=acts, many=many: work_off(acts, many))  # type: ignore[misc]
        _say("done")
    checks.close()


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    """Serve until the input ends."""
    home, url, socket = sys.argv[1:]
    serve_like()
    house = again(Path(home), url)
    with house.join(Path(socket)) if socket else house.open() as ledger:
        _serve(ledger)


if __name__ == "__main__":
    main()
