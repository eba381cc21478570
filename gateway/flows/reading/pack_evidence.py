"""Hand out everything that proves a commitment, as one file, to who may see the commitment; recorded before it leaves.

A pack names a person unmasked, so that who took one must be known: the system that called, which commitment, and the
digest of the file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from gateway.errors import LetterMissing, LetterUnprintable, PackTooLarge
from gateway.evidence_pack.collecting import Circumstances, collect
from gateway.flows.await_receipts import when_published
from gateway.flows.look_up import LookUp
from gateway.flows.once import Once
from gateway.flows.reading.write_letter import Form, WriteLetter
from gateway.rules.roles import Caller
from ledger import Draft, Erased, HistoryLine, IndexMissing, Ledger, RecordRow, VaultGroup, new_record
from ledger.log.checkpoint import read_checkpoint


class PackEvidence:
    """Writes evidence packs from the open ledger."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        look_up: LookUp,
        write_letter: WriteLetter,
        circumstances: Circumstances,
        once: Once,
        now: Callable[[], datetime],
        entropy: Callable[[int], bytes],
    ) -> None:
        self._ledger = ledger
        self._once = once
        self._now = now
        self._entropy = entropy
        self._look_up = look_up
        self._write_letter = write_letter
        self._circumstances = circumstances

    async def pack(self, record: bytes, caller: Caller, most: int) -> bytes:
        """Write the pack of a commitment of the caller's own unit, or of any for an auditor.

        Raises:
            RecordNotFound: no such commitment that the caller may see, or it was not signed.
            DocumentErased: its document was erased.
            NotYetPublished: nothing proves it yet.
            EvidenceMissing: a part of it is not kept here.
            PackTooLarge: it has more than `most` bytes.
        """
        row = await self._look_up.visible("commitment", record, caller)
        letter = await self._letter(row.record, caller)
        pack = await when_published(self._ledger, lambda: self._collect(row.record, letter))
        if len(pack) > most:
            raise PackTooLarge(len(pack), most)
        await self._record(row, caller, pack)
        return pack

    async def _collect(self, record: bytes, letter: bytes | None) -> bytes:
        return await self._ledger.read(lambda: collect(_Open(self._ledger), record, self._circumstances, letter=letter))

    async def _record(self, row: RecordRow, caller: Caller, pack: bytes) -> None:
        at = self._now()
        draft = Draft(
            kind="CommitmentsExported",
            record=new_record(at, self._entropy),
            groups={
                "selection": {"record": row.record.hex()},
                "file": {"format": "EVIDENCE_PACK", "rows": 1, "sha256": hashlib.sha256(pack).hexdigest()},
                "caller": {"system": caller.id, "unit": caller.unit},
            },
            facts={"subject": row.subject.hex() if row.subject else None, "unit": caller.unit},
        )
        await self._once.record(None, [draft], at=at)

    async def _letter(self, record: bytes, caller: Caller) -> bytes | None:
        """Print the letter; the pack proves as much without it, so one that cannot be printed here is left out."""
        try:
            return (await self._write_letter(record, caller, Form.PDF)).content
        except (LetterMissing, LetterUnprintable):
            return None


class _Open:
    """An open ledger as a `RecordReader`."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def history(self, record: bytes) -> Sequence[HistoryLine]:
        return self._ledger.register().history(record)

    def document(self, index: int) -> Mapping[str, VaultGroup] | Erased:
        return self._ledger.document(index)

    def complete(self, records: Sequence[bytes]) -> Sequence[bytes] | None:
        try:
            return self._ledger.prove_completeness_of(records)
        except IndexMissing:
            return None

    def published(self) -> int:
        return read_checkpoint(self._ledger.checkpoint()).size

    def rests_on(self, record: bytes) -> Sequence[RecordRow]:
        return self._ledger.register().rests_on(record)

    def receipts(self, indices: Sequence[int], size: int | None = None) -> list[bytes]:
        return self._ledger.receipts(indices, size)
