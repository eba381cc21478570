"""Answers that people's acts lead to are counted as every other; a refusal is no answer."""

from __future__ import annotations

from pathlib import Path

from tests.gateway.verification.test_metrics import free_port, scraped

from .hall import hall

COUNTED = 'chengxin_verifications_total{{next_step="{step}",verdict="{verdict}"}}'


async def test_each_new_answer_is_counted_once_it_is_recorded(tmp_path: Path) -> None:
    port = free_port()
    tune = {'[metrics]\nlisten = "" ': f'[metrics]\nlisten = "127.0.0.1:{port}" '}
    async with hall(tmp_path, tune=tune) as house:
        first = (await house.ask()).verification
        await house.answered(first.record, "MATCH")
        counted = await scraped(f"http://127.0.0.1:{port}/metrics")

    answers = {
        ("UNDETERMINED", "ASSISTANCE"): 1,  # as it was asked
        ("PENDING", "WAIT"): 1,  # with the request
        ("ESTABLISHED", "NONE"): 1,  # with what people found
    }
    assert {
        (verdict, step): counted.get(COUNTED.format(step=step, verdict=verdict)) for verdict, step in answers
    } == answers
