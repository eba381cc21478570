"""A fresh process that opens a ledger: `python -m ledger.bench.fresh HOME URL` prints what it took, as JSON."""

from __future__ import annotations

import json
import random
import sys
import time
from pathlib import Path

from ledger.bench.house import ORIGIN as _ORIGIN
from ledger.bench.house import House
from ledger.log.key_file import load_signer


def _memory() -> int:
    status = Path("/proc/self/status").read_text("ascii")
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) * 1024


def main() -> None:
    """Open, prove once, and tell."""
    home, url = sys.argv[1:]
    house = House(home=Path(home), url=url, signer=load_signer(Path(home) / "log.key", _ORIGIN))
    house.open().close()  # imports and the like are the interpreter's cost, not the log's
    started = time.perf_counter()
    with house.open() as ledger:
        opened = time.perf_counter()
        idle = _memory()
        size = ledger.size()
        index = random.Random(size).randrange(size)  # noqa: S311  any entry
        before = time.perf_counter()
        ledger.receipt(index)
        proved = time.perf_counter()
    told = {
        "open_ms": 1e3 * (opened - started),
        "first_proof_ms": 1e3 * (proved - before),
        "idle_mib": idle / (1 << 20),
    }
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main()
