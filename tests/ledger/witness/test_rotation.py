"""A log whose key has changed: witnesses and auditors believe each key for its own sizes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ledger import KeyHistory, KeyHistoryError, KeyNotInForce, Ledger, format_key_history, write_key, write_signing_key
from ledger.keyring.rotation import announce_key, retire_key
from ledger.log.algorithms.ed25519 import Ed25519Signer
from ledger.log.key_file import write_cosigner_key
from ledger.log.note import add_lines, format_line
from ledger.log.vkey import PublicKey
from ledger.witness.client import WitnessCosigners
from ledger.witness.policy import verify_witnessed
from ledger.witness.policy_file import parse_policy
from ledger.witness.state import WitnessState
from ledger.witness.witness import Refused, Witness
from tests.ledger.house import ORIGIN, START, House, build, submission
from tests.ledger.house import Clock as LogClock
from tests.ledger.witness.house import NAME, Clock, Folder, Log, chengxin, fails, init, serving


class Rotated:
    """A log whose first key was retired; a thief has that key, and what the log published."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.first = house.signer
        self.second = write_signing_key(house.directory / "second.pem", ORIGIN)
        self.history = KeyHistory.beginning(self.first.verifier.vkey, ORIGIN)
        with self.open(self.first) as ledger:
            ledger.append_blocking(submission())
            self.history = announce_key(ledger, self.history, self.second.verifier.vkey, now=START, entropy=os.urandom)
        self.announced = self.history
        with self.open(self.first, self.second) as ledger:
            ledger.append_blocking(submission())
            self.history = retire_key(ledger, self.history, 0, now=START, entropy=os.urandom)
        with self.open(self.second) as ledger:
            ledger.append_blocking(submission())

    @contextmanager
    def open(self, *signers: Ed25519Signer) -> Iterator[Ledger]:
        with Ledger.open(
            self.house.url, origin=ORIGIN, signer=signers[0], cosigners=signers[1:],
            verifiers=self.history.verifiers, master_keys=self.house.master_keys, now=LogClock(),
        ) as ledger:  # fmt: skip
            yield ledger


@pytest.fixture
def log(tmp_path: Path) -> Rotated:
    (tmp_path / "house").mkdir()
    return Rotated(build(f"sqlite:///{tmp_path}/house/ledger.db", tmp_path / "house"))


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    (tmp_path / "witness").mkdir()
    return Folder(directory=tmp_path / "witness").found()


def thief(log: Rotated, size: int) -> Log:
    return Log(signer=log.first, entries=[f"invented {n}" for n in range(size)])


@contextmanager
def witness(folder: Folder, log: Rotated, *histories: KeyHistory) -> Iterator[Witness]:
    cosigners = folder.cosigners(Clock())
    state = WitnessState(folder.directory / "state.sqlite3", [one.key_id for one in cosigners])
    further = write_key(folder.directory / f"further{len(histories)}.key", ORIGIN, "ml-dsa-44").verifier
    listed = [log.first.verifier, further]
    try:
        yield Witness(cosigners=cosigners, logs=listed, histories=histories, state=state, now=Clock())
    finally:
        state.close()


def test_a_witness_that_has_the_history_cosigns_for_no_thief_of_a_retired_key(folder: Folder, log: Rotated) -> None:
    retired_at = log.history.keys[0].last
    assert retired_at is not None
    beyond = thief(log, retired_at + 1)
    with witness(folder, log, log.history) as one:
        with pytest.raises(Refused) as refused:
            one.add_checkpoint(beyond.request(0))
        assert refused.value.status == 403
    with witness(folder, log) as one:  # without the history nothing tells it
        one.add_checkpoint(beyond.request(0))


def test_a_witness_follows_the_log_from_key_to_key(folder: Folder, log: Rotated) -> None:
    with log.open(log.second) as ledger:
        note, size = ledger.checkpoint(), ledger.size()
    with witness(folder, log) as one, pytest.raises(Refused):
        one.add_checkpoint(b"old 0\n\n" + note)
    with witness(folder, log, log.history) as one:
        assert len(one.add_checkpoint(b"old 0\n\n" + note)) == 2
    assert size > (log.history.keys[0].last or 0)


def test_several_keys_of_a_log_are_refused_without_their_history(tmp_path: Path, folder: Folder, log: Rotated) -> None:
    both = [log.first.verifier, log.second.verifier]
    with folder.open(log.first.verifier) as (_, state):
        more = {"cosigners": folder.cosigners(Clock()), "state": state, "now": Clock()}
        with pytest.raises(KeyHistoryError, match="several keys"):
            Witness(logs=both, **more)  # type: ignore[arg-type]
        with pytest.raises(KeyHistoryError, match="not listed"):
            Witness(logs=both[1:], histories=[log.history], **more)  # type: ignore[arg-type]
        Witness(logs=both, histories=[log.history], **more)  # type: ignore[arg-type]
    cosigner = write_cosigner_key(tmp_path / "w.key", NAME, "ed25519", now=Clock())
    policy = parse_policy(policy_of(cosigner.verifier, *both))
    with pytest.raises(KeyHistoryError):
        WitnessCosigners(policy, {"w": "http://w.example"})
    with WitnessCosigners(policy, {"w": "http://w.example"}, open_ours=log.history.open):
        pass


