"""Retain: go through what is old enough, keep what a reason keeps, and erase the rest in batches.

Each batch is one atomic entry, so a run can be interrupted at any moment and continues when it is run again: what was
erased has no facts left and is not looked at again. Proofs stay; the document of the entry says what was erased, by
which rule, and that the reason is RETENTION.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from gateway.flows.commitments.documents import claims_of
from gateway.rules.clocks import legal_day
from gateway.rules.retention import Bundle, Kept, RetentionRules, judge, years_before
from ledger import AlreadyClaimed, Appended, Draft, ErasureRefused, RecordRow, Register, Submission, new_record
from ledger.canonical import Json
from ledger.vault.erasure import claim_of
from ledger.vault.holds import Holds, read_holds

_ROOTS = ("commitment", "finding", "report", "verification", "assistance", "check", "operation")
"""Families in the order in which their records are taken as roots: what hangs on another goes with it."""
_FOUND = ("assistance", "check")
"""Families of what people found."""
_CLAIMED = ("commitment", *_FOUND)
_PAGE = 200
_BATCH = 500
_TRIES = 3
REASON = "RETENTION"


@dataclass(slots=True, kw_only=True)
class Tally:
    """What was found of one matter and family: due for erasure, kept by reason, and the oldest end among all."""

    records: int = 0
    erased: int = 0
    kept: Counter[Kept] = field(default_factory=Counter)
    oldest: datetime | None = None

    @property
    def oldest_day(self) -> str:
        """The day of the oldest end."""
        return "" if self.oldest is None else legal_day(self.oldest).isoformat()

    @property
    def reasons(self) -> list[tuple[Kept, int]]:
        """What is kept, by reason, in the order of the reasons' names."""
        return sorted(self.kept.items(), key=lambda one: one[0].value)


@dataclass(slots=True, kw_only=True)
class RetentionReport:
    """What a run found and did, by matter and family of the root; counts are of roots, `erased_records` of records."""

    tallies: dict[tuple[str, str], Tally] = field(default_factory=dict)
    erased_records: int = 0
    entries: list[int] = field(default_factory=list)
    """The entries that erased, by index."""

    def note(self, bundle: Bundle, reason: Kept | None) -> None:
        """Count a bundle."""
        root = bundle.root
        tally = self.tallies.setdefault((root.matter or "", root.family), Tally())
        tally.records += 1
        if reason is None:
            tally.erased += 1
            self.erased_records += len(bundle.rows)
        else:
            tally.kept[reason] += 1
        if tally.oldest is None or bundle.ended_at < tally.oldest:
            tally.oldest = bundle.ended_at


class Retain:
    """Runs the retention rules over the records of a ledger; blocks."""

    def __init__(
        self,
        *,
        register: Register,
        rules: RetentionRules,
        now: Callable[[], datetime],
        entropy: Callable[[int], bytes],
        page: int = _PAGE,
        batch: int = _BATCH,
    ) -> None:
        self._register = register
        self._rules = rules
        self._now = now
        self._entropy = entropy
        self._page = page
        self._batch = batch

    def look(self, progress: Callable[[int, int], None]) -> RetentionReport:
        """Tell what a run would do, and change nothing."""
        report = RetentionReport()
        for bundle, reason in self._judged(progress):
            report.note(bundle, reason)
        return report

    def run(
        self, person: str, append: Callable[[Submission], Appended], progress: Callable[[int, int], None]
    ) -> RetentionReport:
        """Erase what is due, by order of one who runs it (a staff number), and tell what was done.

        `append` is `Ledger.append_blocking`.

        Raises:
            ErasureRefused, AlreadyClaimed: others kept changing what is due; run it again.
        """
        report, waiting = RetentionReport(), list[Bundle]()
        for bundle, reason in self._judged(progress):
            if reason is None:
                waiting.append(bundle)
                if sum(len(one.rows) for one in waiting) >= self._batch:
                    self._erase(waiting, person, append, report)
                    waiting = []
            else:
                report.note(bundle, reason)
        if waiting:
            self._erase(waiting, person, append, report)
        return report

    def _erase(
        self,
        bundles: Sequence[Bundle],
        person: str,
        append: Callable[[Submission], Appended],
        report: RetentionReport,
    ) -> None:
        # What was placed or began while the batch was gathered counts: everything is read and judged again, and once
        # more where the ledger refuses what changed between that and the append.
        for tries in range(1, _TRIES + 1):
            holds, now = read_holds(self._register), self._now()
            fresh = [(bundle, self._judge(bundle, holds, now)) for bundle in self._again(bundles)]
            due = [bundle for bundle, reason in fresh if reason is None]
            try:
                if due:
                    done = append(self._submission(due, person, now))
                    report.entries.append(done.entries[0].index)
            except (ErasureRefused, AlreadyClaimed):
                if tries == _TRIES:
                    raise
                continue
            for bundle, reason in fresh:
                report.note(bundle, reason)
            return

    def _submission(self, bundles: Sequence[Bundle], person: str, now: datetime) -> Submission:
        rows = sorted(
            {row.record: row for bundle in bundles for row in bundle.rows}.values(), key=lambda row: row.record
        )
        record = new_record(now, self._entropy)
        counted = Counter((bundle.root.family, bundle.root.matter or "") for bundle in bundles)
        rules: list[Json] = [
            {"family": family, "matter": matter, "years": self._rules.years(family, matter), "cases": count}
            for (family, matter), count in sorted(counted.items())
        ]
        draft = Draft(
            kind="DocumentErased",
            record=record,
            groups={
                "erased": [row.record.hex() for row in rows],
                "reason": REASON,
                "rules": rules,
                "operator": {"person": person},
            },
        )
        return Submission(
            drafts=(draft,),
            at=now,
            claim_keys=tuple((claim_of(row.record, row.last_idx), record) for row in rows),
            release_keys=claims_of(rows),
            erase=tuple((row.record, row.last_idx) for row in rows),
        )

    def _again(self, bundles: Sequence[Bundle]) -> list[Bundle]:
        rows = self._register.many([bundle.root.record for bundle in bundles])
        roots = [rows[bundle.root.record] for bundle in bundles if rows[bundle.root.record].unit is not None]
        return self._gather(roots)

    def _judged(self, progress: Callable[[int, int], None]) -> Iterator[tuple[Bundle, Kept | None]]:
        register, now = self._register, self._now()
        before = years_before(now, self._rules.shortest())
        total = sum(register.count_older(family, before=before) for family in _ROOTS)
        holds, done = read_holds(register), 0
        progress(done, total)
        for family in _ROOTS:
            after = -1
            while rows := register.older(family, before=before, after_idx=after, limit=self._page):
                after = rows[-1].first_idx
                for bundle in self._gather(rows):
                    yield bundle, self._judge(bundle, holds, now)
                done += len(rows)
                progress(min(done, total), total)

    def _judge(self, bundle: Bundle, holds: Holds, now: datetime) -> Kept | None:
        return judge(bundle, self._rules, held=any(holds.cover(row) for row in bundle.rows), now=now)

    def _gather(self, rows: Sequence[RecordRow]) -> list[Bundle]:
        """Make the bundles of those rows that are roots: what goes with another living record goes with that one."""
        parents = self._register.many([row.parent for row in rows if row.parent is not None])
        below = self._below([*rows, *parents.values()])
        claims = self._claims([*rows, *(row for children in below.values() for row in children)])
        found = [one for row in rows if row.family == "commitment" for one in claims.found(row)]
        asking = self._register.many([one.parent for one in found if one.parent is not None])
        below = {**self._below(list(asking.values())), **below}
        parents |= asking
        return [
            Bundle(root=row, related=tuple(_related(row, parents, below, claims)))
            for row in rows
            if not _belongs(row, parents.get(row.parent or b""), below, claims)
        ]

    def _claims(self, rows: Iterable[RecordRow]) -> _Claims:
        """Read the commitments, and what people found, of the cases of those rows that are one or the other."""
        keys = {row.case_key for row in rows if row.family in _CLAIMED and row.case_key is not None}
        cases = self._register.by_cases(list(keys))
        return _Claims(row for case in cases.values() for row in case)

    def _below(self, rows: Sequence[RecordRow]) -> Mapping[bytes, Sequence[RecordRow]]:
        """Read what hangs on records, level by level, by the record it hangs on."""
        found = dict[bytes, list[RecordRow]]()
        level = [row.record for row in rows]
        while level:
            children = self._register.children(level)
            for child in children:
                found.setdefault(child.parent or b"", []).append(child)
            level = [child.record for child in children if child.record not in found]
        return found


