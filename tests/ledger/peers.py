"""Peers over HTTP that behave badly, on real sockets."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

HEAD = b"HTTP/1.1 200 OK\r\nX: "
BODY = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"


@contextmanager
def answering(first: bytes, *, dripping: bool = False) -> Iterator[str]:
    """Answer everybody with these bytes and then close, or go on with a byte now and then; lends a URL."""
    finish = threading.Event()
    server = socket.create_server(("127.0.0.1", 0))

    def answer(connection: socket.socket) -> None:
        with contextlib.suppress(OSError), closing(connection):
            connection.recv(1 << 16)
            connection.sendall(first)
            while dripping and not finish.wait(0.05):
                connection.sendall(b"x")

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=answer, args=(server.accept()[0],), daemon=True).start()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/"
    finally:
        finish.set()
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join()
