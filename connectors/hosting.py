"""Hosting: a department answers `connectors.v1.SourceService` itself, out of any connector, over mutual TLS.

Who may ask is told apart by certificate. A question that is outside the contract is refused with every mistake at once;
nothing that went wrong inside is told but as an outcome. What the connector says is passed on as it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import grpc
import structlog
from google.rpc import error_details_pb2, status_pb2
from grpc import aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from connectors.connector import Connector
from connectors.transports.addresses import is_loopback
from connectors.transports.messages import read_question, write_evidence, write_manifest
from connectors.v1 import source_pb2 as pb
from connectors.v1 import source_pb2_grpc

_log = structlog.get_logger(__name__)
_DETAILS = "grpc-status-details-bin"
_DOMAIN = "connectors"
_MOST_TOLD = 50
"""Mistakes that are told; gRPC carries no more than some kilobytes beside a status."""
_NAME = pb.DESCRIPTOR.services_by_name["SourceService"].full_name
Context = aio.ServicerContext[Any, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class HostTls:
    """What the adapter shows (PEM), which authority its callers' certificates must come from (PEM), and which callers
    may ask, by a URI or DNS name of their certificate."""

    certificate: bytes
    key: bytes
    callers_authority: bytes
    callers: frozenset[str]


def _log_answered(caller: str, claims: int) -> None:
    _log.info("answered", caller=caller, count=claims)


class SourceServicer(source_pb2_grpc.SourceServiceServicer):
    """Answers out of a connector, which must always answer (`connectors.resilience`), within `longest` seconds.

    `callers` are the names of who may ask; None where everybody who reaches the adapter may. `told` is told who asked
    and how many claims were answered: a department keeps its own account of what it was asked.
    """

    def __init__(
        self,
        connector: Connector,
        *,
        callers: Collection[str] | None,
        longest: float,
        told: Callable[[str, int], None] = _log_answered,
    ) -> None:
        self._connector = connector
        self._callers = callers
        self._longest = longest
        self._told = told

    async def CheckMany(self, request: pb.CheckManyRequest, context: Context) -> pb.CheckManyResponse:  # noqa: N802
        """Answer every claim."""
        caller = await self._require_caller(context)
        left: float | None = context.time_remaining()
        seconds = self._longest if left is None else min(left, self._longest)
        claims, asked, mistakes = read_question(request, asyncio.get_running_loop().time() + seconds)
        if mistakes.found:
            await _refuse_mistakes(context, mistakes.found)
        found = await self._connector.check_many(claims, asked)
        response = pb.CheckManyResponse()
        for one in found:
            write_evidence(response.evidence.add(), one)
        self._told(caller, len(claims))
        return response

    async def GetManifest(self, _request: pb.GetManifestRequest, context: Context) -> pb.GetManifestResponse:  # noqa: N802
        """Say what the source declares."""
        await self._require_caller(context)
        return pb.GetManifestResponse(manifest=write_manifest(self._connector.manifest))

    async def Probe(self, _request: pb.ProbeRequest, context: Context) -> pb.ProbeResponse:  # noqa: N802
        """Say whether the source answers."""
        await self._require_caller(context)
        health = await self._connector.probe()
        response = pb.ProbeResponse(ok=health.ok, detail=health.detail)
        response.probed_at.FromDatetime(health.probed_at)
        return response

    async def _require_caller(self, context: Context) -> str:
        """Let those in who may ask; the certificate is looked at with every call."""
        if self._callers is None:
            return "-"
        names: Iterable[bytes] = context.auth_context().get("x509_subject_alternative_name", ())
        known = next((name for one in names if (name := one.decode("ascii", "replace")) in self._callers), None)
        if known is None:
            _log.warning("refused", reason="CALLER_UNKNOWN")
            # Not PERMISSION_DENIED, which is the department's refusal: a list of callers may lack one by mistake.
            await _abort(context, grpc.StatusCode.UNAUTHENTICATED, "this adapter does not know you", "CALLER_UNKNOWN")
        return known


async def _refuse_mistakes(context: Context, mistakes: Sequence[tuple[str, str]]) -> NoReturn:
    bad = error_details_pb2.BadRequest()
    for where, what in mistakes[:_MOST_TOLD]:
        bad.field_violations.add(field=where, description=what)
    told = f"{len(mistakes)} mistakes" if len(mistakes) > 1 else f"{mistakes[0][0]} {mistakes[0][1]}"
    await _abort(context, grpc.StatusCode.INVALID_ARGUMENT, told, "INVALID_QUESTION", bad)


async def _abort(context: Context, code: grpc.StatusCode, told: str, reason: str, *details: Any) -> NoReturn:
    status = status_pb2.Status(code=code.value[0], message=told)
    for detail in (error_details_pb2.ErrorInfo(reason=reason, domain=_DOMAIN), *details):
        status.details.add().Pack(detail)
    await context.abort(code, told, ((_DETAILS, status.SerializeToString()),))
    raise AssertionError("abort raises")


class Host:
    """Serves one connector at an address until stopped; without `tls` to this machine only, and to anybody on it."""

    def __init__(
        self, connector: Connector, *, address: str, tls: HostTls | None, longest: float, most_bytes: int = 1 << 20
    ) -> None:
        """Make it ready.

        Raises:
            ValueError: without `tls`, the address is not of this machine.
        """
        if tls is None and not is_loopback(address):
            raise ValueError("without TLS an adapter answers this machine only")
        options = [
            ("grpc.max_receive_message_length", most_bytes),
            ("grpc.so_reuseport", 0),  # a second adapter at the address must fail, and not take half of the calls
        ]
        self._health = health.aio.HealthServicer()
        self._server = aio.server(options=options)
        callers = None if tls is None else tls.callers
        servicer = SourceServicer(connector, callers=callers, longest=longest)
        source_pb2_grpc.add_SourceServiceServicer_to_server(servicer, self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        self._address = address
        self._tls = tls
        self.port = 0
        """Where it serves, once it does."""

    async def start(self) -> None:
        """Begin to answer.

        Raises:
            OSError: the address cannot be bound.
        """
        try:
            self.port = self._bind()
        except RuntimeError:  # the library's only word for it
            raise OSError(f"cannot listen at {self._address}") from None
        await self._server.start()
        for name in ("", health.SERVICE_NAME, _NAME):
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)

    def _bind(self) -> int:
        if self._tls is None:
            return self._server.add_insecure_port(self._address)
        credentials = grpc.ssl_server_credentials(
            [(self._tls.key, self._tls.certificate)],
            root_certificates=self._tls.callers_authority,
            require_client_auth=True,
        )
        return self._server.add_secure_port(self._address, credentials)

    async def stop(self, grace: float) -> None:
        """Take no new calls, and let those under way end within `grace` seconds."""
        await self._health.enter_graceful_shutdown()
        await self._server.stop(grace)
