"""Keys of the log over time: who trusts the first key can follow every change, and nobody else's."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger import (
    Draft,
    Ed25519Signer,
    KeyHistory,
    KeyHistoryError,
    KeyNotInForce,
    Ledger,
    NoteError,
    Publishing,
    SubmissionError,
    WrongKey,
    format_key_history,
    verify_key_history,
    verify_receipt,
    write_signing_key,
)
from ledger.commands import prove
from ledger.keyring.rotation import announce_key, read_key_history, retire_key
from ledger.log.checkpoint import Checkpoint, sign_checkpoint
from tests.ledger.house import ORIGIN, START, Clock, House, new_record, submission


@dataclass(slots=True, kw_only=True)
class Log:
    """A log whose key changes: its house, every key it ever had, and the receipts it gave out."""

    house: House
    keys: list[Ed25519Signer]
    history: KeyHistory
    receipts: list[bytes]

    def open(self, *signers: Ed25519Signer, publishing: Publishing | None = None) -> Ledger:
        first, *others = signers
        return Ledger.open(
            self.house.url, origin=ORIGIN, signer=first, cosigners=others, verifiers=self.history.verifiers,
            master_keys=self.house.master_keys, now=Clock(), publishing=publishing,
        )  # fmt: skip

    def grow(self, count: int, *signers: Ed25519Signer) -> None:
        with self.open(*signers) as ledger:
            self.receipts += [ledger.append_blocking(submission()).receipts[0] for _ in range(count)]

    def announce(self, *signers: Ed25519Signer) -> Ed25519Signer:
        new = write_signing_key(self.house.directory / f"{len(self.keys)}.pem", ORIGIN)
        with self.open(*signers) as ledger:
            self.history = announce_key(ledger, self.history, new.verifier.vkey, now=START, entropy=os.urandom)
        self.keys.append(new)
        return new

    def retire(self, number: int, *signers: Ed25519Signer) -> None:
        with self.open(*signers) as ledger:
            self.history = retire_key(ledger, self.history, number, now=START, entropy=os.urandom)

    @property
    def first(self) -> str:
        return self.keys[0].verifier.vkey

    def text(self) -> str:
        return format_key_history(self.history)


def begin(house: House) -> Log:
    history = KeyHistory.beginning(house.signer.verifier.vkey, ORIGIN)
    return Log(house=house, keys=[house.signer], history=history, receipts=[])


def rotated(log: Log) -> Log:
    """Sizes 0-3 by the first key, announced at 3, both to 8, the first retired at 8, then the second alone."""
    first = log.keys[0]
    log.grow(3, first)
    second = log.announce(first)
    log.grow(4, first, second)
    log.retire(0, first, second)
    log.grow(2, second)
    return log


@pytest.fixture
def log(sqlite_house: House) -> Log:
    return begin(sqlite_house)


@pytest.fixture
def changed(log: Log) -> Log:
    return rotated(log)


def note(size: int, *signers: Ed25519Signer) -> bytes:
    return sign_checkpoint(Checkpoint(origin=ORIGIN, size=size, root=bytes(32)), signers)


def test_who_trusts_the_first_key_follows_two_rotations(house: House) -> None:
    log = rotated(begin(house))
    third = log.announce(log.keys[1])
    log.grow(1, log.keys[1], third)
    log.retire(1, log.keys[1], third)
    log.grow(1, third)

    history = verify_key_history(log.text(), log.first, ORIGIN)

    assert history == log.history
    assert [(key.first, key.last) for key in history.keys] == [(0, 8), (4, 13), (12, None)]
    for receipt in log.receipts:
        history.verify_receipt(receipt)
    assert read_key_history(house.url, log.first, origin=ORIGIN, master_keys=house.master_keys) == history


def test_a_log_that_never_changed_its_key_has_a_history_too(log: Log) -> None:
    assert verify_key_history(log.text(), log.first, ORIGIN) == log.history


def test_during_the_overlap_both_keys_sign_and_each_alone_verifies(changed: Log) -> None:
    for key in changed.keys:
        assert verify_receipt(changed.receipts[4], [key.verifier], ORIGIN).size == 6


def test_old_receipts_verify_for_ever_and_new_ones_without_the_old_key(changed: Log) -> None:
    first, second = (key.verifier for key in changed.keys)
    assert verify_receipt(changed.receipts[0], [first], ORIGIN).size == 1
    assert verify_receipt(changed.receipts[-1], [second], ORIGIN).size == 11
    with pytest.raises(WrongKey):
        verify_receipt(changed.receipts[-1], [first], ORIGIN)


def test_only_the_keys_in_force_at_a_size_count(changed: Log) -> None:
    ids = [[key.verifier.key_id for key in changed.keys].index(v.key_id) for v in changed.history.verifiers_at(8)]
    assert ids == [0, 1]
    assert [len(changed.history.verifiers_at(size)) for size in (0, 3, 4, 8, 9, 1000)] == [1, 1, 2, 2, 1, 1]


def test_a_retired_key_cannot_sign_a_later_size(changed: Log) -> None:
    assert changed.history.open(note(8, changed.keys[0])).size == 8
    with pytest.raises(KeyNotInForce, match="size 9"):
        changed.history.open(note(9, changed.keys[0]))


def test_a_new_key_cannot_sign_a_size_before_it_was_added(changed: Log) -> None:
    assert changed.history.open(note(4, changed.keys[1])).size == 4
    with pytest.raises(KeyNotInForce, match="size 3"):
        changed.history.open(note(3, changed.keys[1]))


def test_a_bad_signature_of_a_retired_key_spoils_a_note(changed: Log) -> None:
    good, other = note(9, changed.keys[1]), note(8, changed.keys[0])
    forged = good + other.split(b"\n\n")[1]
    with pytest.raises(NoteError, match="bad signature"):
        changed.history.open(forged)


def test_the_first_key_cannot_be_another(changed: Log, tmp_path: Path) -> None:
    stranger = write_signing_key(tmp_path / "stranger.pem", ORIGIN)
    for key in (stranger, changed.keys[1]):
        with pytest.raises(KeyHistoryError, match="begins with another key"):
            verify_key_history(changed.text(), key.verifier.vkey, ORIGIN)


def test_a_key_that_is_known_is_not_added_again(changed: Log) -> None:
    with changed.open(changed.keys[1]) as ledger:
        for key in changed.keys:
            with pytest.raises(KeyHistoryError, match="already"):
                announce_key(ledger, changed.history, key.verifier.vkey, now=START, entropy=os.urandom)
        assert ledger.size() == 11


def test_a_key_of_another_name_is_not_added(log: Log, tmp_path: Path) -> None:
    other = write_signing_key(tmp_path / "other.pem", "another.example/log")
    with log.open(log.keys[0]) as ledger:
        with pytest.raises(KeyHistoryError, match="named"):
            announce_key(ledger, log.history, other.verifier.vkey, now=START, entropy=os.urandom)
        assert ledger.size() == 0


def test_the_only_key_is_not_retired(changed: Log) -> None:
    with changed.open(changed.keys[1]) as ledger:
        with pytest.raises(KeyHistoryError, match="only key"):
            retire_key(ledger, changed.history, 1, now=START, entropy=os.urandom)
        for number in (0, 2, -1):
            with pytest.raises(KeyHistoryError, match="not in force"):
                retire_key(ledger, changed.history, number, now=START, entropy=os.urandom)
        assert ledger.size() == 11


def test_two_rotations_from_one_history_cannot_both_be_recorded(log: Log) -> None:
    second = log.announce(log.keys[0])
    both = (log.keys[0], second)
    before = log.history
    log.retire(0, *both)
    with log.open(*both) as ledger:
        with pytest.raises(KeyHistoryError, match="later change"):
            retire_key(ledger, before, 1, now=START, entropy=os.urandom)
        assert ledger.size() == 2


def test_a_retirement_not_signed_by_a_key_that_stays_proves_nothing(log: Log) -> None:
    log.announce(log.keys[0])
    with log.open(log.keys[0]) as ledger, pytest.raises(KeyHistoryError, match="does not hold"):
        retire_key(ledger, log.history, 0, now=START, entropy=os.urandom)


def test_a_key_announced_only_by_itself_proves_nothing(log: Log) -> None:
    new = write_signing_key(log.house.directory / "new.pem", ORIGIN)
    early = replace(log.history, keys=KeyHistory.beginning(new.verifier.vkey, ORIGIN).keys)
    alone = Ledger.open(
        log.house.url, origin=ORIGIN, signer=new, verifiers=[log.keys[0].verifier, new.verifier],
        master_keys=log.house.master_keys, now=Clock(),
    )  # fmt: skip
    with alone as ledger, pytest.raises(KeyHistoryError, match="already"):
        announce_key(ledger, early, new.verifier.vkey, now=START, entropy=os.urandom)
    with (
        Ledger.open(
            log.house.url, origin=ORIGIN, signer=new, verifiers=[log.keys[0].verifier, new.verifier],
            master_keys=log.house.master_keys, now=Clock(),
        ) as ledger,
        pytest.raises(KeyHistoryError, match="does not hold"),
    ):  # fmt: skip
        announce_key(ledger, log.history, new.verifier.vkey, now=START, entropy=os.urandom)


def swap_receipts(text: str) -> str:
    head, events = text.rsplit("\n\n", 1)
    (a, n, one), (b, m, two) = (line.split(" ") for line in events.splitlines())
    return f"{head}\n\n{a} {n} {two}\n{b} {m} {one}\n"


FORGERIES: dict[str, Callable[[str], str]] = {
    "a longer range": lambda t: t.replace("0-8 ", "0-9 "),
    "an open range": lambda t: t.replace("0-8 ", "0- "),
    "an earlier start": lambda t: t.replace("4- ", "3- "),
    "no retirement": lambda t: t[: t.rindex("retired")],
    "no events": lambda t: t[: t.index("added")],
    "events out of order": lambda t: "\n\n".join(
        [*t.split("\n\n")[:2], "\n".join(reversed(t.split("\n\n")[2].splitlines())) + "\n"]
    ),
    "receipts swapped": swap_receipts,
    "another version": lambda t: t.replace("v1", "v2", 1),
    "another origin": lambda t: t.replace(f"\n{ORIGIN}\n", "\nother.example/log\n"),
    "a leading zero": lambda t: t.replace("4- ", "04- "),
    "no last newline": lambda t: t[:-1],
    "one newline more": lambda t: t + "\n",
    "CRLF": lambda t: t.replace("\n", "\r\n"),
    "an unknown act": lambda t: t.replace("added 1", "invited 1"),
    "a key out of turn": lambda t: t.replace("added 1", "added 0"),
    "a key that is not there": lambda t: t.replace("added 1", "added 7"),
    "a double event": lambda t: t + t[t.rindex("retired") :],
    "nothing": lambda _: "",
}


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES)
def test_a_forged_history_is_refused(forge: Callable[[str], str], changed: Log) -> None:
    forged = forge(changed.text())
    assert forged != changed.text()
    with pytest.raises(KeyHistoryError):
        verify_key_history(forged, changed.first, ORIGIN)


def test_another_key_in_place_of_the_announced_one_is_refused(changed: Log, tmp_path: Path) -> None:
    stranger = write_signing_key(tmp_path / "stranger.pem", ORIGIN).verifier.vkey
    forged = changed.text().replace(changed.keys[1].verifier.vkey, stranger)
    with pytest.raises(KeyHistoryError, match="another key"):
        verify_key_history(forged, changed.first, ORIGIN)


def test_a_proof_younger_than_the_next_event_is_refused(changed: Log) -> None:
    """Otherwise a retired key's signature could prove what happened before it was retired, at a size after."""
    late = base64.b64encode(prove(changed.house.url, 3, 9)).decode()
    head, tail = changed.text().split("added 1 ")
    forged = f"{head}added 1 {late}\n{tail.partition(chr(10))[2]}"
    with pytest.raises(KeyHistoryError, match="not recorded after"):
        verify_key_history(forged, changed.first, ORIGIN)


