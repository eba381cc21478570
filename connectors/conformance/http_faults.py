"""The faults of a service over HTTP."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from connectors.conformance.faults import Fault, Seen, Stage, Trial, World, said
from connectors.conformance.scene import LI, ZHANG, divorced, http_answer, http_stanza, married
from connectors.conformance.server import FaultServer, Misbehaviour

_NAMES = {
    Misbehaviour.REFUSE: "refuses connections",
    Misbehaviour.SILENT: "accepts, never answers",
    Misbehaviour.DRIP: "answers one byte a second",
    Misbehaviour.ERROR_TEXT_IN_200: "an error text in a 200",
    Misbehaviour.LOGIN_PAGE: "an HTML login page",
    Misbehaviour.REDIRECT: "a redirect to a login page",
    Misbehaviour.OTHER_SHAPE: "JSON of another shape",
    Misbehaviour.KEY_RENAMED: "a key renamed",
    Misbehaviour.UNKNOWN_CODE: "a code nobody declared",
    Misbehaviour.NOT_JSON: "half a JSON text",
    Misbehaviour.GBK: "GBK text",
    Misbehaviour.OTHER_PERSON: "another person's record",
    Misbehaviour.NO_SUBJECT: "nobody's record",
    Misbehaviour.TWO_RECORDS: "two records",
    Misbehaviour.EMPTY_PAGE: "an empty page",
    Misbehaviour.NOT_FOUND: "not found, undeclared",
    Misbehaviour.PERSONAL_DATA_IN_500: "personal data in a 5xx body",
    Misbehaviour.DIES_MID_BODY: "dies in the middle of the body",
    Misbehaviour.ENDLESS: "a body without end",
    Misbehaviour.BOMB: "a compressed bomb",
    Misbehaviour.TOO_MANY: "too many requests",
    Misbehaviour.BAD_REQUEST: "turns the question down, undeclared",
    Misbehaviour.UNAUTHORISED: "does not know us, undeclared",
    Misbehaviour.FORBIDDEN: "a login page with 403, undeclared",
    Misbehaviour.FLAPPING: "flaps",
    Misbehaviour.TWICE: "each answer twice",
}


_SILENT = (Misbehaviour.SILENT, Misbehaviour.DRIP)


def free_port() -> int:
    """Find a loopback port on which nobody listens."""
    with socket.socket() as wire:
        wire.bind(("127.0.0.1", 0))
        port: int = wire.getsockname()[1]
        return port


def _misbehaving(misbehaviour: Misbehaviour) -> Callable[[Stage], AbstractAsyncContextManager[World]]:
    @asynccontextmanager
    async def world(_stage: Stage) -> AsyncIterator[World]:
        async with FaultServer(http_answer(), person=(ZHANG.id_number, ZHANG.name)) as server:

            async def begin() -> None:
                server.misbehave(misbehaviour)

            async def end() -> None:
                server.misbehave(None)

            patience = "400ms" if misbehaviour in _SILENT else "10s"
            yield World(stanza=http_stanza(server.url, answer_timeout=patience), begin=begin, end=end)

    return world


@asynccontextmanager
async def _down(_stage: Stage) -> AsyncIterator[World]:
    yield World(stanza=http_stanza(f"http://127.0.0.1:{free_port()}"))


@asynccontextmanager
async def _unknown_host(_stage: Stage) -> AsyncIterator[World]:
    yield World(stanza=http_stanza("http://no-such-department.invalid"))


@asynccontextmanager
async def _twice(_stage: Stage) -> AsyncIterator[World]:
    def good(request: bytes) -> dict[str, object]:
        return http_answer(LI, "2") if LI.id_number.encode() in request else http_answer()

    async with FaultServer(good, person=(ZHANG.id_number, ZHANG.name)) as server:

        async def begin() -> None:
            server.misbehave(Misbehaviour.TWICE)

        async def end() -> None:
            server.misbehave(None)

        yield World(stanza=http_stanza(server.url), begin=begin, end=end)


async def _in_turn(world: World, trial: Trial) -> Seen:
    """Ask about Zhang, about Li, and about Zhang again; what is said of one must never be said of the other."""
    await world.begin()
    found = [await trial.ask(one) for one in (married(), divorced(LI), married())]
    metrics, log, breaker = trial.metrics(), trial.log(), trial.breaker()
    assert world.end is not None
    await world.end()
    return Seen(
        outcome=", ".join(said(one) for one in found),
        attempts=", ".join(str(one.attempts) for one in found),
        over=said(await trial.ask_in_time(married())),
        breaker=breaker,
        metrics=metrics,
        log=log,
    )


FAULTS = (
    Fault(name="is down", kind="http", provoked="a port on which nobody listens", world=_down),
    Fault(name="its name is unknown", kind="http", provoked="a host name under .invalid", world=_unknown_host),
    *(
        Fault(name=_NAMES[one], kind="http", provoked=one.value, world=_misbehaving(one))
        for one in Misbehaviour
        if one is not Misbehaviour.TWICE
    ),
    Fault(
        name=_NAMES[Misbehaviour.TWICE],
        kind="http",
        provoked=f"{Misbehaviour.TWICE.value}; Zhang, Li and Zhang asked about in turn",
        world=_twice,
        play=_in_turn,
    ),
)
