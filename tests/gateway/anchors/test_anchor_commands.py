"""`chengxin ledger anchor(s)` and the gateway's own anchoring, against a real authority on loopback."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.gateway.startup.process import Place, make
from tests.ledger.anchors.tsa import OPENSSL, Authority, found_authority, granting, openssl, serving

pytestmark = pytest.mark.skipif(OPENSSL is None, reason="no openssl command: no authority can be made")


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return found_authority(tmp_path / "authority")


@pytest.fixture
def address(authority: Authority) -> Iterator[str]:
    with serving(granting(authority)) as url:
        yield url


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return make(tmp_path / "var")


def configure(place: Place, url: str, root: Path) -> None:
    text = place.house.config.read_text("utf-8")
    place.house.config.write_text(f'{text}\n[ledger.anchors]\ntsa_url = "{url}"\ntsa_root_file = "{root}"\n', "utf-8")


def anchors(place: Place, *options: str | Path) -> tuple[int, list[dict[str, object]]]:
    ended = place.command("ledger", "anchors", "--config", place.house.config, "--json", *options)
    return ended.status, [json.loads(line) for line in ended.said.splitlines() if line.startswith("{")]


def test_an_anchor_made_by_hand_verifies_and_can_be_taken_to_openssl(
    place: Place, address: str, authority: Authority, tmp_path: Path
) -> None:
    configure(place, address, authority.root)
    told = place.command("ledger", "anchor", "--config", place.house.config)
    assert (told.status, told.said.startswith("size 0: ")) == (0, True)
    assert "already" in place.command("ledger", "anchor", "--config", place.house.config).said

    status, lines = anchors(place, "--verify", "--export", tmp_path / "out")

    assert (status, [line["verified"] for line in lines]) == (0, [True])
    (token,) = (tmp_path / "out").glob("0-*.tsr")
    note = tmp_path / "out" / "0.note"
    readme = (Path(__file__).parents[3] / "ledger" / "README.md").read_text("utf-8")
    recipe = next(line for line in readme.splitlines() if line.startswith("openssl ts -verify"))
    names = {"4711.note": note, "4711-20261124T080000Z.tsr": token, "tsa-roots.pem": authority.root}
    words = recipe.split()[1:]
    assert names.keys() < set(words)
    openssl(*(names.get(word, word) for word in words))


def test_anchors_of_a_stranger_do_not_verify(place: Place, address: str, authority: Authority, tmp_path: Path) -> None:
    configure(place, address, authority.root)
    assert place.command("ledger", "anchor", "--config", place.house.config).status == 0
    stranger = found_authority(tmp_path / "stranger")
    place.configure(str(authority.root), str(stranger.root))
    status, lines = anchors(place, "--verify")
    assert (status, [line["verified"] for line in lines]) == (1, [False])
    assert "AnchorError" not in str(lines)


def test_a_running_gateway_anchors_by_itself_and_beside_it_anchors_can_be_made(
    place: Place, address: str, authority: Authority
) -> None:
    configure(place, address, authority.root)
    with place.running(), closing(sqlite3.connect(place.database)) as database:
        while not database.execute("SELECT size FROM anchor").fetchall():
            continue
        assert place.command("ledger", "anchor", "--config", place.house.config).status == 0


def test_an_authority_that_is_down_hinders_nobody(place: Place, authority: Authority) -> None:
    configure(place, "http://127.0.0.1:9/tsa", authority.root)
    with place.running():
        assert place.size() == 1
    ended = place.command("ledger", "anchor", "--config", place.house.config)
    assert (ended.status, "cannot be asked" in ended.said) == (1, True)
    assert anchors(place) == (0, [])


def test_without_a_configured_authority_nothing_is_anchored(place: Place) -> None:
    ended = place.command("ledger", "anchor", "--config", place.house.config)
    assert (ended.status, "[ledger.anchors]" in ended.said) == (1, True)


def test_missing_roots_are_told_at_the_start(place: Place, tmp_path: Path) -> None:
    configure(place, "http://127.0.0.1:9/tsa", tmp_path / "none.pem")
    process = place.start()
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "none.pem" in said
    checked = place.command("check-config", "--config", place.house.config)
    assert (checked.status, "none.pem" in checked.said) == (1, True)
