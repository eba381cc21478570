"""`chengxin keys create`: a new private key that signs checkpoints, of any algorithm the log knows."""

from __future__ import annotations

import json as jsonlib
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from ledger.log.key_file import Algorithm


def add_to(cli: click.Group) -> None:
    """Add the command to the program's `keys`, which is made if it is not there."""
    group = cli.commands.get("keys")
    if not isinstance(group, click.Group):
        group = click.Group("keys", help="The keys that sign the log.")
        cli.add_command(group)
    group.add_command(create)


@click.command("create")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--algorithm", type=click.Choice(["ed25519", "ml-dsa-44", "sm2"]), required=True)
@click.option("--name", required=True, help="The key name: the origin of the log whose checkpoints it will sign.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def create(file: Path, algorithm: Algorithm, name: str, as_json: bool) -> None:
    """Make a key in FILE (PKCS#8, mode 0600) and print its verifier key.

    Name the file in `[ledger] cosigner_key_files`, start the gateway anew, and publish the verifier key.
    """
    from ledger import write_key

    vkey = write_key(file, name, algorithm).verifier.vkey
    click.echo(jsonlib.dumps({"file": str(file), "algorithm": algorithm, "vkey": vkey}) if as_json else vkey)
