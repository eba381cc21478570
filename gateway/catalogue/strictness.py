"""How one declaration differs from another, dimension by dimension, and in which direction.

One table serves two purposes: a list below may be stricter than the list above and never looser
(`gateway.catalogue.inheritance`), and operators are told what a new version changes (`gateway.catalogue.difference`).

Stricter means: establishes less on the same evidence, opens commitments less often, audits more, discloses less, or
protects the person better. No change that counts as stricter opens a commitment on evidence on which there was none,
unless it asks for more than what that evidence established.

What absence proves is neither way stricter. Absence that proves nothing any more is missing data, for which a
commitment may stand in where there was a contradiction. Absence that proves something decides a part of a question, and
with it takes away what kept the rest from a commitment: a source of that part that is away. More sources that must
agree are stricter: where one of them decides, what is still open is never missing (`gateway.rules.verdict`).
"""

from __future__ import annotations

import enum
import unicodedata
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from gateway.catalogue.expression import AllExpr, Expr
from gateway.catalogue.model import AuditRules, CommitmentRules, FactType, Item, Matter, Parameter, Region, ValueType
from gateway.catalogue.words import (
    AuditTiming,
    CommitmentAllowance,
    CommitmentMode,
    Disclosure,
    ItemState,
    Publication,
    Risk,
    Rung,
    Sensitivity,
    Sharing,
    SourcePolicyKind,
    WithdrawalEffect,
    WithdrawalUntil,
)
from ledger.spelling import one_spelling

# Each vocabulary from its loosest word to its strictest.
_STATES = (ItemState.RETAINED, ItemState.TRANSITIONAL, ItemState.NOT_ISSUED_BY_COMMITTEE, ItemState.BANNED)
_ALLOWANCES = (CommitmentAllowance.BY_DEFAULT, CommitmentAllowance.BY_MATTER, CommitmentAllowance.NEVER)
MODES = (CommitmentMode.APPLICANT_CHOICE, CommitmentMode.LAST_RESORT)
_TIMINGS = (AuditTiming.NONE, AuditTiming.AFTER, AuditTiming.DURING)
DISCLOSURES = (Disclosure.PER_FACT, Disclosure.AGGREGATE)
_SENSITIVITIES = (Sensitivity.ORDINARY, Sensitivity.SENSITIVE)
_PUBLICATIONS = (Publication.PUBLIC, Publication.LIMITED, Publication.NOT_PUBLIC)
_SHARINGS = (Sharing.UNCONDITIONAL, Sharing.CONDITIONAL, Sharing.NOT_SHARED)
_POLICIES = (SourcePolicyKind.FIRST, SourcePolicyKind.QUORUM, SourcePolicyKind.ALL_AGREE)
_EFFECTS = (WithdrawalEffect.NONE, WithdrawalEffect.BARRED_THIS_YEAR)
_UNTILS = (WithdrawalUntil.FEE_PAYMENT, WithdrawalUntil.CLOSING_DATE, WithdrawalUntil.DECISION)
"""The longer a commitment may be withdrawn, the better the applicant is protected."""

NOTHING = "—"


