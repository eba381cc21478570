"""The national layout of commitments and their fulfilment (信用承诺及履行), as far as a commitment's document gives it.

Source: the collection template of a county credit platform, which matches the national one (`reason`: 承诺事由,
`content`: 承诺内容, …). What is never reported is the underlying fact of a sensitive item (社会信用条例 of several
provinces: health, property and the like may not be collected in credit records), nor who else the facts are about: a
report is on the person who committed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.catalogue.model import Item
from gateway.catalogue.words import Sensitivity, ValueKind
from gateway.letters.document import liability_of
from gateway.rules.kept import rows, table, text
from gateway.rules.masking import people_in
from ledger.canonical import Json

TELLING = "telling"
"""The group of CommitmentPrepared that says what may be told of the document, by the catalogue of then."""
KIND = "证明事项型"
ORGANISATION, PERSON = "法人及非法人组织", "自然人"
PUBLICATION: Mapping[str, str] = {
    "PUBLIC": "可向社会公开",
    "LIMITED": "特定范围内公开",
    "NOT_PUBLIC": "不可公开",
}
"""公开类型, by the words of the catalogue."""

_FULFILMENT = {"CONFIRMED": "全部履行", "BROKEN": "全部未履行", "REPAIRED": "全部未履行"}
_ENDED = frozenset({"CONFIRMED", "BROKEN", "REPAIRED", "INCONCLUSIVE", "WITHDRAWN", "LAPSED"})
_BEGUN = frozenset({"RECORDED", "BINDING", "QUESTIONED", "IN_FORCE", "DISPUTED", *_ENDED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """What may be told of a document: no fact of a sensitive item, and none of the facts, by label, that are people."""

    sensitive: bool
    people: frozenset[str]


def telling_body(item: Item) -> dict[str, Json]:
    """Give what is kept with a document of an item to say what may be told of it."""
    people = [one.label for one in item.parameters.values() if one.type.kind is ValueKind.PERSON]
    return {"sensitivity": item.sensitivity.value, "people": [*people]}


def telling(kept: Mapping[str, Json] | None, item: Item | None) -> Telling:
    """Say what may be told of a document, by what is kept with it and by its item in the catalogue in force, which may
    have left it: what either of them holds to be sensitive is.

    With documents of earlier versions nothing is kept: then the catalogue in force says it, and an item that it does
    not know is sensitive.
    """
    now = None if item is None else telling_body(item)
    said = [one for one in (kept, now) if one is not None]
    if not said:
        return Telling(sensitive=True, people=frozenset())
    kept = said[0]
    return Telling(
        sensitive=any(one["sensitivity"] != Sensitivity.ORDINARY.value for one in said),
        people=frozenset(text(label) for label in rows(kept["people"])),
    )


def fulfilment(state: str) -> str:
    """Say 承诺履行状态 of a state; nothing where it is not determined, which is neither kept nor broken."""
    return _FULFILMENT.get(state, "")


def supervision(state: str) -> str:
    """Say 监管状态 of a state: 监管中, 监管完成, or nothing where no commitment was made."""
    if state not in _BEGUN:
        return ""
    return "监管完成" if state in _ENDED else "监管中"


def is_concluded(state: str) -> bool:
    """Say whether a commitment came to its end: then nothing is due of it."""
    return state in _ENDED


def category(id_type: str) -> str:
    """Say 承诺人类别 by the type of the number."""
    return ORGANISATION if id_type == "uscc" else PERSON


def reason(document: Mapping[str, Json]) -> str:
    """Say 承诺事由: what is being handled."""
    return f"{KIND},办理{text(table(document['matter'])['title'])}"


def item_title(document: Mapping[str, Json]) -> str:
    """Say the item that was committed to, by its title then."""
    return text(table(document["item"])["title"])


def liability(document: Mapping[str, Json]) -> str:
    """Say 违诺责任: what the person was told of it."""
    return liability_of(document)


def publication(document: Mapping[str, Json]) -> str:
    """Say 公开类型: how far the letter may be made public."""
    return PUBLICATION[text(table(document["publication"])["scope"])]


def content(document: Mapping[str, Json], may: Telling) -> str:
    """Say 承诺内容: the item, with the facts as they were committed, as far as they may be told."""
    facts = [(text(table(row)["label"]), text(table(row)["value"])) for row in rows(document["facts"])]
    # A name with a number behind it is somebody, whatever the fact was declared to be.
    told = [f"{label}:{value}" for label, value in facts if label not in may.people and not people_in(value)]
    shown = "" if may.sensitive or not told else f"({';'.join(told)})"
    return f"承诺{item_title(document)}所证明的事实属实{shown}"
