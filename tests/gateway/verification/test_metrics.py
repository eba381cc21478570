"""What operators read of a running gateway: numbers under configured names, never what somebody wrote."""

from __future__ import annotations

import asyncio
import re
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from gateway.client import InvalidQuestion, Retries, Verdict
from gateway.client.messages import question_message
from gateway.config import load_settings
from gateway.errors import ConfigurationError
from gateway.founding import House
from gateway.v1 import verification_pb2 as pb
from tests import started

from .village import PEOPLE, TIMEOUT, Village, case, marital, premises, process, service, serving, settle, slow_source


def free_port() -> int:
    with socket.socket() as wire:
        wire.bind(("127.0.0.1", 0))
        return int(wire.getsockname()[1])


def metered(folder: Path, **more: object) -> tuple[House, str]:
    """A house whose metrics are served, and where."""
    port = free_port()
    before = '[metrics]\nlisten = "" '
    house = settle(folder, tune={before: f'[metrics]\nlisten = "127.0.0.1:{port}" '}, **more)  # type: ignore[arg-type]
    return house, f"http://127.0.0.1:{port}/metrics"


async def scraped(url: str) -> dict[str, float]:
    async with httpx.AsyncClient() as http:
        answer = await http.get(url)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    lines = [line.rpartition(" ") for line in answer.text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in lines}


CALLS = 'chengxin_calls_total{{code="{code}",method="VerificationService/Verify",reason="{reason}"}}'
ANSWERS = (
    'chengxin_source_answers_total{{cause="{cause}",fact_type="marriage-registration",outcome="{outcome}",'
    'source="civil-affairs"}}'
)


async def test_calls_answers_and_sources_are_counted_and_nobody_is_named(tmp_path: Path) -> None:
    house, url = metered(tmp_path)
    married = next(index for index, one in enumerate(PEOPLE) if one.marital == "married")
    async with serving(house) as village:
        client = village.client()
        answer = await client.verify(marital(married))
        with pytest.raises(InvalidQuestion):
            await client.verify(marital(married, in_case=case(matter="那个事项:张三")))
        batch = [marital(married), marital(married, in_case=case(matter="那个事项:张三"))]
        _ = [one async for one in client.verify_many(batch)]
        counted = await scraped(url)

    assert answer.verification.verdict is Verdict.ESTABLISHED
    assert sum(value for name, value in counted.items() if name.startswith("chengxin_batch_refusals")) == 1
    assert counted[CALLS.format(code="OK", reason="")] == 1
    assert counted['chengxin_verifications_total{next_step="NONE",verdict="ESTABLISHED"}'] == 2
    assert counted[ANSWERS.format(cause="", outcome="MATCH")] == 2
    assert sum(value for name, value in counted.items() if 'code="INVALID_ARGUMENT",method' in name) == 1
    told = "\n".join(counted)
    assert told.isascii()
    assert not re.search(r"\d{17}", told)


async def test_a_source_that_is_down_is_counted_as_down_and_its_breaker_as_open(tmp_path: Path) -> None:
    house, url = metered(tmp_path, sources=slow_source(free_port()))
    async with serving(house) as village:
        client = village.client(retries=Retries(most=0))
        for index in range(5):
            await client.verify(premises(index, "示例路1号"))
        counted = await scraped(url)

    labels = 'fact_type="home-ownership",source="housing"'
    assert counted[f"chengxin_source_breaker{{{labels}}}"] == 2
    assert counted[f'chengxin_source_breaker_openings_total{{cause="OUTAGE",{labels}}}'] == 1
    down = 'chengxin_source_answers_total{cause="OUTAGE",fact_type="home-ownership",outcome="UNAVAILABLE",'
    assert counted[f'{down}source="housing"}}'] == 5
    assert counted['chengxin_verifications_total{next_step="RETRY_AFTER",verdict="UNDETERMINED"}'] == 5


async def test_a_client_that_goes_away_is_counted_and_logged_as_gone(tmp_path: Path) -> None:
    async with service({PEOPLE[0].id_number: "示例路1号"}) as housing:
        house, url = metered(tmp_path, sources=slow_source(housing.port))
        with process(house) as running:
            housing.answering.clear()
            asking = asyncio.create_task(running.village.client().verify(premises(0, "示例路1号")))
            await housing.until(lambda: housing.asked == 1)
            asking.cancel()
            await housing.until(lambda: housing.left == 1)
            counted = await scraped(url)
            await running.village.close()

    assert counted[CALLS.format(code="CANCELLED", reason="")] == 1
    assert '"code":"CANCELLED"' in (house.home / "process.log").read_text("utf-8")


