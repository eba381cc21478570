"""A list below may exceed the list above and be stricter; it may never fall below it or be looser.

Source: the founding document, section 6(4): a city's list may exceed the province's, not fall short of it.
Each function returns what is looser, in words; nothing when nothing is.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence

from gateway.catalogue.expression import AllExpr
from gateway.catalogue.model import FactType, Item, Matter
from gateway.catalogue.words import (
    Absence,
    AuditTiming,
    CommitmentAllowance,
    CommitmentMode,
    Disclosure,
    ItemState,
    Publication,
    Risk,
    Rung,
    Sensitivity,
)

_STATES = (ItemState.RETAINED, ItemState.TRANSITIONAL, ItemState.NOT_ISSUED_BY_COMMITTEE, ItemState.BANNED)
_ALLOWANCES = (CommitmentAllowance.BY_DEFAULT, CommitmentAllowance.BY_MATTER, CommitmentAllowance.NEVER)
_MODES = (CommitmentMode.APPLICANT_CHOICE, CommitmentMode.LAST_RESORT)
_TIMINGS = (AuditTiming.NONE, AuditTiming.AFTER, AuditTiming.DURING)
_DISCLOSURES = (Disclosure.PER_FACT, Disclosure.AGGREGATE)
_SENSITIVITIES = (Sensitivity.ORDINARY, Sensitivity.SENSITIVE)
_PUBLICATIONS = (Publication.PUBLIC, Publication.LIMITED, Publication.NOT_PUBLIC)


def _looser(ranks: Sequence[enum.Enum], above: enum.Enum, below: enum.Enum) -> bool:
    """Ranks run from the loosest to the strictest."""
    return ranks.index(below) < ranks.index(above)


def looser_fact_type(above: FactType, below: FactType) -> Iterator[str]:
    """Yield how the fact type below is looser than the one above."""
    if above.absence is Absence.INCONCLUSIVE and below.absence is Absence.CONCLUSIVE:
        yield "'absence' may not become conclusive"
    if _looser(_SENSITIVITIES, above.sensitivity, below.sensitivity):
        yield "'sensitivity' may not become ORDINARY"
    if below.sources != above.sources and below.sources.k < above.sources.k:
        yield "'sources' may not ask for fewer agreeing sources"
    for name, declared in above.attributes.items():
        if below.attributes.get(name) != declared:
            yield f"attribute {name!r} may not change"


def looser_item(above: Item, below: Item) -> Iterator[str]:
    """Yield how the item below is looser than the one above."""
    if _looser(_STATES, above.state, below.state):
        yield f"'state' may not go from {above.state.value} to {below.state.value}"
    yield from _looser_parameters(above, below)
    yield from _looser_commitment(above, below)
    yield from _looser_audit(above, below)
    if _looser(_DISCLOSURES, above.disclosure, below.disclosure):
        yield "'disclosure' may not become PER_FACT"
    if _looser(_SENSITIVITIES, above.sensitivity, below.sensitivity):
        yield "'sensitivity' may not become ORDINARY"
    if below.expression != above.expression and not _adds_to(above, below):
        yield "'expression' may change only to 'all' of the expression above and something more"


def _adds_to(above: Item, below: Item) -> bool:
    return isinstance(below.expression, AllExpr) and above.expression in below.expression.of


def _looser_parameters(above: Item, below: Item) -> Iterator[str]:
    for name, parameter in above.parameters.items():
        now = below.parameters[name]
        if parameter.required and not now.required:
            yield f"parameter {name!r} may not become optional"
        if now.type.kind is not parameter.type.kind or not set(now.type.words) <= set(parameter.type.words):
            yield f"parameter {name!r} may not change its type"


def _looser_commitment(above: Item, below: Item) -> Iterator[str]:
    if _looser(_ALLOWANCES, above.commitment.allowed, below.commitment.allowed):
        yield "'commitment: allowed' may not widen"
    if Rung.COMMITMENT in below.ladder:
        if Rung.COMMITMENT not in above.ladder:
            yield "'ladder' may not gain COMMITMENT"
        if not set(above.ladder) <= set(below.ladder):
            yield "'ladder' may not lose a rung before COMMITMENT"
    if _looser(_MODES, above.commitment.mode, below.commitment.mode):
        yield "'commitment: mode' may not become APPLICANT_CHOICE"
    if below.commitment.proxy and not above.commitment.proxy:
        yield "'commitment: proxy' may not become true"
    if _looser(_PUBLICATIONS, above.commitment.publication, below.commitment.publication):
        yield "'commitment: publication' may not widen"


def _looser_audit(above: Item, below: Item) -> Iterator[str]:
    if _looser(_TIMINGS, above.audit.timing, below.audit.timing):
        yield "'audit: timing' may not be relaxed"
    if below.audit.due_working_days > above.audit.due_working_days:
        yield "'audit: due_working_days' may not become longer"
    for risk in Risk:
        if below.audit.sampling.get(risk, 0) < above.audit.sampling.get(risk, 0):
            yield f"'audit: sampling' may not become smaller for {risk.value}"


def looser_matter(above: Matter, below: Matter) -> Iterator[str]:
    """Yield how the matter below asks more or allows more than the one above."""
    for code in below.items.keys() - above.items.keys():
        yield f"may not ask item {code!r}, which the list above does not let it ask"
    for code in below.items.keys() & above.items.keys():
        was, now = above.items[code], below.items[code]
        if was.excluded_from_commitment and not now.excluded_from_commitment:
            yield f"item {code!r} may not cease to be excluded from commitment"
        if was.confirm_by_clerk and not now.confirm_by_clerk:
            yield f"item {code!r} may not cease to need a clerk's confirmation"
        if was.ladder is not None and now.ladder != was.ladder and not set(now.ladder or ()) < set(was.ladder):
            yield f"item {code!r} may not widen its 'ladder'"
        if now.commitment_mode is CommitmentMode.APPLICANT_CHOICE and was.commitment_mode is not now.commitment_mode:
            yield f"item {code!r} may not turn to APPLICANT_CHOICE"
