"""Stored anchors: a table that only grows, beside the log and not part of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType
from typing import Self

from sqlalchemy import Row, select
from sqlalchemy.exc import DBAPIError

from ledger.anchors.authority import Stamp, TimestampAuthority
from ledger.anchors.token import Roots, verify_anchor
from ledger.canonical import format_time, parse_time
from ledger.errors import AnchorError, LedgerUnavailable
from ledger.log import schema
from ledger.log.checkpoint import read_checkpoint
from ledger.log.store import Store, cause_of, open_store, read_bare_note, read_head

RFC3161 = "rfc3161"
_PAGE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """One stored anchor: of the checkpoint of `size`, the outsider's time, its proof and the note it is about."""

    size: int
    kind: str
    at: datetime
    token: bytes = field(repr=False)
    note: bytes = field(repr=False)


class AnchorRegister:
    """The anchors of one ledger. Usable beside a running writer: it touches nothing that a writer relies upon."""

    def __init__(self, store: Store) -> None:
        self._store = store
        # Its own connection, without the writer's lock: an insert here waits for a running commit, and is over soon.
        self._writer = store.database.writer()

    @classmethod
    def open(cls, url: str) -> Self:
        """Open the anchors of an existing ledger; raises as `open_store` does."""
        return cls(open_store(url, readers=1))

    def anchor(self, authority: TimestampAuthority) -> Anchor | None:
        """Have the newest checkpoint stamped and store the stamp; None if it has been stamped already.

        Raises:
            AnchorUnavailable, AnchorError: there is no stamp, or none that holds; nothing is stored.
            LedgerUnavailable: the store cannot be read or written.
        """
        with self._store.reading() as connection:
            note = read_head(connection).note
            size = read_checkpoint(note).size
            note = read_bare_note(connection, size)
            known = select(schema.anchor.c.at).where(schema.anchor.c.size == size, schema.anchor.c.kind == RFC3161)
            if connection.execute(known.limit(1)).first() is not None:
                return None
        return self._add(size, note, authority.stamp(note))

    def _add(self, size: int, note: bytes, stamp: Stamp) -> Anchor:
        row = {"size": size, "kind": RFC3161, "at": format_time(stamp.at), "token": stamp.token}
        try:
            with self._writer.begin() as connection:
                connection.execute(schema.anchor.insert().values(row))
        except DBAPIError as failure:
            raise LedgerUnavailable(f"the anchor cannot be stored ({cause_of(failure)})") from failure
        return Anchor(size=size, kind=RFC3161, at=stamp.at, token=stamp.token, note=note)

    def anchors(self) -> Iterator[Anchor]:
        """Read every anchor with the checkpoint it is about, smallest first."""
        table, notes = schema.anchor, schema.checkpoint
        question = (
            select(table, notes.c.note)
            .join(notes, notes.c.size == table.c.size)
            .order_by(table.c.size, table.c.kind, table.c.at)
        )
        after = 0
        while True:
            with self._store.reading() as connection:
                page = connection.execute(question.limit(_PAGE).offset(after)).all()
            yield from map(_anchor, page)
            after += len(page)
            if len(page) < _PAGE:
                return

    def count(self) -> int:
        """Count the stored anchors."""
        from sqlalchemy import func

        with self._store.reading() as connection:
            return int(connection.execute(select(func.count()).select_from(schema.anchor)).scalar_one())

    def close(self) -> None:
        """Close every connection."""
        self._writer.dispose()
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def verify_stored(anchor: Anchor, roots: Roots) -> datetime:
    """Verify a stored anchor against the stored checkpoint, and return its time.

    Raises:
        AnchorError: it does not hold, is of an unknown kind, or another time is stored than it says.
    """
    if anchor.kind != RFC3161:
        raise AnchorError(f"anchors of kind {anchor.kind!r} are not known here")
    at = verify_anchor(anchor.token, anchor.note, roots)
    if at != anchor.at:
        raise AnchorError("another time is stored than the time stamp says")
    return at


def _anchor(row: Row[tuple[object, ...]]) -> Anchor:
    return Anchor(size=row.size, kind=row.kind, at=parse_time(row.at), token=bytes(row.token), note=bytes(row.note))
