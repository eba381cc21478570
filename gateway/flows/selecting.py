"""Select: page through the records of a family, newest first; looking a person up is itself recorded.

A page is found among so many entries of the log before the page's token, so that its cost is bounded whatever is asked
and however large the log; a page may therefore be short, or empty, although more follow.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, TypeVar

from connectors.connector import Subject
from gateway.errors import InvalidRequest, NotEntitled, Violation
from gateway.flows.once import Once, Recorded
from gateway.flows.record_look import RecordLook
from gateway.rules.admission import Operator, subject_body
from gateway.rules.roles import Caller, Role
from gateway.rules.same_case import case_of
from ledger import BlindIndex, Ledger, RecordRow
from ledger.canonical import Json, canonical

_SPAN = 100_000
END = 1 << 62
"""Beyond the end of every log."""


Item = TypeVar("Item")


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which records of a family; empty texts and None stand for no restriction. `unit` is None for every unit's.

    `start` and `end` say from when to before when the record was opened, `due_before` that its clock ends earlier.
    """

    family: str
    states: frozenset[str]
    unit: str | None
    case_id: str = field(repr=False, default="")
    item: str = ""
    matter: str = ""
    start: datetime | None = None
    end: datetime | None = None
    due_before: datetime | None = None
    subject: Subject | None = None

    def body(self) -> dict[str, Json]:
        """Give the selection as a canonical value."""
        return {
            "family": self.family,
            "states": [*sorted(self.states)],
            "unit": self.unit,
            "case_id": self.case_id,
            "item": self.item,
            "matter": self.matter,
            "start": _when(self.start),
            "end": _when(self.end),
            "due_before": _when(self.due_before),
            "subject": None if self.subject is None else subject_body(self.subject),
        }


