"""The commands, as an operator types them."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.catalogue.loader import load_catalogue, shipped_catalogue_files
from gateway.catalogue.reviews import overdue_reviews
from gateway.cli import cli
from tests.gateway.catalogue.lists import NATION, PROVINCE


def run(*words: str) -> Result:
    return CliRunner().invoke(cli, ["catalogue", *words], catch_exceptions=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "nation.yaml").write_text(NATION, "utf-8")
    (tmp_path / "lists" / "province.yaml").write_text(PROVINCE, "utf-8")
    return tmp_path / "lists"


def test_check_of_the_shipped_lists_says_what_a_lawyer_must_confirm() -> None:
    told = run("check")

    assert told.exit_code == 0
    assert "to be confirmed by a lawyer: item 'disability', 残疾人证管理办法 (M)" in told.output


def test_check_tells_every_mistake_and_fails(folder: Path) -> None:
    (folder / "nation.yaml").write_text(
        NATION.replace("LOW: 5", "LOW: 500").replace("number: 2", "number: two"), "utf-8"
    )

    words = run("check", str(folder))
    value = run("check", "--json", str(folder))

    assert words.exit_code == value.exit_code == 1
    assert "2 mistakes" in words.output
    assert [one["line"] for one in json.loads(value.output)["mistakes"]] == [39, 44]


def test_check_gives_json(folder: Path) -> None:
    told = json.loads(run("check", "--json", str(folder)).output)

    assert (told["ok"], told["items"], told["matters"], told["to_confirm"]) == (True, 2, 1, [])


@pytest.mark.parametrize(("review_by", "overdue"), [("2020-01-01", True), ("2199-12-31", False)])
def test_check_tells_which_transitions_were_to_be_reviewed_and_refuses_none(
    folder: Path, review_by: str, overdue: bool
) -> None:
    for file in folder.iterdir():
        file.write_text(file.read_text("utf-8").replace("review_by: 2027-01-01", f"review_by: {review_by}"), "utf-8")

    words, value = run("check", str(folder)), run("check", "--json", str(folder))

    assert words.exit_code == value.exit_code == 0
    assert ("note: item 'premises'" in words.output and review_by in words.output) is overdue
    told = json.loads(value.output)["to_review"]
    assert told == ([{"item": "premises", "review_by": review_by}] if overdue else [])


@pytest.mark.parametrize(("today", "overdue"), [(date(2021, 12, 31), False), (date(2022, 1, 1), True)])
def test_a_transition_is_overdue_from_the_day_after_its_review(today: date, overdue: bool) -> None:
    found = overdue_reviews(load_catalogue(shipped_catalogue_files()), today=today)

    assert [due for _, due in found] == ([date(2021, 12, 31)] if overdue else [])


def test_explain_tells_the_plan_for_a_matter(folder: Path) -> None:
    told = run("explain", "premises", "--matter", "230000-MSA-001", "--file", str(folder))

    assert told.exit_code == 0
    assert "向自然资源部门核查申请人的“房屋登记”" in told.output
    assert json.loads(run("explain", "premises", "--json", "--file", str(folder)).output)["item"] == "premises"


def test_explain_names_every_mistake_of_the_question() -> None:
    told = run("explain", "nothing", "--matter", "nowhere")

    assert told.exit_code == 1
    assert "no item 'nothing'" in told.output
    assert "no matter 'nowhere'" in told.output


def test_explain_refuses_what_the_matter_may_not_ask() -> None:
    assert "may not ask 'kinship'" in run("explain", "kinship", "--matter", "230000-MSA-001").output


def test_export_writes_the_guide_and_refuses_a_foreign_folder(tmp_path: Path) -> None:
    told = run("export", "--json", str(tmp_path / "guide"))
    assert told.exit_code == 0
    assert "index.html" in json.loads(told.output)["files"]
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "letter").write_text("x")

    assert run("export", str(tmp_path / "other")).exit_code == 1


def test_diff_can_refuse_what_became_looser(folder: Path, tmp_path: Path) -> None:
    new = tmp_path / "new"
    new.mkdir()
    (new / "nation.yaml").write_text(NATION.replace("LOW: 5", "LOW: 4"), "utf-8")
    (new / "province.yaml").write_text(PROVINCE, "utf-8")

    assert run("diff", str(folder), str(new)).exit_code == 0
    assert run("diff", "--fail-if-looser", str(folder), str(new)).exit_code == 1
    assert run("diff", "--fail-if-looser", str(new), str(folder)).exit_code == 0
    (change,) = json.loads(run("diff", "--json", str(folder), str(new)).output)["changes"]
    assert (change["kind"], change["was"], change["now"]) == ("LOOSER", "5", "4")


def test_diff_of_lists_that_are_wrong_names_the_mistakes(folder: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("level: nation", "utf-8")

    told = run("diff", str(folder), str(wrong))

    assert told.exit_code == 1
    assert "wrong.yaml:1: file: 'code' is missing" in told.output
