"""A start with master keys that lack some of those which the documents are sealed under."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from ledger import Draft, Submission
from ledger.errors import MasterKeysWrong
from ledger.vault.master_keys import FileMasterKeys, rotate_master_key
from tests.ledger.house import START, House, new_record


def append(house: House) -> None:
    with house.open() as ledger:
        draft = Draft(kind="CommitmentPrepared", record=new_record(), groups={"about": {"name": "某"}})
        ledger.append_blocking(Submission(drafts=(draft,), at=START))


@pytest.fixture
def rotated(sqlite_house: House) -> tuple[House, Path]:
    """A house with a document under each of two master keys."""
    append(sqlite_house)
    path = sqlite_house.directory / "master.keys"
    rotate_master_key(path, os.urandom)
    house = replace(sqlite_house, master_keys=FileMasterKeys(path))
    append(house)
    return house, path


def with_only(house: House, path: Path, version: int) -> House:
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if line.startswith(f"{version}:")))
    return replace(house, master_keys=FileMasterKeys(path))


def test_a_key_file_from_before_the_rotation_is_refused(rotated: tuple[House, Path]) -> None:
    house = with_only(*rotated, version=1)
    with pytest.raises(MasterKeysWrong, match="version 2, and the newest key is 1"):
        append(house)


def test_a_missing_older_key_is_told_by_its_version(rotated: tuple[House, Path]) -> None:
    house = with_only(*rotated, version=2)
    with capture_logs() as logged:
        append(house)
    assert [one["versions"] for one in logged if "master key is missing" in one["event"]] == [[1]]


def test_all_keys_are_nothing_to_tell(rotated: tuple[House, Path]) -> None:
    with capture_logs() as logged:
        append(rotated[0])
    assert not [one for one in logged if "master key" in one["event"]]
