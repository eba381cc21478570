"""Writers that were open while a key was retired: none signs a checkpoint with a key that is not in force."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from ledger import KeysRetired, LedgerDamaged, Level, Publishing, Signing
from ledger.commands import fsck
from ledger.log.store import open_store, read_head
from tests.ledger.house import build, submission
from tests.ledger.keys.test_history import Log, begin

pytestmark = pytest.mark.postgres
OFTEN = Publishing(signing=Signing.INTERVAL, interval=0.02)
NEVER = Publishing(signing=Signing.INTERVAL, interval=3600)


@pytest.fixture
def log(postgres_url: str, tmp_path: Path) -> Log:
    return begin(build(postgres_url, tmp_path))


def rotate_beside(log: Log) -> None:
    """Announce a second key and retire the first, each by a writer of its own, as the commands do."""
    second = log.announce(log.keys[0])
    log.grow(1, log.keys[0], second)
    log.retire(0, log.keys[0], second)


def require_sound(log: Log) -> None:
    store = open_store(log.house.url)
    try:
        with store.reading() as connection:
            log.history.open(read_head(connection).note)
    finally:
        store.close()
    report = fsck(
        log.house.url, verifiers=log.history, origin=log.history.origin, master_keys=log.house.master_keys
    )  # fmt: skip
    assert report.damages == ()


def test_a_writer_whose_only_key_was_retired_appends_nothing_and_tells_who_watches(log: Log) -> None:
    told: list[LedgerDamaged] = []
    with log.open(log.keys[0]) as unaware:
        unaware.append_blocking(submission())
        rotate_beside(log)
        size = unaware.size()
        unaware.watch(told.append)
        for _ in range(2):
            with pytest.raises(KeysRetired, match="retires the only key"):
                unaware.append_blocking(submission())
        assert unaware.size() == size
    assert [type(damage) for damage in told] == [KeysRetired]
    require_sound(log)


def test_a_writer_that_did_not_append_before_notices_as_well(log: Log) -> None:
    with log.open(log.keys[0]) as unaware:
        rotate_beside(log)
        with pytest.raises(KeysRetired):
            unaware.append_blocking(submission())
    require_sound(log)


def test_a_writer_with_a_key_that_stays_goes_on_and_leaves_the_retired_one_out(log: Log) -> None:
    second = log.announce(log.keys[0])
    with log.open(log.keys[0], second) as aware:
        aware.append_blocking(submission())
        log.retire(0, log.keys[0], second)
        note = aware.append_blocking(submission()).receipts[0].split(b"\n\n", 1)[1]
    assert note.count("\n— ".encode()) == 1
    require_sound(log)


def test_a_new_key_stops_no_writer_that_has_one_in_force_and_is_told_once(log: Log) -> None:
    with log.open(log.keys[0]) as unaware, capture_logs() as logged:
        log.announce(log.keys[0])
        for _ in range(2):
            unaware.append_blocking(submission())
            log.grow(1, *log.keys)
        unaware.append_blocking(submission())
    assert [line["event"] for line in logged if "new key" in line["event"]] == [
        "the log has a new key: start this gateway anew before the old one is retired"
    ]
    require_sound(log)


def test_a_publisher_whose_only_key_was_retired_signs_nothing(log: Log) -> None:
    with log.open(log.keys[0], publishing=OFTEN) as unaware:
        rotate_beside(log)
        with log.open(log.keys[1], publishing=NEVER) as other:
            other.append_blocking(submission(), Level.SEQUENCED)  # for whoever publishes next
            until = time.monotonic() + 20
            while unaware.damage is None:
                assert time.monotonic() < until
                time.sleep(0.02)
            assert isinstance(unaware.damage, KeysRetired)
    log.grow(1, log.keys[1])
    require_sound(log)
