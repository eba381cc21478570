"""A log of more than one range: several processes, and runs that go on where another stopped."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ledger import Draft, FileMasterKeys, ResumeRefused, new_record
from ledger.commands import fsck
from ledger.fsck import FsckReport
from ledger.fsck.ranges import SPAN
from ledger.log import schema
from tests.ledger.house import ORIGIN, START, House, answered, build, submission
from tests.ledger.tampering import alter, flip, run

SIZE = SPAN + 700


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> House:
    """One log of a full range and a piece, in two thousand records more than it has chains."""
    directory = tmp_path_factory.mktemp("large")
    house = build(f"sqlite:///{directory}/ledger.db", directory)
    kinds = ("CommitmentPrepared", "CommitmentRecorded", "DecisionRecorded", "CommitmentRequeried")

    def drafts(count: int) -> Iterator[Draft]:
        record = b""
        for number in range(count):
            if number % 4 == 0:
                record = new_record(START, _Entropy(number))
            yield Draft(kind=kinds[number % 4], record=record)

    with house.open() as ledger:

        async def fill() -> None:
            waiting = list(drafts(SIZE - 1))
            for first in range(0, len(waiting), 8000):
                some = range(first, min(first + 8000, len(waiting)), 1000)
                await asyncio.gather(*(ledger.append(submission(*waiting[at : at + 1000])) for at in some))

        asyncio.run(fill())
        assert ledger.commit_index(START).size == SIZE - 1
    return house


class _Entropy:
    """Ids that are the same in every run: where a log is cut depends on them."""

    def __init__(self, number: int) -> None:
        self._number = number

    def __call__(self, count: int) -> bytes:
        return self._number.to_bytes(count, "big")


@pytest.fixture
def large(made: House, tmp_path: Path) -> House:
    for name in ("ledger.db", "log.pem", "master.keys"):
        shutil.copy2(made.directory / name, tmp_path / name)
    return House(
        url=f"sqlite:///{tmp_path}/ledger.db",
        signer=made.signer,
        master_keys=FileMasterKeys(tmp_path / "master.keys"),
        directory=tmp_path,
    )


def check(house: House, **more: Any) -> FsckReport:
    """Check hashes and signatures, which is quick; `full` also what they are the hashes of."""
    full = more.pop("full", False)
    given = {"verifiers": [house.signer.verifier], "origin": ORIGIN, "workers": 1, "leaves_from_tiles": not full}
    return fsck(house.url, **{**given, **more})


class _Stopped(Exception):
    """The run was interrupted."""


def stop_at(done: Callable[[int], bool]) -> Callable[[int, int], None]:
    def progress(at: int, total: int) -> None:
        if done(at):
            raise _Stopped

    return progress


def test_several_processes_find_what_is_wrong_in_every_part(large: House) -> None:
    assert check(large) == check(large, workers=2)
    assert check(large).sound
    alter(large.url, schema.entry, "leaf", {"idx": 40_000}, flip(30))
    alter(large.url, schema.entry, "leaf", {"idx": SPAN + 10}, flip(30))
    alter(large.url, schema.record, "seq", {"first_idx": 300}, lambda seq: seq + 1)
    report = check(large, full=True, workers=2)
    assert {40_000, SPAN + 10, 303} <= {damage.index for damage in report.damages}
    assert report.damages[0].index == 303


def test_progress_reaches_its_total(large: House) -> None:
    seen: list[tuple[int, int]] = []
    check(large, full=True, progress=lambda done, total: seen.append((done, total)))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert {total for _, total in seen} == {3 * SIZE + SIZE - 1}
    assert seen[-1][0] == seen[-1][1]


@pytest.mark.parametrize("level", [1, 2])
def test_a_damaged_tile_high_up_is_named(large: House, level: int) -> None:
    alter(large.url, schema.tile, "data", {"level": level, "n": 0}, flip(5))
    report = check(large)
    assert [d.what.startswith(f"tile 0 of level {level} is wrong") for d in report.damages] == [True]
    run(large.url, "DELETE FROM tile WHERE level = :level AND n = 0", level=level)
    assert not check(large).sound


def test_an_interrupted_run_goes_on_with_the_next_range(large: House, tmp_path: Path) -> None:
    state = tmp_path / "fsck.state"
    with pytest.raises(_Stopped):
        check(large, resume=state, progress=stop_at(lambda done: done > SPAN))
    report = check(large, resume=state)
    assert report.sound
    assert report.skipped == SPAN
    assert report.checkpoints == check(large).checkpoints


def test_what_is_skipped_is_not_read_again_and_what_follows_is(large: House, tmp_path: Path) -> None:
    state = tmp_path / "fsck.state"
    assert check(large, resume=state).sound
    alter(large.url, schema.tile, "data", {"level": 0, "n": 0}, flip(30))
    assert check(large, resume=state).sound
    alter(large.url, schema.tile, "data", {"level": 0, "n": 256}, flip(30))
    report = check(large, resume=state)
    assert report.skipped == SPAN
    assert any("tile 256 of level 0" in damage.what for damage in report.damages)
    assert not any("tile 0 of level 0" in damage.what for damage in report.damages)
    assert any("tile 0 of level 0" in damage.what for damage in check(large).damages)


def test_a_log_that_grew_is_checked_from_where_it_was_verified(large: House, tmp_path: Path) -> None:
    state = tmp_path / "fsck.state"
    check(large, resume=state)
    with large.open() as ledger:
        ledger.append_blocking(submission(answered()))
    report = check(large, resume=state)
    assert (report.sound, report.size, report.skipped) == (True, SIZE + 1, SPAN)


def test_records_that_were_checked_are_not_checked_again_while_the_log_has_not_grown(
    large: House, tmp_path: Path
) -> None:
    state = tmp_path / "fsck.state"
    with pytest.raises(_Stopped):
        check(large, full=True, resume=state, progress=stop_at(lambda done: done > 2 * SIZE + SIZE // 2))
    done = json.loads(state.read_text())["records"]
    assert done["parts"] > 10
    alter(large.url, schema.record, "seq", {"first_idx": 0}, lambda seq: seq + 1)
    report = check(large, full=True, resume=state)
    assert report.sound
    assert (report.records, report.indexes) == ((SIZE - 1 + 3) // 4 + 1, 1)
    with large.open() as ledger:
        ledger.append_blocking(submission(answered()))
    assert not check(large, full=True, resume=state).sound


def test_a_damage_is_never_skipped(large: House, tmp_path: Path) -> None:
    state = tmp_path / "fsck.state"
    alter(large.url, schema.tile, "data", {"level": 0, "n": 1}, flip(30))
    for _ in range(2):
        report = check(large, resume=state)
        assert (report.skipped, report.sound) == (0, False)
    assert not state.exists()


def refuse(house: House, state: Path, **more: Any) -> str:
    with pytest.raises(ResumeRefused) as refused:
        check(house, resume=state, **more)
    return str(refused.value)


def test_a_state_of_something_else_is_refused(large: House, tmp_path: Path) -> None:
    state = tmp_path / "fsck.state"
    check(large, resume=state)
    assert "did not read the entries" in refuse(large, state, full=True)
    good = json.loads(state.read_text())

    def refused(**members: object) -> str:
        state.write_text(json.dumps({**good, **members}))
        return refuse(large, state)

    assert "of log" in refused(origin="example.gov.cn/other")
    assert "another root" in refused(root="00" * 32)
    assert "not one of this log" in refused(checkpoint="AAAA")
    assert "beyond" in refused(size=2 * SPAN)
    assert "beyond" in refused(size=SPAN - 1)
    for text in ("", "[]", "null", "{}", "7", json.dumps({**good, "size": "x"}), json.dumps({**good, "records": 1})):
        state.write_text(text)
        assert "not the state of a check" in refuse(large, state)


def test_a_log_whose_upper_tiles_changed_since_is_refused(large: House, tmp_path: Path) -> None:
    state = tmp_path / "fsck.state"
    check(large, resume=state)
    alter(large.url, schema.tile, "data", {"level": 2, "n": 0}, flip(5))
    assert "not the one that was verified before" in refuse(large, state)
