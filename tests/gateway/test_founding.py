"""A house's certificates say for which unit each system calls, whatever names its departments give them."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.cli import cli
from gateway.errors import ConfigurationError
from gateway.founding import SYSTEMS, House, found
from gateway.pki import Authority, write_pair
from ledger import LedgerError

NOW = datetime.now(UTC)
OTHER_UNIT = "91110000600037341L"


@pytest.fixture
def house(tmp_path: Path) -> House:
    return found(tmp_path / "var", now=NOW, sources="")


def test_a_system_calls_for_the_unit_that_its_certificate_names(house: House) -> None:
    authority = Authority.load(*house.pair("ca"))
    uri = f"spiffe://west.example/org/{OTHER_UNIT}/window"
    write_pair(*authority.system(uri, now=NOW, valid=timedelta(days=1)), *house.pair("window"))

    assert house.unit("window") == OTHER_UNIT
    assert {system: house.unit(system) for system in SYSTEMS} == {system: unit for system, (unit, _) in SYSTEMS.items()}


@pytest.mark.parametrize("system", ["server", "nobody", "ca"])
def test_a_certificate_that_names_no_system_is_refused_by_its_file(house: House, system: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        house.unit(system)
    assert f"{system}.crt" in str(refused.value)


def test_a_file_that_is_no_certificate_is_refused_by_its_name(house: House) -> None:
    house.pair("clerk")[0].write_text("junk", "utf-8")
    with pytest.raises(ConfigurationError) as refused:
        house.unit("clerk")
    assert "clerk.crt" in str(refused.value)


def test_a_house_whose_ledger_cannot_be_made_leaves_nothing_and_can_be_founded_again(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    for home in (tmp_path / "new", tmp_path / "there"):
        before = home.exists()
        with pytest.raises(LedgerError):
            found(home, now=NOW, sources="", url="postgresql+psycopg://nobody@127.0.0.1:1/none")
        assert home.exists() == before
        assert not before or list(home.iterdir()) == []
        assert found(home, now=NOW, sources="").config.exists()


def test_a_house_without_sources_is_founded_with_a_word_on_how_to_go_on(tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["init", "--home", str(tmp_path / "var")])
    assert done.exit_code == 0, done.output
    assert "no source yet, and without one nothing is served" in done.output
    refused = CliRunner().invoke(cli, ["check-config", "--config", str(tmp_path / "var" / "gateway.toml")])
    assert "sources: at least one source is needed: a stanza [sources.NAME]" in str(refused.exception)
