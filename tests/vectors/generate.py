"""Write every vector: `python -m tests.vectors.generate`."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from pathlib import Path

from ledger.canonical import Json, format_time
from ledger.errors import LedgerError
from ledger.keyring.published import verify_key_history
from ledger.log.checkpoint import open_checkpoint
from ledger.log.vkey import parse_vkey
from ledger.merkle import hash_leaf
from ledger.publication.bundle import format_bundle
from ledger.publication.paths import TilePath, implied
from ledger.receipt import VerifiedReceipt, verify_receipt
from ledger.records.lifecycle import FAMILY_OF
from tests.vectors.entries import written
from tests.vectors.histories import HistoryCase, histories
from tests.vectors.keys import OLD_VKEY, ORIGIN, VKEY, fixed
from tests.vectors.notes import NoteCase, opening, refused
from tests.vectors.receipts import ReceiptCase, grown, receipts

HERE = Path(__file__).parent
KINDS_FILE = HERE.parent.parent / "ledger" / "javascript" / "kinds.mjs"
_SIZES = (0, 1, 2, 255, 256, 257, 511, 512, 65_535, 65_536, 65_537)


def encoded(data: bytes) -> dict[str, str]:
    """Bytes as `text` if they are UTF-8, else as `base64`."""
    try:
        return {"text": data.decode("utf-8")}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode()}


def decoded(value: dict[str, str]) -> bytes:
    return value["text"].encode() if "text" in value else base64.b64decode(value["base64"])


def _entries() -> list[Json]:
    return [
        {
            "family": one.family,
            "kind": one.entry.kind,
            "record": one.entry.record.hex(),
            "seq": one.entry.seq,
            "prev": None if one.entry.prev is None else one.entry.prev.hex(),
            "at": format_time(one.entry.at),
            "policy": one.entry.policy,
            "groups": {
                group: {"salt": salt.hex(), "value": value, "commit": one.entry.commits[group]}
                for group, (salt, value) in one.groups.items()
            },
            "bytes": one.leaf.decode("ascii"),
            "leaf_hash": hash_leaf(one.leaf).hex(),
        }
        for one in written()
    ]


def _tree() -> Json:
    tree = grown()
    return {
        "leaf_hashes": [hash_leaf(leaf).hex() for leaf in tree.leaves],
        "roots": {str(size): tree.root(size).hex() for size in range(len(tree.leaves) + 1)},
        "implied": {str(size): _implied(size) for size in _SIZES},
    }


def _implied(size: int) -> Json:
    """All paths of a small log; of a larger one how many there are, and the last ones."""
    paths = [str(path) for path in implied(size)]
    return {"count": len(paths), "last": list(paths[-6:])}


def _note(case: NoteCase) -> Json:
    told: dict[str, Json] = {
        "why": case.why, "note": encoded(case.note), "vkeys": case.vkeys, "origin": case.origin,
    }  # fmt: skip
    if case.error is not None:
        return {**told, "error": case.error}
    opened = open_checkpoint(case.note, [parse_vkey(vkey) for vkey in case.vkeys], case.origin)
    return {**told, "size": opened.size, "root": opened.root.hex()}


def _receipt(case: ReceiptCase) -> Json:
    told: dict[str, Json] = {
        "why": case.why, "receipt": encoded(case.receipt), "vkeys": case.vkeys, "origin": case.origin,
    }  # fmt: skip
    if case.error is not None:
        return {**told, "error": case.error}
    return {**told, **_proved(verify_receipt(case.receipt, [parse_vkey(vkey) for vkey in case.vkeys], case.origin))}


def _proved(proved: VerifiedReceipt) -> dict[str, Json]:
    return {
        "index": proved.index,
        "size": proved.size,
        "root": proved.root.hex(),
        "kind": proved.entry.kind,
        "record": proved.entry.record.hex(),
    }


def _history(case: HistoryCase) -> Json:
    told: dict[str, Json] = {
        "why": case.why, "history": case.history, "vkey": case.vkey, "origin": case.origin,
        "receipt": encoded(case.receipt),
    }  # fmt: skip
    if case.error is not None:
        return {**told, "error": case.error}
    history = verify_key_history(case.history, case.vkey, case.origin)
    ranges: list[Json] = [[key.vkey, key.first, key.last] for key in history.keys]
    return {**told, "ranges": ranges, **_proved(history.verify_receipt(case.receipt))}


_RIGHT_PATHS = (
    (0, 0, 256), (0, 0, 1), (0, 999, 255), (1, 1000, 256), (63, 1_234_067, 17), (9, 2**63 - 1, 99), (10, 5, 10),
    (None, 0, 256), (None, 1_234_067, 200), (None, 1_000_000, 256),
)  # fmt: skip
_WRONG_PATHS = (
    "", "/", "tile", "tile/", "tile/0", "tile/0/", "tile/000", "/tile/0/000", "tile/0/000/", "tile//000", "tile/0//000",
    "tile/00/000", "tile/01/000", "tile/64/000", "tile/100/000", "tile/-1/000", "tile/+1/000", "tile/0x0/000",
    "tile/0/0", "tile/0/00", "tile/0/0000", "tile/0/x00/000", "tile/0/x001", "tile/0/001/000", "tile/0/X001/000",
    "tile/0/x001/x000", "tile/0/x0001/000", "tile/0/x000/000", "tile/0/x000/x001/000", "tile/0/x001x002/003",
    "tile/0/x009/x223/x372/x036/x854/x775/808", "tile/0/x001/x000/x000/x000/x000/x000/x000/000",
    "tile/0/000.p/0", "tile/0/000.p/00", "tile/0/000.p/01", "tile/0/000.p/256", "tile/0/000.p/999", "tile/0/000.p/1000",
    "tile/0/000.p/", "tile/0/000.p", "tile/0/000.p/-1", "tile/0/000.p/1/", "tile/0/000p/1", "tile/0/000.P/1",
    "tile/0/000.p/1.p/1", "tile/entries", "tile/entries/", "tile/entries/0", "tile/entries/000.p/0", "tile/Entries/000",
    "tile/data/000", "tile/entries/000.p/256", "tile/../checkpoint", "tile/0/../000", "tile/0/..", "tile/./0/000",
    "tile/0/%30%30%30", "tile/0/000?x=1", "tile/0/000#x", "tile/0/000\n", "tile/0/000 ", " tile/0/000", "tile/0/000\0",
    "tile/0/٠٠٠", "tile/٠/000", "tile/0/000.p/١", "tile/0/0１0", "tile\\0\\000", "checkpoint",
)  # fmt: skip


def _paths() -> list[Json]:
    right: list[Json] = []
    for level, n, width in _RIGHT_PATHS:
        path = TilePath(level=level, n=n, width=width)
        right.append({"path": str(path), "level": level, "n": str(n), "width": width})
    return [*right, *({"path": path, "error": "PathMalformed"} for path in _WRONG_PATHS)]


def _bundles() -> list[Json]:
    some = [b"first", b"", b"\x00\xff", fixed("entry", 300)]
    good = format_bundle(some)
    right: list[Json] = [
        {"why": "four entries", "bundle": good.hex(), "count": 4, "entries": [one.hex() for one in some]},
        {"why": "empty entries", "bundle": "00000000", "count": 2, "entries": ["", ""]},
        {"why": "nothing", "bundle": "", "count": 0, "entries": []},
    ]
    wrong = (
        ("a last byte missing", good[:-1], 4), ("half a length", good + b"\0", 5),
        ("a length and no entry", good + b"\0\1", 5), ("the longest length", b"\xff\xff", 1),
        ("an entry too few", good, 5), ("an entry too many", good, 3), ("nothing where an entry should be", b"", 1),
        ("an entry where nothing should be", b"\0\0", 0), ("one byte", b"\0", 1),
        ("little-endian lengths", b"\5\0first", 1),
    )  # fmt: skip
    refusals: list[Json] = [
        {"why": why, "bundle": data.hex(), "count": count, "error": "PublicationDamaged"} for why, data, count in wrong
    ]
    return [*right, *refusals]


def _kinds() -> str:
    head = "// Every kind of entry. Written by `python -m tests.vectors.generate` from ledger/records/lifecycle.py.\n"
    return f"{head}export default {json.dumps(sorted(FAMILY_OF), indent=2)};\n"


def _notes() -> Iterable[NoteCase]:
    tree = grown()
    yield from opening(23, tree.root(23))
    yield from refused(23, tree.root(23))
    yield from list(opening(0, tree.root(0)))[:1]


def files() -> dict[Path, str]:
    """Every file and what it must hold."""
    tables: dict[str, Json] = {
        "entries.json": _entries(),
        "tree.json": _tree(),
        "checkpoints.json": [_note(case) for case in _notes()],
        "receipts.json": [_receipt(case) for case in receipts()],
        "histories.json": [_history(case) for case in histories()],
        "paths.json": _paths(),
        "bundles.json": _bundles(),
        "keys.json": {"origin": ORIGIN, "vkey": VKEY, "old_vkey": OLD_VKEY},
    }
    made = {HERE / name: json.dumps(table, indent=1, default=list) + "\n" for name, table in tables.items()}
    return {**made, KINDS_FILE: _kinds()}


def main() -> None:
    for path, content in files().items():
        path.write_text(content, "utf-8")


if __name__ == "__main__":
    try:
        main()
    except LedgerError as failure:
        raise SystemExit(f"a vector that should be right is not: {failure}") from failure
