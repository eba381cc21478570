"""fsck beside what two processes hash doing nothing else."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from hashlib import sha256
from multiprocessing import get_context

from ledger.bench.house import ORIGIN, House
from ledger.bench.rounds import SECONDS, Measured, compare
from ledger.fsck import fsck as check

_LEAF = 260
"""Bytes of the entries of the measured log, and so of what is hashed beside."""


def _hash_for_a_while(seconds: float) -> float:
    """Hash leaves and half a tree above them; leaves a second."""
    leaf, pair, done, started = bytes(_LEAF), bytes(65), 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        for _ in range(1000):
            sha256(leaf).digest()
            sha256(pair).digest()
        done += 1000
    return done / (time.perf_counter() - started)


def fsck(house: House) -> Iterator[Measured]:
    """Measure the full rehash of a log without documents, and the check from level-0 tiles."""
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:

        def bare() -> float:
            return sum(pool.map(_hash_for_a_while, [SECONDS, SECONDS]))

        def rate(*, leaves_from_tiles: bool) -> float:
            started = time.perf_counter()
            report = check(
                house.url,
                verifiers=[house.signer.verifier],
                origin=ORIGIN,
                workers=2,
                leaves_from_tiles=leaves_from_tiles,
            )
            assert report.sound
            return report.size / (time.perf_counter() - started)

        beside = "two processes that only hash as much"
        yield compare(
            "fsck from level-0 tiles, 10^6", lambda: rate(leaves_from_tiles=True), beside, bare, target="400,000/s",
            rounds=3,
        )  # fmt: skip
        yield compare(
            "fsck, everything rehashed, 10^6", lambda: rate(leaves_from_tiles=False), beside, bare, target="",
            rounds=1,
        )  # fmt: skip
