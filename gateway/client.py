"""Connect to a gateway: a mutual-TLS channel for the generated stubs."""

from __future__ import annotations

from pathlib import Path

import grpc
from google.rpc import error_details_pb2, status_pb2
from grpc import aio


def open_channel(server: str, *, authority: Path, certificate: Path, key: Path) -> aio.Channel:
    """Open an asynchronous channel to `server` (host:port) that shows a certificate and trusts one authority."""
    return aio.secure_channel(server, _credentials(authority, certificate, key))


def open_blocking_channel(server: str, *, authority: Path, certificate: Path, key: Path) -> grpc.Channel:
    """Open a blocking channel, as `open_channel` does."""
    return grpc.secure_channel(server, _credentials(authority, certificate, key))


def _credentials(authority: Path, certificate: Path, key: Path) -> grpc.ChannelCredentials:
    return grpc.ssl_channel_credentials(authority.read_bytes(), key.read_bytes(), certificate.read_bytes())


def explain(error: grpc.RpcError) -> tuple[str, str]:
    """Give the reason of a refusal (such as COMMITMENT_BARRED) and what it says in Chinese, or empty texts."""
    reason, chinese = "", ""
    status = status_pb2.Status()
    for entry in error.trailing_metadata() or ():
        if entry.key == "grpc-status-details-bin":
            status.ParseFromString(entry.value)
    for detail in status.details:
        info, localized = error_details_pb2.ErrorInfo(), error_details_pb2.LocalizedMessage()
        if detail.Unpack(info):
            reason = info.reason
        elif detail.Unpack(localized):
            chinese = localized.message
    return reason, chinese
