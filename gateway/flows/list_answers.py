"""List answers: page through what was answered, newest first; looking a person up is itself recorded.

A page is found among so many entries of the log before the page's token, so that its cost is bounded whatever is asked
and however large the log; a page may therefore be short, or empty, although more follow.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from connectors.connector import Subject
from gateway.errors import InvalidRequest, NotEntitled, Violation
from gateway.flows.once import REQUEST, Once, Recorded
from gateway.flows.verify import ANSWER
from gateway.rules.admission import Operator, subject_body
from gateway.rules.kept import table
from gateway.rules.roles import Caller, Role
from ledger import BlindIndex, Draft, Erased, Ledger, RecordRow, new_record
from ledger.canonical import Json, canonical

_SPAN = 100_000
_END = 1 << 62


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which answers; empty texts and None stand for no restriction. `unit` is None for every unit's."""

    unit: str | None
    case_id: str = ""
    item: str = ""
    matter: str = ""
    start: datetime | None = None
    end: datetime | None = None
    subject: Subject | None = None

    def digest(self) -> str:
        """Tell this selection from others, so that a page token is of use for its own list only."""
        times = [moment.isoformat() if moment else None for moment in (self.start, self.end)]
        subject: Json = None if self.subject is None else subject_body(self.subject)
        body: list[Json] = [self.unit, self.case_id, self.item, self.matter, *times, subject]
        return hashlib.sha256(canonical(body)).hexdigest()[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One answer: its row, and what was kept of question and answer (None once erased)."""

    row: RecordRow
    question: Mapping[str, Json] | None
    answer: Mapping[str, Json] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Answers, the token of the next page (empty on the last), and the proof that a person was looked up."""

    answers: Sequence[Listed]
    token: str
    recorded: Recorded | None = None


class ListAnswers:
    """Pages through answers."""

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
        self._once = once
        self._index = index
        self._now = now
        self._entropy = entropy
        self._span = span

    async def __call__(
        self, selection: Selection, caller: Caller, *, operator: Operator | None, purpose: str, token: str, size: int
    ) -> Page:
        """Return one page; `operator` and `purpose` say who looks a person up, and why.

        Raises:
            NotEntitled: another unit's answers, or a person's, are not for this caller.
            InvalidRequest: the page token is not one that this list gave out.
        """
        require_may_list(selection, caller)
        before = _position(token, selection)
        recorded = None
        if selection.subject is not None and operator is not None:
            recorded = await self._record_look(selection.subject, operator, purpose)
        answers, following = await self._ledger.read(lambda: self._page(selection, before, size))
        return Page(answers=answers, token=_token(following, selection), recorded=recorded)

    def _page(self, selection: Selection, before: int, size: int) -> tuple[list[Listed], int]:
        before = min(before, self._ledger.size())
        facts = self._facts(selection)
        if "subject" in facts or "case_key" in facts:
            rows = self._few(selection, facts, before)[:size]
            following = rows[-1].first_idx if len(rows) == size else 0
        else:
            rows = self._ledger.register().newest(
                "verification",
                ("ANSWERED",),
                before_idx=before,
                span=self._span,
                limit=size,
                only=facts,
                opened=(selection.start, selection.end),
            )
            following = rows[-1].first_idx if len(rows) == size else max(0, before - self._span)
        return [self._listed(row) for row in rows], following

    def _few(self, selection: Selection, facts: Mapping[str, bytes | str], before: int) -> list[RecordRow]:
        """Find the answers about a person or in a case, of which there are few, newest first."""
        register = self._ledger.register()
        if "subject" in facts:
            rows = register.by_subject(bytes(facts["subject"]), "verification", ("ANSWERED",))  # type: ignore[arg-type]
        else:
            rows = register.by_case(bytes(facts["case_key"]))  # type: ignore[arg-type]
        start, end = selection.start, selection.end
        fitting = [
            row
            for row in rows
            if row.family == "verification"
            and row.state == "ANSWERED"
            and row.first_idx < before
            and all(getattr(row, name) == value for name, value in facts.items())
            and (start is None or row.opened_at >= start)
            and (end is None or row.opened_at < end)
        ]
        return fitting[::-1]

    def _facts(self, selection: Selection) -> dict[str, bytes | str]:
        facts: dict[str, bytes | str] = {}
        if selection.unit is not None:
            facts["unit"] = selection.unit
        if selection.case_id and selection.unit is not None:
            facts["case_key"] = self._index.of("case", f"{selection.unit}/{selection.case_id}")
        if selection.item:
            facts["item"] = selection.item
        if selection.matter:
            facts["matter"] = selection.matter
        if selection.subject is not None:
            facts["subject"] = self._index.of(selection.subject.id_type, selection.subject.id_number)
        return facts

    def _listed(self, row: RecordRow) -> Listed:
        document = self._ledger.document(row.first_idx)
        if isinstance(document, Erased):
            return Listed(row=row, question=None, answer=None)
        return Listed(row=row, question=table(document[REQUEST].value), answer=table(document[ANSWER].value))

    async def _record_look(self, subject: Subject, operator: Operator, purpose: str) -> Recorded:
        at = self._now()
        draft = Draft(
            kind="SubjectLookedUp",
            record=new_record(at, self._entropy),
            groups={
                "subject": subject_body(subject),
                "purpose": purpose,
                "operator": {"person": operator.person, "unit": operator.unit},
            },
            facts={
                "subject": self._index.of(subject.id_type, subject.id_number).hex(),
                "unit": operator.unit,
            },
        )
        return await self._once.record(None, [draft], at=at)


def require_may_list(selection: Selection, caller: Caller) -> None:
    """Refuse who may not see these answers.

    Raises:
        NotEntitled: names the rule.
    """
    if selection.unit != caller.unit and Role.AUDITOR not in caller.roles:
        raise NotEntitled(
            "the answers given to other units are for auditors", "只有审计人员可以查看其他单位的核验记录。"
        )
    if selection.subject is not None and not caller.roles & {Role.OFFICER, Role.AUDITOR}:
        raise NotEntitled(
            "answers are listed by person for officers and auditors only", "该系统无权按人员查询核验记录。"
        )


def _token(following: int, selection: Selection) -> str:
    return f"{following}.{selection.digest()}" if following else ""


def _position(token: str, selection: Selection) -> int:
    if not token:
        return _END
    position, _, digest = token.partition(".")
    if not position.isascii() or not position.isdigit() or len(position) > 18 or digest != selection.digest():
        raise InvalidRequest(
            [Violation(field="page_token", description="is not one that this list gave out", chinese="翻页标记有误。")]
        )
    return int(position)
