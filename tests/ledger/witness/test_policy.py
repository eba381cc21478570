"""Trust policies: read strictly, every mistake at once; a quorum holds exactly when its rule does."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from ledger import (
    NoteError,
    PolicyError,
    QuorumMissing,
    WrongKey,
    WrongOrigin,
    write_master_key,
    write_signing_key,
)
from ledger.log.algorithms.cosignature import Ed25519Cosigner
from ledger.log.algorithms.ed25519 import Ed25519Signer
from ledger.log.algorithms.mldsa44 import MlDsa44Signer, generate_key
from ledger.log.checkpoint import Checkpoint, sign_checkpoint
from ledger.log.key_file import KeyedSigner
from ledger.log.note import split_note
from ledger.merkle import EMPTY_ROOT
from ledger.witness.policy import Policy, verify_witnessed
from ledger.witness.policy_file import load_policy, parse_policy
from tests.ledger.witness.house import Clock

ORIGIN = "log.example/a"
CLOCK = Clock()
LOG = Ed25519Signer(ORIGIN, Ed25519PrivateKey.from_private_bytes(bytes(31) + b"\x01"))
W: list[KeyedSigner] = [
    Ed25519Cosigner(f"witness.example/w{n}", Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32), now=CLOCK)
    for n in range(1, 6)
]
PQ = MlDsa44Signer("witness.example/pq", generate_key(), now=CLOCK)
CHECKPOINT = Checkpoint(origin=ORIGIN, size=0, root=EMPTY_ROOT)
DEFINED = f"log {LOG.verifier.vkey}\n" + "".join(f"witness w{n} {w.verifier.vkey}\n" for n, w in enumerate(W, 1))
TWO_LEVELS = (
    DEFINED
    + f"witness pq {PQ.verifier.vkey} https://pq.example/\n"
    + "group X 2 w1 w2 w3\ngroup Y any w4 w5\ngroup all all X Y\nquorum all\n"
)


def policy(text: str) -> Policy:
    return parse_policy(text.encode())


def note(*signers: KeyedSigner) -> bytes:
    return sign_checkpoint(CHECKPOINT, [LOG, *signers])


def lines(*signers: KeyedSigner) -> list[str]:
    return split_note(note(*signers))[1]


def test_a_quorum_of_two_levels_holds_exactly_when_its_rule_does() -> None:
    read = policy(TWO_LEVELS)
    for chosen in itertools.product([False, True], repeat=5):
        signers = [w for w, taken in zip(W, chosen, strict=True) if taken]
        expected = sum(chosen[:3]) >= 2 and any(chosen[3:])
        assert read.satisfied(lines(*signers)) is expected
        if expected:
            assert verify_witnessed(note(*signers), read, ORIGIN) == CHECKPOINT
        else:
            with pytest.raises(QuorumMissing):
                verify_witnessed(note(*signers), read, ORIGIN)


def test_one_witness_counts_once_however_often_it_signs() -> None:
    read = policy(DEFINED + "group g 2 w1 w2\nquorum g\n")
    CLOCK.at = CLOCK.at.replace(second=1)
    first = lines(W[0])[1]
    CLOCK.at = CLOCK.at.replace(second=2)
    twice = note(W[0]) + f"{first}\n".encode()
    assert len(set(split_note(twice)[1])) == 3
    with pytest.raises(QuorumMissing):
        verify_witnessed(twice, read, ORIGIN)


def test_a_single_witness_and_none_are_quorums_too() -> None:
    alone = policy(f"witness pq {PQ.verifier.vkey}\nlog {LOG.verifier.vkey}\nquorum pq\n")
    assert verify_witnessed(note(PQ), alone, ORIGIN) == CHECKPOINT
    with pytest.raises(QuorumMissing):
        verify_witnessed(note(*W), alone, ORIGIN)
    nobody = policy(DEFINED + "quorum none\n")
    assert nobody.satisfied([])
    assert verify_witnessed(note(), nobody, ORIGIN) == CHECKPOINT


def test_witnesses_alone_do_not_make_a_checkpoint_of_a_log() -> None:
    read = policy(DEFINED + "quorum w1\n")
    with pytest.raises(WrongKey):
        verify_witnessed(sign_checkpoint(CHECKPOINT, [W[0]]), read, ORIGIN)
    with pytest.raises((WrongKey, WrongOrigin)):
        verify_witnessed(note(W[0]), read, "log.example/b")


def test_a_bad_line_of_any_witness_of_the_policy_spoils_the_checkpoint() -> None:
    read = policy(DEFINED + "quorum w1\n")
    text, (first, good, other) = split_note(note(W[0], W[1]))
    bad = other[:-6] + ("AAAA==" if not other.endswith("AAAA==") else "BBBA==")
    spoilt = f"{text}\n{first}\n{good}\n{bad}\n".encode()
    with pytest.raises(NoteError):
        verify_witnessed(spoilt, read, ORIGIN)


def test_a_cosignature_without_a_date_is_refused() -> None:
    undated = MlDsa44Signer(PQ.name, PQ._key, now=lambda: Clock().at.fromtimestamp(0, Clock().at.tzinfo))
    read = policy(f"witness pq {PQ.verifier.vkey}\nlog {LOG.verifier.vkey}\nquorum pq\n")
    with pytest.raises(NoteError, match="date"):
        verify_witnessed(note(undated), read, ORIGIN)


def test_blanks_tabs_comments_and_foreign_octets_are_read_as_the_specification_says() -> None:
    vkey = W[0].verifier.vkey
    text = b"# \xe6\xb5\x8b \xff comment\n\n \t \n\twitness  K \t" + vkey.encode() + b"  https://w.example/\xc3\xbc \n"
    read = parse_policy(text + b"  group \xe2\x84\xaa any K\nquorum \xe2\x84\xaa\n")
    assert read.witnesses[0].url == "https://w.example/ü"
    assert read.satisfied(lines(W[0]))
    odd = parse_policy(text + b"group \xff\xfe any K\nquorum \xff\xfe\n")
    assert odd.satisfied(lines(W[0]))
    with pytest.raises(PolicyError, match="not defined"):
        parse_policy(text + b"group \xff\xfe any K\nquorum \xff\xfd\n")


MISTAKES = {
    "quorum w1\nwitness w1 {w1}\n": "the quorum is not defined before",
    "witness w1 {w1}\nquorum w2\n": "line 2: the quorum is not defined",
    "witness w1 {w1}\n": "no quorum line",
    "witness w1 {w1}\nquorum w1\nquorum none\n": "a quorum line already",
    "witness w1 {w1}\nquorum w1 w1\n": "a quorum line is",
    "witness w1 {w1}\nwitness w1 {w2}\nquorum w1\n": "line 2: the name stands in line 1 already",
    "witness w1 {w1}\nwitness w2 {w1}\nquorum w1\n": "the same key stands in line 1",
    "log {log}\nlog {log}\nquorum none\n": "the same key stands in line 1",
    "witness none {w1}\nquorum none\n": "'none' is taken",
    "witness w1 {w1}\ngroup none any w1\nquorum none\n": "'none' is taken",
    "witness w1 {w1}\ngroup g any none\nquorum g\n": "line 2: member 1 is not defined before",
    "witness w1 {w1}\ngroup w1 any w1\nquorum w1\n": "line 2: the name stands",
    "witness w1 {w1}\ngroup g any g\nquorum g\n": "member 1 is not defined before",
    "witness w1 {w1}\ngroup g any w1 w1\nquorum g\n": "member 2 is a member already",
    "witness w1 {w1}\ngroup g any w1\ngroup h any w1\nquorum g\n": "1 is a member already, of the group in line 2",
    "witness w1 {w1}\ngroup g all\nquorum g\n": "a group line is",
    "witness w1 {w1}\ngroup g 0 w1\nquorum g\n": "from 1 to 1",
    "witness w1 {w1}\ngroup g 2 w1\nquorum g\n": "from 1 to 1",
    "witness w1 {w1}\ngroup g 01 w1\nquorum g\n": "from 1 to 1",
    "witness w1 {w1}\ngroup g +1 w1\nquorum g\n": "from 1 to 1",
    "witness w1 {w1}\ngroup g most w1\nquorum g\n": "from 1 to 1",
    "witness w1 {log}\nquorum w1\n": "type 0x04",
    "log {w1}\nquorum none\n": "type of witnesses",
    "log a+b+c\nquorum none\n": "line 1: ",
    "log {log} u x\nquorum none\n": "a log line is",
    "witness {w1}\nquorum none\n": "a witness line is",
    "Quorum none\nquorum none\n": "line 1: does not begin with log, witness, group or quorum",
    "quorum none\r\n": "control character",
    "quorum none\nquorum none\x7f\n": "control character",
    "quorum none": "does not end in a newline",
    "": "no quorum line",
}


@pytest.mark.parametrize("text", MISTAKES, ids=MISTAKES.values())
def test_a_mistake_is_named(text: str) -> None:
    given_keys = {"w1": W[0].verifier.vkey, "w2": W[1].verifier.vkey, "log": LOG.verifier.vkey}
    with pytest.raises(PolicyError) as refused:
        policy(text.format(**given_keys))
    assert MISTAKES[text] in str(refused.value)


def test_all_mistakes_are_named_at_once_with_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "policy"
    path.write_text("log x\nwitness w\ngroup g 3 a b\nfrog\nquorum z\n")
    with pytest.raises(PolicyError) as refused:
        load_policy(path)
    told = refused.value.mistakes
    assert [mistake.split(":")[0] for mistake in told] == ["line 1", "line 2"] + ["line 3"] * 3 + ["line 4", "line 5"]
    with pytest.raises(PolicyError, match="cannot be read"):
        load_policy(tmp_path / "none")


@pytest.mark.parametrize("around", ["{}", "quorum {}", "group g any {}", "group {} any {}", "witness {} {}", "log {}"])
def test_a_key_given_as_a_policy_by_mistake_is_not_quoted(around: str, tmp_path: Path) -> None:
    write_signing_key(tmp_path / "log.key", "example.gov.cn/log")
    write_master_key(tmp_path / "master.keys", os.urandom)
    for path in tmp_path.iterdir():
        for line in path.read_text().splitlines():
            with pytest.raises(PolicyError) as refused:
                policy(around.replace("{}", line) + "\n")
            assert not [
                word for word in line.replace(":", " ").split() if len(word) > 20 and word in str(refused.value)
            ]


@given(st.binary(max_size=200))
def test_random_bytes_are_no_policy_and_never_crash(junk: bytes) -> None:
    for text in (junk, DEFINED.encode() + junk):
        with pytest.raises(PolicyError):
            parse_policy(text + b"\nquorum none\nquorum none\n")


@given(st.data())
def test_a_random_policy_is_satisfied_as_its_definition_counts(data: st.DataObject) -> None:
    """Against a recursive evaluation straight from the specification's words."""
    names = [f"w{n}" for n in range(1, 6)]
    free, groups = list(names), {}
    text = DEFINED
    for number in range(data.draw(st.integers(1, 4))):
        if not free:
            break
        members = data.draw(st.lists(st.sampled_from(free), min_size=1, max_size=len(free), unique=True))
        threshold = data.draw(st.integers(1, len(members)))
        free = [name for name in free if name not in members] + [f"g{number}"]
        groups[f"g{number}"] = (threshold, members)
        text += f"group g{number} {threshold} {' '.join(members)}\n"
    quorum = data.draw(st.sampled_from([*names, *groups]))
    chosen = data.draw(st.sets(st.sampled_from(range(5))))

    def holds(name: str) -> bool:
        if name in groups:
            threshold, members = groups[name]
            return sum(map(holds, members)) >= threshold
        return int(name[1:]) - 1 in chosen

    assert policy(text + f"quorum {quorum}\n").satisfied(lines(*(W[n] for n in chosen))) is holds(quorum)
