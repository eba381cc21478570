"""The processes of a check end with it, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ledger.fsck.workers import Workers

ROOT = Path(__file__).parents[3]
MAIN = "from tests.ledger.fsck.test_workers import main; main()"


def work(seconds: float) -> None:
    os.write(1, b"%d\n" % os.getpid())
    time.sleep(seconds)


def main() -> None:
    """Let two workers tell their numbers and do something long."""
    with Workers(2) as pool:
        list(pool.run(work, [120.0] * 8))


def lives(number: int) -> bool:
    try:
        stat = Path(f"/proc/{number}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"  # dead, and nobody has asked for its status yet


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks at /proc")
@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGKILL])
def test_workers_end_when_the_check_is_killed(sign: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-c", MAIN], cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        numbers = [int(process.stdout.readline()) for _ in range(2)]
        try:
            assert all(map(lives, numbers))
            process.send_signal(sign)
            process.wait(10)
            end = time.monotonic() + 10
            while any(map(lives, numbers)) and time.monotonic() < end:
                time.sleep(0.05)
            assert not any(map(lives, numbers))
        finally:
            for number in filter(lives, numbers):
                os.kill(number, signal.SIGKILL)
