"""How an entry commits to the index: the form of `IndexCommitted`.

The group `public` holds `{"root":<64 hex>,"size":<decimal>}` under the public salt (32 zero bytes), so that whoever is
told root and size checks them against the entry with nothing else.
"""

from __future__ import annotations

import re
from datetime import datetime

from ledger.appends.values import Draft, Submission
from ledger.canonical import Json, canonical
from ledger.records.codec import Entry
from ledger.records.commitments import PUBLIC_GROUP, PUBLIC_SALT, commit_value

INDEX_KIND = "IndexCommitted"
_ROOT = re.compile(r"[0-9a-f]{64}", re.ASCII)
_CLAIM = b"chengxin/ledger/v1/index\x00"


def index_value(size: int, root: bytes) -> dict[str, Json]:
    """Return what the entry commits to: that `root` (32 bytes) is the index of the first `size` entries."""
    return {"root": root.hex(), "size": size}


def index_commit(size: int, root: bytes) -> str:
    """Return the commitment that the entry carries, 64 hex digits."""
    return commit_value(PUBLIC_GROUP, PUBLIC_SALT, canonical(index_value(size, root)))


def commits_to_index(entry: Entry, size: int, root: bytes) -> bool:
    """Tell whether an entry is the one that commits to this index, and to nothing else."""
    return entry.kind == INDEX_KIND and dict(entry.commits) == {PUBLIC_GROUP: index_commit(size, root)}


def read_index(entry: Entry, public: Json) -> tuple[int, bytes] | None:
    """Read the size and root an entry commits to from the value it commits to; None if it commits to no index."""
    if not isinstance(public, dict):
        return None
    size, root = public.get("size"), public.get("root")
    if type(size) is not int or not 0 <= size < 1 << 63 or not isinstance(root, str) or _ROOT.fullmatch(root) is None:
        return None
    found = size, bytes.fromhex(root)
    return found if commits_to_index(entry, *found) else None


def index_claim(size: int) -> bytes:
    """Return the uniqueness key by which the index of one size is committed once only."""
    return _CLAIM + size.to_bytes(8, "big")


def index_submission(size: int, root: bytes, record: bytes, at: datetime) -> Submission:
    """Make the submission that commits to an index."""
    draft = Draft(kind=INDEX_KIND, record=record, groups={PUBLIC_GROUP: index_value(size, root)})
    return Submission(drafts=(draft,), at=at, claim_keys=((index_claim(size), record),))
