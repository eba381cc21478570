"""Which keys of a process may sign still: the log itself says when one is retired, whoever recorded it."""

from __future__ import annotations

import structlog
from sqlalchemy import Connection, bindparam, select

from ledger.appends.identity import Identity
from ledger.errors import KeysRetired
from ledger.keyring.history import KINDS, commit_key
from ledger.log import schema
from ledger.log.algorithms.ed25519 import Ed25519Verifier
from ledger.log.note import Signer
from ledger.log.reader import read_entry
from ledger.records.codec import decode_entry
from ledger.records.commitments import PUBLIC_GROUP
from ledger.records.lifecycle import FAMILY_NUMBERS

_log = structlog.get_logger()
_NEWEST = select(schema.record.c.last_idx).where(schema.record.c.family == bindparam("family"))


class SigningKeys:
    """The keys with which one thread of a process signs; `look` before signing what others may have appended to.

    Keys of other algorithms sign beside the log's own, and are no matter here.
    """

    def __init__(self, identity: Identity) -> None:
        self.signers: tuple[Signer, ...] = identity.signers
        self._known = {
            verifier.key_id: commit_key(verifier.vkey)
            for verifier in identity.verifiers
            if isinstance(verifier, Ed25519Verifier)
        }
        self._own = {signer.key_id for signer in identity.signers} & self._known.keys()
        self._seen: set[int] = set()

    def look(self, connection: Connection) -> None:
        """Take from the log which keys were retired: they sign nothing here any more.

        Raises:
            KeysRetired: none is left of the log's own keys that are here; nothing may be appended or signed.
        """
        rows = connection.execute(_NEWEST, {"family": FAMILY_NUMBERS["logkey"]}).scalars()
        for index in sorted({*rows} - self._seen):
            self._take(connection, index)
            self._seen.add(index)

    def _take(self, connection: Connection, index: int) -> None:
        entry = decode_entry(read_entry(connection, index))
        key_id = next((one for one, commit in self._known.items() if commit == entry.commits.get(PUBLIC_GROUP)), None)
        if entry.kind == KINDS["added"]:
            if key_id is None:
                _log.warning(
                    "the log has a new key: start this gateway anew before the old one is retired", index=index
                )
            return
        if key_id not in self._own:
            return
        self._own.discard(key_id)
        self.signers = tuple(signer for signer in self.signers if signer.key_id != key_id)
        if not self._own:
            raise KeysRetired(f"entry {index} retires the only key with which this process signs")
