"""Public security of the demonstration: an HTTPS service that says whether number and name agree (核验型).

It answers `POST /match` with match codes only and never gives data out. Codes and names follow the population service
seen in real systems: `GMSFHM_PPDDM`, `XM_PPDDM` (1 agrees, 0 does not), `SWBS` (1 dead), `FHDM` (10 answered,
20 nobody, 40 refused). It logs nothing of what it is asked.
"""

from __future__ import annotations

import argparse
import json
import signal
import ssl
import sys
import threading
import unicodedata
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from gateway.demo.people import Person, population

_MOST_BYTES = 65_536
_WAIT_SECONDS = 10.0
_END_USER = ("UserCardId", "UserDept", "CallReason")


def answer(people: Mapping[str, Person], question: Mapping[str, Any]) -> dict[str, Any]:
    """Answer one question about people by number; who asks and why must be said, or it is refused."""
    end_user = question.get("EndUser")
    if not isinstance(end_user, dict) or not all(_text(end_user.get(name)) for name in _END_USER):
        return _package(question, "40", "拒绝：未说明调用人或者调用理由")
    number, name = _text(question.get("GMSFHM")), _text(question.get("XM"))
    if not number or not name or not _text(question.get("FFQQBH")):
        return _package(question, "40", "拒绝：缺少请求编号、号码或者姓名")
    person = people.get(number.upper())
    if person is None:
        return _package(question, "20", "查无此人")
    agrees = unicodedata.normalize("NFKC", name) == person.name
    record = {
        "GMSFHM": person.id_number,
        "GMSFHM_PPDDM": "1",
        "XM_PPDDM": "1" if agrees else "0",
        "SWBS": "0" if person.alive else "1",
    }
    return _package(question, "10", "成功", record)


def _text(value: object) -> str:
    return value.strip() if isinstance(value, str) else ""


def _package(question: Mapping[str, Any], code: str, message: str, *records: dict[str, str]) -> dict[str, Any]:
    head = {"FFQQBH": _text(question.get("FFQQBH")), "FHDM": code, "FHMS": message}
    return {"PACKAGEHEAD": head, "RECORD": list(records)}


class MatchServer(ThreadingHTTPServer):
    """Serves the matches of some people on loopback, over TLS if a context is given."""

    daemon_threads = True

    def __init__(self, port: int, people: Sequence[Person], tls: ssl.SSLContext | None) -> None:
        super().__init__(("127.0.0.1", port), MatchHandler)
        self.people = {person.id_number: person for person in people}
        if tls:
            # The handshake is left to the connection's own thread: a silent client must not stop the accepting.
            self.socket = tls.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def handle_error(self, request: object, client_address: object) -> None:
        """Name the condition only: a traceback could carry what was asked."""
        print(f"connection failed: {type(sys.exception()).__name__}", file=sys.stderr, flush=True)


class MatchHandler(BaseHTTPRequestHandler):
    """Reads one question, writes one answer."""

    server: MatchServer
    protocol_version = "HTTP/1.1"
    timeout = _WAIT_SECONDS

    def do_POST(self) -> None:
        """Answer `/match`; anything else is 404, a body that is not a JSON object 400."""
        if self.path != "/match":
            self._refuse(404)
            return
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit()) or int(length) > _MOST_BYTES:
            self._refuse(400)
            return
        try:
            question = json.loads(self.rfile.read(int(length)))
        except ValueError:
            question = None
        if not isinstance(question, dict):
            self._refuse(400)
            return
        self._write(200, json.dumps(answer(self.server.people, question), ensure_ascii=False).encode())

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet: requests are about people."""

    def _refuse(self, status: int) -> None:
        self.close_connection = True  # what is left of the body must not be read as the next request
        self._write(status, b"{}")

    def _write(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main(argv: Sequence[str]) -> int:
    """Serve until SIGTERM or SIGINT; prints `ready PORT` when listening."""
    options = _parse(argv)
    tls = None
    if not options.plain:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.minimum_version = ssl.TLSVersion.TLSv1_2
        tls.load_cert_chain(options.certificate, options.key)
    with MatchServer(options.port, population(options.seed, options.size), tls) as server:
        # `shutdown` waits for the loop it is called in, so the signal leaves it to another thread.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
        print(f"ready {server.server_address[1]}", flush=True)
        server.serve_forever(poll_interval=0.05)
    return 0


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="public_security", description="Match numbers and names.")
    parser.add_argument("--port", type=int, default=0, help="0 chooses a free one")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--size", type=int, default=200)
    parser.add_argument("--plain", action="store_true", help="HTTP without TLS")
    parser.add_argument("--certificate", type=Path)
    parser.add_argument("--key", type=Path)
    options = parser.parse_args(argv)
    if not options.plain and not (options.certificate and options.key):
        parser.error("--certificate and --key are needed, or --plain")
    return options


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
