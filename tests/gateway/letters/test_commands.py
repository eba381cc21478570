"""`chengxin templates` and `chengxin letter check`, as an operator types them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.bootstrap.opening import open_catalogue, open_printer, open_templates, read_catalogue
from gateway.catalogue.loader import shipped_catalogue_files
from gateway.catalogue.mistakes import CatalogueError
from gateway.cli import cli
from gateway.config import load_settings
from gateway.errors import ConfigurationError
from gateway.founding import House, found
from tests.gateway.letters.making import shipped, write

SOURCES = (
    '[sources.civil]\nkind = "dropbox"\ndepartment = "示例"\nfolder = "/nowhere"\n'
    '[sources.civil.facts.cremation-record]\nkey = "a"\n'
)
GOOD = "templates:\n  - {id: own, version: 1, extends: general@2, title: 样式, items: [alive]}\n"
BAD = GOOD.replace("[alive]", "[unicorn]") + "  - {id: two, version: 1, title: 样式}\n"


def run(*words: str) -> Result:
    return CliRunner().invoke(cli, ["templates", *words], catch_exceptions=False)


@pytest.fixture
def house(tmp_path: Path) -> House:
    return found(tmp_path / "var", now=datetime.now(UTC), sources=SOURCES, listen="127.0.0.1:0")


def configured(house: House, lines: str) -> Path:
    text = house.config.read_text("utf-8")
    house.config.write_text(text.replace("template_files = []", lines, 1), "utf-8")
    return house.config


def test_the_shipped_templates_are_listed_with_their_digests() -> None:
    listed = json.loads(run("list", "--json").output)

    assert {f"{one['id']}@{one['version']}": one["digest"] for one in listed} == {
        one.name: one.digest for one in shipped()
    }
    assert "marital-status in 230000-CIV-002" in run("list").output


def test_a_template_is_shown_with_every_part_and_its_heading() -> None:
    told = run("show", "kinship")

    assert told.output.startswith("亲属关系证明事项告知承诺书\nkinship@2 ")
    assert "statement.true_intent 意思表示真实: 上述承诺是{self}真实的意思表示。" in told.output
    assert "notice.withdrawal 承诺的撤回: {withdrawal}" in told.output
    assert json.loads(run("show", "kinship@1", "--json").output)["texts"]["notice.item"] == "{item}"


def test_an_older_version_is_shown_with_the_parts_that_it_had() -> None:
    told = run("show", "kinship@1")

    assert told.exit_code == 0
    assert "notice.effect 承诺的效力: " in told.output
    assert "notice.withdrawal" not in told.output


def test_showing_what_there_is_not_names_what_there_is() -> None:
    told = run("show", "kinship@9")

    assert told.exit_code == 1
    assert "no template 'kinship@9'; there are alive@1, alive@2, business-premises@1" in told.output


def test_check_tells_that_all_is_well(tmp_path: Path) -> None:
    assert run("check").output == f"ok: {len(list(shipped()))} templates\n"
    assert json.loads(run("check", "--json", str(write(tmp_path, GOOD))).output) == {"ok": True, "mistakes": []}


def test_check_tells_every_mistake_and_fails(tmp_path: Path) -> None:
    bad = str(write(tmp_path, BAD))
    told, value = run("check", bad), json.loads(run("check", "--json", bad).output)

    assert told.exit_code == 1
    assert "own.yaml:3: template 'two@1': lacks notice.effect (承诺的效力)" in told.output
    assert value["ok"] is False
    assert {one["line"] for one in value["mistakes"]} == {3}


def test_check_tells_what_does_not_fit_the_catalogue(tmp_path: Path) -> None:
    told = run("check", str(write(tmp_path, GOOD.replace("alive", "unicorn"))))

    assert told.exit_code == 1
    assert "own.yaml:2: template 'own@1': is for item 'unicorn', which the catalogue does not have" in told.output


def test_a_house_brings_its_own_templates(house: House) -> None:
    write(house.home, GOOD)
    config = configured(house, 'template_files = ["own.yaml"]')

    assert open_templates(load_settings(config)).get("own").name == "own@1"
    assert "own@1" in run("list", "--config", str(config)).output


def test_a_gateway_does_not_start_with_templates_that_are_wrong(house: House) -> None:
    write(house.home, BAD)

    with pytest.raises(ConfigurationError) as caught:
        open_templates(load_settings(configured(house, 'template_files = ["own.yaml", "none.yaml"]')))

    assert any("none.yaml:0: cannot be read" in one for one in caught.value.mistakes)
    assert any("template 'two@1': lacks" in one for one in caught.value.mistakes)


def test_a_catalogue_that_names_a_template_there_is_not_is_refused_at_start_and_at_a_reload(house: House) -> None:
    nation, *below = shipped_catalogue_files()
    spoiled = nation.read_text("utf-8").replace("template: general", "template: nowhere", 1)
    write(house.home, spoiled, "nation.yaml")
    files = ", ".join(f'"{name}"' for name in ("nation.yaml", *below))
    house.config.write_text(house.config.read_text("utf-8").replace("\nfiles = []", f"\nfiles = [{files}]", 1), "utf-8")
    settings = load_settings(house.config)

    with pytest.raises(ConfigurationError, match="item 'kinship' 亲属关系证明: no template 'nowhere'"):
        open_catalogue(settings)
    with pytest.raises(CatalogueError, match="no template 'nowhere'"):
        read_catalogue(settings, open_templates(settings))


def test_a_folder_of_fonts_that_is_not_there_is_refused(house: House) -> None:
    config = configured(house, 'template_files = []\nletter_fonts = "fonts"')

    with pytest.raises(ConfigurationError, match="is no folder"):
        open_printer(load_settings(config).commitments)

    (house.home / "fonts").mkdir()
    assert open_printer(load_settings(config).commitments)


def test_a_house_says_how_its_units_are_reached(house: House) -> None:
    lines = 'template_files = []\nletter_where = "https://log.example"\ncontacts = {"11" = "电话"}'
    settings = load_settings(configured(house, lines)).commitments

    assert settings.contacts == {"11": "电话"}
    assert settings.letter_where == "https://log.example"
    assert settings.document_valid == timedelta(minutes=30)


@pytest.mark.parametrize(
    ("lines", "mistake"),
    [
        ("template_files = [3]", "commitments.template_files"),
        ("template_files = []\nletter_fonts = 3", "commitments.letter_fonts"),
        ("template_files = []\nletter_where = 3", "commitments.letter_where"),
        ("template_files = []\ncontacts = {a = 3}", "commitments.contacts"),
    ],
)
def test_settings_of_letters_that_are_wrong_are_named(lines: str, mistake: str, house: House) -> None:
    with pytest.raises(ConfigurationError, match=mistake):
        load_settings(configured(house, lines))
