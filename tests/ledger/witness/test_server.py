"""The witness as a process: the protocol over HTTP, its limits, its end, and its promise after kill -9."""

from __future__ import annotations

import json
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from gateway.pki import Authority, write_pair
from ledger.log.algorithms.timestamp import cosigned_at
from ledger.log.note import add_lines, open_note
from ledger.witness.protocol import LONGEST_REQUEST, Request, format_request, origin_hash, parse_answer
from ledger.witness.witness import Refused
from tests.ledger.witness.house import (
    ORIGIN,
    Folder,
    Log,
    Served,
    chengxin,
    fails,
    init,
    new_log,
    read_port,
    running,
    serving,
    stop,
)


def post(served: Served, body: bytes) -> httpx.Response:
    return httpx.post(f"{served.url}/add-checkpoint", content=body, timeout=30)


def test_the_protocol_over_http(served: Served, log: Log, tmp_path: Path) -> None:
    answer = post(served, log.request(0))
    assert answer.status_code == 200
    lines = parse_answer(answer.content)
    note = add_lines(log.note(), lines)
    for key in served.keys:
        assert open_note(note, [key]).signed_by == (key.name,)
    assert abs(cosigned_at(lines[0]) - datetime.now(UTC).timestamp()) < 300

    conflict = post(served, log.grow(2).request(3))
    assert (conflict.status_code, conflict.headers["content-type"], conflict.text) == (409, "text/x.tlog.size", "5\n")
    assert post(served, log.copy().grow(1, "fork").request(7)).status_code == 409
    assert post(served, log.request(5)).status_code == 200
    fork = Log(signer=log.signer, entries=[*log.entries[:6], "fork"])
    assert post(served, fork.request(7)).status_code == 422
    assert post(served, new_log(tmp_path, "log.example/b").request(0)).status_code == 404
    assert post(served, b"junk").status_code == 400
    forged = log.request(7).replace(b"\n7\n", b"\n8\n")
    assert post(served, forged).status_code == 403


def test_monitors_fetch_what_was_cosigned_last(served: Served, log: Log) -> None:
    url = f"{served.url}/{origin_hash(ORIGIN)}/checkpoint"
    assert httpx.get(url).status_code == 404
    lines = parse_answer(post(served, log.request(0)).content)
    found = httpx.get(url)
    assert found.content == add_lines(log.note(), lines)
    assert found.headers["content-type"] == "text/plain; charset=utf-8"
    assert httpx.get(f"{served.url}/healthz").text == "ok\n"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/add-checkpoint", 405), ("PUT", "/add-checkpoint", 405), ("GET", "/", 404),
     ("POST", "/sign-subtree", 404),
     ("GET", "/x/checkpoint", 404), ("DELETE", "/x/checkpoint", 405), ("GET", "/../add-checkpoint", 405)],
)  # fmt: skip
def test_other_requests_are_refused(served: Served, method: str, path: str, status: int) -> None:
    assert httpx.request(method, served.url + path).status_code == status


def test_a_request_that_is_too_long_is_refused_whether_its_length_is_told_or_not(served: Served) -> None:
    long = b"old 0\n\n" + b"x" * LONGEST_REQUEST
    assert post(served, long).status_code == 413

    def pieces() -> Iterator[bytes]:
        for at in range(0, len(long), 1 << 15):
            yield long[at : at + (1 << 15)]

    assert httpx.post(f"{served.url}/add-checkpoint", content=pieces()).status_code == 413


def test_a_client_that_goes_away_does_no_harm(served: Served, log: Log) -> None:
    port = int(served.url.rsplit(":", 1)[1])
    for sent in (
        b"",
        b"POST /add-checkpoint HTTP/1.1\r\nHost: x\r\nContent-Length: 999\r\n\r\nold 0\n",
        b"\x16\x03\x01junk",
    ):
        with closing(socket.create_connection(("127.0.0.1", port))) as connection:
            connection.sendall(sent)
    assert post(served, log.request(0)).status_code == 200


def test_racing_requests_over_http_win_once(served: Served, log: Log) -> None:
    post(served, log.request(0))
    forks = [log.copy().grow(2, f"fork{n}-").request(5) for n in range(12)]
    with ThreadPoolExecutor(12) as pool:
        statuses = list(pool.map(lambda body: post(served, body).status_code, forks))
    assert sorted(statuses) == [200] + [409] * 11


