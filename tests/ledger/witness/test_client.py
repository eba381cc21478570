"""The log's side: cosignatures are collected, judged before they are believed, and a fork is told loudly."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from gateway.pki import Authority, write_pair
from ledger import KeyHistory, Ledger, LedgerUnavailable, NoteError, PolicyError, SplitView
from ledger.log.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from ledger.log.key_file import KeyedSigner, write_cosigner_key
from ledger.log.note import add_lines, format_line, split_note
from ledger.log.vkey import PublicKey
from ledger.witness.client import WitnessCosigners
from ledger.witness.outcomes import (
    Ahead,
    Contradicts,
    CosignedBy,
    Forgetful,
    Outcome,
    RefusedBy,
    Shows,
    Unproven,
    Unreachable,
)
from ledger.witness.policy import Policy, verify_witnessed
from ledger.witness.policy_file import parse_policy
from tests.ledger.house import ORIGIN as HOUSE_ORIGIN
from tests.ledger.house import House, build, submission
from tests.ledger.witness.house import NAME, ORIGIN, Clock, Log, Served, chengxin, fails, init, new_log, serving, stop

QUICK = timedelta(seconds=5)


def policy_of(log: PublicKey, *witnesses: tuple[PublicKey, str], needed: int | None = None) -> Policy:
    text = f"log {log.vkey}\n"
    for number, (key, url) in enumerate(witnesses, 1):
        text += f"witness w{number} {key.vkey} {url}\n"
    names = " ".join(f"w{number}" for number in range(1, len(witnesses) + 1))
    return parse_policy(f"{text}group g {needed or len(witnesses)} {names}\nquorum g\n".encode())


@contextmanager
def asking(policy: Policy, **more: object) -> Iterator[tuple[WitnessCosigners, list[Outcome]]]:
    outcomes: list[Outcome] = []
    options: dict[str, object] = {"timeout": QUICK, **more}
    with WitnessCosigners(policy, told=outcomes.append, **options) as cosigners:  # type: ignore[arg-type]
        yield cosigners, outcomes


def collect(cosigners: WitnessCosigners, log: Log) -> list[str]:
    return cosigners.collect(log.note(), log.size, log.prove)


def test_every_key_of_a_witness_cosigns_and_the_result_satisfies_an_auditor(served: Served, log: Log) -> None:
    policy = policy_of(log.signer.verifier, (served.ed25519, served.url), (served.mldsa, served.url + "/"))
    with asking(policy) as (cosigners, _):
        for growth in (0, 1, 2, 50):
            lines = collect(cosigners, log.grow(growth))
            assert len(lines) == 2
            assert cosigners.satisfied(lines)
            assert not cosigners.satisfied(lines[:1])
            assert verify_witnessed(add_lines(log.note(), lines), policy, ORIGIN) == log.checkpoint()
        assert cosigners.sizes() == {"w1": log.size, "w2": log.size}


def test_a_restarted_client_learns_where_the_witness_is(served: Served, log: Log) -> None:
    policy = policy_of(log.signer.verifier, (served.ed25519, served.url))
    for growth in (0, 3, 0):
        with asking(policy) as (cosigners, outcomes):
            assert len(collect(cosigners, log.grow(growth))) == 1
            assert [type(one) for one in outcomes] == [CosignedBy]


def test_a_missing_witness_does_not_hinder_the_others_and_k_of_n_may_do(served: Served, log: Log) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as unused:
        dead = f"http://127.0.0.1:{unused.getsockname()[1]}"
    policy = policy_of(log.signer.verifier, (served.ed25519, served.url), (served.mldsa, dead), needed=1)
    with asking(policy) as (cosigners, outcomes):
        assert cosigners.satisfied(collect(cosigners, log))
    assert [type(one) for one in outcomes] == [CosignedBy, Unreachable]
    everybody = policy_of(log.signer.verifier, (served.ed25519, served.url), (served.mldsa, dead))
    with asking(everybody) as (cosigners, _):
        assert not cosigners.satisfied(collect(cosigners, log))


def test_a_witness_that_stops_and_comes_back_is_asked_again(tmp_path: Path, log: Log) -> None:
    keys = init(tmp_path / "w", log.signer.verifier)
    config = tmp_path / "w" / "witness.toml"
    with serving(tmp_path / "w", keys) as first:
        port = first.url.rsplit(":", 1)[1]
        config.write_text(config.read_text().replace('"127.0.0.1:0"', f'"127.0.0.1:{port}"'))
        with asking(policy_of(log.signer.verifier, (keys[0], first.url))) as (cosigners, outcomes):
            assert len(collect(cosigners, log)) == 1
            stop(first.process)
            assert collect(cosigners, log.grow(2)) == []
            with serving(tmp_path / "w", keys):
                assert len(collect(cosigners, log.grow(2))) == 1
    assert [type(one) for one in outcomes] == [CosignedBy, Unreachable, CosignedBy]


def test_a_witness_that_does_not_know_the_log_or_its_key_refuses(served: Served, log: Log, tmp_path: Path) -> None:
    other = new_log(tmp_path, "log.example/b").grow(1)
    impostor = Log(signer=type(log.signer)(ORIGIN, other.signer._key), entries=log.entries)
    for signer, status in ((other, 404), (impostor, 403)):
        with asking(policy_of(signer.signer.verifier, (served.ed25519, served.url))) as (cosigners, outcomes):
            assert collect(cosigners, signer) == []
        (outcome,) = outcomes
        assert isinstance(outcome, RefusedBy)
        assert outcome.status == status


# A real ledger that forks, shrinks, and is caught.


def record(house: House, count: int) -> None:
    with house.open() as ledger:
        for _ in range(count):
            ledger.append_blocking(submission())


def copy_of(house: House, directory: Path) -> House:
    """The same ledger elsewhere, as a restored backup or a second operator would have it."""
    directory.mkdir()
    for name in ("log.pem", "master.keys", "ledger.db"):
        shutil.copy2(house.directory / name, directory / name)
    return House(
        url=f"sqlite:///{directory}/ledger.db", signer=house.signer, master_keys=house.master_keys, directory=directory
    )


def cosign(cosigners: WitnessCosigners, ledger: Ledger) -> list[str]:
    return cosigners.collect(ledger.checkpoint(), ledger.size(), ledger.consistency)


@pytest.fixture
def house(tmp_path: Path) -> House:
    (tmp_path / "house").mkdir()
    return build(f"sqlite:///{tmp_path}/house/ledger.db", tmp_path / "house")


@pytest.fixture
def guarded(tmp_path: Path, house: House) -> Iterator[tuple[Served, Policy]]:
    keys = init(tmp_path / "guard", house.signer.verifier)
    with serving(tmp_path / "guard", keys) as witness:
        yield witness, policy_of(house.signer.verifier, (keys[0], witness.url))


def test_a_forked_copy_of_the_ledger_is_caught(guarded: tuple[Served, Policy], house: House, tmp_path: Path) -> None:
    _, policy = guarded
    record(house, 3)
    with asking(policy) as (cosigners, _), house.open() as ledger:
        assert cosigners.satisfied(cosign(cosigners, ledger))
    copy = copy_of(house, tmp_path / "copy")
    record(house, 2)
    record(copy, 2)
    with asking(policy) as (cosigners, _), house.open() as ledger:
        assert cosigners.satisfied(cosign(cosigners, ledger))
    with asking(policy) as (cosigners, _), copy.open() as ledger:
        for _ in range(2):
            with pytest.raises(SplitView, match="SPLIT VIEW") as caught:
                cosign(cosigners, ledger)
            assert list(caught.value.witnesses) == ["w1"]
    record(copy, 2)
    with asking(policy) as (cosigners, _), copy.open() as ledger, pytest.raises(SplitView):
        cosign(cosigners, ledger)
    with asking(policy) as (cosigners, _), house.open() as ledger:
        assert cosigners.satisfied(cosign(cosigners, ledger))


def test_a_fork_is_caught_also_by_a_client_that_was_not_restarted(
    guarded: tuple[Served, Policy], house: House, tmp_path: Path
) -> None:
    _, policy = guarded
    record(house, 2)
    copy = copy_of(house, tmp_path / "copy")
    record(house, 1)
    record(copy, 3)
    with asking(policy) as (cosigners, _):
        with house.open() as ledger:
            cosign(cosigners, ledger)
        with copy.open() as ledger, pytest.raises(SplitView):
            cosign(cosigners, ledger)


def test_a_ledger_restored_from_an_old_backup_is_shown_what_it_signed(
    guarded: tuple[Served, Policy], house: House, tmp_path: Path
) -> None:
    served, policy = guarded
    record(house, 3)
    backup = copy_of(house, tmp_path / "backup")
    record(house, 2)
    with asking(policy) as (cosigners, _), house.open() as ledger:
        cosign(cosigners, ledger)
    with asking(policy) as (cosigners, _), backup.open() as ledger:
        (newest,) = cosigners.newest(HOUSE_ORIGIN)
        assert isinstance(newest, Shows)
        assert newest.checkpoint.size == 5 > ledger.size()
        for _ in range(2):
            with pytest.raises(SplitView) as caught:
                cosign(cosigners, ledger)
            assert caught.value.proofs == {"w1": newest.note}
    assert open_checkpoint(newest.note, [house.signer.verifier], HOUSE_ORIGIN).size == 5
    assert served.process.poll() is None


def test_a_publisher_that_was_overtaken_by_another_of_the_same_log_holds_no_second_history(
    guarded: tuple[Served, Policy], house: House
) -> None:
    _, policy = guarded
    record(house, 3)
    with house.open() as ledger:
        old, size = ledger.checkpoint(), ledger.size()
        ledger.append_blocking(submission())
        with asking(policy) as (cosigners, _):
            cosign(cosigners, ledger)
        with asking(policy) as (cosigners, outcomes):
            assert cosigners.collect(old, size, ledger.consistency) == []
    assert outcomes == [Ahead(witness="w1", size=4)]


def test_a_split_view_carries_the_lines_of_the_witnesses_that_agree(tmp_path: Path, log: Log) -> None:
    fork = log.copy().grow(1, "false")
    log.grow(1, "true")
    one, two = init(tmp_path / "one", log.signer.verifier), init(tmp_path / "two", log.signer.verifier, name="w/2")
    with serving(tmp_path / "one", one) as first, serving(tmp_path / "two", two) as second:
        with asking(policy_of(log.signer.verifier, (two[0], second.url))) as (cosigners, _):
            collect(cosigners, fork)
        policy = policy_of(log.signer.verifier, (one[0], first.url), (two[0], second.url), needed=1)
        with asking(policy) as (cosigners, outcomes), pytest.raises(SplitView) as caught:
            collect(cosigners, log)
    assert [type(outcome) for outcome in outcomes] == [CosignedBy, Contradicts]
    assert list(caught.value.witnesses) == ["w2"]
    assert policy.satisfied(caught.value.lines)


# Witnesses that misbehave: real HTTP servers whose answers the test writes.

Answer = Callable[[bytes, int], tuple[int, dict[str, str], bytes]]
"""The body of a request and its number, to status, headers and body."""


@contextmanager
def scripted(answer: Answer, *, shows: bytes | None = None) -> Iterator[str]:
    """A witness that answers as the test says, and shows `shows` as its newest checkpoint."""
    numbers = iter(range(10**6))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(404 if shows is None else 200)
            self.send_header("Content-Length", str(len(shows or b"")))
            self.end_headers()
            self.wfile.write(shows or b"")

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status, headers, content = answer(body, next(numbers))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def key(tmp_path: Path) -> KeyedSigner:
    return write_cosigner_key(tmp_path / "w.key", NAME, "ed25519", now=Clock())


def line_of(signer: KeyedSigner, log: Log) -> str:
    return format_line(signer.name, signer.key_id, signer.sign(log.checkpoint().text().encode()))


def outcome_of(log: Log, key: KeyedSigner, answer: Answer) -> Outcome:
    with scripted(answer) as url, asking(policy_of(log.signer.verifier, (key.verifier, url))) as (cosigners, outcomes):
        with contextlib.suppress(SplitView):
            collect(cosigners, log)
        return outcomes[0]


def says(status: int, body: bytes = b"", kind: str = "text/plain") -> Answer:
    return lambda _body, _number: (status, {"Content-Type": kind}, body)


def test_a_cosignature_of_something_else_is_not_believed(log: Log, key: KeyedSigner, tmp_path: Path) -> None:
    other = new_log(tmp_path, "log.example/b").grow(5)
    stranger = write_cosigner_key(tmp_path / "s.key", NAME, "ed25519", now=Clock())
    good = line_of(key, log)
    for body in (
        line_of(key, other) + "\n",
        line_of(stranger, log) + "\n",
        good,
        good + "\n" + line_of(key, log.copy().grow(1)) + "\n",
        "",
        "\n",
        split_note(log.note())[1][0] + "\n",
        good[:-6] + "AAAA==\n",
        "<html>login</html>\n",
    ):
        outcome = outcome_of(log, key, says(200, body.encode()))
        assert isinstance(outcome, RefusedBy), body
        assert "not in order" in outcome.reason
    with_stranger = f"{line_of(stranger, log)}\n{good}\n".encode()
    assert outcome_of(log, key, says(200, with_stranger)) == CosignedBy(witness="w1", lines=(good,))


def test_an_undated_cosignature_is_not_believed(log: Log, tmp_path: Path) -> None:
    def epoch() -> datetime:
        return datetime.fromtimestamp(0, UTC)

    key = write_cosigner_key(tmp_path / "pq.key", NAME, "ml-dsa-44", now=epoch)
    assert isinstance(outcome_of(log, key, says(200, (line_of(key, log) + "\n").encode())), RefusedBy)


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, RefusedBy), (403, RefusedBy), (404, RefusedBy), (301, RefusedBy), (429, Unreachable), (500, Unreachable),
     (503, Unreachable), (408, Unreachable), (422, RefusedBy)],
)  # fmt: skip
def test_each_status_means_one_thing(log: Log, key: KeyedSigner, status: int, kind: type) -> None:
    outcome = outcome_of(log, key, says(status, b"because\x1b[31m\nmore"))
    assert type(outcome) is kind
    assert outcome.reason == f"status {status}: because?[31m"  # type: ignore[union-attr]


def test_a_proof_that_does_not_convince_a_witness_is_a_split_view(log: Log, key: KeyedSigner) -> None:
    sizes = {0: (409, {"Content-Type": "text/x.tlog.size"}, b"3\n"), 1: (422, {}, b"no")}
    assert isinstance(outcome_of(log, key, lambda _, number: sizes[number]), Contradicts)


SIZE = {"Content-Type": "text/x.tlog.size"}


def ahead(_body: bytes, _number: int) -> tuple[int, dict[str, str], bytes]:
    return 409, SIZE, b"9\n"


def contradicting(_body: bytes, number: int) -> tuple[int, dict[str, str], bytes]:
    return (409, SIZE, b"5\n") if number == 0 else (422, {}, b"no")


def test_a_witness_that_only_says_that_it_holds_another_history_proves_nothing(
    log: Log, key: KeyedSigner, tmp_path: Path
) -> None:
    stranger = Log(signer=new_log(tmp_path, "elsewhere.example").signer, entries=log.entries)
    fork = log.copy().grow(4, "false")
    unsigned = sign_checkpoint(fork.checkpoint(), [stranger.signer])
    forged = fork.note()[:-8] + b"AAAAAA=\n"
    cosigned = sign_checkpoint(fork.checkpoint(), [key])
    elsewhere = new_log(tmp_path, "log.example/b").grow(9).note()
    ours = log.note(3)
    for shown in (None, b"", b"junk", unsigned, forged, cosigned, elsewhere, ours):
        for answer, kind in ((ahead, Ahead), (contradicting, Contradicts)):
            with (
                scripted(answer, shows=shown) as url,
                asking(policy_of(log.signer.verifier, (key.verifier, url))) as (cosigners, outcomes),
                contextlib.suppress(SplitView),
            ):
                collect(cosigners, log)
            assert [type(one) for one in outcomes] == [kind], shown
            assert getattr(outcomes[0], "proof", None) is None


def test_what_the_log_signed_proves_a_second_history_whoever_shows_it(log: Log, key: KeyedSigner) -> None:
    fork = log.copy()
    fork.entries[-1] = "false"
    larger, same, smaller = fork.copy().grow(4).note(), fork.note(), log.copy()
    smaller.entries[0] = "false"
    longer = log.copy().grow(4).note()
    for shown in (larger, same, smaller.note(2), longer):
        for answer in (ahead, contradicting):
            with (
                scripted(answer, shows=shown) as url,
                asking(policy_of(log.signer.verifier, (key.verifier, url))) as (cosigners, outcomes),
                pytest.raises(SplitView) as caught,
            ):
                collect(cosigners, log)
            assert caught.value.proofs == {"w1": shown}
            assert outcomes == [Contradicts(witness="w1", reason=caught.value.witnesses["w1"], proof=shown)]


def test_a_key_that_may_not_sign_any_more_proves_nothing(log: Log, key: KeyedSigner, tmp_path: Path) -> None:
    thief = Log(signer=log.signer, entries=[*log.entries, "false"])
    (tmp_path / "next").mkdir()
    history = KeyHistory.beginning(new_log(tmp_path / "next").signer.verifier.vkey, ORIGIN)
    with (
        scripted(ahead, shows=thief.note()) as url,
        asking(policy_of(log.signer.verifier, (key.verifier, url)), open_ours=history.open) as (cosigners, outcomes),
    ):
        assert collect(cosigners, log) == []
        (shown,) = cosigners.newest(ORIGIN)
    assert outcomes == [Ahead(witness="w1", size=9)]
    assert isinstance(shown, RefusedBy)


def test_a_second_history_is_not_seen_in_what_we_cannot_prove_ourselves(log: Log, key: KeyedSigner) -> None:
    def broken(_old: int, _new: int) -> list[bytes]:
        raise LedgerUnavailable("the store cannot be read")

    with (
        scripted(ahead, shows=log.copy().grow(4).note()) as url,
        asking(policy_of(log.signer.verifier, (key.verifier, url))) as (cosigners, outcomes),
    ):
        assert cosigners.collect(log.note(), log.size, broken) == []
    assert outcomes == [Ahead(witness="w1", size=9)]


def test_each_witness_answers_what_it_shows_or_why_it_does_not(served: Served, log: Log, key: KeyedSigner) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as unused:
        dead = f"http://127.0.0.1:{unused.getsockname()[1]}"
    other = sign_checkpoint(Checkpoint(origin="log.example/b", size=5, root=bytes(32)), [log.signer])
    with scripted(ahead, shows=other) as lying:
        policy = policy_of(
            log.signer.verifier, (served.ed25519, served.url), (key.verifier, dead), (served.mldsa, lying), needed=1
        )
        with asking(policy) as (cosigners, _):
            assert [type(one) for one in cosigners.newest(ORIGIN)] == [RefusedBy, Unreachable, RefusedBy]
            collect(cosigners, log)
            first, *others = cosigners.newest(ORIGIN)
    assert isinstance(first, Shows)
    assert (first.witness, first.checkpoint) == ("w1", log.checkpoint())
    assert [type(one) for one in others] == [Unreachable, RefusedBy]


def test_another_root_for_our_size_is_a_split_view_also_by_the_older_protocol(log: Log, key: KeyedSigner) -> None:
    size = {"Content-Type": "text/x.tlog.size"}
    for second in ((409, size, b"5\n"), (409, {"Content-Type": "text/plain"}, b"root mismatch\n"), (422, {}, b"no")):
        answers = {0: (409, size, b"5\n"), 1: second}
        outcome = outcome_of(log, key, lambda _, number, answers=answers: answers[number])  # type: ignore[misc]
        assert isinstance(outcome, Contradicts)


@pytest.mark.parametrize(
    ("kind", "body"),
    [("text/x.tlog.size", b"5"), ("text/x.tlog.size", b"05\n"), ("text/x.tlog.size", b"x\n"), ("text/plain", b"5\n"),
     ("text/x.tlog.size", b"0\n")],
)  # fmt: skip
def test_a_conflict_that_tells_no_other_size_is_not_in_order(
    log: Log, key: KeyedSigner, kind: str, body: bytes
) -> None:
    assert isinstance(outcome_of(log, key, says(409, body, kind)), RefusedBy)


def test_a_witness_whose_size_never_rests_is_given_up(log: Log, key: KeyedSigner) -> None:
    seen: list[bytes] = []

    def answer(body: bytes, number: int) -> tuple[int, dict[str, str], bytes]:
        seen.append(body.split(b"\n")[0])
        return 409, {"Content-Type": "text/x.tlog.size"}, b"%d\n" % (number % 4 + 1)

    assert isinstance(outcome_of(log, key, answer), RefusedBy)
    assert seen == [b"old 0", b"old 1", b"old 2"]


def test_a_witness_that_told_nonsense_once_is_asked_again(log: Log, key: KeyedSigner) -> None:
    def answer(_: bytes, number: int) -> tuple[int, dict[str, str], bytes]:
        if number == 0:
            return 409, {"Content-Type": "text/x.tlog.size"}, b"9223372036854775807\n"
        return (
            (409, {"Content-Type": "text/x.tlog.size"}, b"0\n") if number == 1 else (200, {}, b"%s\n" % good.encode())
        )

    good = line_of(key, log)
    with scripted(answer) as url, asking(policy_of(log.signer.verifier, (key.verifier, url))) as (cosigners, outcomes):
        assert collect(cosigners, log) == []
        assert isinstance(outcomes[0], Ahead)
        assert collect(cosigners, log) == [good]


def test_a_witness_that_forgot_what_it_cosigned_is_not_believed_any_more(log: Log, key: KeyedSigner) -> None:
    answers = {0: (200, {}, line_of(key, log).encode() + b"\n"), 1: (409, {"Content-Type": "text/x.tlog.size"}, b"0\n")}
    with (
        scripted(lambda _, number: answers[min(number, 1)]) as url,
        asking(policy_of(log.signer.verifier, (key.verifier, url))) as (cosigners, outcomes),
    ):
        assert len(collect(cosigners, log)) == 1
        for _ in range(2):
            assert collect(cosigners, log.grow(1)) == []
    assert outcomes[1:] == [Forgetful(witness="w1", cosigned=5, size=0)] * 2


def test_an_answer_that_is_too_long_or_packed_is_refused(log: Log, key: KeyedSigner) -> None:
    outcome = outcome_of(log, key, says(200, b"x" * (1 << 20)))
    assert outcome == Unreachable(witness="w1", reason="DecodingError")
    packed: Answer = lambda _body, _number: (200, {"Content-Encoding": "gzip"}, b"\x1f\x8b junk")  # noqa: E731
    assert isinstance(outcome_of(log, key, packed), RefusedBy)


def test_a_proof_we_cannot_make_is_our_own_fault(log: Log, key: KeyedSigner) -> None:
    def broken(_old: int, _new: int) -> list[bytes]:
        raise LedgerUnavailable("the store cannot be read")

    with (
        scripted(says(409, b"3\n", "text/x.tlog.size")) as url,
        asking(policy_of(log.signer.verifier, (key.verifier, url))) as (cosigners, outcomes),
    ):
        assert cosigners.collect(log.note(), log.size, broken) == []
    assert outcomes == [Unproven(witness="w1", reason="the store cannot be read")]


def test_a_checkpoint_of_another_size_is_not_sent(log: Log, key: KeyedSigner) -> None:
    with asking(policy_of(log.signer.verifier, (key.verifier, "http://127.0.0.1:1"))) as (cosigners, outcomes):
        with pytest.raises(NoteError):
            cosigners.collect(log.note(), log.size + 1, log.prove)
        with pytest.raises(NoteError):
            cosigners.collect(b"junk", 5, log.prove)
    assert outcomes == []


@contextmanager
def dripping(finish: threading.Event) -> Iterator[str]:
    """Accepts, and sends an endless answer a byte at a time, each within any read timeout."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with contextlib.suppress(OSError):
            connection, _ = server.accept()
            with closing(connection):
                connection.recv(1 << 16)
                connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
                while not finish.wait(0.05):
                    connection.sendall(b"x")

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
    finally:
        finish.set()
        server.close()
        thread.join()


