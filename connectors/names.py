"""Bring a person's name into the form in which names are compared: pure, and never by guessing.

What is folded is how a name was typed or coded, never what it is: full-width letters, look-alikes of the middle dot,
full stops between Chinese characters, blanks around these, invisible characters, choices of glyph, and the private
codes that GBK, and of fourteen characters still GB 18030-2000, used before Unicode had them. Simplified and
traditional characters, variants and capitals stay what they are: 張 and 张 are different names."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

MIDDLE_DOT = "·"
_DOTS = dict.fromkeys(map(ord, "•‧∙⋅・･᛫●▪⸱⸳ꞏ﹒．‥"), MIDDLE_DOT)
_LATE = {
    0xE816: 0x20087,
    0xE817: 0x20089,
    0xE818: 0x200CC,
    0xE81E: 0x9FB4,
    0xE826: 0x9FB5,
    0xE82B: 0x9FB6,
    0xE82C: 0x9FB7,
    0xE831: 0x215D7,
    0xE832: 0x9FB8,
    0xE83B: 0x2298F,
    0xE843: 0x9FB9,
    0xE854: 0x9FBA,
    0xE855: 0x241FE,
    0xE864: 0x9FBB,
}
"""GB 18030-2000: the private code of a character, and its code since GB 18030-2005 and -2022."""


def _of_gbk() -> dict[int, int]:
    """Give the code since GB 18030-2000 to each private code of GBK, bytes FE50 to FEA0, that has one."""
    octets = [bytes((0xFE, second)) for second in range(0x50, 0xA1) if second != 0x7F]
    found = {0xE815 + index: ord(pair.decode("gb18030")) for index, pair in enumerate(octets)}
    return {private: code for private, code in found.items() if not 0xE000 <= code <= 0xF8FF}


_BY_PRIVATE_CODE = _of_gbk() | _LATE
_DRAWN_AS_NOTHING = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2065\u2800\u3164\ufe00-\ufe0f\uffa0\ufff0-\ufff8"
    "\U00016fe4\U0001d159\U000e0000-\U000e0fff]"
)
"""What Unicode lets be ignored though it is no format character (Default_Ignorable_Code_Point: fillers, choices of
glyph, what is kept free), and signs of other scripts that are drawn as nothing."""
_AS_IT_IS = re.compile("[\u4e00-\u9fff·]+")
"""Most names: Chinese characters of the first plane and the middle dot, of which nothing is folded."""
_SEEN = re.compile("[!-~\u4e00-\u9fff]")
"""Signs that are seen, one of which nearly every text has."""
_FULL_STOP = re.compile("(?<=[\u3400-\u9fff\U00020000-\U0003ffff])[.。](?=[\u3400-\u9fff\U00020000-\U0003ffff])")
_MARK = re.compile("[*?#_×□■▢▣▪▫▮▯▇█◆◇○◎◯⊙△▲▽▼☆★〓⬛⬜]|^·|·$|··")
"""What is written in the place of a character, after folding (● is a middle dot then): no name has these."""
_BLANK = re.compile(r"(.)\s+(?=(.))", re.DOTALL)


class Signs(dict[int, str]):
    """A table for `str.translate` that asks once what a sign is written as, and remembers it of the first so many."""

    _MOST = 4096

    def __init__(self, written_as: Callable[[str], str]) -> None:
        super().__init__()
        self._written_as = written_as

    def __missing__(self, code: int) -> str:
        """Give what stands in the place of a sign that is met for the first time."""
        sign = self._written_as(chr(code))
        if len(self) < self._MOST:
            self[code] = sign
        return sign


def normal_name(written: str) -> str:
    """Return a name as it is compared; idempotent. Blanks stay between Latin words, one for many."""
    if _AS_IT_IS.fullmatch(written):
        return written
    coded = written.translate(_BY_PRIVATE_CODE).translate(_DOTS)
    folded = unicodedata.normalize("NFKC", coded).translate(_DOTS)
    visible = folded.translate(VISIBLE).strip()
    joined = _BLANK.sub(lambda found: found[1] + ("" if _joins(found[1]) or _joins(found[2]) else " "), visible)
    composed = unicodedata.normalize("NFKC", joined)  # what a blank or an invisible character kept apart may compose
    return _FULL_STOP.sub(MIDDLE_DOT, composed)


def has_marks(name: str) -> bool:
    """Say whether signs stand in a name (as `normal_name` returns it) where characters are hidden, or were lost."""
    return _MARK.search(name) is not None


def is_invisible(character: str) -> bool:
    """Say whether a character is not seen: a format character, a choice of glyph, or what is drawn as nothing."""
    return unicodedata.category(character) == "Cf" or _DRAWN_AS_NOTHING.match(character) is not None


def is_blank(text: str) -> bool:
    """Say whether nothing of a text is seen: it is empty, or has but blanks, controls and invisible characters."""
    return _SEEN.search(text) is None and all(
        c.isspace() or is_invisible(c) or unicodedata.category(c) == "Cc" for c in text
    )


VISIBLE = Signs(lambda character: "" if is_invisible(character) else character)
"""Leaves out what is not seen."""


def _joins(character: str) -> bool:
    """Say whether blanks beside a character are a habit of typing: beside Chinese characters and the middle dot."""
    return (
        character == MIDDLE_DOT or unicodedata.east_asian_width(character) in "WF" or "\ue000" <= character <= "\uf8ff"
    )
