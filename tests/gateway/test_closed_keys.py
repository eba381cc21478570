"""A private key that others than its owner can read is refused, whoever would read it: the same rule for all."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.bootstrap.ledger import key_history, open_master_keys
from gateway.bootstrap.opening import open_index
from gateway.bootstrap.tls import open_tls
from gateway.cli import cli
from gateway.commands.staff_key_file import ALGORITHMS, HeldKey
from gateway.config import Settings, load_settings
from gateway.errors import ConfigurationError
from gateway.founding import House
from ledger import KeyFileError
from tests.gateway.startup.process import make

READ_BY_THE_GATEWAY: dict[str, Callable[[Settings], object]] = {
    "keys/log.key": lambda settings: key_history(settings.ledger),
    "keys/master.keys": lambda settings: open_master_keys(settings.ledger),
    "keys/index.key": lambda settings: open_index(settings.ledger),
    "pki/server.key": lambda settings: open_tls(settings.server),
}
CLIENTS = {
    "clerk": ("ask", "--name", "张三", "--id", "230103199001011234"),
    "officer": ("staff-keys", "list"),
    "auditor": ("letter", "get", "--as", "auditor", "0" * 32),
}


@pytest.fixture
def house(tmp_path: Path) -> House:
    return make(tmp_path / "var").house


def test_every_key_of_a_new_house_is_its_owners_alone(house: House) -> None:
    keys = [*house.home.glob("**/*.key"), *house.home.glob("**/*.keys")]
    assert len(keys) > 10
    assert {path.stat().st_mode & 0o777 for path in keys} == {0o600}


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660])
@pytest.mark.parametrize("name", READ_BY_THE_GATEWAY)
def test_the_gateway_refuses_a_key_that_others_can_read(house: House, name: str, mode: int) -> None:
    (house.home / name).chmod(mode)
    with pytest.raises((KeyFileError, ConfigurationError), match=f"{name}.* mode {mode:04o} lets others in; 0600"):
        READ_BY_THE_GATEWAY[name](load_settings(house.config))


@pytest.mark.parametrize("name", READ_BY_THE_GATEWAY)
def test_the_gateway_takes_a_key_that_nobody_may_change(house: House, name: str) -> None:
    (house.home / name).chmod(0o400)
    assert READ_BY_THE_GATEWAY[name](load_settings(house.config)) is not None


@pytest.mark.parametrize("mode", [0o640, 0o604])
@pytest.mark.parametrize("system", CLIENTS)
def test_a_command_shows_no_certificate_whose_key_others_can_read(house: House, system: str, mode: int) -> None:
    house.pair(system)[1].chmod(mode)
    done = CliRunner().invoke(cli, [*CLIENTS[system], "--config", str(house.config)])
    assert isinstance(done.exception, KeyFileError)
    assert f"{system}.key: mode {mode:04o} lets others in" in str(done.exception)


def test_a_clerks_key_that_others_can_read_signs_nothing(tmp_path: Path) -> None:
    key, password = tmp_path / "clerk.pem", tmp_path / "password"
    key.write_bytes(HeldKey.make(ALGORITHMS[0]).encrypted(b"password", os.urandom))
    password.write_text("password")
    key.chmod(0o644)
    typed = ["staff-keys", "witness", str(password), str(password), "--key", str(key), "--password-file", str(password)]
    about = ["--seen", "本人当面签名", "--clerk", "01", "--unit", "11230000000000101E", "--staff-key", "0" * 32]
    done = CliRunner().invoke(cli, [*typed, *about])
    assert isinstance(done.exception, KeyFileError)
    key.chmod(0o600)
    assert CliRunner().invoke(cli, [*typed, *about]).exit_code == 0


def test_a_witness_serves_with_no_key_that_others_can_read(tmp_path: Path) -> None:
    at = tmp_path / "w"
    assert CliRunner().invoke(cli, ["witness", "init", str(at), "--name", "witness.example/w1"]).exit_code == 0
    config = at / "witness.toml"
    for name in ("tls.crt", "tls.key"):
        (at / name).write_text(f"made at {datetime.now(UTC)}")
    (at / "tls.key").chmod(0o640)
    text = config.read_text().replace('certificate_file = ""', 'certificate_file = "tls.crt"')
    config.write_text(text.replace('\nkey_file = ""', '\nkey_file = "tls.key"'))
    done = CliRunner().invoke(cli, ["witness", "serve", "--config", str(config)])
    assert isinstance(done.exception, KeyFileError)
    assert "tls.key: mode 0640 lets others in" in str(done.exception)
