"""Before a gateway serves, its witnesses are asked what its log signed before."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gateway.bootstrap.witnesses import WitnessNews
from ledger import load_signer, parse_vkey
from ledger.log.checkpoint import Checkpoint, sign_checkpoint
from ledger.witness.outcomes import Ahead, CosignedBy, Forgetful, Outcome, RefusedBy
from ledger.witness.state import WitnessState
from tests.gateway.startup.process import Place, make
from tests.gateway.startup.test_refusals import ORIGIN, refused
from tests.ledger.witness.house import Served, init, serving


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return make(tmp_path / "var")


@contextmanager
def witness(place: Place, folder: Path) -> Iterator[Served]:
    log = parse_vkey((place.house.home / "keys" / "log.pub").read_text())
    keys = init(folder, log)
    with serving(folder, keys) as served:
        name(place, served, served.url)
        yield served


def name(place: Place, served: Served, url: str) -> None:
    """Let the gateway's policy name the witness."""
    (place.house.home / "keys" / "witnesses.policy").write_text(f"witness w1 {served.ed25519.vkey} {url}\nquorum w1\n")
    if "\nwitness_policy_file" not in place.house.config.read_text("utf-8"):
        place.configure("# witness_policy_file", "witness_policy_file")
        place.configure('publish_every = "1s"', 'publish_every = "20ms"')


def let_it_cosign(served: Served, size: int) -> None:
    import httpx

    from ledger.log.checkpoint import read_checkpoint
    from ledger.witness.protocol import origin_hash

    while True:
        answer = httpx.get(f"{served.url}/{origin_hash(ORIGIN)}/checkpoint")
        if answer.status_code == 200 and read_checkpoint(answer.content).size >= size:
            return


def test_a_database_and_its_memory_restored_together_are_refused_by_what_a_witness_holds(
    place: Place, tmp_path: Path
) -> None:
    with witness(place, tmp_path / "w") as served:
        with place.running():
            backup = place.backup(tmp_path / "backup")
        seen = shutil.copy(place.seen, tmp_path / "seen")
        with place.running():
            let_it_cosign(served, 2)
        newest, newest_seen = place.backup(tmp_path / "newest"), place.seen.read_bytes()
        place.restore(backup)
        shutil.copy(seen, place.seen)

        refused(place.refusal(), "LogShrunk", "1 entries", "checkpoint of 2", "witness w1", "successor")

        place.configure("workers = 1", "workers = 2")
        ended = place.command("serve", "--config", place.house.config)
        assert ended.status == 3
        assert "witness w1" in ended.said

        place.configure("workers = 2", "workers = 1")
        place.restore(newest)
        place.seen.write_bytes(newest_seen)
        with place.running():
            assert place.size() == 3


def test_another_history_than_a_witness_holds_is_refused(place: Place, tmp_path: Path) -> None:
    backup = place.backup(tmp_path / "backup")
    with witness(place, tmp_path / "w") as served:
        with place.running():
            let_it_cosign(served, 1)
        place.restore(backup)
        place.seen.unlink()
        place.configure("\nwitness_policy_file", "\n# witness_policy_file")
        with place.running():  # nobody is asked, so nothing can be noticed
            pass
        place.seen.unlink()
        place.configure("# witness_policy_file", "witness_policy_file")
        refused(place.refusal(), "LedgerDamaged", "the first 1 entries", "witness w1")


def test_a_command_that_appends_is_refused_as_well(place: Place, tmp_path: Path) -> None:
    backup = place.backup(tmp_path / "backup")
    with witness(place, tmp_path / "w") as served:
        with place.running():
            let_it_cosign(served, 1)
        place.restore(backup)
        place.seen.unlink()
        ended = place.command("keys", "rotate", "--config", place.house.config)
        assert ended.status == 3
        assert "LogShrunk" in ended.said


def test_a_witness_that_is_away_is_named_and_does_not_hinder(place: Place, tmp_path: Path) -> None:
    with witness(place, tmp_path / "w") as served, closing(socket.create_server(("127.0.0.1", 0))) as unused:
        name(place, served, f"http://127.0.0.1:{unused.getsockname()[1]}")
        place.configure('witness_timeout = "10s"', 'witness_timeout = "200ms"')
        process = place.start()
        assert process.stdout is not None
        assert process.stdout.readline().startswith("ready ")
        process.terminate()
        _, said = process.communicate(timeout=60)
    assert process.returncode == 0
    (warned,) = [line for line in said.splitlines() if "to compare with" in line]
    assert '"witness":"w1"' in warned


def test_what_a_witness_does_instead_of_cosigning_is_logged_once_with_its_name() -> None:
    news = WitnessNews()
    cosigned = CosignedBy(witness="w1", lines=("line",))
    refused_one = RefusedBy(witness="w1", status=404, reason="status 404")
    outcomes: list[tuple[Outcome, str | None]] = [
        (cosigned, None),
        (refused_one, "RefusedBy"),
        (refused_one, None),
        (Ahead(witness="w1", size=7), "Ahead"),
        (Ahead(witness="w1", size=8), None),
        (Ahead(witness="w2", size=8), "Ahead"),
        (Forgetful(witness="w1", cosigned=8, size=0), "Forgetful"),
        (cosigned, "cosigns again"),
        (cosigned, None),
    ]
    for outcome, told in outcomes:
        with capture_logs() as logged:
            news(outcome)
        if told is None:
            assert logged == []
            continue
        (line,) = logged
        assert line["witness"] == outcome.witness
        assert told in (line.get("outcome"), line["event"].removeprefix("a witness "))


def test_a_witness_that_shows_what_the_log_did_not_sign_does_not_hinder(place: Place, tmp_path: Path) -> None:
    with witness(place, tmp_path / "w") as served:
        stranger = load_signer(tmp_path / "w" / "ed25519.key", ORIGIN)
        note = sign_checkpoint(Checkpoint(origin=ORIGIN, size=1000, root=bytes(32)), [stranger])
        memory = WitnessState(tmp_path / "w" / "state.sqlite3", [key.key_id for key in served.keys])
        with closing(memory), memory.turn(ORIGIN) as turn:
            turn.write(1000, bytes(32), note, 0)
        with place.running():
            assert place.size() == 1
