"""Whether a person may commit is told to who handles the case, and each look leaves a trace."""

from __future__ import annotations

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc import aio

from gateway.v1 import credit_pb2, parties_pb2
from ledger import parse_vkey, verify_receipt
from ledger.v1 import ledger_pb2, ledger_pb2_grpc

from .conftest import ITEM, MATTER, NAME, NUMBER, TIMEOUT, Town, operator


def asked(system: str = "clerk", **changed: str) -> credit_pb2.GetEligibilityRequest:
    given = {"matter": MATTER, "item": ITEM, "case_id": "办-1", "purpose": "办理行政许可"} | changed
    return credit_pb2.GetEligibilityRequest(
        subject=parties_pb2.Subject(id_type=parties_pb2.ID_TYPE_RESIDENT_ID, id_number=NUMBER, name=NAME),
        operator=operator(system),
        **given,
    )


async def size(town: Town) -> int:
    stub: ledger_pb2_grpc.LedgerServiceAsyncStub = ledger_pb2_grpc.LedgerServiceStub(town.channel("ledger-auditor"))
    answer = await stub.GetCheckpoint(ledger_pb2.GetCheckpointRequest(), timeout=TIMEOUT)
    return int(answer.checkpoint.splitlines()[1])


async def refused(town: Town, system: str, request: credit_pb2.GetEligibilityRequest) -> aio.AioRpcError:
    before = await size(town)
    with pytest.raises(aio.AioRpcError) as caught:
        await town.credit(system).GetEligibility(request, timeout=TIMEOUT)
    assert await size(town) == before
    return caught.value


@pytest.mark.parametrize("system", ["civil-clerk", "credit"])
async def test_whose_unit_does_not_handle_the_matter_is_told_nothing_of_anybody(town: Town, system: str) -> None:
    failure = await refused(town, system, asked(system))

    assert failure.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_an_item_that_the_matter_does_not_ask_is_told_nothing_of(town: Town) -> None:
    failure = await refused(town, "clerk", asked(item="marital-status"))

    assert failure.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_a_look_is_recorded_with_its_case_and_proved(town: Town) -> None:
    before = await size(town)

    answer = await town.credit("clerk").GetEligibility(asked(), timeout=TIMEOUT)

    assert answer.eligible
    assert await size(town) == before + 1
    verifier = parse_vkey(town.house.vkey.read_text())
    entry = verify_receipt(answer.receipt.proof, [verifier], verifier.name).entry
    assert (entry.kind, set(entry.commits)) == ("SubjectLookedUp", {"subject", "purpose", "operator", "case", "facts"})


async def test_a_request_without_case_and_purpose_is_refused_for_every_mistake_at_once(town: Town) -> None:
    old = credit_pb2.GetEligibilityRequest(subject=asked().subject, operator=operator("clerk"))

    failure = await refused(town, "clerk", old)

    assert failure.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert fields(failure) == {"matter", "item", "case_id", "purpose"}
    unknown = await refused(town, "clerk", asked(matter="x", item="y"))
    assert fields(unknown) == {"matter", "item"}
    assert fields(await refused(town, "clerk", asked(purpose="好奇"))) == {"purpose"}


def fields(failure: aio.AioRpcError) -> set[str]:
    """Name the fields that a refusal names."""
    named = set()
    for key, value in failure.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            assert isinstance(value, bytes)
            for detail in status_pb2.Status.FromString(value).details:
                bad = error_details_pb2.BadRequest()
                if detail.Unpack(bad):
                    named |= {one.field for one in bad.field_violations}
    return named
