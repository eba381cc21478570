"""Judge the records a source holds of a subject against a claim: pure and total.

Every kind of source that returns records (rather than verdict codes) says in its stanza how a record is shaped, and is
judged here, so that "no record", "empty", "two records" and "unreadable" mean the same everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from connectors.compare import Unreadable, bare, compared, is_empty, normalise, says_nothing, text
from connectors.connector import Claim, Declared, Form, Value
from connectors.names import normal_name
from connectors.outcome import (
    AMBIGUOUS,
    MATCH,
    MISMATCH,
    NO_RECORD,
    NOT_HELD,
    OTHER_IDENTITY,
    STALE,
    SUBJECT_INACTIVE,
    Cause,
    Kind,
    Outcome,
    unavailable,
)
from connectors.stanza import Stanza

GARBLED = unavailable(Cause.GARBLED)
AHEAD = timedelta(minutes=10)
"""How far the clock of a source may be ahead of ours. Data of a later date would be fresh for ever."""
IN_FUTURE = "a date of data in the future"
_TOMORROW = timedelta(days=1)
_FIRST_YEAR, _LAST_YEAR = 1900, 2200
Record = Mapping[str, object]
Reader = Callable[[Any], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Where a record says whether its subject is dead, cancelled or merged, and the words for that and for neither."""

    read: Reader
    inactive: frozenset[str]
    active: frozenset[str]

    def of(self, record: Record) -> Outcome:
        """Return MATCH of an active subject, and SUBJECT_INACTIVE of another.

        Raises:
            Unreadable: the word is neither; also where there is none, unless the empty text was declared.
        """
        with _read_for("inactive"):
            held = self.read(record)
            word = "" if is_empty(held) else normalise(text(held))
            if word in self.inactive:
                return SUBJECT_INACTIVE
            if word not in self.active:
                raise Unreadable(
                    "a state that is in neither `values` nor `active`" if word else "a state that is empty"
                )
        return MATCH


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How a record of one fact type is read: each reader takes a record to a raw value.

    `number`, where old 15-digit numbers are held, reads the number a record stands under. `values` are code tables by
    attribute. `state` tells whose subject is dead, cancelled or merged. `latest` reads the value by which the newest of
    several records is picked; `narrow` those by which a record is known for the one that the claim means, if the claim
    gives them. `sent` are the inputs that the source itself was told, and finds the record by.
    """

    attributes: Mapping[str, Reader]
    values: Mapping[str, Mapping[str, Value]] = field(default_factory=dict)
    name: Reader | None = None
    number: Reader | None = None
    state: State | None = None
    as_of: Reader | None = None
    latest: Reader | None = None
    narrow: Mapping[str, Reader] = field(default_factory=dict)
    sent: frozenset[str] = frozenset()
    zone: ZoneInfo
    freshness: timedelta | None = None

    @property
    def finds_by(self) -> frozenset[str]:
        """What a claim may give for a record to be known by."""
        return self.sent | self.narrow.keys()

    def declared(self, *more: str) -> Declared:
        """Say what this shape compares, with further attributes that the source compares itself."""
        words = {name: frozenset(table.values()) for name, table in self.values.items()}
        return Declared(
            attributes=frozenset((*self.attributes, *more)),
            given=self.finds_by,
            words=words,
            uncoded=frozenset(self.attributes.keys() - self.values.keys()),
        )


def judge(
    claim: Claim, records: Sequence[Record], shape: Shape, *, now: datetime, as_of: datetime | None = None
) -> tuple[Outcome, datetime | None]:
    """Give the outcome of a claim on the records held of its subject, and the date of the data.

    `as_of` is the date of the whole holding, where known. With a promised freshness and no date at all the data count
    as STALE: a promise that cannot be checked is not kept. Data of the future are GARBLED. A record of the same number
    and another name is OTHER_IDENTITY. A claim that gives more than the source can find a record by is NOT_HELD: the
    record may be another one.
    """
    try:
        outcome, found = _found(claim, records, shape, now)
        dated = _date(found, shape, as_of)
        if dated is not None and is_ahead(dated, now):
            return garbled(IN_FUTURE), None
        if outcome.kind is not Kind.AMBIGUOUS and is_stale(dated, shape.freshness, now):
            return STALE, dated
        if found is not None:
            outcome = _compared(claim, found, shape)
    except Unreadable as error:
        return garbled(str(error)), as_of
    return outcome, dated


def garbled(why: str) -> Outcome:
    """Say that an answer is outside the agreed format, and where, in words of ours and of the stanza."""
    return unavailable(Cause.GARBLED, why=why)


@contextmanager
def _read_for(key: str) -> Iterator[None]:
    """Name the key of the stanza for which a value was read that cannot be."""
    try:
        yield
    except Unreadable as error:
        raise Unreadable(f"`{key}`: {error}") from None


def is_ahead(dated: datetime, now: datetime) -> bool:
    """Say whether a date of data lies in the future, further than clocks differ."""
    return dated - now > AHEAD


def _found(claim: Claim, records: Sequence[Record], shape: Shape, now: datetime) -> tuple[Outcome, Record | None]:
    meant = [(_is_meant(claim, record, shape), record) for record in records]
    left = [record for outcome, record in meant if outcome is MATCH]
    if not left:
        # A record that disagrees with what was given is another one; of one that leaves it open nobody knows.
        said = [outcome for outcome, _ in meant]
        return (AMBIGUOUS if AMBIGUOUS in said else NOT_HELD if NOT_HELD in said else NO_RECORD), None
    if len(left) == 1:
        return MATCH, left[0]
    if shape.latest is not None and _is_one_name(left, shape):
        newest = _newest(left, shape.latest, shape.zone, now)
        return (AMBIGUOUS, None) if newest is None else (MATCH, newest)
    for attribute in shape.narrow:
        if attribute not in claim.given:
            return Outcome(kind=Kind.NEEDS_ATTRIBUTE, attribute=attribute), None
    return AMBIGUOUS, None


def _is_meant(claim: Claim, record: Record, shape: Shape) -> Outcome:
    """Say whether a record is the one that the claim gives: MATCH, MISMATCH, or what keeps it from being told."""
    if not claim.given:
        return MATCH
    return together(
        _narrowed(claim, name, read(record), shape) for name, read in shape.narrow.items() if name in claim.given
    )


def _narrowed(claim: Claim, name: str, held: object, shape: Shape) -> Outcome:
    if is_empty(held):
        return NOT_HELD
    with _read_for(f"narrow.{name}"):
        return compared(claim.given[name], held, claim.forms.get(name), zone=shape.zone)


def together(said: Iterable[Outcome]) -> Outcome:
    """Sum comparisons up: what cannot be read first, then a contradiction, what is unclear, and what is missing."""
    found = list(said)
    signs = (GARBLED, MISMATCH, AMBIGUOUS, NOT_HELD)
    return next((found[found.index(outcome)] for outcome in signs if outcome in found), MATCH)


def finds_by(known: Collection[str], given: Collection[str]) -> bool:
    """Say whether all that a claim gives is among what a source finds, or tells apart, its records by.

    A person given (`<name>_id_number`, `<name>_name` and `<name>_id_type`) is found by the number.
    """
    return all(name in known or (_number_of(name) in known and _number_of(name) in given) for name in given)


def _number_of(part: str) -> str:
    for suffix in ("_name", "_id_type"):
        if part.endswith(suffix):
            return part.removesuffix(suffix) + "_id_number"
    return ""


def _is_one_name(records: Sequence[Record], shape: Shape) -> bool:
    if shape.name is None:
        return True
    held = [shape.name(record) for record in records]
    return len({"" if is_empty(one) else normal_name(text(one)) for one in held}) == 1


def _newest(records: Sequence[Record], latest: Reader, zone: ZoneInfo, now: datetime) -> Record | None:
    """Pick the newest record: none of two of one date, nor where one of them has a date that systems write for none."""
    with _read_for("pick"):
        dated = sorted(((_timestamp(latest(one), zone), index) for index, one in enumerate(records)), reverse=True)
    if dated[-1][0].year < _FIRST_YEAR or dated[0][0] - now > _TOMORROW:
        return None
    return None if dated[0][0] == dated[1][0] else records[dated[0][1]]


def _date(record: Record | None, shape: Shape, as_of: datetime | None) -> datetime | None:
    if record is None or shape.as_of is None:
        return as_of
    held = shape.as_of(record)
    with _read_for("as_of"):
        return as_of if is_empty(held) else moment(held, shape.zone)


def is_stale(dated: datetime | None, freshness: timedelta | None, now: datetime) -> bool:
    """Say whether data break a promise of freshness, where there is one: they are older, or nothing dates them."""
    return freshness is not None and (dated is None or now - dated > freshness)


def _compared(claim: Claim, record: Record, shape: Shape) -> Outcome:
    named = _name(claim, record, shape)
    if named is not MATCH:
        return named
    if shape.state is not None and (state := shape.state.of(record)) is not MATCH:
        return state
    # Every attribute is read before any is judged: one unreadable value makes the record unfit to contradict anybody.
    found = [_attribute(claim, name, record, shape) for name in claim.expected]
    return NOT_HELD if claim.given and not finds_by(shape.finds_by, claim.given) else together(found)


def _name(claim: Claim, record: Record, shape: Shape) -> Outcome:
    if shape.name is None:
        return MATCH
    held = shape.name(record)
    if is_empty(held):
        return NOT_HELD
    with _read_for("name"):
        outcome = compared(claim.subject.name, held, Form.NAME)
    if outcome is not MISMATCH:
        return outcome
    # Old numbers were given twice at times: another name under one may well be another person's.
    return AMBIGUOUS if _is_under_old_number(record, shape) else OTHER_IDENTITY


def _is_under_old_number(record: Record, shape: Shape) -> bool:
    return shape.number is not None and len(bare(text(shape.number(record)))) == 15


def _attribute(claim: Claim, name: str, record: Record, shape: Shape) -> Outcome:
    read = shape.attributes.get(name)
    held = None if read is None else read(record)
    if is_empty(held):
        return NOT_HELD
    codes = shape.values.get(name)
    if codes is not None:
        code = normalise(text(held))
        if code not in codes and says_nothing(held):
            return NOT_HELD
        if code not in codes:
            raise Unreadable(f"`values.{name}`: a code that is not in the code table")
        held = codes[code]
    with _read_for(name):
        return compared(claim.expected[name], held, claim.forms.get(name), zone=shape.zone)


def moment(held: object, zone: ZoneInfo) -> datetime:
    """Read the date of data: a timestamp or a day (its beginning), also in ISO 8601; one without a zone is in `zone`.

    Raises:
        Unreadable: it is none of these, or of a year that systems write where they have no date (0001, 9999).
    """
    read = _timestamp(held, zone)
    if not _FIRST_YEAR <= read.year <= _LAST_YEAR:
        raise Unreadable("a timestamp of a year in which there were no such data")
    return read


def _timestamp(held: object, zone: ZoneInfo) -> datetime:
    if isinstance(held, str):
        try:
            held = datetime.fromisoformat(normalise(held))
        except ValueError:
            raise Unreadable("a timestamp that is not ISO 8601") from None
    if isinstance(held, datetime):
        return held if held.tzinfo is not None else held.replace(tzinfo=zone)
    if isinstance(held, date):
        return datetime.combine(held, time(), zone)
    raise Unreadable(f"a timestamp is expected, not {type(held).__name__}")


def read_zone(stanza: Stanza) -> ZoneInfo:
    """Read `timezone`, that of timestamps without one (default Asia/Shanghai)."""
    name = stanza.text("timezone", "Asia/Shanghai")
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        stanza.mistake("timezone", "is no time zone")
        return ZoneInfo("Asia/Shanghai")


def read_values(stanza: Stanza, attributes: Mapping[str, object]) -> dict[str, dict[str, Value]]:
    """Read `values`, the code tables by attribute: `values = {status = {"1" = "married"}}`."""
    tables = stanza.tables("values") if "values" in stanza else {}
    read: dict[str, dict[str, Value]] = {}
    for name, table in tables.items():
        if name not in attributes:
            stanza.mistake(f"values.{name}", "is a code table of no attribute")
        read[name] = {}
        for code in table.keys():  # noqa: SIM118 (a stanza is no mapping)
            value = table.anything(code)
            if isinstance(value, str | int | date):
                read[name][normalise(code)] = value
            else:
                table.mistake(code, "must be a text, whole number, truth or date")
    return read


def read_shape(
    stanza: Stanza,
    *,
    field_reader: Callable[[Stanza, str, str], Reader],
    attributes: str,
    zone: ZoneInfo,
    freshness: timedelta | None,
    number: Reader | None = None,
    sent: frozenset[str] = frozenset(),
) -> Shape:
    """Read a record's shape: `attributes`, `values`, `name`, `old_numbers`, `inactive`, `as_of`, `pick` and `narrow`.

    `field_reader(stanza, key, spec)` makes a reader of what a stanza's key says (a column, a JMESPath expression);
    `sent` are the inputs that the source is told.
    """

    def optional(key: str) -> Reader | None:
        return field_reader(stanza, key, stanza.text(key)) if key in stanza else None

    def table(key: str) -> dict[str, Reader]:
        return {name: field_reader(stanza, f"{key}.{name}", spec) for name, spec in stanza.mapping(key).items()}

    readers = table(attributes)
    holds_old = stanza.flag("old_numbers", False)
    if holds_old and ("name" not in stanza or number is None):
        stanza.mistake("old_numbers", "needs `name`: old numbers were given twice at times")
    return Shape(
        attributes=readers,
        values=read_values(stanza, readers),
        name=optional("name"),
        number=number if holds_old else None,
        state=_read_state(stanza, field_reader),
        as_of=optional("as_of"),
        latest=_read_pick(stanza, field_reader),
        narrow=table("narrow"),
        sent=sent,
        zone=zone,
        freshness=freshness,
    )


def _read_state(stanza: Stanza, field_reader: Callable[[Stanza, str, str], Reader]) -> State | None:
    if "inactive" not in stanza:
        return None
    part = stanza.table("inactive")
    read = field_reader(part, "column", part.text("column"))
    inactive = frozenset(map(normalise, part.texts("values", None)))
    if "active" not in part:
        part.mistake("active", "is missing: any code but these would count as alive. Write those that do")
    active = frozenset(map(normalise, part.texts("active", may_be_empty=True)))
    if inactive & active:
        part.mistake("active", "names a state that `values` names too")
    return State(read=read, inactive=inactive, active=active)


def _read_pick(stanza: Stanza, field_reader: Callable[[Stanza, str, str], Reader]) -> Reader | None:
    if "pick" not in stanza:
        return None
    how, _, column = stanza.text("pick").partition(":")
    if how != "latest" or not column:
        stanza.mistake("pick", 'must be "latest:<column>"')
    return field_reader(stanza, "pick", column or "missing")
