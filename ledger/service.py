"""`Ledger`: the one door through which the gateway appends and reads."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import structlog
from msgspec.structs import replace

from ledger.appends.admission import admit
from ledger.appends.appender import Appender
from ledger.appends.following import Follower
from ledger.appends.identity import Identity
from ledger.appends.publishing import Publisher, Publishing, SignAfter, Signing, transactions
from ledger.appends.receipts import complete
from ledger.appends.sequencer import Sequencer, load_tree, read_replays
from ledger.appends.settling import Settled
from ledger.appends.values import Appended, Level, Replay, Sequenced, Submission
from ledger.appends.waiting import Milestone, Patience
from ledger.completeness.commits import CommittedIndex, IndexCommitter
from ledger.completeness.prover import prove_completeness
from ledger.errors import (
    EntryUnpublished,
    LedgerClosed,
    LedgerDamaged,
    LedgerUnavailable,
    ProofError,
    ReceiptLate,
    StoreError,
)
from ledger.log import schema
from ledger.log.checkpoint import open_checkpoint, read_checkpoint
from ledger.log.note import Signer, Verifier
from ledger.log.reader import LogReader, read_entry
from ledger.log.remembered import Remembered
from ledger.log.store import Store, open_store, read_covering_note, read_head, read_receipt_note, read_witnessed_size
from ledger.log.tiles import TileCache
from ledger.lookups import Key, Lookups, Value
from ledger.merkle import hash_leaf, verify_inclusion
from ledger.publication.resources import Publication
from ledger.receipt import format_receipt
from ledger.records.codec import decode_entry
from ledger.records.projections import RecordRow
from ledger.records.register import Register
from ledger.sharing.client import SharedAppender
from ledger.vault import Erased, MasterKeys, Vault, VaultGroup, read_document, read_documents
from ledger.vault.trial import require_master_keys

_log = structlog.get_logger()
Answer = TypeVar("Answer")
_LAST_WAIT = 10.0
"""Seconds for which a database is waited for when the ledger is to be closed."""


class Ledger:
    """An open ledger that may append. Made by `Ledger.open`; close it, or use it as a context manager."""

    def __init__(
        self,
        store: Store,
        identity: Identity,
        vault: Vault,
        publishing: Publishing,
        *,
        entropy: Callable[[int], bytes],
        readers: int,
        seen: Remembered | None = None,
        patience: Patience | None = None,
    ) -> None:
        self._store = store
        self._identity = identity
        self._vault = vault
        self._entropy = entropy
        # With sign_after witness nothing is published without its cosignatures, so no receipt is without them.
        self._always_witnessed = publishing.sign_after is SignAfter.WITNESS
        self._publishes_later = publishing.signing is Signing.INTERVAL
        self._tiles = TileCache()
        self._reader = LogReader(store, self._tiles)
        self._register = Register(store)
        self._pool = ThreadPoolExecutor(readers, thread_name_prefix="ledger-read")
        with store.reading() as connection:
            head = read_head(connection)
            load_tree(connection, head, identity)
            witnessed = read_witnessed_size(connection)
        # On SQLite a question costs less than a thread hop, and never waits for a lock.
        self._reads_here = store.database.name == "sqlite"
        self._lookups = self.lookups(self._look_up)
        self._holders = self.lookups(self._register.holders)
        self._published, self._witnessed = Milestone(head.published), Milestone(witnessed)
        self._appender: Appender | SharedAppender
        self._progress: Publisher | Follower | None = None
        self._seen = seen
        self._patience = patience
        self._left = _nobody if seen is None else seen.left
        self._settled = Settled()
        self._damage: LedgerDamaged | None = None
        self._tell: Callable[[LedgerDamaged], None] = _nobody
        self._hurry: threading.Timer | None = None
        self._publication = Publication(store, leaving=self._leaving)

    @classmethod
    def open(
        cls,
        url: str,
        *,
        origin: str,
        signer: Signer,
        verifiers: Sequence[Verifier],
        master_keys: MasterKeys,
        now: Callable[[], datetime],
        entropy: Callable[[int], bytes] = os.urandom,
        cosigners: Sequence[Signer] = (),
        publishing: Publishing | None = None,
        capacity: int = 4096,
        readers: int = 4,
        seen: Remembered | None = None,
        patience: Patience | None = None,
    ) -> Self:
        """Open an existing ledger for appending, and check that what is stored at its right edge is sound.

        `cosigners` are further keys that sign each checkpoint (a line each); `publishing` says when checkpoints are
        signed (with each commit, by default); `capacity` is how many submissions may wait, `readers` how many reads
        may run at once; `seen` is what is known of the log outside its database; `patience` is how long a thread that
        blocks waits for its receipt, for ever by default.

        Raises:
            StoreMissing, SchemaNewer, SchemaOlder: there is no store this program can open.
            StoreError: the database cannot do what `publishing` asks for.
            LedgerLocked: the SQLite file has a writer already.
            WrongKey, WrongOrigin: it is another log than configured.
            LedgerDamaged: head, tiles and checkpoint contradict each other.
            LogShrunk, LedgerDamaged, RememberedUnusable: it does not continue what `seen` remembers.
            MasterKeysWrong: the master keys are not those of its documents.
            LedgerUnavailable: the database cannot be reached.
        """
        identity = Identity(origin=origin, signers=(signer, *cosigners), verifiers=tuple(verifiers))
        publishing = publishing or Publishing()
        store = open_store(url, readers=readers + 1)
        try:
            store.start_writing()
            vault = Vault(master_keys, origin, entropy)
            require_master_keys(store, vault)
            ledger = cls(
                store, identity, vault, publishing, entropy=entropy, readers=readers, seen=seen, patience=patience
            )  # fmt: skip
            ledger._write_here(publishing, now, capacity)
        except BaseException:
            store.close()
            raise
        return ledger

    @classmethod
    def join(
        cls,
        url: str,
        owner: Path,
        *,
        origin: str,
        verifiers: Sequence[Verifier],
        master_keys: MasterKeys,
        entropy: Callable[[int], bytes] = os.urandom,
        publishing: Publishing | None = None,
        capacity: int = 4096,
        readers: int = 4,
        seen: Remembered | None = None,
    ) -> Self:
        """Share an SQLite ledger whose owner (`ledger.sharing`) listens on the socket `owner`; needs no signing key.

        Reads go to the file, appends to the owner; `publishing` must be what the owner was told.

        Raises:
            As `open`, but for `LedgerLocked`.
        """
        identity = Identity(origin=origin, signers=(), verifiers=tuple(verifiers))
        publishing = publishing or Publishing()
        store = open_store(url, readers=readers + 1)
        try:
            vault = Vault(master_keys, origin, entropy)
            require_master_keys(store, vault)
            ledger = cls(store, identity, vault, publishing, entropy=entropy, readers=readers, seen=seen)
            ledger._advance()
        except BaseException:
            store.close()
            raise
        ledger._appender = SharedAppender(owner, origin, capacity, ledger._damaged, ledger._left)
        if publishing.needs_publisher:
            ledger._progress = Follower(store, ledger._published, ledger._witnessed, publishing.interval)
            ledger._progress.start()
        return ledger

    def _write_here(self, publishing: Publishing, now: Callable[[], datetime], capacity: int) -> None:
        inline = publishing.signing is Signing.INLINE
        sequencer = Sequencer(
            self._store, self._identity, now, self._tiles.put_all, complete, inline=inline, left=self._left,
            settled=self._settled.tell,
        )  # fmt: skip
        appender = Appender(sequencer.commit, capacity, self._damaged)
        if self._store.database.name == "postgresql":  # a file has no standby, and one that is read is there
            self._settled.settle_by(appender.settle)
        try:
            self._advance()
        except BaseException:
            self._store.interrupt()  # what began to be settled may wait for long
            appender.close()
            raise
        self._appender = appender
        if publishing.needs_publisher:
            self._progress = Publisher(
                self._store, self._reader, self._identity, publishing,
                commit=transactions(self._store, appender.run), published=self._published.tell,
                witnessed=self._witnessed.tell, failed=appender.stop, now=now, left=self._left,
                settled=self._settled.require,
            )  # fmt: skip
            self._progress.start()

    def _advance(self) -> None:
        """Require that the log continues what is remembered of it, and remember what may be told of it."""
        if self._seen is not None:
            self._seen.advance(
                self._store, self._identity.verifiers, self._identity.origin, settled=self._settled.require
            )  # fmt: skip

    def _leaving(self, note: bytes, size: int) -> None:
        """Let a checkpoint leave that was read: only if it stays, and so that this process never contradicts it."""
        self._settled.require(size)
        self._left(note)

    async def append(self, submission: Submission, level: Level = Level.PUBLISHED) -> Appended:
        """Append, and return when it is durable and has come as far as `level`.

        With `SEQUENCED` it has its receipts all the same where each commit is signed; else they are waited for by
        `published`, and made by `prove`.

        Raises:
            SubmissionError, TransitionRefused, RecordChanged, AlreadyClaimed, IdempotencyConflict: refused; nothing was
                written.
            LedgerOverloaded: too many wait already; nothing was written.
            LedgerUnavailable: not known to be durable; ask again with the same idempotency key.
            LedgerDamaged: stored data contradict each other; nothing more is appended.
        """
        admitted, openings = admit(submission, self._vault, self._entropy)
        answer = await self._appender.submit(admitted)
        appended = await self._replayed(answer) if isinstance(answer, Replay) else replace(answer, openings=openings)
        if self._is_at(appended, level):
            return appended
        end = _end(appended)
        while True:
            await self._milestone(level).wait(end)
            try:
                return await self.read(lambda: self._covered(appended, level))
            except EntryUnpublished:
                await self.read(lambda: self.take_back(end, level))

    @property
    def publishes_later(self) -> bool:
        """Whether what is appended is published by itself later, and not with its commit."""
        return self._publishes_later

    def prove(self, appended: Appended) -> Appended:
        """Make the receipts of what was appended, against the first published checkpoint that covers it.

        Raises:
            EntryUnpublished: none does yet.
            LedgerUnavailable: a fail-over lost it, or it is not sure that it stays.
        """
        return self._covered(appended, Level.PUBLISHED)

    def append_blocking(self, submission: Submission, level: Level = Level.PUBLISHED) -> Appended:
        """Append as `append` does, blocking this thread.

        Raises:
            ReceiptLate: it is recorded, and did not come as far as `level` in the time that `open` was given.
        """
        admitted, openings = admit(submission, self._vault, self._entropy)
        answer = self._appender.append_blocking(admitted)
        appended = self.replay(answer) if isinstance(answer, Replay) else replace(answer, openings=openings)
        return self.await_receipts(appended, level)

    def await_receipts(self, appended: Appended, level: Level = Level.PUBLISHED) -> Appended:
        """Block this thread until what was appended has come as far as `level`; raises as `append_blocking` does."""
        if self._is_at(appended, level):
            return appended
        end = _end(appended)
        while True:
            self.published_blocking(end, level)
            try:
                return self._covered(appended, level)
            except EntryUnpublished:
                self.take_back(end, level)

    def published_blocking(self, size: int, level: Level = Level.PUBLISHED) -> None:
        """Block this thread until a checkpoint at `level` covers the first `size` entries.

        Raises:
            ReceiptLate: none did in the time that `open` was given.
            StoreError, LedgerDamaged, LedgerClosed: as `published`.
        """
        try:
            self._milestone(level).wait_blocking(size, self._patience)
        except TimeoutError:
            record = decode_entry(self.entry(size - 1)).record
            raise ReceiptLate(size - 1, record, 0.0 if self._patience is None else self._patience.seconds) from None

    async def _replayed(self, replay: Replay) -> Appended:
        return await self.read(lambda: self.replay(replay))

    async def published(self, size: int) -> None:
        """Return when a published checkpoint covers the first `size` entries.

        Raises:
            StoreError: nothing but the next append publishes anything here.
            LedgerDamaged, LedgerClosed: nothing more is published.
        """
        await self._milestone(Level.PUBLISHED).wait(size)
        if self._always_witnessed:  # what was published before that was asked for may be without
            await self._witnessed.wait(size)

    def take_back(self, size: int, level: Level = Level.PUBLISHED) -> None:
        """Forget what was told of publication where the database says that it has not come to `size`: a fail-over may
        lose the newest checkpoint, and `published` then waits for it again.

        Raises:
            LedgerDamaged: it says that it has, and does not hold the checkpoint.
        """
        by_witnesses = level is Level.WITNESSED or self._always_witnessed
        with self._store.reading() as connection:
            published, witnessed = read_head(connection).published, read_witnessed_size(connection)
            if (witnessed if by_witnesses else published) >= size:
                try:
                    read_covering_note(connection, size, witnessed=by_witnesses)
                except EntryUnpublished as missing:
                    raise LedgerDamaged("the published checkpoint is not kept") from missing
        self._published.take_back(published)
        self._witnessed.take_back(witnessed)

    def _is_at(self, appended: Appended, level: Level) -> bool:
        if level is Level.SEQUENCED:
            return True
        return bool(appended.receipts) and (level is Level.PUBLISHED or self._always_witnessed)

    def _milestone(self, level: Level) -> Milestone:
        if self._progress is None:
            raise StoreError(f"nothing of this ledger is {level.value.lower()}: no publisher is configured")
        return self._witnessed if level is Level.WITNESSED else self._published

    def _covered(self, appended: Appended, level: Level) -> Appended:
        first, count = appended.entries[0].index, len(appended.entries)
        witnessed = level is Level.WITNESSED or self._always_witnessed
        proved = self._proved(first, count, witnessed=witnessed)
        if proved.entries != appended.entries:
            raise LedgerUnavailable("a fail-over lost what was recorded: ask again")
        return replace(proved, replayed=appended.replayed, openings=appended.openings)

    @property
    def damage(self) -> LedgerDamaged | None:
        """Why nothing is appended here any more, None while all is well."""
        return self._damage

    def watch(self, tell: Callable[[LedgerDamaged], None]) -> None:
        """Have `tell` called, on any thread, when nothing is appended here any more; at once if that is so already."""
        self._tell = tell
        if self._damage is not None:
            tell(self._damage)

    def _damaged(self, damage: LedgerDamaged) -> None:
        """Tell those who wait and those who watch, once the next start is sure to find what this process knows."""
        self._damage = damage
        if self._seen is not None:
            try:
                self._seen.hold(damage, self._identity.verifiers, self._identity.origin)
            except OSError as failure:
                _log.critical("the newest checkpoint could not be remembered", error=str(failure))
        self._published.fail(damage)
        self._witnessed.fail(damage)
        self._tell(damage)

    async def read(self, question: Callable[[], Answer]) -> Answer:
        """Run a read of this ledger in its small pool of threads: `await ledger.read(lambda: ledger.entry(7))`."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, question)

    async def look(self, question: Callable[[], Answer]) -> Answer:
        """Run a read of few rows by their keys: for SQLite on the loop's own thread, where it costs less than a hop
        to another one; else as `read` does. What may read many rows must not be asked this way: nobody else is served
        meanwhile.
        """
        return question() if self._reads_here else await self.read(question)

    @asynccontextmanager
    async def turn(self, what: str) -> AsyncIterator[bool]:
        """Take the turn at something that one process at a time does, or tell that another has it; waits for nobody.

        Processes and hosts that share a PostgreSQL database share its turns. An SQLite file has one writer, who is
        alone. The turn ends with the block, or earlier if the connection to the database is lost: what must not happen
        twice under any circumstances needs a claim (`Submission.claim_keys`) besides.

        Raises:
            LedgerUnavailable: the database cannot be asked.
        """
        stack = ExitStack()
        taking = asyncio.ensure_future(self.read(lambda: stack.enter_context(self._store.turn(what))))
        try:
            yield await asyncio.shield(taking)
        finally:
            await asyncio.wait([taking])  # who is cancelled meanwhile must not leave the turn taken
            await self.read(stack.close)

    def lookups(self, ask: Callable[[Sequence[Key]], Mapping[Key, Value]], *, few: bool = True) -> Lookups[Key, Value]:
        """Make a way to read by key in which what is asked in one turn of a loop is one question.

        `ask` gives the values of those keys that have one; `few` promises few rows for each key (see `look`).
        """
        return Lookups(ask, None if few and self._reads_here else self._pool)

    def lookup(self, key: bytes) -> Replay | None:
        """Tell what an idempotency key was used for, before any work is done."""
        return self._look_up([key]).get(key)

    async def find(self, key: bytes) -> Replay | None:
        """Tell what an idempotency key was used for; what is asked in one turn of the loop is one question."""
        return await self._lookups.one(key)

    async def holders(self, keys: Sequence[bytes]) -> Mapping[bytes, RecordRow]:
        """Tell which records hold some claims, by claim; what is asked in one turn of the loop is one question.

        Claims nobody holds are not in the answer; those that others asked about at the same moment may be.
        """
        return await self._holders.find(keys)

    def _look_up(self, keys: Sequence[bytes]) -> dict[bytes, Replay]:
        return read_replays(self._store.quick_many(schema.idempotency, "key", keys))

    def replay(self, replay: Replay) -> Appended:
        """Give the first answer to a submission again, byte for byte; without receipts if none could be made yet.

        Raises:
            LedgerUnavailable: it is not sure that it stays, and is not told now.
        """
        try:
            return self._proved(replay.first_idx, replay.count, witnessed=self._always_witnessed)
        except EntryUnpublished:
            self._settled.require(replay.first_idx + replay.count)
            indices = range(replay.first_idx, replay.first_idx + replay.count)
            return Appended(tuple(_sequenced(index, self.entry(index)) for index in indices), 0, (), True)

    def _proved(self, first: int, count: int, *, witnessed: bool) -> Appended:
        """Make the receipts of some neighbours against the first checkpoint that covered them all."""
        with self._store.reading() as connection:
            note = read_covering_note(connection, first + count, witnessed=witnessed)
            checkpoint = open_checkpoint(note, self._identity.verifiers, self._identity.origin)
            entries, receipts = [], []
            for index in range(first, first + count):
                leaf = read_entry(connection, index)
                proof = self._reader.prove(index, checkpoint.size)
                _require_sound(leaf, index, checkpoint.size, proof, checkpoint.root)
                entries.append(_sequenced(index, leaf))
                receipts.append(format_receipt(leaf, index, proof, note))
        self._leaving(note, checkpoint.size)
        return Appended(tuple(entries), checkpoint.size, tuple(receipts), True)

    def receipt(self, index: int, size: int | None = None) -> bytes:
        """Return the receipt of an entry against the published checkpoint of `size`, cosignatures included.

        By default that is the newest one that is witnessed, if one covers the entry, else the newest; of those that
        this process knows to stay, where one of them covers it.

        Raises:
            EntryMissing: there is no such entry, or no such published checkpoint that covers it.
            EntryUnpublished: of any size, none covers it yet (`published` waits for one).
            LedgerDamaged: the proof made from the stored tiles does not verify; it does not leave.
            LedgerUnavailable: it is not sure that the checkpoint stays, and it does not leave now.
        """
        return self._receipts([index], size)[0]

    def receipts(self, indices: Sequence[int], size: int | None = None) -> list[bytes]:
        """Return the receipts of some entries, all against one checkpoint, chosen and refused as by `receipt`."""
        return self._receipts(indices, size) if indices else []

    def _receipts(self, indices: Sequence[int], size: int | None) -> list[bytes]:
        receipts = []
        with self._store.reading() as connection:
            # Another process may have appended a moment ago: what is known to stay is told without a write.
            note = read_receipt_note(connection, max(indices) + 1, size, settled=self._settled.size)
            checkpoint = open_checkpoint(note, self._identity.verifiers, self._identity.origin)
            for index in indices:
                leaf = read_entry(connection, index)
                proof = self._reader.prove(index, checkpoint.size)
                _require_sound(leaf, index, checkpoint.size, proof, checkpoint.root)
                receipts.append(format_receipt(leaf, index, proof, note))
        self._leaving(note, checkpoint.size)
        return receipts

    def entry(self, index: int) -> bytes:
        """Return the bytes of an entry; raises `EntryMissing`."""
        return self._reader.entry(index)

    def document(self, index: int) -> dict[str, VaultGroup] | Erased:
        """Return the document behind an entry, with the salts that open its commitments, or that it is erased.

        Raises:
            EntryMissing: there is no such entry, or it never had a document.
            VaultError: it cannot be decrypted.
        """
        with self._store.reading() as connection:
            entry = decode_entry(read_entry(connection, index))
            return read_document(connection, self._vault, index, entry.record)

    def documents(self, entries: Mapping[int, bytes]) -> dict[int, dict[str, VaultGroup] | Erased]:
        """Return the documents behind some entries, given by index with their records; those without one are left out.

        Raises:
            VaultError: one cannot be decrypted, or is not of the record given.
        """
        with self._store.reading() as connection:
            return read_documents(connection, self._vault, entries)

    def consistency(self, old: int, new: int) -> list[bytes]:
        """Prove that the log of size `new` begins with the log of size `old`."""
        return self._reader.consistency(old, new)

    def checkpoint(self, size: int | None = None) -> bytes:
        """Return the newest published checkpoint, or the one of `size`, with the cosignatures it has by now.

        Raises:
            EntryMissing: none of this size is published.
            LedgerUnavailable: it is not sure that it stays, and it does not leave now.
        """
        note = self._reader.checkpoint(size)
        self._leaving(note, read_checkpoint(note).size)
        return note

    def size(self) -> int:
        """Return how many entries are committed."""
        return self._reader.size()

    def register(self) -> Register:
        """Return the questions about the current state of records."""
        return self._register

    def publication(self) -> Publication:
        """Return the resources that this log publishes."""
        return self._publication

    def remember(self) -> None:
        """Require that the log continues what is remembered of it outside, and remember its newest checkpoint there.

        Raises:
            LogShrunk, LedgerDamaged, RememberedUnusable: it does not: stop serving.
            LedgerUnavailable, OSError: nothing could be read, or remembered, now.
        """
        try:
            self._advance()
        except LedgerDamaged as damage:
            if isinstance(self._appender, Appender):  # what is appended now would be signed a second time
                self._appender.stop(damage)
            raise

    def commit_index(
        self,
        at: datetime,
        *,
        not_within: timedelta | None = None,
        anew: bool = False,
        progress: Callable[[int, int], None] | None = None,
    ) -> CommittedIndex:
        """Commit to the index of all records by an entry (`completeness.commits.IndexCommitter.commit`); blocks."""
        committer = IndexCommitter(self._store, self.append_blocking, self._entropy)
        return committer.commit(at, not_within=not_within, anew=anew, progress=progress)

    def prove_completeness(self, record: bytes) -> bytes:
        """Return the file that proves what are all entries of a record, as of the newest committed index.

        Raises:
            IndexMissing: no index is committed now.
            LedgerDamaged: what is stored does not prove it; nothing leaves.
        """
        return self.prove_completeness_of([record])[0]

    def prove_completeness_of(self, records: Sequence[bytes]) -> list[bytes]:
        """Return such a file for each record, all as of one index; raises as `prove_completeness`."""
        return prove_completeness(
            self._store, records, self._identity.verifiers, self._identity.origin, leaving=self._leaving
        )  # fmt: skip

    def hurry(self) -> None:
        """Wait for nothing much longer, so that closing comes to an end: who waits for publication is told at once that
        the ledger is closed, and what the database does not do soon is refused. What is recorded is published later.
        """
        closed = LedgerClosed("the ledger is closing: what is recorded is published later")
        self._published.fail(closed)
        self._witnessed.fail(closed)
        if self._hurry is None:
            self._hurry = threading.Timer(_LAST_WAIT, self._store.interrupt)
            self._hurry.daemon = True
            self._hurry.start()

    def close(self) -> None:
        """Commit what waits, stop, and close every connection. Closing twice does nothing more.

        A database that does not answer is waited for as of `hurry`; what waits then is refused.
        """
        self.hurry()
        if self._progress is not None:
            self._progress.close()
        self._appender.close()
        self._pool.shutdown()
        self._store.close()
        if self._hurry is not None:
            self._hurry.cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _nobody(_told: object) -> None:
    """Stand for somebody who wants to be told."""


def _require_sound(leaf: bytes, index: int, size: int, proof: list[bytes], root: bytes) -> None:
    try:
        verify_inclusion(hash_leaf(leaf), index, size, proof, root)
    except ProofError as failure:
        raise LedgerDamaged(f"the stored tiles do not prove entry {index} in the log of size {size}") from failure


def _sequenced(index: int, leaf: bytes) -> Sequenced:
    return Sequenced(index, leaf, hash_leaf(leaf))


def _end(appended: Appended) -> int:
    return appended.entries[-1].index + 1
