"""The gRPC server: the one file that knows which implementation serves (grpc.aio over mutual TLS).

Health per service, reflection by configuration, bounded messages, graceful drain. Plaintext only when asked for by
name in the configuration.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import grpc
import structlog
from google.protobuf.descriptor import ServiceDescriptor
from grpc import aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

_log = structlog.get_logger()

_STATUS = health_pb2.HealthCheckResponse


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """What the server shows (PEM) and which authority its callers' certificates must come from (PEM)."""

    certificate: bytes
    key: bytes
    client_authority: bytes


class AddServicer(Protocol):
    """The generated `add_XServicer_to_server`."""

    def __call__(self, servicer: Any, server: Any, /) -> None:
        """Register the servicer's methods."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One service: its descriptor, its servicer and the generated function that registers it."""

    descriptor: ServiceDescriptor
    servicer: object
    add: AddServicer


class GrpcServer:
    """Serves services at an address until stopped; with `shared`, other processes serve at the same address."""

    def __init__(
        self,
        services: Sequence[Service],
        *,
        address: str,
        tls: Tls | None,
        max_message_bytes: int,
        reflect: bool,
        shared: bool = False,
    ) -> None:
        self._server = aio.server(
            options=[
                ("grpc.max_receive_message_length", max_message_bytes),
                ("grpc.max_send_message_length", max_message_bytes),
                ("grpc.so_reuseport", int(shared)),
                ("grpc.max_concurrent_streams", 1024),
            ]
        )
        self._health = health.aio.HealthServicer()
        names = [health.SERVICE_NAME]
        for service in services:
            _answer_unserved(service)
            service.add(service.servicer, self._server)
            names.append(service.descriptor.full_name)
        self._names = names
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        if reflect:
            reflection.enable_server_reflection([*names, reflection.SERVICE_NAME], self._server)
        self.port = self._bind(address, tls)

    def _bind(self, address: str, tls: Tls | None) -> int:
        if tls is None:
            return self._server.add_insecure_port(address)
        credentials = grpc.ssl_server_credentials(
            [(tls.key, tls.certificate)], root_certificates=tls.client_authority, require_client_auth=True
        )
        return self._server.add_secure_port(address, credentials)

    async def start(self) -> None:
        """Begin to answer and say so in the health service."""
        await self._server.start()
        for name in ["", *self._names]:
            await self._health.set(name, _STATUS.SERVING)

    async def stop(self, grace: float) -> None:
        """Say NOT_SERVING, take no new calls, and let running calls end within `grace` seconds."""
        await self._health.enter_graceful_shutdown()
        await self._server.stop(grace)

    async def wait(self) -> None:
        """Wait until stopped."""
        await self._server.wait_for_termination()


def _answer_unserved(service: Service) -> None:
    """Let every method that the servicer does not define answer UNIMPLEMENTED in words of its own."""
    for method in service.descriptor.methods:
        if method.name not in vars(type(service.servicer)):
            setattr(service.servicer, method.name, _unserved(f"{service.descriptor.full_name}/{method.name}"))


def _unserved(name: str) -> Any:
    async def refuse(_request: object, context: aio.ServicerContext[Any, Any]) -> None:
        _log.info("call", method=name, code="UNIMPLEMENTED")
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, f"{name} is not served yet")

    return refuse
