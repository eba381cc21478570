"""The tables beside the log: what of them follows from the log, or from each other, and what a row can be at all."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from ledger.anchors.register import RFC3161
from ledger.anchors.token import read_stamp
from ledger.canonical import parse_time
from ledger.errors import AnchorError, NoteError
from ledger.fsck.findings import Findings
from ledger.fsck.snapshot import Snapshot
from ledger.log import schema
from ledger.log.guards import wrong_indexes, wrong_keeping, wrong_keys, wrong_triggers
from ledger.log.note import parse_line, split_note

_KEY_BYTES = range(7, 33)
"""As `Idempotency` says."""
_CLAIM_BYTES = range(1, 65)
"""As `Submission.claim_keys` says."""
_HASH = 32
_AT = len('{"at":"2026-01-31T08:00:00.000000Z"')
_MOST = 1000
_ORPHANS = ("vault_key", "vault_document")


class TablesPass:
    """Checks, in one view, the tables that no other pass reads from end to end."""

    def __init__(self, view: Snapshot, origin: str, findings: Findings) -> None:
        self._view = view
        self._origin = origin
        self._findings = findings
        ((self._size, self._published),) = view.all("SELECT size, published FROM head WHERE id = 1")

    def run(self, *, entries: bool, inline: bool) -> None:
        """Check; without `entries` only what is signed and how it is kept. With `inline`, each checkpoint is published
        in the transaction that signs it."""
        self._despite_damage("the schema", self._check_schema)
        self._despite_damage("the table meta", self._check_meta)
        self._despite_damage("what was published", lambda: self._check_published(inline=inline))
        self._despite_damage("the table checkpoint", self._check_times)
        self._despite_damage("the table anchor", self._check_anchors)
        self._despite_damage("the tables of the index of records", self._check_index_state)
        if entries:
            for table in _ORPHANS:
                self._despite_damage(f"the table {table}", partial(self._check_orphans, table))
            self._despite_damage("the table idempotency", self._check_keys)
            self._despite_damage("the table uniqueness", self._check_claims)

    def _despite_damage(self, what: str, check: Callable[[], None]) -> None:
        with self._view.despite_damage(lambda: self._add(f"{what} cannot be read to the end")):
            check()

    def _add(self, what: str, index: int | None = None) -> None:
        self._findings.add(index, what)

    # --- what the log is ---

    def _check_schema(self) -> None:
        for look in (wrong_triggers, wrong_keys, wrong_keeping, wrong_indexes):
            for what in look(self._view.connection):
                self._add(what)

    def _check_meta(self) -> None:
        rows = dict(self._view.all("SELECT key, value FROM meta"))
        opened = self._view.all("SELECT note, signed_at FROM checkpoint WHERE size = 0")
        if not opened:
            self._add("the checkpoint of size 0, with which the log was opened, is missing")
            return
        note, signed_at = opened[0]
        expected = {"schema_version": str(schema.SCHEMA_VERSION), "origin": self._origin, "opened_at": signed_at}
        try:
            expected["log_key"] = parse_line(split_note(bytes(note))[1][0]).key_id.hex()
        except (NoteError, IndexError):
            rows.pop("log_key", None)  # the pass over the log names what is wrong with that checkpoint
        for name in sorted(expected.keys() | rows.keys()):
            if rows.get(name) != expected.get(name):
                self._add(f"what the store tells of itself is wrong: {name}")
        if self._view.all("SELECT id FROM head WHERE id <> 1"):
            self._add("there is a second head")

    def _check_published(self, *, inline: bool) -> None:
        """Check that nothing was published beyond what the head says is the newest."""
        for table in ("cosignature", "anchor", *(["checkpoint"] if inline else [])):
            ((beyond,),) = self._view.all(f"SELECT max(size) FROM {table}")  # noqa: S608  only names written here
            if beyond is not None and self._published < beyond <= self._size:
                self._add(f"the head says that {self._published} is published, but there is a {table} of {beyond}")

    def _check_times(self) -> None:
        for size, at in self._view.stream("fsck_times", "SELECT size, signed_at FROM checkpoint"):
            if not _is_time(at):
                self._add(f"the checkpoint of size {size} is said to be signed at what is no time")

    def _check_anchors(self) -> None:
        question = (
            "SELECT a.size, a.kind, a.at, a.token, c.note FROM anchor a LEFT JOIN checkpoint c ON c.size = a.size "
            "ORDER BY a.size"
        )
        for size, kind, at, token, note in self._view.stream("fsck_anchors", question):
            wrong = _wrong_anchor(kind, at, bytes(token), None if note is None else bytes(note))
            if wrong is not None:
                self._add(f"an anchor of size {size}: {wrong}")

    # --- the index ---

    def _check_index_state(self) -> None:
        rows = self._view.all("SELECT id, size FROM index_state ORDER BY id")
        if any(number != 1 for number, _ in rows):
            self._add("there is a second state of the index")
        if any(not 0 <= size <= self._size for number, size in rows if number == 1):
            self._add("the stored index is said to be of more entries than there are, or of fewer than none")
        pages = self._view.all("SELECT 1 FROM index_page LIMIT 1")
        if pages and not any(number == 1 for number, _ in rows):
            self._add("there are pages of the index, and no state that says of what")
        beyond = self._view.all("SELECT size FROM index_root WHERE size < 0 OR size > ? LIMIT ?", self._size, _MOST)
        for (size,) in beyond:
            self._add(f"an index of size {size} is kept, beyond the head")

    # --- what stands beside the entries ---

    def _check_orphans(self, table: str) -> None:
        question = (
            f"SELECT v.idx FROM {table} v LEFT JOIN entry e ON e.idx = v.idx WHERE e.idx IS NULL "  # noqa: S608
            "ORDER BY v.idx LIMIT ?"
        )
        for (idx,) in self._view.all(question, _MOST):
            self._add(f"a row of {table} ({idx}) is of no entry")

    def _check_keys(self) -> None:
        """Check what request keys were used for: entries that are there, made together, and nobody else's."""
        question = (
            "SELECT i.key, i.body_digest, i.first_idx, i.count, v.destroyed_at FROM idempotency i "
            "LEFT JOIN vault_key v ON v.idx = i.first_idx ORDER BY i.first_idx, i.key"
        )
        free = 0
        for key, digest, first, count, destroyed_at in self._view.stream("fsck_keys", question):
            name = f"the request key {bytes(key).hex()}"
            # The digest of a body is given up with the document that kept the body (`ledger.vault.remnants`).
            given_up = not digest and destroyed_at is not None
            self._findings.remnants += bool(digest) and destroyed_at is not None
            if len(key) not in _KEY_BYTES or not (len(digest) == _HASH or given_up):
                self._add(f"{name} or its digest is not of its length")
            if first < 0 or count < 1 or first + count > self._size:
                self._add(f"{name} is for entries that are not there")
                continue
            if first < free:
                self._add(f"{name} is for entries of another request")
            free = max(free, first + count)
            if count > 1 and not self._were_made_together(first, count):
                self._add(f"{name} is for entries of several requests")

    def _were_made_together(self, first: int, count: int) -> bool:
        """Tell whether some neighbours can be of one submission: then they are all of one time, which stands first."""
        question = "SELECT leaf FROM entry WHERE idx >= ? AND idx < ? ORDER BY idx"
        leaves = self._view.stream("fsck_together", question, first, first + count)
        times = (bytes(leaf[:_AT]) for (leaf,) in leaves)
        started = next(times, b"")
        return all(time == started for time in times)

    def _check_claims(self) -> None:
        question = (
            "SELECT u.key, u.record FROM uniqueness u LEFT JOIN record r ON r.record = u.record "
            "WHERE r.record IS NULL OR length(u.key) < ? OR length(u.key) > ? ORDER BY u.key LIMIT ?"
        )
        for key, record in self._view.all(question, _CLAIM_BYTES[0], _CLAIM_BYTES[-1], _MOST):
            self._add(f"the claim {bytes(key).hex()} of record {bytes(record).hex()} is malformed, or of no record")


def _wrong_anchor(kind: str, at: str, token: bytes, note: bytes | None) -> str | None:
    if note is None:
        return "there is no such checkpoint"
    if kind != RFC3161:
        return "its kind is not known"
    if not _is_time(at):
        return "it is of no time"
    try:
        stamped = read_stamp(token, note)
    except AnchorError as failure:
        return str(failure)
    return None if stamped == parse_time(at) else "another time is kept than it says"


def _is_time(text: str) -> bool:
    try:
        parse_time(text)
    except ValueError:
        return False
    return True
