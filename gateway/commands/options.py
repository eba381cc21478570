"""What several commands share: options, the configuration, a progress bar, and a call to the running gateway."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    import grpc

    from gateway.config import Settings
    from gateway.founding import House

_Command = TypeVar("_Command", bound=Callable[..., Any])

CONFIG = click.option(
    "--config",
    type=click.Path(path_type=Path),
    default=Path("var/gateway.toml"),
    show_default=True,
    help="The configuration file.",
)
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
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
        ConfigurationError: one of them, or the authority's certificate, cannot be read.
    """
    certificate, key = house.pair(system)
    require_readable(house.authority, certificate, key)
    return certificate, key


def require_readable(*paths: Path) -> None:
    """Look whether files of a house can be read; raises `ConfigurationError`."""
    from gateway.errors import ConfigurationError

    for path in paths:
        try:
            path.open("rb").close()
        except OSError as error:
            raise ConfigurationError(str(path), [f"cannot be read ({type(error).__name__})"]) from error


@contextmanager
def progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show a progress bar on standard error where a person looks on."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), disable=not sys.stderr.isatty(), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextmanager
def running_gateway(config: Path, server: str | None, system: str) -> Iterator[grpc.Channel]:
    """Open a channel to the running gateway, showing the certificate of `system`; a refusal ends the command with its
    reason, in English and Chinese.
    """
    import grpc

    from gateway.client import explain, open_blocking_channel
    from gateway.founding import House

    house = House(home=config.parent)
    certificate, key = pair_to_show(house, system)
    address = server or read_config(config).server.listen
    with open_blocking_channel(address, authority=house.authority, certificate=certificate, key=key) as channel:
        try:
            yield channel
        except grpc.RpcError as error:
            reason, chinese = explain(error)
            raise click.ClickException(f"{error.code().name} {reason}: {error.details()}\n{chinese}") from error
