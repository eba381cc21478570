"""A document and what became of it, arranged as a letter: the one source of its plain text and of its pages.

Every word of the document is in the arrangement; what is added is the state, the signing, and the receipt.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import NamedTuple

from gateway.letters.document import Consent
from gateway.letters.reference import Reference
from gateway.rules.clocks import CHINA, legal_day
from gateway.rules.kept import moment, rows, table, text
from ledger.canonical import Json

_ID_TYPES: Mapping[str, str] = {
    "resident-id": "居民身份证",
    "permit": "居住证或者永久居留证",
    "uscc": "统一社会信用代码",
}
_STATES: Mapping[str, tuple[str, str]] = {
    "PREPARED": ("已告知，尚未签署", "未签署"),
    "EXPIRED": ("逾期未签署，已失效", "已失效"),
    "RECORDED": ("已签署并记入台账", ""),
    "BINDING": ("已签署并记入台账，撤回期限已过", ""),
    "WITHDRAWN": ("已撤回", "已撤回"),
    "LAPSED": ("逾期未作出行政决定，已失效", "已失效"),
    "IN_FORCE": ("已据以作出行政决定", ""),
    "CONFIRMED": ("经核查属实", ""),
    "QUESTIONED": ("办结前核查有疑问，正在核实", ""),
    "DISPUTED": ("核查中", ""),
    "BROKEN": ("经法定程序认定不实", "认定不实"),
    "INCONCLUSIVE": ("经核查无法得出结论", ""),
    "REPAIRED": ("经法定程序认定不实，信用已修复", "认定不实"),
}
"""What each state of a commitment with a document is called, and what is written across its pages."""
LETTER_STATES = frozenset(_STATES)
"""The states in which there is a letter."""
_EVIDENCE: Mapping[str, str] = {
    "certificate": "电子签名（数字证书，{algorithm}），经核验有效",
    "witnessed": "手写签名，由经办人见证，影像存证",
    "platform": "经实名认证平台签署（{algorithm}），经核验有效",
}
"""How each kind of signature evidence is told."""
_CONSENTS: Mapping[str, str] = {
    Consent.AGREED.value: "同意按照上述范围和时限公开。",
    Consent.DECLINED.value: "不同意公开。",
    Consent.NOT_SAID.value: "未作表示。",
}
_NOT_PUBLIC = "本承诺书不公开，无需征求意见。"
HEADINGS: Mapping[str, str] = {
    "parties": "一、基本信息",
    "notice": "二、行政机关告知",
    "commitment": "三、申请人承诺",
    "facts": "申请人承诺的事实",
    "statement": "申请人自愿作出下列承诺",
    "consent": "公开意愿",
    "seal": "行政机关（盖章）",
    "day": "日期",
    "standing": "存证信息",
    "code": "二维码内容",
    "code_alt": "二维码，载有本承诺在台账中的位置",
    "how_to_check": "二维码载有上列存证信息。"
    "以本文件所附回执、文书证明和台账公钥，可以离线核验本承诺已经存证，且所附文书即存证时的文书，未被更改。摘要均为SHA-256。",
    "document_attached": "所签署文书的原始字节",
    "receipt_attached": "台账回执",
    "disclosure_attached": "文书证明：存证时的文书即此文书",
}
"""What stands over the parts of a letter, in every form of it."""
_DIGITS = "一二三四五六七八九"
_NUMBERS = tuple(f"（{number}）" for number in (*_DIGITS, "十", *(f"十{digit}" for digit in _DIGITS)))
"""Chinese numbers of paragraphs, from one to nineteen."""
_COPIES = "本承诺书一式两份，申请人和行政机关各执一份。"
_BLANK_DAY = "　　年　月　日"


class Line(NamedTuple):
    """A heading and what stands beside it, which is not shown in tracebacks."""

    heading: str
    value: str

    def __repr__(self) -> str:
        return f"Line(heading={self.heading!r})"


class Block(NamedTuple):
    """Lines under one title."""

    title: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Signing:
    """That the document was signed: when, by what kind of evidence, and with which algorithm."""

    at: datetime
    evidence: str
    algorithm: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What became of a document: the state of its record since when, its signing, and where it stands in the ledger."""

    state: str
    changed_at: datetime
    signing: Signing | None = None
    reference: Reference | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """A letter, arranged; everything in Chinese. `mark` is written across its pages; empty for none."""

    title: str
    number: str
    mark: str
    parties: tuple[Block, ...] = field(repr=False)
    notice: tuple[Block, ...] = field(repr=False)
    facts: tuple[Line, ...] = field(repr=False)
    statement: tuple[str, ...] = field(repr=False)
    consent: str
    applicant: str = field(repr=False)
    """Who signs: 申请人, or 委托代理人 where somebody acts for him."""
    signed: str
    signed_on: str
    blank_day: str
    authority: str
    copies: str
    standing: tuple[Line, ...]
    code: str
    """What the QR code holds; empty without a receipt."""


