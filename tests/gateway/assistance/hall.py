"""A gateway whose items have their full ladders, a clock set by hand, and the stubs of who asks and who answers."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from gateway.catalogue.loader import shipped_catalogue_files
from gateway.client import Answer, Case
from gateway.founding import SYSTEMS
from gateway.v1 import assistance_pb2 as pb
from gateway.v1 import assistance_pb2_grpc, parties_pb2
from tests.gateway.verification.village import (
    PEOPLE,
    PREMISES,
    Service,
    Village,
    case,
    marital,
    premises,
    service,
    serving,
    settle,
    slow_source,
)

ADDRESS = "示例路9号"
"""What the applicants say; the register knows nothing of it."""
FACT, LEASE = "home-ownership", "lease-filing"
CIVIL = SYSTEMS["source-officer"][0]
OWN = SYSTEMS["clerk"][0]
TIMEOUT = 20
SINGLE = next(index for index, one in enumerate(PEOPLE) if one.marital == "unmarried")


@dataclass(slots=True)
class Clock:
    """A clock that is set by hand."""

    at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __call__(self) -> datetime:
        return self.at


@dataclass(slots=True, kw_only=True)
class Hall:
    """A running gateway, the register of homes it asks, and its clock."""

    village: Village
    homes: Service
    clock: Clock

    def stub(self, system: str = "clerk") -> assistance_pb2_grpc.AssistanceServiceAsyncStub:
        return assistance_pb2_grpc.AssistanceServiceStub(self.village.channel(system))

    async def ask(self, person: int = 0, number: str = "办2026-0001", address: str = ADDRESS) -> Answer:
        return await self.village.client().verify(premises(person, address, in_case=in_case(number)))

    async def unmarried(self) -> Answer:
        return await self.village.client().verify(marital(SINGLE, "UNMARRIED"))

    async def send(self, verification: str, **changed: object) -> pb.SendAssistanceResponse:
        fields: dict[str, object] = {
            "request_id": new_id(), "verification": verification, "unit": CIVIL, "fact_type": FACT,
            "operator": operator("clerk"), **changed,
        }  # fmt: skip
        return await self.stub().SendAssistance(pb.SendAssistanceRequest(**fields), timeout=TIMEOUT)  # type: ignore[arg-type]

    async def receive(
        self, record: str, *people: str, system: str = "source-officer"
    ) -> pb.ReceiveAssistanceResponse:  # fmt: skip
        """Have people see what is asked, by default the two who find things together; returns what the last saw."""
        for person in people or (f"{system}-02", f"{system}-01"):
            request = pb.ReceiveAssistanceRequest(
                request_id=new_id(), record=record, operator=operator(system, person)
            )  # fmt: skip
            seen = await self.stub(system).ReceiveAssistance(request, timeout=TIMEOUT)
        return seen

    async def answer(self, record: str, outcome: str, **changed: object) -> pb.AnswerAssistanceResponse:
        fields: dict[str, object] = {
            "request_id": new_id(), "record": record, "outcome": outcome, "basis": "档案室卷宗",
            "operator": operator("source-officer"), **changed,
        }  # fmt: skip
        request = pb.AnswerAssistanceRequest(**fields)  # type: ignore[arg-type]
        return await self.stub("source-officer").AnswerAssistance(request, timeout=TIMEOUT)

    async def answered(self, verification: str, outcome: str, *, fact_type: str = FACT, **changed: object) -> str:
        """Ask, see and answer; returns the record of the request."""
        record = (await self.send(verification, fact_type=fact_type)).assistance.record
        await self.receive(record)
        await self.answer(record, outcome, **changed)
        return record

    async def all_answered(self, verification: str, outcome: str) -> None:
        """Ask, see and answer about each fact of the item."""
        for fact_type in (FACT, LEASE):
            await self.answered(verification, outcome, fact_type=fact_type)

    async def all_checked(self, verification: str, outcome: str) -> None:
        """Check each fact of the item."""
        for fact_type in (FACT, LEASE):
            await self.check(verification, outcome, fact_type=fact_type)

    async def denied(self, verification: str, fact_type: str = FACT) -> None:
        """Ask, see, and answer by two that what the applicant says is not so."""
        second = operator("source-officer", "source-officer-02")
        await self.answered(verification, "MISMATCH", fact_type=fact_type, second_operator=second)

    async def check(self, verification: str, outcome: str, **changed: object) -> pb.RecordCheckResponse:
        fields: dict[str, object] = {
            "request_id": new_id(), "verification": verification, "fact_type": FACT, "outcome": outcome,
            "method": pb.CHECK_METHOD_ON_SITE, "basis": "现场勘查笔录", "operator": operator("clerk"),
            "second_operator": operator("clerk", "clerk-02"), **changed,
        }  # fmt: skip
        return await self.stub().RecordCheck(pb.RecordCheckRequest(**fields), timeout=TIMEOUT)  # type: ignore[arg-type]


def new_id() -> str:
    return str(uuid.uuid4())


def operator(system: str, person: str = "") -> parties_pb2.Operator:
    return parties_pb2.Operator(person=person or f"{system}-01", unit=SYSTEMS[system][0])


def in_case(number: str) -> Case:
    return case(number, matter=PREMISES, purpose="办理行政许可")


def full_ladders(folder: Path, *, verdict_only: bool = False, in_turn: bool = False) -> list[Path]:
    """Write the shipped lists with the province's matters on the full ladders of their items.

    With `verdict_only`, the item of the tests discloses nothing but its verdict; with `in_turn`, its second fact is
    asked only where the first does not decide.
    """
    files = []
    for shipped in shipped_catalogue_files():
        text = shipped.read_text("utf-8").replace(", ladder: [COMMITMENT]", "")
        if verdict_only:
            text = text.replace("    number: 19\n", "    number: 19\n    disclosure: AGGREGATE\n")
        if in_turn:
            last = "        - {fact: lease-filing, expect: {address: $address}}\n"
            text = text.replace(last, f"{last}      ordered: true\n")
        files.append(folder / shipped.name)
        files[-1].write_text(text, "utf-8")
    return files


@asynccontextmanager
async def hall(
    folder: Path, *, verdict_only: bool = False, in_turn: bool = False, tune: Mapping[str, str] | None = None
) -> AsyncIterator[Hall]:
    """Serve a house of which a register of homes knows that nobody lives anywhere, with all the ladders.

    With `verdict_only`, leases are kept apart in a register that knows nothing, so that homes settle one fact alone.
    """
    clock = Clock()
    async with service({PEOPLE[30].id_number: ADDRESS}) as homes, service({}) as empty:
        lease = slow_source((empty if verdict_only else homes).port, name="leases", fact="lease-filing")
        # Marriages are known of another province only.
        marriages = "[sources.civil-affairs.facts.marriage-registration]\ncoverage = "
        elsewhere = {f'{marriages}"complete"': f'{marriages}{{ places = ["11"] }}'}
        lists = full_ladders(folder, verdict_only=verdict_only, in_turn=in_turn)
        house = settle(
            folder, sources=slow_source(homes.port) + lease, catalogue=lists, tune=elsewhere | dict(tune or {})
        )
        async with serving(house, now=clock) as village:
            yield Hall(village=village, homes=homes, clock=clock)
