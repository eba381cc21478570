"""The document an applicant signs: a template's wording filled in, with facts and parties, complete or not at all.

What is signed is the canonical JSON (RFC 8785) of the document. It holds every word that the person reads, headings
included, so that it can be read, and rendered, when nobody has its template any more.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from connectors.connector import Subject
from gateway.catalogue.model import Item, Matter
from gateway.errors import TemplateUnfilled
from gateway.letters.parts import FACT, LIABILITY
from gateway.letters.template import Template
from gateway.rules.admission import Question, argument_words, subject_body
from gateway.rules.clocks import legal_day
from gateway.rules.kept import rows, table, text
from gateway.rules.withdrawal import Window, withdrawal_words
from ledger.canonical import Json

DOCUMENT = "document"
"""The group of CommitmentPrepared that holds the document to sign."""
DOCUMENT_TYPE = "chengxin/commitment-document"
DOCUMENT_VERSION = 1


class Consent(enum.Enum):
    """What the applicant says to the publication that the item demands; NOT_SAID will do where nothing is published."""

    NOT_SAID = "NOT_SAID"
    AGREED = "AGREED"
    DECLINED = "DECLINED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """Who acts for the applicant, and the SHA-256 of the authorisation (授权委托书)."""

    agent: Subject = field(repr=False)
    authorisation_digest: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Occasion:
    """For what a document is made: its record, the verification it stands in for, and the times it is bound to.

    `contact` says how to reach the unit that handles the case; empty where it is not configured.
    """

    record: bytes
    verification: bytes
    prepared_at: datetime
    expires_at: datetime
    contact: str = ""


def compose(
    template: Template,
    question: Question,
    *,
    item: Item,
    matter: Matter,
    occasion: Occasion,
    proxy: Proxy | None = None,
    consent: Consent = Consent.NOT_SAID,
) -> dict[str, Json]:
    """Make the document for the question of a verification, as a canonical value.

    Raises:
        TemplateUnfilled: the wording needs what is not there; every placeholder is named.
    """
    unit = question.context.operator.unit
    authority = {"unit": unit, "name": _name_of(unit, matter), "contact": occasion.contact}
    said = {
        name: argument_words(question.parameters[name], parameter)
        for name, parameter in item.parameters.items()
        if name in question.parameters
    }
    values = {
        "item": item.title,
        "matter": matter.title,
        "purpose": question.context.purpose,
        "basis": "；".join(basis.text for basis in item.legal_basis),
        "guide": item.guide,
        "withdrawal": withdrawal_words(window_of(item, matter), today=legal_day(occasion.prepared_at)),
        "self": "本单位" if question.subject.id_type == "uscc" else "本人",
        "authority": authority["name"],
        "contact": occasion.contact,
        **{f"{FACT}{name}": words for name, words in said.items()},
    }
    publication = item.commitment.publication
    worded = template.worded[publication]
    unfilled = sorted(name for name in worded.placeholders if not values.get(name, "").strip())
    if unfilled:
        raise TemplateUnfilled(template.name, unfilled)
    document: dict[str, Json] = {
        "type": DOCUMENT_TYPE,
        "version": DOCUMENT_VERSION,
        "template": {"id": template.id, "version": template.version, "digest": template.digest},
        "title": template.title,
        "record": occasion.record.hex(),
        "verification": occasion.verification.hex(),
        "item": {"code": item.code, "title": item.title},
        "matter": {"code": matter.code, "title": matter.title},
        "case": question.context.case_id,
        "authority": {key: value for key, value in authority.items() if value},
        "applicant": subject_body(question.subject),
        "notice": [
            {"part": part.name, "heading": part.heading, "label": part.label, "text": words.filled(values)}
            for part, words in worded.notice
        ],
        "facts": [{"label": item.parameters[name].label, "value": words} for name, words in said.items()],
        "statement": [{"part": part.name, "text": words.filled(values)} for part, words in worded.statement],
        "publication": {"scope": publication.value, "consent": consent.value},
        "prepared_at": occasion.prepared_at.isoformat(),
        "expires_at": occasion.expires_at.isoformat(),
    }
    if proxy is not None:
        digest = proxy.authorisation_digest.hex()
        document["proxy"] = {**subject_body(proxy.agent), "authorisation_digest": digest}
    return document


def window_of(item: Item, matter: Matter) -> Window:
    """Give until when a commitment can be withdrawn that is made now, for an item in a matter."""
    return Window(rules=item.commitment.withdrawal, closing_date=matter.closing_date)


def liability_of(document: Mapping[str, Json]) -> str:
    """Give what the applicant was told of liability, as the credit platform is told it; no fact is in it."""
    parts = [table(part) for part in rows(document["notice"])]
    return "".join(text(part["text"]) for part in parts if text(part["part"]).startswith(LIABILITY))


def _name_of(unit: str, matter: Matter) -> str:
    return next((department.name for department in matter.departments if department.uscc == unit), unit)
