"""Programs that nobody here wrote check our checkpoints, tiles, bundles and receipts.

* `aics-tlog` (pure Python, 3.12 or newer).
* Go's `golang.org/x/mod/sumdb`, where `go` and the package's sources are (Debian: golang-go, golang-golang-x-mod-dev).
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gateway.console.log import log_application
from gateway.console.server import http_server
from ledger import Ledger, decode_entry
from ledger.commands import export
from tests.ledger.house import ORIGIN, House
from tests.ledger.publication.logs import grow
from tests.outside import python_with

HERE = Path(__file__).parent
PACKAGE = "aics-tlog==0.2.1"
GO_SOURCES = Path("/usr/share/gocode")


@pytest.fixture(scope="session")
def aics() -> list[str]:
    """The command that runs a script where aics-tlog is."""
    return python_with(PACKAGE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A log of 700 entries, exported, with a few of its receipts from several sizes."""

    directory: Path
    vkey: Path
    receipts: list[str]
    entries: list[str]


@pytest.fixture
def published(sqlite_house: House, sqlite_ledger: Ledger, tmp_path: Path) -> Published:
    receipts, entries = [], []
    for number, count in enumerate((1, 99, 200, 400)):
        grow(sqlite_ledger, count)
        index = sqlite_ledger.size() // 2
        path = tmp_path / f"receipt-{number}"
        path.write_bytes(sqlite_ledger.receipt(index))
        receipts.append(str(path))
        entries.append(sqlite_ledger.entry(index).decode("ascii"))
    export(sqlite_house.url, tmp_path / "out", verifiers=[sqlite_house.signer.verifier], origin=ORIGIN)
    vkey = tmp_path / "log.pub"
    vkey.write_text(sqlite_house.signer.verifier.vkey + "\n", "utf-8")
    return Published(directory=tmp_path / "out", vkey=vkey, receipts=receipts, entries=entries)


def check(command: Sequence[str], place: str, published: Published) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*command, place, str(published.vkey), *published.receipts],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
        env={**os.environ, "GO111MODULE": "off", "GOPATH": str(GO_SOURCES), "GOFLAGS": ""},
    )


def told(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    read: dict[str, Any] = json.loads(done.stdout)
    return read


def test_aics_tlog_accepts_the_export_and_its_receipts(aics: list[str], published: Published) -> None:
    read = told(check([*aics, str(HERE / "outside_aics.py")], str(published.directory), published))
    assert (read["size"], read["tiles"], read["bundles"]) == (700, 4, 3)
    assert read["entries"] == published.entries
    assert all(decode_entry(entry.encode()) for entry in read["entries"])


async def test_aics_tlog_accepts_the_server(aics: list[str], published: Published, sqlite_ledger: Ledger) -> None:
    application = log_application(sqlite_ledger.publication(), sqlite_ledger.read)
    async with http_server(application, host="127.0.0.1", port=0, drain=5) as port:
        command = [*aics, str(HERE / "outside_aics.py")]
        read = told(await asyncio.to_thread(check, command, f"http://127.0.0.1:{port}/", published))
    assert (read["size"], read["entries"]) == (700, published.entries)


@pytest.mark.parametrize("path", ["tile/0/001", "tile/0/002.p/188", "tile/1/000.p/2", "tile/entries/000", "checkpoint"])
def test_aics_tlog_refuses_one_changed_bit(aics: list[str], published: Published, path: str) -> None:
    body = bytearray((published.directory / path).read_bytes())
    body[40] ^= 1
    (published.directory / path).write_bytes(body)
    done = check([*aics, str(HERE / "outside_aics.py")], str(published.directory), published)
    assert done.returncode != 0


@pytest.fixture(scope="session")
def go(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The Go program, compiled."""
    found = shutil.which("go")
    if found is None or not (GO_SOURCES / "src/golang.org/x/mod/sumdb/tlog").is_dir():
        pytest.skip("go and the sources of golang.org/x/mod are not installed (golang-go, golang-golang-x-mod-dev)")
    program = tmp_path_factory.mktemp("go") / "outside"
    environment = {**os.environ, "GO111MODULE": "off", "GOPATH": str(GO_SOURCES), "GOFLAGS": ""}
    command = [found, "build", "-o", str(program), str(HERE / "outside.go")]
    made = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=110)
    assert made.returncode == 0, made.stderr
    return [str(program)]


def test_the_go_checksum_database_accepts_the_export_and_its_receipts(go: list[str], published: Published) -> None:
    done = check(go, str(published.directory), published)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("700 ")


@pytest.mark.parametrize("path", ["tile/0/001", "tile/0/002.p/188", "tile/1/000.p/2", "tile/entries/000", "checkpoint"])
def test_the_go_checksum_database_refuses_one_changed_bit(go: list[str], published: Published, path: str) -> None:
    body = bytearray((published.directory / path).read_bytes())
    body[40] ^= 1
    (published.directory / path).write_bytes(body)
    assert check(go, str(published.directory), published).returncode != 0
