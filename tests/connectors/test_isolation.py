"""Nothing of one source stands in the way of another: not a thread, not a lane, not a lock."""

import asyncio
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from connectors.catalog import connect
from connectors.conformance.load import Driven, beside_a_dead_source
from connectors.conformance.registers import SqliteRegister
from connectors.conformance.scene import (
    RESILIENCE,
    ZHANG,
    Clock,
    asking,
    drop,
    dropbox_stanza,
    http_answer,
    http_stanza,
    married,
    sql_stanza,
)
from connectors.conformance.server import FaultServer, Misbehaviour
from connectors.outcome import Cause, Kind
from connectors.resilience import Resilient


@pytest.fixture
async def service() -> AsyncIterator[FaultServer]:
    async with FaultServer(http_answer(), person=(ZHANG.id_number, ZHANG.name)) as server:
        yield server


def opened(stanza: dict[str, object]) -> Resilient:
    return connect("s", stanza, now=Clock(), random=lambda: 0.0)


def of_kind(kind: str, folder: Path, service: FaultServer) -> Resilient:
    if kind == "http":
        return opened(http_stanza(service.url.replace("127.0.0.1", "localhost"), answer_timeout="1500ms"))
    if kind == "sql":
        return opened(sql_stanza({"url": SqliteRegister(folder).url()}))
    (folder / "drops").mkdir()
    drop(folder / "drops")
    return opened(dropbox_stanza(folder / "drops"))


@pytest.mark.parametrize("kind", ["http", "sql", "dropbox"])
async def test_a_source_answers_though_every_shared_thread_hangs(
    kind: str, tmp_path: Path, service: FaultServer
) -> None:
    let_go, threads = threading.Event(), ThreadPoolExecutor(2)
    loop = asyncio.get_running_loop()
    loop.set_default_executor(threads)
    hanging = [loop.run_in_executor(None, let_go.wait) for _ in range(4)]
    source = of_kind(kind, tmp_path, service)
    try:
        [found] = await source.check_many([married()], asking())
        assert found.outcome.kind is Kind.MATCH
    finally:
        let_go.set()
        await asyncio.gather(*hanging)
        await source.aclose()


async def test_a_full_and_silent_source_takes_no_lane_of_another(tmp_path: Path, service: FaultServer) -> None:
    service.misbehave(Misbehaviour.SILENT)
    patient = {**RESILIENCE, "timeout": "60s", "concurrency": 2, "queue": 0}
    dead = opened(http_stanza(service.url, answer_timeout="50s", resilience=patient))
    well = opened(sql_stanza({"url": SqliteRegister(tmp_path).url()}, resilience=patient))
    stuck = [asyncio.create_task(dead.check_many([married()], asking(60, case=str(n)))) for n in range(2)]
    while service.asked < 2:
        await asyncio.sleep(0)
    [refused] = await dead.check_many([married()], asking(60, case="third"))
    assert refused.outcome.cause is Cause.OVERLOAD
    for _ in range(20):
        [found] = await well.check_many([married()], asking())
        assert found.outcome.kind is Kind.MATCH
    assert not any(task.done() for task in stuck)
    await dead.aclose()
    await well.aclose()
    for task in stuck:
        [found] = await task
        assert found.outcome.cause is Cause.TIMEOUT


async def test_the_bench_drives_sources_alone_and_beside_a_dead_one(tmp_path: Path, service: FaultServer) -> None:
    service.misbehave(Misbehaviour.SILENT)
    well, dead = (
        opened(sql_stanza({"url": SqliteRegister(tmp_path).url()})),
        opened(http_stanza(service.url, answer_timeout="100ms")),
    )
    found = await beside_a_dead_source(
        {"well": Driven(source=well, claim=lambda _: married(), callers=2)},
        Driven(source=dead, claim=lambda _: married(), callers=2),
        seconds=0.4,
        rounds=2,
    )
    assert found.alone["well"].unavailable == found.beside["well"].unavailable == 0
    assert found.dead.unavailable == len(found.dead.seconds) > 0
    assert found.ratio("well") > 0
    await well.aclose()
    await dead.aclose()