def test_a_witness_that_drips_holds_up_nobody_and_is_not_asked_twice_at_once(
    served: Served, log: Log, key: KeyedSigner
) -> None:
    finish = threading.Event()
    with dripping(finish) as url:
        policy = policy_of(log.signer.verifier, (served.ed25519, served.url), (key.verifier, url), needed=1)
        with asking(policy) as (cosigners, outcomes):
            for _ in range(3):
                began = time.monotonic()
                assert cosigners.satisfied(collect(cosigners, log.grow(1)))
                assert time.monotonic() - began < QUICK.total_seconds() / 2
    assert [one.witness for one in outcomes] == ["w1"] * 3


@contextmanager
def silent() -> Iterator[tuple[str, list[socket.socket]]]:
    """Accepts, and never answers; gives the connections that were made."""
    server = socket.create_server(("127.0.0.1", 0))
    accepted: list[socket.socket] = []

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                accepted.append(server.accept()[0])

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.getsockname()[1]}", accepted
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join()
        for connection in accepted:
            connection.close()


def test_a_witness_that_let_its_time_run_out_rests_unless_it_is_needed(
    served: Served, log: Log, key: KeyedSigner
) -> None:
    now = [0.0]
    with silent() as (url, accepted):
        spared = policy_of(log.signer.verifier, (served.ed25519, served.url), (key.verifier, url), needed=1)
        with asking(spared, timeout=timedelta(seconds=0.3), clock=lambda: now[0]) as (cosigners, outcomes):
            for _ in range(4):
                assert cosigners.satisfied(collect(cosigners, log.grow(1)))
                time.sleep(0.3)
            assert len(accepted) == 1
            assert [one.slow for one in outcomes if isinstance(one, Unreachable)] == [True]
            now[0] = 31.0
            assert cosigners.satisfied(collect(cosigners, log.grow(1)))
        while len(accepted) < 2:
            time.sleep(0.01)
        needed = policy_of(log.signer.verifier, (served.ed25519, served.url), (key.verifier, url))
        with asking(needed, timeout=timedelta(seconds=0.3)) as (cosigners, outcomes):
            for _ in range(2):
                assert not cosigners.satisfied(collect(cosigners, log))
                time.sleep(0.1)
        assert len(accepted) == 4
        assert [type(one) for one in outcomes if one.witness == "w2"] == [Unreachable] * 2


