"""Kin: what a record rests on and what rests on it, however deep; not what else rests on the same.

A commitment rests on its verification, a finding on its commitment: the one proves nothing without the other. A
commitment also rests on what people found for it: the requests for assistance and the checks about the same item and
person in its case, which hang on earlier verifications than its own. So two records are kin where something rests on
both of them, or one on the other: what is kept is kept with all that it rests on.
Operations are nobody's kin: a legal hold names the record that it is on, and is no part of its case.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

from ledger.records.lifecycle import FAMILY_NUMBERS
from ledger.records.projections import StoredRow

_OPERATION = FAMILY_NUMBERS["operation"]
_COMMITMENTS = (FAMILY_NUMBERS["commitment"],)
_PEOPLE = (FAMILY_NUMBERS["assistance"], FAMILY_NUMBERS["check"])
"""Families of what people found."""
Ask = Callable[[str, list[bytes]], Iterable[StoredRow]]
"""Gives the rows whose column, `record`, `parent` or `case_key`, has one of some values."""


def read_kin(records: Collection[bytes], ask: Ask) -> dict[bytes, StoredRow]:
    """Read some records and all kin of theirs, by record; those that do not exist are not in the answer."""
    found = {row.record: row for row in ask("record", list(records))}
    below, level = set(records), list(found.values())
    while below:
        level = [row for row in ask("parent", list(below)) if _hangs(row)] + _with(_COMMITMENTS, _PEOPLE, level, ask)
        level = [row for row in level if row.record not in found]
        found.update({row.record: row for row in level})
        below = {row.record for row in level}
    level = list(found.values())
    while level:
        above = {row.parent for row in level if _hangs(row) and row.parent is not None} - found.keys()
        level = [*ask("record", list(above)), *_with(_PEOPLE, _COMMITMENTS, level, ask)]
        level = [row for row in level if row.record not in found]
        found.update({row.record: row for row in level})
    return found


class Kinship:
    """Tells kin among rows that were read with `read_kin`, and others."""

    def __init__(self, rows: Mapping[bytes, StoredRow]) -> None:
        self._above: dict[bytes, list[bytes]] = {}
        self._below: dict[bytes, list[bytes]] = {}
        people: dict[_Claim, list[bytes]] = {}
        for row in rows.values():
            if row.family in _PEOPLE and (claim := _claim(row)) is not None:
                people.setdefault(claim, []).append(row.record)
        for row in rows.values():
            if _hangs(row) and row.parent is not None:
                self._rest(row.record, row.parent)
            if row.family in _COMMITMENTS and (claim := _claim(row)) is not None:
                for found in people.get(claim, ()):
                    self._rest(row.record, found)

    def of(self, record: bytes) -> set[bytes]:
        """Give a record and its kin."""
        return _reach(_reach({record}, self._below), self._above)

    def below(self, record: bytes) -> set[bytes]:
        """Give a record and what rests on it, however deep."""
        return _reach({record}, self._below)

    def above(self, record: bytes) -> set[bytes]:
        """Give what a record rests on, however deep, without itself."""
        return _reach({record}, self._above) - {record}

    def _rest(self, record: bytes, above: bytes) -> None:
        self._above.setdefault(record, []).append(above)
        self._below.setdefault(above, []).append(record)


_Claim = tuple[bytes, str | None, bytes | None]
"""What people are asked about and a commitment stands in for: an item and a person in a case."""


def _claim(row: StoredRow) -> _Claim | None:
    return None if row.case_key is None else (row.case_key, row.item, row.subject)


def _with(families: tuple[int, ...], others: tuple[int, ...], rows: Iterable[StoredRow], ask: Ask) -> list[StoredRow]:
    """Read the records of some families that share their claim with those rows that are of the other families."""
    claims = {claim for row in rows if row.family in others and (claim := _claim(row)) is not None}
    cases = ask("case_key", list({case_key for case_key, _, _ in claims})) if claims else ()
    return [row for row in cases if row.family in families and _claim(row) in claims]


def _reach(records: Collection[bytes], links: Mapping[bytes, Collection[bytes]]) -> set[bytes]:
    reached, waiting = set(records), list(records)
    for one in waiting:  # grows while it is walked
        more = [other for other in links.get(one, ()) if other not in reached]
        reached.update(more)
        waiting += more
    return reached


def _hangs(row: StoredRow) -> bool:
    return row.family != _OPERATION
