"""The load generator of commitments: `python -m gateway.bench.committing` takes an order (JSON) and prints a report.

What a call needs is made before the clock starts: the verification whose next step is COMMITMENT, the prepared
document, a certificate of the applicant's own and the signature.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import statistics
import sys
import time
import uuid
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import uvloop
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.bench.driver import Report, connected
from gateway.client import new_request_id
from gateway.founding import SYSTEMS, House
from gateway.pki import Authority, der
from gateway.v1 import commitment_pb2, parties_pb2, verification_pb2

VERIFY = "/gateway.v1.VerificationService/Verify"
PREPARE = "/gateway.v1.CommitmentService/PrepareCommitment"
RECORD = "/gateway.v1.CommitmentService/RecordCommitment"
_OPERATOR = parties_pb2.Operator(person="clerk-01", unit=SYSTEMS["clerk"][0])
_VALID = timedelta(days=1)
_BEFORE = 16
"""Calls at a time while preparing."""

Call = Callable[[str, bytes], Awaitable[bytes]]


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What to measure: PREPARE or RECORD, how many, from how many callers."""

    house: str
    asked: str
    port: int
    method: str
    count: int
    callers: int = 32
    channels: int = 8


async def drive(order: Order) -> Report:
    """Carry out an order."""
    house = House(home=Path(order.house))
    async with connected(house, order.port, order.channels) as channels:
        turns = itertools.cycle(channels)

        async def call(method: str, message: bytes) -> bytes:
            unary: Any = next(turns).unary_unary(method)
            answer: bytes = await unary(message, timeout=20)
            return answer

        people = _people(order)
        wanted = await _each(_BEFORE, [_verified(call, *people[n % len(people)]) for n in range(order.count)])
        messages = [_preparation(record) for _, record in wanted]
        if order.method == RECORD:
            prepared = await _each(_BEFORE, [call(PREPARE, message) for message in messages])
            authority = Authority.load(*house.signers())
            messages = [
                _signed(authority, person, answer) for (person, _), answer in zip(wanted, prepared, strict=True)
            ]
        return await _measured(order, call, messages)


def _people(order: Order) -> list[tuple[str, str]]:
    return [(name, number) for name, number, _ in json.loads(Path(order.asked).read_text("utf-8"))]


async def _measured(order: Order, call: Call, messages: Sequence[bytes]) -> Report:
    latencies: list[float] = []

    async def one(message: bytes) -> bytes:
        since = time.perf_counter()
        answer = await call(order.method, message)
        latencies.append(time.perf_counter() - since)
        return answer

    started = time.perf_counter()
    answers = await _each(order.callers, [one(message) for message in messages])
    seconds = time.perf_counter() - started
    cuts = statistics.quantiles(latencies, n=100)
    return Report(
        items=order.count, seconds=seconds, p50=1e3 * cuts[49], p99=1e3 * cuts[98], answer_bytes=len(answers[-1])
    )  # fmt: skip


async def _each(callers: int, acts: Iterable[Awaitable[Any]]) -> list[Any]:
    """Do everything, some at a time; what came of each, in order."""
    left, results = iter(enumerate(acts)), {}

    async def caller() -> None:
        for number, act in left:
            results[number] = await act

    await asyncio.gather(*(caller() for _ in range(callers)))
    return [results[number] for number in sorted(results)]


async def _verified(call: Call, name: str, number: str) -> tuple[tuple[str, str], str]:
    """Ask about what nobody holds: the next step is a commitment."""
    question = verification_pb2.VerifyRequest(
        request_id=new_request_id(),
        context=parties_pb2.CaseContext(
            matter="230000-MSA-001", case_id=str(uuid.uuid4()), purpose="办理行政许可", operator=_OPERATOR
        ),
        item="lost-document",
        subject=parties_pb2.Subject(id_type=parties_pb2.ID_TYPE_RESIDENT_ID, id_number=number, name=name),
        parameters={
            "document_kind": parties_pb2.Value(text="示例许可证"),
            "document_number": parties_pb2.Value(text="示-1"),
        },
    )
    answer = verification_pb2.VerifyResponse.FromString(await call(VERIFY, question.SerializeToString()))
    return (name, number), answer.verification.record


def _preparation(verification: str) -> bytes:
    request = commitment_pb2.PrepareCommitmentRequest(
        request_id=new_request_id(), verification=verification, operator=_OPERATOR
    )
    return request.SerializeToString()


def _signed(authority: Authority, person: tuple[str, str], answer: bytes) -> bytes:
    prepared = commitment_pb2.PrepareCommitmentResponse.FromString(answer)
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = authority.person(*person, key, now=datetime.now(UTC), valid=_VALID)
    request = commitment_pb2.RecordCommitmentRequest(
        request_id=new_request_id(),
        record=prepared.record,
        operator=_OPERATOR,
        document_digest=prepared.document_digest,
        certificate=commitment_pb2.CertificateSignature(
            algorithm=commitment_pb2.SIGNATURE_ALGORITHM_ECDSA_P256_SHA256,
            signature=key.sign(prepared.document, ec.ECDSA(hashes.SHA256())),
            certificates=[der(certificate)],
        ),
    )
    return request.SerializeToString()


def main() -> None:
    """Read one order from standard input, carry it out, print the report."""
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=Order)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        report = runner.run(drive(order))
    sys.stdout.buffer.write(msgspec.json.encode(report))


if __name__ == "__main__":
    main()
