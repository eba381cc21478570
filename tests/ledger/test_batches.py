"""Batches are bounded by count and by bytes, on their way to the owner and in the database."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass

import pytest

from ledger import Ledger, SubmissionError
from ledger.appends import admission, batches
from ledger.appends.admission import Admitted
from ledger.appends.batches import MOST_SUBMISSIONS, take
from ledger.sharing import frames, owner
from tests.ledger.house import House, answered, submission

NOTHING = Admitted((), 0, None, (), (), ())


@dataclass
class Waits:
    admitted: Admitted


def waiting(*weights: int) -> deque[Waits]:
    return deque([Waits(NOTHING._replace(weight=weight)) for weight in weights])


@pytest.mark.parametrize(
    ("weights", "taken"),
    [((), 0), ((9,), 1), ((101, 1), 1), ((60, 40, 1), 2), ((60, 41), 1), ((1,) * 5000, 100)],
)
def test_a_batch_is_no_larger_than_one_submission_may_be(
    monkeypatch: pytest.MonkeyPatch, weights: tuple[int, ...], taken: int
) -> None:
    monkeypatch.setattr(batches, "MOST_BYTES", 100)
    queue = waiting(*weights)
    assert len(take(queue)) == taken
    assert len(queue) == len(weights) - taken


def test_a_batch_ends_with_its_count_and_with_an_erasure() -> None:
    queue = waiting(*[1] * 3000)
    assert len(take(queue)) == MOST_SUBMISSIONS
    queue[4].admitted = NOTHING._replace(erase=((b"r", 1),))
    assert len(take(queue)) == 5


def test_documents_that_are_too_much_together_are_refused_at_once(
    opened: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission, "MOST_BYTES", 1 << 20)
    drafts = [answered(body="x" * (600 << 10)) for _ in range(3)]
    with pytest.raises(SubmissionError, match="the submission is larger than 1 MiB"):
        opened.append_blocking(submission(*drafts))
    assert opened.append_blocking(submission(*drafts[:1])).entries[0].index == 0


async def test_what_is_too_much_for_one_frame_travels_in_several(
    sqlite_house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frames, "_LONGEST", 1 << 20)
    for module in (batches, owner):
        monkeypatch.setattr(module, "MOST_BYTES", 512 << 10)
    with sqlite_house.shared() as ledger:
        asked = [submission(answered(body="x" * (90 << 10), number=number)) for number in range(40)]
        done = await asyncio.gather(*map(ledger.append, asked))
        assert sorted(one.entries[0].index for one in done) == list(range(40))
        sizes = sorted({one.size for one in done})
        assert all(after - before <= 5 for before, after in zip([0, *sizes], sizes, strict=False))
