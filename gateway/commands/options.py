"""What several commands share: options, the configuration, files, a progress bar, a call to the running gateway."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    import grpc

    from gateway.config import Settings
    from gateway.founding import House
    from gateway.v1.parties_pb2 import Operator
    from ledger import KeyHistory
    from ledger.log.vkey import PublicKey
    from ledger.receipt import VerifiedReceipt

_Command = TypeVar("_Command", bound=Callable[..., Any])

CONFIG = click.option(
    "--config",
    type=click.Path(path_type=Path),
    default=Path("var/gateway.toml"),
    show_default=True,
    help="The configuration file.",
)
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
"""A file that must be there."""
KEY = click.option("--key", type=FILE, required=True, help="The log's public key file.")
HISTORY = click.option(
    "--history", type=FILE, help="The published key history, for a log whose key has changed; KEY is the first one."
)
_LARGEST = (1 << 63) - 1
INDEX = click.IntRange(0, _LARGEST)
"""The index of an entry."""
SIZE = click.option(
    "--size", type=click.IntRange(1, _LARGEST), help="Against the checkpoint of this size (the newest by default)."
)
SERVER = click.option("--server", help="host:port; the configured address by default.")


def shown_as(system: str) -> Callable[[_Command], _Command]:
    """Make the option `--as`: whose certificate is shown, `system`'s by default."""
    return click.option("--as", "system", default=system, show_default=True, help="The certificate to show, from pki/.")


def read_config(config: Path) -> Settings:
    """Read the configuration file; raises `ConfigurationError`, which names every mistake."""
    from gateway.config import load_settings

    return load_settings(config)


def pair_to_show(house: House, system: str) -> tuple[Path, Path]:
    """Give the certificate and key of a system to a command that calls the gateway.

    Raises:
        ConfigurationError: the certificate, or the authority's, cannot be read.
        ledger.KeyFileError: the key cannot, or others can read it.
    """
    from ledger.secret_file import read_secret

    certificate, key = house.pair(system)
    require_readable(house.authority, certificate)
    read_secret(key)
    return certificate, key


def require_readable(*paths: Path) -> None:
    """Look whether files of a house can be read; raises `ConfigurationError`."""
    from gateway.errors import ConfigurationError

    for path in paths:
        try:
            path.open("rb").close()
        except OSError as error:
            raise ConfigurationError(str(path), [f"cannot be read ({type(error).__name__})"]) from error


def read_text(path: Path) -> str:
    """Read a text file that a person named."""
    try:
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        raise click.ClickException(f"{path} is not a text file (UTF-8)") from None
    except OSError as failure:
        raise click.ClickException(f"{path} cannot be read ({failure.strerror})") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogKeys:
    """Whose signatures a command believes: the keys of one log, or its first key and what followed."""

    origin: str
    keys: Sequence[PublicKey] | KeyHistory

    def verify_receipt(self, receipt: bytes) -> VerifiedReceipt:
        """Verify a receipt; raises `LedgerError` as `ledger.receipt.verify_receipt` does."""
        from ledger.receipt import verify_receipt

        if isinstance(self.keys, Sequence):
            return verify_receipt(receipt, self.keys, self.origin)
        return self.keys.verify_receipt(receipt)


def read_log_keys(key: Path, history: Path | None) -> LogKeys:
    """Read a log's public key file, a verifier key a line, and the published history of its keys if it is given.

    Raises:
        ledger.LedgerError: a key or the history is wrong, or several keys of a log come without the history.
    """
    from ledger import parse_vkeys, verify_key_history
    from ledger.keyring.history import require_ranges

    keys = parse_vkeys(read_text(key))
    if not keys:
        raise click.ClickException(f"{key} holds no key")
    first = keys[0]
    if history is None:
        require_ranges(keys)
        return LogKeys(origin=first.name, keys=keys)
    return LogKeys(origin=first.name, keys=verify_key_history(read_text(history), first.vkey, first.name))


@contextmanager
def progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show a progress bar on standard error where a person looks on."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), disable=not sys.stderr.isatty(), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def acting(config: Path, system: str, person: str) -> Operator:
    """Give a person who acts for the unit that a system's certificate names."""
    from gateway.founding import House
    from gateway.v1 import parties_pb2

    return parties_pb2.Operator(person=person, unit=House(home=config.parent).unit(system))


@contextmanager
def running_gateway(config: Path, server: str | None, system: str) -> Iterator[grpc.Channel]:
    """Open a channel to the running gateway, showing the certificate of `system`; a refusal ends the command with its
    reason, in English and Chinese.
    """
    import grpc

    from gateway.client import CredentialsWrong, explain, open_blocking_channel
    from gateway.founding import House

    house = House(home=config.parent)
    certificate, key = pair_to_show(house, system)
    address = server or read_config(config).server.listen
    try:
        with open_blocking_channel(address, authority=house.authority, certificate=certificate, key=key) as channel:
            yield channel
    except CredentialsWrong as wrong:
        raise click.ClickException(f"{wrong}\n{wrong.chinese}") from wrong
    except grpc.RpcError as error:
        reason, chinese = explain(error)
        if error.code() is grpc.StatusCode.UNAVAILABLE and not reason:
            tell_tls_fault(house, address, system)
        raise click.ClickException(f"{error.code().name} {reason}: {error.details()}\n{chinese}") from error


def tell_tls_fault(house: House, address: str, system: str) -> None:
    """Look whether it is TLS for which a gateway was found unavailable; gRPC has one word for both.

    Raises:
        click.ClickException: it is, and asking again does not help.
    """
    from gateway.client import PeerRefused, require_handshake

    certificate, key = house.pair(system)
    try:
        require_handshake(address, authority=house.authority, certificate=certificate, key=key)
    except PeerRefused as refused:
        raise click.ClickException(f"{refused}\n{refused.chinese}") from refused
