"""From verdict to next step: a total table, as data.

The cardinal rule: a commitment stands in only for data that are *missing*. A source that is away, unclear data,
contradicting data and a fact that people found untrue never open it, whatever is configured: no setting reaches the
rows that decide so.
"""

from __future__ import annotations

import enum
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from msgspec import Struct

from gateway.catalogue.model import Item, Matter
from gateway.catalogue.words import LADDER_ORDER, CommitmentAllowance, CommitmentMode, ItemState, Rung
from gateway.rules.reasons import STRENGTH, Reason, ReasonKind, Strength, strongest
from gateway.rules.verdict import Verdict


class StepKind(enum.Enum):
    """What must happen now; exactly one follows each answer."""

    NONE = "NONE"
    DISPUTE = "DISPUTE"
    WAIT = "WAIT"
    ASK_APPLICANT = "ASK_APPLICANT"
    RETRY_AFTER = "RETRY_AFTER"
    ASSISTANCE = "ASSISTANCE"
    OWN_OR_COMMISSIONED_CHECK = "OWN_OR_COMMISSIONED_CHECK"
    COMMITMENT = "COMMITMENT"
    NOT_ESTABLISHABLE = "NOT_ESTABLISHABLE"


class Situation(enum.Enum):
    """The rows of the table."""

    ESTABLISHED = "ESTABLISHED"
    CONTRADICTED = "CONTRADICTED"
    PENDING = "PENDING"
    NEEDS_ATTRIBUTE = "NEEDS_ATTRIBUTE"
    TEMPORARY = "TEMPORARY"
    UNCLEAR = "UNCLEAR"
    DISPROVED = "DISPROVED"
    MISSING = "MISSING"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What a situation leads to: `step` at once, or `step` within patience and then the first untried rung, and `last`
    where none is left.

    `rungs` is None where the matter's own ladder applies. Only that row can lead to a commitment.
    """

    step: StepKind | None = None
    within_patience_only: bool = False
    rungs: tuple[Rung, ...] | None = ()
    last: StepKind = StepKind.NOT_ESTABLISHABLE


_PEOPLE = (Rung.ASSISTANCE, Rung.OWN_OR_COMMISSIONED_CHECK)

TABLE: Mapping[Situation, Row] = {
    Situation.ESTABLISHED: Row(step=StepKind.NONE),
    Situation.CONTRADICTED: Row(step=StepKind.DISPUTE),
    Situation.PENDING: Row(step=StepKind.WAIT),
    Situation.NEEDS_ATTRIBUTE: Row(step=StepKind.ASK_APPLICANT),
    Situation.TEMPORARY: Row(step=StepKind.RETRY_AFTER, within_patience_only=True, rungs=_PEOPLE),
    Situation.UNCLEAR: Row(rungs=_PEOPLE),
    # Another fact may still bear the claim out: people are asked about that first. Then it is for the applicant to
    # contest what was found and for a person to decide, not for the applicant's word to stand against it.
    Situation.DISPROVED: Row(rungs=_PEOPLE, last=StepKind.DISPUTE),
    Situation.MISSING: Row(rungs=None),
}

_BY_STRENGTH = {
    Strength.PENDING: Situation.PENDING,
    Strength.NEEDS_ATTRIBUTE: Situation.NEEDS_ATTRIBUTE,
    Strength.TEMPORARY: Situation.TEMPORARY,
    Strength.UNCLEAR: Situation.UNCLEAR,
    Strength.DISPROVED: Situation.DISPROVED,
    Strength.MISSING: Situation.MISSING,
}


class FallbackSettings(Struct, frozen=True, kw_only=True):
    """What the catalogue sets for one item in one matter."""

    ladder: tuple[Rung, ...]
    commitment_mode: CommitmentMode
    commitment_open: bool
    patience: timedelta
    retry_after: timedelta
    confirm_by_clerk: bool = False


class FallbackInput(Struct, frozen=True, kw_only=True):
    """What is known when the next step is chosen; `attempted` are the rungs tried already on each fact that is open.

    `since` is since when the case waits for sources that are away, where that is known.
    """

    verdict: Verdict
    reasons: frozenset[Reason]
    settings: FallbackSettings
    attempted: frozenset[Rung] = frozenset()
    patience_passed: bool = False
    since: datetime | None = None


class NextStep(Struct, frozen=True, kw_only=True):
    """What must happen now. `attempts` are the rungs tried already on each fact that is open, in the founding
    document's order; `since` is since when the case waits for sources that are away."""

    kind: StepKind
    until: datetime | None = None
    since: datetime | None = None
    retry_after: timedelta | None = None
    attribute: str = ""
    attempts: tuple[str, ...] = ()
    confirm_by_clerk: bool = False
    explanation: str = ""