class _Claims:
    """What stands in for a claim and what people found about it: an item and a person in a case."""

    def __init__(self, rows: Iterable[RecordRow]) -> None:
        self._rows: dict[tuple[object, ...], list[RecordRow]] = {}
        for row in rows:
            if row.family in _CLAIMED and row.unit is not None:
                self._rows.setdefault(_claim(row), []).append(row)

    def commitments(self, row: RecordRow) -> list[RecordRow]:
        """Give the living commitments of a record's claim."""
        return [one for one in self._of(row) if one.family == "commitment"]

    def found(self, row: RecordRow) -> list[RecordRow]:
        """Give what people found about a record's claim."""
        return [one for one in self._of(row) if one.family != "commitment"]

    def _of(self, row: RecordRow) -> list[RecordRow]:
        return [] if row.case_key is None else self._rows.get(_claim(row), [])


def _claim(row: RecordRow) -> tuple[object, ...]:
    return row.case_key, row.item, row.subject


def _belongs(
    row: RecordRow, parent: RecordRow | None, below: Mapping[bytes, Sequence[RecordRow]], claims: _Claims
) -> bool:
    """Say whether a record goes with another: what people found with the commitment of its claim, a verification with
    any commitment that rests on it or on what hangs on it, all else with its living parent."""
    if row.family == "commitment":
        return False
    if row.family in _FOUND and claims.commitments(row):
        return True
    if row.family == "verification":
        for one in below.get(row.record, ()):
            if one.family == "commitment" or (one.family in _FOUND and claims.commitments(one)):
                return True
    return parent is not None and parent.unit is not None


def _related(
    root: RecordRow,
    parents: Mapping[bytes, RecordRow],
    below: Mapping[bytes, Sequence[RecordRow]],
    claims: _Claims,
) -> list[RecordRow]:
    """Give what goes with a root: all that hangs on it, and what a commitment alone still rests on."""
    related = {one.record: one for one in _descend(root, below)}
    if root.family == "commitment":
        above = [root.parent]
        if [one.record for one in claims.commitments(root)] == [root.record]:
            found = claims.found(root)
            related |= {one.record: one for one in found}
            above += [one.parent for one in found]
        gone = related.keys() | {root.record}
        for record in {record for record in above if record is not None} - gone:
            parent = parents.get(record)
            children = {one.record for one in below.get(record, ()) if one.unit is not None}
            if parent is not None and parent.unit is not None and children <= gone:
                related[record] = parent
    return list(related.values())


def _descend(row: RecordRow, below: Mapping[bytes, Sequence[RecordRow]]) -> Iterator[RecordRow]:
    for child in below.get(row.record, ()):
        if child.family != "operation":  # a hold upon a record is no part of its case
            yield child
            yield from _descend(child, below)
