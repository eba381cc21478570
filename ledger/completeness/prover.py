"""Making completeness proofs from the newest committed index."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy import Connection

from ledger.completeness.index import prove_record, read_state
from ledger.completeness.proof import CompletenessProof, format_completeness, verify_completeness
from ledger.completeness.trust import read_committed
from ledger.errors import EntryMissing, IndexMissing, LedgerDamaged, LedgerError
from ledger.log.checkpoint import open_checkpoint
from ledger.log.note import Verifier
from ledger.log.reader import LogReader, read_entry
from ledger.log.store import Store, read_receipt_note
from ledger.log.tiles import TileCache
from ledger.merkle import prove_inclusion
from ledger.receipt import format_receipt
from ledger.records.chains import read_chain


def prove_completeness(
    store: Store,
    records: Sequence[bytes],
    verifiers: Sequence[Verifier],
    origin: str,
    *,
    leaving: Callable[[bytes, int], None] = lambda _note, _size: None,
) -> list[bytes]:
    """Make the proof file of each record (16 bytes), all against one index, the newest that is committed.

    Each is verified before it leaves, and `leaving` has the checkpoint of all of them with its size.

    Raises:
        IndexMissing: no index was committed yet, or the next one is just being made.
        NoteError: the published checkpoint is not one of this log.
        LedgerDamaged: what is stored does not prove it; nothing leaves.
    """
    with store.reading() as connection:
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        state = read_state(connection)
        committed = None if state is None else read_committed(connection, state.size)
        if state is None or committed is None:
            raise IndexMissing("no index is committed now; commit one, or ask again when it is made")
        receipt, checkpoint = _receipt(store, connection, committed, verifiers, origin)
        proofs = [
            CompletenessProof(
                record=record,
                entries=tuple(leaf for idx, leaf in read_chain(connection, record) if idx < state.size),
                size=state.size,
                root=state.root,
                proof=prove_record(store.database, connection, record),
                receipt=receipt,
            )
            for record in records
        ]
    leaving(*checkpoint)
    return [_verified(proof, verifiers, origin) for proof in proofs]


def _verified(proof: CompletenessProof, verifiers: Sequence[Verifier], origin: str) -> bytes:
    data = format_completeness(proof)
    try:
        verify_completeness(data, verifiers, origin)
    except LedgerError as failure:
        raise LedgerDamaged(f"what is stored does not prove record {proof.record.hex()}: {failure}") from failure
    return data


def _receipt(
    store: Store, connection: Connection, index: int, verifiers: Sequence[Verifier], origin: str
) -> tuple[bytes, tuple[bytes, int]]:
    """Make the receipt of an entry; with its checkpoint and the size of that."""
    try:
        note = read_receipt_note(connection, index + 1)
    except EntryMissing:
        raise IndexMissing("the newest index is not covered by a published checkpoint yet") from None
    checkpoint = open_checkpoint(note, verifiers, origin)
    proof = prove_inclusion(index, checkpoint.size, LogReader(store, TileCache()).node)
    return format_receipt(read_entry(connection, index), index, proof, note), (note, checkpoint.size)
