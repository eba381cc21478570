"""Programs that nobody here wrote, in both directions: PyPI `aics-tlog` and `aics-witness` (Python 3.12 or newer).

They run in this environment if they are installed here, else in one of their own from the cache of `uv`. No test
fetches them; the reason of a skip tells the command that does, once.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ledger import SplitView, parse_vkey
from ledger.log.note import add_lines
from ledger.log.vkey import PublicKey
from ledger.witness.client import WitnessCosigners
from ledger.witness.outcomes import Outcome, RefusedBy, Shows
from ledger.witness.policy import verify_witnessed
from ledger.witness.policy_file import parse_policy
from tests.ledger.witness.house import ORIGIN, Log, Served, init, serving
from tests.outside import python_with

SCRIPT = Path(__file__).with_name("outside_aics.py")
PACKAGES = ("aics-tlog==0.2.1", "aics-witness==0.1.0")


@pytest.fixture(scope="session")
def aics() -> list[str]:
    """The command that runs Python where both packages are."""
    return python_with(*PACKAGES)


def told(aics: list[str], *arguments: str) -> list[dict[str, object]]:
    done = subprocess.run([*aics, str(SCRIPT), *arguments], capture_output=True, check=False, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def collect(cosigners: WitnessCosigners, log: Log) -> list[str]:
    return cosigners.collect(log.note(), log.size, log.prove)


def test_their_verifier_accepts_our_checkpoint_and_our_witness(
    aics: list[str], served: Served, log: Log, tmp_path: Path
) -> None:
    policy = parse_policy(f"witness w {served.ed25519.vkey} {served.url}\nquorum w\n".encode())
    with WitnessCosigners(policy) as cosigners:
        note = add_lines(log.note(), collect(cosigners, log))
    path = tmp_path / "checkpoint"
    path.write_bytes(note)
    arguments = ("verify", str(path), log.signer.verifier.vkey, served.ed25519.vkey)
    assert told(aics, *arguments) == [{"log_ok": True, "ok": True, "witnesses": [served.ed25519.name], "error": None}]
    path.write_bytes(note.replace(b"\n5\n", b"\n6\n"))
    assert [one["ok"] for one in told(aics, *arguments)] == [False]


def test_their_log_is_cosigned_by_our_witness_and_their_fork_is_not(aics: list[str], tmp_path: Path) -> None:
    their = parse_vkey(str(told(aics, "vkey")[0]["vkey"]))
    keys = init(tmp_path / "w", their)
    with serving(tmp_path / "w", keys) as served:
        *grown, last = told(aics, "feed", served.url, served.ed25519.vkey)
    assert grown == [{"size": size, "ok": True} for size in (1, 2, 7, 100, 256, 300)]
    assert last == {"refused": "WitnessRejected", "status": 422}


@contextmanager
def their_witness(aics: list[str], directory: Path, log: PublicKey) -> Iterator[tuple[PublicKey, str]]:
    place = {**os.environ, "AICS_WITNESS_CONFIG": str(directory / "witness.json")}
    base = [*aics, "-m", "aics_witness"]
    init = [*base, "init", "--name", "their.example/w"]
    made = subprocess.run(init, env=place, capture_output=True, check=True, text=True)
    added = [*base, "add-log", "--origin", log.name, "--vkey", log.vkey]
    subprocess.run(added, env=place, capture_output=True, check=True)
    serve = [*base, "serve", "--listen", "127.0.0.1:0"]
    process = subprocess.Popen(serve, env=place, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        for line in process.stderr:
            listening = re.search(r"listening on (http://\S+)", line)
            if listening:
                yield parse_vkey(made.stdout), listening[1]
                break
        else:
            pytest.fail("their witness did not come up")
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def test_their_witness_cosigns_our_log_and_refuses_our_fork(aics: list[str], log: Log, tmp_path: Path) -> None:
    fork = log.copy().grow(2, "false")
    with their_witness(aics, tmp_path, log.signer.verifier) as (key, url):
        policy = parse_policy(f"log {log.signer.verifier.vkey}\nwitness w {key.vkey} {url}\nquorum w\n".encode())
        outcomes: list[Outcome] = []
        with WitnessCosigners(policy, told=outcomes.append) as cosigners:
            for growth in (0, 1, 30, 300, 0):
                lines = collect(cosigners, log.grow(growth))
                assert cosigners.satisfied(lines)
                assert verify_witnessed(add_lines(log.note(), lines), policy, ORIGIN) == log.checkpoint()
            (newest,) = cosigners.newest(ORIGIN)
            assert isinstance(newest, Shows)
            assert newest.checkpoint == log.checkpoint()
        fork.grow(log.size - fork.size, "false")
        with WitnessCosigners(policy) as cosigners, pytest.raises(SplitView):
            collect(cosigners, fork)
        fork.grow(7, "false")
        with WitnessCosigners(policy) as cosigners, pytest.raises(SplitView):
            collect(cosigners, fork)
        stranger = Log(signer=type(log.signer)("unknown.example", log.signer._key), entries=log.entries)
        with WitnessCosigners(policy, told=outcomes.append) as cosigners:
            assert collect(cosigners, stranger) == []
    refused = outcomes[-1]
    assert isinstance(refused, RefusedBy)
    assert refused.status == 404
