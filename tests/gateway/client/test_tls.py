"""What fails at TLS is told as that, by the file or the side at fault, and never as an outage to wait for."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.client import CredentialsWrong, open_blocking_channel, open_channel, require_handshake
from gateway.founding import House, caller_id
from gateway.pki import Authority, key_pem, pem
from tests.gateway.startup.process import make

NOW = datetime.now(UTC)
WAIT = "稍后"
ID = "0b7f3d52-6a3c-4c06-9d43-0c8d5b6a1b11"


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[House, int]]:
    place = make(tmp_path_factory.mktemp("house") / "var")
    process = place.start()
    assert process.stdout is not None
    port = int(process.stdout.readline().split()[1])
    yield place.house, port
    process.terminate()
    process.communicate(timeout=60)


@pytest.fixture
def caller(serving: tuple[House, int], tmp_path: Path) -> House:
    """The caller's own copy of what it shows and believes."""
    shutil.copytree(serving[0].home / "pki", tmp_path / "pki")
    shutil.copy(serving[0].config, tmp_path)
    return House(home=tmp_path)


def ask(caller: House, server: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "gateway", "ask", "--config", caller.config, "--server", server, "--name", "示例甲",
         "--id", "230199198001010072", "--request-id", ID],
        capture_output=True, text=True, check=False, timeout=60, env=os.environ | {"PYTHONWARNINGS": "error"},
    )  # fmt: skip
    assert done.returncode == 1, done.stdout
    assert "Traceback" not in done.stderr
    assert ".cc:" not in done.stderr
    assert f"--request-id {ID}" in done.stderr
    return done.stderr


def stranger() -> Authority:
    return Authority.create("another", now=NOW, valid=timedelta(days=1))


def by_another_authority(caller: House) -> None:
    certificate, key = stranger().system(caller_id("clerk"), now=NOW, valid=timedelta(days=1))
    shown, secret = caller.pair("clerk")
    shown.write_bytes(pem(certificate))
    secret.write_bytes(key_pem(key))


PEERS: dict[str, Callable[[House], object]] = {
    "is not believed": lambda caller: caller.authority.write_bytes(pem(stranger().certificate)),
    "does not take the certificate in": by_another_authority,
}
OWN: dict[str, Callable[[House], object]] = {
    "key: {}/pki/clerk.key holds no private key": lambda caller: caller.pair("clerk")[1].write_bytes(b"junk"),
    "key: {}/pki/clerk.key is not the key of": lambda caller: caller.pair("clerk")[1].write_bytes(
        key_pem(ec.generate_private_key(ec.SECP256R1()))
    ),
    "authority: {}/pki/ca.crt holds no certificate": lambda caller: caller.authority.write_bytes(b"junk"),
}


@pytest.mark.parametrize("said", PEERS)
def test_a_peer_that_is_not_believed_or_does_not_believe_is_no_outage(
    caller: House, serving: tuple[House, int], said: str
) -> None:
    PEERS[said](caller)
    told = ask(caller, f"127.0.0.1:{serving[1]}")
    assert said in told
    assert "重试无用" in told
    assert WAIT not in told


@pytest.mark.parametrize("said", OWN)
async def test_files_of_the_caller_that_cannot_be_used_are_named_before_anybody_is_called(
    caller: House, said: str
) -> None:
    OWN[said](caller)
    certificate, key = caller.pair("clerk")
    for opened in (open_channel, open_blocking_channel):
        with pytest.raises(CredentialsWrong) as refused:
            opened("127.0.0.1:1", authority=caller.authority, certificate=certificate, key=key)
        assert said.format(caller.home) in str(refused.value)
        assert WAIT not in refused.value.chinese


def test_a_command_names_the_file_too(caller: House) -> None:
    said, spoil = next(iter(OWN.items()))
    spoil(caller)
    told = ask(caller, "127.0.0.1:1")
    assert said.format(caller.home) in told
    assert WAIT not in told


def test_a_gateway_that_is_not_there_is_still_an_outage(caller: House) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        told = ask(caller, f"127.0.0.1:{taken.getsockname()[1]}")
    assert "UNAVAILABLE" in told
    assert WAIT in told


def test_a_handshake_with_the_gateway_finds_nothing_wrong(caller: House, serving: tuple[House, int]) -> None:
    certificate, key = caller.pair("clerk")
    require_handshake(f"127.0.0.1:{serving[1]}", authority=caller.authority, certificate=certificate, key=key)
    require_handshake(f"localhost:{serving[1]}", authority=caller.authority, certificate=certificate, key=key)