BATCHES = CALLS.replace("VerificationService/Verify", "VerificationService/BatchVerify")


async def test_clients_that_go_while_results_are_being_sent_are_gone_and_no_error(tmp_path: Path) -> None:
    streams = 12
    house, url = metered(tmp_path)
    with process(house) as running:
        for stream in range(streams):
            call = running.village.stub().BatchVerify()
            for _ in range(4):
                asked = [question_message(marital(index)) for index in range(100)]
                await call.write(pb.BatchVerifyRequest(requests=asked))
            for _ in range(1 + stream % 4):
                await call.read()
            call.cancel()
        ended: dict[str, float] = {}
        async with asyncio.timeout(TIMEOUT):
            while sum(ended.values()) < streams:
                await asyncio.sleep(0.01)
                counted = await scraped(url)
                ended = {name: n for name, n in counted.items() if name.startswith("chengxin_calls_total")}
        await running.village.close()

    assert ended == {BATCHES.format(code="CANCELLED", reason=""): streams}
    assert '"code":"INTERNAL"' not in (house.home / "process.log").read_text("utf-8")


@contextmanager
def several(house: House) -> Iterator[Village]:
    house.config.write_text(house.config.read_text("utf-8").replace("workers = 1 ", "workers = 2 "), "utf-8")
    parent = started.start("serve", "--config", house.config, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        assert parent.stdout is not None
        yield Village(house=house, port=int(parent.stdout.readline().split()[1]))
    finally:
        parent.terminate()
        parent.wait(30)
        assert parent.stdout is not None
        parent.stdout.close()


async def test_several_processes_tell_the_sum_of_what_they_counted(tmp_path: Path) -> None:
    house, url = metered(tmp_path)
    with several(house) as village:
        for index in range(12):
            await village.client().verify(marital(index))
            await village.close()
        counted = await scraped(url)

    assert counted[CALLS.format(code="OK", reason="")] == 12


async def test_only_the_one_page_is_served_and_only_where_it_is_configured(tmp_path: Path) -> None:
    house, url = metered(tmp_path)
    async with serving(house), httpx.AsyncClient() as http:
        assert (await http.get(url.removesuffix("metrics"))).status_code == 404
        assert (await http.post(url)).status_code == 405
        assert (await http.get(url)).headers["cache-control"] == "no-store"


async def test_an_address_in_use_is_refused_at_the_start(tmp_path: Path) -> None:
    house, url = metered(tmp_path)
    taken = socket.create_server(("127.0.0.1", httpx.URL(url).port or 0))
    with taken, pytest.raises(ConfigurationError, match=r"bound|use"):
        async with serving(house):
            pass


def test_an_address_without_a_port_is_refused_with_the_key_that_is_wrong(tmp_path: Path) -> None:
    house = settle(tmp_path, tune={'[metrics]\nlisten = "" ': '[metrics]\nlisten = "everywhere" '})
    with pytest.raises(ConfigurationError, match=r"metrics\.listen"):
        load_settings(house.config)


LOADED = "SELECT strftime('%Y-%m-%dT%H:%M:%S+00:00', 'now')"
CACHED = """
[sources.civil-affairs.resilience]
cache = "1h"
"""


async def test_an_answer_from_an_earlier_one_says_so_and_when_the_source_said_it(tmp_path: Path) -> None:
    house, url = metered(tmp_path)
    text = house.config.read_text("utf-8")
    text = text.replace('kind = "sql"\n', 'kind = "sql"\nfreshness = "1d"\n', 1)
    text = text.replace("statement = ", f'as_of_statement = "{LOADED}"\nstatement = ', 1) + CACHED
    house.config.write_text(text, "utf-8")
    married = next(index for index, one in enumerate(PEOPLE) if one.marital == "married")
    async with serving(house) as village:
        client = village.client()
        [first] = (await client.verify(marital(married))).verification.facts
        [second] = (await client.verify(marital(married))).verification.facts
        counted = await scraped(url)

    assert (first.cached, first.attempts) == (False, 1)
    assert (second.cached, second.attempts) == (True, 0)
    assert (second.answered_at, second.raw_digest) == (first.answered_at, first.raw_digest)
    assert second.answered_at - first.asked_at < timedelta(seconds=20)
    assert counted['chengxin_source_cached_total{fact_type="marriage-registration",source="civil-affairs"}'] == 1
