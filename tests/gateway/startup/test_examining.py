"""`check-config` and `serve` judge alike: everything that can be judged, all at once, and every file that is needed."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from connectors.errors import ConnectorError
from gateway.bootstrap.opening import calendar_notice
from gateway.bootstrap.serving import Gateway
from gateway.cli import cli
from gateway.config import CalendarSettings, load_settings
from gateway.errors import ConfigurationError, GatewayError
from gateway.founding import House, found
from ledger import LedgerError, write_signing_key
from tests.disk import read_only
from tests.gateway.startup.process import SOURCES, Place, make

FILES = (
    "keys/log.key",
    "keys/index.key",
    "keys/master.keys",
    "pki/server.key",
    "pki/server.crt",
    "pki/ca.crt",
    "signers/ca.crt",
)


@pytest.fixture
def house(tmp_path: Path) -> House:
    return found(tmp_path / "var", now=datetime.now(UTC), sources=SOURCES, listen="127.0.0.1:0")


def configure(house: House, *changes: tuple[str, str]) -> None:
    text = house.config.read_text("utf-8")
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    house.config.write_text(text, "utf-8")


def checked(house: House) -> Result:
    return CliRunner().invoke(cli, ["check-config", "--config", str(house.config)])


def started(house: House) -> None:
    async def serve() -> None:
        stop = asyncio.Event()
        await Gateway(load_settings(house.config)).serve(lambda _port: stop.set(), stop)

    asyncio.run(serve())


def spoil(path: Path, content: bytes | None) -> None:
    path.unlink()
    if content is not None:
        path.touch(mode=0o600)
        path.write_bytes(content)


@pytest.mark.parametrize("content", [b"junk\n", b"", None])
@pytest.mark.parametrize("name", FILES)
def test_a_file_without_which_nothing_is_served_is_missed_by_both(
    house: House, name: str, content: bytes | None
) -> None:
    spoil(house.home / name, content)

    done = checked(house)

    assert done.exit_code != 0
    assert isinstance(done.exception, GatewayError | LedgerError | ConnectorError)
    assert name in str(done.exception)
    with pytest.raises(type(done.exception)) as caught:
        started(house)
    assert name in str(caught.value)


def test_mistakes_of_every_stage_are_told_at_once(house: House) -> None:
    for name in FILES:
        spoil(house.home / name, b"junk\n")
    (house.home / "catalogue.yaml").write_text("items: nothing\n", "utf-8")
    (house.home / "templates.yaml").write_text("templates: nothing\n", "utf-8")
    configure(
        house,
        ('gather = "10ms"', 'gather = "soon"'), ('division = "230100"', 'divison = "230100"'),
        ("cosigner_key_files = []", 'cosigner_key_files = ["keys/second.key"]'),
        ('# witness_policy_file = "keys/witnesses.policy"', 'witness_policy_file = "keys/none.policy"'),
        ('# letter_fonts = "fonts"', 'letter_fonts = "nowhere"'),
        ("template_files = []", 'template_files = ["templates.yaml"]'),
        ("[catalogue]\nfiles = []", '[catalogue]\nfiles = ["catalogue.yaml"]'),
        ('key = "a"', 'kee = "a"'),
    )  # fmt: skip

    told = str(checked(house).exception)

    for part in (
        "server.gather", "credit.divison: is not known", "credit.division", "second.key", "none.policy", "nowhere",
        "templates.yaml", "catalogue.yaml", "kee: is not known", *FILES,
    ):  # fmt: skip
        assert part in told, (part, told)


def test_a_list_that_is_none_is_told_beside_a_wrong_stanza(house: House) -> None:
    configure(house, ('credit_fact = "" ', 'credit_fact = "zzz" '), ('key = "a"', 'kee = "a"'))
    told = str(checked(house).exception)
    assert "commitments.credit_fact: the catalogue declares no fact type 'zzz'" in told
    assert "kee: is not known" in told


def test_what_is_missing_is_told_once_and_nothing_is_made_of_its_placeholder(house: House) -> None:
    configure(house, ('key_file = "pki/server.key"\n', ""), ('url = "sqlite:///ledger.sqlite3"', "url = 7"))
    done = checked(house)
    assert isinstance(done.exception, ConfigurationError)
    assert done.exception.mistakes == ("server.key_file: is missing", "ledger.url: must be a non-empty text")


def test_a_key_that_is_not_the_ledgers_is_told_with_what_to_do(tmp_path: Path) -> None:
    place = make(tmp_path / "var")
    key = place.house.home / "keys" / "log.key"
    key.unlink()
    write_signing_key(key, "chengxin.example/log")

    for command in ("check-config", "serve"):
        ended = place.command(command, "--config", place.house.config)
        assert ended.status == 3, ended.said
        assert "(WrongKey)" in ended.said
        assert "Correct [ledger] signing_key_file or url" in ended.said


def test_serve_tells_what_check_config_tells(tmp_path: Path) -> None:
    place = make(tmp_path / "var")
    configure(place.house, ('gather = "10ms"', 'gather = "soon"'), ("workers = 1 ", "workers = 2 "))
    for name in ("keys/log.key", "pki/ca.crt"):
        spoil(place.house.home / name, b"junk")

    ends = [place.command(command, "--config", place.house.config) for command in ("check-config", "serve")]

    assert ends[0] == ends[1]
    assert ends[0].status == 1
    for part in ("server.gather", "log.key", "ca.crt"):
        assert part in ends[0].said


def test_several_workers_do_not_start_with_a_file_that_is_wrong(tmp_path: Path) -> None:
    place = make(tmp_path / "var")
    configure(place.house, ("workers = 1 ", "workers = 2 "))
    spoil(place.house.home / "keys" / "index.key", b"junk")
    ended = place.refusal()
    assert ended.status == 1
    assert ended.said.count("index.key") == 1


def test_a_sound_house_is_found_so_beside_a_gateway_that_runs(tmp_path: Path) -> None:
    place = make(tmp_path / "var")
    with place.running():
        ended = place.command("check-config", "--config", place.house.config)
    assert (ended.status, ended.said[:3]) == (0, "ok:"), ended.said


OFFICERS = "".join(
    f'[[erasure.officers]]\nnumber = "{number}"\nname = "{name}"\npublic_key_file = "{number}.pub"\n'
    for number, name in (("07", "示例甲"), ("08", "示例乙"))
)


def test_every_officer_whose_key_cannot_be_read_is_named(house: House) -> None:
    house.config.write_text(house.config.read_text("utf-8").replace("[calendar]", f"{OFFICERS}[calendar]"), "utf-8")
    (house.home / "08.pub").write_text("junk")

    told = str(checked(house).exception)

    assert "07.pub" in told
    assert "08.pub" in told


def test_one_key_of_two_officers_is_a_mistake(house: House) -> None:
    house.config.write_text(house.config.read_text("utf-8").replace("[calendar]", f"{OFFICERS}[calendar]"), "utf-8")
    key = house.home / "07"
    assert CliRunner().invoke(cli, ["vault", "officer-key", str(key), "--no-passphrase"]).exit_code == 0
    (house.home / "08.pub").write_bytes((house.home / "07.pub").read_bytes())

    assert "the same number, name or key" in str(checked(house).exception)


UNKNOWN = 2199
NOTHING_SET = CalendarSettings(holidays=(), working_days=())


@pytest.mark.parametrize(
    ("today", "said"),
    [
        (date(2026, 6, 1), ""),
        (date(UNKNOWN, 1, 1), f"of {UNKNOWN} are not known"),
        (date(UNKNOWN - 1, 11, 1), f"of {UNKNOWN - 1} are not known"),
        (date(UNKNOWN - 1, 12, 1), f"of {UNKNOWN - 1} and {UNKNOWN} are not known"),
    ],
)
def test_a_year_without_announced_working_days_is_told_when_it_is_near(today: date, said: str) -> None:
    notice = calendar_notice(NOTHING_SET, today=today)

    assert said in notice
    assert bool(said) == bool(notice)


def test_a_year_of_which_one_day_is_configured_is_told() -> None:
    settings = CalendarSettings(holidays=(date(UNKNOWN, 1, 1),), working_days=())

    assert f"of {UNKNOWN} are not known" in calendar_notice(settings, today=date(UNKNOWN, 6, 1))


def test_a_transition_that_was_to_be_reviewed_is_told_and_refuses_nothing(house: House) -> None:
    told = checked(house)

    assert told.exit_code == 0, told.output
    assert "is TRANSITIONAL and was to be reviewed by 2021-12-31" in told.stderr


def test_a_remedy_period_beyond_the_calendar_is_told_before_anything_is_decided(house: House) -> None:
    configure(house, ("remedy_days = 60 ", "remedy_days = 367 "))

    done = checked(house)

    assert done.exit_code != 0
    assert "findings.remedy_days: " in str(done.exception)
    configure(house, ("remedy_days = 367 ", "remedy_days = 366 "))
    assert checked(house).exit_code == 0


# --- the database: check-config refuses what serve refuses ------------------------------------------------------------


def both_refuse(place: Place, error: str, *parts: str) -> None:
    for command in ("check-config", "serve"):
        ended = place.command(command, "--config", place.house.config)
        assert ended.status == 3, (command, ended.said)
        for part in (f"({error})", *parts):
            assert part in ended.said, (command, part, ended.said)


def test_a_database_that_is_older_than_what_is_remembered_is_refused_by_both(tmp_path: Path) -> None:
    place = make(tmp_path / "var")
    backup = place.backup(tmp_path / "backup")
    with place.running():
        pass
    place.restore(backup)
    both_refuse(place, "LogShrunk", "checkpoint.seen", "successor")


def test_what_is_remembered_and_cannot_be_read_is_refused_by_both(tmp_path: Path) -> None:
    place = make(tmp_path / "var")
    with place.running():
        pass
    place.seen.write_bytes(b"garbage\n")
    both_refuse(place, "RememberedUnusable", "checkpoint.seen")
    place.seen.unlink()
    place.seen.mkdir()
    both_refuse(place, "RememberedUnusable", "checkpoint.seen")


def test_a_database_that_can_only_be_read_is_refused_by_both(tmp_path: Path) -> None:
    place = make(tmp_path / "var")
    with place.running():
        pass
    with read_only(place.database, tmp_path / "media") as copy:
        place.configure('url = "sqlite:///ledger.sqlite3"', f'url = "sqlite:///{copy}"')
        both_refuse(place, "StoreUnfit", str(copy), "is read-only here")


def test_what_check_config_asks_leaves_the_database_and_its_log_as_they_were(tmp_path: Path) -> None:
    place = make(tmp_path / "var")
    process = place.start()
    assert process.stdout is not None
    assert process.stdout.readline().startswith("ready ")
    process.kill()  # its log is not written back
    process.communicate()
    log = place.database.with_name("ledger.sqlite3-wal")
    before = (place.database.read_bytes(), log.read_bytes())
    assert before[1]
    assert place.command("check-config", "--config", place.house.config).status == 0
    assert (place.database.read_bytes(), log.read_bytes()) == before
