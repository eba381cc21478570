"""Connect to a gateway: a mutual-TLS channel, for the clients here or for the generated stubs."""

from __future__ import annotations

from collections.abc import Callable
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


Assert = Callable[[], str]
"""Gives an assertion of who acts, from the unit's identity provider, for each call; called on a thread of gRPC."""


def open_channel(
    server: str, *, authority: Path, certificate: Path, key: Path, operator: Assert | None = None
) -> aio.Channel:
    """Open an asynchronous channel to `server` (host:port) that shows a certificate and trusts one authority; and, with
    `operator`, who acts, in each call.

    Raises:
        CredentialsWrong: one of the files cannot be used.
    """
    return aio.secure_channel(server, _credentials(authority, certificate, key, operator), options=_OPTIONS)


def open_blocking_channel(
    server: str, *, authority: Path, certificate: Path, key: Path, operator: Assert | None = None
) -> grpc.Channel:
    """Open a blocking channel; raises as `open_channel` does."""
    return grpc.secure_channel(server, _credentials(authority, certificate, key, operator), options=_OPTIONS)


def _credentials(authority: Path, certificate: Path, key: Path, operator: Assert | None) -> grpc.ChannelCredentials:
    files = read_credentials(authority=authority, certificate=certificate, key=key)
    channel = grpc.ssl_channel_credentials(files.authority, files.key, files.certificate)
    if operator is None:
        return channel
    return grpc.composite_channel_credentials(channel, grpc.metadata_call_credentials(_Shown(operator)))


class _Shown(grpc.AuthMetadataPlugin):
    """Adds the assertion of who acts to each call; one that cannot be had ends the call."""

    def __init__(self, supply: Assert) -> None:
        self._supply = supply

    def __call__(self, _context: grpc.AuthMetadataContext, callback: grpc.AuthMetadataPluginCallback) -> None:
        callback((("operator-assertion", self._supply()),), None)
