"""A command that is forked is a process like any other: what it is given, what it says, how it ends."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests import started
from tests.gateway.startup.process import Place, make


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return make(tmp_path / "var")


@pytest.fixture(autouse=True)
def _none_is_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(started, "_is_the_first", lambda _: False)


def test_a_forked_command_says_and_ends_as_one_with_an_interpreter_of_its_own(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[list[object]] = [
        ["--version"],
        ["keys", "rotat"],
        ["keys", "history", "--config", place.house.config],
        ["keys", "history", "--config", place.house.home / "nowhere"],
        ["ledger", "prove", "0", "--config", place.house.config],
    ]
    forked = [started.run(*one) for one in commands]
    monkeypatch.setattr(started, "_is_the_first", lambda _: True)
    for one, command in zip(forked, commands, strict=True):
        other = started.run(*command)
        assert (one.returncode, one.stdout, one.stderr) == (other.returncode, other.stdout, other.stderr)


def test_a_forked_gateway_is_told_to_stop_or_killed_as_any_process_is(place: Place) -> None:
    for end, status in ((signal.SIGTERM, 0), (signal.SIGKILL, -signal.SIGKILL)):
        with started.start("serve", "--config", place.house.config, stdout=subprocess.PIPE) as gateway:
            assert gateway.stdout is not None
            assert gateway.stdout.readline().startswith("ready ")
            assert gateway.poll() is None
            with pytest.raises(subprocess.TimeoutExpired):
                gateway.wait(0.01)
            gateway.send_signal(end)
            assert gateway.wait(30) == status
            assert not Path(f"/proc/{gateway.pid}").exists()


def test_a_forked_command_has_the_environment_and_the_warnings_that_it_was_given(place: Place) -> None:
    given = os.environ | {"PYTHONWARNINGS": "error", "GIVEN": "this"}
    with started.start("serve", "--config", place.house.config, stdout=subprocess.PIPE, env=given) as gateway:
        assert gateway.stdout is not None
        gateway.stdout.readline()
        gateway.terminate()
    assert gateway.returncode == 0