class Select:
    """Finds pages of records."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        once: Once,
        index: BlindIndex,
        now: Callable[[], datetime],
        entropy: Callable[[int], bytes],
        span: int = _SPAN,
    ) -> None:
        self._ledger = ledger
        self._index = index
        self._record_look = RecordLook(once=once, index=index, now=now, entropy=entropy)
        self._span = span

    def page(self, selection: Selection, before: int, size: int) -> tuple[list[RecordRow], int]:
        """Return up to `size` records whose first entry lies below `before`, newest first, and where to go on (0: not).

        Blocks; to be called by `ledger.read`.
        """
        before = min(before, self._ledger.size())
        facts = self._facts(selection)
        if "subject" in facts or "case_key" in facts:
            rows = [row for row in self._few(selection, facts) if row.first_idx < before][:size]
            following = rows[-1].first_idx if len(rows) == size else 0
        else:
            rows = self._ledger.register().newest(
                selection.family,
                selection.states,
                before_idx=before,
                span=self._span,
                limit=size,
                only=facts,
                opened=(selection.start, selection.end),
                due_before=selection.due_before,
            )
            following = rows[-1].first_idx if len(rows) == size else max(0, before - self._span)
        return rows, following

    def count(self, selection: Selection, before: int) -> int:
        """Count the records that the pages below `before` would hold; blocks."""
        facts = self._facts(selection)
        if "subject" in facts or "case_key" in facts:
            return sum(row.first_idx < before for row in self._few(selection, facts))
        return self._ledger.register().count(
            selection.family, selection.states, before_idx=before, only=facts, due_before=selection.due_before
        )

    def _few(self, selection: Selection, facts: Mapping[str, bytes | str]) -> list[RecordRow]:
        """Find the records about a person or in a case, of which there are few, newest first."""
        register = self._ledger.register()
        if "subject" in facts:
            rows = register.by_subject(bytes(facts["subject"]), selection.family, selection.states)  # type: ignore[arg-type]
        else:
            rows = register.by_case(bytes(facts["case_key"]))  # type: ignore[arg-type]
        start, end, due = selection.start, selection.end, selection.due_before
        fitting = [
            row
            for row in rows
            if row.family == selection.family
            and row.state in selection.states
            and all(getattr(row, name) == value for name, value in facts.items())
            and (start is None or row.opened_at >= start)
            and (end is None or row.opened_at < end)
            and (due is None or (row.due_at is not None and row.due_at < due))
        ]
        return fitting[::-1]

    def _facts(self, selection: Selection) -> dict[str, bytes | str]:
        facts: dict[str, bytes | str] = {}
        if selection.unit is not None:
            facts["unit"] = selection.unit
        if selection.case_id and selection.unit is not None:
            facts["case_key"] = self._index.of("case", case_of(selection.unit, selection.case_id))
        if selection.item:
            facts["item"] = selection.item
        if selection.matter:
            facts["matter"] = selection.matter
        if selection.subject is not None:
            facts["subject"] = self._index.of(selection.subject.id_type, selection.subject.id_number)
        return facts

    def token_of(self, following: int, selection: Selection) -> str:
        """Give the token of the next page; empty where there is none."""
        return f"{following}.{self._mark(selection)}" if following else ""

    def position_of(self, token: str, selection: Selection) -> int:
        """Read a page token.

        Raises:
            InvalidRequest: it is not one that this list gave out.
        """
        if not token:
            return END
        position, _, mark = token.partition(".")
        if not position.isascii() or not position.isdigit() or len(position) > 18 or mark != self._mark(selection):
            raise InvalidRequest(
                [
                    Violation(
                        field="page_token", description="is not one that this list gave out", chinese="翻页标记有误。"
                    )
                ]
            )
        return int(position)

    def _mark(self, selection: Selection) -> str:
        """Tell a selection from others, so that a page token is of use for its own list only, and names nobody."""
        return self._index.digest(canonical(selection.body()))[:8].hex()

    async def record_look(self, selection: Selection, operator: Operator | None, purpose: str) -> Recorded | None:
        """Record that a person is looked up: who, by whom and why; nothing where the selection names nobody."""
        if selection.subject is None or operator is None:
            return None
        return await self._record_look(selection.subject, operator, purpose)

    def subject_fact(self, selection: Selection) -> dict[str, Json]:
        """Give the fact by which the person that a selection names finds the entry again."""
        return {} if selection.subject is None else self._record_look.subject_fact(selection.subject)


def _when(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[Item]):
    """What was found, the token of the next page (empty on the last), and the proof that a person was looked up.

    `tokens` are those of the pages that would begin after each of the items, for who cannot tell all of them.
    """

    items: Sequence[Item]
    token: str
    tokens: Sequence[str]
    recorded: Recorded | None = None

    def token_after(self, told: int) -> str:
        """Give the token that goes on after so many of the items."""
        return self.token if told == len(self.items) else self.tokens[told - 1]


class ListSelected(Generic[Item]):
    """Pages through selected records; `read` blocks, and gives of each row what is told of it."""

    def __init__(
        self, *, ledger: Ledger, select: Select, read: Callable[[Ledger, Sequence[RecordRow]], list[Item]]
    ) -> None:
        self._ledger = ledger
        self._select = select
        self._read = read

    async def __call__(
        self, selection: Selection, caller: Caller, *, operator: Operator | None, purpose: str, token: str, size: int
    ) -> Page[Item]:
        """Return one page; `operator` and `purpose` say who looks a person up, and why.

        Raises:
            NotEntitled: another unit's records, or a person's, are not for this caller.
            InvalidRequest: the page token is not one that this list gave out.
        """
        require_may_select(selection, caller)
        before = self._select.position_of(token, selection)
        recorded = await self._select.record_look(selection, operator, purpose)

        def read() -> tuple[list[Item], list[int], int]:
            rows, following = self._select.page(selection, before, size)
            return self._read(self._ledger, rows), [row.first_idx for row in rows], following

        items, positions, following = await self._ledger.read(read)
        return Page(
            items=items,
            token=self._select.token_of(following, selection),
            tokens=[self._select.token_of(position, selection) for position in positions],
            recorded=recorded,
        )


def require_may_select(selection: Selection, caller: Caller) -> None:
    """Refuse who may not see these records.

    Raises:
        NotEntitled: names the rule.
    """
    if selection.unit != caller.unit and Role.AUDITOR not in caller.roles:
        raise NotEntitled("the records of other units are for auditors", "只有审计人员可以查看其他单位的记录。")
    if selection.subject is not None and not caller.roles & {Role.OFFICER, Role.AUDITOR}:
        raise NotEntitled("records are listed by person for officers and auditors only", "该系统无权按人员查询记录。")
