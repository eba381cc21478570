"""Connect to a gateway: a mutual-TLS channel, for the clients here or for the generated stubs."""

from __future__ import annotations

from pathlib import Path

import grpc
from grpc import aio

from gateway.client.credentials import read_credentials

_OPTIONS = [
    ("grpc.max_receive_message_length", 16 << 20),
    # A peer that is gone without a word is noticed. Servers of gRPC allow one ping in five minutes, and end the
    # connection of who sends more.
    ("grpc.keepalive_time_ms", 310_000),
    ("grpc.keepalive_timeout_ms", 20_000),
]


def open_channel(server: str, *, authority: Path, certificate: Path, key: Path) -> aio.Channel:
    """Open an asynchronous channel to `server` (host:port) that shows a certificate and trusts one authority.

    Raises:
        CredentialsWrong: one of the files cannot be used.
    """
    return aio.secure_channel(server, _credentials(authority, certificate, key), options=_OPTIONS)


def open_blocking_channel(server: str, *, authority: Path, certificate: Path, key: Path) -> grpc.Channel:
    """Open a blocking channel; raises as `open_channel` does."""
    return grpc.secure_channel(server, _credentials(authority, certificate, key), options=_OPTIONS)


def _credentials(authority: Path, certificate: Path, key: Path) -> grpc.ChannelCredentials:
    files = read_credentials(authority=authority, certificate=certificate, key=key)
    return grpc.ssl_channel_credentials(files.authority, files.key, files.certificate)
