#!/usr/bin/env python3
"""Check, with Python's standard library alone, what openssl cannot: that this commitment is in the log, and of what.

Run it in the folder of the unpacked evidence pack: python3 check.py. It recomputes the leaf hash and the Merkle proof
of recorded.tlog-proof (RFC 9162) up to the root in checkpoint.txt, the salted commitments of both disclosures, and
which document the witness or the platform spoke of. Signatures are checked with openssl: see README.md.
"""

from __future__ import annotations

import base64
import hashlib
import json
import sys
from pathlib import Path
from typing import Any


def sha256(*parts: bytes) -> bytes:
    """Give the SHA-256 of the parts, joined."""
    return hashlib.sha256(b"".join(parts)).digest()


def canonical(value: Any) -> bytes:
    """Write JSON as RFC 8785 does, for values without fractions."""
    return json.dumps(_sorted(value), ensure_ascii=False, separators=(",", ":")).encode()


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value, key=lambda one: str(one).encode("utf-16-be"))}
    return [_sorted(one) for one in value] if isinstance(value, list) else value


def read_receipt(text: str) -> tuple[bytes, int, list[bytes], str]:
    """Take a receipt apart: the entry, its index, the proof, and the text of the checkpoint."""
    head, _, note = text.partition("\n\n")
    lines = head.split("\n")
    if lines[0] != "c2sp.org/tlog-proof@v1":
        raise ValueError("not a tlog-proof of version 1")
    entry = base64.b64decode(lines[1].removeprefix("extra "))
    proof = [base64.b64decode(line) for line in lines[3:]]
    return entry, int(lines[2].removeprefix("index ")), proof, note.partition("\n\n")[0] + "\n"


def root_of(entry: bytes, index: int, size: int, proof: list[bytes]) -> bytes:
    """Compute the root that the proof leads to (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size:
        raise ValueError("no such leaf in a tree of this size")
    here, last, computed = index, size - 1, sha256(b"\x00", entry)
    for sibling in proof:
        if last == 0:
            raise ValueError("the proof is too long")
        if here & 1 or here == last:
            computed = sha256(b"\x01", sibling, computed)
            while here and not here & 1:
                here, last = here >> 1, last >> 1
        else:
            computed = sha256(b"\x01", computed, sibling)
        here, last = here >> 1, last >> 1
    if last != 0:
        raise ValueError("the proof is too short")
    return computed


def proved(text: str) -> tuple[Any, str]:
    """Give the entry of a receipt, once its proof leads to the root of its checkpoint; and that checkpoint's text."""
    entry, index, proof, checkpoint = read_receipt(text)
    _origin, size, root = checkpoint.split("\n")[:3]
    if root_of(entry, index, int(size), proof) != base64.b64decode(root):
        raise ValueError("the entry is not in the log of this checkpoint")
    return json.loads(entry), checkpoint


def disclosed(name: str) -> tuple[Any, Any, str]:
    """Give the value of a disclosure, once its entry commits to it; and that entry and checkpoint."""
    parts = json.loads(Path(name).read_text("utf-8"))
    entry, checkpoint = proved(parts["receipt"])
    group, salt = parts["group"], bytes.fromhex(parts["salt"])
    domain = b"chengxin/ledger/v1/commit\x00" + group.encode() + b"\x00"
    if sha256(domain, salt, canonical(parts["value"])).hex() != entry["commits"][group]:
        raise ValueError(f"{name}: the entry does not commit to this value")
    return parts["value"], entry, checkpoint


def digest_of(name: str) -> bytes:
    """Give the SHA-256 of a file."""
    return sha256(Path(name).read_bytes())


def spoken_of() -> dict[str, bool]:
    """Check which document and which handwriting a witness spoke of, or which document a platform."""
    checks: dict[str, bool] = {}
    if Path("witness.json").exists():
        said = json.loads(Path("witness.json").read_text("utf-8"))
        image = next(Path().glob("handwriting.*")).name
        checks["the clerk's statement is of document.json"] = (
            said["document_digest"] == digest_of("document.json").hex()
        )
        checks[f"the clerk's statement is of {image}"] = said["handwriting_digest"] == digest_of(image).hex()
    if Path("assertion.txt").exists():
        claims = Path("assertion.txt").read_text("ascii").split(".")[1]
        nonce = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["nonce"]
        wanted = base64.urlsafe_b64encode(digest_of("document.json")).rstrip(b"=").decode()
        checks["the platform's assertion is of document.json"] = nonce == wanted
    return checks


def main() -> int:
    """Check everything; what is wrong raises, or is told and makes the exit status 1."""
    entry, checkpoint = proved(Path("recorded.tlog-proof").read_text("utf-8"))
    signature, recorded, first = disclosed("recorded.disclosure.json")
    document, prepared, second = disclosed("prepared.disclosure.json")
    checks = {
        "the receipt's entry is entry.json": canonical(entry) == Path("entry.json").read_bytes(),
        "all proofs are of checkpoint.txt": {checkpoint, first, second} == {Path("checkpoint.txt").read_text("utf-8")},
        "the signature was recorded by this entry": recorded == entry and entry["kind"] == "CommitmentRecorded",
        "the document is of the same commitment": prepared["record"] == entry["record"],
        "the entry commits to signature.json": canonical(signature) == Path("signature.json").read_bytes(),
        "the first entry commits to document.json": canonical(document) == Path("document.json").read_bytes(),
        "the signature is of document.json": signature["document_digest"] == digest_of("document.json").hex(),
        **spoken_of(),
    }
    for told, good in checks.items():
        print("ok    " if good else "FAILED", told)
    return 0 if all(checks.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
