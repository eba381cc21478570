"""Published checkpoints are asked for at once and within one time, however an address drips."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from ledger.errors import PublicationUnavailable
from ledger.log.checkpoint import Checkpoint, sign_checkpoint
from ledger.log.elsewhere import ask_elsewhere
from ledger.publication.sources import HttpSource
from tests.ledger.witness.house import new_log


@pytest.fixture(params=[b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: "])
def dripping(request: pytest.FixtureRequest) -> Iterator[str]:
    """Answers everybody a byte at a time: of the body, or of the head."""
    finish = threading.Event()
    server = socket.create_server(("127.0.0.1", 0))

    def drip(connection: socket.socket) -> None:
        with contextlib.suppress(OSError), closing(connection):
            connection.recv(1 << 16)
            connection.sendall(request.param)
            while not finish.wait(0.05):
                connection.sendall(b"x")

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=drip, args=(server.accept()[0],), daemon=True).start()

    thread = threading.Thread(target=serve)
    thread.start()
    yield f"http://127.0.0.1:{server.getsockname()[1]}/"
    finish.set()
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join()


def test_addresses_that_drip_are_given_up_together(dripping: str, tmp_path: Path) -> None:
    log = new_log(tmp_path).grow(2)
    there = tmp_path / "checkpoint"
    there.write_bytes(sign_checkpoint(Checkpoint(origin="log.example/a", size=2, root=bytes(32)), [log.signer]))
    drips = [f"{dripping}{n}" for n in range(5)]
    began = time.monotonic()
    found = ask_elsewhere([*drips, str(there)], timeout=0.5)
    assert time.monotonic() - began < 2
    assert (list(found.notes), list(found.unreachable)) == ([str(there)], drips)


def test_a_published_resource_that_drips_is_given_up(dripping: str) -> None:
    with HttpSource(dripping, whole=0.3) as source, pytest.raises(PublicationUnavailable, match="too slowly"):
        source.fetch("checkpoint", 1 << 20)
