"""The faults of an adapter that a department hosts, asked over gRPC."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from connectors.conformance.adapter import Adapter, Slip
from connectors.conformance.faults import Fault, Stage, World
from connectors.conformance.http_faults import free_port
from connectors.conformance.scene import Clock, grpc_stanza, http_answer
from connectors.conformance.server import FaultServer, Misbehaviour

_NAMES = {
    Slip.SILENT: "accepts, never answers",
    Slip.DIES: "dies in the middle of the call",
    Slip.REFUSES: "will not answer us",
    Slip.DENIES: "a firewall will not let us in",
    Slip.BUSY: "has too much to do",
    Slip.AWAY: "says it is away",
    Slip.FAILS: "personal data in a status",
    Slip.NOT_SERVED: "serves something else",
    Slip.MALFORMED: "takes the question for malformed",
    Slip.NO_MESSAGE: "bytes that are no message",
    Slip.ENDLESS: "an answer too large",
    Slip.EMPTY: "an empty answer",
    Slip.ONE_MORE: "an answer too many",
    Slip.OTHER_FACT: "an answer to another question",
    Slip.NO_OUTCOME: "a thirteenth outcome",
    Slip.NO_CAUSE: "away, for no cause",
    Slip.NO_DIGEST: "a conclusion without a digest",
    Slip.SHORT_DIGEST: "a digest that is none",
    Slip.OF_TOMORROW: "data of the future",
    Slip.TELLING_RULE: "personal data in a rule",
}


def _slipping(slip: Slip) -> Callable[[Stage], AbstractAsyncContextManager[World]]:
    @asynccontextmanager
    async def world(stage: Stage) -> AsyncIterator[World]:
        async with Adapter(stage.folder, Clock()) as adapter:

            async def begin() -> None:
                adapter.slip = slip

            patience = "400ms" if slip is Slip.SILENT else "10s"
            yield World(stanza=grpc_stanza(adapter.address, answer_timeout=patience), begin=begin, end=adapter.rise)

    return world


@asynccontextmanager
async def _down(_stage: Stage) -> AsyncIterator[World]:
    yield World(stanza=grpc_stanza(f"127.0.0.1:{free_port()}"))


@asynccontextmanager
async def _web(_stage: Stage) -> AsyncIterator[World]:
    async with FaultServer(http_answer(), person=("-", "-")) as server:
        server.misbehave(Misbehaviour.LOGIN_PAGE)
        yield World(stanza=grpc_stanza(server.url.removeprefix("http://")))


FAULTS = (
    Fault(name="is down", kind="grpc", provoked="a port on which nobody listens", world=_down),
    Fault(name="a web server", kind="grpc", provoked="HTTP 1.1 with an HTML login page at its address", world=_web),
    *(Fault(name=_NAMES[one], kind="grpc", provoked=one.value, world=_slipping(one)) for one in Slip),
)
