"""Publishing: when a durable log size becomes a signed checkpoint that may leave, and what witnesses say of it.

The order is always: read a committed size, sign, commit the signed row, only then let it leave. Two processes that
publish one log meet at the lock of the head row: whoever comes second throws its note away unseen, so that the first
checkpoint that covers an entry, once a receipt was made against it, stays the first.
"""

from __future__ import annotations

import enum
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import structlog
from sqlalchemy import Connection, select, text
from sqlalchemy.exc import DBAPIError

from ledger.appends.identity import Identity
from ledger.appends.signing import SigningKeys
from ledger.appends.trouble import Trouble
from ledger.canonical import format_time
from ledger.errors import LedgerDamaged, LedgerError, LedgerUnavailable, NoteError, SplitView, StoreError
from ledger.log import schema
from ledger.log.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from ledger.log.databases import Database
from ledger.log.reader import LogReader
from ledger.log.remembered import require_prefix
from ledger.log.store import Head, Store, cause_of, lock_head, read_head, read_witnessed_size
from ledger.merkle import prove_consistency, verify_consistency

_log = structlog.get_logger()
_UNLESS_THERE = "ON CONFLICT DO NOTHING"
_STANDBYS = text(
    "SELECT count(*) FILTER (WHERE r.state = 'streaming' AND r.flush_lsn >= CAST(:lsn AS pg_lsn)),"
    " count(*) FILTER (WHERE r.state = 'streaming'), count(*) FILTER (WHERE r.state IS NULL)"
    " FROM pg_stat_replication r LEFT JOIN pg_stat_activity a ON a.pid = r.pid WHERE a.datid IS NULL"
    " AND (r.application_name IS NULL OR r.application_name NOT IN ('pg_basebackup', 'pg_receivewal'))"
    " AND (cardinality(CAST(:names AS text[])) = 0 OR r.state IS NULL"
    " OR r.application_name = ANY(CAST(:names AS text[])))"
)
"""Who confirmed, who streams, and of whom this role is shown no more than that there is one.

A server that can be promoted reads the log of all databases: who is connected to one of them (logical replication) only
wants changes, and a backup is no server. Of names, the list says which count; empty, all.
"""
_STANDBY_POLL = 0.02
"""Seconds between two looks at the standby servers."""


class Signing(enum.Enum):
    """Who signs a checkpoint, and when."""

    INLINE = "inline"
    """The sequencer, in the transaction of each batch: the first durable answer carries its receipt."""
    INTERVAL = "interval"
    """A publisher, now and then: for keys in an HSM or behind a network, and for what must be confirmed before."""


class SignAfter(enum.Enum):
    """What must have happened before a checkpoint may leave."""

    LOCAL = "local"
    """The commit."""
    STANDBY = "standby"
    """A standby server has the entries on disk (PostgreSQL), and then their signed checkpoint: a fail-over loses
    nothing that was signed, and receipts stay what they are.
    """
    WITNESS = "witness"
    """The witnesses that the policy asks for have cosigned it."""


class Cosigners(Protocol):
    """Witnesses, as the publisher sees them (`ledger.witness`)."""

    def collect(self, note: bytes, size: int, prove: Callable[[int, int], list[bytes]]) -> list[str]:
        """Return verified signature lines for the checkpoint `note`; raises `SplitView` as `ledger.witness` does."""
        ...

    def satisfied(self, lines: Sequence[str]) -> bool:
        """Tell whether these lines are all that the policy asks for."""
        ...

    def close(self) -> None:
        """Close every connection."""
        ...


