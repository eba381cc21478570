"""Whoever types a command where no gateway is, or as a system that has no certificate, is told what to do."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.cli import cli
from gateway.errors import ConfigurationError
from gateway.founding import found
from tests.gateway.startup.process import SOURCES

COMMANDS = (
    ("ask", "--name", "张三", "--id", "230103199001011234"),
    ("assistance", "list"),
    ("staff-keys", "list"),
    ("letter", "get", "0" * 32),
    ("commitments", "export", "--person", "officer-07", "--purpose", "月度报表", "x.csv"),
)


def told(*command: str) -> str:
    done = CliRunner().invoke(cli, command)
    assert isinstance(done.exception, ConfigurationError), done.output
    return str(done.exception)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_in_the_wrong_folder_the_configuration_is_what_is_missing(
    command: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said = told(*command)
    assert "nor is var/gateway.toml: --config FILE says where" in said
    assert "此处没有网关配置文件 var/gateway.toml" in said


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_as_a_system_without_a_certificate_the_others_are_named(command: tuple[str, ...], tmp_path: Path) -> None:
    house = found(tmp_path / "var", now=datetime.now(UTC), sources=SOURCES)
    said = told(*command, "--config", str(house.config), "--as", "nobody")
    assert "nobody.crt" in said
    assert "--as 可用:auditor, civil-clerk, clerk" in said
    assert "server" not in said.partition("可用")[2]
