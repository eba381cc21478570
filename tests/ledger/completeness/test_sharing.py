"""The index of an SQLite ledger that several share: kept beside the owner, who goes on committing."""

from __future__ import annotations

import threading

from ledger import verify_completeness
from ledger.commands import fsck
from ledger.completeness.index import RecordIndex
from tests.ledger.house import ORIGIN, START, House, answered, new_record, submission


def test_who_shares_a_ledger_commits_to_its_index(sqlite_house: House) -> None:
    with sqlite_house.shared() as ledger:
        record = new_record()
        ledger.append_blocking(submission(answered(record)))
        assert ledger.commit_index(START).appended
        proved = verify_completeness(ledger.prove_completeness(record), [sqlite_house.signer.verifier], ORIGIN)
        assert len(proved.entries) == 1


def test_appends_go_on_while_the_index_is_brought_up_to_date(sqlite_house: House) -> None:
    with sqlite_house.shared() as ledger:
        for _ in range(20):
            ledger.append_blocking(submission(*(answered(n=n) for n in range(20))))
        done = threading.Event()
        failures: list[Exception] = []

        def append() -> None:
            while not done.is_set():
                try:
                    ledger.append_blocking(submission(answered(n=1)))
                except Exception as failure:
                    failures.append(failure)

        threads = [threading.Thread(target=append) for _ in range(3)]
        for thread in threads:
            thread.start()
        steps: list[int] = []
        state = RecordIndex(ledger._store, 40).advance(lambda at, _: steps.append(ledger.size()))
        done.set()
        for thread in threads:
            thread.join()
        assert failures == []
        assert state.size >= 400
        assert steps[-1] > steps[0]  # the owner got its turn between steps
        ledger.commit_index(START)
    report = fsck(
        sqlite_house.url,
        verifiers=[sqlite_house.signer.verifier],
        origin=ORIGIN,
        master_keys=sqlite_house.master_keys,
    )
    assert report.damages == ()
