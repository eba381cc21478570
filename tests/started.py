"""`chengxin` as a process of its own, started in the time of a fork.

Nearly all the time that a command takes goes into reading its modules. One process for each process of the tests reads
them, and the lists that are shipped, once and begins no thread; commands are forked from it, and each is a process like
one that `python -m gateway` started: its own descriptors, environment, arguments, signals and exit. The first time that
a run of the tests comes to a command, an interpreter of its own is started for it, as an operator's shell does, so that
none leans on modules that it did not read itself.
"""

from __future__ import annotations

import gc
import importlib
import inspect
import json
import os
import pkgutil
import runpy
import select
import socket
import struct
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import click

from gateway.cli import cli
from tests import composed

_LONGEST = 1 << 17
_NUMBER = struct.Struct("i")


def run(*arguments: object, timeout: float = 60) -> subprocess.CompletedProcess[str]:
    """Run a command of the program to its end."""
    with start(*arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as program:
        try:
            said, told = program.communicate(timeout=timeout)
        except BaseException:
            program.kill()
            raise
    return subprocess.CompletedProcess(program.args, program.returncode, said, told)


def start(
    *arguments: object, module: str = "gateway", env: dict[str, str] | None = None, **streams: Any
) -> subprocess.Popen[str]:
    """Start a command of the program, or of another module; `streams` as `subprocess.Popen` takes them."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    kind = subprocess.Popen if module != "gateway" or _is_the_first(command[3:]) else _Forked
    return kind(command, text=True, env=env, **streams)


@contextmanager
def sharing_what_was_tried(folder: Path) -> Iterator[None]:
    """Start programs; all processes of a run keep there for which commands an interpreter of their own was started."""
    _tried.append(folder)
    yield
    if _origin.cache_info().currsize:
        orders, process = _origin()
        orders.close()
        process.wait(60)


_tried: list[Path] = []


def _is_the_first(arguments: list[str]) -> bool:
    group: click.Command = cli
    words = []
    for word in arguments:
        if not isinstance(group, click.Group) or word not in group.commands:
            break
        words.append(word)
        group = group.commands[word]
    try:
        (_tried[-1] / "-".join(["chengxin", *words])).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


class _Forked(subprocess.Popen[str]):
    """A command that was forked, as `subprocess.Popen` knows a process."""

    def _execute_child(self, *given: Any, **named: Any) -> None:
        told = inspect.signature(subprocess.Popen._execute_child).bind(self, *given, **named).arguments  # type: ignore[attr-defined]
        order = json.dumps({"arguments": told["args"], "environment": dict(told["env"] or os.environ)})
        theirs = [
            (told["p2cread"], told["p2cwrite"]),
            (told["c2pwrite"], told["c2pread"]),
            (told["errwrite"], told["errread"]),
        ]
        self._ended, end = os.pipe()
        streams = [own if one == -1 else one for own, (one, _) in enumerate(theirs)]
        try:
            socket.send_fds(_origin()[0], [order.encode()], [*streams, end])
        finally:
            for one in (end, getattr(self, "_devnull", -1), *(one for one, ours in theirs if ours != -1)):
                if one != -1:
                    os.close(one)
        self._child_created = True
        self.pid = self._number()

    def _number(self) -> int:
        told = os.read(self._ended, _NUMBER.size)
        if not told:
            raise ChildProcessError("the process that starts programs is gone")
        return int(_NUMBER.unpack(told)[0])

    def _has_ended(self) -> bool:
        asked = select.poll()
        asked.register(self._ended, select.POLLIN)
        return bool(asked.poll(0))

    def _try_wait(self, wait_flags: int) -> tuple[int, int]:
        if wait_flags & os.WNOHANG and not self._has_ended():
            return 0, 0
        status = self._number()
        os.close(self._ended)
        return self.pid, status

    def _internal_poll(self, *_: Any, **__: Any) -> int | None:
        if self.returncode is None and self._waitpid_lock.acquire(blocking=False):  # type: ignore[attr-defined]
            try:
                pid, status = self._try_wait(os.WNOHANG) if self.returncode is None else (0, 0)
                if pid:
                    self._handle_exitstatus(status)  # type: ignore[attr-defined]
            finally:
                self._waitpid_lock.release()  # type: ignore[attr-defined]
        return self.returncode


@cache
def _origin() -> tuple[socket.socket, subprocess.Popen[bytes]]:
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with its:
        process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(its.fileno())],
            stdin=subprocess.DEVNULL,
            env=os.environ | {"GRPC_VERBOSITY": "NONE"},
            pass_fds=[its.fileno()],
        )
    return ours, process


def _fork_on_request(orders: socket.socket) -> None:
    """Fork whenever it is asked, and return in each process that is to run a command; end with who asks."""
    forked = 0
    while True:
        order, streams, _, _ = socket.recv_fds(orders, _LONGEST, 4)
        while forked and os.waitpid(-1, os.WNOHANG if order else 0)[0]:
            forked -= 1
        if not order:
            sys.exit()
        if os.fork() == 0:
            orders.close()
            break
        forked += 1
        for one in streams:
            os.close(one)
    end = streams.pop()
    pid = os.fork()
    if pid:
        for one in streams:
            os.close(one)
        os.write(end, _NUMBER.pack(pid))
        os.write(end, _NUMBER.pack(os.waitpid(pid, 0)[1]))
        os._exit(0)
    os.close(end)
    for own, one in enumerate(streams):
        os.dup2(one, own)
        os.close(one)
    told = json.loads(order)
    os.environ.clear()
    os.environ.update(told["environment"])
    sys.argv[:] = told["arguments"][2:]
    if wanted := os.environ.get("PYTHONWARNINGS"):
        sys.warnoptions[:] = [wanted]
        warnings.simplefilter(wanted)  # type: ignore[arg-type]


def _read_all() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for room in ("gateway", "connectors", "ledger"):
            for found in pkgutil.walk_packages(importlib.import_module(room).__path__, room + "."):
                if ".bench" not in found.name and not found.name.endswith("__main__"):
                    importlib.import_module(found.name)
    composed.remember()
    composed.read_shipped()
    gc.collect()
    gc.freeze()


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as asked:
        _read_all()
        _fork_on_request(asked)
    runpy.run_module("gateway", run_name="__main__", alter_sys=True)