class Direction(enum.Enum):
    """Which way a difference goes."""

    STRICTER = "STRICTER"
    LOOSER = "LOOSER"
    UNPROVEN = "UNPROVEN"
    """It bears on strictness, and neither direction can be shown."""
    NEUTRAL = "NEUTRAL"
    """A text or a number that says nothing about strictness."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """One dimension of one declaration that differs: what it was and what it is now, as written in the files."""

    dimension: str
    direction: Direction
    was: str
    now: str


def ranked(dimension: str, ranks: Sequence[enum.Enum], was: enum.Enum, now: enum.Enum) -> Iterator[Shift]:
    """Compare two words of a vocabulary whose words run from the loosest to the strictest."""
    if was is not now:
        stricter = ranks.index(now) > ranks.index(was)
        yield _shift(dimension, was.value, now.value, stricter=stricter)


def measured(dimension: str, was: int, now: int, *, more_is_stricter: bool) -> Iterator[Shift]:
    """Compare two numbers."""
    if was != now:
        yield _shift(dimension, was, now, stricter=(now > was) == more_is_stricter)


def neutral(dimension: str, was: object, now: object) -> Iterator[Shift]:
    """Compare two values that say nothing about strictness."""
    if was != now:
        yield Shift(dimension=dimension, direction=Direction.NEUTRAL, was=_said(was), now=_said(now))


def collected(dimension: str, was: Collection[str], now: Collection[str], *, more_is_stricter: bool) -> Iterator[Shift]:
    """Compare two sets of words: each word lost or gained is a shift of its own."""
    for word in (one for one in was if one not in now):
        yield _shift(dimension, word, NOTHING, stricter=not more_is_stricter)
    for word in (one for one in now if one not in was):
        yield _shift(dimension, NOTHING, word, stricter=more_is_stricter)


def _shift(dimension: str, was: object, now: object, *, stricter: bool) -> Shift:
    direction = Direction.STRICTER if stricter else Direction.LOOSER
    return Shift(dimension=dimension, direction=direction, was=_said(was), now=_said(now))


def _unproven(dimension: str, was: object, now: object) -> Shift:
    return Shift(dimension=dimension, direction=Direction.UNPROVEN, was=_said(was), now=_said(now))


def _said(value: object) -> str:
    if isinstance(value, enum.Enum):
        return str(value.value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return NOTHING if value is None or value == "" else str(value)


def compare_regions(was: Region, now: Region) -> Iterator[Shift]:
    """Yield how a region differs; publication of natural persons is on exactly where its legal basis is stated."""
    if was.publication_basis != now.publication_basis:
        bases = was.publication_basis, now.publication_basis
        if all(bases):
            yield from neutral("publication_basis", *bases)
        else:
            yield _shift("publication_basis", *bases, stricter=not now.publication_basis)
    for key in ("name", "credit_platform", "credit_site"):
        yield from neutral(key, getattr(was, key), getattr(now, key))


def compare_fact_types(was: FactType, now: FactType) -> Iterator[Shift]:
    """Yield how a fact type differs."""
    yield from neutral("title", was.title, now.title)
    yield from neutral("authority", was.authority, now.authority)
    yield from _types("attributes", was.attributes, now.attributes)
    yield from _types("given", was.given, now.given)
    if was.absence is not now.absence:
        yield _unproven("absence", was.absence, now.absence)
    yield from ranked("sensitivity", _SENSITIVITIES, was.sensitivity, now.sensitivity)
    yield from ranked("sharing", _SHARINGS, was.sharing, now.sharing)
    yield from ranked("sources: policy", _POLICIES, was.sources.kind, now.sources.kind)
    yield from _labels("labels", was.labels, now.labels)
    yield from measured("sources: k", was.sources.k, now.sources.k, more_is_stricter=True)


def _types(what: str, was: Mapping[str, ValueType], now: Mapping[str, ValueType]) -> Iterator[Shift]:
    """What a source is asked by may be added to; a name that is there keeps its type, or other lists break."""
    for name, declared in was.items():
        if now.get(name) != declared:
            yield _unproven(f"{what}: {name}", declared, now.get(name))
    for name in now.keys() - was.keys():
        yield from neutral(f"{what}: {name}", None, now[name])


def compare_items(was: Item, now: Item) -> Iterator[Shift]:
    """Yield how an item differs."""
    yield from ranked("state", _STATES, was.state, now.state)
    yield from _expressions(was.expression, now.expression)
    yield from _parameters(was.parameters, now.parameters)
    yield from compare_ladders("ladder", was.ladder, now.ladder)
    yield from _commitments(was.commitment, now.commitment)
    yield from _audits(was.audit, now.audit)
    yield from ranked("disclosure", DISCLOSURES, was.disclosure, now.disclosure)
    yield from ranked("sensitivity", _SENSITIVITIES, was.sensitivity, now.sensitivity)
    kinds = [[kind.value for kind in one.applicants.kinds] for one in (was, now)]
    yield from collected("applicants", *kinds, more_is_stricter=False)
    yield from _bases(was, now)
    yield from _issuings(was, now)
    for key in ("title", "number", "demanded_by", "issued_by", "checked_by", "guide"):
        yield from neutral(key, getattr(was, key), getattr(now, key))


def _bases(was: Item, now: Item) -> Iterator[Shift]:
    """A ground of law does not fall away below; its wording and certainty may be put right."""
    before, after = ({basis.source: basis for basis in item.legal_basis} for item in (was, now))
    yield from collected("legal_basis", before, after, more_is_stricter=True)
    for source in (source for source in before if source in after):
        yield from neutral(f"legal_basis: {source}: text", before[source].text, after[source].text)
        certainties = before[source].certainty, after[source].certainty
        yield from neutral(f"legal_basis: {source}: certainty", *certainties)


def _expressions(was: Expr | None, now: Expr | None) -> Iterator[Shift]:
    """An expression is stricter only as `all` of the other and something more; anything else cannot be shown."""
    if was == now:
        return
    if was is None or _adds_to(was, now):
        yield _shift("expression", "as it was", "all of that and more", stricter=True)
    elif now is None or _adds_to(now, was):
        yield _shift("expression", "all of it and more", "less than that", stricter=False)
    else:
        yield _unproven("expression", "as it was", "another one")


def _adds_to(less: Expr, more: Expr | None) -> bool:
    return isinstance(more, AllExpr) and less in more.of


def _parameters(was: Mapping[str, Parameter], now: Mapping[str, Parameter]) -> Iterator[Shift]:
    yield from collected("parameters", was, now, more_is_stricter=True)
    for name in (name for name in was if name in now):
        before, after = was[name], now[name]
        if before.required is not after.required:
            yield _shift(f"parameters: {name}: required", before.required, after.required, stricter=after.required)
        if before.type.kind is not after.type.kind:
            yield _unproven(f"parameters: {name}: type", before.type, after.type)
        words = before.type.words, after.type.words
        yield from collected(f"parameters: {name}: words", *words, more_is_stricter=False)
    yield from _parameter_labels(was, now)


def _parameter_labels(was: Mapping[str, Parameter], now: Mapping[str, Parameter]) -> Iterator[Shift]:
    for name in (name for name in was if name in now):
        yield from _labels(f"parameters: {name}: labels", was[name].labels, now[name].labels)
    labels = [{name: of[name].label for name in was if name in now} for of in (was, now)]
    yield from _labels("parameters: label", *labels)


def exchanged_labels(was: FactType | Item | Matter, now: FactType | Item | Matter) -> Iterator[Shift]:
    """Yield the labels that became those of other codes: a list must be held against every list above, not one alone.

    Two lists that each put a text right could together exchange two of them.
    """
    shifts: Iterator[Shift] = iter(())
    if isinstance(was, FactType) and isinstance(now, FactType):
        shifts = _labels("labels", was.labels, now.labels)
    elif isinstance(was, Item) and isinstance(now, Item):
        shifts = _parameter_labels(was.parameters, now.parameters)
    yield from (shift for shift in shifts if shift.direction is Direction.UNPROVEN)


def _labels(dimension: str, was: Mapping[str, str], now: Mapping[str, str]) -> Iterator[Shift]:
    """A text may be put right, but never become that of another code: what is agreed to would be something else."""
    for code in dict.fromkeys((*was, *now)):
        before, after = was.get(code, ""), now.get(code, "")
        others = {_read_as(text) for labels in (was, now) for name, text in labels.items() if name != code}
        if after and _read_as(before) != _read_as(after) and _read_as(after) in others:
            yield _unproven(f"{dimension}: {code}", before, after)
        else:
            yield from neutral(f"{dimension}: {code}", before, after)


def _read_as(text: str) -> str:
    """Return what a reader takes a label for: no blanks, nothing invisible, no punctuation or marks."""
    spelt = one_spelling(text)
    return (
        "".join(c for c in spelt if unicodedata.category(c) != "Sk" and unicodedata.category(c)[0] not in "PM") or spelt
    )


def compare_ladders(dimension: str, was: Sequence[Rung], now: Sequence[Rung]) -> Iterator[Shift]:
    """Compare two ladders: what matters is whether COMMITMENT is there, and what is tried before it."""
    if tuple(was) == tuple(now):
        return
    said = "[" + ", ".join(rung.value for rung in was) + "]", "[" + ", ".join(rung.value for rung in now) + "]"
    committed = Rung.COMMITMENT in was, Rung.COMMITMENT in now
    if committed == (True, True):
        if set(was) < set(now):
            yield _shift(dimension, *said, stricter=True)
        else:
            yield _shift(dimension, *said, stricter=False)
    elif committed == (False, False):
        yield Shift(dimension=dimension, direction=Direction.NEUTRAL, was=said[0], now=said[1])
    else:
        yield _shift(dimension, *said, stricter=committed[0])


def _commitments(was: CommitmentRules, now: CommitmentRules) -> Iterator[Shift]:
    yield from ranked("commitment: allowed", _ALLOWANCES, was.allowed, now.allowed)
    yield from ranked("commitment: mode", MODES, was.mode, now.mode)
    if was.proxy is not now.proxy:
        yield _shift("commitment: proxy", was.proxy, now.proxy, stricter=not now.proxy)
    yield from ranked("commitment: publication", _PUBLICATIONS, was.publication, now.publication)
    yield from ranked("commitment: withdrawal: until", _UNTILS, was.withdrawal.until, now.withdrawal.until)
    effects = was.withdrawal.after_effect, now.withdrawal.after_effect
    yield from ranked("commitment: withdrawal: after_effect", _EFFECTS, *effects)
    yield from neutral("commitment: template", was.template, now.template)


def _audits(was: AuditRules, now: AuditRules) -> Iterator[Shift]:
    yield from ranked("audit: timing", _TIMINGS, was.timing, now.timing)
    due = was.due_working_days, now.due_working_days
    yield from measured("audit: due_working_days", *due, more_is_stricter=False)
    for risk in Risk:
        sampled = was.sampling.get(risk, 0), now.sampling.get(risk, 0)
        yield from measured(f"audit: sampling: {risk.value}", *sampled, more_is_stricter=True)
    yield from neutral("audit: due_source", was.due_source, now.due_source)


def _issuings(was: Item, now: Item) -> Iterator[Shift]:
    before, after = was.issuing, now.issuing
    if before is not None and after is not None:
        communal = before.communal_interest, after.communal_interest
        if communal[0] is not communal[1]:
            yield _shift("issuing: communal_interest", *communal, stricter=communal[1])
        for key in ("form", "procedure", "time_limit", "use", "flow", "deliberation"):
            yield from neutral(f"issuing: {key}", getattr(before, key), getattr(after, key))
    elif before is not after:
        yield from neutral("issuing", "stated" if before else None, "stated" if after else None)
    if was.transition is not None and now.transition is not None:
        until = was.transition.review_by, now.transition.review_by
        if until[0] != until[1]:
            yield _shift("transition: review_by", *until, stricter=until[1] < until[0])
        for key in ("scope", "risk_assessment"):
            yield from neutral(f"transition: {key}", getattr(was.transition, key), getattr(now.transition, key))
    elif was.transition is not now.transition:
        yield from neutral("transition", "stated" if was.transition else None, "stated" if now.transition else None)
