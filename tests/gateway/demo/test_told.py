"""The story that `make demo` tells comes out as told, and its command says so by its exit status."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from pathlib import Path


def test_the_story_comes_out_as_told_with_another_population_and_stays_where_it_was_to_be(tmp_path: Path) -> None:
    done = _demo("--story", "--home", str(tmp_path / "story"), "--people", "300", "--seed", "7")

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("✓") == 18
    assert (tmp_path / "story" / "var" / "gateway.toml").exists()


def test_a_story_that_is_ended_by_sigterm_leaves_no_process_behind() -> None:
    told = subprocess.Popen([sys.executable, "-m", "gateway", "demo", "--story", "--people", "300"])
    try:
        begun = _children_once_there_are(2, told)
        told.terminate()

        assert told.wait(timeout=60) == 130
        assert [pid for pid in begun if Path(f"/proc/{pid}").exists()] == []
    finally:
        told.kill()
        told.wait()


def test_a_story_is_told_in_an_empty_folder_or_not_at_all(tmp_path: Path) -> None:
    (tmp_path / "mine").touch()
    done = _demo("--story", "--home", str(tmp_path))
    assert done.returncode == 2
    assert "is not an empty folder" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_demonstration_whose_port_is_taken_says_so_and_how_to_choose_another(tmp_path: Path) -> None:
    for _ in range(2):  # the second one moves the house that the first one founded
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = str(taken.getsockname()[1])
            done = _demo("--home", str(tmp_path), "--port", port, "--people", "100")
        assert done.returncode == 1
        assert f"listen: 127.0.0.1:{port} cannot be bound, or is in use" in done.stdout
        assert "--port chooses another" in done.stdout


def _demo(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gateway", "demo", *options]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)


def _children_once_there_are(count: int, parent: subprocess.Popen[bytes]) -> list[str]:
    for _ in range(600):
        children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text("ascii").split()
        if len(children) >= count:
            return children
        time.sleep(0.05)
    raise AssertionError("no department was started")
