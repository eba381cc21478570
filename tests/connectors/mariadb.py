"""A throw-away MariaDB for tests.

`TEST_MARIADB_URL` names a server and database in which tables may be made; without it, one is started from a
`mariadbd` on the path, in a temporary directory, on a loopback port.
"""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pymysql
from sqlalchemy.engine import URL, make_url

AVAILABLE = "TEST_MARIADB_URL" in os.environ or (
    shutil.which("mariadbd") is not None and shutil.which("mariadb-install-db") is not None
)


@contextmanager
def server() -> Iterator[URL]:
    """Lend the URL of a database of one's own."""
    given = os.environ.get("TEST_MARIADB_URL")
    if given:
        yield make_url(given)
        return
    root = Path(tempfile.mkdtemp(prefix="my-", dir="/tmp"))
    try:
        yield from _started(root)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _started(root: Path) -> Iterator[URL]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    user = "root" if os.geteuid() == 0 else os.environ.get("USER", "nobody")
    base = [f"--datadir={root / 'data'}", f"--user={user}"]
    install = ["mariadb-install-db", "--no-defaults", *base, "--auth-root-authentication-method=normal"]
    subprocess.run(install, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/")
    settings = [
        f"--socket={root / 's'}",
        f"--port={port}",
        "--bind-address=127.0.0.1",
        f"--pid-file={root / 'pid'}",
        "--skip-name-resolve",
        "--innodb-flush-log-at-trx-commit=0",
        "--innodb-buffer-pool-size=16M",
        "--skip-log-bin",
    ]
    with (root / "log").open("wb") as log:
        process = subprocess.Popen(["mariadbd", "--no-defaults", *base, *settings], stdout=log, stderr=log, cwd="/")
    try:
        _wait(process, root)
        with pymysql.connect(unix_socket=str(root / "s"), user="root") as connection:
            cursor = connection.cursor()
            cursor.execute("CREATE DATABASE test1 CHARACTER SET utf8mb4")
            cursor.execute("CREATE USER 'tester'@'127.0.0.1' IDENTIFIED BY 'tester'")
            cursor.execute("GRANT ALL ON *.* TO 'tester'@'127.0.0.1' WITH GRANT OPTION")
        yield URL.create(
            "mysql+pymysql", username="tester", password="tester", host="127.0.0.1", port=port, database="test1"
        )
    finally:
        process.terminate()
        process.wait(30)


def _wait(process: subprocess.Popen[bytes], root: Path) -> None:
    for _ in range(600):
        if process.poll() is not None:
            raise RuntimeError("mariadbd ended at once")
        with socket.socket(socket.AF_UNIX) as knocking:  # the driver leaves a socket open that nobody answers
            if knocking.connect_ex(str(root / "s")) == 0:
                return
        time.sleep(0.1)
    raise RuntimeError("mariadbd does not answer")
