"""For logs of chance: every record is proved complete, and no other set of entries passes, nor another index."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.completeness.changes import index_key
from ledger.completeness.commitment import INDEX_KIND, index_commit
from ledger.completeness.proof import CompletenessProof, format_completeness, verify_completeness
from ledger.completeness.smt import map_root, prove_within
from ledger.errors import LedgerError
from ledger.merkle import hash_leaf
from ledger.records.codec import Entry, encode_entry
from ledger.records.commitments import PUBLIC_GROUP
from tests.vectors.keys import LOG, ORIGIN, at, fixed
from tests.vectors.receipts import Tree

KEYS = [LOG.verifier]


class Log:
    """A log in memory in which records have as many entries as chance gives them."""

    def __init__(self) -> None:
        self.leaves: list[bytes] = []
        self.chains: dict[bytes, list[bytes]] = {}

    def append(self, record: bytes, kind: str = "CommitmentRequeried", **commits: str) -> None:
        chain = self.chains.setdefault(record, [])
        entry = Entry(
            kind=kind,
            record=record,
            seq=len(chain),
            prev=hash_leaf(chain[-1]) if chain else None,
            at=at(len(self.leaves)),
            policy="",
            commits=commits,
        )
        chain.append(encode_entry(entry))
        self.leaves.append(chain[-1])

    def index(self) -> Index:
        index = Index(self)
        self.append(
            fixed(f"index {index.size}", 16), INDEX_KIND, **{PUBLIC_GROUP: index_commit(index.size, index.root)}
        )
        return index


class Index:
    """The index of a log as it was."""

    def __init__(self, log: Log) -> None:
        self.size = len(log.leaves)
        self.chains = {record: tuple(chain) for record, chain in log.chains.items()}
        self._pairs = {index_key(record): hash_leaf(chain[-1]) for record, chain in log.chains.items()}
        self.root = map_root(self._pairs)

    def proof(self, log: Log, record: bytes) -> CompletenessProof:
        return CompletenessProof(
            record=record,
            entries=self.chains.get(record, ()),
            size=self.size,
            root=self.root,
            proof=prove_within(sorted(self._pairs.items()), index_key(record), 0),
            receipt=Tree(log.leaves).receipt(self.size, len(log.leaves)),
        )


def passes(proof: CompletenessProof) -> bool:
    with suppress(LedgerError):
        verify_completeness(format_completeness(proof), KEYS, ORIGIN)
        return True
    return False


RECORDS = [fixed(f"record of chance {number}", 16) for number in range(6)]
STEPS = st.lists(st.sampled_from(RECORDS), max_size=18)


@settings(max_examples=60, deadline=None)
@given(STEPS, STEPS, st.data())
def test_all_entries_are_proved_and_nothing_else(before: list[bytes], after: list[bytes], data: st.DataObject) -> None:
    log = Log()
    for record in before:
        log.append(record)
    old = log.index()
    for record in after:
        log.append(record)
    new = log.index()
    for record in RECORDS:
        for index in (old, new):
            proof = index.proof(log, record)
            proved = verify_completeness(format_completeness(proof), KEYS, ORIGIN)
            assert tuple(encode_entry(entry) for entry in proved.entries) == index.chains.get(record, ())
            assert (proved.record, proved.size) == (record, index.size)
    record = data.draw(st.sampled_from(RECORDS))
    proof, other = new.proof(log, record), old.proof(log, record)
    for entries in altered(list(proof.entries), log.leaves, data):
        assert not passes(replace(proof, entries=entries))
    for mixed in (
        replace(proof, receipt=other.receipt),
        replace(proof, size=other.size, root=other.root),
        replace(other, receipt=proof.receipt),
        replace(other, size=proof.size, root=proof.root),
    ):
        assert not passes(mixed)
    if new.chains.get(record) != old.chains.get(record):
        assert not passes(replace(proof, entries=other.entries))
        assert not passes(replace(other, entries=proof.entries))


def altered(entries: list[bytes], leaves: list[bytes], data: st.DataObject) -> list[tuple[bytes, ...]]:
    """Other sets of entries than those given: one removed, one added, two swapped, one bent."""
    made = [(*entries, data.draw(st.sampled_from(leaves)))]
    if entries:
        at_ = data.draw(st.integers(0, len(entries) - 1))
        made.append((*entries[:at_], *entries[at_ + 1 :]))
        made.append((*entries[:at_], entries[at_].replace(b'"at":"2026', b'"at":"2027'), *entries[at_ + 1 :]))
        made.append((*entries[: at_ + 1], *entries[at_:]))
    if len(entries) > 1:
        made.append((entries[1], entries[0], *entries[2:]))
    return made


def test_the_helpers_can_tell() -> None:
    log = Log()
    log.append(RECORDS[0])
    index = log.index()
    assert passes(index.proof(log, RECORDS[0]))
    assert passes(index.proof(log, RECORDS[1]))
    assert not passes(replace(index.proof(log, RECORDS[0]), entries=()))
