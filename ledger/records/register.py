"""The register: typed questions about the current state of records and their histories."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache

from sqlalchemy import BindParameter, ClauseElement, ColumnElement, Select, and_, bindparam, func, select

from ledger.canonical import from_microseconds, microseconds
from ledger.log import schema
from ledger.log.databases import in_few_lengths
from ledger.log.store import Store
from ledger.records.chains import read_chain
from ledger.records.codec import decode_entry
from ledger.records.kin import Kinship, read_kin
from ledger.records.lifecycle import FAMILIES, FAMILY_NUMBERS, STATE_NAMES, STATE_NUMBERS
from ledger.records.projections import RecordRow, StoredRow
from ledger.records.rows import read_row, stored_row
from ledger.records.unfinished import unfinished

_MOST = 10_000
_STATES = {
    name: frozenset(state for steps in family.transitions.values() for state in steps.values())
    for name, family in FAMILIES.items()
}


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryLine:
    """One step in the life of a record."""

    idx: int
    kind: str
    at: datetime


class Register:
    """Questions about the projection; each runs on a read-only connection."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def get(self, record: bytes) -> RecordRow | None:
        """Return the current state of a record, or None if there is none."""
        found = self._by("record", [record])
        return found[0] if found else None

    def by_subject(
        self, subject: bytes, family: str | None = None, states: Iterable[str] | None = None
    ) -> list[RecordRow]:
        """Return a person's records (by blind index), oldest first."""
        table = schema.record
        if family is None and states is None:
            return self._of("subject", subject)
        rules: list[ColumnElement[bool]] = [table.c.subject == subject]
        if family is not None:
            rules.append(table.c.family == FAMILY_NUMBERS[family])
        if states is not None:
            rules.append(table.c.state.in_([STATE_NUMBERS[state] for state in states]))
        return self._rows(select(table).where(*rules).order_by(table.c.first_idx))

    def concerned(self, subjects: Sequence[bytes], families: tuple[str, str]) -> dict[bytes, None]:
        """Pick the persons (by blind index) about whom there is any record of two families, without the cost of reading
        rows: for paths on which nearly nobody has one."""
        first, second = (FAMILY_NUMBERS[family] for family in families)
        found: dict[bytes, None] = {}
        for some in in_few_lengths(subjects):
            values = {f"subject_{at}": subject for at, subject in enumerate(some)}
            rows = self._store.quick_rows(_concerned(len(some)), values | {"first": first, "second": second})
            found.update(dict.fromkeys([bytes(subject) for (subject,) in rows]))
        return found

    def by_subjects(self, subjects: Sequence[bytes], families: Iterable[str]) -> dict[bytes, list[RecordRow]]:
        """Return the records of some families of some persons (by blind index), oldest first.

        Who has none is not in the answer.
        """
        table = schema.record
        numbers = [FAMILY_NUMBERS[family] for family in families]
        question = select(table).where(table.c.subject.in_(subjects), table.c.family.in_(numbers))
        return _grouped(self._rows(question), lambda row: row.subject)

    def by_cases(self, case_keys: Sequence[bytes]) -> dict[bytes, list[RecordRow]]:
        """Return the records of some cases, oldest first; a case without one is not in the answer."""
        return _grouped(self._by("case_key", case_keys), lambda row: row.case_key)

    def by_case(self, case_key: bytes, item: str | None = None) -> list[RecordRow]:
        """Return the records of one case, or of one item in it, oldest first."""
        return [row for row in self.by_cases([case_key]).get(case_key, []) if item is None or row.item == item]

    def newest_of_case(
        self, case_key: bytes, item: str, *, subject: bytes, family: str, state: str
    ) -> RecordRow | None:
        """Return the newest record about a person and an item in one case that names no parent, or None."""
        table = schema.record
        rules = (
            table.c.subject == subject,
            table.c.case_key == case_key,
            table.c.item == item,
            table.c.family == FAMILY_NUMBERS[family],
            table.c.state == STATE_NUMBERS[state],
            table.c.parent.is_(None),
        )
        found = self._rows(select(table).where(*rules).order_by(table.c.first_idx.desc()).limit(1))
        return found[0] if found else None

    def by_parent(self, parent: bytes, family: str | None = None) -> list[RecordRow]:
        """Return the records that name another as their parent, oldest first."""
        return [row for row in self._of("parent", parent) if family is None or row.family == family]

    def count_children(self, parents: Sequence[bytes], family: str) -> dict[bytes, tuple[int, datetime]]:
        """Count the records of a family that name each of some as their parent, and tell when the newest was opened.

        Parents without such a record are not in the answer.
        """
        table = schema.record
        question = (
            select(table.c.parent, func.count(), func.max(table.c.opened_at))
            .where(table.c.parent.in_(parents), table.c.family == FAMILY_NUMBERS[family])
            .group_by(table.c.parent)
        )
        with self._store.reading() as connection:
            return {bytes(row[0]): (row[1], from_microseconds(row[2])) for row in connection.execute(question)}

    def by_code(self, code: str) -> list[RecordRow]:
        """Return the records with a public number, oldest first."""
        table = schema.record
        return self._rows(select(table).where(table.c.code == code).order_by(table.c.first_idx))

    def holders(self, keys: Sequence[bytes]) -> dict[bytes, RecordRow]:
        """Return the records that hold some claims (`Submission.claim_keys`), by claim; claims nobody holds are not
        in the answer."""
        select_many = self._store.quick_many
        claims = {bytes(key): bytes(record) for key, record in select_many(schema.uniqueness, "key", list(keys))}
        found = select_many(schema.record, "record", list(set(claims.values()))) if claims else []
        rows = {row.record: row for row in (read_row(stored_row(one)) for one in found)}
        return {key: rows[record] for key, record in claims.items() if record in rows}

    def newest(
        self,
        family: str,
        states: Iterable[str],
        *,
        before_idx: int,
        span: int,
        limit: int,
        only: Mapping[str, bytes | str],
        opened: tuple[datetime | None, datetime | None] = (None, None),
        due_before: datetime | None = None,
    ) -> list[RecordRow]:
        """Return records of a family in some states, newest first, among the `span` entries before an index.

        `only` gives the values that facts (`projections.FACT_NAMES`) must have, `opened` from when to before when.
        The span bounds the work: who wants older ones asks again with an index that is lower by it.
        """
        table, most = schema.record, min(limit, _MOST)
        within = (table.c.first_idx < before_idx, table.c.first_idx >= before_idx - span)
        rules = [*within, *_having(only, opened, due_before)]
        # A question for each state: each is a walk along the index, newest first, that ends at the limit; all in one
        # would have to read and sort the span.
        found = [
            row
            for state in states
            for row in self._rows(
                select(table).where(_in_family(family, (state,)), *rules).order_by(table.c.first_idx.desc()).limit(most)
            )
        ]
        found.sort(key=lambda row: row.first_idx, reverse=True)
        return found[:most]

    def count(
        self,
        family: str,
        states: Iterable[str],
        *,
        before_idx: int,
        only: Mapping[str, bytes | str],
        due_before: datetime | None = None,
    ) -> int:
        """Count the records that `newest` would find below an index, however far back; walks all of the family's."""
        table = schema.record
        rules = (_in_family(family, states), table.c.first_idx < before_idx, *_having(only, (None, None), due_before))
        with self._store.reading() as connection:
            return int(connection.execute(select(func.count()).where(*rules)).scalar_one())

    def in_state(
        self,
        family: str,
        states: Iterable[str],
        *,
        due_before: datetime | None = None,
        after_idx: int = -1,
        limit: int = 1000,
    ) -> list[RecordRow]:
        """Return records of a family in some states, by first entry; the next page follows its last `first_idx`."""
        table = schema.record
        rules: list[ColumnElement[bool]] = [
            table.c.family == FAMILY_NUMBERS[family],
            table.c.state.in_([STATE_NUMBERS[state] for state in states]),
            table.c.first_idx > after_idx,
        ]
        if due_before is not None:
            rules.append(table.c.due_at < microseconds(due_before))
        return self._rows(select(table).where(*rules).order_by(table.c.first_idx).limit(min(limit, _MOST)))

    def changed_after(
        self, family: str, states: Iterable[str], *, after_idx: int = -1, limit: int = 1000
    ) -> list[RecordRow]:
        """Return records of a family in some states in the order of their newest entry, after an index."""
        table = schema.record
        rules = (
            table.c.family == FAMILY_NUMBERS[family],
            table.c.state.in_([STATE_NUMBERS[state] for state in states]),
            table.c.last_idx > after_idx,
        )
        return self._rows(select(table).where(*rules).order_by(table.c.last_idx).limit(min(limit, _MOST)))

    def history(self, record: bytes) -> list[HistoryLine]:
        """Return every entry of a record, oldest first."""
        with self._store.reading() as connection:
            found = read_chain(connection, record)
        entries = ((idx, decode_entry(leaf)) for idx, leaf in found)
        return [HistoryLine(idx=idx, kind=entry.kind, at=entry.at) for idx, entry in entries]

    def histories(self, rows: Sequence[RecordRow]) -> dict[bytes, tuple[HistoryLine, ...]]:
        """Return every entry of each of some records, oldest first, by record; all of them in a few questions."""
        firsts = {row.first_idx: row.record for row in rows}
        with self._store.reading() as connection:
            select_many = self._store.database.select_many
            found = [*select_many(connection, schema.entry, "idx", list(firsts))]
            if any(row.seq for row in rows):
                found += select_many(connection, schema.entry, "record", [row.record for row in rows if row.seq])
        lines: dict[bytes, list[HistoryLine]] = {row.record: [] for row in rows}
        for idx, record, leaf in sorted(found, key=lambda one: one[0]):
            entry = decode_entry(bytes(leaf))
            lines[firsts[idx] if record is None else bytes(record)].append(
                HistoryLine(idx=idx, kind=entry.kind, at=entry.at)
            )
        return {record: tuple(history) for record, history in lines.items()}

    def count_state(self, family: str) -> dict[str, int]:
        """Count the records of a family by state."""
        table = schema.record
        question = (
            select(table.c.state, func.count()).where(table.c.family == FAMILY_NUMBERS[family]).group_by(table.c.state)
        )
        with self._store.reading() as connection:
            return {STATE_NAMES[row[0]]: row[1] for row in connection.execute(question)}

    def older(self, family: str, *, before: datetime, after_idx: int = -1, limit: int = 1000) -> list[RecordRow]:
        """Return records that began before a time and still have their facts, by first entry; erased ones have none.

        The next page follows the last one's `first_idx`.
        """
        table = schema.record
        rules = (*_older(family, before), table.c.first_idx > after_idx)
        return self._rows(select(table).where(*rules).order_by(table.c.first_idx).limit(min(limit, _MOST)))

    def count_older(self, family: str, *, before: datetime) -> int:
        """Count the records that `older` returns; walks all of the family's."""
        with self._store.reading() as connection:
            return int(connection.execute(select(func.count()).where(*_older(family, before))).scalar_one())

    def many(self, records: Sequence[bytes]) -> dict[bytes, RecordRow]:
        """Return the current states of some records; those that do not exist are not in the answer."""
        return {row.record: row for row in self._by("record", records)}

    def children(self, parents: Sequence[bytes]) -> list[RecordRow]:
        """Return the records that name one of some others as their parent."""
        return self._by("parent", parents)

    def kin(self, records: Collection[bytes]) -> frozenset[bytes]:
        """Return some records and all kin of theirs (`ledger.records.kin`)."""
        return frozenset(read_kin(records, self._stored))

    def unfinished(self, records: Collection[bytes]) -> dict[bytes, list[RecordRow]]:
        """Return what must end before some records are erased (`ledger.records.unfinished`), by record, oldest first; a
        record without any is not in the answer."""
        rows = read_kin(records, self._stored)
        kinship = Kinship(rows)
        found = {record: [read_row(row) for row in unfinished(record, rows, kinship)] for record in records}
        return {record: waiting for record, waiting in found.items() if waiting}

    def rests_on(self, record: bytes) -> list[RecordRow]:
        """Return what a record rests on (`ledger.records.kin`), however deep, oldest first."""
        found = read_kin([record], self._stored)
        rows = [read_row(found[one]) for one in Kinship(found).above(record)]
        return sorted(rows, key=lambda row: row.first_idx)

    def _by(self, column: str, values: Sequence[bytes]) -> list[RecordRow]:
        return [read_row(row) for row in self._stored(column, values)]

    def _stored(self, column: str, values: Sequence[bytes]) -> list[StoredRow]:
        if not values:
            return []
        return [stored_row(row) for row in self._store.quick_many(schema.record, column, list(values))]

    def _of(self, column: str, value: bytes) -> list[RecordRow]:
        """Return the records that have a value in one column, oldest first."""
        found = self._by(column, [value])
        found.sort(key=lambda row: row.first_idx)
        return found

    def _rows(self, question: Select[*tuple[object, ...]]) -> list[RecordRow]:
        with self._store.reading() as connection:
            return [read_row(stored_row(row)) for row in connection.execute(question)]


