"""The commands of offices without a system: what they print is for the people at the desk."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from click.testing import CliRunner, Result

from gateway.cli import cli
from gateway.client import Step, Verdict

from .hall import ADDRESS, CIVIL, FACT, LEASE, PEOPLE, Hall


async def run(house: Hall, *words: str) -> Result:
    where = ["--config", str(house.village.house.config), "--server", f"127.0.0.1:{house.village.port}"]
    return await asyncio.to_thread(CliRunner().invoke, cli, ["assistance", words[0], *where, *words[1:]])


async def sent(house: Hall, verification: str) -> str:
    told = await run(
        house, "send", "--person", "clerk-01", "--unit", CIVIL, "--fact", FACT, "--json", verification
    )  # fmt: skip
    assert told.exit_code == 0, told.output
    # The gateway of this process logs to the same output.
    return str(next(json.loads(line)["record"] for line in told.output.splitlines() if line.startswith("{")))


async def test_a_request_goes_from_desk_to_desk(house: Hall, tmp_path: Path) -> None:
    record = await sent(house, (await house.ask()).verification.record)
    listed = await run(house, "list")
    assert (record in listed.output, "已发出" in listed.output) == (True, True)
    received = await run(house, "receive", "--person", "p-1", record)
    assert all(word in received.output for word in (PEOPLE[0].name, PEOPLE[0].id_number, ADDRESS, "请只就“不动产登记”"))
    assert "已认领" in (await run(house, "claim", "--person", "p-1", record)).output
    page = tmp_path / "页.txt"
    page.write_text("档案")

    answered = await run(
        house, "answer", "--person", "p-1", "--outcome", "match", "--basis", "卷宗", "--attach", str(page), record
    )

    assert "已答复 申请人就此类事实所述:属实" in answered.output
    assert (await house.ask()).verification.verdict is Verdict.ESTABLISHED


async def test_the_list_names_nobody(house: Hall) -> None:
    await sent(house, (await house.ask()).verification.record)

    listed = (await run(house, "list", "--json")).output

    assert not any(word in listed for word in (PEOPLE[0].name, PEOPLE[0].id_number, ADDRESS))


async def test_a_check_is_recorded_by_two(house: Hall) -> None:
    first = (await house.ask()).verification.record
    await house.all_answered(first, "NO_RECORD")
    verification = (await house.ask()).verification.record

    told = await run(
        house, "check", "--person", "c-1", "--second", "c-2", "--fact", FACT, "--method", "on-site", "--outcome",
        "no-record", "--basis", "现场无人", verification,
    )  # fmt: skip

    assert "核查结果已登记" in told.output
    await house.check(verification, "NO_RECORD", fact_type=LEASE)
    assert (await house.ask()).verification.next_step.kind is Step.COMMITMENT


async def test_a_refusal_says_its_reason_in_chinese(house: Hall) -> None:
    record = await sent(house, (await house.ask()).verification.record)

    told = await run(house, "answer", "--person", "p-1", "--outcome", "match", "--basis", "卷宗", record)

    assert (told.exit_code, "ASSISTANCE_UNSEEN" in told.output, "请先签收" in told.output) == (1, True, True)


async def test_every_mistake_of_what_was_typed_is_told_in_chinese_by_its_field(house: Hall) -> None:
    told = await run(house, "answer", "--person", "p" * 200, "--outcome", "match", "--basis", "卷宗", "x")

    assert told.exit_code == 1
    for part in ("请按所列各项更正", "record:记录编号格式有误。", "operator.person:经办人过长。"):
        assert part in told.output


async def test_an_answer_can_be_had_as_json(house: Hall) -> None:
    where = ["--config", str(house.village.house.config), "--server", f"127.0.0.1:{house.village.port}"]
    asked = ["--name", "示例甲", "--id", "230199198001010072", "--set", "address=示例路1号"]

    told = await asyncio.to_thread(CliRunner().invoke, cli, ["ask", *where, *asked, "--json"])

    assert told.exit_code == 0, told.output
    answer = next(json.loads(line) for line in told.output.splitlines() if line.startswith("{"))
    assert answer["verification"]["verdict"].startswith("VERDICT_")
    assert "proof" in answer["receipt"]


async def test_who_returns_says_where_it_belongs(house: Hall) -> None:
    record = await sent(house, (await house.ask()).verification.record)
    await run(house, "receive", "--person", "p-1", record)

    told = await run(house, "return", "--person", "p-1", "--forward-to", "112300000000003030", record)

    assert "已退回" in told.output


async def test_who_refuses_says_why(house: Hall) -> None:
    record = await sent(house, (await house.ask()).verification.record)
    await run(house, "receive", "--person", "p-1", record)

    assert (await run(house, "refuse", "--person", "p-1", record)).exit_code == 2
    assert "不予协查" in (await run(house, "refuse", "--person", "p-1", "--reason", "档案已移交", record)).output


async def test_a_gateway_that_is_not_running_is_told_in_chinese(house: Hall) -> None:
    where = ["--config", str(house.village.house.config), "--server", "127.0.0.1:1"]

    told = await asyncio.to_thread(CliRunner().invoke, cli, ["assistance", "list", *where])

    assert (told.exit_code, "无法连接核验网关" in told.output) == (1, True)
