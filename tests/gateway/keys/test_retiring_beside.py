"""A key is retired while gateways run on PostgreSQL: one that does not know stops, and signs nothing with that key."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ledger.log.checkpoint import read_checkpoint
from tests import started
from tests.gateway.startup.process import Ended
from tests.gateway.startup.test_lost_entries import ask_until_it_ends
from tests.gateway.test_workers import Running, ask_all, running

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(180)]


def command(place: Running, *arguments: str | Path) -> Ended:
    done = started.run(*arguments, "--config", place.house.config)
    return Ended(status=done.returncode, said=done.stdout + done.stderr)


def done(ended: Ended) -> str:
    assert ended.status == 0, ended.said
    return ended.said


@contextmanager
def another(place: Running, end: signal.Signals = signal.SIGTERM) -> Iterator[Running]:
    """Serve the same ledger in one more gateway."""
    process = started.start("serve", "--config", place.house.config, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    try:
        ready = process.stdout.readline()
        assert ready.startswith("ready ")
        yield Running(house=place.house, parent=process, port=int(ready.split()[1]), person=place.person)
    finally:
        process.send_signal(end)
        process.wait(60)
        process.stdout.close()


def ask(place: Running, count: int = 2) -> None:
    asyncio.run(ask_all(place, count))


def said_by(place: Running) -> str:
    return (place.house.home.parent / "stderr").read_text("utf-8")


def require_stopped(place: Running) -> None:
    asyncio.run(asyncio.wait_for(ask_until_it_ends(place), 60))
    assert place.parent.wait(60) == 3
    assert "(KeysRetired)" in said_by(place)
    assert "Start this gateway again" in said_by(place)


def require_sound(place: Running) -> None:
    newest = json.loads(done(command(place, "keys", "history", "--json")))["keys"][1]
    note = (place.house.home / "keys" / "checkpoint.seen").read_bytes()
    assert read_checkpoint(note).size >= newest["first"]
    assert "sound" in done(command(place, "ledger", "fsck"))


def test_a_gateway_that_knows_only_the_retired_key_stops_before_it_signs(tmp_path: Path, postgres_url: str) -> None:
    with running(tmp_path, postgres_url, workers=1) as unaware:
        ask(unaware)
        done(command(unaware, "keys", "rotate"))
        with another(unaware) as aware:
            ask(aware)
            done(command(unaware, "keys", "retire"))  # nobody wrote with the old key alone, so nobody is noticed
            require_stopped(unaware)
            ask(aware)
        with another(unaware, signal.SIGKILL) as again:
            ask(again)
        require_sound(unaware)


def test_a_key_is_not_retired_while_a_gateway_signs_with_it_alone_unless_at_once(
    tmp_path: Path, postgres_url: str
) -> None:
    with running(tmp_path, postgres_url, workers=1) as unaware:
        done(command(unaware, "keys", "rotate"))
        with another(unaware) as aware:
            ask(unaware, 3)
            assert said_by(unaware).count("the log has a new key") == 1
            ask(aware)
            refused = command(unaware, "keys", "retire")
            assert refused.status == 1
            assert "not signed by the key that stays" in refused.said
            assert "of the last hour" in refused.said
            ask(unaware)  # the old key is in force still
            ask(aware)
            done(command(unaware, "keys", "retire", "--at-once"))
            require_stopped(unaware)
            ask(aware)
        require_sound(unaware)
