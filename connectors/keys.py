"""Tell a number that a row is found by from what stands in its place: pure.

Whoever's number a spreadsheet rounded, or a department hid, is in the file and is not found: that would be an absence.
"""

from __future__ import annotations

import re

_PERSON = re.compile(r"(?!(.)\1*\Z)[1-9]\d{16}[\dX]", re.ASCII)
"""Of a resident or a permit, and organisations whose code has no letters; one character throughout fills a blank."""
_OLD = re.compile(r"(?!(.)\1*\Z)[1-9]\d{14}", re.ASCII)
_ORGANISATION = re.compile(r"(?!(.)\1*\Z)[1-9A-HJ-NPQRTUWXY][0-9A-HJ-NPQRTUWXY][0-9]{6}[0-9A-HJ-NPQRTUWXY]{10}")
_HIDDEN = re.compile("[0-9]*X{3,}[0-9]*")
_BORN = re.compile(r"\d{6}(?:18|19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{4}", re.ASCII)
"""A resident's: one with a day of birth where residents have theirs."""
_OTHER = re.compile(r"(?=.*[1-9])(?:[\dA-Z()/]+|[\u4e00-\u9fff]{1,6}字第\d+号)", re.ASCII)
"""Chinese characters are in no number but one of this form (军字第2001988号): elsewhere they label it."""
_SPOILT = re.compile(r"\d{14}|\d{16,17}X?|\d{18,}|\d{17}X", re.ASCII)
_LOOKS_LIKE = str.maketrans("OIL", "011")


def is_number(key: str, *, old: bool = False, others: bool = False) -> bool:
    """Say whether a text, as `connectors.compare.bare` gives it, can be a person's or an organisation's number.

    `old`: of 15 digits too. `others`: those of other documents too (passports), whose form nobody knows; one that is
    nearly a person's is then still none.
    """
    if _PERSON.fullmatch(key):
        return not _is_rounded(key)
    if _HIDDEN.fullmatch(key):
        return False
    if _ORGANISATION.fullmatch(key) or (old and _OLD.fullmatch(key)):
        return True
    return others and _OTHER.fullmatch(key) is not None and not _is_damaged(key)


def _is_rounded(number: str) -> bool:
    """Say whether a spreadsheet made the last three of 18 digits zeroes, as it can keep 15.

    Some people bear a number whose check character is wrong, but hardly any of them one that ends so.
    """
    if not number.endswith("000") or _is_checked(number):
        return False
    return _BORN.fullmatch(number) is not None or not _is_checked_organisation(number)


def _is_checked(digits: str) -> bool:
    """Say whether the last of 18 digits is their check character as GB 11643 has it."""
    return sum(int(digit) << (17 - place) for place, digit in enumerate(digits)) % 11 == 1


def _is_checked_organisation(digits: str) -> bool:
    """Say whether the last of 18 digits is their check character as GB 32100 has it."""
    return (sum(int(digit) * pow(3, place, 31) for place, digit in enumerate(digits[:17])) + int(digits[17])) % 31 == 0


def _is_damaged(key: str) -> bool:
    return "XXX" in key or _SPOILT.fullmatch(key.translate(_LOOKS_LIKE)) is not None
