"""A department's adapter as a process of its own, and what asks it: `chengxin connectors check`, and a gateway."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.bootstrap.serving import Gateway
from gateway.cli import cli
from gateway.client import Case, GatewayClient, Person, Question, Verdict
from gateway.config import load_settings
from gateway.founding import SYSTEMS, House, caller_id, found

NUMBER, NAME = "230103198507041236", "示例甲"
HELD = """
kind = "sql"
department = "民政厅"
url = "sqlite:///{path}"
[facts.marriage-registration]
coverage = "complete"
statement = "SELECT id_number, name, status FROM marriage WHERE id_number IN :keys"
key = "id_number"
columns = {{ status = "status" }}
values = {{ status = {{ "3" = "MARRIED", "4" = "DIVORCED" }} }}
name = "name"
"""
ASKED = """
[sources.civil-affairs]
kind = "grpc"
department = "民政厅"
address = "127.0.0.1:{port}"
{files}
[sources.civil-affairs.facts.marriage-registration]
coverage = "complete"
attributes = ["status"]
"""


@pytest.fixture
def held(tmp_path: Path) -> Path:
    with sqlite3.connect(tmp_path / "m.db") as connection:
        connection.execute("CREATE TABLE marriage (id_number, name, status)")
        connection.execute("INSERT INTO marriage VALUES (?, ?, 3)", (NUMBER, NAME))
    connection.close()
    path = tmp_path / "held.toml"
    path.write_text(HELD.format(path=tmp_path / "m.db"))
    return path


@pytest.fixture
def house(tmp_path: Path) -> House:
    """A gateway's house, whose authority also vouches for the adapter."""
    return found(tmp_path / "var", now=datetime.now(UTC), sources="", listen="127.0.0.1:0")


def credentials(house: House) -> str:
    """Write whom a source trusts and what it shows: any system's certificate will do for a client."""
    certificate, own = house.pair("clerk")
    return f'ca_file = "{house.authority}"\nclient_cert_file = "{certificate}"\nclient_key_file = "{own}"'