def test_what_a_late_witness_says_is_heard_in_the_next_round(served: Served, log: Log, key: KeyedSigner) -> None:
    fork = log.copy()
    fork.entries[-1] = "false"
    go_on = threading.Event()

    def slow(_body: bytes, number: int) -> tuple[int, dict[str, str], bytes]:
        go_on.wait()
        return contradicting(b"", number)

    with scripted(slow, shows=fork.note()) as url:
        policy = policy_of(log.signer.verifier, (served.ed25519, served.url), (key.verifier, url), needed=1)
        with asking(policy) as (cosigners, outcomes):
            assert cosigners.satisfied(collect(cosigners, log))
            assert [type(one) for one in outcomes] == [CosignedBy]
            go_on.set()
            while not cosigners._calls["w2"].answer.done():
                time.sleep(0.01)
            with pytest.raises(SplitView) as caught:
                collect(cosigners, log.grow(1))
    assert caught.value.proofs == {"w2": fork.note()}
    assert cosigners.satisfied(caught.value.lines)


def test_a_line_that_comes_after_the_time_counts_when_the_same_checkpoint_is_asked_for_again(
    log: Log, key: KeyedSigner
) -> None:
    go_on = threading.Event()
    calls: list[int] = []

    def slow(_body: bytes, number: int) -> tuple[int, dict[str, str], bytes]:
        calls.append(number)
        go_on.wait()
        return 200, {}, good.encode() + b"\n"

    good = line_of(key, log)
    with scripted(slow) as url:
        policy = policy_of(log.signer.verifier, (key.verifier, url))
        with asking(policy, timeout=timedelta(seconds=1)) as (cosigners, outcomes):
            threading.Timer(0.2, go_on.set).start()
            cosigners._patience = 0.05
            assert collect(cosigners, log) == []
            cosigners._patience = 1.0
            assert collect(cosigners, log) == [good]
    assert calls == [0]
    assert [type(one) for one in outcomes] == [Unreachable, CosignedBy]


