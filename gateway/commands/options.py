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

    from gateway.client import GatewayRefusal
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
_NO_SYSTEMS = ("ca", "server")
"""What else has a certificate in `pki/`."""
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


def house_of(config: Path, system: str) -> House:
    """Give the house beside a configuration to a command that shows the certificate of `system`.

    Raises:
        ConfigurationError: nothing of a house is there, or no certificate of this system; says what to do.
    """
    from gateway.errors import ConfigurationError
    from gateway.founding import House

    house = House(home=config.parent)
    certificate, _ = house.pair(system)
    if certificate.exists():
        return house
    if not config.exists():
        english = f"is not there, nor is {config}: --config FILE says where the gateway's configuration is"
        chinese = f"此处没有网关配置文件 {config}:请在网关所在的文件夹中运行,或用 --config 指明配置文件的位置。"
    else:
        there = ", ".join(one.stem for one in sorted(certificate.parent.glob("*.crt")) if one.stem not in _NO_SYSTEMS)
        english = f"is not there: --as names a system that has a certificate here ({there or 'none has'})"
        chinese = f"没有系统 {system} 的证书;--as 可用:{there or '无'}。"
    raise ConfigurationError(str(certificate), [f"{english}\n    {chinese}"])


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
    from gateway.v1 import parties_pb2

    return parties_pb2.Operator(person=person, unit=house_of(config, system).unit(system))


@contextmanager
def running_gateway(config: Path, server: str | None, system: str) -> Iterator[grpc.Channel]:
    """Open a channel to the running gateway, showing the certificate of `system`; a refusal ends the command with its
    reason and every mistake, in English and Chinese.
    """
    import grpc

    from gateway.client import CredentialsWrong, ListIncomplete, open_blocking_channel, refusal_of

    house = house_of(config, system)
    certificate, key = pair_to_show(house, system)
    address = server or read_config(config).server.listen
    try:
        with open_blocking_channel(address, authority=house.authority, certificate=certificate, key=key) as channel:
            yield channel
    except ListIncomplete as failure:
        raise click.ClickException(
            f"{failure}; what was told may not be all\n列表分页标记重复,所列内容可能不全。"
        ) from failure
    except CredentialsWrong as wrong:
        raise click.ClickException(f"{wrong}\n{wrong.chinese}") from wrong
    except grpc.RpcError as error:
        refusal = refusal_of(error)
        if error.code() is grpc.StatusCode.UNAVAILABLE and not refusal.reason:
            tell_tls_fault(house, address, system)
        raise click.ClickException(in_both(refusal)) from error


def in_both(refusal: GatewayRefusal) -> str:
    """Tell a refusal in English and Chinese, each mistake by its field."""
    listed = [f"  {one.field}:{one.chinese}" if one.field else f"  {one.chinese}" for one in refusal.mistakes]
    return "\n".join([str(refusal), refusal.chinese, *listed])


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