def settings_for(item: Item, matter: Matter) -> FallbackSettings:
    """Return what the catalogue sets for `item` in `matter`.

    Raises:
        KeyError: the matter may not ask the item.
    """
    asked = matter.items[item.code]
    ladder = matter.ladder_of(item)
    return FallbackSettings(
        ladder=ladder,
        commitment_mode=matter.mode_of(item),
        commitment_open=(_may_be_committed(item) and Rung.COMMITMENT in ladder and not asked.excluded_from_commitment),
        patience=matter.patience_of(item),
        retry_after=matter.retry_after,
        confirm_by_clerk=asked.confirm_by_clerk,
    )


def settings_of(item: Item) -> FallbackSettings:
    """Return what the item says by itself, for explaining it outside any matter; it waits for nobody."""
    return FallbackSettings(
        ladder=item.ladder,
        commitment_mode=item.commitment.mode,
        commitment_open=_may_be_committed(item) and Rung.COMMITMENT in item.ladder,
        patience=timedelta(0),
        retry_after=timedelta(0),
    )


def _may_be_committed(item: Item) -> bool:
    return item.commitment.allowed is not CommitmentAllowance.NEVER and item.state is not ItemState.BANNED


def situation(verdict: Verdict, reasons: frozenset[Reason]) -> Situation:
    """Return the row that applies. An open verdict without a reason is UNCLEAR: nothing is proved missing."""
    if verdict is Verdict.ESTABLISHED:
        return Situation.ESTABLISHED
    if verdict is Verdict.CONTRADICTED:
        return Situation.CONTRADICTED
    if verdict is Verdict.PENDING:
        return Situation.PENDING
    strength = strongest(reasons)
    return Situation.UNCLEAR if strength is None else _BY_STRENGTH[strength]


def next_step(given: FallbackInput) -> NextStep:
    """Return the one step that follows; total over every input."""
    row = TABLE[situation(given.verdict, given.reasons)]
    return _step(_kind(row, given.settings, given.attempted, patience_passed=given.patience_passed), given)


def course(where: Situation, settings: FallbackSettings) -> tuple[StepKind, ...]:
    """Return the steps that follow one after the other while the situation stays as it is; it always ends."""
    steps: list[StepKind] = []
    attempted: frozenset[Rung] = frozenset()
    patience_passed = False
    while True:
        kind = _kind(TABLE[where], settings, attempted, patience_passed=patience_passed)
        steps.append(kind)
        if kind is StepKind.RETRY_AFTER:
            patience_passed = True
        elif kind in (StepKind.ASSISTANCE, StepKind.OWN_OR_COMMISSIONED_CHECK):
            attempted |= {Rung(kind.value)}
        else:
            return tuple(steps)


def _kind(row: Row, settings: FallbackSettings, attempted: frozenset[Rung], *, patience_passed: bool) -> StepKind:
    if row.step is not None and not (row.within_patience_only and patience_passed):
        return row.step
    for rung in _own_ladder(settings) if row.rungs is None else row.rungs:
        if rung is Rung.COMMITMENT or rung not in attempted:
            return StepKind(rung.value)
    return row.last