@pytest.mark.parametrize("url", ["ftp://w.example/", "w.example", "http://", "", "http://xn--/", "http://w:99999/"])
def test_an_address_that_is_none_is_refused(log: Log, key: KeyedSigner, url: str) -> None:
    policy = parse_policy(f"witness w1 {key.verifier.vkey}\nquorum w1\n".encode())
    with pytest.raises(PolicyError):
        WitnessCosigners(policy, {"w1": url})


def test_a_quorum_that_cannot_be_reached_is_refused_at_the_start(log: Log, key: KeyedSigner) -> None:
    policy = parse_policy(f"witness w1 {key.verifier.vkey}\nquorum w1\n".encode())
    with pytest.raises(PolicyError, match="cannot be reached"):
        WitnessCosigners(policy)
    with pytest.raises(PolicyError, match="no witness 'w2'"):
        WitnessCosigners(policy, {"w1": "http://w.example", "w2": "http://w.example"})
    nobody = parse_policy(f"witness w1 {key.verifier.vkey}\nquorum none\n".encode())
    with WitnessCosigners(nobody) as cosigners:
        assert cosigners.collect(log.note(), log.size, log.prove) == []
        assert cosigners.satisfied([])


def test_witnesses_of_a_private_authority_are_reached_over_tls(tmp_path: Path, log: Log) -> None:
    keys = init(tmp_path / "w", log.signer.verifier)
    authority = Authority.create("test", now=datetime.now(UTC), valid=timedelta(days=1))
    authority.save(tmp_path / "ca.crt", tmp_path / "ca.key")
    pair = authority.server(["127.0.0.1"], now=datetime.now(UTC), valid=timedelta(days=1))
    write_pair(*pair, tmp_path / "w" / "tls.crt", tmp_path / "w" / "tls.key")
    config = tmp_path / "w" / "witness.toml"
    text = config.read_text().replace('certificate_file = ""', 'certificate_file = "tls.crt"')
    config.write_text(text.replace('\nkey_file = ""', '\nkey_file = "tls.key"'))
    with serving(tmp_path / "w", keys) as served:
        policy = policy_of(log.signer.verifier, (keys[0], served.url.replace("http:", "https:")))
        tls = ssl.create_default_context(cafile=tmp_path / "ca.crt")
        with asking(policy, tls=tls) as (cosigners, _):
            assert len(collect(cosigners, log)) == 1
        with asking(policy) as (cosigners, outcomes):
            assert collect(cosigners, log) == []
        assert outcomes == [Unreachable(witness="w1", reason="ConnectError")]


