"""Numbers and names of persons and organisations: normalise, check, and never echo.

Resident ids follow GB 11643-1999, unified social credit codes GB 32100-2015. Real data hold full-width digits, a
lower-case x, 15-digit numbers, unknown area codes and middle dots of many kinds; what can be normalised is, what
cannot be true is refused with the rule it breaks.
"""

from __future__ import annotations

import enum
import re
import unicodedata
from datetime import date
from operator import mul
from typing import ClassVar

from connectors.names import VISIBLE, has_marks, normal_name
from connectors.veiled import Veiled

NAME_LIMIT = 100
"""Characters a name may have; the longest registered ethnic-minority and foreign names are far shorter."""

_ID_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_ID_OF_ZEROES = ord("0") * sum(_ID_WEIGHTS)
"""What the codes of the digits add to a weighted sum of them."""
_ID_CHECKS = "10X98765432"
_USCC_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_USCC_WEIGHTS = (1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28)
_PERMIT_PREFIXES = ("81", "82", "83")
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""All of the categories Cc, Cs, Zl and Zp."""
_OLDEST_BIRTH_YEAR = 1880


class Rule(enum.Enum):
    """The rule that an identifier or a name breaks; the value is the Chinese for the clerk."""

    LENGTH = "长度不符"
    CHARACTERS = "含有不允许的字符"
    BIRTH_DATE = "出生日期不存在或不合理"
    CHECK_DIGIT = "校验码不符"
    KIND = "号码与证件类型不符"
    EMPTY = "不能为空"
    TOO_LONG = "过长"
    CONTROL_CHARACTERS = "含有控制字符"


class IdentifierRefused(ValueError):
    """An identifier or a name breaks `rule`; the value itself is never in the message."""

    def __init__(self, what: str, rule: Rule) -> None:
        super().__init__(f"{what}: {rule.name}")
        self.what = what
        self.rule = rule
        self.chinese = f"{_CHINESE[what]}{rule.value}。"


_CHINESE = {"resident-id": "身份证号码", "permit": "居住证件号码", "uscc": "统一社会信用代码", "name": "姓名"}


class Identifier(Veiled, frozen=True, kw_only=True):
    """A normalised number; `id_type` is `resident-id`, `permit` or `uscc` as in `connectors.connector.Subject`.

    `upgraded` says that it came as an old 15-digit number and the century and check digit were supplied.
    """

    id_type: str
    number: str
    upgraded: bool = False

    shown: ClassVar = ("id_type", "upgraded")


def parse_identifier(id_type: str, text: str, *, today: date) -> Identifier:
    """Normalise and check a number of a given type; at most one type takes a number.

    One in some thirty numbers of persons is well-formed as a credit code too: it would be asked about as an
    organisation's, which has no age, and whose findings and wrong guesses are others.

    Raises:
        IdentifierRefused: the number breaks a rule of its type.
        ValueError: `id_type` is none of `resident-id`, `permit`, `uscc`.
    """
    match id_type:
        case "resident-id":
            return parse_resident_id(text, today=today)
        case "permit":
            return parse_permit(text, today=today)
        case "uscc":
            found = parse_uscc(text)
            if _is_a_persons(found.number, today=today):
                raise IdentifierRefused("uscc", Rule.KIND)
            return found
    raise ValueError("unknown kind of number")


def parse_resident_id(text: str, *, today: date) -> Identifier:
    """Return a citizen identity number (GB 11643), 18 characters; a 15-digit one is upgraded and flagged.

    Area codes are not looked up: divisions are abolished and created while numbers stay. Numbers that begin with
    81, 82, 83 or 9 are permits and are refused here.

    Raises:
        IdentifierRefused: length, characters, birth date, check digit, or it is a permit.
    """
    number = _compact(text)
    upgraded = len(number) == 15
    if upgraded:
        number = _upgrade(number)
    _check_eighteen("resident-id", number, today=today)
    if number.startswith(_PERMIT_PREFIXES) or number[0] == "9":
        raise IdentifierRefused("resident-id", Rule.KIND)
    return Identifier(id_type="resident-id", number=number, upgraded=upgraded)


def parse_permit(text: str, *, today: date) -> Identifier:
    """Return a residence permit number: 81/82/83 for Hong Kong, Macao and Taiwan residents, 9 for foreigners (2023).

    Raises:
        IdentifierRefused: length, characters, birth date, check digit, or it is not a permit.
    """
    number = _compact(text)
    _check_eighteen("permit", number, today=today)
    if not number.startswith(_PERMIT_PREFIXES) and number[0] != "9":
        raise IdentifierRefused("permit", Rule.KIND)
    return Identifier(id_type="permit", number=number)


def parse_uscc(text: str) -> Identifier:
    """Return a unified social credit code (GB 32100); letters in front (N…, A…, Y…) are accepted.

    Whether the number is well-formed as a person's too is not looked at: units that act are organisations in any case.

    Raises:
        IdentifierRefused: length, characters or check digit.
    """
    number = _compact(text)
    if len(number) != 18:
        raise IdentifierRefused("uscc", Rule.LENGTH)
    if any(c not in _USCC_ALPHABET for c in number) or not number[2:8].isdigit():
        raise IdentifierRefused("uscc", Rule.CHARACTERS)
    if number[17] != uscc_check_character(number[:17]):
        raise IdentifierRefused("uscc", Rule.CHECK_DIGIT)
    return Identifier(id_type="uscc", number=number)


def resident_id_check_character(first_seventeen: str) -> str:
    """Return the check character for 17 digits (GB 11643: ISO 7064 MOD 11-2)."""
    total = sum(map(mul, first_seventeen.encode("ascii"), _ID_WEIGHTS)) - _ID_OF_ZEROES
    return _ID_CHECKS[total % 11]


def uscc_check_character(first_seventeen: str) -> str:
    """Return the check character for 17 characters of a credit code (GB 32100: MOD 31-3)."""
    total = sum(_USCC_ALPHABET.index(c) * w for c, w in zip(first_seventeen, _USCC_WEIGHTS, strict=True))
    return _USCC_ALPHABET[-total % 31]


def has_controls(text: str) -> bool:
    """Tell whether a text has control characters, line separators or halves of characters."""
    return _CONTROLS.search(text) is not None


def parse_name(text: str) -> str:
    """Return a name as it is compared (`connectors.names`): as sources' names are, so that both are the same.

    Raises:
        IdentifierRefused: empty, longer than `NAME_LIMIT` characters, with control characters, or with marks in the
            place of characters (`王*`): a register that masks its names would agree with it.
    """
    if len(text) > NAME_LIMIT * 4:
        raise IdentifierRefused("name", Rule.TOO_LONG)
    if has_controls(text):
        raise IdentifierRefused("name", Rule.CONTROL_CHARACTERS)
    name = normal_name(text)
    if not name:
        raise IdentifierRefused("name", Rule.EMPTY)
    if has_marks(name):
        raise IdentifierRefused("name", Rule.CHARACTERS)
    if len(name) > NAME_LIMIT:
        raise IdentifierRefused("name", Rule.TOO_LONG)
    return name


def _compact(text: str) -> str:
    """Fold full-width forms, drop blanks, invisible characters and the hyphens people type; make letters upper-case."""
    if len(text) > 200:
        return text[:200]
    if text.isascii() and text.isalnum():  # as nearly all numbers are typed: nothing to fold or drop
        return text.upper()
    folded = unicodedata.normalize("NFKC", text.translate(VISIBLE))
    kept = (c for c in folded if not c.isspace() and c != "-")
    return "".join(c.upper() if c.isascii() else c for c in kept)


def _upgrade(fifteen: str) -> str:
    """Supply the century and the check digit.

    The order numbers 996 to 999 were kept for people born in the 1800s, by common account; with them the century is
    not known, and is not guessed.
    """
    if not (fifteen.isascii() and fifteen.isdigit()):
        raise IdentifierRefused("resident-id", Rule.CHARACTERS)
    if fifteen[12:] >= "996":
        raise IdentifierRefused("resident-id", Rule.BIRTH_DATE)
    seventeen = f"{fifteen[:6]}19{fifteen[6:]}"
    return seventeen + resident_id_check_character(seventeen)


def _is_a_persons(number: str, *, today: date) -> bool:
    try:
        _check_eighteen("resident-id", number, today=today)
    except IdentifierRefused:
        return False
    return True


def _check_eighteen(what: str, number: str, *, today: date) -> None:
    if len(number) != 18:
        raise IdentifierRefused(what, Rule.LENGTH)
    if not (number.isascii() and number[:17].isdigit() and (number[17].isdigit() or number[17] == "X")):
        raise IdentifierRefused(what, Rule.CHARACTERS)
    try:
        born = date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
    except ValueError:
        raise IdentifierRefused(what, Rule.BIRTH_DATE) from None
    if born > today or born.year < _OLDEST_BIRTH_YEAR:
        raise IdentifierRefused(what, Rule.BIRTH_DATE)
    if number[17] != resident_id_check_character(number[:17]):
        raise IdentifierRefused(what, Rule.CHECK_DIGIT)