class NoCosigners:
    """Stands for witnesses in a process that does not publish: it asks nobody, and only follows what others publish."""

    def collect(self, _note: bytes, _size: int, _prove: Callable[[int, int], list[bytes]]) -> list[str]:
        """Return no line."""
        return []

    def satisfied(self, _lines: Sequence[str]) -> bool:
        """Tell that nothing satisfies: this process never publishes."""
        return False

    def close(self) -> None:
        """Do nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Publishing:
    """How checkpoints are published; `interval` in seconds is also how often witnesses are asked, and `standbys` are
    the `application_name` of the standby servers of which one must confirm, or none for any.
    """

    signing: Signing = Signing.INLINE
    sign_after: SignAfter = SignAfter.LOCAL
    interval: float = 1.0
    cosigners: Cosigners | None = None
    standbys: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        mistakes = []
        if self.interval <= 0:
            mistakes.append("the interval must be positive")
        if self.sign_after is not SignAfter.LOCAL and self.signing is Signing.INLINE:
            mistakes.append(f"sign_after {self.sign_after.value} needs signing at an interval")
        if self.sign_after is SignAfter.WITNESS and self.cosigners is None:
            mistakes.append("sign_after witness needs witnesses")
        if mistakes:
            raise StoreError("; ".join(mistakes))

    @property
    def needs_publisher(self) -> bool:
        """Tell whether anything is left to do after a commit."""
        return self.signing is Signing.INTERVAL or self.cosigners is not None


Act = Callable[[Connection], None]


def transactions(store: Store, run: Callable[[Callable[[], None]], None]) -> Callable[[Act], None]:
    """Make what runs a small change in one writing transaction; `run` brings it to the thread that writes."""

    def commit(act: Act) -> None:
        def job() -> None:
            try:
                with store.writing() as connection:
                    act(connection)
            except (DBAPIError, store.database.errors) as failure:
                raise LedgerUnavailable(f"nothing could be committed ({cause_of(failure)})") from failure

        run(job)

    return commit


class Publisher:
    """Publishes the log of one store, and tells who waits how far publication and witnessing have come.

    `commit` runs a function in one writing transaction, on the thread that writes; `left` has each checkpoint before
    it leaves, and `settled` lets the size of one that was only read pass, or raises.
    """

    def __init__(
        self,
        store: Store,
        reader: LogReader,
        identity: Identity,
        publishing: Publishing,
        *,
        commit: Callable[[Act], None],
        published: Callable[[int], None],
        witnessed: Callable[[int], None],
        failed: Callable[[LedgerDamaged], None],
        now: Callable[[], datetime],
        left: Callable[[bytes], None] = lambda _note: None,
        settled: Callable[[int], None] = lambda _size: None,
    ) -> None:
        if publishing.sign_after is SignAfter.STANDBY and store.database.name != "postgresql":
            raise StoreError("sign_after standby needs PostgreSQL")
        self._store = store
        self._reader = reader
        self._identity = identity
        self._signing = SigningKeys(identity)
        self._publishing = publishing
        self._commit = commit
        self._published = published
        self._witnessed = witnessed
        self._failed = failed
        self._now = now
        self._left = left
        self._settled = settled
        self._newest: Checkpoint | None = None
        self._stopped = threading.Event()
        self._cosigned = 0
        self._alone = False
        self._failing, self._few = Trouble(), Trouble()
        self._thread = threading.Thread(target=self._run, name="ledger-publish", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """End after the round that is under way."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()
        if self._publishing.cosigners is not None:
            self._publishing.cosigners.close()

    def _run(self) -> None:
        while not self._stopped.wait(self._publishing.interval):
            try:
                self.round()
            except LedgerDamaged as damage:
                _log.critical("the ledger is stopped", error=str(damage))
                self._failed(damage)
                return
            except LedgerError as failure:
                # The next round tries again; callers who wait for publication go on waiting within their deadlines.
                if self._failing.begins(type(failure).__name__):
                    _log.warning("publication failed; it is tried again", error=str(failure))
            except Exception as failure:  # whatever it is, nobody would publish any more
                if self._failing.begins(type(failure).__name__):
                    _log.critical("publication failed", error=type(failure).__name__)
            else:
                if self._failing.ends():
                    _log.info("publication succeeds again")

    def round(self) -> None:
        """Publish what is new, ask the witnesses, and wake who waits for either.

        Raises:
            LedgerDamaged: the log contradicts what it published, or what a witness proves that it signed: nothing may
                be signed any more.
            KeysRetired: others have retired every key that is here.
            LedgerUnavailable: the database or the standby did not answer in time.
        """
        with self._store.reading() as connection:
            head = read_head(connection)
        if head.published < head.size and self._publishing.signing is Signing.INTERVAL:
            head = self._publish(head)
        self._published(head.published)
        cosigners = self._publishing.cosigners
        if cosigners is not None and self._publishing.sign_after is not SignAfter.WITNESS:
            self._witness(head, cosigners)

    def _publish(self, head: Head) -> Head:
        with self._store.reading() as connection:  # whatever retired a key within the log of this size is read
            self._signing.look(connection)
        self._require_growth(head)
        if self._publishing.sign_after is SignAfter.STANDBY:
            self._await_standby()
        checkpoint = Checkpoint(origin=self._identity.origin, size=head.size, root=head.root)
        note = self._signed(checkpoint)
        if note is None:  # whoever waits is served by the larger one
            with self._store.reading() as connection:
                return read_head(connection)
        if self._publishing.sign_after is SignAfter.STANDBY:  # what repeats are answered with must survive as well
            self._await_standby()
        lines: list[str] = []
        cosigners = self._publishing.cosigners
        if cosigners is not None and self._publishing.sign_after is SignAfter.WITNESS:
            lines = self._collect(note, head.size, cosigners)
            if not lines:
                return head
        database = self._store.database
        self._commit(lambda connection: _publish(database, connection, head, note, lines))
        self._left(note)
        self._newest = checkpoint
        if lines:
            self._cosigned = head.size
            self._witnessed(head.size)
        return Head(size=head.size, root=head.root, published=head.size, note=note)

    def _require_growth(self, head: Head) -> None:
        """Never sign what does not continue the last published checkpoint, and the last that this process published."""
        if self._newest is not None:  # a fail-over may have lost it, and others may have appended since
            require_prefix(self._newest, "this process", head.size, head.root, self._reader.node)
        before = open_checkpoint(head.note, self._identity.verifiers, self._identity.origin)
        proof = prove_consistency(before.size, head.size, self._reader.node)
        try:
            verify_consistency(before.size, head.size, proof, before.root, head.root)
        except LedgerError as failure:
            raise LedgerDamaged(f"the log of size {head.size} does not continue its checkpoint") from failure

    def _signed(self, checkpoint: Checkpoint) -> bytes | None:
        """Return the note that was committed for this size, or sign one and commit it: it has not left yet.

        None if another process has published this size or a larger one meanwhile, without one of this size: receipts
        were made against that, and a repeated request must get the same.
        """
        with self._store.reading() as connection:
            stored = _stored_note(connection, checkpoint)
        if stored is not None:
            return stored
        note = sign_checkpoint(checkpoint, self._signing.signers)
        row = (checkpoint.size, checkpoint.root, note, format_time(self._now()))
        database = self._store.database
        kept: list[bytes | None] = []

        def keep(connection: Connection) -> None:
            head = lock_head(database, connection)
            found = _stored_note(connection, checkpoint)
            if found is None and head.published < checkpoint.size:
                with database.writing(connection) as writes:
                    writes.insert(schema.checkpoint, [row], _UNLESS_THERE)
                found = note
            kept.append(found)

        self._commit(keep)
        return kept[-1]

    def _await_standby(self) -> None:
        with self._store.reading() as connection:
            written = connection.execute(text("SELECT pg_current_wal_flush_lsn()")).scalar_one()
        while not self._stopped.is_set():
            with self._store.reading() as connection:
                confirmed, streaming, hidden = connection.execute(
                    _STANDBYS, {"lsn": str(written), "names": list(self._publishing.standbys)}
                ).one()
            if confirmed:
                self._alone = False
                return
            if not streaming and not self._alone:
                self._alone = True
                reason = "its role may not see the standbys: grant it pg_monitor" if hidden else self._nobody_streams()
                _log.warning("nothing is published until a standby confirms", reason=reason)
            self._stopped.wait(_STANDBY_POLL)
        raise LedgerUnavailable("the ledger is closing; no standby confirmed the newest entries")

    def _nobody_streams(self) -> str:
        names = self._publishing.standbys
        return f"none of the standbys {', '.join(names)} streams" if names else "no standby streams"

    def _witness(self, head: Head, cosigners: Cosigners) -> None:
        if head.published <= self._cosigned:
            return
        lines = self._collect(head.note, head.published, cosigners)
        if lines:
            database = self._store.database
            self._commit(lambda connection: _witness(database, connection, head.published, lines))
            self._cosigned = head.published
            self._witnessed(head.published)

    def _collect(self, note: bytes, size: int, cosigners: Cosigners) -> list[str]:
        self._settled(size)
        self._left(note)
        try:
            lines = cosigners.collect(note, size, self._reader.consistency)
        except SplitView as split:
            self._require_one_history(split)
            # A witness's word cannot stop the log, but somebody must look: either it lies, or hides what it holds.
            _log.critical("a witness says that this log has another history", error=str(split), size=size)
            lines = list(split.lines)
        if cosigners.satisfied(lines):
            if self._few.ends():
                _log.info("enough witnesses again", size=size, count=len(lines))
            return sorted(lines)
        if self._few.begins("few"):
            _log.warning("too few witnesses", size=size, count=len(lines))
        return []

    def _require_one_history(self, split: SplitView) -> None:
        """Require that the log continues what it signed itself, whoever shows that; what it did not sign says nothing.

        Raises:
            LogShrunk, LedgerDamaged: it does not. Going on would sign a second history.
        """
        with self._store.reading() as connection:
            head = read_head(connection)
        for name, note in split.proofs.items():
            try:
                signed = open_checkpoint(note, self._identity.verifiers, self._identity.origin)
            except NoteError:
                continue
            require_prefix(signed, f"witness {name}", head.size, head.root, self._reader.node)


def _stored_note(connection: Connection, checkpoint: Checkpoint) -> bytes | None:
    table = schema.checkpoint
    row = connection.execute(select(table).where(table.c.size == checkpoint.size)).one_or_none()
    if row is None:
        return None
    if bytes(row.root) != checkpoint.root:
        raise LedgerDamaged(f"another root was signed for size {checkpoint.size}")
    return bytes(row.note)


def _publish(database: Database, connection: Connection, head: Head, note: bytes, lines: Sequence[str]) -> None:
    table = schema.head
    _witness(database, connection, head.size, lines)
    # Whoever published a larger size meanwhile is not taken back.
    moved = table.update().where(table.c.id == 1, table.c.published < head.size).values(published=head.size, note=note)
    connection.execute(moved)


def _witness(database: Database, connection: Connection, size: int, lines: Sequence[str]) -> None:
    """Keep the cosignatures of a size, all at once: the first complete set is the one that receipts carry for ever.

    Those of a size below one that is witnessed already come too late: receipts were made against that.
    """
    lock_head(database, connection)
    if lines and read_witnessed_size(connection) < size:
        with database.writing(connection) as writes:
            writes.insert(schema.cosignature, [(size, line) for line in lines], _UNLESS_THERE)