def test_what_a_witness_shows_is_believed_by_the_signature_of_the_log_alone(
    served: Served, log: Log, key: KeyedSigner, tmp_path: Path
) -> None:
    wrong = policy_of(log.signer.verifier, (key.verifier, served.url))
    with asking(policy_of(log.signer.verifier, (served.ed25519, served.url))) as (cosigners, _):
        assert [type(one) for one in cosigners.newest(ORIGIN)] == [RefusedBy]
        collect(cosigners, log)
    with asking(wrong) as (cosigners, _):
        assert [type(one) for one in cosigners.newest(ORIGIN)] == [Shows]
    (tmp_path / "other").mkdir()
    foreign = policy_of(new_log(tmp_path / "other").signer.verifier, (served.ed25519, served.url))
    with asking(foreign) as (cosigners, _):
        assert [type(one) for one in cosigners.newest(ORIGIN)] == [RefusedBy]


def test_an_auditor_verifies_a_witnessed_receipt_offline(
    guarded: tuple[Served, Policy], house: House, tmp_path: Path
) -> None:
    served, policy = guarded
    record(house, 3)
    with asking(policy) as (cosigners, _), house.open() as ledger:
        lines = cosign(cosigners, ledger)
        plain = ledger.receipt(1)
    head, gap, note = plain.partition(b"\n\n")
    (tmp_path / "plain").write_bytes(plain)
    (tmp_path / "receipt").write_bytes(head + gap + add_lines(note, lines))
    (tmp_path / "checkpoint").write_bytes(add_lines(note, lines))
    (tmp_path / "policy").write_text(f"log {house.signer.verifier.vkey}\nwitness w {served.ed25519.vkey}\nquorum w\n")
    told = json.loads(chengxin("witness", "verify", tmp_path / "receipt", "--policy", tmp_path / "policy", "--json"))
    assert (told["origin"], told["size"], told["index"]) == (HOUSE_ORIGIN, 3, 1)
    shown = chengxin("witness", "verify", tmp_path / "checkpoint", "--policy", tmp_path / "policy")
    assert shown.startswith(f"witnessed: origin {HOUSE_ORIGIN}, size 3, root ")
    assert "do not satisfy quorum 'w'" in fails(
        "witness", "verify", tmp_path / "plain", "--policy", tmp_path / "policy"
    )
    spoilt = (tmp_path / "receipt").read_bytes().replace(b"index 1\n", b"index 0\n")
    (tmp_path / "spoilt").write_bytes(spoilt)
    assert "another root" in fails("witness", "verify", tmp_path / "spoilt", "--policy", tmp_path / "policy")
