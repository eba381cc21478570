"""The document an applicant signs: notice and statement, complete or not at all.

Structure after 国办发〔2020〕42号 (notice: item, basis, content, manner, liability, power to check, publication;
statement: knows the notice, meets the condition, accepts liability, true intent) with the data-protection notice of
个人信息保护法 §17. What is signed is the canonical JSON (RFC 8785); the text is the same for reading.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime

from connectors.connector import Subject
from gateway.rules.admission import subject_body
from gateway.rules.kept import rows, table
from ledger.canonical import Json


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


TEMPLATE = "general"
TEMPLATE_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What the applicant is told before committing; every part is mandatory, in Chinese."""

    item: str
    basis: str
    content: str
    manner: str
    liability: str
    power_to_check: str
    publication: str
    data_protection: str

    def __post_init__(self) -> None:
        missing = [part.name for part in fields(self) if not getattr(self, part.name).strip()]
        if missing:
            raise ValueError("the notice lacks: " + ", ".join(missing))


STATEMENT: tuple[str, ...] = (
    "已知晓行政机关告知的全部内容;",
    "已符合上述证明事项所要求的条件,所述事实真实、准确;",
    "愿意承担不实承诺的法律责任,并接受行政机关的核查;",
    "本承诺是本人真实意思的表示。",
)

LIABILITY = (
    "作出不实承诺的,行政机关依法终止办理、责令限期整改、撤销行政决定或者予以行政处罚;"
    "经告知、陈述申辩和决定程序认定后,依法依规纳入信用记录;构成犯罪的,依法追究刑事责任。"
)
MANNER = "申请人自愿选择,书面(含电子文本)作出承诺并签名;行政机关不再索要该项证明,依据承诺办理。"
POWER = "行政机关有权在办理中和办结后,通过数据共享、部门协查、实地核查等方式对承诺内容进行核查,申请人应予配合。"
DATA_PROTECTION = (
    "受理机关为履行法定职责处理您的姓名、证件号码和所承诺的事实,仅用于本办件的核验、核查和依法的信用管理;"
    "文书加密保存,台账只记录摘要;您有权查阅、更正,并可查询谁曾查询您的信息。"
)
_PUBLICATION = {
    "PUBLIC": "向社会公开",
    "LIMITED": "在特定范围内公开",
    "NOT_PUBLIC": "不公开",
}


def publication_words(scope: str) -> str:
    """Say a publication scope (PUBLIC, LIMITED, NOT_PUBLIC) in Chinese."""
    return _PUBLICATION[scope]


def build(
    *,
    record: str,
    verification: str,
    notice: Notice,
    facts: Mapping[str, str],
    applicant: Mapping[str, str],
    authority: Mapping[str, str],
    matter: Mapping[str, str],
    case_id: str,
    prepared_at: datetime,
    expires_at: datetime,
    publication: str,
    consent: Consent,
    proxy: Proxy | None,
) -> dict[str, Json]:
    """Build the document as a value; its canonical JSON is what is signed.

    `facts` are the label and the committed value of each parameter, in Chinese; `applicant` has name, id_type and
    id_number; `authority` unit and name; `matter` code and title.
    """
    document: dict[str, Json] = {
        "type": "chengxin/commitment-document",
        "version": 1,
        "template": {"id": TEMPLATE, "version": TEMPLATE_VERSION},
        "record": record,
        "verification": verification,
        "matter": dict(matter),
        "case": case_id,
        "authority": dict(authority),
        "applicant": dict(applicant),
        "notice": {part.name: getattr(notice, part.name) for part in fields(notice)},
        "facts": [{"label": label, "value": value} for label, value in facts.items()],
        "statement": list(STATEMENT),
        "publication": {"scope": publication, "consent": consent.value},
        "prepared_at": prepared_at.isoformat(),
        "expires_at": expires_at.isoformat(),
    }
    if proxy is not None:
        document["proxy"] = {
            **subject_body(proxy.agent), "authorisation_digest": proxy.authorisation_digest.hex(),
        }  # fmt: skip
    return document


def text(document: Mapping[str, Json]) -> str:
    """Render a document for the person to read before signing; nothing is in it that is not in the document."""
    notice, matter = table(document["notice"]), table(document["matter"])
    applicant, authority = table(document["applicant"]), table(document["authority"])
    lines = [
        "证明事项告知承诺书",
        "",
        f"编号:{document['record']}",
        f"办理事项:{matter['title']}({matter['code']})  办件号:{document['case']}",
        f"行政机关:{authority['name']}({authority['unit']})",
        f"申请人:{applicant['name']}  证件号码:{applicant['id_number']}",
        *_agent_lines(document),
        "",
        "一、行政机关告知",
        f"  证明事项:{notice['item']}",
        f"  设定依据:{notice['basis']}",
        f"  证明内容:{notice['content']}",
        f"  承诺方式:{notice['manner']}",
        f"  不实承诺的责任:{notice['liability']}",
        f"  核查权力:{notice['power_to_check']}",
        f"  是否公开:{notice['publication']}",
        f"  个人信息保护告知:{notice['data_protection']}",
        "",
        "二、申请人承诺的事实",
        *(f"  {table(fact)['label']}:{table(fact)['value']}" for fact in rows(document["facts"])),
        "",
        "三、申请人承诺",
        *(f"  ({number}){sentence}" for number, sentence in enumerate(rows(document["statement"]), 1)),
        "",
        f"告知时间:{document['prepared_at']}  签署期限:{document['expires_at']}",
    ]
    return "\n".join(lines) + "\n"


def _agent_lines(document: Mapping[str, Json]) -> list[str]:
    if "proxy" not in document:
        return []
    agent = table(document["proxy"])
    return [f"代理人:{agent['name']}  证件号码:{agent['id_number']}  授权委托书摘要:{agent['authorisation_digest']}"]
