"""The PDF is the letter: A4, PDF/A with its fonts in it, every word, the code, what was signed; always the same."""

from __future__ import annotations

import asyncio
import io
import re
import sys
import unicodedata
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import pypdf
import pypdfium2
import pytest
import zxingcpp
from msgspec.structs import replace

from gateway.errors import LettersWaiting, LetterUnprintable
from gateway.letters.document import Proxy
from gateway.letters.layout import LETTER_STATES, Layout
from gateway.letters.pdf import Printer, Sheet
from gateway.letters.reference import parse_reference
from ledger.canonical import Json, canonical
from tests.gateway.letters.making import APPLICANT, REFERENCE, RELATIVE, document, question, sheet, words

_A4 = (210, 297)
_POINTS_PER_MM = 72 / 25.4
_FOOTER = re.compile(r"第\d+页共(\d+)页")


@pytest.fixture(scope="module")
def printer() -> Printer:
    return Printer()


def read(pdf: bytes) -> pypdf.PdfReader:
    return pypdf.PdfReader(io.BytesIO(pdf), strict=True)


def bare(text: str) -> str:
    """Leave out what only lays out: blanks, line ends, and the places made for breaking."""
    return "".join(one for one in text if not one.isspace() and one != "\u200b")


def text_of(pdf: bytes) -> str:
    return "".join(_FOOTER.sub("", bare(page.extract_text())) for page in read(pdf).pages)


def told(layout: Layout) -> list[str]:
    """Give every text of a letter that stands on its pages; its code and its headings aside."""
    values: dict[str, Json] = asdict(layout)
    del values["code"]
    return [one for one in words(values) if one.strip()]


def codes(pdf: bytes) -> list[str]:
    found = pypdfium2.PdfDocument(pdf)
    read_: list[str] = []
    for page in found:
        bitmap = page.render(scale=3, grayscale=True)
        image = memoryview(bytes(bitmap.buffer)).cast("B", shape=[bitmap.height, bitmap.stride])
        read_ += [one.text for one in zxingcpp.read_barcodes(image)]
        bitmap.close()
        page.close()
    found.close()
    return read_


@pytest.mark.parametrize("state", sorted(LETTER_STATES))
def test_every_text_of_a_letter_is_on_its_pages_in_every_state(state: str, printer: Printer) -> None:
    made = sheet(state=state)
    text = text_of(printer.print_now(made))

    missing = [one for one in told(made.layout) if bare(one) not in text]

    assert missing == []


def test_pages_are_a4_and_numbered(printer: Printer) -> None:
    pages = read(printer.print_now(sheet())).pages

    for number, page in enumerate(pages, 1):
        size = (page.mediabox.width / _POINTS_PER_MM, page.mediabox.height / _POINTS_PER_MM)
        assert size == pytest.approx(_A4, abs=0.1)
        assert f"第{number}页共{len(pages)}页" in bare(page.extract_text())


def test_an_ordinary_letter_is_two_pages(printer: Printer) -> None:
    assert len(read(printer.print_now(sheet())).pages) == 2


def test_every_font_is_in_the_file_and_only_free_ones(printer: Printer) -> None:
    fonts = [
        font.get_object()
        for page in read(printer.print_now(sheet())).pages
        for font in page["/Resources"]["/Font"].values()
    ]

    assert fonts
    for font in fonts:
        descriptor = font["/DescendantFonts"][0].get_object()["/FontDescriptor"].get_object()
        assert "/FontFile3" in descriptor
        assert re.fullmatch(r"/[A-Z]{6}\+Noto(Serif|Sans)SC-Regular.*", str(font["/BaseFont"]))


def test_it_is_pdf_a_3a_for_archives_and_tagged_for_readers(printer: Printer) -> None:
    root = read(printer.print_now(sheet())).trailer["/Root"]
    metadata = root["/Metadata"].get_data().decode()

    assert "<pdfaid:part>3</pdfaid:part>" in metadata
    assert "<pdfaid:conformance>A</pdfaid:conformance>" in metadata
    assert root["/MarkInfo"]["/Marked"]
    assert str(root["/Lang"]).lower().startswith("zh")


def test_the_code_on_the_page_reads_as_where_the_commitment_stands(printer: Printer) -> None:
    (code,) = codes(printer.print_now(sheet()))

    assert parse_reference(code) == REFERENCE


def test_what_was_signed_and_its_receipt_are_in_the_file_to_the_byte(printer: Printer) -> None:
    made = document()
    attached = read(printer.print_now(sheet(made, receipt=b"c2sp.org/tlog-proof@v1\n\xe2\x80\x94 x\n"))).attachments

    assert attached["commitment.json"] == [canonical(made)]
    assert attached["receipt.txt"] == [b"c2sp.org/tlog-proof@v1\n\xe2\x80\x94 x\n"]


