"""News of the sources: one that was away answers again, one that is fed by files holds newer data.

Each look probes every source, without asking about anybody. What the breakers of this process saw counts as well; a
recovery that only another process saw shows in the probe.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

from connectors.connector import Connector, Health
from connectors.resilience import Resilient


class SourceNews:
    """Remembers when each type of fact had news last. The first look tells the dates of the data as they are."""

    def __init__(self, sources: Mapping[str, Connector], *, now: Callable[[], datetime]) -> None:
        self._sources = tuple(sources.values())
        self._now = now
        self._was_well: dict[str, bool] = {}
        self._dates: dict[tuple[str, str], datetime] = {}
        self._news: dict[str, datetime] = {}
        self._looked_at: datetime | None = None

    async def look(self) -> Mapping[str, datetime]:
        """Look at every source, and return when last there was news of each type of fact."""
        now = self._now()
        for source, health in zip(
            self._sources, await asyncio.gather(*(one.probe() for one in self._sources)), strict=True
        ):
            self._take(source, health, now)
        self._looked_at = now
        return dict(self._news)

    def _take(self, source: Connector, health: Health, now: datetime) -> None:
        name = source.manifest.source
        if health.ok and self._was_well.get(name) is False:
            self._note(source.manifest.fact_types, now)
        self._was_well[name] = health.ok
        for fact_type, dated in health.newest.items():
            known = self._dates.get((name, fact_type))
            if known is None:
                self._note((fact_type,), dated)
            elif dated != known:
                self._note((fact_type,), now)
            self._dates[name, fact_type] = dated
        if isinstance(source, Resilient):
            for interval in source.outages(since=self._looked_at):
                if interval.closed_at is not None and (self._looked_at is None or interval.closed_at > self._looked_at):
                    self._note((interval.fact_type,), interval.closed_at)

    def _note(self, fact_types: Iterable[str], at: datetime) -> None:
        for fact_type in fact_types:
            self._news[fact_type] = max(at, self._news.get(fact_type, at))
