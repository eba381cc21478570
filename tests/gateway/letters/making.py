"""Questions, documents and sheets to make letters of; all people are fictitious."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from connectors.connector import Subject
from gateway.catalogue.loader import load_catalogue, shipped_catalogue_files
from gateway.catalogue.model import Catalogue
from gateway.letters.document import Consent, Occasion, Proxy, compose
from gateway.letters.layout import Signing, Standing, lay_out
from gateway.letters.pdf import Sheet
from gateway.letters.reference import Reference
from gateway.letters.templates import Templates, load_templates
from gateway.rules.admission import Argument, CaseContext, Operator, Question
from ledger.canonical import Json, canonical

AT = datetime(2026, 11, 24, 15, 30, 0, 123456, tzinfo=UTC)
RECORD, VERIFICATION = bytes(range(16)), bytes(range(16, 32))
APPLICANT = Subject(id_type="resident-id", id_number="230199198001010072", name="示例甲")
RELATIVE = Subject(id_type="resident-id", id_number="230199198001010099", name="买买提·阿布都热合曼·𬀩䶮")
CIVIL = "112300000000002027"
ARGUMENTS: Mapping[str, Mapping[str, Argument]] = {
    "kinship": {"relative": RELATIVE, "relation": "PARENT"},
    "marital-status": {"status": "DIVORCED"},
    "alive": {},
    "property": {"authorisation_number": "核授〔2026〕17号"},
    "business-premises": {"address": "示例市示例路1号院2号楼3单元401室"},
    "lost-document": {"document_kind": "出生医学证明", "document_number": "X000000000"},
    "employment": {"status": "UNEMPLOYED"},
}
"""What an applicant says, by item; every required parameter is there."""
REFERENCE = Reference(
    origin="chengxin.example/log",
    record=RECORD,
    index=1_234_567,
    size=1_234_590,
    leaf=bytes(range(32)),
    document=bytes(range(32, 64)),
    where="https://log.example/chengxin",
)


@cache
def catalogue() -> Catalogue:
    return load_catalogue(shipped_catalogue_files())


@cache
def shipped() -> Templates:
    return load_templates()


def question(item: str = "kinship", matter: str = "230000-CIV-002", **said: Argument) -> Question:
    context = CaseContext(
        matter=matter, case_id="办2026-0001", purpose="办理行政给付", operator=Operator(person="c-01", unit=CIVIL)
    )
    parameters = {**ARGUMENTS[item], **said}
    return Question(context=context, item=item, subject=APPLICANT, parameters=parameters)


def occasion(*, contact: str = "") -> Occasion:
    return Occasion(
        record=RECORD,
        verification=VERIFICATION,
        prepared_at=AT,
        expires_at=AT + timedelta(minutes=30),
        contact=contact,
    )


def document(
    asked: Question | None = None,
    *,
    templates: Templates | None = None,
    contact: str = "",
    proxy: Proxy | None = None,
    consent: Consent = Consent.NOT_SAID,
    at: Catalogue | None = None,
) -> dict[str, Json]:
    asked = asked or question()
    lists = at or catalogue()
    item, matter = lists.item(asked.item), lists.matter(asked.context.matter)
    template = (templates or shipped()).choose(item, matter.code)
    return compose(
        template, asked, item=item, matter=matter, occasion=occasion(contact=contact), proxy=proxy, consent=consent
    )


def standing(state: str = "RECORDED", *, reference: Reference | None = REFERENCE) -> Standing:
    unsigned = state in ("PREPARED", "EXPIRED")
    signing = None if unsigned else Signing(at=AT, evidence="certificate", algorithm="ECDSA_P256_SHA256")
    return Standing(state=state, changed_at=AT, signing=signing, reference=reference)


def sheet(made: Mapping[str, Json] | None = None, *, state: str = "RECORDED", receipt: bytes = b"receipt\n") -> Sheet:
    made = made or document()
    return Sheet(layout=lay_out(made, standing(state)), made_at=AT, document=canonical(made), receipt=receipt)


def words(value: Json) -> list[str]:
    """Give every text in a value, keys left out."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, Mapping):
        return [text for inner in value.values() for text in words(inner)]
    if isinstance(value, list | tuple):
        return [text for inner in value for text in words(inner)]
    return []


def write(folder: Path, text: str, name: str = "own.yaml") -> Path:
    path = folder / name
    path.write_text(text, "utf-8")
    return path
