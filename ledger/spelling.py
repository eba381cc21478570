"""One spelling for all the ways in which a person's staff number, account or name can be typed.

Two people must do what one alone may not; a second spelling of one person is not a second person. What is folded is
what an input method or a paste changes without a reader seeing it: width, capitals, blanks, invisible characters, and
which of the many dashes it is. For telling people apart only: the result is nothing to show or to keep.
"""

from __future__ import annotations

import re
import unicodedata

_INVISIBLE = re.compile(
    "[\\s\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2065\u2800\u3164\ufe00-\ufe0f\uffa0\ufff0-\ufff8"
    "\U00016fe4\U0001d159\U000e0000-\U000e0fff]"
)
"""Blanks, choices of glyph, and what is drawn as nothing, beside what Unicode calls format or control."""
_UNSEEN = frozenset(("Cf", "Cc", "Zs", "Zl", "Zp"))
_DASH_LIKE = "\u02d7\u2043\u207b\u2212\u2500\u2796\u30fc"
"""What looks like a dash, and Unicode counts among letters or symbols: minus signs, bullets, rules."""
_DASHES = re.compile("-+")


def one_spelling(text: str) -> str:
    """Return a text as it is compared with others: equal for all spellings of one; idempotent.

    NFKC, letters without case, no blanks and nothing invisible, one hyphen for any dashes. Empty where nothing is left.
    """
    seen = "".join(_seen(character) for character in _INVISIBLE.sub("", _folded(text)))
    return _DASHES.sub("-", _folded(seen))  # what an invisible character kept apart may compose


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def _seen(character: str) -> str:
    category = unicodedata.category(character)
    if category in _UNSEEN:
        return ""
    return "-" if category == "Pd" or character in _DASH_LIKE else character
