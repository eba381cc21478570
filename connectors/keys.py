"""Tell a number that a row is found by from what stands in its place: pure.

Whoever's number a spreadsheet rounded, or a department hid, is in the file and is not found: that would be an absence.
"""

from __future__ import annotations

import re

from connectors.compare import Unreadable, says_nothing, text

_PERSON = re.compile(r"(?!(.)\1*\Z)[1-9]\d{16}[\dX]", re.ASCII)
"""Of a resident or a permit, and organisations whose code has no letters; one character throughout fills a blank."""
_OLD = re.compile(r"(?!(.)\1*\Z)[1-9]\d{14}", re.ASCII)
_ORGANISATION = re.compile(r"(?!(.)\1*\Z)[1-9A-HJ-NPQRTUWXY][0-9A-HJ-NPQRTUWXY][0-9]{6}[0-9A-HJ-NPQRTUWXY]{10}")
_HIDDEN = re.compile("[0-9]*X{3,}[0-9]*")
_OTHER = re.compile(r"(?=.*\d)[\w()/]+")
_SPOILT = re.compile(r"\d{14}|\d{16,17}X?|\d{18,}|\d{17}X", re.ASCII)
_LOOKS_LIKE = str.maketrans("OIL", "011")


def is_number(key: str, *, old: bool = False, others: bool = False) -> bool:
    """Say whether a text, as `connectors.compare.bare` gives it, can be a person's or an organisation's number.

    `old`: of 15 digits too. `others`: those of other documents too (passports), whose form nobody knows; one that is
    nearly a person's is then still none.
    """
    if _PERSON.fullmatch(key):
        return True
    if _HIDDEN.fullmatch(key):
        return False
    if _ORGANISATION.fullmatch(key) or (old and _OLD.fullmatch(key)):
        return True
    return others and _OTHER.fullmatch(key) is not None and not _is_damaged(key)


def _is_damaged(key: str) -> bool:
    try:
        return says_nothing(text(key)) or _SPOILT.fullmatch(key.translate(_LOOKS_LIKE)) is not None
    except Unreadable:
        return True
