"""Which case numbers are one case's: a number in another spelling is the same number."""

from __future__ import annotations

import re
import unicodedata

from connectors.compare import identity, normalise
from connectors.names import Signs

_OPENING = frozenset("[{<〔【〖〘〚「『《〈⟨⟦❲❨")
_CLOSING = frozenset("]}>〕】〗〙〛」』》〉⟩⟧❳❩")
_DASHES = frozenset("˗⁃−─━➖ー")
"""What is typed for a dash and is none to Unicode: signs for minus, rules of tables, the long vowel of kana."""
_RUN = re.compile("-{2,}")
_BETWEEN_DIGITS = re.compile(r"(?<=\d) (?=\d)")


def case_of(unit: str, number: str) -> str:
    """Give what tells a case from every other: the unit that handles it, and its number in one spelling.

    A case written in another way that counted as another would have a second commitment, and forget what was found.
    """
    return f"{unit}/{_in_one_spelling(number)}"


def _in_one_spelling(written: str) -> str:
    """Write a number as if there were one way to type it.

    Width, case, blanks, invisible characters, the kind of dash and the kind of brackets are habits of typing. But a
    blank between two digits parts two numbers: "2026 1 12" is not "2026 11 2".
    """
    numbers = _BETWEEN_DIGITS.split(normalise(written))
    return _RUN.sub("-", " ".join(map(identity, numbers)).translate(_ONE_SIGN))


def one_sign(character: str) -> str:
    """Give the sign that brackets and dashes of its kind are written as; every other is its own."""
    if character in _OPENING:
        return "("
    if character in _CLOSING:
        return ")"
    return "-" if character in _DASHES or unicodedata.category(character) == "Pd" else character


_ONE_SIGN = Signs(one_sign)
