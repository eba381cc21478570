"""With `sign_after = standby`, what was signed survives the loss of the primary: two real servers."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from ledger import Level, Publishing, SignAfter, Signing
from ledger.log.checkpoint import open_checkpoint
from ledger.merkle import verify_consistency
from tests.ledger.house import ORIGIN, House, answered, build, submission
from tests.postgres import OwnServer, own_server

PUBLISHING = Publishing(signing=Signing.INTERVAL, sign_after=SignAfter.STANDBY, interval=0.05)
_A_WHILE = timedelta(seconds=0.5).total_seconds()
"""Ten rounds of the publisher: long enough to sign if it were going to."""


def at(server: OwnServer, house: House) -> House:
    url = server.url.render_as_string(hide_password=False)
    return House(url=url, signer=house.signer, master_keys=house.master_keys, directory=house.directory)


def streaming(server: OwnServer) -> bool:
    plain = server.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain) as connection:
        row = connection.execute("SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'").fetchone()
    return row is not None and row[0] == 1


@pytest.mark.postgres
@pytest.mark.timeout(120)
async def test_nothing_is_signed_that_no_standby_has_and_a_fail_over_loses_nothing_signed(tmp_path: Path) -> None:
    with own_server() as primary:
        house = build(primary.url.render_as_string(hide_password=False), tmp_path)
        with own_server(primary) as standby:
            with house.open(publishing=PUBLISHING) as ledger:
                while not streaming(primary):
                    await asyncio.sleep(0.05)
                signed = await ledger.append(submission(answered()))
                standby.kill()
                await ledger.append(submission(answered()), Level.SEQUENCED)
                waiting = asyncio.create_task(ledger.append(submission(answered())))
                with suppress(TimeoutError):
                    await asyncio.wait_for(asyncio.shield(waiting), _A_WHILE)
                assert not waiting.done()
                assert open_checkpoint(ledger.checkpoint(), [house.signer.verifier], ORIGIN).size == signed.size
                standby.start()
                later = await waiting
                note = ledger.checkpoint()
            primary.kill()
            standby.promote()
            with at(standby, house).open() as after:
                published = open_checkpoint(note, [house.signer.verifier], ORIGIN)
                assert published.size >= later.size
                assert after.size() >= published.size
                again = await after.append(submission(answered()))
                newest = open_checkpoint(after.checkpoint(), [house.signer.verifier], ORIGIN)
                proof = after.consistency(published.size, newest.size)
                verify_consistency(published.size, newest.size, proof, published.root, newest.root)
                assert again.size == newest.size
            primary.start()