def test_the_same_letter_is_the_same_bytes_from_whichever_printer(printer: Printer) -> None:
    assert printer.print_now(sheet()) == printer.print_now(sheet()) == Printer().print_now(sheet())


def test_another_letter_is_not_the_same_bytes(printer: Printer) -> None:
    assert printer.print_now(sheet(state="WITHDRAWN")) != printer.print_now(sheet())


def crowded() -> Mapping[str, Json]:
    """The longest that may come: names without blanks, four thousand characters, runs without a place to break."""
    asked = question("business-premises", "230000-MSA-001", address="很长的地址" * 800)
    name = "买买提·阿布都热合曼·𬀩䶮" * 8
    made = document(
        replace(asked, subject=replace(APPLICANT, name=name)),
        contact="0451" * 60,
        proxy=Proxy(agent=replace(RELATIVE, name=name), authorisation_digest=b"\xab" * 32),
    )
    return {**made, "case": "办" + "A" * 127, "title": "经营主体住所证明事项告知承诺书" * 3}


def test_a_crowded_letter_loses_no_word_and_stays_within_its_margins(printer: Printer) -> None:
    made = sheet(crowded())
    printed = printer.print_now(made)
    text = text_of(printed)

    assert [one for one in told(made.layout) if bare(one) not in text] == []
    found = pypdfium2.PdfDocument(printed)
    for page in found:
        width, height = page.get_size()
        content = page.get_textpage()
        boxes = [content.get_rect(index) for index in range(content.count_rects())]
        assert boxes
        assert min(box[0] for box in boxes) > 20 * _POINTS_PER_MM
        assert max(box[2] for box in boxes) < width - 20 * _POINTS_PER_MM
        assert max(box[3] for box in boxes) < height - 20 * _POINTS_PER_MM
        page.close()
    found.close()


def test_rare_characters_of_names_are_printed(printer: Printer) -> None:
    made = document(replace(question(), subject=replace(APPLICANT, name="𬀩䶮𫖯")))

    assert "𬀩䶮𫖯" in text_of(printer.print_now(sheet(made)))


@pytest.mark.parametrize("name", ["\U0002ebf0某", "😀", "བཀྲ", "某\ufeff", "某\x01"])
def test_a_character_that_no_font_has_is_never_left_out_of_a_letter(name: str, printer: Printer) -> None:
    made = document(replace(question(), subject=replace(APPLICANT, name=name)))

    with pytest.raises(LetterUnprintable) as caught:
        printer.print_now(sheet(made))

    assert name not in str(caught.value) + caught.value.chinese
    assert caught.value.__cause__ is None
    assert printer.print_now(sheet())  # and the next letter is printed


@pytest.mark.parametrize("said", ["#panic()", "$x$ *b* _i_ `c`", '"]}', "\\u{41}", "= 标题", '#read("/etc/passwd")'])
def test_what_an_applicant_says_is_never_taken_for_markup(said: str, printer: Printer) -> None:
    made = document(question("business-premises", "230000-MSA-001", address=said))

    assert unicodedata.normalize("NFC", bare(said)) in text_of(printer.print_now(sheet(made)))


def test_further_fonts_are_taken_from_the_house_and_nothing_from_the_machine(tmp_path: Path) -> None:
    assert Printer(fonts=tmp_path).print_now(sheet()) == Printer().print_now(sheet())


@pytest.mark.parametrize("module", ["typst", "pylopdf_fonts_zh_cn", "segno"])
def test_without_the_extra_a_letter_is_refused_with_what_to_do(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)

    with pytest.raises(LetterUnprintable, match=r"chengxin\[letters\]") as caught:
        Printer().print_now(sheet())

    assert "文本格式" in caught.value.chinese


async def test_letters_are_printed_off_the_loop_and_no_more_wait_than_may() -> None:
    printer = Printer(most_waiting=2)
    beats = 0

    async def beat() -> None:
        nonlocal beats
        while True:
            beats += 1
            await asyncio.sleep(0)

    beating = asyncio.create_task(beat())
    outcomes = await asyncio.gather(*(printer(sheet()) for _ in range(5)), return_exceptions=True)
    beating.cancel()

    assert [type(one) for one in outcomes].count(LettersWaiting) == 3
    assert {one for one in outcomes if isinstance(one, bytes)} == {printer.print_now(sheet())}
    assert beats > 10
    assert await printer(sheet())


async def test_a_caller_who_gives_up_leaves_the_printer_usable(printer: Printer) -> None:
    given_up = asyncio.create_task(printer(sheet(crowded())))
    await asyncio.sleep(0)
    given_up.cancel()
    with pytest.raises(asyncio.CancelledError):
        await given_up

    assert await printer(sheet()) == printer.print_now(sheet())


def test_a_sheet_is_not_shown_in_tracebacks() -> None:
    made: Sheet = sheet()

    assert APPLICANT.id_number not in repr(made)
    assert APPLICANT.name not in repr(made)
