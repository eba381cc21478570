"""Reload: read the catalogue files again and put them in force, or change nothing.

1. every file is read and judged as a whole; one mistake anywhere and nothing changes;
2. what is put in force is recorded first (`CatalogueEnacted`, with the whole catalogue and what it changes);
3. from then on every call that begins uses it; calls under way finish with the version they began with.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.catalogue.book import Book
from gateway.catalogue.difference import difference
from gateway.catalogue.mistakes import CatalogueError, Mistake
from gateway.catalogue.model import Catalogue
from gateway.errors import CatalogueRefused, NotYetPublished
from gateway.flows.look_up import LookUp
from gateway.flows.once import REQUEST, Once, Recorded, Request
from gateway.rules.kept import rows, table, text
from ledger import Draft, new_record
from ledger.canonical import Json, parse_canonical

ENACTED = "enacted"
"""The group of a `CatalogueEnacted` document that says which version came into force and what it changes."""
CATALOGUE = "catalogue"
"""The group that holds the whole catalogue: the SHA-256 of its canonical JSON is the version that answers name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reloaded:
    """What is in force now, what was before, and what changed; `recorded` is None where nothing did."""

    version: str
    previous_version: str
    changes: Sequence[Mapping[str, Json]]
    recorded: Recorded | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What the files would change, or every mistake in them (then `version` is empty)."""

    version: str
    previous_version: str
    changes: Sequence[Mapping[str, Json]]
    mistakes: tuple[Mistake, ...] = ()


class Reload:
    """Puts the configured catalogue files in force.

    `read` reads them and raises `CatalogueError`. `reloaded` is called when an operator's request changed what is in
    force in this process, so that others can be told.
    """

    def __init__(
        self,
        *,
        book: Book,
        once: Once,
        look_up: LookUp,
        read: Callable[[], Catalogue],
        reloaded: Callable[[], None] = lambda: None,
        now: Callable[[], datetime],
        entropy: Callable[[int], bytes],
    ) -> None:
        self._book = book
        self._once = once
        self._look_up = look_up
        self._read = read
        self._reloaded = reloaded
        self._now = now
        self._entropy = entropy
        self._one_at_a_time = asyncio.Lock()
        self._under_way: set[asyncio.Task[Reloaded]] = set()

    async def __call__(self, request: Request | None) -> Reloaded:
        """Reload for an operator's request, or for nobody by name (a signal to the process).

        Raises:
            CatalogueRefused: the files are wrong; every mistake is named and nothing changed.
            RequestIdReused: the request_id came before with another body.
            ledger.LedgerError: it could not be recorded; nothing changed.
        """
        # Whoever asked may go away: what is recorded must then still come into force.
        task = asyncio.create_task(self._reload(request))
        self._under_way.add(task)
        task.add_done_callback(self._done)
        return await asyncio.shield(task)

    async def check(self) -> Checked:
        """Read the files and say what they would change, or what is wrong with them; nothing changes."""
        before = self._book.in_force
        try:
            catalogue = await asyncio.to_thread(self._read)
        except CatalogueError as error:
            return Checked(version="", previous_version=before.version, changes=(), mistakes=error.mistakes)
        changes = [change.body() for change in difference(before, catalogue).changes]
        return Checked(version=catalogue.version, previous_version=before.version, changes=changes)

    def _done(self, task: asyncio.Task[Reloaded]) -> None:
        self._under_way.discard(task)
        if not task.cancelled():
            task.exception()  # taken note of here, since the caller may have gone away

    async def _reload(self, request: Request | None) -> Reloaded:
        async with self._one_at_a_time:
            if request is not None and (replayed := await self._once.replay(request)):
                return await self._first(replayed)
            try:
                catalogue = await asyncio.to_thread(self._read)
            except CatalogueError as error:
                raise CatalogueRefused([str(mistake) for mistake in error.mistakes]) from error
            before = self._book.in_force
            if catalogue.version == before.version:
                return Reloaded(version=before.version, previous_version=before.version, changes=(), recorded=None)
            at = self._now()
            draft = enactment(catalogue, before, at=at, entropy=self._entropy, request=request)
            try:
                recorded = await self._once.record(request, [draft], at=at)
            except NotYetPublished:  # it is recorded, and so it comes into force
                self._put_in_force(catalogue, request)
                raise
            self._put_in_force(catalogue, request)
            return await self._first(recorded)

    def _put_in_force(self, catalogue: Catalogue, request: Request | None) -> None:
        self._book.put_in_force(catalogue)
        if request is not None:
            self._reloaded()

    async def _first(self, recorded: Recorded) -> Reloaded:
        kept = table((await self._look_up.first_document(recorded))[ENACTED])
        return Reloaded(
            version=text(kept["version"]),
            previous_version=text(kept["previous_version"]),
            changes=[table(change) for change in rows(kept["changes"])],
            recorded=recorded,
        )


def enactment(
    catalogue: Catalogue,
    before: Catalogue | None,
    *,
    at: datetime,
    entropy: Callable[[int], bytes],
    request: Request | None = None,
) -> Draft:
    """Make the entry that a catalogue comes into force; `before` is None when the gateway starts."""
    changes: list[Json] = [] if before is None else [change.body() for change in difference(before, catalogue).changes]
    groups: dict[str, Json] = {
        "lists": [f"{one.code} {one.version}" for one in catalogue.lists],
        ENACTED: {
            "version": catalogue.version,
            "previous_version": before.version if before else "",
            "changes": changes,
        },
        CATALOGUE: parse_canonical(catalogue.canonical),
    }
    if request is not None:
        groups |= {REQUEST: request.body, "operator": request.person}
    return Draft(kind="CatalogueEnacted", record=new_record(at, entropy), policy=catalogue.version, groups=groups)