def test_two_processes_on_one_memory_never_sign_both_branches(tmp_path: Path, log: Log) -> None:
    keys = init(tmp_path / "w", log.signer.verifier)
    with serving(tmp_path / "w", keys) as one, serving(tmp_path / "w", keys) as two:
        post(one, log.request(0))
        forks = [log.copy().grow(2, f"fork{n}-").request(5) for n in range(8)]
        with ThreadPoolExecutor(8) as pool:
            statuses = list(pool.map(lambda n: post((one, two)[n % 2], forks[n]).status_code, range(8)))
        assert sorted(statuses) == [200] + [409] * 7


def test_sigterm_ends_it_and_what_it_cosigned_stays(served: Served, log: Log) -> None:
    post(served, log.request(0))
    assert stop(served.process) == 0
    status = json.loads(chengxin("witness", "status", "--config", served.config, "--json"))
    assert status["logs"] == [
        {
            "origin": ORIGIN,
            "size": 5,
            "root": log.checkpoint().root.hex(),
            "cosigned_at": status["logs"][0]["cosigned_at"],
            "unproven": 0,
        }
    ]


def test_evidence_is_shown(served: Served, log: Log) -> None:
    post(served, log.request(0))
    fork = Log(signer=log.signer, entries=["fork", *log.entries[1:]])
    assert post(served, fork.request(5)).status_code == 422
    (shown,) = json.loads(chengxin("witness", "status", "--config", served.config, "--json"))["evidence"]
    assert shown["origin"] == ORIGIN
    assert shown["refused"].encode() == fork.note()
    assert "EVIDENCE against log.example/a" in chengxin("witness", "status", "--config", served.config)


def test_a_refusal_that_proves_nothing_is_counted_and_no_evidence(served: Served, log: Log) -> None:
    post(served, log.request(0))
    body = format_request(Request(old=5, proof=(bytes(32),), note=log.grow(2).note()))
    assert post(served, body).status_code == 422
    told = json.loads(chengxin("witness", "status", "--config", served.config, "--json"))
    assert (told["evidence"], told["logs"][0]["unproven"]) == ([], 1)
    shown = chengxin("witness", "status", "--config", served.config)
    assert "EVIDENCE" not in shown
    assert "log.example/a: 1 refused without a proof" in shown


DYING = """
import os, signal, sys
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from ledger import parse_vkey
from ledger.log.key_file import load_cosigner
from ledger.witness.server import application, serve
from ledger.witness.state import WitnessState
from ledger.witness.witness import Witness

class Dying(WitnessState):
    @contextmanager
    def turn(self, origin):
        with super().turn(origin) as turn:
            yield turn
        os.kill(os.getpid(), signal.SIGKILL)

home = Path(sys.argv[1])
now = lambda: datetime.now(UTC)
cosigners = [load_cosigner(home / f"{a}.key", "witness.example/w1", now=now) for a in ("ed25519", "ml-dsa-44")]
state = Dying(home / "state.sqlite3", [one.key_id for one in cosigners])
witness = Witness(cosigners=cosigners, logs=[parse_vkey(sys.argv[2])], state=state, now=now)
serve(application(witness, tell=lambda status, reason: None), host="127.0.0.1", port=0,
      ready=lambda port: print(f"ready {port}", flush=True))
"""


def own(program: str, *arguments: str) -> subprocess.Popen[str]:
    """Start a witness that is made by hand."""
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def test_a_witness_killed_between_commit_and_answer_keeps_its_promise(tmp_path: Path, log: Log) -> None:
    home = tmp_path / "w"
    home.mkdir()
    Folder(directory=home).found()
    fork = log.copy().grow(1, "false")
    with running(own(DYING, str(home), log.signer.verifier.vkey)) as process:
        url = f"http://127.0.0.1:{read_port(process)}/add-checkpoint"
        with pytest.raises(httpx.TransportError):
            httpx.post(url, content=log.grow(1, "true").request(0), timeout=30)
        assert process.wait(30) == -signal.SIGKILL
    with Folder(directory=home).open(log.signer.verifier) as (witness, state):
        newest = state.newest(ORIGIN)
        assert newest is not None
        assert newest.root == log.checkpoint().root
        for body, status in ((fork.request(0), 409), (fork.request(6), 422), (log.request(0), 409)):
            with pytest.raises(Refused) as refused:
                witness.add_checkpoint(body)
            assert refused.value.status == status
    with Folder(directory=home).open(log.signer.verifier) as (witness, state):
        state.trust_clock()  # the clock of this test is older than that of the process
        assert len(witness.add_checkpoint(log.request(6))) == 2


