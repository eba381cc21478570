"""List requests for assistance: those addressed to a unit, or sent by it; nobody is named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.catalogue.words import Disclosure
from gateway.errors import DocumentErased, RecordNotFound
from gateway.flows.look_up import LookUp
from gateway.flows.once import Recorded
from gateway.flows.selecting import Page, Select, Selection
from gateway.flows.verification.people import ASKED, ASSISTANCE, FOUND, SHOWN
from gateway.rules.kept import table, text
from gateway.rules.roles import Caller, Role
from ledger import Ledger, RecordRow
from ledger.canonical import Json
from ledger.records.lifecycle import FAMILIES

STATES = frozenset(state for steps in FAMILIES[ASSISTANCE].transitions.values() for state in steps.values())
"""Every state of a request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AssistanceRead:
    """A request as it stood after an entry; texts are empty where its documents are erased."""

    row: RecordRow
    state: str
    changed_at: datetime
    reminders: int
    sender: str = ""
    fact_type: str = ""
    outcome: str = ""
    remark: str = ""
    due_at: datetime | None = None


class ReadAssistance:
    """Reads requests for who sent them and who is asked."""

    def __init__(self, *, ledger: Ledger, look_up: LookUp, select: Select) -> None:
        self._ledger = ledger
        self._look_up = look_up
        self._select = select

    async def visible(self, record: bytes, caller: Caller) -> RecordRow:
        """Return a request that was addressed to, or sent by, the caller's unit; an auditor sees every one.

        Raises:
            RecordNotFound: there is none, or it is not the caller's to see; the two are not told apart.
        """
        row = await self._look_up.any(ASSISTANCE, record)
        if Role.AUDITOR in caller.roles or row.unit == caller.unit:
            return row
        asking = await self._look_up.find(row.parent or b"")
        if asking is None or asking.unit != caller.unit:
            raise RecordNotFound(ASSISTANCE)
        return row

    async def read(self, row: RecordRow, caller: Caller, *, until: int | None = None) -> AssistanceRead:
        """Return a request as it stood after an index, or as it stands now, as far as the caller may know.

        What was found is told to who found it; to others only where the matter discloses more than the verdict.
        """
        life = await self._look_up.life(row, until=until)
        kinds = {line.kind: line.idx for line in life.history}
        read = AssistanceRead(
            row=row,
            state=life.state,
            changed_at=life.changed_at,
            reminders=sum(line.kind == "AssistanceReminded" for line in life.history),
            due_at=row.due_at,
        )
        try:
            asked = table((await self._look_up.document(row.record, row.first_idx))[ASKED])
            outcome, remark = await self._ended(row, kinds)
            if row.unit != caller.unit and asked.get("disclosure") != Disclosure.PER_FACT.value:
                outcome = ""
        except DocumentErased:
            return read
        return AssistanceRead(
            row=row,
            state=read.state,
            changed_at=read.changed_at,
            reminders=read.reminders,
            sender=text(asked["sender"]),
            fact_type=text(asked["fact_type"]),
            outcome=outcome,
            remark=remark,
            due_at=datetime.fromisoformat(text(asked["due_at"])),
        )

    async def _ended(self, row: RecordRow, kinds: dict[str, int]) -> tuple[str, str]:
        for kind, group, field in (
            ("AssistanceAnswered", FOUND, "outcome"),
            ("AssistanceRefused", "refusal", "reason"),
            ("AssistanceReturned", "returned", "forward_to"),
        ):
            if kind in kinds:
                kept = text(table((await self._look_up.document(row.record, kinds[kind]))[group])[field])
                return (kept, "") if group == FOUND else ("", kept)
        return "", ""

    async def shown(self, recorded: Recorded) -> Mapping[str, Json]:
        """Return what a person was shown when a request was received; raises `DocumentErased`."""
        return table((await self._look_up.document(recorded.record, recorded.first))[SHOWN])

    async def page(
        self, caller: Caller, states: frozenset[str], *, sent: bool, token: str, size: int
    ) -> Page[AssistanceRead]:
        """Return one page of the requests addressed to the caller's unit, or sent by it, newest first.

        Raises:
            InvalidRequest: the page token is not one that this list gave out.
        """
        selection = Selection(family=ASSISTANCE, states=states, unit=None if sent else caller.unit)
        before = self._select.position_of(token, selection)
        rows, following = await self._ledger.read(lambda: self._select.page(selection, before, size))
        if sent:
            rows = await self._sent_by(rows, caller)
        return Page(
            items=[await self.read(row, caller) for row in rows],
            token=self._select.token_of(following, selection),
            tokens=[self._select.token_of(row.first_idx, selection) for row in rows],
        )

    async def _sent_by(self, rows: Sequence[RecordRow], caller: Caller) -> list[RecordRow]:
        register = self._ledger.register()
        parents = [row.parent for row in rows if row.parent is not None]
        asking = await self._ledger.read(lambda: register.many(parents))
        return [
            row
            for row in rows
            if row.parent is not None and (found := asking.get(row.parent)) is not None and found.unit == caller.unit
        ]
