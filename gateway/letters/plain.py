"""A letter as plain text, for reading on a screen before signing and wherever no PDF can be made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from gateway.letters.layout import Layout, Line, Standing, blocks_of, lay_out, moment_of, numbered
from ledger.canonical import Json


def text_to_sign(document: Mapping[str, Json]) -> str:
    """Write a document as text for the person to read before signing, as it stood when it was handed out."""
    prepared = Standing(state="PREPARED", changed_at=moment_of(document["prepared_at"]))
    return plain_text(lay_out(document, prepared))


def plain_text(layout: Layout) -> str:
    """Write a letter as text, lines ended by a newline."""
    return "\n".join(_lines(layout)) + "\n"


def _lines(layout: Layout) -> Iterator[str]:
    yield layout.title + (f"【{layout.mark}】" if layout.mark else "")
    yield f"编号：{layout.number}"
    yield from ("", "一、基本信息")
    for party in layout.parties:
        yield f"  {party.title}"
        yield from _indented(party.lines)
    yield from ("", "二、行政机关告知")
    for block in blocks_of(layout):
        if len(block.lines) == 1:
            yield f"  {block.title}：{block.lines[0].value}"
        else:
            yield f"  {block.title}"
            yield from _indented(block.lines)
    yield from ("", "三、申请人承诺", "  申请人承诺的事实")
    yield from _indented(layout.facts)
    yield "  申请人自愿作出下列承诺"
    yield from (f"    {numbered(place)}{sentence}" for place, sentence in enumerate(layout.statement, 1))
    yield f"  公开意愿：{layout.consent}"
    yield ""
    yield from _indented(layout.given, by="")
    yield f"{layout.applicant}：{layout.signed}  日期：{layout.signed_on}"
    yield f"行政机关（盖章）：{layout.authority}"
    yield layout.copies
    yield from ("", "存证信息")
    yield from _indented(layout.standing, by="  ")
    if layout.code:
        yield f"  二维码内容：{layout.code}"


def _indented(lines: Sequence[Line], by: str = "    ") -> Iterator[str]:
    return (f"{by}{line.heading}：{line.value}" for line in lines)