SLOW = DYING.replace("        os.kill(os.getpid(), signal.SIGKILL)\n", "").replace(
    "tell=lambda", "patience=0.2, tell=lambda"
)


def test_a_request_that_does_not_arrive_is_not_waited_for(tmp_path: Path, log: Log) -> None:
    home = tmp_path / "w"
    home.mkdir()
    Folder(directory=home).found()
    with running(own(SLOW, str(home), log.signer.verifier.vkey)) as process:
        port = read_port(process)
        with closing(socket.create_connection(("127.0.0.1", port), timeout=30)) as connection:
            connection.sendall(b"POST /add-checkpoint HTTP/1.1\r\nHost: x\r\nContent-Length: 999\r\n\r\nold 0\n")
            assert connection.recv(1000).startswith(b"HTTP/1.1 408 ")
        assert httpx.post(f"http://127.0.0.1:{port}/add-checkpoint", content=log.request(0)).status_code == 200


def test_it_serves_over_tls_and_under_a_prefix(tmp_path: Path, log: Log) -> None:
    keys = init(tmp_path / "w", log.signer.verifier)
    authority = Authority.create("test", now=datetime.now(UTC), valid=timedelta(days=1))
    pair = authority.server(["localhost", "127.0.0.1"], now=datetime.now(UTC), valid=timedelta(days=1))
    write_pair(*pair, tmp_path / "w" / "tls.crt", tmp_path / "w" / "tls.key")
    authority.save(tmp_path / "ca.crt", tmp_path / "ca.key")
    config = tmp_path / "w" / "witness.toml"
    text = config.read_text().replace('prefix = ""', 'prefix = "/w1"')
    text = text.replace('certificate_file = ""', 'certificate_file = "tls.crt"').replace(
        '\nkey_file = ""', '\nkey_file = "tls.key"'
    )
    config.write_text(text)
    with serving(tmp_path / "w", keys) as served:
        port = served.url.rsplit(":", 1)[1]
        tls = ssl.create_default_context(cafile=tmp_path / "ca.crt")
        url = f"https://127.0.0.1:{port}/w1/add-checkpoint"
        assert httpx.post(url, content=log.request(0), verify=tls).status_code == 200
        with pytest.raises(httpx.ConnectError):
            httpx.post(url, content=log.request(0))


def test_commands_refuse_with_every_mistake(tmp_path: Path, log: Log) -> None:
    keys = init(tmp_path / "w", log.signer.verifier)
    config = tmp_path / "w" / "witness.toml"
    assert "exists already" in fails("witness", "init", tmp_path / "w", "--name", "w.example/1")
    assert "key name" in fails("witness", "init", tmp_path / "v", "--name", "w w")
    assert not (tmp_path / "v").exists()
    assert "there already" in fails("witness", "add-log", log.signer.verifier.vkey, "--config", config)
    assert "of a witness" in fails("witness", "add-log", keys[0].vkey, "--config", config)
    assert "of a witness" in fails("witness", "add-log", keys[1].vkey, "--config", config)
    assert "name+id+base64" in fails("witness", "add-log", "junk", "--config", config)
    assert "witness init" in fails("witness", "serve", "--config", tmp_path / "none.toml")

    good = config.read_text()
    config.write_text(
        good.replace('name = "', 'nome = "').replace("127.0.0.1:0", "nowhere").replace('prefix = ""', 'prefix = "x/"')
    )
    told = fails("witness", "serve", "--config", config)
    for part in (
        "nome: is not known",
        "name: is missing",
        "listen: must be an address and a port",
        "prefix: must be a path",
    ):
        assert part in told
    config.write_text(good.replace("ed25519.key", "ml-dsa-44.key"))
    assert "other keys" in fails("witness", "serve", "--config", config)
    config.write_text(good)
    (tmp_path / "w" / "logs.vkeys").write_text("junk\nmore junk\n")
    told = fails("witness", "serve", "--config", config)
    assert "line 1" in told
    assert "line 2" in told
    (tmp_path / "w" / "logs.vkeys").write_text("")
    (tmp_path / "w" / "state.sqlite3").unlink()
    assert "forgot" in fails("witness", "serve", "--config", config)
    (tmp_path / "w" / "ed25519.key").chmod(0o644)
    assert "0600" in fails("witness", "serve", "--config", config)
