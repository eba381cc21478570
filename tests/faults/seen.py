"""What is seen of a gateway under a fault: the answer, the ledger, the metrics; written down as cells of the table."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

import httpx
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from connectors.conformance.faults import SOURCE
from connectors.conformance.scene import FACT
from gateway.client import Answer, BatchOutcome, DeadlinePassed, FactOutcome, GatewayRefusal
from ledger import decode_entry

COLUMNS: Mapping[str, str] = {
    "outcome": "the source's outcome",
    "answer": "verdict and reasons",
    "step": "next step",
    "message": "message",
    "status": "status",
    "entry": "entry",
    "breaker": "breaker",
    "metrics": "metrics",
    "over": "when it is over",
}
"""The columns of the gateway's table, and their headings."""

NOT_ASKED = "(no source is asked)"
NOBODY = "(nobody is there to be told)"
NO_ENTRY = "none"
NO_ANSWER = "none"
ENDLESS = "(it does not end by itself)"
_LOOK_AGAIN = 0.02  # seconds between looks at what another process does; it can only be polled


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What one caller was told: an answer, or a refusal."""

    answer: Answer | None = None
    refusal: GatewayRefusal | None = None

    @property
    def facts(self) -> tuple[FactOutcome, ...]:
        return self.answer.verification.facts if self.answer else ()

    @property
    def outcome(self) -> str:
        return ", ".join(map(outcome_of, self.facts)) or NOT_ASKED

    @property
    def verdict(self) -> str:
        if self.answer is None:
            return NO_ANSWER
        found = self.answer.verification
        return found.verdict.value + (f": {', '.join(found.reasons)}" if found.reasons else "")

    @property
    def step(self) -> str:
        if self.answer is None:
            return NO_ANSWER
        step = self.answer.verification.next_step
        after = f" {step.retry_after.total_seconds():.0f} s" if step.retry_after else ""
        return step.kind.value + after

    @property
    def message(self) -> str:
        if self.answer is not None:
            return self.answer.verification.next_step.explanation
        assert self.refusal is not None
        return self.refusal.chinese

    @property
    def status(self) -> str:
        if self.refusal is None:
            return "OK"
        words = [self.refusal.code, self.refusal.reason or "(said by the client)"]
        if self.refusal.retry_after is not None:
            words.append(f"again in {self.refusal.retry_after.total_seconds():g} s")
        return " ".join(words)

    def cells(self) -> dict[str, str]:
        """The cells that the answer itself gives."""
        return {
            "outcome": self.outcome,
            "answer": self.verdict,
            "step": self.step,
            "message": self.message,
            "status": self.status,
        }


async def told(asking: Awaitable[Answer]) -> Told:
    """Wait for an answer or a refusal."""
    try:
        return Told(answer=await asking)
    except GatewayRefusal as refusal:
        return Told(refusal=refusal)


def told_in_batch(outcome: BatchOutcome) -> Told:
    return Told(answer=outcome.answer, refusal=outcome.refusal)


def joined(both: Sequence[Told], by: str = " beside ") -> dict[str, str]:
    """Write what several callers were told, each different thing once where all were told alike."""
    cells = [one.cells() for one in both]
    return {column: by.join(dict.fromkeys(one[column] for one in cells)) for column in cells[0]}


def outcome_of(fact: FactOutcome) -> str:
    return f"{fact.outcome}({fact.cause})" if fact.cause else fact.outcome


def is_hasty(one: Told) -> bool:
    """Whether it was only this machine that had no time for it."""
    late = any(fact.cause == "TIMEOUT" for fact in one.facts)
    return late or isinstance(one.refusal, DeadlinePassed)


_SAMPLE = re.compile(r"chengxin_(?P<name>\w+?)(?P<total>_total)?\{(?P<labels>[^}]*)\} (?P<value>\S+)")
_LABEL = re.compile(r'(\w+)="([^"]*)"')
_ORDER = ("code", "reason", "verdict", "next_step", "outcome", "result", "cause")
_STATES = {0: "CLOSED", 1: "HALF_OPEN", 2: "OPEN"}


@dataclass(frozen=True, slots=True)
class Page:
    """One reading of `/metrics`: counters by name and labels, and gauges."""

    text: str
    counters: Counter[str] = field(default_factory=Counter)
    gauges: dict[str, float] = field(default_factory=dict)

    @classmethod
    def read(cls, page: str) -> Page:
        found = cls(page)
        for sample in _SAMPLE.finditer(page):
            labels = dict(_LABEL.findall(sample["labels"]))
            words = [labels[name] for name in _ORDER if labels.get(name)]
            words = ["of a batch", *words] if labels.get("method", "").endswith("BatchVerify") else words
            name = f"{sample['name']} {' '.join(words)}".strip()
            if sample["total"] and labels.get("method", "Verify").endswith("Verify"):
                found.counters[name] += int(float(sample["value"]))
            elif (labels.get("source"), labels.get("fact_type")) == (SOURCE, FACT) and "le" not in labels:
                found.gauges[sample["name"]] = float(sample["value"])
        return found

    def since(self, before: Page) -> str:
        """Write what was counted since another reading."""
        grown = sorted((self.counters - before.counters).items())
        return "; ".join(f"{name} ×{number}" for name, number in grown) or "nothing"

    def names_since(self, before: Page) -> set[str]:
        return set(self.counters - before.counters)

    def outcomes_since(self, before: Page) -> str:
        """Write the outcomes that sources gave since another reading."""
        name = "source_answers "
        return ", ".join(sorted(one.removeprefix(name) for one in self.names_since(before) if one.startswith(name)))

    @property
    def breaker(self) -> str:
        """Write the breaker's state; an open one with what opened it."""
        state = _STATES[int(self.gauges.get("source_breaker", 0))]
        causes = [name.split()[-1] for name in self.counters if name.startswith("source_breaker_openings")]
        return state if state == "CLOSED" else f"{state}({', '.join(causes)})"

    @property
    def under_way(self) -> int:
        """How many calls to the source are not over yet."""
        return int(self.gauges.get("source_calls_under_way", 0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Meter:
    """Reads the metrics of a running gateway; `read` keeps each page's text for the search for personal data."""

    url: str
    texts: list[str] = field(default_factory=list)

    async def read(self) -> Page:
        async with httpx.AsyncClient(timeout=30, verify=False) as http:
            answer = await http.get(self.url)
        assert answer.status_code == 200
        self.texts.append(answer.text)
        return Page.read(answer.text)

    async def until(self, what: Callable[[Page], bool]) -> Page:
        """Read again and again until something is so."""
        async with asyncio.timeout(30):
            while not what(page := await self.read()):
                await asyncio.sleep(_LOOK_AGAIN)
        return page


class Log:
    """Reads the entries of a ledger from beside, as its database holds them."""

    def __init__(self, url: str) -> None:
        self._engine = create_engine(url, poolclass=NullPool)

    def leaves(self) -> list[bytes]:
        with self._engine.connect() as connection:
            return [bytes(leaf) for (leaf,) in connection.execute(text("SELECT leaf FROM entry ORDER BY idx"))]

    def kinds(self) -> list[str]:
        return [decode_entry(leaf).kind for leaf in self.leaves()]

    def since(self, before: int) -> str:
        """Write the kinds of the entries from an index on."""
        counted = Counter(self.kinds()[before:])
        return ", ".join(kind if n == 1 else f"{n} × {kind}" for kind, n in sorted(counted.items())) or NO_ENTRY

    async def until(self, count: int) -> None:
        """Wait until so many entries are durable."""
        async with asyncio.timeout(30):
            while len(await asyncio.to_thread(self.leaves)) < count:
                await asyncio.sleep(_LOOK_AGAIN)
