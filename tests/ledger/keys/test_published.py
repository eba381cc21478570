"""The key history beside a published log: with the first key alone, whoever checks the log can follow its keys."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from gateway.cli import cli
from gateway.console.log import log_application
from gateway.console.server import http_server
from ledger import KeyHistoryError, KeyNotInForce, NoteError, WrongKey, write_key
from ledger.commands import export, follow_published
from ledger.log.checkpoint import read_checkpoint, sign_checkpoint
from ledger.log.note import Signer
from ledger.log.vkey import parse_vkey
from ledger.publication.client import published_key_history
from ledger.publication.paths import KEY_HISTORY
from tests.ledger.house import ORIGIN, House
from tests.ledger.keys.test_history import Log, begin, rotated


@pytest.fixture
def changed(sqlite_house: House) -> Log:
    return rotated(begin(sqlite_house))


def exported(log: Log, directory: Path, *, key_history: bool = True) -> str:
    text = log.text() if key_history else None
    export(log.house.url, directory, verifiers=log.history.verifiers, origin=ORIGIN, key_history=text)
    return str(directory)


def test_who_has_the_first_key_checks_a_log_that_another_key_signs_now(changed: Log, tmp_path: Path) -> None:
    place = exported(changed, tmp_path / "out")
    report = follow_published(place, parse_vkey(changed.first), ORIGIN)
    assert report.sound
    assert published_key_history(place) == changed.text()


def test_who_has_the_newest_key_needs_no_history(changed: Log, tmp_path: Path) -> None:
    place = exported(changed, tmp_path / "out")
    assert follow_published(place, parse_vkey(changed.keys[1].verifier.vkey), ORIGIN).sound


def test_without_a_history_the_first_key_does_not_verify_what_it_did_not_sign(changed: Log, tmp_path: Path) -> None:
    place = exported(changed, tmp_path / "out", key_history=False)
    with pytest.raises(NoteError):
        follow_published(place, parse_vkey(changed.first), ORIGIN)


def test_a_history_that_does_not_verify_is_refused(changed: Log, tmp_path: Path) -> None:
    place = exported(changed, tmp_path / "out")
    beside = tmp_path / "out" / KEY_HISTORY
    lines = beside.read_text("utf-8").splitlines(keepends=True)
    beside.write_text("".join(line for line in lines if not line.startswith("retired")), "utf-8")
    with pytest.raises(KeyHistoryError):
        follow_published(place, parse_vkey(changed.first), ORIGIN)


def test_a_checkpoint_of_a_key_that_was_retired_before_it_is_refused(sqlite_house: House, tmp_path: Path) -> None:
    log = begin(sqlite_house)
    first = log.keys[0]
    second = log.announce(first)
    log.retire(0, first, second)
    place = exported(log, tmp_path / "out")
    log.grow(1, second)
    export(log.house.url, tmp_path / "out", verifiers=log.history.verifiers, origin=ORIGIN)
    checkpoint = tmp_path / "out" / "checkpoint"
    checkpoint.write_bytes(sign_checkpoint(read_checkpoint(checkpoint.read_bytes()), [first]))
    with pytest.raises(KeyNotInForce):
        follow_published(place, parse_vkey(log.first), ORIGIN)


def check(place: str, *vkeys: str) -> tuple[int, BaseException | None]:
    Path(f"{place}.vkeys").write_text("".join(f"{vkey}\n" for vkey in vkeys), "utf-8")
    done = CliRunner().invoke(cli, ["ledger", "check-published", place, "--key", f"{place}.vkeys"])
    return done.exit_code, done.exception


def test_a_further_line_stands_beside_the_keys_of_the_history_and_never_in_their_place(
    sqlite_house: House, tmp_path: Path
) -> None:
    further = write_key(sqlite_house.directory / "further.key", ORIGIN, "ml-dsa-44")
    line = further.verifier.vkey
    log = begin(sqlite_house)
    first = log.keys[0]
    second = log.announce(first)
    log.retire(0, first, second)
    log.grow(1, second)
    place = exported(log, tmp_path / "out")
    checkpoint = tmp_path / "out" / "checkpoint"

    def sign(*signers: Signer) -> None:
        checkpoint.write_bytes(sign_checkpoint(read_checkpoint(checkpoint.read_bytes()), signers))

    sign(second, further)
    for vkeys in ([log.first, line], [line, log.first], [log.first, line, log.first]):
        assert check(place, *vkeys) == (0, None)
    for signers in ([first], [first, further]):
        sign(*signers)
        assert isinstance(check(place, log.first, line)[1], KeyNotInForce)
    sign(further)
    assert isinstance(check(place, log.first, line)[1], WrongKey)
    sign(second)
    assert check(place, log.first) == (0, None)
    assert isinstance(check(place, log.first, line)[1], WrongKey)


def test_an_export_after_a_rotation_brings_the_history_up_to_date(sqlite_house: House, tmp_path: Path) -> None:
    log = begin(sqlite_house)
    log.grow(2, log.keys[0])
    place = exported(log, tmp_path / "out")
    assert published_key_history(place) == log.text()
    exported(rotated(log), tmp_path / "out")
    assert published_key_history(place) == log.text()
    assert follow_published(place, parse_vkey(log.first), ORIGIN).sound


def test_a_place_without_a_history_says_none(tmp_path: Path) -> None:
    assert published_key_history(str(tmp_path)) is None


@pytest.fixture
async def client(changed: Log) -> AsyncIterator[httpx.AsyncClient]:
    with changed.open(changed.keys[1]) as ledger:
        application = log_application(ledger.publication(), ledger.read, key_history=changed.text())
        async with (
            http_server(application, host="127.0.0.1", port=0, drain=5) as port,
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as made,
        ):
            yield made


async def test_the_running_gateway_serves_it_beside_the_log(client: httpx.AsyncClient, changed: Log) -> None:
    answer = await client.get("/key-history")
    assert (answer.status_code, answer.text) == (200, changed.text())
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    again = await client.get("/key-history", headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("path", ["/key-history/", "/Key-History", "/key-history/x", "/%6bey-history"])
async def test_it_has_one_spelling(client: httpx.AsyncClient, path: str) -> None:
    assert (await client.get(path)).status_code in {400, 404}
