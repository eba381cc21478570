"""A demonstration province on loopback: departments as separate processes, a gateway, and synthetic people."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO

from rich.console import Console

from gateway.config import load_settings
from gateway.demo import civil_affairs, housing
from gateway.demo.people import Person, population
from gateway.demo.sources import stanzas
from gateway.founding import TRUST_DOMAIN, House, found
from gateway.pki import Authority, pem, write_pair

_START_SECONDS = 30.0
_YEAR = timedelta(days=365)
_PORT = 8443


class DemoFailed(Exception):
    """A step did not come out as told."""


@dataclass(slots=True, kw_only=True)
class Province:
    """A running province: where everything lies, and the processes by name."""

    home: Path
    people: tuple[Person, ...]
    house: House
    port: int = 0
    running: dict[str, subprocess.Popen[str]] = field(default_factory=dict)

    @property
    def drops(self) -> Path:
        """Where the housing office drops its files."""
        return self.home / "drops"

    @property
    def address(self) -> str:
        """Where the gateway listens."""
        return f"127.0.0.1:{self.port}"

    def stop(self, name: str) -> None:
        """Stop one process and wait for its end."""
        process = self.running.pop(name)
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=_START_SECONDS)
        if process.stdout:
            process.stdout.close()


@contextmanager
def province(home: Path, *, size: int, seed: int, listen: str) -> Iterator[Province]:
    """Set a province up in a folder and run it until the block ends.

    Raises:
        DemoFailed: a process did not come up.
    """
    home.mkdir(parents=True, exist_ok=True)
    people = population(seed, size)
    here = Province(home=home, people=people, house=House(home=home / "var"))
    (home / "drops").mkdir(exist_ok=True)
    civil = home / "civil-affairs.sqlite3"
    if not civil.exists():
        civil_affairs.build(civil, people)
        housing.deliver(here.drops, people, datetime.now(UTC), number=1, late=False)
    try:
        police = start_police(here, seed=seed, size=size)
        if not here.house.config.exists():
            text = stanzas(
                civil_file=civil,
                police_url=f"https://127.0.0.1:{police}",
                police_ca=home / "police.crt",
                housing_folder=here.drops,
            )
            # The remedy period is sixty days by law; a demonstration cannot wait and says so.
            found(here.house.home, now=datetime.now(UTC), sources=text, listen=listen, remedy_days=0)
        here.port = _start(here, "gateway", ["-m", "gateway", "serve", "--config", str(here.house.config)])
        yield here
    finally:
        for name in list(here.running):
            here.stop(name)


def start_police(here: Province, *, seed: int, size: int) -> int:
    """Start the public-security service, on the port it had before if it ran before; give its port."""
    certificate, key, port = here.home / "police.crt", here.home / "police.key", here.home / "police.port"
    if not certificate.exists():
        now = datetime.now(UTC)
        authority = Authority.create("public security (demonstration)", now=now, valid=_YEAR)
        leaf, leaf_key = authority.server(["localhost", "127.0.0.1"], now=now, valid=_YEAR)
        write_pair(leaf, leaf_key, here.home / "police-server.crt", key)
        certificate.write_bytes(pem(authority.certificate))
    before = port.read_text("ascii") if port.exists() else "0"
    arguments = ["--port", before, "--seed", str(seed), "--size", str(size)]
    tls = ["--certificate", str(here.home / "police-server.crt"), "--key", str(key)]
    found_port = _start(here, "public-security", ["-m", "gateway.demo.public_security", *arguments, *tls])
    port.write_text(str(found_port), "ascii")
    return found_port


def start_credit_platform(here: Province) -> None:
    """Start the credit platform, which pulls reports every few seconds until it is stopped."""
    certificate, key = here.house.pair("credit")
    files = {"ca": here.house.authority, "certificate": certificate, "key": key, "log-key": here.house.vkey}
    arguments = [part for name, file in files.items() for part in (f"--{name}", str(file))]
    state = ["--state", str(here.home / "credit-platform.sqlite3"), "--origin", f"{TRUST_DOMAIN}/log"]
    with (here.home / "credit-platform.log").open("a", encoding="utf-8") as log, undisturbed():
        here.running["credit-platform"] = subprocess.Popen(  # noqa: S603  our own interpreter and our own modules
            [sys.executable, "-m", "gateway.demo.credit_platform", "--server", here.address, *arguments, *state],
            stdout=log,
            stderr=log,
            text=True,
        )


def _move(house: House, port: int | None) -> None:
    """Let a house that was founded before listen at another port."""
    if port is not None and house.config.exists():
        text, old = house.config.read_text("utf-8"), load_settings(house.config).server.listen
        house.config.write_text(text.replace(f'listen = "{old}"', f'listen = "127.0.0.1:{port}"', 1), "utf-8")


def _start(here: Province, name: str, arguments: list[str]) -> int:
    """Start a Python process and wait for its line `ready PORT`."""
    path = here.home / f"{name}.log"
    with path.open("a", encoding="utf-8") as log, undisturbed():
        before = log.tell()
        process = here.running[name] = subprocess.Popen(  # noqa: S603  our own interpreter and our own modules
            [sys.executable, *arguments], stdout=subprocess.PIPE, stderr=log, text=True
        )
    stream: IO[str] | None = process.stdout
    line = stream.readline().split() if stream else []
    if len(line) != 2 or line[0] != "ready":
        process.wait(timeout=_START_SECONDS)
        said = [one for one in path.read_bytes()[before:].decode().splitlines() if one and not one.startswith("{")]
        hint = "\n--port chooses another address" if any("cannot be bound" in one for one in said) else ""
        raise DemoFailed("\n".join([f"{name} did not start; see {path}", *said]) + hint)
    return int(line[1])


def end_in_order() -> None:
    """Take SIGTERM as Ctrl-C from now on: a process that it ended at once would leave the province running."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Hold SIGINT and SIGTERM back for a moment: a process that is being started must be known before it is ended."""
    held: list[int] = []
    before = {one: signal.signal(one, lambda number, _: held.append(number)) for one in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
    for number in held:
        signal.raise_signal(number)


def play(kept: Path | None, *, port: int, people: int, seed: int) -> int:
    """Play the story in an empty folder that is `kept`, or in one of its own; 0 only if every step came out as told."""
    from gateway.demo.story import tell

    end_in_order()
    console = Console(highlight=False)
    home = kept or Path(tempfile.mkdtemp(prefix="chengxin-demo-"))
    started = time.monotonic()
    try:
        with province(home, size=people, seed=seed, listen=f"127.0.0.1:{port}") as here:
            tell(here, console, seed=seed, size=people)
    except KeyboardInterrupt:
        _remove(home, kept)
        raise
    except DemoFailed as failure:
        console.print(f"[red]✗ {failure}[/red]")
        console.print(f"the folder is kept: {home}")
        return 1
    console.print(f"✓ every step came out as told, in {time.monotonic() - started:.0f} s")
    _remove(home, kept)
    return 0


def _remove(home: Path, kept: Path | None) -> None:
    if kept is None:
        shutil.rmtree(home, ignore_errors=True)


def stay(home: Path, *, port: int | None, people: int, seed: int) -> int:
    """Run the province until Ctrl-C or SIGTERM, and say what to type to try it; without a port, at the one it had."""
    from gateway.demo.people import cast

    end_in_order()
    console = Console(highlight=False)
    try:
        _move(House(home=home / "var"), port)
        with province(home, size=people, seed=seed, listen=f"127.0.0.1:{_PORT if port is None else port}") as here:
            start_credit_platform(here)
            persons = cast(seed)
            console.print(f"gateway     {here.address} (mutual TLS; certificates in {here.house.home / 'pki'})")
            console.print(f"departments civil-affairs (SQL), public-security (HTTPS), housing (files in {here.drops})")
            console.print(f"credit      a platform of its own that pulls reports ({here.home / 'credit-platform.log'})")
            console.print("try, in another terminal:")
            for person in (persons.owner, persons.missing):
                console.print(
                    f"  .venv/bin/chengxin ask --config {here.house.config} "
                    f"--name {person.name} --id {person.id_number} --set address={person.address}",
                    soft_wrap=True,
                )
            console.print("Ctrl-C ends it.")
            signal.pause()
    except KeyboardInterrupt:
        console.print("stopped")
    except DemoFailed as failure:
        console.print(f"✗ {failure}")
        return 1
    return 0
