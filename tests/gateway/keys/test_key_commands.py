"""`chengxin keys`: a rotation as an operator does it, with a real gateway in between."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from ledger import load_signer, parse_vkey, verify_key_history, write_signing_key
from ledger.log.checkpoint import Checkpoint, read_checkpoint, sign_checkpoint
from tests.gateway.startup.process import Ended, Place, make

ORIGIN = "chengxin.example/log"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return make(tmp_path / "var")


def keys(place: Place, *arguments: str) -> Ended:
    return place.command("keys", arguments[0], "--config", place.house.config, *arguments[1:])


def done(ended: Ended) -> str:
    assert ended.status == 0, ended.said
    return ended.said


def refused(ended: Ended, *parts: str) -> None:
    assert ended.status != 0
    assert "Traceback" not in ended.said
    for part in parts:
        assert part in ended.said


def folder(place: Place) -> Path:
    return place.house.home / "keys"


def receipt(place: Place, index: int, size: int, to: Path) -> Path:
    proved = place.command("ledger", "prove", "--config", place.house.config, str(index), "--size", str(size))
    to.write_text(done(proved), "utf-8")
    return to


def test_a_rotation_from_beginning_to_end(place: Place, tmp_path: Path) -> None:
    with place.running():
        pass
    old = receipt(place, 0, 1, tmp_path / "old.txt")
    done(keys(place, "rotate"))
    with place.running():
        pass
    done(keys(place, "retire"))
    with place.running():
        assert place.size() == 5
    new = receipt(place, 4, 5, tmp_path / "new.txt")

    first, history = place.house.vkey, folder(place) / "log.history"
    told = json.loads(done(keys(place, "history", "--json", "--verify", str(history), "--key", str(first))))
    assert [(key["first"], key["last"]) for key in told["keys"]] == [(0, 3), (2, None)]
    for one in (old, new):
        done(place.command("ledger", "verify", one, "--key", first, "--history", history))
    done(place.command("ledger", "verify", old, "--key", first))
    refused(place.command("ledger", "verify", new, "--key", first), "known key")
    assert "sound" in done(place.command("ledger", "fsck", "--config", place.house.config))

    names = sorted(path.name for path in folder(place).glob("log.*"))
    retired = load_signer(folder(place) / next(n for n in names if "retired" in n), ORIGIN)
    assert retired.verifier.vkey == first.read_text().strip()
    assert not (folder(place) / "log.next.key").exists()
    assert load_signer(folder(place) / "log.key", ORIGIN).verifier.vkey == told["keys"][1]["key"]


def test_a_history_that_is_lost_is_read_back_from_the_log(place: Place) -> None:
    with place.running():
        pass
    done(keys(place, "rotate"))
    with place.running():
        pass
    done(keys(place, "retire"))
    history = folder(place) / "log.history"
    whole = history.read_bytes()
    history.unlink()
    ended = place.refusal()
    assert ended.status == 3
    refused(ended, "KeyHistoryError", "`chengxin keys history --rebuild --key FIRST_PUBLIC_KEY`")
    for command in ("rotate", "retire"):
        assert keys(place, command).status == 3
        assert not history.exists()
    done(keys(place, "history", "--rebuild", "--key", str(place.house.vkey)))
    assert history.read_bytes() == whole
    with place.running():
        pass


def test_a_running_gateway_must_be_stopped_first(place: Place) -> None:
    with place.running():
        refused(keys(place, "rotate"), "stop the gateway")
        assert place.size() == 1
    done(keys(place, "rotate"))
    assert place.size() == 2


def test_the_only_key_is_not_retired(place: Place) -> None:
    refused(keys(place, "retire"), "only key")
    assert place.size() == 0


def test_a_second_rotation_waits_for_the_end_of_the_first(place: Place) -> None:
    done(keys(place, "rotate"))
    refused(keys(place, "rotate"), "under way")
    assert place.size() == 1


def test_a_key_that_has_not_signed_yet_does_not_become_the_only_one(place: Place) -> None:
    done(keys(place, "rotate"))
    refused(keys(place, "retire"), "start the gateway with it first")
    assert place.size() == 1


def test_the_new_key_can_be_retired_too(place: Place) -> None:
    done(keys(place, "rotate"))
    with place.running():
        pass
    new = load_signer(folder(place) / "log.next.key", ORIGIN)
    refused(keys(place, "retire", "--key-id", "00000000"), "no key 00000000")
    done(keys(place, "retire", "--key-id", new.key_id.hex()))
    assert not (folder(place) / "log.next.key").exists()
    assert load_signer(folder(place) / "log.key", ORIGIN).verifier.vkey == place.house.vkey.read_text().strip()
    with place.running():
        pass


def test_a_key_that_was_made_but_not_announced_is_announced_by_the_next_try(place: Place) -> None:
    left = write_signing_key(folder(place) / "log.next.key", ORIGIN)
    with place.running():  # it signs nothing before it is announced
        pass
    assert left.key_id.hex() not in (folder(place) / "checkpoint.seen").read_text()
    assert left.verifier.vkey in done(keys(place, "rotate"))


def test_a_rotation_that_was_cut_off_before_its_file_is_written_is_finished(place: Place) -> None:
    done(keys(place, "rotate"))
    history = folder(place) / "log.history"
    written = history.read_text()
    history.unlink()  # as if the process had died between the entry and the file

    process = place.refusal()
    assert process.status == 3
    assert "--rebuild" in process.said

    assert "in force" in done(keys(place, "rotate"))
    assert history.read_text() == written
    assert place.size() == 1
    refused(keys(place, "rotate"), "under way")
    with place.running():
        pass


def test_a_retirement_that_was_cut_off_before_the_files_were_moved_is_finished(place: Place) -> None:
    done(keys(place, "rotate"))
    with place.running():
        pass
    old, new = (load_signer(folder(place) / name, ORIGIN) for name in ("log.key", "log.next.key"))
    done(keys(place, "retire"))
    (folder(place) / "log.key").rename(folder(place) / "log.next.key")
    (folder(place) / f"log.key.retired-{old.key_id.hex()}").rename(folder(place) / "log.key")
    with place.running():  # the history decides, not the names
        assert place.size() == 4
    done(keys(place, "rotate"))
    assert load_signer(folder(place) / "log.key", ORIGIN).key_id == new.key_id
    assert (folder(place) / f"log.key.retired-{old.key_id.hex()}").exists()


def test_a_lost_history_is_read_back_from_the_log(place: Place) -> None:
    done(keys(place, "rotate"))
    with place.running():
        pass
    done(keys(place, "retire"))
    history = folder(place) / "log.history"
    written = history.read_text()
    history.unlink()
    assert place.refusal().status == 3
    done(keys(place, "history", "--rebuild", "--key", str(place.house.vkey)))
    assert history.read_text() == written
    first = parse_vkey(place.house.vkey.read_text())
    assert verify_key_history(written, first.vkey, ORIGIN).in_force[0].first == 1


def test_a_history_with_one_more_letter_starts_nothing(place: Place) -> None:
    done(keys(place, "rotate"))
    history = folder(place) / "log.history"
    history.write_text(history.read_text() + "x")
    ended = place.refusal()
    assert (ended.status, "KeyHistoryError" in ended.said) == (3, True)


def test_a_retired_key_alone_starts_nothing(place: Place) -> None:
    done(keys(place, "rotate"))
    with place.running():
        pass
    done(keys(place, "retire"))
    retired = next(folder(place).glob("log.key.retired-*"))
    (folder(place) / "log.key").unlink()
    retired.rename(folder(place) / "log.key")
    ended = place.refusal()
    assert (ended.status, "WrongKey" in ended.said) == (3, True)
    assert "for sizes 0 to" in ended.said


def test_verifying_a_history_needs_the_first_key(place: Place) -> None:
    refused(keys(place, "history", "--verify", str(place.house.config)), "--key")


def test_a_key_is_not_retired_where_the_one_that_stays_is_not_at_hand(place: Place) -> None:
    done(keys(place, "rotate"))
    with place.running():
        pass
    (folder(place) / "log.next.key").rename(folder(place) / "away.key")
    size = place.size()
    refused(keys(place, "retire"), "no other key in force is here")
    assert place.size() == size


def signed_by_the_retired(place: Place) -> int:
    """Retire the first key, and have the newest checkpoint signed by it alone, as a program did that did not know."""
    done(keys(place, "rotate"))
    with place.running():
        pass
    old = load_signer(folder(place) / "log.key", ORIGIN)
    done(keys(place, "retire"))
    with place.running():
        pass
    with closing(sqlite3.connect(place.database)) as database:
        ((size, note),) = database.execute("SELECT size, note FROM head").fetchall()
    spoilt = sign_checkpoint(read_checkpoint(note), [old]).hex()
    place.edit(
        f"UPDATE head SET note = x'{spoilt}'", f"UPDATE checkpoint SET note = x'{spoilt}' WHERE size = {size}"
    )  # fmt: skip
    return int(size)


def test_a_log_whose_newest_checkpoint_only_a_retired_key_signed_goes_on_when_a_person_answers_for_it(
    place: Place, tmp_path: Path
) -> None:
    size = signed_by_the_retired(place)
    ended = place.refusal()
    assert ended.status == 3
    refused(ended, "KeyNotInForce", "Do not put the retired key back", "`chengxin keys resume`")
    refused(keys(place, "resume", str(size - 1)), "KeyNotInForce")
    assert place.size() == size

    done(keys(place, "resume", str(size)))
    refused(keys(place, "resume", str(size + 1)), "nothing to resume")
    with place.running():
        assert place.size() == size + 2
    again = receipt(place, size - 1, size + 1, tmp_path / "again.txt")
    done(
        place.command("ledger", "verify", again, "--key", place.house.vkey, "--history", folder(place) / "log.history")
    )


def test_a_log_that_does_not_continue_what_is_remembered_is_not_resumed(place: Place) -> None:
    size = signed_by_the_retired(place)
    stays = load_signer(folder(place) / "log.key", ORIGIN)
    place.seen.write_bytes(sign_checkpoint(Checkpoint(origin=ORIGIN, size=size + 5, root=bytes(32)), [stays]))
    refused(keys(place, "resume", str(size)), "LogShrunk")
    assert place.size() == size
