"""A letter as plain text, for reading on a screen before signing and wherever no PDF can be made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from gateway.letters.layout import HEADINGS, Layout, Line, Signing, Standing, lay_out, moment_of
from gateway.rules.kept import text
from ledger.canonical import Json


def text_to_sign(document: Mapping[str, Json]) -> str:
    """Write a document as text for the person to read before signing, as it stood when it was handed out."""
    prepared = Standing(state="PREPARED", changed_at=moment_of(document["prepared_at"]))
    return plain_text(lay_out(document, prepared))


def text_as_signed(document: Mapping[str, Json], signature: Mapping[str, Json], recorded_at: datetime) -> str:
    """Write a signed document as text for reading, as it stood when its signature (what is kept of it) was recorded."""
    signing = Signing(at=recorded_at, evidence=text(signature["type"]), algorithm=text(signature["algorithm"]))
    return plain_text(lay_out(document, Standing(state="RECORDED", changed_at=recorded_at, signing=signing)))


def plain_text(layout: Layout) -> str:
    """Write a letter as text, lines ended by a newline."""
    return "\n".join(_lines(layout)) + "\n"


def _lines(layout: Layout) -> Iterator[str]:
    yield layout.title + (f"【{layout.mark}】" if layout.mark else "")
    yield f"编号：{layout.number}"
    yield from ("", HEADINGS["parties"])
    for party in layout.parties:
        yield f"  {party.title}"
        yield from _indented(party.lines, by=4)
    yield from ("", HEADINGS["notice"])
    for block in layout.notice:
        if len(block.lines) == 1:
            yield f"  {block.title}：{block.lines[0].value}"
        else:
            yield f"  {block.title}"
            yield from _indented(block.lines, by=4)
    yield from ("", HEADINGS["commitment"], f"  {HEADINGS['facts']}")
    yield from _indented(layout.facts, by=4)
    yield f"  {HEADINGS['statement']}"
    yield from (f"    {sentence}" for sentence in layout.statement)
    yield f"  {HEADINGS['consent']}：{layout.consent}"
    yield from ("", f"{layout.applicant}：{layout.signed}  {HEADINGS['day']}：{layout.signed_on}")
    yield f"{HEADINGS['seal']}：{layout.authority}  {HEADINGS['day']}：{layout.blank_day}"
    yield layout.copies
    yield from ("", HEADINGS["standing"])
    yield from _indented(layout.standing, by=2)
    if layout.code:
        yield f"  {HEADINGS['code']}：{layout.code}"


def _indented(lines: Sequence[Line], *, by: int) -> Iterator[str]:
    return (f"{' ' * by}{line.heading}：{line.value}" for line in lines)
