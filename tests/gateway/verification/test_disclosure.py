"""What an answer tells: the verdict only where the matter says so, and of the dead that they are dead, no more."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from connectors.sources.sql import digest
from gateway.bootstrap.opening import open_index
from gateway.catalogue.loader import shipped_catalogue_files
from gateway.client import Selection, Step, Verdict, new_request_id
from gateway.config import load_settings
from gateway.rules.kept import rows, table

from .village import PEOPLE, inside, marital, premises, service, serving, settle, slow_source

RIGHT = "示例路1号"


def aggregate(folder: Path) -> list[Path]:
    """Write the shipped catalogue with a province whose matters learn the verdict of two items only."""
    files = []
    for file in shipped_catalogue_files():
        text = file.read_text("utf-8")
        for item in ("marital-status", "business-premises"):
            text = text.replace(f"- {{item: {item}", f"- {{item: {item}, disclosure: AGGREGATE")
        files.append(folder / file.name)
        files[-1].write_text(text, "utf-8")
    assert any("business-premises, disclosure: AGGREGATE" in file.read_text("utf-8") for file in files)
    return files


async def test_where_the_verdict_only_is_disclosed_no_door_tells_a_fact(tmp_path: Path) -> None:
    async with serving(settle(tmp_path, catalogue=aggregate(tmp_path))) as village:
        client = village.client()
        answer = await client.verify(marital(0))
        [many] = [one async for one in client.verify_many([marital(0)])]
        listed = [one async for one in client.answers(Selection())]
        opened = await client.get(answer.verification.record)
        [watched] = [one async for one in client.watch(answer.verification.record)]

    assert many.answer is not None
    told = [answer.verification, many.answer.verification, *listed, opened.verification, watched.answer.verification]
    assert len(told) == 6
    for one in told:
        assert (one.verdict, one.facts) == (Verdict.ESTABLISHED, ())
        assert one.next_step.explanation
    for proof in (answer, many.answer, opened, watched.answer):
        kept = proof.receipt.opened["answer"]
        assert (kept.value["verdict"], kept.value["facts"]) == ("ESTABLISHED", [])
        assert b"civil-affairs" not in kept.canonical
        assert proof.receipt.opened.keys() <= {"request", "answer"}


@pytest.mark.parametrize(
    ("is_dead", "strengths", "full"),
    [
        (False, ("MISSING",), ["NOT_COVERED", "NO_RECORD"]),
        (True, ("MISSING", "UNCLEAR"), ["NOT_COVERED", "SUBJECT_INACTIVE"]),
    ],
)
async def test_where_the_verdict_only_is_disclosed_the_reasons_tell_no_outcome(
    tmp_path: Path, is_dead: bool, strengths: tuple[str, ...], full: list[str]
) -> None:
    number = PEOPLE[0].id_number
    async with service({number: RIGHT} if is_dead else {}) as housing:
        house = settle(tmp_path, sources=slow_source(housing.port), catalogue=aggregate(tmp_path))
        housing.dead.update([number] if is_dead else [])
        async with serving(house) as village:
            answer = await village.client().verify(premises(0, RIGHT))
        async with inside(house) as within:
            kept = await within.flows.look_up.groups(bytes.fromhex(answer.verification.record), answer.receipt.index)

    assert answer.verification.reasons == strengths
    assert not any(reason.encode() in answer.receipt.opened["answer"].canonical for reason in full)
    assert table(kept["evidence"].value)["reasons"] == full
    assert len(rows(table(kept["evidence"].value)["facts"])) == 2


async def test_elsewhere_each_source_is_told_with_its_outcome(tmp_path: Path) -> None:
    async with serving(settle(tmp_path)) as village:
        answer = await village.client().verify(marital(0))

    [fact] = answer.verification.facts
    assert (fact.source, fact.fact_type, fact.outcome) == ("civil-affairs", "marriage-registration", "MATCH")
    assert fact.asked_at <= fact.answered_at <= answer.verification.answered_at
    assert len(fact.raw_digest) == 32


async def test_nobody_finds_a_record_by_the_digest_of_what_the_source_sent(tmp_path: Path) -> None:
    house = settle(tmp_path)
    columns = ("id_number", "name", "status")
    with sqlite3.connect(tmp_path / "civil.sqlite3") as civil:
        [row] = civil.execute(
            f"SELECT {', '.join(columns)} FROM marriage WHERE id_number = ?",
            (PEOPLE[0].id_number,),
        ).fetchall()
    sent = digest([dict(zip(columns, row, strict=True))])
    async with serving(house) as village:
        client = village.client()
        [first] = (await client.verify(marital(0))).verification.facts
        [second] = (await client.verify(marital(0))).verification.facts
    keyed = open_index(load_settings(house.config).ledger)

    assert len({sent, first.raw_digest, second.raw_digest}) == 3
    for fact in (first, second):  # who has the gateway's key can prove what was sent
        asked = f"{fact.source}/{fact.fact_type}/{fact.asked_at.isoformat()}".encode()
        assert fact.raw_digest == keyed.digest(b"chengxin/verification/v1/raw\x00" + asked + b"\x00" + sent)


@pytest.mark.parametrize("claimed", [RIGHT, "别处"])
async def test_of_an_inactive_subject_nothing_else_is_told_and_no_guess_is_counted(
    tmp_path: Path, claimed: str
) -> None:
    number = PEOPLE[0].id_number
    async with (
        service({number: RIGHT}) as housing,
        serving(settle(tmp_path, sources=slow_source(housing.port))) as village,
    ):
        housing.dead.add(number)
        client = village.client()
        question = premises(0, claimed)
        answers = [(await client.verify(replace(question, request_id=new_request_id()))).verification for _ in range(7)]
        different = [(await client.verify(premises(0, f"某{n}号"))).verification for n in range(7)]

    for answer in [*answers, *different]:
        assert [fact.outcome for fact in answer.facts] == ["SUBJECT_INACTIVE", "NOT_COVERED"]
        assert answer.verdict is Verdict.UNDETERMINED
        assert answer.next_step.kind is Step.ASSISTANCE, "never a commitment"
