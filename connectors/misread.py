"""Recognise a text that was read in another character set than it was written in: pure, and on the side of the text.

UTF-8 read as GBK is Chinese too (王芳 becomes 鐜嬭姵), and so another name to whoever compares. It is told by this:
its GBK bytes are UTF-8 of Chinese, and of more usual Chinese than it is itself. Both hold of hardly any name that
people have; that they hold of no usual one is tested.

GBK read as Latin-1 or Windows-1252 (王玥 becomes Íõ«h) is Latin letters and signs; but European names have accents,
and some are whole GBK by chance (Þóra). What tells Chinese is a character of two bytes beyond ASCII, where next to no
letters are left over, or where a sign is in it that no name has.
"""

from __future__ import annotations

import codecs
import re

_LOST = re.compile("锟斤|斤拷|\ufffd")
"""U+FFFD in UTF-8, read as GBK: what was lost before that is lost for ever."""
_CHINESE_ONLY = re.compile("[\u4e00-\u9fff]+")
"""Most texts; of which hardly any has bytes that could be UTF-8."""
_BEYOND_LATIN1 = re.compile("[^\x00-\xff]")
_RUN = re.compile("[^\x00-\x7f]+")
_PAIRS = re.compile(b"[\x80-\xff]*")
_CONTINUING = bytes(range(0x80, 0xC0))
"""The bytes of UTF-8 that begin no character."""
_CHINESE = re.compile("[\u3400-\u9fff\U00020000-\U0003ffff]")
_CODED = re.compile("[\u3400-\u9fff\U00020000-\U0003ffff\ue000-\uf8ff]")
"""Chinese, or where somebody keeps characters of their own."""
_DOT_OR_APOSTROPHE = "·´"
_RULED = re.compile("[-–—×•…· ]*")
"""Signs that are drawn where nothing is to be read; each two of them are whole GBK."""
_EURO = "€"
"""What many read the byte 80 as, which leads no pair in GBK."""


def is_misread(text: str) -> bool:
    """Say whether a text shows that it was written in UTF-8 and read as GBK or Windows-1252."""
    if _CHINESE_ONLY.fullmatch(text) and not is_utf8(text.encode("gb18030")):
        return "锟斤" in text or "斤拷" in text
    if _LOST.search(text):
        return True
    try:
        return _CHINESE.search(text.encode("cp1252").decode("utf-8")) is not None
    except UnicodeError:
        pass
    runs = list(_RUN.finditer(text))
    try:
        meant = "".join(_written(run[0], text[: run.start()][-1:] == "?", text[run.end() :][:1] == "?") for run in runs)
    except UnicodeError:
        return False
    held = "".join(run[0] for run in runs)
    if _CHINESE.search(meant) is None:
        return False
    return _usual(meant) > _usual(held) or all(_rank(character, "big5", 0xA4, 0xC6) == 2 for character in meant)


def is_misread_gbk(text: str) -> bool:
    """Say whether a text shows that it was written in GBK or GB 18030 and read as Latin-1 or Windows-1252."""
    if _RULED.fullmatch(text):
        return False
    try:
        octets = text.encode("cp1252" if _BEYOND_LATIN1.search(text) else "latin-1")
        meant = octets.decode("gb18030")
    except UnicodeError:
        return False
    rest, telling, chinese, letters = text, [], 0, 0
    for character in meant:
        length = len(character.encode("gb18030"))
        read, rest = rest[:length], rest[length:]
        chinese += _CODED.match(character) is not None
        letters += character.isascii() and character.isalpha()
        if length > 1 and (not read[-1].isascii() or _has_sign(read)):
            telling.append((character, read))
    if not letters or any(_has_sign(read) for _, read in telling):
        return bool(telling)
    return chinese >= letters and any(_rank(character, "gb2312", 0xB0, 0xD7) == 2 for character, _ in telling)


def _has_sign(read: str) -> bool:
    return not all(one.isascii() or one.isalpha() or one in _DOT_OR_APOSTROPHE for one in read)


def is_utf8(octets: bytes) -> bool:
    """Say whether bytes are a whole text in UTF-8."""
    try:
        octets.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _written(run: str, is_after_loss: bool, is_before_loss: bool) -> str:
    """Read a run's GBK bytes as UTF-8. A question mark beside it may stand for a byte that made no pair: then a
    character there may lack bytes.

    Raises:
        UnicodeError: they are no UTF-8.
    """
    octets = b"\x80".join(part.encode("gb18030") for part in run.split(_EURO))
    if not _PAIRS.fullmatch(octets):
        raise UnicodeError("a byte of ASCII in a pair")
    if is_after_loss:
        octets = octets.lstrip(_CONTINUING)
    read, _ = codecs.utf_8_decode(octets, "strict", not is_before_loss)
    return read


def _usual(text: str) -> float:
    """Say how usual the characters of a text are, from 0 to 2."""
    return sum(_rank(character, "gb2312", 0xB0, 0xD7) for character in text) / len(text)


def _rank(character: str, charset: str, first: int, last: int) -> int:
    """Say where a charset that sorts characters by use has one: not at all, on its second level, or on its first."""
    octets = character.encode(charset, "ignore")
    return 0 if not octets else 2 if first <= octets[0] <= last else 1
