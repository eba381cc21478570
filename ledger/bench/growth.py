"""What a log of 10^4, 10^6 and 10^7 entries costs: appends, proofs, memory, start-up, storage."""

from __future__ import annotations

import json
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ledger import Ledger
from ledger.bench.house import House, again, found, run, submission
from ledger.bench.rounds import ROUNDS, Measured, closed_loop, compare, rate
from ledger.log import schema
from ledger.log.databases import upsert_clause
from ledger.log.reader import LogReader
from ledger.log.store import open_store
from ledger.log.tiles import TileCache, TileTree

Progress = Callable[[int, int], None]
_A_CALL = 1000
_PROOFS = 4000


def grown(home: Path, size: int, progress: Progress) -> House:
    """Make a log of `size` entries, or take the one that was made in this folder before."""
    house = again(home) if (home / "log.key").exists() else found(home)
    with house.open() as ledger:
        done = ledger.size()

        async def act() -> None:
            nonlocal done
            while done < size:
                count = min(_A_CALL, size - done)
                await ledger.append(submission(count, once=True))
                done += count
                progress(done, size)

        run(act)
    return house


def appends(small: House, large: House) -> Measured:
    """Compare the append rate of a large log with that of a small one."""
    with small.open() as one, large.open() as other:
        return compare(
            "appends at 10^6 entries, 256 callers", lambda: _rate(other), "at 10^4", lambda: _rate(one), target="≥ 0.9"
        )


def _rate(ledger: Ledger) -> float:
    async def act() -> int:
        await ledger.append(submission(once=True))
        return 1

    return run(lambda: closed_loop(act, 256))


def tiles_only(home: Path, size: int, progress: Progress) -> str:
    """Write only the tiles of a log of `size` random leaves, which is all that proofs read; returns its address."""
    url = f"sqlite:///{home}/ledger.sqlite3"
    if (home / "complete").exists():
        return url
    house = found(home)
    store = open_store(house.url, readers=1)
    store.start_writing()
    source = random.Random(size)  # noqa: S311  leaf hashes for a benchmark
    tree = TileTree(0, lambda level, n: b"")
    step = 1 << 16
    for start in range(0, size, step):
        count = min(step, size - start)
        data = source.randbytes(32 * count)
        tree.extend([data[at : at + 32] for at in range(0, len(data), 32)])
        with store.writing() as connection, store.database.writing(connection) as writes:
            tiles = tree.pending()
            writes.insert(schema.tile, [(t.level, t.n, t.width, t.data) for t in tiles], upsert_clause(schema.tile))
            writes.insert(schema.tile_inner, [(t.level, t.n, t.inner) for t in tiles if t.inner])
            if start + count == size:
                connection.execute(schema.head.update().values(size=size, root=tree.root()))
        tree.settle()
        progress(start + count, size)
    store.close()
    (home / "complete").touch()
    return url


def warm_proofs(url: str, size: int) -> float:
    """Make random inclusion proofs with a cache that has been used for a while; proofs a second."""
    store = open_store(url, readers=1)
    reader = LogReader(store, TileCache())
    pick = random.Random(1)  # noqa: S311  which proofs to make
    for _ in range(_PROOFS):
        reader.inclusion(pick.randrange(size), size)
    made = rate(lambda: _prove(reader, pick.randrange(size), size))
    store.close()
    return made


def _prove(reader: LogReader, index: int, size: int) -> int:
    reader.inclusion(index, size)
    return 1


def cold_tail(url: str, size: int) -> float:
    """Make the same random inclusion proofs from some cold starts; the 99th percentile in microseconds.

    Of each proof the median of the starts counts: it is proofs that are compared, and not how often the machine's own
    interruptions fall into those that take longer.
    """
    starts = [_cold_proofs(url, size) for _ in range(ROUNDS)]
    each = [float(statistics.median(times)) for times in zip(*starts, strict=True)]
    return statistics.quantiles(each, n=100)[98] / 1e3


def _cold_proofs(url: str, size: int) -> list[int]:
    store = open_store(url, readers=1)
    reader = LogReader(store, TileCache())
    pick = random.Random(1)  # noqa: S311  which proofs to make
    times = []
    for _ in range(_PROOFS // 2):
        index = pick.randrange(size)
        started = time.perf_counter_ns()
        reader.inclusion(index, size)
        times.append(time.perf_counter_ns() - started)
    store.close()
    return times


def fresh(house: House) -> dict[str, Any]:
    """Open the log in a fresh process; what that takes, its memory, and the first proof."""
    done = subprocess.run(  # noqa: S603  our own module
        [sys.executable, "-m", "ledger.bench.fresh", str(house.home), house.url], check=True, capture_output=True
    )
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def storage(house: House) -> Iterator[tuple[str, float]]:
    """Say what an entry takes beyond its own bytes, in all and by table, in bytes."""
    import sqlite3

    with sqlite3.connect(house.url.removeprefix("sqlite:///")) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        size, own = database.execute("SELECT count(*), sum(length(leaf)) FROM entry").fetchone()
        pages, width = (database.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size"))
        yield "in all", (pages * width - own) / size
        yield "own", own / size
