"""Ctrl-C at any moment ends a command with status 130 and one line, whatever it was doing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.founding import found

SAID = "chengxin: given up (已中止)\n"
INTERRUPTING = """\
import os, signal, sys

class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == os.environ["WHERE"] and (os.environ["WHO"] in " ".join(sys.orig_argv)):
            os.killpg(0, signal.SIGINT)

sys.meta_path.insert(0, Interrupting())
"""
"""Sends SIGINT to all processes of a terminal, as Ctrl-C does, when a process begins to read a module."""


def interrupted(folder: Path, where: str, *arguments: str, who: str = "") -> tuple[int, str]:
    (folder / "sitecustomize.py").write_text(INTERRUPTING)
    path = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-m", "gateway", *arguments], capture_output=True, text=True, check=False, timeout=100,
        env=os.environ | {"PYTHONPATH": path, "WHERE": where, "WHO": who}, start_new_session=True,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("where", ["gateway.cli", "click", "gateway.commands.witness", "gateway.errors"])
def test_a_command_that_is_interrupted_while_it_is_read_says_one_line(tmp_path: Path, where: str) -> None:
    assert interrupted(tmp_path, where, "check-config") == (130, SAID)


@pytest.mark.parametrize("command", ["check-config", "serve"])
def test_a_command_that_is_interrupted_at_its_work_says_one_line(tmp_path: Path, command: str) -> None:
    config = str(tmp_path / "gateway.toml")
    status, said = interrupted(tmp_path, "gateway.config", command, "--config", config)
    assert (status, said.lstrip("\n")) == (130, SAID)


def test_a_house_whose_founding_is_interrupted_is_not_left(tmp_path: Path) -> None:
    home = tmp_path / "var"
    status, said = interrupted(tmp_path, "ledger.log.schema", "init", "--home", str(home))
    assert (status, said.lstrip("\n")) == (130, SAID)
    assert not home.exists()


def test_the_processes_of_a_check_leave_the_interrupt_to_the_command(tmp_path: Path) -> None:
    house = found(tmp_path / "var", now=datetime.now(UTC), sources="")
    database, key = f"sqlite:///{house.home / 'ledger.sqlite3'}", str(house.vkey)
    check = ("ledger", "fsck", "--url", database, "--key", key, "--workers", "2")
    status, said = interrupted(tmp_path, "ledger", *check, who="--multiprocessing-fork")
    assert (status, said.lstrip("\n")) == (130, SAID)


def test_a_connection_closed_by_an_interrupt_is_not_told_in_full(tmp_path: Path) -> None:
    closing = (
        "import signal, sqlite3\nfrom sqlalchemy import create_engine, event\n"
        "class Closed(sqlite3.Connection):\n"
        "    def close(self):\n        signal.raise_signal(signal.SIGINT)\n"
        "import gateway.commands.house as house\n"
        "def check(**_):\n"
        "    engine = create_engine('sqlite://', connect_args={'factory': Closed})\n"
        "    engine.connect().close()\n    engine.dispose()\n"
        "house.check_config.callback = check\n"
        "from gateway.__main__ import main\nimport sys\nsys.argv[1:] = ['check-config']\nmain()\n"
    )
    done = subprocess.run([sys.executable, "-c", closing], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 128 + signal.SIGINT
    assert done.stderr.lstrip("\n") == SAID
