"""Who may not ask any more is not served by the back door: what people do is recorded, and no register is asked."""

from __future__ import annotations

from pathlib import Path

import grpc
import pytest

from gateway.client import GatewayRefusal, Selection, explain
from gateway.v1 import assistance_pb2 as pb
from gateway.v1 import catalogue_pb2, catalogue_pb2_grpc

from .hall import OWN, TIMEOUT, Hall, new_id, operator

OTHER = "11230000000000404Q"
MATTER = "code: 230000-MSA-001"


async def take_the_matter_away(house: Hall, folder: Path) -> None:
    """Put a catalogue in force in which another unit handles the matter."""
    province = folder / "heilongjiang.yaml"
    before, matter, after = province.read_text("utf-8").partition(MATTER)
    province.write_text(before + matter + after.replace(OWN, OTHER, 1), "utf-8")
    stub = catalogue_pb2_grpc.CatalogueServiceStub(house.village.channel("operator"))
    request = catalogue_pb2.ReloadCatalogueRequest(request_id=new_id(), operator=operator("operator"))
    await stub.ReloadCatalogue(request, timeout=TIMEOUT)
    with pytest.raises(GatewayRefusal) as caught:
        await house.ask()
    assert caught.value.reason == "NOT_ENTITLED"


async def test_a_late_answer_is_recorded_and_tells_a_unit_that_may_not_ask_nothing(
    house: Hall, tmp_path: Path
) -> None:  # fmt: skip
    first = (await house.ask()).verification
    record = (await house.send(first.record)).assistance.record
    await house.receive(record)
    client = house.village.client()
    before = [one.record async for one in client.answers(Selection(item="business-premises"))]
    await take_the_matter_away(house, tmp_path)
    asked = house.homes.asked

    done = await house.answer(record, "MATCH")

    assert done.assistance.state == pb.ASSISTANCE_STATE_ANSWERED
    assert house.homes.asked == asked
    assert [one.record async for one in client.answers(Selection(item="business-premises"))] == before


async def test_who_may_not_ask_any_more_sends_nothing(house: Hall, tmp_path: Path) -> None:
    first = (await house.ask()).verification
    await take_the_matter_away(house, tmp_path)
    asked = house.homes.asked

    with pytest.raises(grpc.RpcError) as caught:
        await house.send(first.record)

    assert explain(caught.value)[0] == "NOT_ENTITLED"
    assert house.homes.asked == asked
