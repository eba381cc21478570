"""A gateway whose ledger is not what it must be does not start, says why, and touches nothing."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from gateway.bootstrap.ledger import open_ledger
from gateway.config import load_settings
from ledger import Draft, Submission, load_signer, write_signing_key
from ledger.log.checkpoint import Checkpoint, read_checkpoint, sign_checkpoint
from ledger.vault.master_keys import write_master_key
from tests.gateway.startup.process import Ended, Place, make

ORIGIN = "chengxin.example/log"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return make(tmp_path / "var")


def refused(ended: Ended, error: str, *parts: str) -> None:
    assert ended.status == 3, ended.said
    told = ended.said[ended.said.index("Error: ") :]
    for part in (f"({error})", *parts):
        assert part in told
    assert "Traceback" not in ended.said


def replace_key(place: Place) -> None:
    key = place.house.home / "keys" / "log.key"
    key.unlink()
    write_signing_key(key, ORIGIN)


def test_another_signing_key_is_refused(place: Place) -> None:
    replace_key(place)
    refused(place.refusal(), "WrongKey", "signing_key_file")


def test_another_origin_is_refused(place: Place) -> None:
    place.configure(f'origin = "{ORIGIN}"', 'origin = "other.example/log"')
    refused(place.refusal(), "WrongOrigin", ORIGIN, "other.example/log")


def test_a_database_restored_from_an_old_backup_is_refused(place: Place, tmp_path: Path) -> None:
    with place.running():
        backup = place.backup(tmp_path / "backup")
    with place.running():
        pass
    newest = place.backup(tmp_path / "newest")
    place.restore(backup)

    refused(place.refusal(), "LogShrunk", "1 entries", "checkpoint of 2", "successor")

    place.restore(newest)
    with place.running():
        assert place.size() == 3


def test_a_restored_database_that_grew_again_is_refused(place: Place, tmp_path: Path) -> None:
    backup = place.backup(tmp_path / "backup")
    with place.running():
        pass
    seen = shutil.copy(place.seen, tmp_path / "seen")
    place.restore(backup)
    place.seen.unlink()
    with place.running():  # nothing is remembered here, so nothing can be noticed
        pass
    shutil.copy(seen, place.seen)

    refused(place.refusal(), "LedgerDamaged", "the first 1 entries", "checkpoint.seen")


def test_a_root_that_does_not_recompute_is_refused(place: Place) -> None:
    with place.running():
        pass
    place.edit("UPDATE tile SET data = zeroblob(32) WHERE level = 0 AND n = 0")
    refused(place.refusal(), "LedgerDamaged", "another root", "fsck")


def test_a_head_that_is_not_what_its_checkpoint_says_is_refused(place: Place) -> None:
    with place.running():
        pass
    place.edit("UPDATE head SET root = zeroblob(32)")
    refused(place.refusal(), "LedgerDamaged")


def test_a_newest_checkpoint_that_is_none_or_badly_signed_is_refused(place: Place) -> None:
    with place.running():
        pass
    with closing(sqlite3.connect(place.database)) as database:
        (note,) = database.execute("SELECT note FROM head").fetchone()
    for spoilt in (b"\x00garbage", b"", b"garbage\n", note[:-9] + b"AAAAAAA=\n", note[:40]):
        place.edit(f"UPDATE head SET note = x'{spoilt.hex()}'")
        refused(place.refusal(), "LedgerDamaged", "newest checkpoint", "fsck")


def test_a_database_without_one_of_its_tables_is_refused(place: Place) -> None:
    place.edit_schema("DROP TABLE head")
    refused(place.refusal(), "LedgerDamaged", "not a whole ledger")


def test_a_database_that_is_cut_short_or_none_is_refused(place: Place) -> None:
    with place.running():
        pass
    whole = place.backup(place.house.home / "backup").read_bytes()
    for content, error in (
        (whole[: len(whole) // 2], "LedgerDamaged"),
        (whole[:100], "LedgerDamaged"),
        (os.urandom(20_000), "LedgerDamaged"),
        (b"", "StoreMissing"),
    ):
        place.overwrite(content)
        ended = place.command("serve", "--config", place.house.config)
        refused(ended, error)
        assert place.database.read_bytes() == content


def test_a_database_that_is_not_there_is_refused_and_not_made(place: Place) -> None:
    place.database.unlink()
    refused(place.command("serve", "--config", place.house.config), "StoreMissing", "[ledger] url")
    assert not place.database.exists()


def test_a_file_of_something_else_is_refused(place: Place) -> None:
    place.database.unlink()
    with closing(sqlite3.connect(place.database)) as database:
        database.execute("CREATE TABLE x (y)")
    refused(place.refusal(), "StoreMissing", "not a ledger")


def test_a_newer_schema_is_refused(place: Place) -> None:
    place.edit("UPDATE meta SET value = '999' WHERE key = 'schema_version'")
    refused(place.refusal(), "SchemaNewer", "schema 999", "later one")


def test_a_remembered_checkpoint_that_cannot_be_read_is_refused(place: Place) -> None:
    for content in (b"", b"garbage\n", b"\xff"):
        place.seen.write_bytes(content)
        refused(place.refusal(), "RememberedUnusable", "checkpoint.seen")


def test_a_checkpoint_remembered_of_another_log_is_refused(place: Place, tmp_path: Path) -> None:
    stranger = write_signing_key(tmp_path / "stranger.key", ORIGIN)
    place.seen.write_bytes(sign_checkpoint(Checkpoint(origin=ORIGIN, size=0, root=bytes(32)), [stranger]))
    refused(place.refusal(), "RememberedUnusable", "known key")


def ahead(place: Place) -> bytes:
    signer = load_signer(place.house.home / "keys" / "log.key", ORIGIN)
    return sign_checkpoint(Checkpoint(origin=ORIGIN, size=1000, root=bytes(32)), [signer])


def test_a_published_copy_that_is_ahead_is_believed(place: Place, tmp_path: Path) -> None:
    (tmp_path / "checkpoint").write_bytes(ahead(place))
    place.configure("ask_published = []", f'ask_published = ["{tmp_path / "checkpoint"}"]')
    refused(place.refusal(), "LogShrunk", "checkpoint of 1000", str(tmp_path / "checkpoint"))


Publish = Callable[[int, bytes], str]


@pytest.fixture
def publish() -> Iterator[Publish]:
    servers: list[tuple[ThreadingHTTPServer, Thread]] = []

    def serve(status: int, body: bytes) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        servers.append((server, thread))
        return f"http://127.0.0.1:{server.server_address[1]}/checkpoint"

    yield serve
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_copy_published_over_http_that_is_ahead_is_believed(place: Place, publish: Publish) -> None:
    place.configure("ask_published = []", f'ask_published = ["{publish(200, ahead(place))}"]')
    refused(place.refusal(), "LogShrunk", "checkpoint of 1000", "http://127.0.0.1")


def test_published_copies_that_give_no_checkpoint_do_not_hinder(place: Place, publish: Publish) -> None:
    addresses = [publish(200, b"<html>log in</html>"), publish(404, b""), "http://127.0.0.1:9/checkpoint", "/nowhere"]
    place.configure("ask_published = []", f"ask_published = {addresses!r}".replace("'", '"'))
    with place.running():
        assert place.size() == 1


def test_what_was_acknowledged_is_remembered_when_the_gateway_ends(place: Place) -> None:
    with place.running():
        pass
    assert read_checkpoint(place.seen.read_bytes()).size == place.size() == 1


def test_what_was_acknowledged_is_remembered_while_the_gateway_runs(place: Place) -> None:
    place.configure('seen_every = "10s"', 'seen_every = "10ms"')
    process = place.start()
    assert process.stdout is not None
    assert process.stdout.readline().startswith("ready ")
    while read_checkpoint(place.seen.read_bytes()).size != 1:
        assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.communicate()
    with place.running():
        assert place.size() == 2


def test_a_key_history_that_is_ahead_of_the_log_is_refused(place: Place, tmp_path: Path) -> None:
    backup = place.backup(tmp_path / "backup")
    assert place.command("keys", "rotate", "--config", place.house.config).status == 0
    place.restore(backup)
    place.seen.unlink()
    refused(place.refusal(), "LogShrunk", "key history")


def test_a_start_that_waits_for_others_ends_when_it_is_told_to(place: Place) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        place.configure(
            "ask_published = []", f'ask_published = ["http://127.0.0.1:{silent.getsockname()[1]}/checkpoint"]'
        )
        process = place.start()
        connection, _ = silent.accept()  # it asks, and is not answered
        with closing(connection):
            began = time.monotonic()
            process.terminate()
            process.communicate(timeout=20)
            assert time.monotonic() - began < 4
            assert process.returncode == 0


def test_other_master_keys_under_the_same_versions_are_refused(place: Place) -> None:
    with open_ledger(load_settings(place.house.config).ledger) as ledger:
        draft = Draft(kind="CommitmentPrepared", record=os.urandom(16), groups={"body": "x"})
        ledger.append_blocking(Submission(drafts=(draft,), at=datetime.now(UTC)))
    keys = load_settings(place.house.config).ledger.master_keys_file
    mine = keys.read_bytes()
    keys.unlink()
    write_master_key(keys, os.urandom)
    refused(place.refusal(), "MasterKeysWrong", "version 1", "master_keys_file")
    shown = place.command("vault", "keys", "show", "--config", place.house.config)
    assert shown.status == 1
    keys.write_bytes(mine)
    shown = place.command("vault", "keys", "show", "--config", place.house.config)
    assert shown.status == 0
