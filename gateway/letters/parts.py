"""The mandatory parts of a notice and of a statement, and what a wording may refer to.

Parts after 国办发〔2020〕42号 and the format text of the Ministry of Justice (司法部 告知承诺书格式文本), with the
data-protection notice of 个人信息保护法 §17 in the same document.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.catalogue.words import Publication


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One mandatory part: its name in templates and documents, and the headings a person reads over it.

    Parts that share a `heading` stand together under it; `label` then tells them apart.
    """

    name: str
    heading: str
    label: str = ""


def _part(name: str, heading: str, label: str = "") -> Part:
    return Part(name=name, heading=heading, label=label)


_LIABILITY, _PUBLICATION, _PROTECTION = "不实承诺的责任", "公开范围及时限", "个人信息保护告知"

NOTICE: tuple[Part, ...] = (
    _part("item", "证明事项名称"),
    _part("use", "证明用途"),
    _part("basis", "设定证明的依据"),
    _part("content", "证明的内容和条件"),
    _part("manner", "承诺的方式"),
    _part("effect", "承诺的效力"),
    _part("withdrawal", "承诺的撤回"),
    _part("liability.civil", _LIABILITY, "民事责任"),
    _part("liability.administrative", _LIABILITY, "行政责任"),
    _part("liability.criminal", _LIABILITY, "刑事责任"),
    _part("power_to_check", "行政机关核查权力"),
    _part("publication.scope", _PUBLICATION, "公开范围"),
    _part("publication.term", _PUBLICATION, "公开时限"),
    _part("data_protection.handler", _PROTECTION, "个人信息处理者"),
    _part("data_protection.purpose", _PROTECTION, "处理目的和方式"),
    _part("data_protection.kinds", _PROTECTION, "个人信息种类"),
    _part("data_protection.retention", _PROTECTION, "保存期限"),
    _part("data_protection.rights", _PROTECTION, "您的权利"),
)
"""What the applicant is told before committing, in the order of the letter."""

STATEMENT: tuple[Part, ...] = (
    _part("knows_notice", "已知晓告知事项"),
    _part("meets_condition", "已符合相关条件"),
    _part("accepts_liability", "愿意承担责任"),
    _part("true_intent", "意思表示真实"),
)
"""What the applicant says, in the order of the letter."""

PUBLICATION_PARTS: tuple[str, ...] = ("publication.scope", "publication.term")
"""Parts that a template words for each scope."""


def worded_names() -> dict[str, str]:
    """Name everything that a template must word, in the order of the letter, each with its heading in Chinese.

    Publication is worded for each scope.
    """
    names: dict[str, str] = {}
    for part in NOTICE:
        heading = part.label or part.heading
        if part.name in PUBLICATION_PARTS:
            names |= {f"notice.{worded_name(part, scope)}": f"{heading}，{scope.value}" for scope in Publication}
        else:
            names[f"notice.{part.name}"] = heading
    return names | {f"statement.{part.name}": part.heading for part in STATEMENT}


def worded_name(part: Part, scope: Publication) -> str:
    """Name a part of the notice as a template words it for a scope: `publication.NOT_PUBLIC.term`."""
    if part.name not in PUBLICATION_PARTS:
        return part.name
    return f"publication.{scope.value}.{part.name.removeprefix('publication.')}"


PLACEHOLDERS: Mapping[str, str] = {
    "item": "the title of the item",
    "matter": "the title of the matter",
    "purpose": "the purpose of the verification",
    "basis": "the legal basis of the item, from the catalogue",
    "guide": "how the item is checked, from the catalogue",
    "withdrawal": "until when the commitment can be withdrawn and what follows, as the item's rules say",
    "self": "how the applicant calls himself: 本人, or 本单位 for an organisation",
    "authority": "the name of the unit that handles the case",
    "contact": "how to reach that unit, from `[commitments.contacts]`",
}
"""What a wording may refer to as `{name}`, beside `{fact.NAME}`: a required parameter of the item, in Chinese."""

NEEDED: Mapping[str, str] = {"notice.withdrawal": "withdrawal"}
"""Parts that must have a placeholder: a rule of the catalogue, which a wording of its own would tell wrongly."""

LIABILITY = "liability."
"""How the parts begin that are reported to the credit platform too: no fact may be in them."""
FACT = "fact."
"""How a placeholder begins that stands for a parameter of the item."""