@cache
def _concerned(count: int) -> ClauseElement:
    subject, family = schema.record.c.subject, schema.record.c.family
    subjects: list[BindParameter[bytes]] = [bindparam(f"subject_{at}") for at in range(count)]
    return (
        select(subject).distinct().where(subject.in_(subjects), family.in_((bindparam("first"), bindparam("second"))))
    )


def _grouped(rows: list[RecordRow], key_of: Callable[[RecordRow], bytes | None]) -> dict[bytes, list[RecordRow]]:
    rows.sort(key=lambda row: row.first_idx)
    found: dict[bytes, list[RecordRow]] = {}
    for row in rows:
        key = key_of(row)
        if key is not None:
            found.setdefault(key, []).append(row)
    return found


def _in_family(family: str, states: Iterable[str]) -> ColumnElement[bool]:
    table = schema.record
    numbers = [STATE_NUMBERS[state] for state in states]
    return and_(table.c.family == FAMILY_NUMBERS[family], table.c.state.in_(numbers))


def _having(
    only: Mapping[str, bytes | str],
    opened: tuple[datetime | None, datetime | None],
    due_before: datetime | None,
) -> list[ColumnElement[bool]]:
    table = schema.record
    rules: list[ColumnElement[bool]] = [table.c[name] == value for name, value in only.items()]
    start, end = opened
    if start is not None:
        rules.append(table.c.opened_at >= microseconds(start))
    if end is not None:
        rules.append(table.c.opened_at < microseconds(end))
    if due_before is not None:
        rules.append(table.c.due_at < microseconds(due_before))
    return rules


def _older(family: str, before: datetime) -> tuple[ColumnElement[bool], ...]:
    table = schema.record
    return (
        _in_family(family, _STATES[family]),
        table.c.opened_at < microseconds(before),
        table.c.unit.is_not(None),
    )