def policy_of(witness: PublicKey, *logs: PublicKey) -> bytes:
    listed = "".join(f"log {key.vkey}\n" for key in logs)
    return f"{listed}witness w {witness.vkey}\nquorum w\n".encode()


def test_an_auditor_believes_each_key_for_its_sizes_alone(tmp_path: Path, log: Rotated) -> None:
    cosigner = write_cosigner_key(tmp_path / "w.key", NAME, "ed25519", now=Clock())
    both = parse_policy(policy_of(cosigner.verifier, log.first.verifier, log.second.verifier))
    file = tmp_path / "policy"
    file.write_bytes(policy_of(cosigner.verifier, log.first.verifier))
    policy = parse_policy(file.read_bytes())
    (tmp_path / "log.history").write_text(format_key_history(log.history))

    def witnessed(note: bytes) -> bytes:
        text = note.rpartition(b"\n\n")[0] + b"\n"
        return add_lines(note, [format_line(cosigner.name, cosigner.key_id, cosigner.sign(text))])

    stolen = witnessed(thief(log, 50).note())
    with log.open(log.second) as ledger:
        newest = witnessed(ledger.checkpoint())
    assert verify_witnessed(newest, policy, ORIGIN, log.history).size > 1
    with pytest.raises(KeyNotInForce):
        verify_witnessed(stolen, policy, ORIGIN, log.history)
    with pytest.raises(KeyHistoryError):
        verify_witnessed(stolen, both, ORIGIN)
    for note, fine in ((newest, True), (stolen, False)):
        (tmp_path / "note").write_bytes(note)
        asked = ("witness", "verify", tmp_path / "note", "--policy", file, "--history", tmp_path / "log.history")
        assert ("witnessed" in chengxin(*asked)) if fine else ("in force" in fails(*asked))


def test_a_witness_is_given_the_history_and_never_an_older_one(tmp_path: Path, log: Rotated) -> None:
    init(tmp_path / "w", log.first.verifier)
    older, newer = tmp_path / "older", tmp_path / "newer"
    older.write_text(format_key_history(log.announced))
    newer.write_text(format_key_history(log.history))
    add = ("witness", "add-log", log.first.verifier.vkey, "--config", tmp_path / "w" / "witness.toml")
    assert "several keys" in fails(*add[:2], log.second.verifier.vkey, *add[3:])
    for history in (older, older, newer, newer):
        assert "brought up to date" in chengxin(*add, "--history", history)
    assert "does not continue" in fails(*add, "--history", older)
    (kept,) = (tmp_path / "w" / "histories").iterdir()
    assert kept.read_text() == newer.read_text()
    newer.write_text(newer.read_text()[:-9])
    fails(*add, "--history", newer)
    for place in ("http://127.0.0.1:99999/", "http://xn--/", "HTTP://127.0.0.1:1/", "ftp://x/"):
        told = fails(*add, "--history", place)
        assert "can be asked" in told or "cannot be fetched" in told


def test_a_witness_that_lists_a_later_key_first_starts_once_it_is_given_the_history(
    tmp_path: Path, log: Rotated
) -> None:
    keys = init(tmp_path / "w", log.second.verifier)
    config = ("--config", tmp_path / "w" / "witness.toml")
    history, other = tmp_path / "history", tmp_path / "other"
    history.write_text(format_key_history(log.history))
    other.write_text(format_key_history(KeyHistory.beginning(log.second.verifier.vkey, ORIGIN)))
    chengxin("witness", "add-log", log.first.verifier.vkey, *config, "--history", history)
    further = write_key(tmp_path / "further.key", ORIGIN, "ml-dsa-44").verifier
    chengxin("witness", "add-log", further.vkey, *config)
    listed = (tmp_path / "w" / "logs.vkeys").read_text()
    assert "does not continue" in fails("witness", "add-log", log.second.verifier.vkey, *config, "--history", other)
    assert (tmp_path / "w" / "logs.vkeys").read_text() == listed
    with serving(tmp_path / "w", keys):
        pass


def test_a_log_is_not_added_where_the_witness_would_not_start(tmp_path: Path, log: Rotated) -> None:
    init(tmp_path / "w", log.first.verifier)
    config = ("--config", tmp_path / "w" / "witness.toml")
    (tmp_path / "history").write_text(format_key_history(log.history))
    chengxin("witness", "add-log", log.first.verifier.vkey, *config, "--history", tmp_path / "history")
    (tmp_path / "w" / "logs.vkeys").write_text("")
    assert "not listed" in fails("witness", "add-log", log.second.verifier.vkey, *config)
    assert (tmp_path / "w" / "logs.vkeys").read_text() == ""
    chengxin("witness", "add-log", log.first.verifier.vkey, *config)
