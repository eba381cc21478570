"""Compare what an applicant says with what a source holds: pure, typed, and never by guessing.

A held value that cannot be read as the type expected is `Unreadable`: the answer is outside the agreed format, which
is neither agreement nor contradiction.
"""

from __future__ import annotations

import json
import re
import unicodedata
from datetime import date, datetime, tzinfo
from decimal import Decimal
from string import ascii_lowercase
from zoneinfo import ZoneInfo

from connectors.connector import Form, Value
from connectors.keys import is_number
from connectors.misread import is_misread, is_misread_gbk, is_utf8
from connectors.names import VISIBLE, has_marks, normal_name
from connectors.outcome import AMBIGUOUS, MATCH, MISMATCH, NOT_HELD, Outcome

_DOTS = dict.fromkeys(map(ord, "•・‧∙⋅•●᛫⸱"), "·")
_CAPITALS = {ord(letter): letter.upper() for letter in ascii_lowercase}
_AS_IT_IS = re.compile("[!-~\u4e00-\u9fff]+")
"""Most values: what ASCII prints but the blank, Chinese characters of the first plane. Of these nothing is folded."""
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ufffd]")
_BEYOND_LATIN1 = re.compile("[^\x00-\xff]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_LOST_RUN = re.compile(r"\?+")
_SCIENTIFIC = re.compile(r"\d(?:\.\d+)?E\+?\d{1,3}", re.ASCII | re.IGNORECASE)
_OPENS = ('"', "[", "{")
_LOST = re.compile(r"[?\s·]*\?[?\s·]*")
_DAY = re.compile(
    r"(\d{4})(?:-?(\d{2})-?(\d{2})|[-/.](\d{1,2})[-/.](\d{1,2})|年(\d{1,2})月(\d{1,2})日)"
    r"(?:[T ]([\d:.,]*)(?: ?(?:[AP]M|(Z|UTC|GMT|[+-]\d{2}(?::?\d{2}){0,2})(?:\[[\w/+-]+\])?))?)?",
    re.ASCII | re.I,
)
"""A day in one of three ways, perhaps with a time, perhaps with the time's zone, whose name beside it says no more."""
_END_OF_DAY = re.compile(r"24(?::?00){0,2}(?:[.,]0+)?", re.ASCII)
_SHORT_HOUR = re.compile(r"\d:")
CHINA = ZoneInfo("Asia/Shanghai")
_NUMBER = re.compile(r"\d{17}[Xx]", re.ASCII)
"""A resident number whose check character registers write as they please."""
_RESIDENT = re.compile(r"\d{17}[\dX]", re.ASCII)
_OLD = re.compile(r"\d{15}", re.ASCII)
_NOTHING = {
    *("null", "(null)", "<null>", "\\n", "none", "nil", "nan", "n/a", "undefined", "-", "--", "—", "——", "/"),
    *("无", "空", "暂无", "不详", "未知", "未填", "未登记", "无数据"),
}
_MASK = re.compile(r"\*|×{2}|[Xx]{3}")
_BLOT = re.compile("[□■▢▣▪▫▮▯▇█〓⬛⬜]|^[◆◇○◎●◯⊙△▲▽▼☆★]+$")
"""Signs for a character that a system could not write, or that is hidden."""
_BLOT_OF_NAMES = re.compile("[◆◇○◎●◯⊙△▲▽▼☆★]")
"""Signs that hide a character of a name or number, and elsewhere are themselves. ● is a middle dot too, once folded."""
_ZERO = re.compile("(?<=[〇一二三四五六七八九])[○◯]+|[○◯]+(?=[〇一二三四五六七八九])")
"""What governments write for the Chinese zero (二○二一年)."""
_DOT_OF_NAMES = re.compile(
    r"(?<=[\u3400-\u9fff\U00020000-\U0003ffff]{2})[●▪](?=[\u3400-\u9fff\U00020000-\U0003ffff]{2})"
)
"""What some registers write for the middle dot: between parts of two characters at least, as those names have them."""
_HIDDEN_NAME = re.compile("某|[\u4e00-\u9fff][Xx]+$")
_CODED = re.compile(
    r"&#\d{2,7};|&#[Xx][\dA-Fa-f]{2,6};|&[A-Za-z]{2,8};|\\[Uu][\dA-Fa-f]{4}|[Uu]\+[\dA-Fa-f]{4}|(?:%[\dA-Fa-f]{2}){3}"
    r"|\\[Uu]\{[\dA-Fa-f]{2,6}\}|%[Uu][\dA-Fa-f]{4}|\{[\dA-Fa-f]{4,6}\}|<[\dA-Fa-f]{4,6}>"
    r"|(?<=[\u4e00-\u9fff])0[Xx][\dA-Fa-f]{4,6}(?![\dA-Za-z])"
    "|[\ue000-\uf8ff\u2ff0-\u2fff\U000f0000-\U0010ffff]"
)
"""A character in a notation of its own, or under a private code: which one it is, only its writer knows."""
_LATIN = re.compile(r"[A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f .'-]+")
_HYPHENS = re.compile("[-\u2010-\u2015\u2212]")


class Unreadable(ValueError):
    """A held value is outside the agreed format; the text names the condition, never the value."""


def normalise(text: str) -> str:
    """Bring a text into the form in which texts are compared.

    NFKC (full width to half width), invisible characters gone, one middle dot for all its look-alikes (names of many
    nationalities carry one), one zero in Chinese numbers, runs of blanks made one, no blanks at either end. Idempotent.
    Simplified and traditional characters stay different: they are different names.
    """
    if _AS_IT_IS.fullmatch(text):
        return text
    visible = unicodedata.normalize("NFKC", text.translate(VISIBLE)).translate(_DOTS)
    return _ZERO.sub(lambda zeroes: "〇" * len(zeroes[0]), " ".join(visible.split()))


def identity(text: str) -> str:
    """Bring an identity number into the form in which numbers are compared: half width, upper case, no blanks."""
    if text.isascii() and text.isalnum():
        return text.upper()
    # Joined and raised letters may compose anew with the marks after them: hence the second time.
    return normalise("".join(normalise(text).split()).translate(_CAPITALS))


def old_number(number: str) -> str:
    """Give the 15-digit number that the bearer of an 18-digit resident number had until 1999; empty for who had none.

    It lacks the century and the check digit (GB 11643). Only people born in the 1900s have one without doubt: the order
    numbers from 996 on were kept for those born before.
    """
    is_plain = re.fullmatch(r"\d{6}19\d{9}[\dX]", number, re.ASCII) is not None and number[14:17] < "996"
    return number[:6] + number[8:17] if is_plain else ""


def same_number(said: str, held: str) -> Outcome:
    """Say whether two numbers are one person's: MATCH, MISMATCH, or AMBIGUOUS where an old one does not tell."""
    one, other = bare(said), bare(held)
    if one == other:
        return MATCH
    if not (_OLD.fullmatch(one) or _OLD.fullmatch(other)):
        return MISMATCH
    one, other = _as_old(one), _as_old(other)
    if not one or not other:
        return AMBIGUOUS
    return MATCH if one == other else MISMATCH


def bare(number: str) -> str:
    """Bring an identity number into the form of `identity`, without hyphens."""
    return _HYPHENS.sub("", identity(number))


def _as_old(number: str) -> str:
    """Give the 15-digit number that somebody bore; empty where that cannot be told from the one they have."""
    if _RESIDENT.fullmatch(number):
        return old_number(number)
    is_plain = _OLD.fullmatch(number) is not None and number[12:15] < "996" and _is_day(f"19{number[6:12]}")
    return number if is_plain else ""


def _is_day(digits: str) -> bool:
    try:
        day(digits)
    except Unreadable:
        return False
    return True


def same_name(name: str, held: object) -> bool:
    """Say whether a held value (not empty) is a person's or organisation's name; see `connectors.names`.

    Raises:
        Unreadable: the held value is no readable text.
    """
    if held == name and _LATIN.fullmatch(name):
        return True  # some names are whole GBK by chance, and what would be misread is not what was said
    found = normal_name(text(held))
    if "?" in found:
        raise Unreadable("a name that lost a character")
    return found == normal_name(name)


def is_empty(held: object) -> bool:
    """Say whether a held value is no value: absent, or a text of blanks only."""
    return held is None or (isinstance(held, str) and not normalise(held))


def says_nothing(held: object) -> bool:
    """Say whether a held value is a text that systems write where they hold nothing, or hide what they hold."""
    if not isinstance(held, str):
        return False
    folded = normalise(held)
    return folded.casefold() in _NOTHING or (_MASK.search(folded) or _BLOT.search(held)) is not None


def compared(expected: Value, held: object, form: Form | None = None, *, zone: tzinfo = CHINA) -> Outcome:
    """Compare a held value (not empty) with the expected one: MATCH, MISMATCH, AMBIGUOUS where it does not tell, or
    NOT_HELD where it is another text that stands for none (`null`, 无) or hides one (张*). `zone` is that of days.

    Raises:
        Unreadable: the held value cannot be read as what is expected.
    """
    if not isinstance(expected, str):
        return NOT_HELD if says_nothing(held) else _sure(agrees(expected, held, zone=zone))
    if form is Form.NAME:
        return _named(expected, held)
    outcome = same_number(expected, text(held)) if form is Form.ID_NUMBER else _sure(agrees(expected, held))
    if outcome is MATCH:
        return MATCH
    if says_nothing(held) or (form is Form.ID_NUMBER and _BLOT_OF_NAMES.search(text(held))):
        return NOT_HELD
    _require_plain(text(held))
    if form is Form.ID_NUMBER and outcome is MISMATCH:
        _require_number(bare(text(held)), bare(expected))
    return outcome


def _named(name: str, held: object) -> Outcome:
    """Compare names. One with a mask is nobody's, even of somebody who claims to be called so."""
    is_same = same_name(name, held)
    written = name if held == name else text(held)
    found = normal_name(written)
    if not is_same:
        _require_plain(found)
    if has_marks(found) or _HIDDEN_NAME.search(found):
        return NOT_HELD
    if is_same:
        return MATCH
    dotted = _DOT_OF_NAMES.sub("·", "".join(written.split()))
    is_hidden = says_nothing(dotted) or _BLOT_OF_NAMES.search(dotted) or "〇" in found
    return NOT_HELD if is_hidden else MISMATCH


def _sure(is_so: bool) -> Outcome:
    return MATCH if is_so else MISMATCH


def _require_plain(written: str) -> None:
    """Require that another text is one in characters.

    Raises:
        Unreadable: one of them stands there in a code.
    """
    if _CODED.search(written):
        raise Unreadable("a text with a character in a code of its writer's own")


def _require_number(held: str, said: str) -> None:
    """Require that another number, bare as the one said, is whole.

    Raises:
        Unreadable: it was rounded, cut or misread, or bears something beside it.
    """
    if held in said or not is_number(held, old=True, others=True):
        raise Unreadable("a number that was damaged")


def agrees(expected: Value, held: object, *, zone: tzinfo = CHINA) -> bool:
    """Say whether a held value (not empty) equals the expected one, compared by the type of the expected one.

    Raises:
        Unreadable: the held value cannot be read as that type.
    """
    if isinstance(expected, bool):
        return _truth(held) is expected
    if isinstance(expected, int):
        return _whole(held) == expected
    if isinstance(expected, date):
        return day(held, zone=zone) == (expected.date() if isinstance(expected, datetime) else expected)
    if _NUMBER.fullmatch(expected):
        return identity(text(held)) == identity(expected)
    said, there = normalise(expected), normalise(text(held))
    if said != there:
        _require_undamaged(said, there)
    return said == there


def _require_undamaged(said: str, there: str) -> None:
    """Require that a held value that differs from what was said is not the very same, damaged on its way.

    Raises:
        Unreadable: it may be.
    """
    if said.isdecimal() and there.isdecimal() and said.lstrip("0") == there.lstrip("0"):
        raise Unreadable("a number that differs in the zeros at its beginning, which may be lost")
    if said.isdecimal() and _SCIENTIFIC.fullmatch(there):
        raise Unreadable("a number in the notation of a spreadsheet")
    if "?" in there and _may_have_lost(said, there):
        raise Unreadable("a text in which characters were lost")
    if there[:1] in _OPENS and said[:1] not in _OPENS and _is_json(there):
        raise Unreadable("a text that is JSON")


def _may_have_lost(said: str, there: str) -> bool:
    """Say whether a text may be what was said with each run of question marks in the place of characters beyond ASCII.

    What is between the runs must come in its order, and there must be a character to lose for each run.
    """
    parts = _LOST_RUN.split(there)
    lost = len(parts) - 1
    if _beyond_ascii(said) - _beyond_ascii(there) < lost or not said.startswith(parts[0]):
        return False
    at, end = len(parts[0]), len(said) - len(parts[-1])
    for part in parts[1:-1]:
        at = said.find(part, at + 1, end)
        if at < 0:
            return False
        at += len(part)
    return at < end and said.endswith(parts[-1])


def _beyond_ascii(written: str) -> int:
    return len(written) - len(written.encode("ascii", "ignore"))


def _is_json(there: str) -> bool:
    try:
        return not isinstance(json.loads(there), int | float)
    except (ValueError, RecursionError):
        return False


def text(held: object) -> str:
    """Read a held value as text; whole numbers are texts too, since codes are often stored as numbers.

    Raises:
        Unreadable: other bytes, floats, structures, and texts that show the marks of a wrong character set.
    """
    held = _plain(held)
    if isinstance(held, int) and not isinstance(held, bool):
        return str(held)
    if not isinstance(held, str):
        raise Unreadable(f"a text is expected, not {type(held).__name__}")
    if _is_damaged(held):
        raise Unreadable("a text bears the marks of a wrong character set")
    return held


def _is_damaged(held: str) -> bool:
    if held.isascii():
        return _LOST.fullmatch(held) is not None or not held.replace("\n", "").replace("\t", "").isprintable()
    if _CONTROL.search(held):
        return True
    if _BEYOND_LATIN1.search(held):
        return _SURROGATE.search(held) is not None or is_misread(held) or is_misread_gbk(held)
    return is_utf8(held.encode("latin-1")) or is_misread_gbk(held)


def _plain(held: object) -> object:
    """Give the whole number of what databases hand out for one: a NUMERIC without a fraction, a BIT of one."""
    if (
        isinstance(held, Decimal)
        and held.is_finite()
        and abs(held.adjusted()) < 40
        and held == held.to_integral_value()
    ):
        return int(held)
    return held[0] if isinstance(held, bytes) and held in (b"\x00", b"\x01") else held


def _whole(held: object) -> int:
    held = _plain(held)
    if isinstance(held, int) and not isinstance(held, bool):
        return held
    if isinstance(held, str) and re.fullmatch(r"[+-]?\d{1,18}", normalise(held), re.ASCII):
        return int(normalise(held))
    raise Unreadable(f"a whole number is expected, not {type(held).__name__}")


def _truth(held: object) -> bool:
    held = _plain(held)
    if isinstance(held, bool):
        return held
    if isinstance(held, int) and held in (0, 1):
        return held == 1
    raise Unreadable(f"true or false is expected, not {type(held).__name__}")


def day(held: object, *, zone: tzinfo = CHINA) -> date:
    """Read a held value as a day: a date, a timestamp, `2020-01-31`, `20200131` (a number too), `2020/1/31` or
    `2020年1月31日`: year, month and day in this order only.

    A timestamp with a zone is an instant, and its day that of `zone`: systems write the beginning of a day in China as
    16 o'clock of the day before, in UTC. One without is its own day.

    Raises:
        Unreadable: it is none of these, or no day of the calendar.
    """
    if isinstance(held, datetime):
        return _day_in(zone, held)
    if isinstance(held, date):
        return held
    held = _plain(held)
    written = normalise(str(held)) if isinstance(held, str | int) and not isinstance(held, bool) else ""
    found = _DAY.fullmatch(written)
    if found is None:
        raise Unreadable(f"a date is expected, not {type(held).__name__}")
    year, month, of_month = (int(part) for part in found.groups()[:7] if part is not None)
    time, offset = found[8], found[9]
    try:
        on = date(year, month, of_month)
        return on if offset is None else _day_in(zone, _instant(on, time, offset))
    except ValueError:
        raise Unreadable("a date that is not in the calendar") from None


def _instant(on: date, time: str, offset: str) -> datetime:
    """Read an instant; 24 o'clock is the last of its day.

    Raises:
        ValueError: there is no such time or offset.
    """
    if _END_OF_DAY.fullmatch(time):
        time = "23:59:59.999999"
    elif _SHORT_HOUR.match(time):
        time = f"0{time}"
    return datetime.fromisoformat(f"{on}T{time}{'Z' if offset.isalpha() else offset}")


def _day_in(zone: tzinfo, moment: datetime) -> date:
    try:
        return moment.date() if moment.tzinfo is None else moment.astimezone(zone).date()
    except OverflowError:
        raise Unreadable("a date that is not in the calendar") from None
