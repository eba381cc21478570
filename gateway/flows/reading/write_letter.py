"""Write the letter of a commitment: as it stands now, for whoever may see it."""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gateway.errors import LetterMissing
from gateway.flows.commitments.signing import signed_at
from gateway.flows.look_up import Life, LookUp, receipt_size
from gateway.letters.document import DOCUMENT
from gateway.letters.layout import LETTER_STATES, Layout, Signing, Standing, lay_out
from gateway.letters.pdf import Printer, Sheet
from gateway.letters.plain import plain_text
from gateway.letters.reference import Reference
from gateway.rules.kept import table, text
from gateway.rules.roles import Caller
from ledger import HistoryLine, Ledger, RecordRow, disclose
from ledger.canonical import Json, canonical
from ledger.merkle import hash_leaf


class Form(enum.Enum):
    """The form of a letter; the value is its media type."""

    PDF = "application/pdf"
    TEXT = "text/plain; charset=utf-8"
    DOCUMENT = "application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A letter."""

    form: Form
    content: bytes = field(repr=False)


class WriteLetter:
    """Writes letters; `origin` names the log, `where` the address at which a commitment can be looked up."""

    def __init__(self, *, ledger: Ledger, look_up: LookUp, printer: Printer, origin: str, where: str) -> None:
        self._ledger = ledger
        self._look_up = look_up
        self._printer = printer
        self._origin = origin
        self._where = where

    async def __call__(self, record: bytes, caller: Caller, form: Form) -> Written:
        """Write the letter of a commitment of the caller's unit, or of any for an auditor.

        Raises:
            RecordNotFound: there is none, or it is not the caller's to see.
            LetterMissing: the record is a refusal, for which no document was handed out.
            DocumentErased: it was erased by order or at the end of its retention.
            NotYetPublished: nothing proves it yet.
            LetterUnprintable, LettersWaiting: it cannot be printed here, or not now.
        """
        life = await self._look_up.life(await self._look_up.visible("commitment", record, caller))
        prepared = _newest(life.history, "CommitmentPrepared")
        if prepared is None or life.state not in LETTER_STATES:
            raise LetterMissing
        groups = await self._look_up.groups(record, prepared.idx)
        document = table(groups[DOCUMENT].value)
        content = canonical(document)
        if form is Form.DOCUMENT:
            return Written(form=form, content=content)
        layout, receipt, of_notice = await self._arranged(life, prepared, document, content)
        if form is Form.TEXT:
            return Written(form=form, content=plain_text(layout).encode())
        sheet = Sheet(
            layout=layout,
            made_at=life.changed_at,
            document=content,
            receipt=receipt,
            disclosure=disclose(of_notice, groups, DOCUMENT),
        )
        return Written(form=form, content=await self._printer(sheet))

    async def _arranged(
        self, life: Life, prepared: HistoryLine, document: Mapping[str, Json], content: bytes
    ) -> tuple[Layout, bytes, bytes]:
        """Arrange the letter; with it go the receipt of the signed commitment, or else of the notice given, and that
        of the notice, which commits to the document.
        """
        recorded = _newest(life.history, "CommitmentRecorded")
        proved = recorded or prepared
        receipt, of_notice = await self._look_up.receipts([proved.idx, prepared.idx])
        reference = Reference(
            origin=self._origin,
            record=life.row.record,
            index=proved.idx,
            size=receipt_size(receipt),
            leaf=hash_leaf(await self._ledger.look(lambda: self._ledger.entry(proved.idx))),
            document=hashlib.sha256(content).digest(),
            where=self._where,
        )
        standing = Standing(
            state=life.state,
            changed_at=life.changed_at,
            signing=None if recorded is None else await self._signing(life.row, recorded),
            reference=reference,
        )
        return lay_out(document, standing), receipt, of_notice

    async def _signing(self, row: RecordRow, recorded: HistoryLine) -> Signing:
        kept = table((await self._look_up.document(row.record, recorded.idx))["signature"])
        evidence = text(kept.get("type", "certificate"))
        return Signing(at=signed_at(kept, recorded.at), evidence=evidence, algorithm=text(kept["algorithm"]))


def _newest(history: Sequence[HistoryLine], kind: str) -> HistoryLine | None:
    return next((line for line in reversed(history) if line.kind == kind), None)