def lay_out(document: Mapping[str, Json], standing: Standing) -> Layout:
    """Arrange a document as a letter, as it stands now.

    The record of a refusal has no letter: its states are not among `LETTER_STATES`.
    """
    words, mark = _STATES[standing.state]
    publication = table(document["publication"])
    published = publication["scope"] != "NOT_PUBLIC"
    signing = standing.signing
    return Layout(
        title=text(document["title"]),
        number=_grouped(text(document["record"])),
        mark=mark,
        parties=tuple(_parties(document)),
        notice=_notice(document),
        facts=tuple(Line(text(fact["label"]), text(fact["value"])) for fact in map(table, rows(document["facts"]))),
        statement=tuple(
            _NUMBERS[place] + text(table(sentence)["text"])
            for place, sentence in enumerate(rows(document["statement"]))
        ),
        consent=_CONSENTS[text(publication["consent"])] if published else _NOT_PUBLIC,
        applicant="委托代理人签名" if "proxy" in document else "申请人签名（盖章）",
        signed="" if signing is None else _signed(signing),
        signed_on=_BLANK_DAY if signing is None else _day(signing.at),
        blank_day=_BLANK_DAY,
        authority=text(table(document["authority"])["name"]),
        copies=_COPIES,
        standing=tuple(_standing(words, document, standing)),
        code="" if standing.reference is None else standing.reference.uri(),
    )


def _signed(signing: Signing) -> str:
    algorithm = signing.algorithm.replace("_", " ")
    return _EVIDENCE[signing.evidence].format(algorithm=algorithm)


def _parties(document: Mapping[str, Json]) -> Iterator[Block]:
    applicant, authority, matter = (table(document[key]) for key in ("applicant", "authority", "matter"))
    yield Block("申请人", (*_person(applicant),))
    if "proxy" in document:
        proxy = table(document["proxy"])
        digest = Line("授权委托书摘要", text(proxy["authorisation_digest"]))
        yield Block("委托代理人", (*_person(proxy), digest))
    contact = [Line("联系方式", text(authority["contact"]))] if "contact" in authority else []
    unit = Line("统一社会信用代码", text(authority["unit"]))
    yield Block("行政机关", (Line("名称", text(authority["name"])), unit, *contact))
    title = f"{text(matter['title'])}（{text(matter['code'])}）"
    yield Block("办理事项", (Line("事项名称", title), Line("办件编号", text(document["case"]))))


def _person(person: Mapping[str, Json]) -> list[Line]:
    kind = _ID_TYPES[text(person["id_type"])]
    name = "名称" if person["id_type"] == "uscc" else "姓名"
    return [
        Line(name, text(person["name"])),
        Line("证件类型", kind),
        Line("证件编号", text(person["id_number"])),
    ]


def _notice(document: Mapping[str, Json]) -> tuple[Block, ...]:
    under: dict[str, list[Line]] = {}
    for part in map(table, rows(document["notice"])):
        under.setdefault(text(part["heading"]), []).append(Line(text(part["label"]), text(part["text"])))
    return tuple(Block(_NUMBERS[place] + heading, tuple(lines)) for place, (heading, lines) in enumerate(under.items()))


def _standing(words: str, document: Mapping[str, Json], standing: Standing) -> Iterator[Line]:
    yield Line("告知时间", _time(moment_of(document["prepared_at"])))
    yield Line("签署期限", _time(moment_of(document["expires_at"])))
    yield Line("当前状态", f"{words}（自{_time(standing.changed_at)}起）")
    reference = standing.reference
    if reference is not None:
        yield Line("台账", reference.origin)
        yield Line("存证序号", f"第{reference.index}条（检查点共{reference.size}条）")
        yield Line("存证摘要", reference.leaf.hex())
        yield Line("文书摘要", reference.document.hex())
        if reference.where:
            yield Line("查验地址", reference.where)


def _grouped(record: str) -> str:
    return " ".join(record[start : start + 4] for start in range(0, len(record), 4))


def moment_of(value: Json) -> datetime:
    """Take a time that a document always has; raises `TypeError`."""
    at = moment(value)
    if at is None:
        raise TypeError("a time is kept here")
    return at


def _time(at: datetime) -> str:
    here = at.astimezone(CHINA)
    return f"{_date(here)}{here.hour:02}:{here.minute:02}"


def _day(at: datetime) -> str:
    return _date(legal_day(at))


def _date(here: date) -> str:
    return f"{here.year}年{here.month}月{here.day}日"