def test_a_bad_signature_of_the_retiring_key_spoils_its_retirement(changed: Log) -> None:
    receipt = changed.history.events[1].receipt
    lines = receipt.decode().splitlines(keepends=True)
    at = next(n for n, line in enumerate(lines) if line.startswith("\u2014 "))  # the first signer's line
    name, signature = lines[at].rsplit(" ", 1)
    value = bytearray(base64.b64decode(signature))
    value[-1] ^= 1
    lines[at] = f"{name} {base64.b64encode(value).decode()}\n"
    forged = changed.text().replace(
        base64.b64encode(receipt).decode(), base64.b64encode("".join(lines).encode()).decode()
    )
    with pytest.raises(KeyHistoryError, match="bad signature"):
        verify_key_history(forged, changed.first, ORIGIN)


def test_a_receipt_of_an_ordinary_entry_announces_nothing(changed: Log) -> None:
    head, _ = changed.text().split("added 1 ")
    forged = f"{head}added 1 {base64.b64encode(changed.receipts[0]).decode()}\n"
    with pytest.raises(KeyHistoryError, match="VerificationAnswered"):
        verify_key_history(forged, changed.first, ORIGIN)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(at=st.integers(min_value=0), bit=st.integers(0, 6))
def test_no_flipped_bit_of_a_history_changes_which_keys_count(changed: Log, at: int, bit: int) -> None:
    """A note may carry signatures of strangers, so a receipt with one more stranger proves the same."""
    text = bytearray(changed.text().encode())
    text[at % len(text)] ^= 1 << bit
    try:
        assert verify_key_history(text.decode(), changed.first, ORIGIN).keys == changed.history.keys
    except KeyHistoryError:
        return
    assert at % len(text) > changed.text().index("retired")


@given(st.text(max_size=200))
def test_random_text_is_no_history(text: str) -> None:
    with pytest.raises(KeyHistoryError):
        verify_key_history(text, f"{ORIGIN}+00000000+AA==", ORIGIN)


def test_only_entries_about_keys_may_have_a_public_group(log: Log) -> None:
    secret = Draft(kind="VerificationAnswered", record=new_record(), groups={"public": "guessable"})
    with log.open(log.keys[0]) as ledger, pytest.raises(SubmissionError, match="public"):
        ledger.append_blocking(submission(secret))
