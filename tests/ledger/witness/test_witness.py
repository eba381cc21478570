"""The witness: it cosigns what extends what it cosigned, remembers it first, and refuses everything else."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger import NoteError, WitnessStateError
from ledger.log.algorithms.timestamp import cosigned_at
from ledger.log.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from ledger.log.key_file import write_key
from ledger.log.note import add_lines, open_note, split_note
from ledger.merkle import EMPTY_ROOT
from ledger.witness.protocol import Request, format_request, origin_hash
from ledger.witness.state import MOST_UNPROVEN, WitnessState, create_state
from ledger.witness.witness import Refused, Witness
from tests.ledger.witness.house import NAME, ORIGIN, START, Clock, Folder, Log, new_log


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return new_log(tmp_path).grow(5)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    (tmp_path / "witness").mkdir()
    return Folder(directory=tmp_path / "witness").found()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def opened(folder: Folder, log: Log, clock: Clock) -> Iterator[tuple[Witness, WitnessState]]:
    with folder.open(log.signer.verifier, clock=clock) as both:
        yield both


def refusal(witness: Witness, body: bytes) -> Refused:
    with pytest.raises(Refused) as refused:
        witness.add_checkpoint(body)
    return refused.value


def test_a_checkpoint_is_cosigned_with_every_key_and_remembered(
    opened: tuple[Witness, WitnessState], folder: Folder, log: Log, clock: Clock
) -> None:
    witness, state = opened
    lines = witness.add_checkpoint(log.request(0))
    keys = [one.verifier for one in folder.cosigners(clock)]
    note = add_lines(log.note(), lines)
    for key in keys:
        assert open_note(note, [key]).text == log.checkpoint().text()
    assert {cosigned_at(line) for line in lines} == {int(START.timestamp())}
    newest = state.newest(ORIGIN)
    assert newest is not None
    assert (newest.size, newest.root, newest.note) == (5, log.checkpoint().root, note)
    assert witness.checkpoint(origin_hash(ORIGIN)) == note


def test_growth_is_cosigned_and_the_same_checkpoint_again_with_a_new_date(
    opened: tuple[Witness, WitnessState], log: Log, clock: Clock
) -> None:
    witness, _ = opened
    witness.add_checkpoint(log.request(0))
    for count in (1, 2, 3, 7, 40):
        old = log.size
        witness.add_checkpoint(log.grow(count).request(old))
    clock.at += timedelta(minutes=5)
    again = witness.add_checkpoint(log.request(log.size))
    assert {cosigned_at(line) for line in again} == {int((START + timedelta(minutes=5)).timestamp())}


def test_a_fork_is_refused_and_kept_as_evidence(opened: tuple[Witness, WitnessState], log: Log) -> None:
    witness, state = opened
    fork = log.copy()
    witness.add_checkpoint(log.grow(3, "true").request(0))
    fork.grow(3, "false")
    assert refusal(witness, fork.request(8)).status == 422
    assert refusal(witness, fork.request(5)).status == 409
    fork.grow(4, "false")
    assert refusal(witness, fork.request(8)).status == 422
    newest = state.newest(ORIGIN)
    assert newest is not None
    assert newest.root == log.checkpoint().root
    (kept,) = state.evidence()
    # Two notes of one size, both signed by the log, with different roots: that is the proof.
    refused = open_checkpoint(kept.note, [log.signer.verifier], ORIGIN)
    cosigned = open_checkpoint(kept.known, [log.signer.verifier], ORIGIN)
    assert (refused, cosigned) == (fork.checkpoint(8), log.checkpoint(8))
    assert state.unproven() == {ORIGIN: 1}


def test_nobody_but_the_log_can_make_evidence_against_it(opened: tuple[Witness, WitnessState], log: Log) -> None:
    witness, state = opened
    witness.add_checkpoint(log.request(0))
    published = [log.grow(1).note() for _ in range(20)]
    for note in published:
        for proof in ((), (bytes(32),)):
            assert refusal(witness, format_request(Request(old=5, proof=proof, note=note))).status == 422
    assert refusal(witness, format_request(Request(old=5, proof=(bytes(32),), note=log.note(5)))).status == 422
    witness.add_checkpoint(log.request(5))
    assert state.evidence() == []
    assert state.unproven() == {ORIGIN: 41}


def test_what_proves_nothing_crowds_out_no_evidence_and_is_counted_up_to_a_bound(
    opened: tuple[Witness, WitnessState], log: Log
) -> None:
    witness, state = opened
    witness.add_checkpoint(log.request(0))
    fork = log.copy()
    fork.entries[0] = "false"
    body = format_request(Request(old=5, proof=(bytes(32),), note=log.grow(1).note()))
    for _ in range(MOST_UNPROVEN + 5):
        assert refusal(witness, body).status == 422
    assert state.unproven() == {ORIGIN: MOST_UNPROVEN}
    assert refusal(witness, fork.request(5)).status == 422
    (kept,) = state.evidence()
    assert kept.note == fork.note()


def test_a_memory_of_the_version_before_keeps_what_proves_itself_and_counts_the_rest(folder: Folder, log: Log) -> None:
    fork = log.copy()
    fork.entries[0] = "false"
    with folder.open(log.signer.verifier) as (witness, _):
        witness.add_checkpoint(log.request(0))
        refusal(witness, fork.request(5))
    connection = sqlite3.connect(folder.directory / "state.sqlite3")
    row = connection.execute("SELECT origin, size, root, note, known, reason, at FROM evidence").fetchone()
    with connection:
        for size, root in ((9, row[2]), (5, log.checkpoint().root)):
            connection.execute("INSERT INTO evidence VALUES (?, ?, ?, ?, ?, ?, ?)", (row[0], size, root, *row[3:]))
        connection.execute("DROP TABLE unproven")
        connection.execute("PRAGMA user_version=1")
    connection.close()
    for _ in range(2):
        with folder.open(log.signer.verifier) as (witness, state):
            assert [(one.size, one.root) for one in state.evidence()] == [(5, fork.checkpoint().root)]
            assert state.unproven() == {ORIGIN: 2}
            assert refusal(witness, log.copy().grow(1).request(3)).size == 5


def test_evidence_of_the_same_fork_is_kept_once_and_honest_mistakes_are_none(
    opened: tuple[Witness, WitnessState], log: Log
) -> None:
    witness, state = opened
    fork = log.copy().grow(1, "false")
    witness.add_checkpoint(log.grow(1, "true").request(0))
    for old in (0, 3, 6, 6):
        refusal(witness, fork.request(old))
    assert len(state.evidence()) == 1
    assert refusal(witness, log.grow(1).request(0)).status == 409
    assert len(state.evidence()) == 1


def test_a_shrunken_log_is_refused(opened: tuple[Witness, WitnessState], log: Log) -> None:
    witness, state = opened
    witness.add_checkpoint(log.request(0))
    for old, size in ((0, 3), (3, 3), (0, 0), (2, 4)):
        refused = refusal(witness, log.request(old, size))
        assert (refused.status, refused.size) == (409, 5)
    assert refusal(witness, log.request(5, 4)).status == 400
    newest = state.newest(ORIGIN)
    assert newest is not None
    assert newest.size == 5


def test_growth_without_a_good_proof_is_refused(opened: tuple[Witness, WitnessState], log: Log) -> None:
    witness, _ = opened
    witness.add_checkpoint(log.request(0))
    log.grow(6)
    proof, note = log.prove(5, 11), log.note()
    for bad in ((), proof[:-1], proof[1:], [*proof, bytes(32)], [bytes(32), *proof[1:]], proof[::-1], log.prove(4, 11)):
        assert refusal(witness, format_request(Request(old=5, proof=tuple(bad), note=note))).status == 422
    witness.add_checkpoint(format_request(Request(old=5, proof=tuple(proof), note=note)))
    assert refusal(witness, format_request(Request(old=11, proof=(bytes(32),), note=note))).status == 422


def test_a_first_checkpoint_takes_no_proof_and_an_empty_log_has_one_root(
    opened: tuple[Witness, WitnessState], log: Log
) -> None:
    witness, _ = opened
    assert refusal(witness, format_request(Request(old=0, proof=(bytes(32),), note=log.note()))).status == 422
    other = sign_checkpoint(Checkpoint(origin=ORIGIN, size=0, root=bytes(32)), [log.signer])
    assert refusal(witness, format_request(Request(old=0, proof=(), note=other))).status == 422
    empty = sign_checkpoint(Checkpoint(origin=ORIGIN, size=0, root=EMPTY_ROOT), [log.signer])
    witness.add_checkpoint(format_request(Request(old=0, proof=(), note=empty)))
    witness.add_checkpoint(log.request(0))


def test_an_unknown_log_is_refused(opened: tuple[Witness, WitnessState], tmp_path: Path) -> None:
    witness, state = opened
    assert refusal(witness, new_log(tmp_path, "log.example/b").grow(1).request(0)).status == 404
    assert state.all() == []
    for name in (origin_hash(ORIGIN), origin_hash("log.example/b"), "", "../x", ORIGIN):
        with pytest.raises(Refused) as refused:
            witness.checkpoint(name)
        assert refused.value.status == 404


def test_a_missing_or_bad_signature_is_refused(opened: tuple[Witness, WitnessState], log: Log, tmp_path: Path) -> None:
    witness, state = opened
    stranger = Log(signer=new_log(tmp_path, "elsewhere.example").signer, entries=log.entries)
    unsigned = sign_checkpoint(log.checkpoint(), [stranger.signer])
    text, (line,) = split_note(log.note())
    forged = f"{text}\n{line[:-8]}AAAAAAA=\n".encode()
    beside = f"{text}\n{line}\n{line[:-8]}AAAAAAA=\n".encode()
    for note in (unsigned, forged, beside):
        assert refusal(witness, format_request(Request(old=0, proof=(), note=note))).status == 403
    assert state.all() == []


def test_lines_of_strangers_are_ignored_and_not_passed_on(
    opened: tuple[Witness, WitnessState], log: Log, tmp_path: Path
) -> None:
    witness, state = opened
    stranger = new_log(tmp_path, "elsewhere.example").signer
    note = sign_checkpoint(log.checkpoint(), [stranger, log.signer])
    witness.add_checkpoint(format_request(Request(old=0, proof=(), note=note)))
    newest = state.newest(ORIGIN)
    assert newest is not None
    assert "elsewhere.example" not in newest.note.decode()


def test_a_log_may_sign_with_any_of_its_keys(folder: Folder, log: Log, tmp_path: Path) -> None:
    further = write_key(tmp_path / "further.key", ORIGIN, "ml-dsa-44", now=Clock())
    with folder.open(log.signer.verifier, further.verifier) as (witness, _):
        note = sign_checkpoint(log.checkpoint(), [further])
        witness.add_checkpoint(format_request(Request(old=0, proof=(), note=note)))
        witness.add_checkpoint(log.request(5))


@pytest.mark.parametrize(
    "note",
    [
        b"",
        b"\n",
        b"x\n",
        b"log.example/a\n5\n\n",
        b"log.example/a\n05\nAAAA\n\n\xe2\x80\x94 a AAAAAAAA\n",
        b"\xff" * 99,
    ],
)
def test_what_is_no_checkpoint_is_a_bad_request(opened: tuple[Witness, WitnessState], note: bytes) -> None:
    assert refusal(opened[0], b"old 0\n\n" + note).status == 400


def test_every_bit_of_a_request_counts(opened: tuple[Witness, WitnessState], log: Log) -> None:
    witness, state = opened
    witness.add_checkpoint(log.request(0))
    body = log.grow(3).request(5)
    for position in range(8 * len(body)):
        at, bit = divmod(position, 8)
        refusal(witness, body[:at] + bytes([body[at] ^ 1 << bit]) + body[at + 1 :])
    newest = state.newest(ORIGIN)
    assert newest is not None
    assert newest.size == 5
    witness.add_checkpoint(body)


@given(st.binary(max_size=300))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_random_bytes_are_refused_and_never_crash(opened: tuple[Witness, WitnessState], junk: bytes) -> None:
    assert refusal(opened[0], junk).status == 400
    assert refusal(opened[0], b"old 0\n\n" + ORIGIN.encode() + b"\n" + junk).status in (400, 403)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 4), st.integers(-3, 3), st.integers(-2, 2)), max_size=25))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_a_log_sends_what_is_cosigned_is_one_history(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[bool, int, int, int]]
) -> None:
    home = tmp_path_factory.mktemp("w")
    logs = [new_log(home).grow(3)]
    logs.append(logs[0].copy().grow(1, "false"))
    cosigned: list[tuple[int, bytes]] = []
    with Folder(directory=home, algorithms=("ed25519",)).found().open(logs[0].signer.verifier) as (witness, state):
        for false, growth, older, smaller in steps:
            log = logs[false].grow(growth, "false" if false else "")
            newest = state.newest(ORIGIN)
            size = max(0, log.size - max(0, smaller))
            old = min(max(0, (newest.size if newest else 0) + (older if abs(older) > 2 else 0)), log.size)
            try:
                witness.add_checkpoint(log.request(old, size))
                cosigned.append((size, log.checkpoint(size).root))
            except Refused:
                continue
    assert cosigned == sorted(cosigned, key=lambda one: one[0])
    histories = [{(n, log.checkpoint(n).root) for n in range(log.size + 1)} for log in logs]
    assert any(set(cosigned) <= history for history in histories)


def test_racing_requests_never_win_both_with_different_roots(folder: Folder, log: Log) -> None:
    forks = [log.copy().grow(3, f"fork{n}-") for n in range(8)]
    with folder.open(log.signer.verifier) as (one, _), folder.open(log.signer.verifier) as (two, state):
        one.add_checkpoint(log.request(0))

        def attempt(number: int) -> int:
            try:
                (one, two)[number % 2].add_checkpoint(forks[number].request(5))
            except Refused as refused:
                return refused.status
            return 200

        with ThreadPoolExecutor(8) as pool:
            statuses = list(pool.map(attempt, range(8)))
        assert sorted(statuses) == [200] + [409] * 7
        newest = state.newest(ORIGIN)
        assert newest is not None
        assert newest.root == forks[statuses.index(200)].checkpoint().root


def test_a_clock_that_went_back_stops_the_witness_until_it_is_trusted_again(
    opened: tuple[Witness, WitnessState], log: Log, clock: Clock
) -> None:
    witness, state = opened
    witness.add_checkpoint(log.request(0))
    clock.at -= timedelta(seconds=2)
    assert refusal(witness, log.grow(1).request(5)).status == 503
    newest = state.newest(ORIGIN)
    assert newest is not None
    assert newest.size == 5
    state.trust_clock()
    witness.add_checkpoint(log.request(5))


def test_a_witness_that_cannot_sign_remembers_nothing(folder: Folder, log: Log, clock: Clock) -> None:
    class Broken:
        name, key_id = NAME, b"none"
        verifier = log.signer.verifier

        def sign(self, message: bytes) -> bytes:
            raise NoteError("the key is away")

    with folder.open(log.signer.verifier, clock=clock) as (_, state):
        witness = Witness(cosigners=[Broken()], logs=[log.signer.verifier], state=state, now=clock)
        with pytest.raises(NoteError):
            witness.add_checkpoint(log.request(0))
        assert state.all() == []


def test_a_witness_without_its_memory_does_not_start(folder: Folder, log: Log) -> None:
    (folder.directory / "state.sqlite3").unlink()
    with pytest.raises(WitnessStateError, match="forgot"), folder.open(log.signer.verifier):
        pass
    assert not (folder.directory / "state.sqlite3").exists()


def test_the_memory_belongs_to_the_keys_and_is_never_made_twice(folder: Folder, tmp_path: Path) -> None:
    path = folder.directory / "state.sqlite3"
    with pytest.raises(WitnessStateError, match="other keys"):
        WitnessState(path, [b"abcd"])
    with pytest.raises(WitnessStateError, match="exists already"):
        create_state(path, [b"abcd"])
    with pytest.raises(WitnessStateError, match="cannot be made"):
        create_state(tmp_path / "none" / "state.sqlite3", [b"abcd"])
    (tmp_path / "junk").write_bytes(b"junk" * 2000)
    with pytest.raises(WitnessStateError):
        WitnessState(tmp_path / "junk", [b"abcd"])
    sqlite3.connect(tmp_path / "empty.sqlite3").execute("CREATE TABLE x (y)").connection.close()
    with pytest.raises(WitnessStateError, match="not the state of a witness"):
        WitnessState(tmp_path / "empty.sqlite3", [b"abcd"])


def test_the_database_itself_refuses_to_go_back(folder: Folder, log: Log) -> None:
    with folder.open(log.signer.verifier) as (witness, state):
        witness.add_checkpoint(log.request(0))
        with pytest.raises(WitnessStateError), state.turn(ORIGIN) as turn:
            turn.write(4, bytes(32), b"", 0)
        with pytest.raises(WitnessStateError), state.turn(ORIGIN) as turn:
            turn.write(5, bytes(32), b"", 0)
    connection = sqlite3.connect(folder.directory / "state.sqlite3")
    with pytest.raises(sqlite3.IntegrityError, match="does not forget"):
        connection.execute("DELETE FROM log")
    connection.close()


def test_what_a_process_remembered_another_process_knows(folder: Folder, log: Log) -> None:
    with folder.open(log.signer.verifier) as (witness, _):
        witness.add_checkpoint(log.request(0))
    told = subprocess.run(
        [sys.executable, "-c", "import sqlite3, sys; print(*sqlite3.connect(sys.argv[1]).execute("
         "'SELECT size FROM log').fetchone())", str(folder.directory / "state.sqlite3")],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    assert told == "5\n"
    with folder.open(log.signer.verifier) as (witness, _):
        assert refusal(witness, log.copy().grow(1, "x").request(0)).size == 5