def _own_ladder(settings: FallbackSettings) -> tuple[Rung, ...]:
    if Rung.COMMITMENT not in settings.ladder:
        return settings.ladder
    before = tuple(rung for rung in settings.ladder if rung is not Rung.COMMITMENT)
    if not settings.commitment_open:
        return before
    if settings.commitment_mode is CommitmentMode.APPLICANT_CHOICE:
        return (Rung.COMMITMENT,)
    return (*before, Rung.COMMITMENT)


_EXPLANATIONS: Mapping[StepKind, str] = {
    StepKind.NONE: "核验属实,可直接使用,无需申请人另行提交证明。",
    StepKind.DISPUTE: "核查结果与申请人所述不一致。申请人有异议的,可提出校核申请,由原单位复核;不得以承诺代替。",
    StepKind.WAIT: "已由有关单位人工协查,请等待答复。",
    StepKind.ASK_APPLICANT: "请向申请人补充询问一项信息后重新核验。",
    StepKind.RETRY_AFTER: "数据来源暂时无法应答,系统稍后重新核验;不得因此要求申请人提交证明或作出承诺。",
    StepKind.ASSISTANCE: "请发起部门间协查,由有关单位人工核实。",
    StepKind.OWN_OR_COMMISSIONED_CHECK: "请由行政审批部门自行核查,或有偿委托第三方核查。",
    StepKind.COMMITMENT: "数据缺失且确实无法查询核实,申请人可在书面告知后作出个人承诺。",
    StepKind.NOT_ESTABLISHABLE: "现有途径均已用尽,暂不能核实;已采取的核查措施见记录,情况变化后可再次核验。",
}


def _step(kind: StepKind, given: FallbackInput) -> NextStep:
    return NextStep(
        kind=kind,
        until=_until(kind, given.reasons),
        since=given.since,
        retry_after=given.settings.retry_after if kind is StepKind.RETRY_AFTER else None,
        attribute=_asked_for(given.reasons) if kind is StepKind.ASK_APPLICANT else "",
        attempts=tuple([rung.value for rung in LADDER_ORDER if rung in given.attempted]) if given.attempted else (),
        confirm_by_clerk=given.settings.confirm_by_clerk,
        explanation=_EXPLANATIONS[kind],
    )


def _until(kind: StepKind, reasons: frozenset[Reason]) -> datetime | None:
    """Say until when nothing can change, as far as every source that is waited for says it."""
    if kind is StepKind.WAIT:
        return min((r.until for r in reasons if r.kind is ReasonKind.PENDING and r.until is not None), default=None)
    if kind is not StepKind.RETRY_AFTER:
        return None
    ends = [r.until for r in reasons if r.strength is Strength.TEMPORARY]
    told = [end for end in ends if end is not None]
    return min(told) if told and len(told) == len(ends) else None


def _asked_for(reasons: frozenset[Reason]) -> str:
    return min((r.attribute for r in reasons if r.kind is ReasonKind.NEEDS_ATTRIBUTE), default="")


@lru_cache(4096)
def policy_digest(settings: FallbackSettings) -> str:
    """Return the SHA-256 (hex) of the table in force with these settings, over canonical JSON."""
    table = {
        s.value: [
            row.step.value if row.step else None,
            row.within_patience_only,
            _names(row.rungs),
            row.last.value,
        ]
        for s, row in TABLE.items()
    }
    body = {
        "ladder": _names(settings.ladder),
        "mode": settings.commitment_mode.value,
        "open": settings.commitment_open,
        "patience_s": int(settings.patience.total_seconds()),
        "retry_after_s": int(settings.retry_after.total_seconds()),
        "confirm_by_clerk": settings.confirm_by_clerk,
        "strength": {kind.value: strength.name for kind, strength in STRENGTH.items()},
        "table": table,
    }
    canonical = json.dumps(body, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def _names(rungs: tuple[Rung, ...] | None) -> list[str] | None:
    return None if rungs is None else [rung.value for rung in rungs]
