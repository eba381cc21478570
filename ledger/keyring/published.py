"""The key history as a file for everybody: canonical text that proves itself to whoever trusts the first key.

chengxin key history v1
example.gov.cn/ledger
                                                          an empty line
0-4711 example.gov.cn/ledger+1a2b3c4d+AX…                 a key a line: first size, last size, verifier key
4203- example.gov.cn/ledger+5e6f7a8b+AY…                  no last size: in force
                                                          an empty line
added 1 <base64 of the receipt>                           an event a line: what, which key (from 0), its proof
retired 0 <base64 of the receipt>
"""

from __future__ import annotations

import base64
import re

from ledger.errors import KeyHistoryError, NoteError
from ledger.keyring.history import KeyHistory, KeyRange
from ledger.log.note import decode_base64

_HEADER = "chengxin key history v1"
LONGEST = 64 << 20
"""Bytes of a history; more than any can have."""
_KEY = re.compile(r"(0|[1-9][0-9]{0,18})-(0|[1-9][0-9]{0,18}|) (\S+)", re.ASCII)
_EVENT = re.compile(r"(added|retired) (0|[1-9][0-9]{0,5}) (\S+)", re.ASCII)


def format_key_history(history: KeyHistory) -> str:
    """Write a history as its one canonical text."""
    keys = "".join(f"{_range(key)} {key.vkey}\n" for key in history.keys)
    events = "".join(f"{e.act} {e.number} {base64.b64encode(e.receipt).decode()}\n" for e in history.events)
    return f"{_HEADER}\n{history.origin}\n\n{keys}\n{events}"


def _range(key: KeyRange) -> str:
    return f"{key.first}-{'' if key.last is None else key.last}"


def verify_key_history(text: str, first_vkey: str, origin: str) -> KeyHistory:
    """Verify a published history from the first key of the log onwards, offline.

    What a history cannot tell is whether it is the newest: an old one lacks what came later. Take it from where the
    log is published, together with the checkpoint that is to be verified.

    Raises:
        KeyHistoryError: it is malformed, of another log, does not begin with the key, or a step is not proved.
    """
    keys, events = _split(text, origin)
    history = KeyHistory.beginning(first_vkey, origin)
    if keys[0][2] != history.keys[0].vkey:
        raise KeyHistoryError("the history begins with another key than the one given")
    for act, number, encoded in events:
        history = _apply(history, act, int(number), _receipt(encoded), keys)
    if format_key_history(history) != text:
        raise KeyHistoryError("the ranges are not what the receipts prove, or the text is not in canonical form")
    return history


def first_key(text: str, origin: str) -> str:
    """Read, unverified, the key a history begins with; raises `KeyHistoryError` if it is malformed."""
    return _split(text, origin)[0][0][2]


def _split(text: str, origin: str) -> tuple[list[tuple[str, str, str]], list[tuple[str, str, str]]]:
    if len(text) > LONGEST:
        raise KeyHistoryError("the key history is too long")
    head, _, rest = text.partition("\n\n")
    keys, gap, events = rest.partition("\n\n")
    lines = head.split("\n")
    if len(lines) != 2 or lines[0] != _HEADER or not gap:
        raise KeyHistoryError("not a key history of version 1")
    if lines[1] != origin:
        raise KeyHistoryError(f"the history is of the log {lines[1]!r}, not of {origin!r}")
    return _lines(_KEY, keys.split("\n"), "key"), _lines(_EVENT, events.split("\n")[:-1], "event")


def _lines(form: re.Pattern[str], lines: list[str], what: str) -> list[tuple[str, str, str]]:
    found = []
    for number, line in enumerate(lines):
        match = form.fullmatch(line)
        if match is None:
            raise KeyHistoryError(f"{what} line {number} is malformed")
        found.append((match[1], match[2], match[3]))
    return found


def _apply(history: KeyHistory, act: str, number: int, receipt: bytes, keys: list[tuple[str, str, str]]) -> KeyHistory:
    if act == "retired":
        return history.retiring(number, receipt)
    if number != len(history.keys) or number >= len(keys):
        raise KeyHistoryError(f"key event {len(history.events)} adds a key out of turn")
    return history.adding(keys[number][2], receipt)


def _receipt(encoded: str) -> bytes:
    try:
        return decode_base64(encoded)
    except NoteError as failure:
        raise KeyHistoryError(f"a receipt is {failure}") from None
