"""The gRPC server: the one file that knows which implementation serves (grpc.aio over mutual TLS).

Health per service, reflection by configuration, bounded messages, graceful drain. Plaintext only when asked for by
name in the configuration.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import grpc
import structlog
from google.protobuf.descriptor import ServiceDescriptor
from grpc import aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from gateway.errors import ConfigurationError
from gateway.rpc.certificates import Tls
from gateway.rpc.sizes import AddServicer

_log = structlog.get_logger()

_STATUS = health_pb2.HealthCheckResponse
_LISTENERS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One service: its descriptor, its servicer, and the function that registers it: generated, and then bounded."""

    descriptor: ServiceDescriptor
    servicer: object
    add: AddServicer


class GrpcServer:
    """Serves services at an address until stopped; with `shared`, other processes serve at the same address.

    A server of grpc.aio takes one new call in each turn of its loop, so that calls wait at the door of a busy one.
    Therefore several listen at the address, among which the system shares out the connections.

    No message of more than `max_message_bytes` and `max_beside_bytes` together comes in, whatever the method
    (`gateway.rpc.sizes` bounds each), and none of more than `max_message_bytes` goes out.
    """

    def __init__(
        self,
        services: Sequence[Service],
        *,
        address: str,
        tls: Tls | None,
        max_message_bytes: int,
        max_beside_bytes: int = 0,
        reflect: bool,
        shared: bool = False,
    ) -> None:
        self._address = address
        self._tls = tls
        self._shared = shared
        self._health = health.aio.HealthServicer()
        self._names = [health.SERVICE_NAME, *(service.descriptor.full_name for service in services)]
        for service in services:
            _answer_unserved(service)
        count = 1 if address.startswith("unix") else _LISTENERS  # a socket file belongs to one
        options = _options(max_message_bytes + max_beside_bytes, max_message_bytes, shared=True)
        self._servers = [aio.server(options=options) for _ in range(count)]
        for server in self._servers:
            for service in services:
                service.add(service.servicer, server)
            health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
            if reflect:
                reflection.enable_server_reflection([*self._names, reflection.SERVICE_NAME], server)
        self.port = 0
        """Where it serves, once it does."""

    async def start(self) -> None:
        """Begin to answer and say so in the health service.

        Raises:
            ConfigurationError: the address cannot be bound, or somebody else serves there.
        """
        if not self._shared:
            await require_free(self._address)
        address = self._address
        for server in self._servers:
            self.port = self._bind(server, address)
            address = _at(address, self.port)
        for server in self._servers:
            await server.start()
        for name in ["", *self._names]:
            await self._health.set(name, _STATUS.SERVING)

    def renew(self, tls: Tls) -> None:
        """Show another certificate, and take callers of other authorities, on connections that begin from now on.

        Those that are open go on; may be called from any thread.
        """
        self._tls = tls

    def _bind(self, server: aio.Server, address: str) -> int:
        try:
            if self._tls is None:
                return server.add_insecure_port(address)
            return server.add_secure_port(address, self._credentials(self._tls))
        except RuntimeError as error:  # the library's only word for it
            raise not_bound(address) from error

    def _credentials(self, tls: Tls) -> grpc.ServerCredentials:
        """Make the credentials of one listener, which are asked for others before each handshake."""
        given = tls

        def renewed() -> Any:  # None where nothing changed, which the stubs do not know
            nonlocal given
            if self._tls is None or self._tls is given:
                return None
            given = self._tls
            return _certificates(given)

        return grpc.dynamic_ssl_server_credentials(_certificates(tls), renewed, require_client_authentication=True)

    async def stop(self, grace: float) -> None:
        """Say NOT_SERVING, take no new calls, and let running calls end within `grace` seconds."""
        await self._health.enter_graceful_shutdown()
        await asyncio.gather(*(server.stop(grace) for server in self._servers))

    async def wait(self) -> None:
        """Wait until stopped."""
        await asyncio.gather(*(server.wait_for_termination() for server in self._servers))


def _certificates(tls: Tls) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration(
        [(tls.key, tls.certificate)], root_certificates=tls.client_authority
    )


async def require_free(address: str) -> None:
    """Require that nobody serves at an address, by serving there for a moment, for oneself alone.

    Where the listeners of a gateway share an address, a stranger could share it as well.

    Raises:
        ConfigurationError: it cannot be bound, or somebody serves there.
    """
    alone = aio.server(options=_options(0, 0, shared=False))
    try:
        alone.add_insecure_port(address)
    except RuntimeError as error:  # the library's only word for it
        raise not_bound(address) from error
    await alone.start()
    await alone.stop(None)


def not_bound(address: str) -> ConfigurationError:
    """Say that an address cannot be had."""
    return ConfigurationError("server", [f"listen: {address} cannot be bound, or is in use"])


def _options(most_in: int, most_out: int, *, shared: bool) -> list[tuple[str, int]]:
    return [
        ("grpc.max_receive_message_length", most_in),
        ("grpc.max_send_message_length", most_out),
        ("grpc.so_reuseport", int(shared)),
        ("grpc.max_concurrent_streams", 1024),
    ]


def _at(address: str, port: int) -> str:
    """Give the address with the port that the system chose, where it was to choose one."""
    host, colon, asked = address.rpartition(":")
    return f"{host}{colon}{port}" if asked == "0" else address


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
