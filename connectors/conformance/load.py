"""Load sources side by side, and tell what each one's callers waited; for benches, which print it.

Nothing here judges: a bench compares within one run, on one machine, and says so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from connectors.conformance.scene import asking
from connectors.connector import Claim, Connector


@dataclass(frozen=True, slots=True, kw_only=True)
class Waited:
    """What the callers of one source waited, in seconds, sorted; and how many answers were no conclusions."""

    seconds: Sequence[float]
    unavailable: int

    def percentile(self, share: float) -> float:
        """Give the time that a share (0 to 1) of the callers did not exceed; 0 of none."""
        if not self.seconds:
            return 0.0
        return self.seconds[min(len(self.seconds) - 1, int(share * len(self.seconds)))]


@dataclass(frozen=True, slots=True, kw_only=True)
class Driven:
    """A source under load: so many callers ask one question after the other, the nth about `claim(n)`.

    Each pauses so many seconds after an answer. A dead source needs that: its breaker answers at once, and callers
    without a pause would load the machine and not the source.
    """

    source: Connector
    claim: Callable[[int], Claim]
    callers: int = 8
    pause: float = 0.0


async def drive(driven: Mapping[str, Driven], *, seconds: float, patience: float = 5.0) -> dict[str, Waited]:
    """Drive all sources at once for a time; every question has `patience` seconds."""
    ends_at = asyncio.get_running_loop().time() + seconds
    found = await asyncio.gather(*(_drive(one, ends_at, patience) for one in driven.values()))
    return dict(zip(driven, found, strict=True))


async def _drive(driven: Driven, ends_at: float, patience: float) -> Waited:
    waited: list[float] = []
    counts = {"asked": 0, "unavailable": 0}
    clock = asyncio.get_running_loop().time

    async def call() -> None:
        while clock() < ends_at:
            number, began = counts["asked"], clock()
            counts["asked"] += 1
            [found] = await driven.source.check_many([driven.claim(number)], asking(patience, case=f"办-{number}"))
            waited.append(clock() - began)
            counts["unavailable"] += found.outcome.cause is not None
            if driven.pause:
                await asyncio.sleep(driven.pause)

    await asyncio.gather(*(call() for _ in range(driven.callers)))
    return Waited(seconds=sorted(waited), unavailable=counts["unavailable"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """What the callers of well sources waited: alone, and beside a source that is dead."""

    alone: Mapping[str, Waited]
    beside: Mapping[str, Waited]
    dead: Waited

    def ratio(self, name: str, share: float = 0.99) -> float:
        """Give how much longer a percentile of one source is beside the dead one; 1.0 is no difference."""
        alone = self.alone[name].percentile(share)
        return self.beside[name].percentile(share) / alone if alone else 1.0


async def beside_a_dead_source(well: Mapping[str, Driven], dead: Driven, *, seconds: float, rounds: int = 3) -> Beside:
    """Drive well sources without and with a dead one, in turns, so that the machine's moods fall on both alike."""
    alone: dict[str, list[Waited]] = {name: [] for name in well}
    beside: dict[str, list[Waited]] = {name: [] for name in well}
    of_dead: list[Waited] = []
    for _ in range(rounds):
        for name, one in (await drive(well, seconds=seconds / rounds)).items():
            alone[name].append(one)
        for name, one in (await drive({**well, "": dead}, seconds=seconds / rounds)).items():
            (beside[name] if name else of_dead).append(one)
    return Beside(
        alone={name: _joined(ones) for name, ones in alone.items()},
        beside={name: _joined(ones) for name, ones in beside.items()},
        dead=_joined(of_dead),
    )


def _joined(ones: Sequence[Waited]) -> Waited:
    return Waited(
        seconds=sorted(second for one in ones for second in one.seconds),
        unavailable=sum(one.unavailable for one in ones),
    )
