"""A document and what became of it, arranged as a letter: the one source of its plain text and of its pages.

Every word of the document is in the arrangement; what is added is the state, the signing, and the receipt.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from zoneinfo import ZoneInfo

from gateway.letters.document import Consent
from gateway.letters.reference import Reference
from gateway.rules.kept import moment, rows, table, text
from ledger.canonical import Json

_ZONE = ZoneInfo("Asia/Shanghai")
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
    "DISPUTED": ("核查中", ""),
    "BROKEN": ("经法定程序认定不实", "认定不实"),
    "INCONCLUSIVE": ("经核查无法得出结论", ""),
    "REPAIRED": ("经法定程序认定不实，信用已修复", "认定不实"),
}
"""What each state of a commitment with a document is called, and what is written across its pages."""
_CONSENTS: Mapping[str, str] = {
    Consent.AGREED.value: "同意按照上述范围和时限公开。",
    Consent.DECLINED.value: "不同意公开。",
    Consent.NOT_SAID.value: "未作表示。",
}
_NOT_PUBLIC = "本承诺书不公开，无需征求意见。"
_COPIES = "本承诺书一式两份，申请人和行政机关各执一份。"
_DIGIT_GROUPS = re.compile(r"(?<=[0-9a-f]{4})(?=(?:[0-9a-f]{4})+$)")


@dataclass(frozen=True, slots=True)
class Line:
    """A heading and what stands beside it."""

    heading: str
    value: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Block:
    """Lines under one title."""

    title: str
    lines: tuple[Line, ...] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signing:
    """That the document was signed: when it was recorded, and how, in Chinese."""

    at: datetime
    how: str


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
    given: tuple[Line, ...]
    applicant: str = field(repr=False)
    """Who signs: 申请人, or 委托代理人 where somebody acts for him."""
    signed: str
    signed_on: str
    authority: str
    copies: str
    standing: tuple[Line, ...]
    code: str
    """What the QR code holds; empty without a receipt."""


def lay_out(document: Mapping[str, Json], standing: Standing) -> Layout:
    """Arrange a document as a letter, as it stands now.

    Raises:
        KeyError: the record is a refusal, which has no letter.
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
        statement=tuple(text(table(sentence)["text"]) for sentence in rows(document["statement"])),
        consent=_CONSENTS[text(publication["consent"])] if published else _NOT_PUBLIC,
        given=(
            Line("告知时间", _time(moment_of(document["prepared_at"]))),
            Line("签署期限", _time(moment_of(document["expires_at"]))),
        ),
        applicant="委托代理人签名" if "proxy" in document else "申请人签名（盖章）",
        signed="" if signing is None else signing.how,
        signed_on=_BLANK_DAY if signing is None else _day(signing.at),
        authority=text(table(document["authority"])["name"]),
        copies=_COPIES,
        standing=tuple(_standing(words, standing)),
        code="" if standing.reference is None else standing.reference.uri(),
    )


_BLANK_DAY = "    年  月  日"


def _parties(document: Mapping[str, Json]) -> Iterator[Block]:
    applicant, authority, matter = (table(document[key]) for key in ("applicant", "authority", "matter"))
    yield Block("申请人", (*_person(applicant),))
    if "proxy" in document:
        proxy = table(document["proxy"])
        digest = Line("授权委托书摘要", f"SHA-256 {text(proxy['authorisation_digest'])}")
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
    parts = [table(part) for part in rows(document["notice"])]
    return tuple(
        Block(heading, tuple(Line(text(part["label"]), text(part["text"])) for part in under))
        for heading, under in groupby(parts, key=lambda part: text(part["heading"]))
    )


def _standing(words: str, standing: Standing) -> Iterator[Line]:
    yield Line("当前状态", f"{words}（自{_time(standing.changed_at)}起）")
    reference = standing.reference
    if reference is not None:
        yield Line("台账", reference.origin)
        yield Line("存证序号", f"第{reference.index}条（检查点共{reference.size}条）")
        yield Line("存证摘要", reference.leaf.hex())
        yield Line("文书摘要", f"SHA-256 {reference.document.hex()}")
        if reference.where:
            yield Line("查验地址", reference.where)


def numbered(position: int) -> str:
    """Number a paragraph in Chinese, from 1 to 19: `（十二）`."""
    digits = "一二三四五六七八九"
    ten, unit = divmod(position, 10)
    return f"（{'十' * ten}{digits[unit - 1] if unit else ''}）"


def blocks_of(layout: Layout) -> Sequence[Block]:
    """Give the blocks of the notice, the numbers of their headings included."""
    return [Block(f"{numbered(place)}{block.title}", block.lines) for place, block in enumerate(layout.notice, 1)]


def _grouped(record: str) -> str:
    return _DIGIT_GROUPS.sub(" ", record)


def moment_of(value: Json) -> datetime:
    """Take a time that a document always has; raises `TypeError`."""
    at = moment(value)
    if at is None:
        raise TypeError("a time is kept here")
    return at


def _time(at: datetime) -> str:
    here = at.astimezone(_ZONE)
    return f"{_day(at)}{here:%H:%M}"


def _day(at: datetime) -> str:
    here = at.astimezone(_ZONE)
    return f"{here.year}年{here.month}月{here.day}日"
