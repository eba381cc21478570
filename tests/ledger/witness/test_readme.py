"""What the README says of witnesses is true: its policy reads, its commands are there."""

from __future__ import annotations

import re
from pathlib import Path

import click

from gateway.cli import cli
from ledger.log.algorithms import sm2
from ledger.witness.policy_file import parse_policy
from tests.ledger.witness.house import Clock, Folder, new_log

README = (Path(__file__).parents[3] / "ledger" / "README.md").read_text("utf-8")
WITNESSES = README.split("## Witnesses")[1].split("\n## ")[0]


def test_the_policy_of_the_readme_reads_with_real_keys(tmp_path: Path) -> None:
    (shown,) = re.findall(r"```\n(log .*?)```", WITNESSES, re.DOTALL)
    keys = []
    for number in range(3):
        (tmp_path / str(number)).mkdir()
        folder = Folder(directory=tmp_path / str(number), algorithms=("ed25519",)).found()
        keys.append(folder.cosigners(Clock())[0].verifier.vkey)
    filled = re.sub(r"^log \S+", f"log {new_log(tmp_path).signer.verifier.vkey}", shown)
    for key in keys:
        filled = re.sub(r"\S+\+…", key, filled, count=1)
    policy = parse_policy(filled.encode())
    assert (policy.quorum, policy.groups[0].threshold, len(policy.witnesses)) == ("outsiders", 2, 3)


def test_every_command_of_the_readme_exists() -> None:
    named = re.findall(r"chengxin (witness|keys) ([a-z-]+)", README)
    assert len(named) >= 6
    for group, command in named:
        found = cli.commands[group]
        assert isinstance(found, click.Group)
        assert command in found.commands


def test_the_identifier_of_sm2_is_the_one_in_the_readme() -> None:
    assert f"0xff `{sm2.TYPE[1:-1].decode()}` 00" in README
