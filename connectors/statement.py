"""Read a SELECT just far enough to see whether it can leave out rows of some keys because other keys are asked about.

Pure: strings, comments and quoted names are passed over as the dialect writes them; nothing is parsed beyond that.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_MYSQL = ("mysql", "mariadb")
_TOKENS = r"""
    (?P<nothing> \s+ | {line} | /\*(?!M?!).*?\*/ )
  | (?P<quoted> {string} | `(?:[^`]|``)*` | \[[^\]\['"()]*\] | \$(?P<tag>\w*)\$.*?\$(?P=tag)\$ )
  | (?P<keys> (?<!:) :keys\b )
  | (?P<word> [^\W\d][\w$\#]* )
  | (?P<number> \d+ )
  | (?P<sign> . )
"""
_OTHERS = re.compile(
    _TOKENS.format(line=r"--[^\n]*", string=r"""[eE]'(?:[^'\\]|''|\\.)*' | '(?:[^']|'')*' | "(?:[^"]|"")*" """),
    re.VERBOSE | re.DOTALL,
)
_OF_MYSQL = re.compile(
    _TOKENS.format(line=r"--(?=\s|$)[^\n]* | \#[^\n]*", string=r"""'(?:[^'\\]|''|\\.)*' | "(?:[^"\\]|""|\\.)*" """),
    re.VERBOSE | re.DOTALL,
)
_COMPARES = ("<", ">", "=", "!", "between", "in")


@dataclass(slots=True)
class _Brackets:
    """What was read within one pair of brackets, or outside all."""

    for_each_row: bool
    """Whether they are evaluated for each row of what stands before them."""
    asks: bool = False
    limit: str = ""


def cutting_clause(statement: str, dialect: str) -> str:
    """Name the clause that cuts off, of the rows of all keys asked about together, some: empty where there is none.

    A clause within brackets that do not ask by `:keys` counts for nothing, nor does one of a LATERAL (or APPLY): they
    are about one row. LIMIT, OFFSET, FETCH, TOP and DISTINCT ON are looked for, and the ROWNUM of other dialects.
    """
    tokens = _tokens(statement, dialect)
    open_ones = [_Brackets(for_each_row=False)]
    for at, (kind, written) in enumerate(tokens):
        if written == "(" and kind == "sign":
            open_ones.append(_Brackets(for_each_row=at > 0 and tokens[at - 1][1] in ("lateral", "apply")))
        elif written == ")" and kind == "sign" and len(open_ones) > 1:
            within = open_ones.pop()
            open_ones[-1].asks |= within.asks
            if within.limit and within.asks and not within.for_each_row:
                return within.limit
        elif kind == "keys":
            open_ones[-1].asks = True
        elif kind == "word":
            open_ones[-1].limit = open_ones[-1].limit or _clause(tokens, at, dialect)
    return open_ones[0].limit


def _tokens(statement: str, dialect: str) -> Sequence[tuple[str, str]]:
    """Split into kinds and texts, words in small letters, quoted ones without their text."""
    pattern = _OF_MYSQL if dialect in _MYSQL else _OTHERS
    found = ((one.lastgroup or "", one[0]) for one in pattern.finditer(statement))
    return [(kind, "" if kind == "quoted" else written.lower()) for kind, written in found if kind != "nothing"]


def _clause(tokens: Sequence[tuple[str, str]], at: int, dialect: str) -> str:
    """Name the clause that begins with a word, if one does: a column may have any of these names."""
    word = tokens[at][1]
    _, before = tokens[at - 1] if at else ("", "")
    kind, after = tokens[at + 1] if at + 1 < len(tokens) else ("", "")
    if before in (".", "as"):
        return ""
    is_counted = kind == "number" or after == "("
    if word == "limit" and is_counted:
        return "LIMIT"
    if word == "offset" and is_counted and after.strip("0"):
        return "OFFSET"
    if word == "fetch" and after in ("first", "next"):
        return "FETCH"
    if word == "top" and is_counted and before in ("select", "distinct", "all"):
        return "TOP"
    if word == "on" and before == "distinct":
        return "DISTINCT ON"
    is_own = dialect in ("sqlite", "postgresql", *_MYSQL)  # there it is a name like any other
    if word == "rownum" and not is_own and (before in _COMPARES or after in _COMPARES):
        return "ROWNUM"
    return ""
