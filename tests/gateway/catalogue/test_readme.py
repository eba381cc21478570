"""What the README says is true: its examples load, and it names every key, word and command there is."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import click
import pytest

from gateway.catalogue import words
from gateway.catalogue.loader import load_catalogue, shipped_catalogue_files
from gateway.cli import cli

ROOM = Path(__file__).parents[3] / "gateway" / "catalogue"
README = (ROOM / "README.md").read_text("utf-8")
EXAMPLES = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
READERS = ("readers.py", "matter_reader.py", "list_file.py", "expressions.py")
METHODS = {
    "node", "text", "code", "integer", "boolean", "day", "word", "words", "texts", "list", "mapping", "inner", "names",
    "has",
}  # fmt: skip


def test_the_examples_load_together_as_a_citys_list(tmp_path: Path) -> None:
    head, item, matter, region = EXAMPLES
    city = tmp_path / "city.yaml"
    # The head's item and the new one are one section of one file.
    items = re.search(r"items:\n(.*?)\nfact_types:", item, re.DOTALL)
    assert items is not None
    city.write_text(head + items[1] + "\n" + item[item.index("fact_types:") :] + matter + region, "utf-8")

    catalogue = load_catalogue([*shipped_catalogue_files()[:2], city])

    assert catalogue.item("marital-status").audit.due_working_days == 30
    assert catalogue.item("school-enrolment").list_code == "230200"
    assert catalogue.matter("230200-EDU-001").items["identity"].excluded_from_commitment
    assert catalogue.region.name == "某市"


def keys() -> set[str]:
    """Every key that the readers take: the first argument of each reading method."""
    found: set[str] = set()
    for name in READERS:
        for node in ast.walk(ast.parse((ROOM / name).read_text("utf-8"))):
            is_call = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
            if is_call and node.func.attr in METHODS and node.args and isinstance(node.args[0], ast.Constant):
                found.add(str(node.args[0].value))
    return found


def test_every_key_is_documented() -> None:
    documented = set(re.findall(r"[a-z_]+", README))
    known = keys()

    assert {"code", "transition", "from_age", "patience_seconds", "publication_basis"} <= known
    assert known - documented == set()


@pytest.mark.parametrize(
    "vocabulary",
    [words.ItemState, words.Certainty, words.ValueKind, words.Absence, words.Sensitivity, words.Sharing,
     words.SourcePolicyKind, words.Rung, words.CommitmentAllowance, words.CommitmentMode, words.WithdrawalUntil,
     words.WithdrawalEffect, words.Publication, words.AuditTiming, words.Risk, words.Disclosure, words.Level],
)  # fmt: skip
def test_every_word_is_documented(vocabulary: type) -> None:
    documented = set(re.findall(r"[A-Za-z_-]+", README))

    assert {str(word.value) for word in vocabulary} - documented == set()  # type: ignore[attr-defined]


def test_every_command_is_documented() -> None:
    group = cli.commands["catalogue"]
    assert isinstance(group, click.Group)

    assert set(re.findall(r"chengxin catalogue ([a-z]+)", README)) == set(group.commands)


def test_every_file_is_described() -> None:
    described = set(re.findall(r"`([a-z_]+)`", README.split("## The files here")[1]))

    assert {file.stem for file in ROOM.glob("*.py")} - {"__init__", "words", "expression"} - described == set()
