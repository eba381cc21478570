"""No value of any field of any request is answered with INTERNAL: what cannot be meant is refused as the caller's."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from google.protobuf import message_factory
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message
from grpc import aio

from gateway.client.refusals import refusal_of
from gateway.founding import SYSTEMS
from gateway.v1 import (
    assistance_pb2,
    audit_pb2,
    catalogue_pb2,
    commitment_pb2,
    credit_pb2,
    staff_pb2,
    verification_pb2,
)
from ledger.v1 import ledger_pb2

from .conftest import ADDRESS, ITEM, MATTER, NAME, NUMBER, TIMEOUT, Town, question, run_town
from .test_evidence_pack import prepare

Spoil = Callable[[Message], None]
SERVED: Mapping[str, tuple[ModuleType, tuple[str, ...]]] = {
    "VerificationService": (verification_pb2, ("officer", "auditor")),
    "CommitmentService": (commitment_pb2, ("officer", "reviewer")),
    "StaffKeyService": (staff_pb2, ("officer", "reviewer")),
    "AuditService": (audit_pb2, ("auditor", "reviewer")),
    "CreditService": (credit_pb2, ("credit", "officer")),
    "CatalogueService": (catalogue_pb2, ("operator",)),
    "LedgerService": (ledger_pb2, ("clerk",)),
    "AssistanceService": (assistance_pb2, ("officer", "source-officer")),
}
"""Each service that is served, and systems that may call its methods between them."""
OURS = {"INTERNAL", "UNKNOWN", "DATA_LOSS", "DEADLINE_EXCEEDED"}
"""Codes that put the blame upon the gateway."""
NUMBERS: Mapping[int, Sequence[int]] = {
    FieldDescriptor.TYPE_INT32: (-1, -(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_INT64: (-1, -(2**63), 2**63 - 1),
    FieldDescriptor.TYPE_UINT32: (2**32 - 1,),
    FieldDescriptor.TYPE_UINT64: (2**62, 2**63, 2**64 - 1),
    FieldDescriptor.TYPE_ENUM: (99, -1, 2**31 - 1),
}
TEXTS = (
    "", "\x00", "٣", "²", "-", "--1", "1.", "1\n", "1" * 17 + ".0", "9" * 19, "-" + "9" * 18, "9" * 30, "\u2028",
    "x" * 5000, "0" * 32, "F" * 32,
)  # fmt: skip
BYTES = (b"", b"\xff" * 31, bytes(5000))
MOMENTS = (
    (2**63 - 1, 0),
    (-(2**63), 0),
    (253402300800, 0),
    (-62135596801, 0),
    (-62135596800, 0),
    (1, -1),
    (1, -(2**31)),
)
WHOLE = ("google.protobuf.Timestamp", "google.protobuf.Duration")


def good(descriptor: Any, known: Mapping[str, str]) -> Message:
    """Make a message all of whose fields are set to what could be meant, as far as their names tell it."""
    message: Any = message_factory.GetMessageClass(descriptor)()
    for field in descriptor.fields:
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            message.parameters["address"].text = ADDRESS
        elif field.containing_oneof is not None and field.containing_oneof.fields[0] is not field:
            continue
        elif field.message_type is not None and field.message_type.full_name in WHOLE:
            getattr(message, field.name).seconds = 1
        elif field.message_type is not None:
            inner = good(field.message_type, known)
            if field.is_repeated:
                getattr(message, field.name).append(inner)
            else:
                getattr(message, field.name).CopyFrom(inner)
        elif field.is_repeated:
            getattr(message, field.name).append(b"x")
        elif field.type == FieldDescriptor.TYPE_STRING:
            setattr(message, field.name, str(uuid.uuid4()) if field.name == "request_id" else known.get(field.name, ""))
        elif field.type == FieldDescriptor.TYPE_BYTES:
            setattr(message, field.name, bytes(32))
        elif field.type in NUMBERS:
            setattr(message, field.name, 1)
        elif field.name == "broken":
            message.broken = True
    return message


def spoilt(descriptor: Any, within: Callable[[Any], Any], path: str) -> Iterator[tuple[str, Spoil]]:
    """Give what puts each bad value into each field of a message, and of those within it."""

    def put(name: str, value: object) -> Spoil:
        return lambda message: setattr(within(message), name, value)

    def put_moment(name: str, seconds: int, nanos: int) -> Spoil:
        def spoil(message: Message) -> None:
            moment = getattr(within(message), name)
            moment.seconds, moment.nanos = seconds, nanos

        return spoil

    for field in descriptor.fields:
        where, name = f"{path}.{field.name}", field.name
        inner = field.message_type
        if inner is not None and inner.full_name in WHOLE:
            for moment in MOMENTS:
                yield f"{where}={moment}", put_moment(name, *moment)
        elif inner is not None and inner.GetOptions().map_entry:
            for said in (
                {"integer": 2**63 - 1}, {"integer": -(2**63)}, {"date": "9999-99-99"}, {"date": "x"}, {"text": "\x00"},
                {"boolean": True}, {"person": {}}, {},
            ):  # fmt: skip
                yield (
                    f"{where}={said}",
                    lambda message, s=said: (
                        within(message).parameters["address"].CopyFrom(type(within(message).parameters["address"])(**s))
                    ),
                )
        elif inner is not None:
            step = (
                (lambda m, n=name: getattr(within(m), n)[0])
                if field.is_repeated
                else (lambda m, n=name: getattr(within(m), n))
            )
            yield from spoilt(inner, step, where)
            if not field.is_repeated:
                yield f"{where}=none", lambda message, n=name: within(message).ClearField(n)
        elif field.is_repeated:
            continue
        else:
            values: Sequence[object] = NUMBERS.get(field.type, ())
            if field.type == FieldDescriptor.TYPE_STRING:
                values = TEXTS
            elif field.type == FieldDescriptor.TYPE_BYTES:
                values = BYTES
            for value in values:
                yield f"{where}={str(value)[:40]!r}", put(name, value)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
async def town(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Town]:
    url = request.getfixturevalue("postgres_url") if request.param == "postgresql" else "sqlite:///ledger.sqlite3"
    async for here in run_town(tmp_path, url):
        yield here


async def reason(channel: aio.Channel, service: str, method: MethodDescriptor, request: Message) -> str:
    """Call a method, and give the code and the reason of the refusal, or OK."""
    path = f"/{method.containing_service.full_name}/{method.name}"
    read = message_factory.GetMessageClass(method.output_type).FromString
    write = type(request).SerializeToString
    try:
        if method.client_streaming:
            (result,) = (await _first(channel.stream_stream(path, write, read), request)).results
            return result.error.reason or "OK"
        if method.server_streaming:
            one = channel.unary_stream(path, write, read)(request, timeout=TIMEOUT)
            await one.read()
            one.cancel()
            return "OK"
        await channel.unary_unary(path, write, read)(request, timeout=TIMEOUT)
    except aio.AioRpcError as error:
        told = refusal_of(error)
        assert told.chinese or told.code == "UNIMPLEMENTED", (service, method.name, told)
        return told.code if told.code in OURS else f"{told.code} {told.reason}"
    return "OK"


async def _first(method: Any, request: Message) -> Any:
    """Give the first answer of a stream of one message; where grpc's client failed to write it, it is sent again.

    A stream that is refused while it is written to ends at times with an INTERNAL of the client's own, without a word.
    """
    for tries_left in reversed(range(5)):
        try:
            answers = [answer async for answer in method(iter([request]), timeout=TIMEOUT)]
        except aio.AioRpcError as error:
            if not tries_left or refusal_of(error).code != "INTERNAL" or refusal_of(error).chinese:
                raise
        else:
            return answers[0]
    raise AssertionError("the last try raises")


@pytest.mark.parametrize("service", SERVED)
async def test_no_value_of_a_field_is_answered_as_a_failure_of_ours(town: Town, service: str) -> None:
    messages, systems = SERVED[service]
    verification = (await town.verification().Verify(question(), timeout=TIMEOUT)).verification.record
    commitment = (await prepare(town, "办-2")).record
    known = {
        "verification": verification, "record": verification if service == "VerificationService" else commitment,
        "item": ITEM, "code": ITEM, "matter": MATTER, "id_number": NUMBER, "name": NAME, "purpose": "办理行政许可",
        "case_id": "办-1", "fact_type": "lease-filing", "outcome": "MATCH", "basis": "档案", "reason": "理由",
        "reasons": "理由", "document_number": "文1", "statement": "陈述", "grounds": "理由", "manner": "邮寄",
        "title": "附件", "platform_reference": "1", "note": "说明", "seen": "本人签名", "finding": commitment,
        "contractor": SYSTEMS["credit"][0], "contract_number": "1", "data_agreement": "1", "text": ADDRESS,
    }  # fmt: skip
    bad = []
    for system in systems:
        channel = town.channel(system)
        theirs = {**known, "unit": SYSTEMS[system][0], "person": f"{system}-01"}
        for method in messages.DESCRIPTOR.services_by_name[service].methods:
            bare = message_factory.GetMessageClass(method.input_type)
            for where, spoil in spoilt(method.input_type, lambda message: message, method.name):
                requests = [good(method.input_type, theirs)]
                if method.name.startswith("List") and "subject" not in where:
                    requests.append(bare())  # what selects nothing takes another way through the ledger
                for request in requests:
                    spoil(request)
                    told = await reason(channel, service, method, request)
                    if told in OURS and (told, where.partition("=")[0]) != ("DEADLINE_EXCEEDED", "BatchVerify.timeout"):
                        bad.append((system, where, told))
    assert bad == []
