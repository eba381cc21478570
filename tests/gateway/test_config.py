"""Configuration and start-up: every mistake at once, and nothing served that should not be."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.bootstrap.serving import Gateway
from gateway.catalogue.loader import load_catalogue, shipped_catalogue_files
from gateway.catalogue.mistakes import CatalogueError
from gateway.config import load_settings
from gateway.errors import ConfigurationError
from gateway.founding import House, found
from ledger import SchemaNewer, StoreMissing

SOURCES = (
    '[sources.civil]\nkind = "dropbox"\ndepartment = "示例"\nfolder = "/nowhere"\n'
    '[sources.civil.facts.cremation-record]\nkey = "a"\n'
)


@pytest.fixture
def house(tmp_path: Path) -> House:
    return found(tmp_path / "var", now=datetime.now(UTC), sources=SOURCES, listen="127.0.0.1:0")


def start(house: House) -> None:
    async def serve() -> None:
        stop = asyncio.Event()
        await Gateway(load_settings(house.config)).serve(lambda _port: stop.set(), stop)

    asyncio.run(serve())


def test_what_init_writes_is_a_configuration_that_serves(house: House) -> None:
    start(house)


def test_unknown_keys_and_wrong_values_are_all_named_at_once(house: House) -> None:
    text = house.config.read_text()
    text = text.replace("[server]", "[server]\nbogus = 1", 1).replace('division = "230100"', 'division = "23"')
    text = text.replace('roles = ["clerk"]', 'roles = ["king"]', 1).replace('drain = "10s"', 'drain = "soon"')
    text = text.replace("max_image_bytes = 8388608", "max_image_bytes = -1")
    house.config.write_text(text)

    with pytest.raises(ConfigurationError) as caught:
        load_settings(house.config)

    told = "\n".join(caught.value.mistakes)
    for part in (
        "server.bogus: is not known",
        "credit.division",
        "'king' is not a role",
        "server.drain",
        "server.max_image_bytes",
    ):
        assert part in told
    assert len(caught.value.mistakes) == 5


def test_standbys_are_named_where_one_must_confirm_and_nowhere_else(house: House) -> None:
    text = house.config.read_text().replace("# standbys =", "standbys =", 1)
    house.config.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        load_settings(house.config)
    assert [one for one in caught.value.mistakes if "standbys" in one and 'sign_after = "standby"' in one]

    postgres = "postgresql+psycopg://postgres@/ledger?host=/run"
    for before, after in (
        ('signing = "inline"', 'signing = "interval"'),
        ('sign_after = "local"', 'sign_after = "standby"'),
        ('url = "sqlite:///ledger.sqlite3"', f'url = "{postgres}"'),
    ):
        assert before in text
        text = text.replace(before, after, 1)
    house.config.write_text(text)
    assert load_settings(house.config).ledger.standbys == ("standby1",)


def test_wrong_settings_of_commitments_and_staff_keys_are_all_named_at_once(house: House) -> None:
    text = house.config.read_text()
    for right, wrong in (
        ('intervals = ["1d", "7d", "30d"]', 'intervals = ["1d", "soon"]'),
        ('proposers = ["officer", "operator"]', 'proposers = ["king"]'),
        ('deciders = ["reviewer", "supervisor"]', "deciders = []"),
        ('credit_fact = "" ', "credit_fact = 7 "),
        ('decision_within = "90d"', 'decision_within = "someday"'),
        ("most = 200 ", "most = 0 "),
    ):
        assert text.count(right) == 1, right
        text = text.replace(right, wrong)
    house.config.write_text(text)

    with pytest.raises(ConfigurationError) as caught:
        load_settings(house.config)

    told = "\n".join(caught.value.mistakes)
    for part in (
        "commitments.standing.intervals", "'king' is not a role", "staff_keys.proposers: at least one role",
        "staff_keys.deciders: at least one role", "commitments.credit_fact", "commitments.decision_within",
        "commitments.standing.most",
    ):  # fmt: skip
        assert part in told
    assert len(caught.value.mistakes) == 7


def test_a_socket_path_that_is_too_long_is_refused_where_there_are_several_processes(house: House) -> None:
    text = house.config.read_text("utf-8").replace('owner_socket = "owner.sock"', f'owner_socket = "{"s" * 110}"')
    house.config.write_text(text, "utf-8")
    load_settings(house.config)
    house.config.write_text(text.replace("workers = 1 ", "workers = 2 "), "utf-8")
    with pytest.raises(ConfigurationError, match=r"ledger\.owner_socket.* longer than the 107 bytes"):
        load_settings(house.config)


@pytest.mark.parametrize(
    "wrong",
    ["127.0.0.1", "127.0.0.1:99999", "127.0.0.1:٨", "localhost:abc", "localhost:", ":8443", "256.1.1.1:80", "1.2.3:80",
     "::1:8443", "[::g]:8443", "[127.0.0.1]:80", "a b:80", "-a:80", "http://127.0.0.1:80", "127.0.0.1:+80",
     "unix:", "unix:x"],
)  # fmt: skip
def test_what_is_no_address_is_refused_wherever_something_listens(house: House, wrong: str) -> None:
    text = house.config.read_text("utf-8").replace('listen = "127.0.0.1:0"', f'listen = "{wrong}"')
    house.config.write_text(text.replace('listen = "" ', f'listen = "{wrong}" '), "utf-8")

    with pytest.raises(ConfigurationError) as caught:
        load_settings(house.config)

    told = sorted(mistake.partition(":")[0] for mistake in caught.value.mistakes)
    assert told == ["metrics.listen", "publication.listen", "server.listen"], caught.value


@pytest.mark.parametrize(
    "right", ["127.0.0.1:0", "0.0.0.0:65535", "[::1]:8443", "localhost:8443", "gate-1.example:443", "unix:/run/gateway"]
)
def test_an_address_and_a_port_or_a_socket_file_is_where_a_gateway_may_listen(house: House, right: str) -> None:
    house.config.write_text(house.config.read_text("utf-8").replace("127.0.0.1:0", right, 1), "utf-8")
    assert load_settings(house.config).server.listen == right


def test_several_workers_cannot_listen_at_a_socket_file(house: House) -> None:
    text = house.config.read_text("utf-8").replace("127.0.0.1:0", "unix:/run/gateway", 1)
    house.config.write_text(text.replace("workers = 1 ", "workers = 2 "), "utf-8")
    with pytest.raises(ConfigurationError, match=r"server\.listen: a socket file belongs to one process"):
        load_settings(house.config)


def test_no_house_is_founded_that_listens_nowhere(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="listen: must be an address"):
        found(tmp_path / "var", now=datetime.now(UTC), sources=SOURCES, listen="127.0.0.1")
    assert not (tmp_path / "var").exists()


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("url", '"postgresql+psycopg://u:secret@127.0.0.1:abc/x"', r"ledger\.url: a ledger lives at"),
        ("url", '"postgresql+psycopg://u:secret@/x?host=a:1&host=b:c"', r"ledger\.url: a ledger lives at"),
        ("url", '"mysql://u:secret@127.0.0.1/x"', r"ledger\.url: a ledger lives at"),
        ("url", '"sqlite:///"', r"ledger\.url: a ledger lives at"),
        (
            "ask_published",
            '["http://xn--/checkpoint"]',
            r"ledger\.ask_published: 'http://xn--/checkpoint' is not an http",
        ),
        ("ask_published", '["ftp://x/checkpoint"]', r"ledger\.ask_published: 'ftp://x/checkpoint' is not an http"),
    ],
)
def test_an_address_of_the_ledger_that_cannot_be_used_is_a_mistake(
    house: House, key: str, value: str, told: str
) -> None:
    text = house.config.read_text("utf-8")
    house.config.write_text(re.sub(rf"(?m)^{key} = .*$", lambda _: f"{key} = {value}", text, count=1), "utf-8")
    with pytest.raises(ConfigurationError, match=told) as caught:
        load_settings(house.config)
    assert len(caught.value.mistakes) == 1
    assert "secret" not in str(caught.value)


def test_a_missing_configuration_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="chengxin init"):
        load_settings(tmp_path / "none.toml")


def test_a_missing_database_is_not_created_by_starting(house: House) -> None:
    (house.home / "ledger.sqlite3").unlink()

    with pytest.raises(StoreMissing):
        start(house)

    assert not (house.home / "ledger.sqlite3").exists()


def test_a_database_of_a_newer_schema_is_not_opened(house: House) -> None:
    with closing(sqlite3.connect(house.home / "ledger.sqlite3")) as database, database:
        database.execute("UPDATE meta SET value = '999' WHERE key = 'schema_version'")

    with pytest.raises(SchemaNewer):
        start(house)


def test_a_second_house_is_not_founded_over_the_first(house: House) -> None:
    with pytest.raises(ConfigurationError, match="already"):
        found(house.home, now=datetime.now(UTC), sources="")


def test_the_shipped_catalogue_has_the_twenty_national_items() -> None:
    catalogue = load_catalogue(shipped_catalogue_files())

    assert [item.number for item in catalogue.items.values()][:20] == list(range(1, 21))
    assert len(catalogue.version) == 64


def test_a_catalogue_with_five_mistakes_reports_all_five_with_file_and_line(tmp_path: Path) -> None:
    nation, *others = shipped_catalogue_files()
    text = nation.read_text("utf-8")
    for right, wrong in (
        ("code: identity\n", "code: Identity!\n"),
        ("    absence: conclusive\n", "    absence: perhaps\n"),
        ("fact: disability-card", "fact: no-such-fact"),
        ("    number: 16\n", "    number: sixteen\n"),
        ("    guide: 核查人事档案的存放单位。\n", "    guide: 核查人事档案的存放单位。\n    colour: red\n"),
    ):
        assert right in text
        text = text.replace(right, wrong, 1)
    broken = tmp_path / "nation.yaml"
    broken.write_text(text, "utf-8")

    with pytest.raises(CatalogueError) as caught:
        load_catalogue([broken])

    told = [str(mistake) for mistake in caught.value.mistakes]
    for part in ("Identity!", "absence", "no-such-fact", "number", "colour"):
        assert any(part in line for line in told), part
    assert all(mistake.line > 0 and mistake.file.endswith("nation.yaml") for mistake in caught.value.mistakes)
    assert others
