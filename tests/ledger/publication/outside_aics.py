"""Run where `aics-tlog` is: checks a published log and receipts with that package alone, nothing of ours imported.

python outside_aics.py PLACE VKEY_FILE RECEIPT...       prints one JSON object, or fails
"""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path

from aics_tlog import (
    HttpTileReader,
    VerifiedTileReader,
    audit_tiles,
    consistency_proof_from_tiles,
    inclusion_proof_from_tiles,
    parse_note,
    parse_vkey,
    verify_checkpoint,
    verify_consistency,
    verify_leaf_inclusion,
)
from aics_tlog.remote import tile_source_url


def opened(note: bytes, vkey_file: str) -> tuple[int, bytes]:
    key = parse_vkey(Path(vkey_file).read_text("utf-8").strip())
    result = verify_checkpoint(parse_note(note), key, expected_origin=key.name)
    if not result.ok or result.size is None or result.root is None:
        raise SystemExit(f"checkpoint refused: {result.error}")
    return result.size, result.root


def receipt_entry(receipt: bytes, vkey_file: str) -> bytes:
    """Take a tlog-proof apart as its specification says, and let the package verify each part."""
    head, _, note = receipt.partition(b"\n\n")
    header, extra, index, *proof = head.decode("ascii").split("\n")
    if header != "c2sp.org/tlog-proof@v1":
        raise SystemExit("not a tlog-proof")
    entry = base64.b64decode(extra.removeprefix("extra "), validate=True)
    size, root = opened(note, vkey_file)
    hashes = [base64.b64decode(line, validate=True) for line in proof]
    if not verify_leaf_inclusion(entry, int(index.removeprefix("index ")), size, hashes, root):
        raise SystemExit("receipt refused")
    return entry


def main(place: str, vkey_file: str, *receipts: str) -> dict[str, object]:
    reader = HttpTileReader([tile_source_url(place)], proxies={})
    size, root = opened(reader.read_checkpoint(), vkey_file)
    report = audit_tiles(reader, size, root)
    proved = VerifiedTileReader(reader, size, root)
    for index in {0, size // 2, size - 1}:
        proof = inclusion_proof_from_tiles(proved, index, size)
        if not verify_leaf_inclusion(proved.entry(index), index, size, proof, root):
            raise SystemExit(f"no inclusion of {index}")
    entries = []
    for path in receipts:
        receipt = Path(path).read_bytes()
        entries.append(receipt_entry(receipt, vkey_file).decode("ascii"))
        old_size, old_root = opened(receipt.partition(b"\n\n")[2], vkey_file)
        growth = consistency_proof_from_tiles(proved, old_size, size)
        if not verify_consistency(old_size, size, old_root, root, growth):
            raise SystemExit(f"size {old_size} is no prefix")
    return {"size": size, "root": root.hex(), "tiles": report.tiles, "bundles": report.bundles, "entries": entries}


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
