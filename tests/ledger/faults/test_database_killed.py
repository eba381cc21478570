"""PostgreSQL dies in the middle of commits and comes back: nothing acknowledged is lost, nothing is half there.

The test server is set to acknowledge commits before they are durable: the ledger must not let it.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

from ledger import Appended, Ledger, LedgerUnavailable, verify_receipt
from ledger.commands import fsck
from ledger.log.databases import PostgresDatabase
from tests import postgres
from tests.ledger.house import ORIGIN, answered, build, submission

pytestmark = pytest.mark.postgres
CALLERS = 8


class Callers:
    """Threads that append until the database does not answer them any more."""

    def __init__(self, ledger: Ledger, name: bytes) -> None:
        self._name = name
        self.appended: dict[bytes, Appended] = {}
        self.unknown: list[bytes] = []
        self.busy = threading.Event()
        self._ledger = ledger

    def call(self, caller: int) -> None:
        for turn in range(100_000):
            key = b"round-%s-%d-%d" % (self._name, caller, turn)
            try:
                self.appended[key] = self._ledger.append_blocking(submission(answered(), key=key))
            except LedgerUnavailable:
                self.unknown.append(key)
                return
            if len(self.appended) > 50:
                self.busy.set()


def test_acknowledged_appends_survive_the_death_of_the_server(tmp_path: Path) -> None:
    with postgres.own_server() as server:
        url = server.url.render_as_string(hide_password=False)
        house = build(url, tmp_path)
        with house.open() as ledger:
            for turn in range(2):
                before = ledger.size()
                callers = Callers(ledger, b"%d" % turn)
                with ThreadPoolExecutor(CALLERS) as pool:
                    done = [pool.submit(callers.call, caller) for caller in range(CALLERS)]
                    assert callers.busy.wait(60)
                    server.kill()
                for future in done:
                    future.result()
                assert len(callers.unknown) == CALLERS
                with pytest.raises(LedgerUnavailable):
                    ledger.append_blocking(submission())
                server.start()

                for key, first in callers.appended.items():
                    again = ledger.append_blocking(submission(answered(), key=key))
                    assert again.replayed
                    assert again.receipts == first.receipts
                for key in callers.unknown:  # asking again tells whether it had been recorded
                    assert verify_receipt(
                        ledger.append_blocking(submission(answered(), key=key)).receipts[0],
                        [house.signer.verifier],
                        ORIGIN,
                    )
                assert fsck(url, verifiers=[house.signer.verifier], origin=ORIGIN).damages == ()
                assert ledger.size() == len(callers.appended) + len(callers.unknown) + before


@pytest.mark.parametrize(("given", "used"), [("off", "on"), ("on", "on"), ("remote_apply", "remote_apply")])
def test_a_server_that_acknowledges_before_it_is_durable_is_told_to_wait(
    postgres_url: str, given: str, used: str
) -> None:
    url = make_url(postgres_url).update_query_dict({"options": f"-c synchronous_commit={given}"})
    writer = PostgresDatabase(url).writer()
    with writer.connect() as connection:
        assert connection.execute(text("SHOW synchronous_commit")).scalar() == used
    writer.dispose()
