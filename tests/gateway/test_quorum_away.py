"""Commands that append while the quorum of witnesses is away: they end, and what they recorded is not lost."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from ledger import parse_vkey, verify_key_history
from ledger.log.vkey import PublicKey
from tests import started
from tests.gateway.startup.process import Ended, Place, make
from tests.ledger.witness.house import chengxin, init, serving

pytestmark = pytest.mark.timeout(240)

PRESENT, AWAY = 'witness_timeout = "10s"', 'witness_timeout = "500ms"'
"""A command waits for its witnesses twice as long: only one that answers is given time to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Witnessed:
    """A house whose log publishes nothing before its witness has cosigned it."""

    place: Place
    folder: Path
    keys: tuple[PublicKey, ...]

    @contextmanager
    def present(self) -> Iterator[None]:
        with serving(self.folder, self.keys) as served:
            self.name(served.url)
            self.place.configure(AWAY, PRESENT)
            yield
        self.place.configure(PRESENT, AWAY)

    def name(self, url: str) -> None:
        policy = f"witness w1 {self.keys[0].vkey} {url}\nquorum w1\n"
        (self.place.house.home / "keys" / "witnesses.policy").write_text(policy)

    def command(self, *arguments: str | Path) -> Ended:
        return self.place.command(*arguments, "--config", self.place.house.config)

    def done(self, *arguments: str | Path) -> str:
        ended = self.command(*arguments)
        assert ended.status == 0, ended.said
        return ended.said


@pytest.fixture
def here(tmp_path: Path) -> Witnessed:
    """Such a house, the witness being away."""
    place = make(tmp_path / "var")
    place.configure('signing = "inline"', 'signing = "interval"')
    place.configure('sign_after = "local"', 'sign_after = "witness"')
    place.configure("# witness_policy_file", "witness_policy_file")
    place.configure('publish_every = "1s"', 'publish_every = "20ms"')
    place.configure(PRESENT, AWAY)
    keys = init(tmp_path / "w", parse_vkey(place.house.vkey.read_text()))
    house = Witnessed(place=place, folder=tmp_path / "w", keys=keys)
    house.name("http://127.0.0.1:9")
    return house


def hold(here: Witnessed, *arguments: str) -> Ended:
    subject = here.folder / "subject.json"
    subject.write_text('{"id_type":"resident-id","id_number":"11010519491231002X"}')
    about = ("--subject-file", subject, "--person", "01", "--basis", "a rule", "--document-number", "7")
    return here.command("vault", "hold", "place", *about, *arguments)


def late(ended: Ended, index: int) -> None:
    assert ended.status == 4, ended.said
    assert f"recorded as entry {index} (record " in ended.said
    assert "not yet witnessed: that takes until enough witnesses have answered" in ended.said
    assert "recorded; waiting until enough witnesses have answered, " in ended.said


def test_a_hold_that_is_not_witnessed_in_time_is_told_and_its_receipt_can_be_had_later(here: Witnessed) -> None:
    ended = hold(here, "--json")
    late(ended, 0)
    assert "do not give the command again" in ended.said
    told = next(json.loads(line) for line in ended.said.splitlines() if line.startswith('{"index"'))
    assert (told["index"], told["published"]) == (0, False)
    assert told["record"] in here.done("vault", "hold", "list", "--json")
    late(hold(here), 1)

    with here.present(), here.place.running():
        assert "tlog-proof" in here.done("ledger", "prove", "0")


def test_a_rotation_that_is_not_witnessed_in_time_is_finished_by_the_same_command(here: Witnessed) -> None:
    history = here.place.house.home / "keys" / "log.history"
    for _ in range(2):
        ended = here.command("keys", "rotate")
        late(ended, 0)
        assert "Give the same command again" in ended.said
        assert not history.exists()
    with here.present():
        told = here.done("keys", "rotate")
        assert here.place.size() == 1
        first = here.place.house.vkey.read_text().strip()
        known = verify_key_history(history.read_text(), first, parse_vkey(first).name)
        assert [key.vkey in told for key in known.keys] == [True, True]
        with here.place.running():
            assert here.place.size() == 2


def test_a_gateway_starts_while_a_change_of_keys_waits_and_its_command_finishes_it_after(here: Witnessed) -> None:
    late(here.command("keys", "rotate"), 0)
    with here.present():
        with here.place.running():  # signs with the old key, which is in force, and publishes what waited
            assert here.place.size() == 2
        here.done("keys", "rotate")
        with here.place.running():
            assert here.place.size() == 3
        history = here.place.house.home / "keys" / "log.history"
        first = here.place.house.vkey.read_text().strip()
        chengxin("witness", "add-log", first, "--history", history, "--config", here.folder / "witness.toml")
    late(here.command("keys", "retire", "--at-once"), 3)
    with here.present():
        here.done("keys", "retire")
        assert here.place.size() == 4
        with here.place.running():
            assert here.place.size() == 5


def test_a_gateway_that_waits_for_its_witnesses_says_so_once_and_when_they_are_back(here: Witnessed) -> None:
    log = here.folder / "log"
    with log.open("w") as to:
        process = started.start("serve", "--config", here.place.house.config, stdout=subprocess.PIPE, stderr=to)
        try:
            until = time.monotonic() + 60
            while "not ready yet" not in log.read_text() or log.read_text().count("too few witnesses") < 1:
                assert time.monotonic() < until
                time.sleep(0.1)
            time.sleep(1)  # some fifty rounds
            assert process.poll() is None
            process.terminate()
            process.communicate(timeout=60)
        finally:
            process.kill()
    said = log.read_text()
    assert said.count("too few witnesses") == 1
    assert '"reason":"nothing is published before enough witnesses have answered"' in said
