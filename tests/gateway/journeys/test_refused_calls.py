"""What a refused call leaves in memory: nothing that only a search for garbage would find, and none of its message."""

from __future__ import annotations

import gc
import types
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import pytest
from google.protobuf.message import Message
from grpc import aio

from gateway.v1 import verification_pb2

from .conftest import TIMEOUT, Town, question

VERIFY = "/gateway.v1.VerificationService/Verify"
Call = Callable[[Town], Awaitable[object]]


async def unreadable(town: Town) -> object:
    call = town.channel("clerk").unary_unary(VERIFY, request_serializer=None, response_deserializer=None)
    return await call(b"\xff" * 1000, timeout=TIMEOUT)


async def malformed(town: Town) -> object:
    return await town.verification().Verify(question(item="", number="1"), timeout=TIMEOUT)


async def not_entitled(town: Town) -> object:
    return await town.verification("auditor").Verify(question(system="auditor"), timeout=TIMEOUT)


async def of_a_stream(town: Town) -> object:
    request = verification_pb2.WatchVerificationRequest(record="none")
    return await anext(aiter(town.verification().WatchVerification(request, timeout=TIMEOUT)))


async def of_a_batch(town: Town) -> object:
    stream = town.verification("auditor").BatchVerify(timeout=TIMEOUT)
    await stream.write(verification_pb2.BatchVerifyRequest(requests=[question()] * 10))
    await stream.done_writing()
    return await stream.read()


@contextmanager
def searched() -> Iterator[list[object]]:
    """Fill a list with what a search for garbage finds of what was done within."""
    found: list[object] = []
    gc.collect()
    gc.disable()
    try:
        yield found
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        found += gc.garbage
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


@pytest.mark.parametrize("call", [unreadable, malformed, not_entitled, of_a_stream, of_a_batch])
async def test_a_refused_call_leaves_neither_its_message_nor_its_way_to_be_found_later(town: Town, call: Call) -> None:
    async def refused() -> None:
        with pytest.raises(aio.AioRpcError):
            await call(town)

    await refused()  # what is made once, is made now
    with searched() as found:
        for _ in range(20):
            await refused()

    left = [one for one in found if isinstance(one, Message | bytes)]
    frames = [one for one in found if isinstance(one, types.FrameType) and "/gateway/" in one.f_code.co_filename]
    assert left == []
    assert [frame.f_code.co_qualname for frame in frames if "sizes" not in frame.f_code.co_filename] == []
