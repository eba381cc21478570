"""The story that `make demo` tells comes out as told, and its command says so by its exit status."""

from __future__ import annotations

import subprocess
import sys


def test_the_story_comes_out_as_told_with_another_population() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "gateway", "demo", "--story", "--people", "300", "--seed", "7"],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("✓") == 15
