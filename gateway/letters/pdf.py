"""A letter as PDF: PDF/A-3a on A4, every font embedded, what was signed and its receipt attached.

Needs the extra `letters` (typst, segno, fonts). The same letter gives the same bytes.
"""

from __future__ import annotations

import asyncio
import dataclasses
import io
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.errors import LettersWaiting, LetterUnprintable
from gateway.letters.layout import HEADINGS, Layout
from gateway.rules.clocks import legal_day

if TYPE_CHECKING:
    import typst

_SOURCE = Path(__file__).parent / "data" / "letter.typ"
_STANDARDS: list[typst.PDFStandard] = ["a-3a"]
_MOST_WAITING = 64
_RETRY = timedelta(seconds=1)
_UNSHOWN = ("could not be displayed", "disallowed codepoint")
"""How the compiler says that no font has a character; with the character itself, which is personal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """What is printed: the letter, when it came to be as it is, and what goes with it as files.

    `document` are the bytes that are signed, `receipt` is a tlog-proof text, and `disclosure` shows that the log is
    about this document; both are empty where there is none.
    """

    layout: Layout = field(repr=False)
    made_at: datetime
    document: bytes = field(repr=False)
    receipt: bytes = field(repr=False, default=b"")
    disclosure: bytes = field(repr=False, default=b"")


class Printer:
    """Prints letters one after another on a thread; as many as `most_waiting` may wait.

    `fonts` is a folder of further fonts, such as FangSong; fonts of the machine are never used, for a letter must look
    the same wherever it is made.
    """

    def __init__(self, *, fonts: Path | None = None, most_waiting: int = _MOST_WAITING) -> None:
        self._fonts = fonts
        self._most_waiting = most_waiting
        self._waiting = 0
        self._turn = asyncio.Lock()
        self._printing = threading.Lock()
        self._compiler: typst.Compiler | None = None

    async def __call__(self, sheet: Sheet) -> bytes:
        """Print a letter.

        Raises:
            LetterUnprintable: the extra is not installed, or no font has a character of it.
            LettersWaiting: too many wait already.
        """
        if self._waiting >= self._most_waiting:
            raise LettersWaiting(self._most_waiting, _RETRY)
        self._waiting += 1
        try:
            async with self._turn:
                return await asyncio.to_thread(self.print_now, sheet)
        finally:
            self._waiting -= 1

    def print_now(self, sheet: Sheet) -> bytes:
        """Print a letter here and now; raises `LetterUnprintable`."""
        data = json.dumps(_data(sheet), ensure_ascii=False)
        # A caller who gave up leaves a thread behind that still prints: the compiler does one thing at a time.
        with self._printing:
            return _compiled(self._opened(), data, sheet.made_at)

    def _opened(self) -> typst.Compiler:
        if self._compiler is None:
            self._compiler = _open_compiler(self._fonts)
        return self._compiler


def _open_compiler(further: Path | None) -> typst.Compiler:
    try:
        import pylopdf_fonts_zh_cn
        import typst
    except ImportError as error:
        raise _without_extra() from error
    folders = [Path(pylopdf_fonts_zh_cn.serif_path()).parent, *([further] if further else [])]
    fonts = typst.Fonts(include_system_fonts=False, include_embedded_fonts=False, font_paths=folders)
    return typst.Compiler(_SOURCE, root=_SOURCE.parent, font_paths=fonts, ignore_system_fonts=True)


def _compiled(compiler: typst.Compiler, data: str, made_at: datetime) -> bytes:
    import typst

    try:
        printed = compiler.compile(
            format="pdf", sys_inputs={"letter": data}, pdf_standards=_STANDARDS, timestamp=int(made_at.timestamp())
        )
    except typst.TypstError as error:
        # What the compiler says may quote the letter: it goes nowhere.
        if not any(sign in error.message for sign in _UNSHOWN):
            raise RuntimeError("the letter's source does not compile") from None
        raise LetterUnprintable(
            "no font has a character of this letter; further fonts are configured by `commitments.letter_fonts`",
            "承诺书中有打印字库未收录的字，暂不能生成 PDF，可改取文本格式，并请系统管理员补充字库。",
        ) from None
    if not isinstance(printed, bytes):
        raise TypeError("a PDF is one file")
    return printed


def _data(sheet: Sheet) -> Mapping[str, object]:
    day = legal_day(sheet.made_at)
    return {
        "layout": _named(sheet.layout),
        "headings": HEADINGS,
        "made_on": [day.year, day.month, day.day],
        "code_image": _code_image(sheet.layout.code) if sheet.layout.code else "",
        "document": sheet.document.decode(),
        "receipt": sheet.receipt.decode(),
        "disclosure": sheet.disclosure.decode(),
    }


def _named(layout: Layout) -> Mapping[str, object]:
    """Give a letter with every value by its name."""
    blocks = {
        key: [{"title": block.title, "lines": [line._asdict() for line in block.lines]} for block in value]
        for key, value in (("parties", layout.parties), ("notice", layout.notice))
    }
    lines = {
        key: [line._asdict() for line in value]
        for key, value in (("facts", layout.facts), ("standing", layout.standing))
    }
    return {one.name: getattr(layout, one.name) for one in dataclasses.fields(layout)} | blocks | lines


def _code_image(code: str) -> str:
    """Draw a QR code (ISO/IEC 18004, error correction M) as SVG."""
    try:
        import segno
    except ImportError as error:
        raise _without_extra() from error
    drawn = io.BytesIO()
    segno.make_qr(code, error="m", boost_error=False).save(drawn, kind="svg", border=4, xmldecl=False)
    return drawn.getvalue().decode()


def _without_extra() -> LetterUnprintable:
    return LetterUnprintable(
        "printing needs the extra `letters`: pip install 'chengxin[letters]'",
        "本系统未安装承诺书打印组件，可改取文本格式。",
    )
