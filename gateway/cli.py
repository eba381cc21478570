"""The command `chengxin`: every group of commands under one name."""

from __future__ import annotations

import logging
import os
import sys
from typing import Any

import click

from gateway.commands import (
    ask,
    assistance,
    audit,
    catalogue,
    commitments,
    connectors,
    erasure,
    evidence,
    hosting,
    house,
    keys,
    ledger,
    letters,
    staff_keys,
    templates,
    vault,
    witness,
)


class _Text(click.types.StringParamType):
    """Text as it was typed, in the encoding that this terminal is said to have."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Refuse what is not in that encoding: nobody could say what it was meant to be."""
        text = super().convert(value, param, ctx)
        if any("\ud800" <= letter <= "\udfff" for letter in text):
            self.fail(
                f"is not text in {sys.getfilesystemencoding()}; the terminal writes in another encoding\n"
                "输入的文字编码有误:请将终端字符编码设为 UTF-8 后重新输入。",
                param,
                ctx,
            )
        return text


def _texts(command: click.Command) -> None:
    """Let every text that a command and those in it take be `_Text`; names of files are octets, and may be anything."""
    for parameter in command.params:
        if type(parameter.type) is click.types.StringParamType:
            parameter.type = _Text()
    for one in command.commands.values() if isinstance(command, click.Group) else ():
        _texts(one)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="chengxin")
def cli() -> None:
    """Data-sharing verification gateway with a personal commitment ledger (数据共享核验网关与告知承诺台账)."""


def main() -> None:
    """Run the command; what is wrong is said in one place and ends with a non-zero status.

    Raises:
        KeyboardInterrupt: its user does not want it to go on.
    """
    from connectors.errors import ConnectorError
    from gateway import logs
    from gateway.errors import GatewayError
    from ledger.errors import LedgerError

    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # what gRPC's library writes of connections is for who asks for it
    if logging.lastResort is not None:  # an interrupted library says so in full there, and passes it on
        logging.lastResort.addFilter(
            lambda told: not (told.exc_info and isinstance(told.exc_info[1], KeyboardInterrupt))
        )
    logs.configure()  # to standard error: standard output is for what was asked for
    try:
        cli.main(standalone_mode=False)
    except click.exceptions.Abort:
        raise KeyboardInterrupt from None
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (GatewayError, LedgerError, ConnectorError) as error:
        click.echo(f"chengxin: {error}", err=True)
        sys.exit(1)
    except UnicodeDecodeError:
        click.echo("chengxin: a file that must be text is not (UTF-8)", err=True)
        sys.exit(1)
    except OSError as error:
        # A full disk, a folder where a file should be, a file that nobody may read: nothing that a traceback explains.
        where = f"{error.filename}: " if error.filename else ""
        click.echo(f"chengxin: {where}{error.strerror or type(error).__name__}", err=True)
        sys.exit(1)


for _command in (
    house.init, house.check_config, house.serve, house.demo, ask.ask, assistance.assistance, ledger.ledger,
    audit.audit, catalogue.catalogue,
    connectors.connectors, commitments.commitments, evidence.evidence, letters.letter, templates.templates, keys.keys,
    staff_keys.staff_keys, vault.vault, witness.witness,
):  # fmt: skip
    cli.add_command(_command)
connectors.connectors.add_command(hosting.host)
for _command in (erasure.erase, erasure.hold, erasure.retention, erasure.officer_key):
    vault.vault.add_command(_command)
_texts(cli)
