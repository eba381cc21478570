"""The public guide as JSON, in the layout of `data/guide.schema.json`: everything anybody may know of the catalogue."""

from __future__ import annotations

from pathlib import Path

from gateway.catalogue.chinese import chinese
from gateway.catalogue.explanation import SITUATIONS, Explanation, explain
from gateway.catalogue.model import Catalogue, CommitmentRules, Item, Matter, Parameter
from gateway.rules.fallback import TABLE, settings_for
from ledger.canonical import Json

SCHEMA_FILE = Path(__file__).parent / "data" / "guide.schema.json"
"""The published JSON Schema (draft 2020-12) of the guide."""
TYPE = "chengxin/catalogue-guide"
SCHEMA_VERSION = 2


def guide_body(catalogue: Catalogue) -> dict[str, Json]:
    """Return the guide as a value."""
    return {
        "type": TYPE,
        "schema_version": SCHEMA_VERSION,
        "catalogue_version": catalogue.version,
        "lists": [
            {"level": one.level.value, "code": one.code, "version": one.version, "title": one.title}
            for one in catalogue.lists
        ],
        "region": {
            "name": catalogue.region.name,
            "credit_platform": catalogue.region.credit_platform,
            "credit_site": catalogue.region.credit_site,
            "publication_basis": catalogue.region.publication_basis,
        },
        "items": [_item(catalogue, item) for item in catalogue.items.values()],
        "matters": [_matter(catalogue, matter) for matter in catalogue.matters.values()],
        "fallback": _fallback(),
    }


def _item(catalogue: Catalogue, item: Item) -> dict[str, Json]:
    told = explain(catalogue, item)
    return {
        "code": item.code,
        "number": item.number,
        "title": item.title,
        "state": item.state.value,
        "state_words": chinese(item.state),
        "legal_basis": [
            {"text": one.text, "source": one.source, "certainty": one.certainty.value} for one in item.legal_basis
        ],
        "demanded_by": item.demanded_by,
        "issued_by": item.issued_by,
        "checked_by": item.checked_by,
        "guide": item.guide,
        "applicants": item.applicants.value,
        "parameters": [_parameter(parameter) for parameter in item.parameters.values()],
        **_told(told),
        "ladder": [rung.value for rung in item.ladder],
        "commitment": _commitment(item.commitment),
        "audit": {
            "timing": item.audit.timing.value,
            "due_working_days": item.audit.due_working_days,
            "due_source": item.audit.due_source,
            "sampling": {risk.value: share for risk, share in item.audit.sampling.items()},
        },
        "disclosure": item.disclosure.value,
        "sensitivity": item.sensitivity.value,
        "issuing": _issuing(item),
        "transition": _transition(item),
        "matters": [matter.code for matter in catalogue.matters.values() if item.code in matter.items],
    }


def _told(told: Explanation) -> dict[str, Json]:
    return {
        "asks": [{"depth": line.depth, "text": line.text} for line in told.asks],
        "facts": [
            {
                "code": fact.code,
                "title": fact.title,
                "authority": fact.authority,
                "weighing": fact.weighing,
                "absence": fact.absence,
                "sensitivity": fact.sensitivity,
            }
            for fact in told.facts
        ],
        "courses": [
            {
                "situation": line.situation.value,
                "words": line.words,
                "steps": [step.value for step in line.steps],
                "steps_words": line.steps_words,
            }
            for line in told.courses
        ],
        "ladder_words": list(told.ladder),
        "rules": list(told.rules),
        "not_verified": told.not_verified,
    }


def _parameter(parameter: Parameter) -> dict[str, Json]:
    return {
        "name": parameter.name,
        "label": parameter.label,
        "type": parameter.type.kind.value,
        "words": [{"word": word, "label": parameter.labels[word]} for word in parameter.type.words],
        "required": parameter.required,
    }


def _commitment(rules: CommitmentRules) -> dict[str, Json]:
    return {
        "allowed": rules.allowed.value,
        "mode": rules.mode.value,
        "proxy": rules.proxy,
        "withdraw_until": rules.withdrawal.until.value,
        "after_effect": rules.withdrawal.after_effect.value,
        "publication": rules.publication.value,
    }


def _issuing(item: Item) -> Json:
    issuing = item.issuing
    if issuing is None:
        return None
    return {
        "form": issuing.form,
        "procedure": issuing.procedure,
        "time_limit": issuing.time_limit,
        "use": issuing.use,
        "flow": issuing.flow,
        "communal_interest": issuing.communal_interest,
        "deliberation": issuing.deliberation,
    }


def _transition(item: Item) -> Json:
    transition = item.transition
    if transition is None:
        return None
    return {
        "scope": transition.scope,
        "risk_assessment": transition.risk_assessment,
        "review_by": transition.review_by.isoformat(),
    }


def _matter(catalogue: Catalogue, matter: Matter) -> dict[str, Json]:
    return {
        "code": matter.code,
        "title": matter.title,
        "departments": [{"uscc": one.uscc, "name": one.name} for one in matter.departments],
        "purposes": list(matter.purposes),
        "retry_after_seconds": int(matter.retry_after.total_seconds()),
        "items": [_asked(catalogue.item(code), matter) for code in matter.items],
    }


def _asked(item: Item, matter: Matter) -> dict[str, Json]:
    settings = settings_for(item, matter)
    return {
        "item": item.code,
        "ladder": [rung.value for rung in settings.ladder],
        "commitment_open": settings.commitment_open,
        "commitment_mode": settings.commitment_mode.value,
        "disclosure": matter.disclosure_of(item).value,
        "patience_seconds": int(settings.patience.total_seconds()),
        "confirm_by_clerk": settings.confirm_by_clerk,
    }


def _fallback() -> list[Json]:
    return [
        {
            "situation": situation.value,
            "words": SITUATIONS[situation],
            "step": row.step.value if row.step else None,
            "within_patience_only": row.within_patience_only,
            "rungs": None if row.rungs is None else [rung.value for rung in row.rungs],
            "last": row.last.value,
        }
        for situation, row in TABLE.items()
    ]
