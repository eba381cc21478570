"""A department's adapter that misbehaves on demand: a real `SourceService` over a real register, on loopback."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc import aio

from connectors.catalog import connect
from connectors.conformance.registers import SqliteRegister
from connectors.conformance.scene import FACT, PERSONAL, Clock, sql_stanza
from connectors.coverage import COMPLETE
from connectors.hosting import SourceServicer
from connectors.v1 import source_pb2 as pb

_SERVICE = "connectors.v1.SourceService"
_DETAILS = "grpc-status-details-bin"


class Slip(enum.Enum):
    """The ways in which an adapter goes wrong."""

    SILENT = "takes the call, and never answers"
    DIES = "ends the connection while it works on the call"
    REFUSES = "answers PERMISSION_DENIED with a reason"
    DENIES = "answers PERMISSION_DENIED without a reason, as firewalls do"
    BUSY = "answers RESOURCE_EXHAUSTED, and when to come again"
    AWAY = "answers UNAVAILABLE"
    FAILS = "answers INTERNAL, with the person's data in the message"
    NOT_SERVED = "answers UNIMPLEMENTED"
    MALFORMED = "answers INVALID_ARGUMENT"
    NO_MESSAGE = "answers OK with bytes that are no message"
    ENDLESS = "answers OK with megabytes"
    EMPTY = "answers OK with nothing in it"
    ONE_MORE = "answers one claim more than was asked"
    OTHER_FACT = "answers about another fact"
    NO_OUTCOME = "answers with an outcome that is none of the twelve"
    NO_CAUSE = "says UNAVAILABLE, and no cause"
    NO_DIGEST = "concludes, without the digest of an answer"
    SHORT_DIGEST = "gives a digest of seven bytes"
    OF_TOMORROW = "gives data that are dated tomorrow"
    TELLING_RULE = "says REFUSED by a rule that names the person"


class Adapter:
    """Serves the register of the scene, or slips; use as an asynchronous context manager, `address` is where."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self.register = SqliteRegister(folder)
        stanza = sql_stanza({"url": self.register.url()})
        stanza["facts"] = {name: {**fact, "coverage": COMPLETE} for name, fact in stanza["facts"].items()}  # type: ignore[attr-defined]
        self._source = connect("register", stanza, now=clock, random=lambda: 0.0)
        self._servicer = SourceServicer(self._source, callers=None, longest=30, told=lambda *_: None)
        self._clock = clock
        self._server: aio.Server | None = None
        self.slip: Slip | None = None
        self.asked = 0
        self.address = ""

    async def __aenter__(self) -> Adapter:
        await self._serve("127.0.0.1:0")
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        await self._server.stop(None)
        await self._source.aclose()

    async def _serve(self, address: str) -> None:
        self._server = aio.server()
        methods = {
            "CheckMany": _method(self._check_many, pb.CheckManyRequest),
            "GetManifest": _method(self._servicer.GetManifest, pb.GetManifestRequest),
            "Probe": _method(self._servicer.Probe, pb.ProbeRequest),
        }
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, methods),))
        port = self._server.add_insecure_port(address)
        self.address = f"127.0.0.1:{port}"
        await self._server.start()

    async def _check_many(self, request: pb.CheckManyRequest, context: Any) -> bytes:
        self.asked += 1
        if self.slip is Slip.SILENT:
            await asyncio.Event().wait()
        if self.slip is Slip.DIES:
            await self._die()
        if (code := _STATUSES.get(self.slip)) is not None:
            await _fail(context, code, self.slip)
        if self.slip is Slip.NO_MESSAGE:
            return b"<html>login</html>"
        if self.slip is Slip.ENDLESS:
            return bytes(1 << 21)
        if self.slip is Slip.EMPTY:
            return b""
        answer = await self._servicer.CheckMany(request, context)
        self._spoil(answer)
        return answer.SerializeToString()

    async def _die(self) -> NoReturn:
        assert self._server is not None
        dying, self._server = self._server, None
        stopping = asyncio.ensure_future(dying.stop(0))
        await asyncio.shield(stopping)
        raise AssertionError("the call is cancelled when its server stops")

    async def rise(self) -> None:
        """Serve again where an adapter that died served."""
        self.slip = None
        if self._server is None:
            await self._serve(self.address)

    def _spoil(self, answer: pb.CheckManyResponse) -> None:
        if self.slip is Slip.ONE_MORE:
            answer.evidence.append(answer.evidence[0])
        for one in answer.evidence:
            if self.slip in _SPOILT:
                _SPOILT[self.slip](one)
        if self.slip is Slip.OF_TOMORROW:
            for one in answer.evidence:
                one.as_of.FromDatetime(self._clock() + timedelta(days=1))


def _say(message: pb.Evidence, **outcome: Any) -> None:
    message.outcome.CopyFrom(pb.Outcome(**outcome))


_SPOILT: dict[Slip | None, Callable[[pb.Evidence], None]] = {
    Slip.OTHER_FACT: lambda one: setattr(one, "fact_type", f"{FACT}-abroad"),
    Slip.NO_OUTCOME: lambda one: _say(one, kind=13),
    Slip.NO_CAUSE: lambda one: _say(one, kind=pb.OUTCOME_KIND_UNAVAILABLE),
    Slip.NO_DIGEST: lambda one: setattr(one, "raw_digest", b""),
    Slip.SHORT_DIGEST: lambda one: setattr(one, "raw_digest", b"seven b"),
    Slip.TELLING_RULE: lambda one: _say(one, kind=pb.OUTCOME_KIND_REFUSED, rule=f"not of {PERSONAL[0]}, {PERSONAL[2]}"),
}
_STATUSES: dict[Slip | None, grpc.StatusCode] = {
    Slip.REFUSES: grpc.StatusCode.PERMISSION_DENIED,
    Slip.DENIES: grpc.StatusCode.PERMISSION_DENIED,
    Slip.BUSY: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Slip.AWAY: grpc.StatusCode.UNAVAILABLE,
    Slip.FAILS: grpc.StatusCode.INTERNAL,
    Slip.NOT_SERVED: grpc.StatusCode.UNIMPLEMENTED,
    Slip.MALFORMED: grpc.StatusCode.INVALID_ARGUMENT,
}


async def _fail(context: Any, code: grpc.StatusCode, slip: Slip | None) -> NoReturn:
    told = f"NullPointerException: {PERSONAL[1]} {PERSONAL[0]}"
    status = status_pb2.Status(code=code.value[0], message=told)
    named = error_details_pb2.ErrorInfo(reason="AGREEMENT_EXPIRED", domain="example")
    details: list[Any] = [] if slip is Slip.DENIES else [named]
    if slip is Slip.BUSY:
        details.append(error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(seconds=60)))
    for detail in details:
        packed = any_pb2.Any()
        packed.Pack(detail)
        status.details.append(packed)
    await context.abort(code, told, ((_DETAILS, status.SerializeToString()),))
    raise AssertionError("abort raises")


def _method(handle: Any, request: Any) -> grpc.RpcMethodHandler[Any, Any]:
    def written(answer: Any) -> bytes:
        octets: bytes = answer if isinstance(answer, bytes) else answer.SerializeToString()
        return octets

    return grpc.unary_unary_rpc_method_handler(
        handle, request_deserializer=request.FromString, response_serializer=written
    )
