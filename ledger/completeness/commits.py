"""Committing to the index: from the newest entries to an `IndexCommitted` entry, whoever does it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from ledger.appends.values import Appended, Submission
from ledger.completeness.commitment import index_submission
from ledger.completeness.index import RecordIndex, read_state
from ledger.completeness.trust import CommittedTree, IndexState, find_commitment
from ledger.errors import AlreadyClaimed, LedgerUnavailable
from ledger.log.reader import read_entry
from ledger.log.store import Store
from ledger.records.codec import decode_entry
from ledger.records.identity import new_record


@dataclass(frozen=True, slots=True, kw_only=True)
class CommittedIndex:
    """That entry `index` commits to `root` as the index of the first `size` entries."""

    index: int
    size: int
    root: bytes
    appended: bool
    """False if it was there already and nothing was appended."""


class IndexCommitter:
    """Commits to the index of one store through `append`, which must wait until the entry is durable.

    Two processes may do it at once: an entry commits to the index of a size, which is a function of entries that never
    change, and a claim lets one entry only commit to each size.
    """

    def __init__(self, store: Store, append: Callable[[Submission], Appended], entropy: Callable[[int], bytes]) -> None:
        self._store = store
        self._append = append
        self._entropy = entropy

    def commit(
        self,
        at: datetime,
        *,
        not_within: timedelta | None = None,
        anew: bool = False,
        progress: Callable[[int, int], None] | None = None,
    ) -> CommittedIndex:
        """Commit to the index of the log as it is, unless the newest one still says all there is to say.

        With `not_within`, also a newest commitment that is younger than that stands; with `anew`, none does.

        Raises:
            LedgerDamaged: what is stored contradicts itself; nothing is committed to.
            LedgerUnavailable: the database or the ledger refused; asking again is safe.
        """
        standing = None if anew else self._standing(at, not_within)
        if standing is not None:
            return standing
        state = RecordIndex(self._store).advance(progress)
        try:
            done = self._append(index_submission(state.size, state.root, new_record(at, self._entropy), at))
        except AlreadyClaimed:
            return self._found(state)
        return CommittedIndex(index=done.entries[0].index, size=state.size, root=state.root, appended=True)

    def _standing(self, at: datetime, not_within: timedelta | None) -> CommittedIndex | None:
        with self._store.reading() as connection:
            state = read_state(connection)
            if state is None:
                return None
            tree = CommittedTree(connection)
            index = find_commitment(tree, state)
            if index is None:
                return None
            made = decode_entry(read_entry(connection, index)).at
        unchanged = index == state.size and tree.size == index + 1
        if unchanged or (not_within is not None and at - made < not_within):
            return CommittedIndex(index=index, size=state.size, root=state.root, appended=False)
        return None

    def _found(self, state: IndexState) -> CommittedIndex:
        with self._store.reading() as connection:
            index = find_commitment(CommittedTree(connection), state)
        if index is None:
            raise LedgerUnavailable("another process is committing to the index; ask again")
        return CommittedIndex(index=index, size=state.size, root=state.root, appended=False)
