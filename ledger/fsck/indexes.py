"""The third pass: the index of records, computed again from the log for every size that was committed to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ledger.completeness.changes import read_changes
from ledger.completeness.commitment import index_claim, index_commit
from ledger.completeness.index import CHUNK, read_state
from ledger.completeness.pages import read_root, update_pages
from ledger.completeness.scratch import ScratchPages
from ledger.errors import LedgerDamaged
from ledger.fsck.findings import Findings, Progress
from ledger.fsck.snapshot import Snapshot
from ledger.records.commitments import PUBLIC_GROUP

_QUESTION = 200
"""Pages a question."""


class IndexPass:
    """Checks what entries commit to, what is kept of it, and the stored pages."""

    def __init__(self, view: Snapshot, size: int, entries: Sequence[tuple[int, Mapping[str, str]]], found: Findings):
        self._view = view
        self._size = size
        self._findings = found
        roots = view.all("SELECT size, root FROM index_root WHERE size >= 0 AND size <= ? ORDER BY size", size)
        self._roots = {at: bytes(root) for at, root in roots}
        self._by = self._match(entries)
        state = read_state(view.connection)
        # A state beyond is one of a log that grew meanwhile, or is named where the tables are checked.
        self._state = state if state is not None and 0 <= state.size <= size else None
        self._targets = sorted({*self._roots, *([] if self._state is None else [self._state.size])})

    def run(self, progress: Progress, done: int, total: int) -> None:
        """Compute the index step by step and compare it wherever there is something to compare with."""
        with ScratchPages() as pages:
            try:
                at = 0
                for target in self._targets:
                    while at < target:
                        end = min(target, at + CHUNK)
                        update_pages(pages, read_changes(self._view.connection, at, end))
                        at = end
                        progress(done + at, total)
                    self._compare(target, pages)
            except LedgerDamaged as damage:
                self._findings.add(None, f"the index cannot be computed any further: {damage}")

    def _match(self, entries: Sequence[tuple[int, Mapping[str, str]]]) -> dict[int, list[int | None]]:
        """Find which entries commit to the index of which size."""
        kept = {index_commit(size, root): size for size, root in self._roots.items()}
        by: dict[int, list[int | None]] = {}
        for index, commits in entries:
            size = kept.get(commits.get(PUBLIC_GROUP, ""))
            if size is None or set(commits) != {PUBLIC_GROUP}:
                self._findings.add(index, "the entry commits to an index that is not kept")
            elif size > index:
                self._findings.add(index, "the entry commits to an index that reaches beyond it")
            else:
                self._check_claim(index, size)
                self._findings.indexes += 1
                by.setdefault(size, []).append(index)
        return by

    def _check_claim(self, index: int, size: int) -> None:
        """Check that the entry that commits to the index of a size is found by its claim."""
        question = "SELECT r.first_idx FROM uniqueness u JOIN record r ON r.record = u.record WHERE u.key = ?"
        if self._view.all(question, index_claim(size)) != [(index,)]:
            self._findings.add(
                index, "the claim by which the entry is the only index of its size is lost, or another's"
            )

    def _compare(self, size: int, pages: ScratchPages) -> None:
        computed = read_root(pages)
        if self._roots.get(size, computed) != computed:
            nobody: list[int | None] = [None]
            for index in self._by.get(size, nobody):
                self._findings.add(index, f"the index of size {size} has another root than was committed to")
        if self._state is not None and self._state.size == size:
            if self._state.root != computed:
                self._findings.add(None, f"the stored index of size {size} has another root than its entries give")
            self._compare_pages(pages)

    def _compare_pages(self, pages: ScratchPages) -> None:
        count = 0
        some: list[tuple[bytes, bytes]] = []
        for path, data in self._view.stream("fsck_pages", "SELECT path, data FROM index_page ORDER BY path"):
            some.append((bytes(path), bytes(data)))
            count += 1
            if len(some) == _QUESTION:
                self._compare_some(some, pages)
                some = []
        self._compare_some(some, pages)
        if count < pages.count():
            self._findings.add(None, "pages of the index are missing")

    def _compare_some(self, some: Sequence[tuple[bytes, bytes]], pages: ScratchPages) -> None:
        computed = pages.load([path for path, _ in some])
        for path, data in some:
            if computed.get(path) != data:
                self._findings.add(None, f"the page of the index at {path.hex() or 'the root'} is wrong")


def reach_of_indexes(view: Snapshot, size: int) -> int:
    """Tell how many entries of a log of `size` the third pass has to read."""
    found = view.all("SELECT max(size) FROM index_root WHERE size <= ?", size)
    found += view.all("SELECT max(size) FROM index_state WHERE size <= ?", size)
    return max(at or 0 for (at,) in found)
