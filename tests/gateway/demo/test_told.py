"""The story that `make demo` tells comes out as told, and its command says so by its exit status."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path


def test_the_story_comes_out_as_told_with_another_population() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "gateway", "demo", "--story", "--people", "300", "--seed", "7"],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("✓") == 18


def test_a_story_that_is_ended_by_sigterm_leaves_no_process_behind() -> None:
    told = subprocess.Popen([sys.executable, "-m", "gateway", "demo", "--story", "--people", "300"])
    try:
        begun = _children_once_there_are(2, told)
        told.terminate()

        assert told.wait(timeout=60) == 1
        assert [pid for pid in begun if Path(f"/proc/{pid}").exists()] == []
    finally:
        told.kill()
        told.wait()


def _children_once_there_are(count: int, parent: subprocess.Popen[bytes]) -> list[str]:
    for _ in range(600):
        children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text("ascii").split()
        if len(children) >= count:
            return children
        time.sleep(0.05)
    raise AssertionError("no department was started")
