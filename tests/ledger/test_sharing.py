"""What travels between the owner of a ledger and those who share it."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import Level, verify_receipt
from ledger.appends.admission import Admitted, admit
from ledger.appends.identity import Identity
from ledger.appends.values import Accepted, Sequenced
from ledger.errors import (
    LedgerDamaged,
    LedgerError,
    LedgerUnavailable,
    LogShrunk,
    RecordChanged,
    StoreError,
    SubmissionError,
    TransitionRefused,
)
from ledger.sharing.frames import FrameError, Frames, answers, greeting, read_answers, submissions, unpack
from ledger.sharing.owner import open_owner
from ledger.vault import Vault
from tests.ledger.house import ORIGIN, Clock, House, answered, new_record, submission


def admitted(house: House, *drafts: Any) -> Admitted:
    return admit(submission(*drafts), Vault(house.master_keys, ORIGIN, os.urandom), os.urandom)[0]


def travel(asked: Admitted, outcome: Any) -> Any:
    frame = answers(b"note", [(7, asked, outcome)])
    (body,) = Frames().feed(frame)
    note, [(number, packed)] = read_answers(body)
    assert (note, number) == (b"note", 7)
    return unpack(asked, packed)


def test_a_first_entry_is_not_sent_back_and_yet_arrives_whole(sqlite_house: House) -> None:
    asked = admitted(sqlite_house, answered(n=1), answered(n=2))
    made = [Sequenced(5 + at, draft.first_leaf, draft.first_hash) for at, draft in enumerate(asked.drafts)]
    outcome = Accepted(tuple(made), 9, (b"a", b"b"))
    assert travel(asked, outcome) == outcome
    assert asked.drafts[0].first_leaf not in answers(b"", [(7, asked, outcome)])


def test_an_entry_that_is_not_its_records_first_travels_as_it_was_written(sqlite_house: House) -> None:
    asked = admitted(sqlite_house, answered(n=1), answered(n=2))
    first = asked.drafts[0]
    made = (Sequenced(5, first.first_leaf, first.first_hash), Sequenced(6, b"another", bytes(32)))
    assert travel(asked, Accepted(made, 9, (b"a", b"b"))).entries == made


def test_a_refusal_arrives_as_itself(sqlite_house: House) -> None:
    asked = admitted(sqlite_house, answered())
    refused = travel(asked, TransitionRefused(bytes(16), "RECORDED", "CommitmentWithdrawn"))
    assert isinstance(refused, TransitionRefused)
    assert refused.state == "RECORDED"


def test_that_a_record_went_on_arrives_as_itself_and_names_the_record(sqlite_house: House) -> None:
    refused = travel(admitted(sqlite_house, answered()), RecordChanged(bytes(range(16))))
    assert isinstance(refused, RecordChanged)
    assert refused.record == bytes(range(16))


def test_a_submission_that_the_database_refuses_arrives_as_malformed(sqlite_house: House) -> None:
    refused = travel(admitted(sqlite_house, answered()), SubmissionError(["one", "two"]))
    assert isinstance(refused, SubmissionError)
    assert refused.mistakes == ["one", "two"]


def test_damage_of_every_kind_arrives_as_damage(sqlite_house: House) -> None:
    asked = admitted(sqlite_house, answered())
    for damage in (LedgerDamaged("the head moved"), LogShrunk("entries are missing")):
        told = travel(asked, damage)
        assert isinstance(told, LedgerDamaged)
        assert str(told) == str(damage)


def test_what_the_owner_appended_is_what_the_sharer_is_told(sqlite_house: House) -> None:
    with sqlite_house.shared() as ledger:
        record = new_record()
        for one in (submission(answered(record), answered(n=2)), submission(answered(n=3))):
            told = ledger.append_blocking(one)
            for entry, receipt in zip(told.entries, told.receipts, strict=True):
                assert ledger.entry(entry.index) == entry.entry
                proved = verify_receipt(receipt, [sqlite_house.signer.verifier], ORIGIN)
                assert (proved.index, proved.leaf) == (entry.index, entry.entry)


scalars = st.none() | st.integers() | st.binary(max_size=8) | st.text(max_size=4)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=6)


@given(kind=st.integers(-2, 11), fields=st.lists(values, max_size=4))
def test_whatever_comes_is_an_outcome_or_a_frame_error(kind: int, fields: list[Any]) -> None:
    asked = Admitted((), 0, None, (), (), ())
    try:
        unpack(asked, (kind, *fields))
    except FrameError:
        return


def test_an_answer_without_a_kind_is_a_frame_error() -> None:
    with pytest.raises(FrameError):
        unpack(Admitted((), 0, None, (), (), ()), ())


@pytest.mark.parametrize("number", [1, 99])
async def test_an_answer_that_nobody_asked_for_ends_the_link_and_every_caller_is_told(
    sqlite_house: House, tmp_path: Path, number: int
) -> None:
    async def owner(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        frames = Frames()
        writer.write(greeting(ORIGIN))
        seen = 0
        while data := await reader.read(1 << 16):
            for _frame in frames.feed(data):
                seen += 1
                if seen == 2:  # the greeting was the first
                    writer.write(answers(b"", [(number, admitted(sqlite_house, answered()), LedgerUnavailable("x"))]))
        writer.close()

    path = tmp_path / "false.sock"
    async with await asyncio.start_unix_server(owner, str(path)):
        with sqlite_house.join(path) as ledger, pytest.raises(LedgerError, match="nobody asked for"):
            await asyncio.wait_for(ledger.append(submission(answered()), Level.SEQUENCED), 10)


def test_submissions_are_bytes_of_one_frame(sqlite_house: House) -> None:
    frame = submissions([(0, admitted(sqlite_house, answered()))])
    assert int.from_bytes(frame[:4], "big") == len(frame) - 4


def test_only_a_socket_is_removed_to_listen_in_its_place(sqlite_house: House) -> None:
    path = sqlite_house.directory / "owner.sock"
    path.write_text("precious")
    with pytest.raises(StoreError, match="is not a socket"), sqlite_house.shared():
        pass
    assert path.read_text() == "precious"
    path.unlink()
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    with sqlite_house.shared() as ledger:
        assert ledger.append_blocking(submission()).size == 1


def test_a_path_too_long_for_a_socket_is_told(sqlite_house: House) -> None:
    identity = Identity(origin=ORIGIN, signers=(sqlite_house.signer,), verifiers=(sqlite_house.signer.verifier,))
    path = sqlite_house.directory / ("s" * 120)
    with (
        pytest.raises(StoreError, match="the owner cannot listen at"),
        open_owner(sqlite_house.url, path, identity=identity, now=Clock()),
    ):
        pass
