"""The signs by which a JSON answer says what it is: declared in the stanza, and nothing is a sign undeclared."""

from __future__ import annotations

import json
from codecs import BOM_UTF8
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import jmespath
import orjson
from jmespath.exceptions import JMESPathError

from connectors.compare import Unreadable
from connectors.misread import is_utf8
from connectors.outcome import Cause
from connectors.record import Reader
from connectors.stanza import Stanza

_ABSENT = object()
_PARTIAL = 206


@dataclass(frozen=True, slots=True, kw_only=True)
class Sign:
    """One declared sign: an HTTP status, a value at a place of the answer, or both; both must hold.

    Without a status any 2xx will do but 206, which is part of an answer only. `rule` and `cause` say what a refusing or
    an error sign stands for, `where` the place as the stanza writes it.
    """

    status: int | None = None
    at: Reader | None = None
    equals: object = _ABSENT
    rule: str = ""
    cause: Cause | None = None
    where: str = ""

    def holds(self, status: int, answer: object) -> bool:
        """Say whether an answer bears this sign; 0 and false, 1 and true, "1" and 1 are all different."""
        if not (200 <= status < 300 and status != _PARTIAL if self.status is None else status == self.status):
            return False
        if self.at is None:
            return True
        found = self.at(answer)
        return type(found) is type(self.equals) and found == self.equals

    def missed(self, answer: object) -> str:
        """Say what stands at the place of a sign that does not hold, without its value."""
        found = None if self.at is None else self.at(answer)
        if found is None:
            return f"`{self.where}` finds nothing"
        if type(found) is not type(self.equals):
            return f"`{self.where}` finds {_kind(found)}, where `equals` is {_kind(self.equals)}"
        return f"`{self.where}` finds {'it, under another status' if found == self.equals else 'another value'}"

    @property
    def needs_answer(self) -> bool:
        """Whether the body must be read to see this sign."""
        return self.at is not None


def _kind(value: object) -> str:
    kinds = {str: "a text", bool: "a truth", int: "a whole number", float: "a number", list: "a list"}
    return kinds.get(type(value), "an object")


def read_json(octets: bytes) -> object:
    """Read an answer that is JSON in UTF-8 and says each thing once: of a name that stands in an object twice, readers
    take the first or the last, and only the sender knows which was meant.

    Raises:
        Unreadable: it is not.
    """
    try:
        read: object = orjson.loads(octets)
    except orjson.JSONDecodeError:
        raise Unreadable(_encoded(octets)) from None
    try:
        json.loads(octets, object_pairs_hook=_require_different_names)
    except (ValueError, RecursionError):
        raise Unreadable("an answer that says one thing twice, or nests too deep") from None
    return read


def _encoded(octets: bytes) -> str:
    """Say how an answer is written that is not JSON in UTF-8."""
    if not octets:
        return "an empty answer"
    if octets.startswith(BOM_UTF8):
        return "an answer that begins with a byte order mark (BOM), which JSON does not"
    if is_utf8(octets):
        return "an answer that is not JSON"
    try:
        octets.decode("gb18030")
    except UnicodeDecodeError:
        return "an answer that is not UTF-8"
    return "an answer that is not UTF-8, but may be GBK or GB 18030"


def _require_different_names(pairs: list[tuple[str, object]]) -> None:
    if len({name for name, _ in pairs}) != len(pairs):
        raise ValueError("a name stands twice in one object")


def path(stanza: Stanza, key: str, written: str) -> Reader:
    """Compile a JMESPath expression into a reader, once; note a mistake when it is none."""
    try:
        search: Callable[[object], object] = jmespath.compile(written or "@").search
    except JMESPathError:
        stanza.mistake(key, "is no JMESPath expression")
        return lambda answer: None

    def read(answer: object) -> object:
        try:
            return search(answer)
        except (JMESPathError, TypeError, ValueError, AttributeError):
            raise Unreadable(f"`{key}`: an answer of another shape") from None

    return read


def read_signs(stanza: Stanza, key: str) -> tuple[Sign, ...]:
    """Read a sign, or a list of signs, of which any will do."""
    return tuple(_read_sign(part, key) for part in stanza.listed(key))


def read_answer_signs(stanza: Stanza, *keys: str) -> dict[str, tuple[Sign, ...]]:
    """Read `success`, without which no answer is one, and the signs of other keys."""
    signs = {key: read_signs(stanza, key) for key in ("success", *keys)}
    if not signs["success"]:
        stanza.mistake("success", "is missing: nothing tells an answer from an error")
    return signs


def require_texts(stanza: Stanza, key: str, signs: Iterable[Sign]) -> None:
    """Note a sign that no XML answer bears, for everything that one holds is a text."""
    if any(one.needs_answer and not isinstance(one.equals, str) for one in signs):
        stanza.mistake(key, "`equals` must be a text, as everything is that an XML answer holds")


def _read_sign(part: Stanza, key: str) -> Sign:
    status = part.number("status", 0, least=200, most=599) or None
    where = part.text("at") if "at" in part else ""
    at = path(part, "at", where) if "at" in part else None
    equals = part.anything("equals") if "equals" in part else _ABSENT
    if status is None and at is None:
        part.mistake("at", "give a `status`, or `at` and `equals`")
    if (at is None) != (equals is _ABSENT):
        part.mistake("equals", "belongs to `at`")
    if equals is not _ABSENT and not isinstance(equals, str | int | bool | list):
        part.mistake("equals", "must be a text, a whole number, a truth or a list")
    rule = part.text("rule") if key == "refused" else ""
    cause = Cause(part.choice("cause", [one.value for one in Cause], Cause.OUTAGE.value)) if key == "error" else None
    return Sign(status=status, at=at, equals=equals, rule=rule, cause=cause, where=where)