@contextmanager
def hosting(*arguments: object) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    """Run an adapter; gives its port."""
    command = [sys.executable, "-m", "gateway", "connectors", "host", "--listen", "127.0.0.1:0", *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            ready, port = process.stdout.readline().split()
            assert ready == "ready"
            yield int(port), process
        finally:
            process.kill()


def command(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["connectors", *map(str, arguments)])


def test_a_department_hosts_its_register_and_a_gateway_over_mutual_tls_is_told_outcomes(
    held: Path, house: House, tmp_path: Path
) -> None:
    (shown, key), caller = house.pair("server"), caller_id("clerk")
    tls = ("--certificate", shown, "--key", key, "--callers-authority", house.authority)

    with hosting(held, *tls, "--caller", caller) as (port, process):
        files = credentials(house)
        asked = tmp_path / "asked.toml"
        asked.write_text(ASKED.format(port=port, files=files))
        ask = ("check", asked, "--ask", "marriage-registration", "--id", NUMBER, "--name", NAME, "--json")
        true = command(*ask, "--expect", "status=MARRIED")
        untrue = command(*ask, "--expect", "status=DIVORCED")
        nobody = command("check", asked, "--ask", "marriage-registration", "--expect", "status=MARRIED")
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        assert process.stderr is not None
        logged = process.stderr.read()

    assert (true.exit_code, '"MATCH"' in true.output) == (0, True)
    assert (untrue.exit_code, '"MISMATCH"' in untrue.output) == (0, True)
    assert "NO_RECORD" in nobody.output
    assert "the adapter is well" in nobody.output
    assert NUMBER not in logged
    assert NAME not in logged
    assert f'"caller":"{caller}","count":1' in logged
    assert "dropped" not in logged


async def test_a_gateway_answers_out_of_what_a_department_hosts(held: Path, house: House) -> None:
    (shown, key), caller = house.pair("server"), caller_id("clerk")
    tls = ("--certificate", shown, "--key", key, "--callers-authority", house.authority)

    with hosting(held, *tls, "--caller", caller) as (port, process):
        text = house.config.read_text("utf-8")
        house.config.write_text(text + ASKED.format(port=port, files=credentials(house)), "utf-8")
        async with gateway(house) as client:
            assert await verdict(client, "MARRIED") is Verdict.ESTABLISHED
            assert await verdict(client, "DIVORCED") is Verdict.CONTRADICTED
            process.kill()
            process.wait()
            assert await verdict(client, "MARRIED") is Verdict.UNDETERMINED


@asynccontextmanager
async def gateway(house: House) -> AsyncIterator[GatewayClient]:
    """Run a gateway in this process, and a client of it."""
    stop, port = asyncio.Event(), asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(Gateway(load_settings(house.config)).serve(port.set_result, stop))
    await asyncio.wait({serving, port}, return_when=asyncio.FIRST_COMPLETED)
    if serving.done():
        await serving
    certificate, key = house.pair("clerk")
    async with GatewayClient.connect(
        f"127.0.0.1:{await port}", authority=house.authority, certificate=certificate, key=key, log_keys=house.vkey
    ) as client:
        yield client
    stop.set()
    await serving


async def verdict(client: GatewayClient, status: str) -> Verdict:
    case = Case(
        matter="230000-CIV-005", case_id="办-1", purpose="办理行政确认", operator="clerk-01", unit=SYSTEMS["clerk"][0]
    )
    person = Person(id_number=NUMBER, name=NAME)
    asked = Question(case=case, item="marital-status", subject=person, parameters={"status": status})
    return (await client.verify(asked)).verification.verdict


def test_an_adapter_for_this_machine_alone_needs_no_tls(held: Path, tmp_path: Path) -> None:
    with hosting(held, "--plaintext") as (port, _):
        asked = tmp_path / "asked.toml"
        asked.write_text(ASKED.format(port=port, files="plaintext = true"))
        found = command("check", asked, "--ask", "marriage-registration", "--expect", "status=MARRIED")

    assert found.exit_code == 0, found.output


def test_two_adapters_do_not_share_an_address(held: Path) -> None:
    with hosting(held, "--plaintext") as (port, _):
        found = command("host", held, "--plaintext", "--listen", f"127.0.0.1:{port}")

    assert found.exit_code == 1
    assert f"cannot listen at 127.0.0.1:{port}" in found.output


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "give --certificate, --key, --callers-authority, --caller; or --plaintext"),
        (("--plaintext", "--caller", "x"), "--caller: goes without --plaintext"),
        (("--plaintext", "--listen", "0.0.0.0:0"), "--plaintext: is for this machine"),
        (("--plaintext", "--listen", "127.0.0.1"), "--listen: must be an address and a port"),
        (("--plaintext", "--source", "other"), "there is no [sources.other]"),
    ],
)
def test_what_is_given_must_fit_together(held: Path, arguments: tuple[str, ...], told: str) -> None:
    found = command("host", held, *arguments)
    assert found.exit_code == 2
    assert told in found.output


def test_files_that_tls_cannot_use_are_named_all_at_once(held: Path, tmp_path: Path) -> None:
    for name in ("c.pem", "k.pem", "a.pem"):
        (tmp_path / name).write_text("nothing")
    files = (
        "--certificate",
        tmp_path / "c.pem",
        "--key",
        tmp_path / "k.pem",
        "--callers-authority",
        tmp_path / "a.pem",
    )
    found = command("host", held, *files, "--caller", "x")
    assert found.exit_code == 2
    assert all(option in found.output for option in ("--certificate:", "--key:", "--callers-authority:"))


def test_a_stanza_that_does_not_fit_the_catalogue_is_not_hosted(held: Path) -> None:
    held.write_text(held.read_text().replace('"3" = "MARRIED", "4"', '"3" = "WED", "4"'))
    found = command("host", held, "--plaintext")
    assert found.exit_code == 2
    assert "facts.marriage-registration.values.status" in found.output
