"""The processes that are measured: started, asked for their port, weighed, and ended."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from gateway.bench import committing, driver
from gateway.founding import House

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A server that answers at `port`."""

    port: int
    pid: int

    def cpu(self) -> float:
        """Return the processor seconds that it and its children have used."""
        return sum(_cpu(pid) for pid in _family(self.pid))


@contextmanager
def gateway(house: House, log: Path) -> Iterator[Served]:
    """Serve a house as `chengxin serve` does."""
    with _server([sys.executable, "-m", "gateway", "serve", "--config", str(house.config)], log) as served:
        yield served


@contextmanager
def echo(house: House, answer_bytes: int, log: Path) -> Iterator[Served]:
    """Serve the bare echo with the certificates of a house."""
    with _server([sys.executable, "-m", "gateway.bench.echo", str(house.home), str(answer_bytes)], log) as served:
        yield served


@contextmanager
def _server(command: list[str], log: Path) -> Iterator[Served]:
    with log.open("ab") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)  # noqa: S603  our own
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line.startswith("ready "):
                raise RuntimeError(f"a server did not start; {log} tells why")
            yield Served(port=int(line.split()[1]), pid=process.pid)
        finally:
            process.terminate()
            process.wait(60)
            if process.stdout is not None:
                process.stdout.close()


def drive(order: driver.Order | committing.Order) -> driver.Report:
    """Let a load generator carry out an order.

    Raises:
        subprocess.CalledProcessError: a call failed; what it said is on standard error.
    """
    command = [sys.executable, "-m", type(order).__module__]
    done = subprocess.run(command, input=msgspec.json.encode(order), stdout=subprocess.PIPE, check=True)  # noqa: S603
    return msgspec.json.decode(done.stdout, type=driver.Report)


def _family(pid: int) -> Iterator[int]:
    yield pid
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text("ascii").split():
            yield from _family(int(child))


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS
