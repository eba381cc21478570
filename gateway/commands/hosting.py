"""`chengxin connectors host`: a department hosts its own adapter, and answers a gateway out of a stanza of its own."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.commands.connectors import connected, read_catalogue, read_stanza
from gateway.commands.options import FILE

if TYPE_CHECKING:
    from connectors.hosting import Host, HostTls
    from connectors.resilience import Resilient

_DRAIN = 10.0
"""Seconds that questions under way have when the adapter stops."""
_LONGEST = 30.0
"""The most seconds that a question may take."""


@click.command("host")
@click.argument("stanza_file", type=FILE)
@click.option("--source", help="Which source of the file, if it holds several.")
@click.option("--listen", "address", default="127.0.0.1:8443", show_default=True, metavar="HOST:PORT")
@click.option("--certificate", type=FILE, help="What the adapter shows (PEM).")
@click.option("--key", type=FILE, help="Its private key (PEM), readable by its owner alone.")
@click.option("--callers-authority", type=FILE, help="Which authority callers' certificates must come from (PEM).")
@click.option(
    "--caller",
    "callers",
    multiple=True,
    metavar="NAME",
    help="Who may ask: a URI or DNS name of the caller's certificate; repeatable.",
)
@click.option(
    "--catalogue",
    "catalogue_files",
    type=FILE,
    multiple=True,
    help="A list of the catalogue whose facts the stanza answers, and each above it; by default the shipped ones.",
)
@click.option("--plaintext", is_flag=True, help="Without TLS, to this machine only, behind a proxy of your own.")
def host(
    *,
    stanza_file: Path,
    source: str | None,
    address: str,
    certificate: Path | None,
    key: Path | None,
    callers_authority: Path | None,
    callers: tuple[str, ...],
    catalogue_files: tuple[Path, ...],
    plaintext: bool,
) -> None:
    """Answer `connectors.v1.SourceService` out of the source of a stanza file, until SIGTERM or SIGINT.

    The department's records stay with it: a gateway that has a stanza of kind `grpc` is told outcomes only. Prints
    `ready PORT` on standard output when it answers; logs, which name callers and nobody else, go to standard error.
    """
    from gateway.config.address import listen_mistake
    from gateway.logs import configure

    name, stanza = read_stanza(stanza_file, source)
    if (mistake := listen_mistake(address)) is not None:
        raise click.UsageError(f"--listen: {mistake}")
    tls = _tls(certificate, key, callers_authority, callers, plaintext=plaintext, address=address)
    connector = connected(name, stanza, read_catalogue(catalogue_files))
    configure()
    asyncio.run(_serve(connector, address, tls))


def _tls(
    certificate: Path | None,
    key: Path | None,
    authority: Path | None,
    callers: tuple[str, ...],
    *,
    plaintext: bool,
    address: str,
) -> HostTls | None:
    """Read what the adapter shows and whom it answers; None for `plaintext`."""
    from connectors.hosting import HostTls
    from connectors.transports.addresses import is_loopback
    from gateway.tls_files import Named, TlsFilesWrong, read_tls_files
    from ledger.secret_file import read_secret

    given = {"--certificate": certificate, "--key": key, "--callers-authority": authority, "--caller": callers}
    if plaintext:
        if any(given.values()):
            raise click.UsageError(f"{', '.join(name for name in given if given[name])}: goes without --plaintext")
        if not is_loopback(address):
            raise click.UsageError("--plaintext: is for this machine (127.0.0.1, [::1], localhost) only")
        return None
    if certificate is None or key is None or authority is None or not callers:
        lacking = ", ".join(name for name, value in given.items() if not value)
        raise click.UsageError(f"give {lacking}; or --plaintext, for callers on this machine alone")
    try:
        files = read_tls_files(
            certificate=Named(name="--certificate", path=certificate),
            key=Named(name="--key", path=key),
            authority=Named(name="--callers-authority", path=authority),
            read_key=read_secret,
        )
    except TlsFilesWrong as wrong:
        raise click.UsageError("\n".join(wrong.mistakes)) from None
    return HostTls(
        certificate=files.certificate, key=files.key, callers_authority=files.authority, callers=frozenset(callers)
    )


async def _serve(source: Resilient, address: str, tls: HostTls | None) -> None:
    from connectors.hosting import Host

    try:
        await _until_told(Host(source, address=address, tls=tls, longest=_LONGEST))
    finally:
        await source.aclose()


async def _until_told(adapter: Host) -> None:
    """Serve until a signal says that it is enough."""
    stop = asyncio.Event()
    try:
        await adapter.start()
    except OSError as error:
        raise click.ClickException(str(error)) from None
    for sign in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(sign, stop.set)
    click.echo(f"ready {adapter.port}")
    await stop.wait()
    await adapter.stop(_DRAIN)
