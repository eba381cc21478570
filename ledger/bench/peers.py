"""The same service by another library: pymerkle's SQLite tree, append, root and the entry's own proof."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator

from ledger.bench.appends import folder
from ledger.bench.house import found, submission
from ledger.bench.rounds import Measured, compare, rate


def pymerkle() -> Iterator[Measured]:
    """Measure it side by side, one caller each with 256 waiting on our side; nothing if it is not installed."""
    if importlib.util.find_spec("pymerkle") is None:
        return
    from pymerkle import SqliteTree

    from ledger.bench.house import run
    from ledger.bench.rounds import closed_loop

    with folder() as home, found(home / "here").open() as ledger:
        theirs = SqliteTree(str(home / "pymerkle.sqlite3"), algorithm="sha256")

        def one() -> int:
            index = theirs.append_entry(os.urandom(300))
            theirs.get_state()
            theirs.prove_inclusion(index)
            return 1

        async def act() -> int:
            await ledger.append(submission(once=True))
            return 1

        yield compare(
            "append, root and own proof, 256 callers",
            lambda: run(lambda: closed_loop(act, 256)),
            "pymerkle, SQLite",
            lambda: rate(one),
            target="≥ 20",
        )
