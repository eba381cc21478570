"""A source that is away delays a case for as long as the matter is patient, and no longer; and never forever."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.catalogue.loader import shipped_catalogue_files
from gateway.client import Answer, Case, Step, Verdict

from .village import PEOPLE, PREMISES, Village, case, marital, premises, service, serving, settle, slow_source

RIGHT = "示例路1号"
DAY = timedelta(days=1)


@dataclass(slots=True)
class Clock:
    """A clock that is set by hand."""

    at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __call__(self) -> datetime:
        return self.at


@pytest.fixture
def nobody() -> Iterator[int]:
    """Lend a port at which nobody listens, so that a source there is away at once."""
    with ExitStack() as stack:
        bound = stack.enter_context(socket.socket())
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


def province(folder: Path, setting: str) -> list[Path]:
    """Write the shipped lists with a setting of two items in the matters of these tests."""
    nation, heilongjiang, _ = shipped_catalogue_files()
    text = heilongjiang.read_text("utf-8")
    for item in ("{item: marital-status}\n      - {item: alive", "{item: business-premises, ladder: [COMMITMENT]}"):
        assert text.count(item) == 1
        code, rest = item.split("}", 1)
        text = text.replace(item, f"{code}, {setting}}}{rest}")
    changed = folder / heilongjiang.name
    changed.write_text(text, "utf-8")
    return [nation, changed]


async def ask(village: Village, *, person: int = 0, in_case: Case | None = None) -> Answer:
    one = in_case or case(matter=PREMISES, purpose="办理行政许可")
    return await village.client().verify(premises(person, RIGHT, in_case=one))


async def test_past_the_matters_patience_people_are_asked_and_nobody_commits(tmp_path: Path, nobody: int) -> None:
    clock, steps = Clock(), []
    began = clock.at
    async with serving(settle(tmp_path, sources=slow_source(nobody)), now=clock) as village:
        for hours in (0, 1, 23, 1, 1):
            clock.at += timedelta(hours=hours)
            answer = await ask(village)
            assert answer.verification.verdict is Verdict.UNDETERMINED
            steps.append(answer.verification.next_step.kind)
            assert answer.verification.next_step.since == began
    assert steps == [Step.RETRY_AFTER, Step.RETRY_AFTER, Step.ASSISTANCE, Step.ASSISTANCE, Step.ASSISTANCE]


async def test_each_case_and_each_person_is_waited_for_anew(tmp_path: Path, nobody: int) -> None:
    clock = Clock()
    async with serving(settle(tmp_path, sources=slow_source(nobody)), now=clock) as village:
        await ask(village)
        clock.at += 2 * DAY
        other = await ask(village, in_case=case("办2026-0002", matter=PREMISES, purpose="办理行政许可"))
        another = await ask(village, person=1)
        same = await ask(village)
    assert other.verification.next_step.kind is Step.RETRY_AFTER
    assert another.verification.next_step.kind is Step.RETRY_AFTER
    assert same.verification.next_step.kind is Step.ASSISTANCE


async def test_each_claim_is_waited_for_by_itself(tmp_path: Path, nobody: int) -> None:
    clock, steps = Clock(), []
    async with serving(settle(tmp_path, sources=slow_source(nobody)), now=clock) as village:
        for address in (RIGHT, "别处", RIGHT, "别处"):
            answer = await village.client().verify(
                premises(0, address, in_case=case(matter=PREMISES, purpose="办理行政许可"))
            )
            steps.append((answer.verification.next_step.kind, answer.verification.next_step.since))
            clock.at += timedelta(hours=13)
    first, second = steps[0][1], steps[1][1]
    assert first is not None
    assert second == first + timedelta(hours=13)
    assert steps == [
        (Step.RETRY_AFTER, first),
        (Step.RETRY_AFTER, second),
        (Step.ASSISTANCE, first),
        (Step.ASSISTANCE, second),
    ]


async def test_a_source_that_came_back_meanwhile_is_waited_for_anew(tmp_path: Path) -> None:
    clock = Clock()
    async with (
        service({PEOPLE[0].id_number: RIGHT}) as housing,
        serving(settle(tmp_path, sources=slow_source(housing.port)), now=clock) as village,
    ):
        question, steps = premises(0, RIGHT), []
        for is_away, hours in ((True, 0), (False, 12), (True, 13)):
            clock.at += timedelta(hours=hours)
            (housing.answering.clear if is_away else housing.answering.set)()
            again = premises(0, RIGHT, in_case=question.case)
            answer = await village.client().verify(again, timeout=2)
            steps.append(answer.verification.next_step.kind)
    assert steps == [Step.RETRY_AFTER, Step.NONE, Step.RETRY_AFTER]


async def test_without_patience_people_are_asked_at_once(tmp_path: Path, nobody: int) -> None:
    house = settle(tmp_path, sources=slow_source(nobody), catalogue=province(tmp_path, "patience_seconds: 0"))
    async with serving(house) as village:
        answer = await ask(village)
    assert answer.verification.next_step.kind is Step.ASSISTANCE


async def test_a_step_that_the_matter_wants_confirmed_says_so(tmp_path: Path) -> None:
    house = settle(tmp_path / "confirming", catalogue=province(tmp_path, "confirm_by_clerk: true"))
    async with serving(house) as village, serving(settle(tmp_path / "plain")) as plain:
        wanted = await village.client().verify(marital(0))
        free = await plain.client().verify(marital(0))
    assert wanted.verification.next_step.confirm_by_clerk
    assert not free.verification.next_step.confirm_by_clerk
