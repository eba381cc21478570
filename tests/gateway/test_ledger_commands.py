"""`chengxin ledger fsck`, `index commit`, `prove-complete` and `verify-complete`, as on a house that `init` founded."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.bootstrap.chores import Chore, Chores
from gateway.bootstrap.ledger import open_ledger
from gateway.bootstrap.serving import open_chores
from gateway.cli import cli
from gateway.config import LedgerSettings, load_settings
from gateway.errors import ConfigurationError
from gateway.founding import House, found
from ledger import Draft, IndexMissing, NoteError, ProofError, Submission, write_key
from ledger.errors import CompletenessError, KeyHistoryError
from ledger.log.key_file import write_cosigner_key
from ledger.log.note import format_line, join_note, split_note
from tests import started
from tests.gateway.test_vault_commands import SOURCES
from tests.ledger.tampering import run as tamper


@pytest.fixture
def house(tmp_path: Path) -> House:
    return found(tmp_path / "var", now=datetime.now(UTC), sources=SOURCES, listen="127.0.0.1:0")


def settings(house: House) -> LedgerSettings:
    return load_settings(house.config).ledger


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["ledger", *map(str, arguments)])


def well(result: Result) -> str:
    assert result.exit_code == 0, (result.output, result.exception)
    return result.stdout


def commitment(house: House, *kinds: str) -> bytes:
    record = os.urandom(16)
    drafts = tuple(Draft(kind=kind, record=record, groups={"body": "x"}) for kind in kinds)
    with open_ledger(settings(house)) as ledger:
        ledger.append_blocking(Submission(drafts=drafts, at=datetime.now(UTC)))
    return record


def test_a_commitment_is_proved_not_withdrawn_and_one_that_was_is_told(house: House, tmp_path: Path) -> None:
    kept = commitment(house, "CommitmentPrepared", "CommitmentRecorded")
    gone = commitment(house, "CommitmentPrepared", "CommitmentRecorded", "CommitmentWithdrawn")
    told = json.loads(well(run("index", "commit", "--config", house.config, "--json")))
    assert (told["index"], told["size"], told["appended"]) == (5, 5, True)
    again = well(run("index", "commit", "--config", house.config))
    assert again.startswith("entry 5 already commits to the index of 5 entries")
    file = tmp_path / "complete.json"
    for record, code, was_not in ((kept, 0, True), (gone, 1, False), (os.urandom(16), 0, True)):
        file.write_text(well(run("prove-complete", "--config", house.config, record.hex())), "utf-8")
        asked = ("verify-complete", file, "--key", house.vkey, "--was-not", "CommitmentWithdrawn")
        verified = run(*asked, "--json")
        assert verified.exit_code == code
        assert json.loads(verified.stdout)["was_not"] is was_not
        assert record.hex() in run(*asked).stdout
    wrong = run("verify-complete", file, "--key", house.vkey, "--was-not", "Withdrawn")
    assert wrong.exit_code == 2
    bent = file.read_text("utf-8").replace('"size":5', '"size":4')
    file.write_text(bent, "utf-8")
    refused = run("verify-complete", file, "--key", house.vkey)
    assert isinstance(refused.exception, CompletenessError | ProofError)


def test_what_cannot_be_proved_is_refused(house: House) -> None:
    assert isinstance(run("prove-complete", "--config", house.config, "00" * 16).exception, IndexMissing)
    for wrong in ("00", "x" * 32, "00" * 17):
        assert run("prove-complete", "--config", house.config, wrong).exit_code == 2
    with open_ledger(settings(house)):
        beside = run("index", "commit", "--config", house.config)
    assert beside.exit_code == 1
    assert "has a writer" in beside.output


def test_fsck_finds_a_house_sound_and_names_the_first_bad_entry(house: House, tmp_path: Path) -> None:
    commitment(house, "CommitmentPrepared", "CommitmentRecorded")
    well(run("index", "commit", "--config", house.config))
    told = json.loads(well(run("fsck", "--config", house.config, "--json")))
    assert (told["ok"], told["size"], told["indexes"]) == (True, 3, 1)
    assert "the ledger is sound" in well(run("fsck", "--config", house.config, "--workers", "2"))
    assert "the ledger is sound" in well(run("fsck", "--config", house.config, "--leaves-from-tiles"))
    copy = Path(shutil.copy(settings(house).url.removeprefix("sqlite:///"), tmp_path / "copy.db"))
    anywhere = ("fsck", "--url", f"sqlite:///{copy}", "--key", house.vkey, "--config", tmp_path / "none.toml")
    assert "the ledger is sound" in well(run(*anywhere, "--resume", tmp_path / "fsck.state"))
    tamper(f"sqlite:///{copy}", "UPDATE entry SET leaf = zeroblob(9) WHERE idx = 1")
    found_bad = run(*anywhere)
    assert found_bad.exit_code == 1
    assert found_bad.stdout.startswith("entry 1: ")
    damages = json.loads(run(*anywhere, "--json").stdout)["damages"]
    assert damages[0]["index"] == 1


def test_fsck_verifies_every_line_whose_key_it_has_and_counts_the_others(house: House, tmp_path: Path) -> None:
    keys = house.home / "keys"
    origin, url = settings(house).origin, settings(house).url
    further = write_key(keys / "log.ml-dsa-44.key", origin, "ml-dsa-44", now=lambda: datetime.now(UTC))
    witness = write_cosigner_key(tmp_path / "w.key", "witness.example/w1", "ed25519")
    (tmp_path / "further.vkeys").write_text(further.verifier.vkey + "\n")
    (tmp_path / "witnesses.vkeys").write_text(f"# those we trust\n\n{witness.verifier.vkey}\n")

    plain = house.config.read_text("utf-8")
    signing = plain.replace("cosigner_key_files = []", 'cosigner_key_files = ["keys/log.ml-dsa-44.key"]')
    house.config.write_text(signing, "utf-8")
    commitment(house, "CommitmentPrepared", "CommitmentRecorded")
    with open_ledger(settings(house)) as ledger:
        note = ledger.checkpoint()
    text = split_note(note)[0]
    line = format_line(witness.name, witness.key_id, witness.sign(text.encode()))
    tamper(url, "INSERT INTO cosignature VALUES (2, :line)", line=line)

    (keys / "w.policy").write_text(f"witness w1 {witness.verifier.vkey} http://127.0.0.1:9\nquorum w1\n")
    whole = signing.replace('# witness_policy_file = "keys/witnesses.policy"', 'witness_policy_file = "keys/w.policy"')
    house.config.write_text(whole, "utf-8")
    assert json.loads(well(run("fsck", "--config", house.config, "--json")))["unverified"] == 0
    assert "not verified" not in well(run("fsck", "--config", house.config))
    anywhere = ("fsck", "--url", url, "--key", house.vkey, "--config", tmp_path / "none.toml")
    assert "2 signature lines of unknown keys were not verified" in well(run(*anywhere))
    given = ("--witness-key", tmp_path / "witnesses.vkeys", "--witness-key", tmp_path / "further.vkeys")
    assert json.loads(well(run(*anywhere, *given[:2], "--json")))["unverified"] == 1
    assert json.loads(well(run(*anywhere, *given, "--json")))["unverified"] == 0

    def bent(line: str) -> str:
        return line[:100] + ("A" if line[100] != "A" else "B") + line[101:]

    own, added = split_note(note)[1]
    for table, where, named in (
        ("checkpoint", "size = 2", "the checkpoint of size 2: "),
        ("head", "id = 1", "the head's checkpoint: "),
    ):
        tamper(url, f"UPDATE {table} SET note = :note WHERE {where}", note=join_note(text, [own, bent(added)]))
        for known in (("fsck", "--config", house.config), (*anywhere, *given)):
            told = run(*known)
            assert told.exit_code == 1
            assert named in told.stdout
        assert "the ledger is sound" in well(run(*anywhere))
        tamper(url, f"UPDATE {table} SET note = :note WHERE {where}", note=note)
    tamper(url, "UPDATE cosignature SET line = :line", line=bent(line))
    for known in (("fsck", "--config", house.config), (*anywhere, *given)):
        told = run(*known)
        assert told.exit_code == 1
        assert "a cosignature of the checkpoint of size 2: " in told.stdout
    assert "the ledger is sound" in well(run(*anywhere))


def test_fsck_names_a_file_of_keys_that_holds_none(house: House, tmp_path: Path) -> None:
    (tmp_path / "bad.vkeys").write_text("not a key\n")
    refused = run("fsck", "--config", house.config, "--witness-key", tmp_path / "bad.vkeys")
    assert isinstance(refused.exception, NoteError)
    assert "line 1" in str(refused.exception)


def test_fsck_rebuilds_projections_where_it_is_told_to_and_only_then(house: House) -> None:
    commitment(house, "CommitmentPrepared", "CommitmentRecorded")
    tamper(settings(house).url, "UPDATE record SET seq = 7")
    for _ in range(2):
        assert run("fsck", "--config", house.config).exit_code == 1
    well(run("fsck", "--config", house.config, "--rebuild-projections"))
    well(run("fsck", "--config", house.config))


def test_options_that_do_not_go_together_are_refused(house: House) -> None:
    for arguments in (
        ("--key", house.vkey),
        ("--history", house.vkey),
        ("--rebuild-projections", "--without-vault"),
        ("--rebuild-projections", "--key", house.vkey, "--url", settings(house).url),
    ):
        assert run("fsck", "--config", house.config, *arguments).exit_code == 2


def index_chore(house: House, every: str) -> list[timedelta]:
    text = house.config.read_text("utf-8")
    house.config.write_text(text.replace('index_every = "1h"', f'index_every = "{every}"'), "utf-8")
    with open_ledger(settings(house)) as ledger:
        chores = open_chores(settings(house), ledger, now=lambda: datetime.now(UTC))
        return [chore.every for chore in chores if chore.name == "index"]


def test_the_clock_commits_to_the_index_as_often_as_configured(house: House) -> None:
    assert index_chore(house, "1h") == [timedelta(hours=1)]


@pytest.mark.parametrize("never", ["0", "0s"])
def test_the_clock_can_be_told_not_to(house: House, never: str) -> None:
    assert index_chore(house, never) == []


def test_a_wrong_period_is_named(house: House) -> None:
    with pytest.raises(ConfigurationError, match="index_every"):
        index_chore(house, "often")


async def test_the_chore_commits_beside_a_running_gateway_and_once_a_period(house: House) -> None:
    with open_ledger(settings(house)) as ledger:
        await ledger.append(
            Submission(drafts=(Draft(kind="CommitmentPrepared", record=os.urandom(16)),), at=datetime.now(UTC))
        )
        (configured,) = [
            chore
            for chore in open_chores(settings(house), ledger, now=lambda: datetime.now(UTC))
            if chore.name == "index"
        ]
        done = asyncio.Event()
        loop = asyncio.get_running_loop()
        times = 0

        def act() -> None:
            nonlocal times
            configured.act()
            ledger.append_blocking(
                Submission(drafts=(Draft(kind="CommitmentPrepared", record=os.urandom(16)),), at=datetime.now(UTC))
            )
            times += 1
            if times == 3:
                loop.call_soon_threadsafe(done.set)

        moment = timedelta(milliseconds=1)
        chore = Chore(name="index", act=act, every=moment, first=moment, retry=moment)
        async with Chores([chore], asyncio.Event()):
            await asyncio.wait_for(done.wait(), 30)
        indexes = [ledger.register().count_state("operation")]
        assert ledger.size() == 1 + times + 1, indexes


def chengxin(*arguments: object) -> subprocess.CompletedProcess[str]:
    """As a person gives the command: what `main` makes of a failure is looked at too."""
    return started.run(*arguments)


def test_what_is_no_text_file_is_said_in_a_line(house: House, tmp_path: Path) -> None:
    commitment(house, "CommitmentPrepared")
    receipt, binary = tmp_path / "receipt", tmp_path / "binary"
    receipt.write_text(well(run("prove", "--config", house.config, 0)))
    binary.write_bytes(b"\xa2\x00\xff")
    history = house.home / "keys" / "log.history"
    verifying = ("ledger", "verify", receipt, "--key")
    for wrong in (binary, tmp_path):
        for command in (
            (*verifying, wrong),
            (*verifying, house.vkey, "--history", wrong),
            ("ledger", "verify-complete", receipt, "--key", wrong),
            ("ledger", "verify-disclosure", receipt, "--key", wrong),
            ("ledger", "verify-disclosure", receipt, "--key", house.vkey, "--history", wrong),
            ("ledger", "check-published", tmp_path, "--key", wrong),
            ("ledger", "fsck", "--url", "sqlite:///none", "--key", wrong),
            ("keys", "history", "--verify", wrong, "--key", house.vkey),
            ("keys", "history", "--verify", history, "--key", wrong),
            ("evidence", "verify", receipt, "--vkey", wrong),
        ):
            done = chengxin(*command)
            assert done.returncode in (1, 2), command
            assert "Traceback" not in done.stderr, command
            assert done.stderr, command
    for command in (("prove", 1 << 63), ("prove", 0, "--size", 1 << 63), ("show", 1 << 80), ("disclose", 1 << 63, "x")):
        assert run(*command, "--config", house.config).exit_code == 2
    done = chengxin("ledger", "export", "/dev/null/there", "--config", house.config)
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    assert done.stderr.startswith("chengxin: ")


def test_a_key_file_may_hold_further_lines_but_not_two_keys_of_one_log(house: House, tmp_path: Path) -> None:
    commitment(house, "CommitmentPrepared")
    receipt, keys = tmp_path / "receipt", tmp_path / "keys.vkeys"
    receipt.write_text(well(run("prove", "--config", house.config, 0)))
    first = house.vkey.read_text("utf-8").strip()
    origin = first.split("+")[0]
    further = write_key(tmp_path / "further.key", origin, "ml-dsa-44").verifier.vkey
    keys.write_text(f"# the log\n{first}\n{further}\n")
    assert "verified" in well(run("verify", receipt, "--key", keys))
    keys.write_text(f"{first}\n{write_key(tmp_path / 'second.key', origin, 'ed25519').verifier.vkey}\n")
    assert isinstance(run("verify", receipt, "--key", keys).exception, KeyHistoryError)
    keys.write_text("# nothing\n")
    assert "holds no key" in run("verify", receipt, "--key", keys).output


def test_a_disclosure_of_a_log_whose_key_has_changed_is_verified_with_the_history(house: House, tmp_path: Path) -> None:
    commitment(house, "CommitmentPrepared")
    old = tmp_path / "old"
    old.write_text(well(run("disclose", "--config", house.config, 0, "body")))
    for act in ("rotate", "retire"):
        done = CliRunner().invoke(cli, ["keys", act, "--config", str(house.config)])
        assert done.exit_code == 0, done.output
        commitment(house, "CommitmentPrepared")
    new = tmp_path / "new"
    new.write_text(well(run("disclose", "--config", house.config, 0, "body")))
    history = ("--history", house.home / "keys" / "log.history")
    assert isinstance(run("verify-disclosure", new, "--key", house.vkey).exception, NoteError)
    for file in (old, new):
        assert '"x"' in well(run("verify-disclosure", file, "--key", house.vkey, *history))
